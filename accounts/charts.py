"""An account's usage as a chart: people a day, or events a day by type. One or two queries, then arithmetic."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from django.db.models import Count, Sum

from accounts.models import EventType, UsageDay
from plgops.lib.days import date_of
from plgops.templatetags.charts import AreaChart, Bar, ColumnChart, Mark, Series, nice_top

Measure = Literal["people", "events"]


@dataclass(frozen=True, slots=True)
class Pin:
    """A moment to point at in the chart: became a PQL, paid, was merged."""

    day: int
    label: str


@dataclass(frozen=True, slots=True)
class UsageChart:
    """Usage day by day, and the chart of it: `area` for people, `columns` for events by type."""

    measure: Measure
    span: int
    total: int  # people who were active at all, or events
    per_day: list[int]
    table: list[tuple[dt.date, int]]
    area: AreaChart | None = None
    columns: ColumnChart | None = None
    legend: tuple[Series, ...] = ()

    @property
    def measures(self) -> tuple[tuple[Measure, str], ...]:
        """What the switch above the chart offers."""
        return (("people", "People"), ("events", "Events"))

    @property
    def is_empty(self) -> bool:
        return self.total == 0


TYPES_APART = 4  # event types with a colour of their own; the rest is "Other"


def usage_chart(
    account_ids: Collection[int],
    today: int,
    days: int = 60,
    *,
    measure: Measure = "people",
    pins: Sequence[Pin] = (),
) -> UsageChart:
    """Active people a day (any event that counts as activity), or events a day by type, up to `today`."""
    return (_people_chart if measure == "people" else _events_chart)(list(account_ids), today, days, pins)


def _people_chart(account_ids: list[int], today: int, span: int, pins: Sequence[Pin]) -> UsageChart:
    first = today - span + 1
    active = UsageDay.objects.filter(
        account_id__in=account_ids,
        day__gte=first,
        day__lte=today,
        event_type_id__in=EventType.objects.filter(is_activity=True).values("pk"),
    ).order_by()
    per_day = [0] * span
    for row in active.values("day").annotate(people=Count("user_id", distinct=True)):
        per_day[row["day"] - first] = row["people"]
    total = active.aggregate(people=Count("user_id", distinct=True))["people"] if any(per_day) else 0
    top, ticks = nice_top(max(per_day))
    dates = _dates(first, span)
    busiest = max(range(span), key=lambda i: per_day[i])
    marks = [
        Mark(x=(pin.day - first) * 100 / (span - 1), y=per_day[pin.day - first], label=pin.label)
        for pin in pins
        if first <= pin.day <= today
    ]
    area = AreaChart(
        title="Active people a day",
        description=(
            f"Last {span} days: {total} different people; {per_day[-1]} today;"
            f" most on {short_date(dates[busiest])}, {per_day[busiest]}."
        ),
        series=[Series("People", per_day)],
        labels=_axis_labels(dates),
        top=top,
        ticks=ticks,
        marks=marks,
    )
    return UsageChart("people", span, total, per_day, _table(dates, per_day), area=area)


def _events_chart(account_ids: list[int], today: int, span: int, pins: Sequence[Pin]) -> UsageChart:
    first = today - span + 1
    rows = (
        UsageDay.objects.filter(
            account_id__in=account_ids,
            day__gte=first,
            day__lte=today,
            event_type_id__in=EventType.objects.filter(base__isnull=True).values("pk"),
        )
        .order_by()
        .values("event_type_id", "day")
        .annotate(events=Sum("count"))
    )
    by_type: dict[int, list[int]] = defaultdict(lambda: [0] * span)
    for row in rows:
        by_type[row["event_type_id"]][row["day"] - first] = row["events"]
    names = dict(EventType.objects.filter(pk__in=list(by_type)).values_list("pk", "name"))
    ranked = sorted(by_type, key=lambda key: (-sum(by_type[key]), names.get(key, "")))
    kinds: list[tuple[str, str, list[int]]] = [
        (names.get(key, "Unknown"), f"f{i + 1}", by_type[key]) for i, key in enumerate(ranked[:TYPES_APART])
    ]
    if ranked[TYPES_APART:]:
        rest = [sum(by_type[key][i] for key in ranked[TYPES_APART:]) for i in range(span)]
        kinds.append(("Other", "f5", rest))
    per_day = [sum(values[i] for _, _, values in kinds) for i in range(span)]
    top, ticks = nice_top(max(per_day))
    dates = _dates(first, span)
    marked = {pin.day: pin.label for pin in pins}
    bars = []
    for i, date in enumerate(dates):
        parts = [f"{values[i]} {name}" for name, _, values in kinds if values[i]]
        words = ", ".join(parts) or "nothing"
        note = f". {marked[first + i]}" if first + i in marked else ""
        bars.append(
            Bar([(values[i], css) for _, css, values in kinds if values[i]], f"{short_date(date)}: {words}{note}")
        )
    columns = ColumnChart(
        title="Events a day by type",
        description=f"Last {span} days: " + (", ".join(f"{sum(v)} {name}" for name, _, v in kinds) or "nothing") + ".",
        bars=bars,
        labels=_axis_labels(dates),
        top=top,
        ticks=ticks,
    )
    legend = tuple(Series(name, (), css=css.replace("f", "c")) for name, css, _ in kinds)
    total = sum(per_day)
    return UsageChart("events", span, total, per_day, _table(dates, per_day), columns=columns, legend=legend)


def _dates(first: int, span: int) -> list[dt.date]:
    return [date_of(first + i) for i in range(span)]


def short_date(date: dt.date) -> str:
    return f"{date.day} {date:%b}"


def _axis_labels(dates: Sequence[dt.date]) -> list[tuple[float, str]]:
    last = len(dates) - 1
    at = [round(last * share) for share in (0, 0.25, 0.5, 0.75)]
    return [(i * 100 / last, short_date(dates[i])) for i in at] + [(100.0, "Today")]


def _table(dates: Sequence[dt.date], values: Sequence[int]) -> list[tuple[dt.date, int]]:
    return [(date, value) for date, value in zip(reversed(dates), reversed(values), strict=True) if value]
