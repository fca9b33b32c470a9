"""One explanation of why an account qualifies, for every place that tells it: inbox, account page, alert, API, CSV.

A tree in the shape of the rule: groups, and conditions with what they measured when the episode was opened (*frozen*)
and, where somebody asked, by the end of today (*today*). Under a score stands every signal with its points, under
`users_who` and a nested definition what they ask. Pure: `scoring/told.py` makes the tree of a rule and its evidence,
`scoring/reasons.py` reads what that needs, `scoring/serializers.py` says it to other programs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

GROUPS = ("all", "any", "at_least", "not")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody behind a condition. `name`: what to call them."""

    id: int
    external_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What one condition measured at the end of a day."""

    holds: bool  # the condition itself, whatever `not` stands above it
    measured: Any = None  # in the condition's unit; None: nothing was there
    text: str = ""  # “5 times”
    needed: str = ""  # “at least 3”
    distance: int | float | None = None  # 0 or more: holds with so much to spare; below: so much is missing
    missing: str = ""  # “2 more”
    window: tuple[dt.date | None, dt.date | None] | None = None  # the days looked at, both included
    people: tuple[Person, ...] = ()  # at most 10
    people_total: int = 0
    days: tuple[dt.date, ...] = ()  # the newest 31
    days_total: int = 0
    newest_at: dt.datetime | None = None  # of the newest event, or stage entry, behind it
    limit: int | float | None = None  # of a share: what the plan allows
    base: int | None = None  # of a change: what there was before
    parts: Mapping[str, int | float] = field(default_factory=dict)  # of a score: fit, usage, intent
    band: str = ""  # of a score: the highest one reached


@dataclass(frozen=True, slots=True)
class Part:
    """A group, a condition, or a signal of a score, with what stands under it.

    `held` and `holds_now`: whether it was so when the episode was opened, and is so today, `not` taken into account
    where it is one; None: not known.
    """

    kind: str  # one of GROUPS, `signal`, or the key of a condition
    path: str  # JSON pointer into the definition
    english: str
    negated: bool = False  # an odd number of `not` is above it
    at_least: int | None = None  # of such a group: so many of its parts
    comparison: str = ""
    threshold: Any = None
    unit: str = ""
    events: tuple[str, ...] = ()
    of: str = ""  # of a signal: fit, usage or intent
    place: int | None = None  # of its frozen reading among the conditions of the evidence
    frozen: Reading | None = None
    today: Reading | None = None
    held: bool | None = None
    holds_now: bool | None = None
    parts: tuple[Part, ...] = ()

    @property
    def is_group(self) -> bool:
        """Whether it only combines others."""
        return self.kind in GROUPS


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an account qualifies (or did) under one version of a definition."""

    qualification_id: int
    account: str  # external id
    account_name: str
    definition: str  # slug
    definition_name: str
    purpose: str
    version: int
    live_version: int | None  # None: archived, or not known
    english: str
    cause: str
    release: str
    opened_at: dt.datetime
    since_at: dt.datetime | None
    since_day: dt.date | None
    closed_at: dt.datetime | None
    close_cause: str
    as_of: dt.date | None  # the end of the day of the frozen readings; None: nothing was frozen
    today: dt.date | None  # and of those of today; None: nobody asked
    sentence: str
    people: tuple[Person, ...]
    people_total: int
    rule: Part

    def conditions(self) -> Iterator[Part]:
        """Its conditions in reading order, those inside others after them; signals and groups left out."""
        return (part for part in walk(self.rule) if not part.is_group and part.kind != "signal")


def walk(part: Part) -> Iterator[Part]:
    """The part and everything under it, in reading order."""
    yield part
    for inner in part.parts:
        yield from walk(inner)
