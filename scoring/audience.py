"""Audiences: which accounts a play is for, as a few lines of text that a person can read. Pure.

One condition a line, and all of them must hold: `plan is free, trial`, `country is not US`, `seats at least 5`,
`mrr at most 100`, `industry is known`. The names are `plan`, `seats`, `employees`, `mrr` and the account's traits. What
an account itself does not know is asked of its company. A value that is missing meets no condition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

COLUMNS = ("plan", "seats", "employees", "mrr")
MOST = 12  # conditions
_LINE = re.compile(
    r"(?P<name>.+?)\s+(?P<how>is known|is not|is|at least|at most)(?:\s+(?P<value>.+))?", re.IGNORECASE | re.DOTALL
)


class BadAudience(ValueError):
    """The text cannot be read; the message says which line and why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One line: `how` is is, is not, at least, at most or is known; `values` are lower-case, numbers as they read."""

    name: str
    how: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(filter(None, (self.name, self.how, ", ".join(self.values))))


@dataclass(frozen=True, slots=True)
class Facts:
    """What is asked of one account: its columns and today's traits."""

    values: Mapping[str, Any]

    def get(self, name: str) -> Any:
        value = self.values.get(name)
        return None if value in ("", None) else value


def parse(text: str) -> tuple[Condition, ...]:
    """The conditions of a text, one a line; empty lines are left out. Raises BadAudience."""
    found = []
    for number, line in enumerate((line.strip() for line in text.splitlines()), start=1):
        if line:
            found.append(_condition(line, number))
    if len(found) > MOST:
        raise BadAudience(f"An audience has at most {MOST} conditions; this one has {len(found)}.")
    return tuple(found)


def _condition(line: str, number: int) -> Condition:
    match = _LINE.fullmatch(line)
    if match is None:
        raise BadAudience(
            f"Line {number}: “{line[:60]}” is not read. Write for example “plan is free, trial” or “seats at least 5”."
        )
    how = " ".join(match["how"].lower().split())
    name, value = match["name"].strip(), (match["value"] or "").strip()
    if name.lower() in COLUMNS:
        name = name.lower()
    if how == "is known":
        if value:
            raise BadAudience(f"Line {number}: nothing comes after “is known”.")
        return Condition(name, how)
    values = tuple(part.strip().lower() for part in value.split(",") if part.strip())
    if not values:
        raise BadAudience(f"Line {number}: “{name} {how}” needs a value.")
    if how in ("at least", "at most") and (len(values) > 1 or _number(values[0]) is None):
        raise BadAudience(f"Line {number}: “{name} {how}” needs one number.")
    return Condition(name, how, values)


def outside(conditions: Sequence[Condition], account: Facts, company: Facts) -> str:
    """Why the account is not meant, in words; "" if it is."""
    for condition in conditions:
        value = account.get(condition.name)
        if value is None:
            value = company.get(condition.name)
        if not _holds(condition, value):
            told = "unknown" if value is None else str(value)[:60]
            return f"Asked for: {condition}. It is {told}."
    return ""


def _holds(condition: Condition, value: Any) -> bool:
    if value is None:
        return False
    if condition.how == "is known":
        return True
    if condition.how in ("is", "is not"):
        return (_text(value) in condition.values) == (condition.how == "is")
    number, bound = _number(_text(value)), _number(condition.values[0])
    if number is None or bound is None:
        return False
    return number >= bound if condition.how == "at least" else number <= bound


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip().lower()


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
