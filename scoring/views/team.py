"""The sales team's page: what waits, what is stuck, who does how much and what comes of it; the handoffs behind it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from plgops.lib import access, htmx
from plgops.lib.paging import keyset
from scoring import export, outcome_reasons, rule_edits, team_numbers, team_turns
from scoring.models import Definition, Handoff

AT_ONCE = 500
HEADS = {
    "open": "Open",
    "claimed": "Claimed",
    "closed": "Ended by people",
    "to_claim": "Claimed by hand",
    "to_touch": "Claimed and touched",
    "given": "Given by the pool",
    "given_back": "Given by the pool, and given back",
    "won": "Won",
    "lost": "Lost",
    "disqualified": "Disqualified",
    "returned": "Returned to self-serve",
    **{what: f"Waiting: {words.lower()}" for what, words, _, _ in team_numbers.AGES},
    **{what: words for what, (words, _) in team_numbers.STUCK.items()},
}


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The whole team at once; `?by=` and `?days=` choose the lines and the period, `?format=csv` gives a file."""
    access.require(request.user, "handoffs.manage")
    by, days, now = _by(request), _days(request), timezone.now()
    since = now - dt.timedelta(days=int(days))
    if request.GET.get("format") == "csv":
        return _table(request.GET.get("table", ""), by, since)
    lines = team_numbers.lines(by=by, since=since)
    context = {
        "by": by,
        "days": days,
        "ways": team_numbers.WAYS,
        "periods": team_numbers.PERIODS,
        "lines": lines,
        "outcomes": team_numbers.OUTCOMES,
        "reasons": _with_words(team_numbers.reasons(since)),
        "turns": team_turns.turns(since),
        "now": team_numbers.now_numbers(now),
    }
    return htmx.page(request, "team/page.html", context, fragments=("lines",))


