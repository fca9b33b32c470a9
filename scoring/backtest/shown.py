"""A backtest as its page shows it: charts, figures, and where each number leads. No query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from plgops.templatetags.charts import as_percent
from scoring.backtest import uncertain
from scoring.backtest.drawn import Leads, Measured, Number, Side, bars_of, lead_bars, measured, side, step_of
from scoring.backtest.score import Backtest
from scoring.backtest.words import in_days, less, less_between, plain, points, points_between, times


@dataclass(frozen=True, slots=True)
class ShareRow:
    """A share with what it means, for each version, and the difference of two."""

    name: str
    words: str
    measured: tuple[Measured, ...]
    difference: str = ""


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A figure with what it means, for each version, and the difference of two."""

    name: str
    words: str
    numbers: tuple[Number, ...]
    difference: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A whole page of results."""

    sides: tuple[Side, ...]
    shares: tuple[ShareRow, ...]
    figures: tuple[FigureRow, ...]
    top: float  # the right end of the scale of shares
    base_rate: float | None


def shown(
    results: Sequence[Backtest], *, names: Sequence[str], reps: int, outcome: str, noun: str, leads: Leads
) -> Shown:
    """The page of one or two results. `names` are their versions, `reps` who would share the flags, `outcome` what was
    hoped for, in words (“paid”), and `noun` what flagged accounts are called (“PQLs”)."""
    shares = [share for r in results for share in (r.precision, r.recall, r.worked, r.untouched)]
    top = _scale([share.high for share in shares] + [r.base_rate for r in results])
    highest = max(week for result in results for week in bars_of(result, step_of(result)))
    most = max(max(lead_bars(result).values(), default=0) for result in results)
    sides = tuple(
        side(result, name, number, highest, most, top, noun, leads)
        for number, (result, name) in enumerate(zip(results, names, strict=True))
    )
    return Shown(
        sides=sides,
        shares=_shares(results, names, outcome, top, leads),
        figures=_figures(results, reps, outcome, noun, leads),
        top=top,
        base_rate=results[0].base_rate,
    )


# --- shares ---------------------------------------------------------------------------------------------------


def _scale(ends: Sequence[float | None]) -> float:
    """The right end of a scale on which all of them fit: a round number of tenths."""
    highest = max((end for end in ends if end is not None), default=1.0)
    return min(1.0, max(0.1, -(-highest * 10 // 1) / 10))


def _shares(
    results: Sequence[Backtest], names: Sequence[str], outcome: str, top: float, leads: Leads
) -> tuple[ShareRow, ...]:
    within = results[0].within
    told = (
        (
            "Precision",
            f"Of the flagged accounts whose {within} days are over, those that {outcome} within them.",
            [result.precision for result in results],
            ("right", "judged"),
            True,
            uncertain.precision,
        ),
        (
            "Touched by nobody",
            "The same among accounts that sales did not claim: what the rule predicts by itself.",
            [result.untouched for result in results],
            ("untouched_right", "untouched"),
            True,
            partial(uncertain.precision, worked=False),
        ),
        (
            "Worked by sales",
            f"The same among accounts that sales claimed, from {within} days before the flag on: calling them is"
            " part of why they did.",
            [result.worked for result in results],
            ("worked_right", "worked"),
            True,
            partial(uncertain.precision, worked=True),
        ),
        (
            "Recall",
            f"Of the accounts that {outcome} in the period, those flagged at most {within} days before.",
            [result.recall for result in results],
            ("caught", "outcomes"),
            False,
            uncertain.recall,
        ),
    )
    rows = []
    for name, words, shares, (hits, of), against_base, figure in told:
        each = tuple(
            measured(
                share,
                side,
                names[side],
                top,
                results[side].base_rate if against_base else None,
                leads(side, hits),
                leads(side, of),
            )
            for side, share in enumerate(shares)
        )
        apart = points_between(uncertain.less(*map(figure, results))) if len(results) == 2 else ""
        rows.append(ShareRow(name, words, each, apart))
    return tuple(rows)


# --- figures --------------------------------------------------------------------------------------------------


def _figures(results: Sequence[Backtest], reps: int, outcome: str, noun: str, leads: Leads) -> tuple[FigureRow, ...]:
    within = results[0].within
    rows: list[FigureRow] = []

    def add(name: str, words: str, texts: Sequence[str], difference: str = "") -> None:
        rows.append(FigureRow(name, words, tuple(Number(text, {}) for text in texts), difference))

    def count(name: str, words: str, of: str, sizes: Sequence[int]) -> None:
        numbers = tuple(Number(f"{size:,}", leads(side, of) if size else {}) for side, size in enumerate(sizes))
        rows.append(FigureRow(name, words, numbers, less(sizes[0], sizes[1], 0) if len(sizes) == 2 else ""))

    def both(value: Callable[[Backtest], float | None], places: int, unit: str = "") -> str:
        return less(value(results[0]), value(results[1]), places, unit) if len(results) == 2 else ""

    add(
        "Base rate",
        f"The chance that an account at risk has the outcome within {within} days of any day of the period: what"
        " picking at random would give. Of all days of all accounts at risk whose next days are known.",
        [as_percent(result.base_rate) for result in results],
        points(results[0].base_rate, results[1].base_rate) if len(results) == 2 else "",
    )
    add(
        "Lift",
        "Precision divided by the base rate: so many times better than picking at random; with the interval of the"
        " precision.",
        [_lift(result) for result in results],
        both(lambda r: r.lift, 1),
    )
    add(
        "F1",
        "2 × precision × recall ÷ (precision + recall): one number for both, from 0 to 1.",
        [_f1(result) for result in results],
        less_between(uncertain.less(*map(uncertain.f1, results)), 2) if len(results) == 2 else "",
    )
    add(
        "Lead time",
        "The median number of days from a right flag to the outcome; the middle half lies between the two behind it.",
        [_lead(result) for result in results],
        both(lambda r: r.lead_days[1], 1, " days"),
    )
    add(
        f"{noun} per week",
        "Accounts flagged, divided by the weeks of the period.",
        [plain(result.per_week, 1) for result in results],
        both(lambda r: r.per_week, 1),
    )
    if reps:
        add(
            "Per week and rep",
            f"The same, shared out among the {reps:,} active sales rep{'' if reps == 1 else 's'} of today.",
            [plain(result.per_week / reps, 1) for result in results],
            both(lambda r: r.per_week / reps, 1),
        )
    count(
        "At risk",
        "Accounts that signed up by the end of the period, without the outcome before it: all who could be flagged.",
        "at_risk",
        [len(result.at_risk) for result in results],
    )
    count(
        "Qualified before",
        "Left out of everything: the rule held already on the day before, so the period says nothing about when.",
        "standing",
        [len(result.standing) for result in results],
    )
    count(
        "Flagged",
        "The rule held at the end of a day of the period for the first time, before the outcome.",
        "flagged",
        [len(result.flags) for result in results],
    )
    count("Right", f"They {outcome} within {within} days after.", "right", [result.right for result in results])
    count("Wrong", f"{within} days passed without it.", "wrong", [result.wrong for result in results])
    count(
        "Open",
        f"Fewer than {within} days of data after the flag: not counted for or against, even if they {outcome} already,"
        " or quick successes would count and slow failures would not.",
        "open",
        [result.open for result in results],
    )
    count("Outcomes", "Accounts at risk that had it in the period.", "outcomes", [r.recall.of for r in results])
    count("Caught", f"Flagged at most {within} days before it.", "caught", [r.recall.hits for r in results])
    count("Missed", "Not flagged, or too early.", "missed", [len(result.missed) for result in results])
    if len(results) == 2:
        flagged = [{flag.account_id for flag in result.flags} for result in results]
        alone = [len(flagged[0] - flagged[1]), len(flagged[1] - flagged[0])]
        common = len(flagged[0] & flagged[1])
        count("Flagged by it only", "Flagged by this version and not by the other.", "only", alone)
        count("Flagged by both", "Perhaps on different days.", "both", [common, common])
    return tuple(rows)


def _lift(result: Backtest) -> str:
    precision, base = result.precision, result.base_rate
    if not base or precision.low is None or precision.high is None:
        return times(result.lift)
    return f"{times(result.lift)} ({plain(precision.low / base, 1)} to {plain(precision.high / base, 1)})"


def _f1(result: Backtest) -> str:
    found = uncertain.f1(result)
    if found.low is None or found.high is None:
        return plain(found.value)
    return f"{plain(found.value)} ({plain(found.low)} to {plain(found.high)})"


def _lead(result: Backtest) -> str:
    low, middle, high = result.lead_days
    if middle is None:
        return "–"
    return f"{in_days(middle)} ({plain(low, 0)} to {plain(high, 0)})"
