"""What is asked when a verdict is explained, and what was found for each condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scoring.engines import reading
from scoring.rules import tree, windows
from scoring.rules.sql.terms import EventTypes

PEOPLE = 10
DAYS = 31


@dataclass(frozen=True, slots=True)
class Question:
    """Several accounts at the end of a day."""

    signup_days: Mapping[int, int]  # by account id
    day: int
    types: EventTypes

    def about(self) -> dict[str, Any]:
        """What every statement takes."""
        return {
            "types": self.types,
            "as_of_day": self.day,
            "account_ids": list(self.signup_days),
            "dialect": reading.dialect(),
        }


@dataclass(slots=True)
class Found:
    """A leaf, of one account, with what was measured and whom it is about."""

    account_id: int
    place: int  # of the leaf in the rule, the same for every account
    leaf: tree.Leaf
    measured: Any = None
    holds: bool = False
    people: list[int] = field(default_factory=list)  # who qualify by the nested rule, the best first
    people_total: int = 0
    extras: dict[str, Any] = field(default_factory=dict)  # by the names of `tree.extras`
    each: dict[int, Any] = field(default_factory=dict)  # what was measured of each of them
    window: windows.Window = field(default_factory=windows.Ever)
    days: list[int] = field(default_factory=list)
    days_total: int = 0
    newest_us: int | None = None

    @property
    def counts(self) -> bool:
        """Whether it is a reason: it holds and no `not` is above it."""
        return self.holds and not self.leaf.negated
