"""The accounts behind each number of a backtest. Pure.

A number is named by a word (`right`, `missed`), and narrowed by a week of the flag, a month of the sign-up, or the days
from flag to outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scoring.backtest.score import Backtest, Flag, Missed, Roster, month_of, week_of

# word: how a list is headed
TITLES = {
    "at_risk": "At risk",
    "standing": "Qualified before",
    "flagged": "Flagged",
    "judged": "Flagged, and known how it ended",
    "right": "Flagged, and right",
    "wrong": "Flagged, and wrong",
    "open": "Flagged, still open",
    "outcomes": "Had the outcome",
    "caught": "Caught",
    "missed": "Missed",
    "early": "Missed: flagged too early",
    "sudden": "Missed: on their first day",
    "lacking": "Missed: never flagged",
    "worked": "Worked by sales, and known how it ended",
    "worked_right": "Worked by sales, and right",
    "untouched": "Touched by nobody, and known how it ended",
    "untouched_right": "Touched by nobody, and right",
    "only": "Flagged by this version only",
    "both": "Flagged by both versions",
}

_BY_OUTCOME = {"outcomes", "caught", "missed", "early", "sudden", "lacking"}


@dataclass(frozen=True, slots=True)
class Row:
    """An account of a list. What is not known of it, or does not apply, is None or empty."""

    account_id: int
    signup_day: int
    flag_day: int | None = None
    outcome_day: int | None = None
    verdict: str = ""  # right, wrong, open; missed
    worked: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which list: one of TITLES, narrowed by what is set. `lead` is (least, most) days from flag to outcome."""

    of: str
    week: int | None = None
    month: str = ""
    lead: tuple[int, int] | None = None


def rows(result: Backtest, wanted: Wanted, *, other: Backtest | None = None) -> list[Row]:
    """The accounts of a list, flags by their day, outcomes by theirs, the newest first; else by id.

    `other` is the result beside this one.

    ValueError for a word that is not in TITLES, one that compares without `other`, or a week outside of the period.
    """
    if wanted.week is not None and not result.from_day <= wanted.week <= result.to_day:
        raise ValueError("There is no such week.")
    found = [row for row in _of(result, wanted.of, other) if _fits(row, wanted, result)]
    if wanted.of in _BY_OUTCOME:
        found.sort(key=lambda row: (-(row.outcome_day or 0), row.account_id))
    elif wanted.of not in ("at_risk", "standing"):
        found.sort(key=lambda row: (-(row.flag_day or 0), row.account_id))
    return found


def _of(result: Backtest, of: str, other: Backtest | None) -> Iterator[Row]:
    match of:
        case "at_risk" | "standing":
            return _enlisted(result.at_risk if of == "at_risk" else result.standing)
        case "flagged":
            return _flagged(result.flags)
        case "judged":
            return _flagged(flag for flag in result.flags if flag.verdict != "open")
        case "right" | "wrong" | "open":
            return _flagged(flag for flag in result.flags if flag.verdict == of)
        case "worked" | "untouched":
            judged = (flag for flag in result.flags if flag.verdict != "open")
            return _flagged(flag for flag in judged if flag.worked is (of == "worked"))
        case "worked_right" | "untouched_right":
            right = (flag for flag in result.flags if flag.verdict == "right")
            return _flagged(flag for flag in right if flag.worked is (of == "worked_right"))
        case "caught":
            return _flagged(_caught(result))
        case "missed" | "early" | "sudden" | "lacking":
            return _missed(one for one in result.missed if of in ("missed", why_missed(one)))
        case "outcomes":
            return iter([*_flagged(_caught(result)), *_missed(result.missed)])
        case "only" | "both" if other is not None:
            theirs = {flag.account_id for flag in other.flags}
            return _flagged(flag for flag in result.flags if (flag.account_id in theirs) is (of == "both"))
    raise ValueError(f"There is no list “{of}”.")


def why_missed(one: Missed) -> str:
    """`early`: its flag came more than N days before. `sudden`: the outcome came on the day of the sign-up,
    before which there was nobody to ask about. `lacking`: the rule had not held until then."""
    if one.flag_day is not None:
        return "early"
    return "sudden" if one.outcome_day <= one.signup_day else "lacking"


def _caught(result: Backtest) -> Iterator[Flag]:
    for flag in result.flags:
        if flag.outcome_day is not None and flag.outcome_day <= result.to_day and flag.warned(result.within):
            yield flag


def _enlisted(roster: Roster) -> Iterator[Row]:
    for account_id, signup_day in zip(roster.account_ids, roster.signup_days, strict=True):
        yield Row(account_id, signup_day)


def _flagged(flags: Iterable[Flag]) -> Iterator[Row]:
    for flag in flags:
        yield Row(flag.account_id, flag.signup_day, flag.day, flag.outcome_day, flag.verdict, flag.worked)


def _missed(found: Iterable[Missed]) -> Iterator[Row]:
    for one in found:
        yield Row(one.account_id, one.signup_day, one.flag_day, one.outcome_day, "missed")


def _fits(row: Row, wanted: Wanted, result: Backtest) -> bool:
    if wanted.week is not None and (row.flag_day is None or week_of(row.flag_day, result.from_day) != wanted.week):
        return False
    if wanted.month and month_of(row.signup_day) != wanted.month:
        return False
    if wanted.lead is not None:
        if row.flag_day is None or row.outcome_day is None:
            return False
        return wanted.lead[0] <= row.outcome_day - row.flag_day <= wanted.lead[1]
    return True