@login_required
@require_GET
def handoffs(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The handoffs behind a number of the team's page, newest first; `?format=csv` gives all of them as a file."""
    access.require(request.user, "handoffs.manage")
    what, key, now = request.GET.get("what", ""), request.GET.get("key", ""), timezone.now()
    by = "pool" if request.GET.get("by") == "pool" else _by(request)
    since = now - dt.timedelta(days=int(_days(request)))
    try:
        rows = team_numbers.rows_of(what, now=now, since=since, by=by, key=key)
        of = team_numbers.label_of(by, key) if key else ""
    except (KeyError, ValueError):
        raise Http404("There is no such number.") from None
    rows = rows.select_related("company", "owner")
    if request.GET.get("format") == "csv":
        return _file("handoffs.csv", _handoffs_csv(rows))
    page = keyset(rows, by="-opened_at", cursor=request.GET.get("cursor", ""))
    outcome, _, code = what.partition(":")
    head = _reason_words(outcome, code, outcome_reasons.labels([(outcome, code)])) if code else HEADS[what]
    asked = {name: value for name, value in request.GET.items() if name not in ("cursor", "format")}
    context = {
        "page": page,
        "head": head,
        "of": of,
        "proposed": _proposed(outcome, code, since) if code and not request.GET.get("cursor") else [],
        "may_edit": access.may(request.user, "definitions.edit"),
        "rows": _rows_with_words(page.items),
        "more": f"?{urlencode({**asked, 'cursor': page.next_cursor})}",
        "csv": f"?{urlencode({**asked, 'format': 'csv'})}",
        "back": f"/team/?{urlencode({'by': _by(request), 'days': _days(request)})}",
    }
    return htmx.page(request, "team/handoffs.html", context, fragments=("more",))


def _proposed(outcome: str, code: str, since: dt.datetime) -> list[dict[str, Any]]:
    """The conditions that would have kept such accounts out, with the addresses and texts to try them."""
    found = rule_edits.proposals(outcome=outcome, code=code, since=since)
    return [{"one": one, "edits": [_to_try(one.definition, edit) for edit in one.edits]} for one in found]


def _to_try(definition: Definition, edit: rule_edits.Edit) -> dict[str, Any]:
    query = urlencode({"keep": json.dumps(edit.condition)})
    return {
        "edit": edit,
        "try": f"{reverse('definition_edit', args=[definition.slug])}?{query}",
        "text": json.dumps(rule_edits.document(definition, edit.condition)),
    }


def _by(request: HttpRequest) -> str:
    by = request.GET.get("by", "person")
    return by if by in team_numbers.WAYS else "person"


def _days(request: HttpRequest) -> str:
    days = request.GET.get("days", "90")
    return days if days in team_numbers.PERIODS else "90"


def _with_words(reasons: list[team_numbers.Reason]) -> list[tuple[team_numbers.Reason, str]]:
    known = outcome_reasons.labels([(reason.outcome, reason.code) for reason in reasons])
    return [(reason, _reason_words(reason.outcome, reason.code, known)) for reason in reasons]


def _rows_with_words(rows: list[Handoff]) -> list[tuple[Handoff, str]]:
    known = outcome_reasons.labels([(row.status, row.outcome_reason) for row in rows if row.outcome_reason])
    return [(row, _reason_words(row.status, row.outcome_reason, known, alone=True)) for row in rows]


def _reason_words(outcome: str, code: str, known: dict[tuple[str, str], str], *, alone: bool = False) -> str:
    """A reason as people chose it, with its outcome unless `alone`; `known`: what reasons are called."""
    words = known.get((outcome, code), code)
    return words if alone or not words else f"{HEADS[outcome]}: {words[:1].lower()}{words[1:]}"


def _table(table: str, by: str, since: dt.datetime) -> StreamingHttpResponse:
    """One of the page's tables as a file: the lines, unless `turns` or `reasons` are asked for."""
    if table == "turns":
        return _file("turns.csv", _turns_csv(team_turns.turns(since)))
    if table == "reasons":
        return _file("reasons.csv", _reasons_csv(_with_words(team_numbers.reasons(since))))
    return _file(f"team-by-{by}.csv", _lines_csv(team_numbers.lines(by=by, since=since)))


def _turns_csv(turns: list[team_turns.Turns]) -> Iterator[str]:
    yield export.line(["pool", "person", "weight", "given", "given_back", "by_weight", "off_by"])
    for one in turns:
        numbers = (one.weight, one.given, one.given_back, round(one.expected, 2), round(one.off, 2))
        yield export.line([one.pool, one.person, *numbers])


def _reasons_csv(reasons: list[tuple[team_numbers.Reason, str]]) -> Iterator[str]:
    """A line for each reason and rule behind it; what no rule is behind has a line of its own."""
    yield export.line(["outcome", "reason", "words", "handoffs", "definition", "version", "of_them"])
    for reason, words in reasons:
        for rule in reason.versions or (None,):
            behind = [rule.slug, rule.number, rule.count] if rule else ["", None, None]
            yield export.line([reason.outcome, reason.code, words, reason.count, *behind])


def _lines_csv(lines: list[team_numbers.Line]) -> Iterator[str]:
    outcomes = [str(outcome) for outcome in team_numbers.OUTCOMES]
    yield export.line(
        ["line", "open", "claimed", "median_hours_to_claim", "median_hours_to_first_touch", *outcomes, "closed"]
    )
    for line in lines:
        told = [line.outcomes[outcome] for outcome in team_numbers.OUTCOMES]
        yield export.line(
            [line.label, line.open, line.claimed, _hours(line.to_claim), _hours(line.to_touch), *told, line.closed]
        )


def _handoffs_csv(rows: Any) -> Iterator[str]:
    """All of them, AT_ONCE held in memory; times are UTC."""
    yield export.line(
        ["account_id", "account", "status", "owner", "opened_at", "claimed_at", "first_touch_at", "closed_at", "reason"]
    )
    cursor = ""
    while True:
        page = keyset(rows, by="-opened_at", cursor=cursor, size=AT_ONCE)
        for row in page.items:
            times = [row.opened_at, row.claimed_at, row.first_touch_at, row.closed_at]
            yield export.line(
                [
                    *(row.company.external_id, row.company.name, row.status, row.owner.label if row.owner else ""),
                    *(at.isoformat() if at else "" for at in times),
                    row.outcome_reason,
                ]
            )
        cursor = page.next_cursor
        if not cursor:
            return


def _hours(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _file(name: str, lines: Iterator[str]) -> StreamingHttpResponse:
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
