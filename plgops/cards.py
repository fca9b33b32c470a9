"""What the home page is made of: steps, cards with their lines, the team's load, figures."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One of the first steps. `may` is whether the person looking can do it."""

    title: str
    text: str
    href: str
    action: str
    done: bool
    may: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a card: a link, why it is there, something short beside it, and since when."""

    text: str
    href: str
    note: str = ""
    at: dt.datetime | None = None
    tone: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """What somebody has in their hands. `waits`: how long the oldest has waited for its first touch."""

    name: str
    href: str
    is_active: bool
    to_contact: int
    contacted: int
    waits: dt.timedelta | None


@dataclass(frozen=True, slots=True)
class Card:
    """A list of work, or of people with theirs. `count` is capped; `empty` is said when there is nothing."""

    title: str
    icon: str
    href: str
    action: str
    count: int
    lines: tuple[Line, ...]
    empty: str
    tone: str = ""
    loads: tuple[Load, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the last seven days, beside the seven before."""

    label: str
    now: int
    before: int

    @property
    def change(self) -> int:
        return self.now - self.before
