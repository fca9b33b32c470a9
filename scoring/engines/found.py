"""What is asked when a verdict is explained, and what was found for each condition."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scoring.engines import reading
from scoring.rules import tree, windows
from scoring.rules.sql.terms import EventTypes

PEOPLE = 10
DAYS = 31


@dataclass(frozen=True, slots=True)
class Question:
    """One account at the end of a day."""

    account_id: int
    signup_day: int
    day: int
    types: EventTypes

    def about_accounts(self) -> dict[str, Any]:
        """For statements over several accounts."""
        return {
            "types": self.types,
            "as_of_day": self.day,
            "account_ids": [self.account_id],
            "dialect": reading.dialect(),
        }

    def about_one(self) -> dict[str, Any]:
        """For statements that take one account."""
        return {
            "types": self.types,
            "as_of_day": self.day,
            "account_id": self.account_id,
            "dialect": reading.dialect(),
        }


@dataclass(slots=True)
class Found:
    """A leaf with what was measured, and whom it is about."""

    leaf: tree.Leaf
    measured: Any = None
    holds: bool = False
    people: list[int] = field(default_factory=list)  # who qualify by the nested rule, the best first
    people_total: int = 0
    window: windows.Window = field(default_factory=windows.Ever)
    days: list[int] = field(default_factory=list)
    days_total: int = 0
    newest_us: int | None = None

    @property
    def counts(self) -> bool:
        """Whether it is a reason: it holds and no `not` is above it."""
        return self.holds and not self.leaf.negated
