"""PQLs per week on a definition's page: as reported, and beside them restated under one version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts import lake
from accounts.workspace import day_of
from plgops.lib import access, days
from plgops.templatetags.charts import Bar, ColumnChart, Series, nice_top
from scoring import restated
from scoring.models import Definition
from scoring.restated import Reported, Restated
from scoring.rules.problems import RuleError
from scoring.views import asking

OFFERED = 3  # versions to restate under, the newest
COLOURS = ("1", "4", "3", "7")  # of versions, the newest first; older ones share the last


@login_required
@require_GET
def weeks(request: HttpRequest, slug: str) -> HttpResponse:
    """The chart as a fragment; `?restated=8` puts version 8's history beside what was reported."""
    access.require(request.user, "definitions.view")
    definition = get_object_or_404(Definition.objects.select_related("live_version"), slug=slug)
    versions = list(definition.versions.order_by("-number").values_list("number", flat=True)[:OFFERED])
    today = day_of(timezone.now())
    reported = restated.reported(definition, today=today)
    number = request.GET.get("restated", "")
    context: dict[str, Any] = {"definition": definition, "versions": versions, "reported": reported, "number": None}
    again = None
    if number:
        again, context["trouble"] = _restated(definition, number, today)
        context["number"] = int(number)
        context["known_until"] = days.date_of(again.known_until) if again else None
    context |= {
        "chart": _chart(reported, again, context["number"]),
        "legend": _legend(reported, context["number"] if again else None),
        "rows": _rows(reported, again),
        "total": sum(reported.totals),
        "again": sum(again.counts) if again else None,
        "weeks": restated.WEEKS,
    }
    return render(request, "backtest/weeks.html", context)


def _restated(definition: Definition, number: str, today: int) -> tuple[Restated | None, str]:
    """The history under a version, or why there is none now."""
    if not number.isdecimal() or len(number) > 9:
        raise Http404("That is not a version.")
    version = get_object_or_404(definition.versions, number=int(number))
    try:
        with asking.question(patience=asking.PATIENCE_WITH_HISTORY):
            return restated.restated(version, today=today), ""
    except lake.CannotAnswer as error:
        return None, asking.why(error)
    except RuleError:
        return None, "This version was written by a newer plgops and cannot be read here."


def _colours(reported: Reported) -> dict[int, str]:
    newest = sorted(reported.by_version, reverse=True)
    return {number: COLOURS[min(place, len(COLOURS) - 1)] for place, number in enumerate(newest)}


def _chart(reported: Reported, again: Restated | None, number: int | None) -> ColumnChart:
    colours = _colours(reported)
    totals = reported.totals
    counts: Sequence[int] = again.counts if again else ()
    top, ticks = nice_top(max([*totals, *counts]))
    bars, beside = [], []
    for week, first in enumerate(reported.first_days):
        date = _date(first)
        told = [f"{by[week]} under v{v}" for v, by in reported.by_version.items() if by[week]]
        parts = [(by[week], f"f{colours[v]}") for v, by in reported.by_version.items() if by[week]]
        bars.append(Bar(parts, f"Week from {date}: {', '.join(told) or 'none'}"))
        if again:
            beside.append(Bar([(counts[week], "f2")], f"Week from {date}: {counts[week]} restated under v{number}"))
    words = f"{sum(totals):,} reported in {restated.WEEKS} weeks"
    return ColumnChart(
        title="Accounts that began to qualify, per week",
        description=words + (f", {sum(counts):,} restated under v{number}." if again else "."),
        bars=bars,
        labels=[(week * 100 / restated.WEEKS, _date(reported.first_days[week])) for week in (0, 3, 6, 9)],
        top=top,
        ticks=ticks,
        beside=beside,
    )


def _legend(reported: Reported, number: int | None) -> list[Series]:
    colours = _colours(reported)
    found = [Series(f"v{v}, as reported", (), css=f"c{colours[v]}") for v in reported.by_version]
    return found + ([Series(f"Restated under v{number}", (), css="c2")] if number else [])


def _rows(reported: Reported, again: Restated | None) -> list[tuple[object, int, int | None]]:
    """(first day, reported, restated) of each week, the newest first."""
    rows = [
        (days.date_of(first), reported.totals[week], again.counts[week] if again else None)
        for week, first in enumerate(reported.first_days)
    ]
    return list(reversed(rows))


def _date(day: int) -> str:
    date = days.date_of(day)
    return f"{date.day} {date:%b}"
