"""The accounts behind a number of a backtest: a page at a time, or all as CSV."""

from __future__ import annotations

from typing import cast

from django.http import Http404, HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render

from accounts import lake
from plgops.lib import access, htmx
from plgops.lib.paging import offset
from scoring.backtest import answers, lists, told
from scoring.rules.tree import DefinitionDoc
from scoring.views.backtest_asked import Asked, number, place, query

ACCOUNTS = "backtest/accounts.html"


def listed(request: HttpRequest, asked: Asked) -> HttpResponse | StreamingHttpResponse:
    """The list that the address names; 404 where there is none."""
    access.require(request.user, "accounts.view")
    if asked.form is None:
        raise lake.NoLake
    if not asked.form.is_valid():
        raise Http404("There is no such backtest.")
    question = asked.question()
    try:
        answer = answers.answer(question, generation=number(request, "generation"))
    except ValueError as error:
        raise Http404(str(error)) from error
    side = number(request, "side") or 0
    if side >= len(answer.results):
        raise Http404("There is no such version.")
    mine, theirs = answer.results[side], answer.results[1 - side] if len(answer.results) == 2 else None
    path, alone = request.GET.get("path", ""), request.GET.get("alone") == "1"
    wanted = lists.Wanted(
        of=request.GET.get("of", ""),
        week=number(request, "week"),
        month=request.GET.get("month", ""),
        lead=_span(request.GET.get("lead", "")),
    )
    try:
        rows = lists.rows(mine, wanted, other=theirs)
    except ValueError as error:
        raise Http404(str(error)) from error
    lacked = None
    if wanted.of in ("missed", "lacking"):
        lacked = answers.what_was_lacking(question, answer, side)
        if path:
            rows = [row for row in rows if lacked.stands(path, row.account_id, alone=alone)]
    here = f"{place(asked, '_accounts')}?{_without(request.GET, 'cursor', 'format')}"
    if request.GET.get("format") == "csv":
        response = StreamingHttpResponse(told.csv_lines(rows, lacked), content_type="text/csv; charset=utf-8")
        slug = asked.definition.slug if asked.definition else cast(DefinitionDoc, asked.draft).slug
        response.headers["Content-Disposition"] = f'attachment; filename="{slug}-{wanted.of}.csv"'
        return response
    page = offset(rows, cursor=request.GET.get("cursor", ""))
    context = {
        "definition": asked.definition,
        "name": asked.draft.name if asked.draft else asked.definition.name if asked.definition else "",
        "version": asked.names[side],
        "title": lists.TITLES[wanted.of],
        "narrowed": told.narrowed(wanted, lacked, path, alone=alone),
        "total": len(rows),
        "rows": told.accounts(page.items, lacked),
        "next": f"{here}&cursor={page.next_cursor}" if page.has_next else "",
        "csv": f"{here}&format=csv",
        "shows": told.Columns.of(wanted.of),
        "draft": bool(asked.text),
        "back": f"{place(asked, '')}?{query(asked)}" if not asked.text else "",
    }
    if htmx.wants(request, "more-behind"):
        return render(request, f"{ACCOUNTS}#rows", context)
    return htmx.page(request, ACCOUNTS, context, fragments=("behind-b",))


def _without(given: QueryDict, *names: str) -> str:
    kept = given.copy()
    for name in names:
        kept.pop(name, None)
    return kept.urlencode()


def _span(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    least, _, most = text.partition("-")
    if not (least.isdecimal() and most.isdecimal() and len(text) <= 12):
        raise Http404("“lead” is not a span of days.")
    return int(least), int(most)
