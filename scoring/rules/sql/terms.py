"""What every part of a statement shares: the catalogue, the statement itself, and the smallest pieces of SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from scoring.rules import tree, windows

Dialect = Literal["sqlite", "postgresql", "duckdb"]
Leafy = tree.Condition | tree.UsersWho

FAR = 99_999_999  # later than any day
NO_DAY = "CAST(NULL AS INTEGER)"


@dataclass(frozen=True, slots=True)
class PlanLimit:
    """What a plan allows of a metric from a day on, in micro-units."""

    plan: str
    metric: str
    from_day: int
    limit: int


@dataclass(frozen=True, slots=True)
class EventTypes:
    """The catalogue as the compiler needs it: ids by name, which count as activity, which collect what.

    `limits` gives what plans allow, and is called only where a rule asks for a share of it.
    """

    ids: Mapping[str, int]
    activity: tuple[int, ...]
    collects: Mapping[int, str] = field(default_factory=dict)
    limits: Callable[[], Sequence[PlanLimit]] = tuple

    def resolve(self, names: Sequence[str]) -> tuple[int, ...]:
        """The ids of the names; “*” is every raw type that counts as activity. An unknown name has none."""
        if tuple(names) == tree.ANY_EVENT:
            return self.activity
        return tuple(sorted(self.ids[name] for name in names if name in self.ids))

    def resolve_collecting(self, names: Sequence[str], of: str) -> tuple[int, ...]:
        """Those of them that collect the distinct values of the property `of`."""
        return tuple(number for number in self.resolve(names) if self.collects.get(number) == of)

    def ids_of(self, node: Leafy) -> tuple[int, ...]:
        """The event types that a condition counts."""
        if isinstance(node, tree.Distinct):
            return self.resolve_collecting(node.events, node.of)
        if isinstance(node, tree.Sequence):
            return tuple(sorted({number for step in node.steps for number in self.resolve(step)}))
        return self.resolve(node.events) if isinstance(node, tree.UsageCondition) else ()


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with named parameters (`%(p0)s`)."""

    sql: str
    params: Mapping[str, str]


def window_of(node: Leafy) -> windows.Window:
    """The window of a condition; ever for those that take none."""
    return getattr(node, "window", None) or windows.Ever()


def needs_person(node: Leafy) -> bool:
    """Whether its window starts at the person's own sign-up."""
    window = window_of(node)
    return isinstance(window, windows.FirstDays) and window.of == "user"


def moves(window: windows.Window) -> bool:
    """Whether what is in the window leaves it again, by time alone."""
    return isinstance(window, windows.LastDays | windows.BillingMonth)


def in_list(numbers: Sequence[int]) -> str:
    """A list for IN; no number at all matches nothing."""
    return f"({', '.join(str(int(number)) for number in numbers)})" if numbers else "(NULL)"


def truth(expression: str) -> str:
    """A boolean as 1 or 0, the same on every engine."""
    return f"CASE WHEN {expression} THEN 1 ELSE 0 END"


def judged(column: str, compare: tree.Compare) -> str:
    """Whether a measured column is what was asked for."""
    if compare.op == "in":
        return f"({column} IN {in_list(compare.values)})"
    bounds = [f"{column} >= {compare.low}"] if compare.low is not None else []
    bounds += [f"{column} <= {compare.high}"] if compare.high is not None else []
    return "(" + " AND ".join(bounds) + ")"
