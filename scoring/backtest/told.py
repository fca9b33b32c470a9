"""The accounts behind a number, and what the missed lacked, as pages and files show them. Names are fetched for what
is shown only: one query a page, one for each thousand lines of a file."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from accounts.models import Account
from plgops.lib import days
from plgops.lib.csv_cells import harmless
from scoring.backtest.drawn import Leads, Number
from scoring.backtest.lacking import Lack, Lacking
from scoring.backtest.lists import Row, Wanted, why_missed
from scoring.backtest.score import Backtest

_AT_ONCE = 1000
_VERDICTS = {"right": ("Right", "ok", "check"), "wrong": ("Wrong", "warn", "x"), "open": ("Open", "line", "hourglass")}


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns a list has."""

    flag: bool
    outcome: bool
    lacked: bool

    @classmethod
    def of(cls, of: str) -> Columns:
        """Those of a list of that name."""
        if of in ("at_risk", "standing"):
            return cls(flag=False, outcome=False, lacked=False)
        return cls(flag=of not in ("sudden", "lacking"), outcome=True, lacked=of in ("missed", "lacking"))


@dataclass(frozen=True, slots=True)
class Line:
    """An account of a list, with its name."""

    account: Account
    signed_up: dt.date
    flagged: dt.date | None
    outcome: dt.date | None
    ahead: int | None  # days from flag to outcome
    verdict: tuple[str, str, str] | None  # words, tone, icon
    worked: bool
    lacked: tuple[str, ...]
    unasked: bool  # it was never flagged, and nobody was asked what it lacked: there are too many


@dataclass(frozen=True, slots=True)
class ObstacleRow:
    """A condition with how many lacked it."""

    english: str
    percent: float
    lacked: Number
    alone: Number
    short: str


@dataclass(frozen=True, slots=True)
class LackingSide:
    """What the missed of one version lacked."""

    name: str
    missed: Number
    never: Number
    early: Number
    sudden: Number
    asked: int
    rows: tuple[ObstacleRow, ...]


def accounts(rows: Sequence[Row], lacked: Lacking | None) -> list[Line]:
    """The rows of a page, with names; an account that is gone is left out."""
    named = Account.objects.only("id", "name", "external_id", "plan").in_bulk([row.account_id for row in rows])
    return [_line(row, named[row.account_id], lacked) for row in rows if row.account_id in named]


def _line(row: Row, account: Account, lacked: Lacking | None) -> Line:
    told = lacked.by_account.get(row.account_id) if lacked else None
    both = row.flag_day is not None and row.outcome_day is not None
    return Line(
        account=account,
        signed_up=days.date_of(row.signup_day),
        flagged=None if row.flag_day is None else days.date_of(row.flag_day),
        outcome=None if row.outcome_day is None else days.date_of(row.outcome_day),
        ahead=row.outcome_day - row.flag_day if both else None,  # type: ignore[operator]
        verdict=_VERDICTS.get(row.verdict),
        worked=row.worked,
        lacked=tuple(lack_words(lack) for lack in told or ()),
        unasked=lacked is not None and told is None and row.flag_day is None and row.outcome_day != row.signup_day,
    )


def lack_words(lack: Lack) -> str:
    """A condition that stood in the way, with how far it was off."""
    return f"{capital(lack.english)}{_off(lack.short, lack.unit)}"


def _off(short: float | None, unit: str) -> str:
    if short is None:
        return ""
    number = f"{short:,.0f}" if short == int(short) else f"{short:,.2f}"
    return f" ({number} {_unit(unit, short)}off)"


def _unit(unit: str, number: float) -> str:
    if unit == "value":
        return ""
    one = {"people": "person"}.get(unit, unit.removesuffix("s"))
    return f"{one if number == 1 else unit} "


def capital(text: str) -> str:
    """With a capital letter."""
    return text[:1].upper() + text[1:]


def narrowed(wanted: Wanted, lacked: Lacking | None, path: str, *, alone: bool) -> str:
    """By what a list is narrowed, in words; empty for a whole one."""
    parts = []
    if wanted.week is not None:
        parts.append(f"in the week from {_date(days.date_of(wanted.week))}")
    if wanted.month:
        parts.append(f"signed up in {wanted.month}")
    if wanted.lead is not None:
        parts.append(f"{wanted.lead[0]} to {wanted.lead[1]} days before")
    if path and lacked:
        lacks = "lacked only" if alone else "lacked"
        parts += [f"{lacks}: {one.english}" for one in lacked.obstacles if one.path == path]
    return ", ".join(parts)


def _date(date: dt.date) -> str:
    return f"{date.day} {date:%b %Y}"


def lacking_side(lacked: Lacking, result: Backtest, name: str, side: int, leads: Leads) -> LackingSide:
    """What the missed of one version lacked, each number with where it leads."""

    def number(of: str) -> Number:
        size = sum(1 for one in result.missed if of in ("missed", why_missed(one)))
        return Number(f"{size:,}", leads(side, of) if size else {})

    return LackingSide(
        name=name,
        missed=number("missed"),
        never=number("lacking"),
        early=number("early"),
        sudden=number("sudden"),
        asked=lacked.asked,
        rows=tuple(
            ObstacleRow(
                english=capital(one.english),
                percent=100 * one.lacked / lacked.asked,
                lacked=Number(f"{one.lacked:,}", leads(side, "lacking", path=one.path)),
                alone=Number(f"{one.alone:,}", leads(side, "lacking", path=one.path, alone=1) if one.alone else {}),
                short="" if one.short is None else f"{one.short:,.0f} {_unit(one.unit, one.short)}".strip(),
            )
            for one in lacked.obstacles
        ),
    )


# --- as a file ------------------------------------------------------------------------------------------------

_HEAD = ["account", "name", "signed_up", "flagged", "outcome", "days_ahead", "verdict", "worked_by_sales", "lacked"]


class _Echo:
    def write(self, text: str) -> str:
        return text


def csv_lines(rows: Sequence[Row], lacked: Lacking | None) -> Iterator[str]:
    """All rows of a list as lines of CSV with a head; what a spreadsheet would take for a formula is quoted."""
    writer: Any = csv.writer(_Echo())
    yield writer.writerow(_HEAD)
    waiting = iter(rows)
    while part := list(islice(waiting, _AT_ONCE)):
        for line in accounts(part, lacked):
            yield writer.writerow(
                [
                    harmless(line.account.external_id or ""),
                    harmless(line.account.name),
                    line.signed_up.isoformat(),
                    line.flagged.isoformat() if line.flagged else "",
                    line.outcome.isoformat() if line.outcome else "",
                    "" if line.ahead is None else line.ahead,
                    line.verdict[0].lower() if line.verdict else "",
                    "yes" if line.worked else "",
                    harmless("; ".join(line.lacked)),
                ]
            )
