"""The nodes of a rule: what can be asked of an account or a person, and the groups that combine it.

Frozen and compared by value, so that two definitions that ask the same share one measurement. Pure.
docs/rules.md says what each means at its edges.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from scoring.rules.windows import LastDays, Subject, Window

PARTS = ("fit", "usage", "intent")  # what a score tells apart
DECAY = (16, 8, 4, 2, 1, 1)  # 32nds for being in the last 1 to 6 half-lives: 32, 16, 8, 4, 2 or 1 together


@dataclass(frozen=True, slots=True)
class Compare:
    """How a measured number is judged: between `low` and `high`, both included (None: open), or one of `values`."""

    op: Literal["at_least", "at_most", "exactly", "between", "in"]
    low: int | None = None
    high: int | None = None
    values: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """How many events."""

    events: tuple[str, ...]
    compare: Compare
    window: Window


@dataclass(frozen=True, slots=True)
class Distinct:
    """How many different values of a property (`of`) that the event type collects."""

    events: tuple[str, ...]
    of: str
    compare: Compare
    window: Window


@dataclass(frozen=True, slots=True)
class Users:
    """How many different people were active in the account."""

    events: tuple[str, ...]
    compare: Compare
    window: Window


@dataclass(frozen=True, slots=True)
class Days:
    """On how many different days there was activity."""

    events: tuple[str, ...]
    compare: Compare
    window: Window


@dataclass(frozen=True, slots=True)
class Recency:
    """Seen within the last `within_days`, or not seen for `not_for_days`: exactly one of them is set."""

    events: tuple[str, ...]
    within_days: int | None = None
    not_for_days: int | None = None


@dataclass(frozen=True, slots=True)
class First:
    """Done for the first time ever on a day of the window."""

    events: tuple[str, ...]
    window: Window


@dataclass(frozen=True, slots=True)
class Change:
    """How the events of the last `days` compare with those of as many days before.

    At least, or at most, so many thousandths of them; with a least number of events in both, of the base never 0.
    """

    events: tuple[str, ...]
    days: int
    op: Literal["at_least", "at_most"]
    thousandths: int
    at_least: int = 0
    base_at_least: int = 1


@dataclass(frozen=True, slots=True)
class Sequence:
    """One step after the other, each at or after the time of the one before, first and last within so many days."""

    steps: tuple[tuple[str, ...], ...]
    within_days: int
    window: Window

    @property
    def events(self) -> tuple[str, ...]:
        """The names of all steps."""
        return tuple(sorted({name for step in self.steps for name in step}))

    @property
    def reads_log(self) -> bool:
        """Whether the first and last time of each day are not enough: something has to lie between two others."""
        return len(self.steps) > 2


@dataclass(frozen=True, slots=True)
class Share:
    """At least so many thousandths of what the account's plan allows of the metric."""

    thousandths: int
    metric: str


@dataclass(frozen=True, slots=True)
class Value:
    """The metered property of the events: its sum, its greatest or its last value; bounds in micro-units."""

    events: tuple[str, ...]
    measure: Literal["sum", "max", "last"]
    against: Compare | Share
    window: Window


@dataclass(frozen=True, slots=True)
class Trait:
    """A trait as it stands at the end of the day.

    Texts are compared exactly (`texts`; a boolean is the text true or false), numbers in micro-units:
    `numbers` for equality, `low` and `high` for ranges, both included. `is_set` asks whether there is a value.
    """

    name: str
    of: Subject
    op: Literal["in", "exactly", "at_least", "at_most", "between", "is_set"]
    texts: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    low: int | None = None
    high: int | None = None
    is_set: bool = True


@dataclass(frozen=True, slots=True)
class TraitChanged:
    """A trait's value gave way to another one within the last `within_days`; its first value is no change."""

    name: str
    of: Subject
    within_days: int


@dataclass(frozen=True, slots=True)
class StageReached:
    """The account reached the stage, at least once, on a day of the window."""

    stage: str
    window: Window


@dataclass(frozen=True, slots=True)
class StageSince:
    """So many days since the account last reached the stage (0 on the day itself); never reached: false."""

    stage: str
    at_least_days: int | None
    at_most_days: int | None


@dataclass(frozen=True, slots=True)
class UsersWho:
    """How many people of the account the nested rule, asked of each person, holds for."""

    compare: Compare
    rule: Node


@dataclass(frozen=True, slots=True)
class Signal:
    """What adds to a score, or takes from it: so many points `when` a rule holds, or for each one of `per`.

    `cap` bounds what it adds or takes, after decay. With a half-life what happened counts half after so many
    days, a quarter after twice as many, in whole steps, and nothing after six of them.
    """

    part: str
    points: int
    when: Node | None = None
    per: Count | Distinct | Users | Days | None = None  # at least 1: its comparison decides nothing
    cap: int | None = None
    half_life_days: int | None = None

    def measured_by(self) -> tuple[tuple[int, Count | Distinct | Users | Days], ...]:
        """What `per` adds up, each with its weight in 32nds: something in the first half-life is in all of them."""
        if self.per is None:
            return ()
        if self.half_life_days is None:
            return ((32, self.per),)
        lengths = [self.half_life_days * step for step in range(1, len(DECAY) + 1)]
        return tuple(
            (weight, replace(self.per, window=LastDays(length))) for weight, length in zip(DECAY, lengths, strict=True)
        )

    def shown(self) -> Count | Distinct | Users | Days | None:
        """What is told of `per`: everything that counts at all."""
        found = self.measured_by()
        return found[-1][1] if found else None


@dataclass(frozen=True, slots=True)
class Score:
    """The points of all signals together; `bands` name ranges, from the highest, and decide nothing."""

    signals: tuple[Signal, ...]
    compare: Compare
    bands: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Nested:
    """Another definition's rule holds: that of the version it is pinned to (None: not published yet).

    `rule` is that rule as it is asked here, with what it nests in turn (`nesting.resolve`); None: not looked up.
    """

    slug: str
    version: int | None = None
    name: str = ""
    rule: Node | None = None

    def looked_up(self) -> Node:
        """The nested rule; ValueError if nobody has looked it up."""
        if self.rule is None:
            raise ValueError(f"the definition “{self.slug}” has not been looked up")
        return self.rule


@dataclass(frozen=True, slots=True)
class All:
    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Any_:
    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: Node


@dataclass(frozen=True, slots=True)
class AtLeast:
    k: int
    of: tuple[Node, ...]


UsageCondition = Count | Distinct | Users | Days | Recency | First | Value | Change | Sequence
Condition = UsageCondition | Score | Nested | Trait | TraitChanged | StageReached | StageSince
Node = All | Any_ | Not | AtLeast | Condition | UsersWho
