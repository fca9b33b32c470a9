"""One version's backtest as charts and tables, each number with where it leads. No query."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from plgops.lib import days
from plgops.templatetags.charts import Bar, ColumnChart, Interval, as_percent, nice_top
from scoring.backtest.score import Backtest, Cohort
from scoring.backtest.words import in_days, plain
from scoring.stats import Share

MOST_BARS = 60
CSS = ("c1", "c3")

# (side, list, narrowed by) -> the attributes of a link to the accounts behind a number
Leads = Callable[..., Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Number:
    """A number as text, and what it opens (empty: nothing to open)."""

    text: str
    link: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Measured:
    """A share of one version: in percent, its interval in words and as a picture, and what it was counted from."""

    side: str
    css: str
    text: str
    bounds: str
    interval: Interval
    hits: Number
    of: Number


@dataclass(frozen=True, slots=True)
class WeekRow:
    date: dt.date
    flags: Number
    right: Number
    wrong: Number
    open: Number


@dataclass(frozen=True, slots=True)
class CohortRow:
    month: dt.date
    at_risk: Number
    flags: Number
    precision: Measured
    recall: Measured


@dataclass(frozen=True, slots=True)
class LeadRow:
    """How many right flags came so many days before the outcome."""

    days: str
    accounts: Number


@dataclass(frozen=True, slots=True)
class Side:
    """One version's charts and tables."""

    name: str
    css: str
    number: int  # its place, 0 or 1
    result: Backtest
    weekly: ColumnChart
    per: int  # weeks in a bar
    weeks: tuple[WeekRow, ...]
    lead: ColumnChart | None
    leads: tuple[LeadRow, ...]
    cohorts: tuple[CohortRow, ...]


def side(
    result: Backtest, name: str, number: int, highest: int, most: int, top: float, noun: str, leads: Leads
) -> Side:
    """One version, drawn on scales that two versions share: up to `highest` flags in a bar, `most` right flags with the
    same lead time, shares up to `top`."""
    lead, lead_rows = _lead_chart(result, name, number, most, leads)
    step = step_of(result)
    return Side(
        name=name,
        css=CSS[number],
        number=number,
        result=result,
        weekly=_weekly(result, name, number, highest, step, noun, leads),
        per=step,
        weeks=tuple(
            WeekRow(
                days.date_of(week.first_day),
                *(
                    Number(f"{size:,}", leads(number, of, week=week.first_day) if size else {})
                    for of, size in (
                        ("flagged", week.flags),
                        ("right", week.right),
                        ("wrong", week.wrong),
                        ("open", week.open),
                    )
                ),
            )
            for week in reversed(result.weeks)
        ),
        lead=lead,
        leads=lead_rows,
        cohorts=tuple(_cohort(cohort, result, name, number, top, leads) for cohort in reversed(result.cohorts)),
    )


