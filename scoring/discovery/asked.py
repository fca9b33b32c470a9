"""What a discovery asks, and the words of its answers. Pure.

A *landmark analysis* (Anderson, Cain and Gelber 1983): each subject (an account, or a person in an account) is
looked at when its first N days are over. What it did in them is the behaviour; whether the outcome came within the
W days after them is the answer. Who had the outcome before that moment is not at risk any more and left out, so
nothing that follows from the outcome can pass for what leads to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from scoring.stats import Table

Level = Literal["account", "user"]
Measure = Literal["count", "days", "users"]

ANY = 0  # in place of an event type: every type that counts as activity, those excluded from the search left out
MIN_AT_RISK = 100  # subjects in both halves together
MIN_SEARCH_HITS, MIN_LATER_HITS = 20, 10  # outcomes in the earlier and in the later half
MIN_SUPPORT = 20  # so many must do a thing, and so many not, for it to be tried
RATE = 0.05  # of false discoveries
WINDOWS = (1, 3, 7, 14, 30, 60)


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a run. `outcome` is a stage or the name of an event; days are counted from the sign-up."""

    outcome: str
    first_days: int
    within: int
    level: Level = "account"

    @property
    def windows(self) -> tuple[int, ...]:
        """The stretches of first days that are searched, the longest last: all N days, and up to three shorter."""
        return (*[days for days in WINDOWS if days < self.first_days][-3:], self.first_days)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What is measured of each event type. A person's different people would be one."""
        return ("count", "days", "users") if self.level == "account" else ("count", "days")


@dataclass(frozen=True, slots=True)
class Condition:
    """A behaviour: so much of an event in the first days. `event` is the type's id, or ANY."""

    event: int
    measure: Measure
    window: int
    low: int
    high: int | None = None  # None: or more

    def holds(self, value: int) -> bool:
        return value >= self.low and (self.high is None or value <= self.high)


@dataclass(frozen=True, slots=True)
class Half:
    """One side of the split by sign-up day: who is at risk in it, and to how many of them the outcome came."""

    first_day: int | None
    last_day: int | None
    of: int
    hits: int
    design: float = 1.0  # the design effect of people who share their account's outcome

    def table(self, doing: int, hits: int) -> Table:
        """The two by two table of a thing that so many do, so many of whom have the outcome."""
        return Table(hits, doing - hits, self.hits - hits, self.of - doing - (self.hits - hits))


@dataclass(frozen=True, slots=True)
class Population:
    """Who was looked at, and who was left out for which reason."""

    known_from: int  # the first day of usage, strays left out
    known_until: int  # the last whole day of it
    signed_up: int  # who signed up until then
    before_data: int  # left out: signed up before the data begins
    too_young: int  # left out: their first days and the days of waiting are not over yet
    converted_before: int  # left out: had the outcome before their first days were over
    search: Half
    later: Half

    def missing(self) -> list[dict[str, Any]]:
        """What is too little to search: for each, what it is, how many there are, how many are needed."""
        needed = (
            ("at risk", self.search.of + self.later.of, MIN_AT_RISK),
            ("outcomes in the earlier half", self.search.hits, MIN_SEARCH_HITS),
            ("outcomes in the later half", self.later.hits, MIN_LATER_HITS),
        )
        return [{"what": what, "have": have, "need": need} for what, have, need in needed if have < need]


@dataclass(frozen=True, slots=True)
class Found:
    """Something that was tried: a condition or two of them together, in both halves.

    `p` and `q` are of the search alone, `later_p` and `later_q` of the later half, among those that held; both None
    where the thing did not hold.
    """

    parts: tuple[Condition, ...]
    search: Table
    later: Table
    p: float
    q: float = 1.0
    later_p: float | None = None
    later_q: float | None = None

    @property
    def held(self) -> bool:
        """Whether it holds in the search after the correction for everything that was tried."""
        return self.q <= RATE

    @property
    def confirmed(self) -> bool:
        """Whether it then also holds, in the same direction, among those who signed up later."""
        return self.later_q is not None and self.later_q <= RATE and self.search.goes_with == self.later.goes_with
