"""The days that a condition looks at, as typed windows. Pure; docs/rules.md says what each means at its edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from plgops.lib import days

Subject = Literal["account", "user"]


@dataclass(frozen=True, slots=True)
class Ever:
    """Everything up to the day asked about."""


@dataclass(frozen=True, slots=True)
class LastDays:
    """The day asked about and the `days - 1` before it."""

    days: int


@dataclass(frozen=True, slots=True)
class FirstDays:
    """The sign-up day of the person or the account (day 0) to day `days - 1`."""

    days: int
    of: Subject


@dataclass(frozen=True, slots=True)
class AnyDays:
    """The best of all stretches of `days` calendar days: last minus first at most `days - 1`."""

    days: int


@dataclass(frozen=True, slots=True)
class Dates:
    """From the first day to the last one, both included; None: open."""

    from_day: int | None
    to_day: int | None


@dataclass(frozen=True, slots=True)
class BillingMonth:
    """The calendar month of the day asked about, from its first day to that day."""


def month_start(day: int) -> int:
    """The first day of the calendar month that a day lies in."""
    return days.day_number(days.date_of(day).replace(day=1))


def next_month(day: int) -> int:
    """The first day of the calendar month after the one that a day lies in."""
    return month_start(month_start(day) + 31)


Window = Ever | LastDays | FirstDays | AnyDays | Dates | BillingMonth