def step_of(result: Backtest) -> int:
    """How many weeks make a bar, so that there are at most MOST_BARS."""
    return -(-len(result.weeks) // MOST_BARS)


def bars_of(result: Backtest, step: int) -> list[int]:
    return [sum(week.flags for week in result.weeks[i : i + step]) for i in range(0, len(result.weeks), step)]


def _weekly(result: Backtest, name: str, number: int, highest: int, step: int, noun: str, leads: Leads) -> ColumnChart:
    top, ticks = nice_top(highest)
    bars = []
    for i in range(0, len(result.weeks), step):
        part = result.weeks[i : i + step]
        right, wrong, open_ = (sum(getattr(week, kind) for week in part) for kind in ("right", "wrong", "open"))
        first = days.date_of(part[0].first_day)
        tip = f"{_date(first)}: {right} right, {wrong} wrong" + (f", {open_} open" if open_ else "")
        link = leads(number, "flagged", week=part[0].first_day) if step == 1 and right + wrong + open_ else {}
        bars.append(Bar([(right, "f2"), (wrong, "f3"), (open_, "f5")], tip, link))
    dates = [days.date_of(week.first_day) for week in result.weeks[::step]]
    return ColumnChart(
        title=f"{noun} per {'week' if step == 1 else f'{step} weeks'}, {name}",
        description=f"{len(result.flags):,} flagged: {result.right:,} right, {result.wrong:,} wrong,"
        f" {result.open:,} open.",
        bars=bars,
        labels=_labels(dates),
        top=top,
        ticks=ticks,
    )


def _labels(dates: Sequence[dt.date]) -> list[tuple[float, str]]:
    """The first day of some bars, under their left edge, at most four; over more than half a year their months."""
    at = sorted({round((len(dates) - 1) * share) for share in (0, 0.25, 0.5, 0.75)})
    form = "%b %Y" if (dates[-1] - dates[0]).days > 180 else "%-d %b"
    return [(i * 100 / len(dates), f"{dates[i]:{form}}") for i in at]


def _date(date: dt.date) -> str:
    return f"{date.day} {date:%b %Y}"


def _lead_size(result: Backtest) -> int:
    """How many days make a bar of the lead times: whole weeks, at most thirteen bars."""
    return 7 * max(1, -(-result.within // (7 * 13)))


def lead_bars(result: Backtest) -> Counter[int]:
    """How many right flags came so many bars before the outcome."""
    size = _lead_size(result)
    found = (flag.outcome_day - flag.day for flag in result.flags if flag.verdict == "right" and flag.outcome_day)
    return Counter((length - 1) // size for length in found)


def _lead_chart(
    result: Backtest, name: str, number: int, most: int, leads: Leads
) -> tuple[ColumnChart | None, tuple[LeadRow, ...]]:
    """Right flags by the weeks (or more) that they came before the outcome; None where there are none."""
    size, told = _lead_size(result), lead_bars(result)
    if not told:
        return None, ()
    top, ticks = nice_top(most)
    bars, rows, labels = [], [], []
    count = -(-result.within // size)
    for place in range(count):
        least, last = place * size + 1, min((place + 1) * size, result.within)
        words = f"{least} to {last} days before" if least < last else f"{least} days before"
        link = leads(number, "right", lead=f"{least}-{last}") if told[place] else {}
        bars.append(Bar([(told[place], "f2")], f"{words}: {told[place]:,}", link))
        rows.append(LeadRow(words, Number(f"{told[place]:,}", link)))
        labels.append(((place + 0.5) * 100 / count, f"{last}"))
    low, middle, high = result.lead_days
    chart = ColumnChart(
        title=f"Days from flag to outcome, {name}",
        description=f"{told.total():,} right flags; half of them at least {in_days(middle)} before, the middle half"
        f" {plain(low, 0)} to {plain(high, 0)}.",
        bars=bars,
        labels=labels[:: max(1, count // 6)],
        top=top,
        ticks=ticks,
    )
    return chart, tuple(rows)


def _cohort(cohort: Cohort, result: Backtest, name: str, number: int, top: float, leads: Leads) -> CohortRow:
    def lead(of: str) -> Mapping[str, str]:
        return leads(number, of, month=cohort.month)

    return CohortRow(
        month=dt.date.fromisoformat(f"{cohort.month}-01"),
        at_risk=Number(f"{cohort.at_risk:,}", lead("at_risk") if cohort.at_risk else {}),
        flags=Number(f"{cohort.flags:,}", lead("flagged") if cohort.flags else {}),
        precision=measured(cohort.precision, number, name, 1.0, result.base_rate, lead("right"), lead("judged")),
        recall=measured(cohort.recall, number, name, 1.0, None, lead("caught"), lead("outcomes")),
    )


def measured(
    share: Share, side: int, name: str, top: float, mark: float | None, hits: Mapping[str, str], of: Mapping[str, str]
) -> Measured:
    return Measured(
        side=name,
        css=CSS[side],
        text=as_percent(share.value),
        bounds="" if share.low is None else f"{as_percent(share.low)} to {as_percent(share.high)}",
        interval=Interval(share.value, share.low, share.high, top, mark, CSS[side]),
        hits=Number(f"{share.hits:,}", hits if share.hits else {}),
        of=Number(f"{share.of:,}", of if share.of else {}),
    )
