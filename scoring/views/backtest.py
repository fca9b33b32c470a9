"""Backtests: what is asked, the result as a fragment, and the accounts behind each of its numbers.

A version is asked for by address, so that a result can be passed on; a draft by posting its text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from accounts import lake
from accounts.models import EventType, Stage
from plgops.lib import access, htmx
from plgops.lib.paging import offset
from scoring.backtest import answers, lists, run, sellers, told
from scoring.backtest.documents import of_draft, of_version
from scoring.backtest.form import DRAFT, BacktestForm
from scoring.backtest.shown import shown
from scoring.backtest.words import outcome_words
from scoring.models import Definition, DefinitionVersion
from scoring.rules.problems import Problem, RuleError
from scoring.rules.tree import DefinitionDoc

PAGE, RESULT, ACCOUNTS = "backtest/page.html", "backtest/result.html", "backtest/accounts.html"
VERSIONS = 50  # to choose from, the newest
OUTCOMES = 200  # events to complete from, the latest seen
LONGEST_TEXT = 200_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a backtest: of a definition's versions, or of a draft (`text`), which may have no definition yet.

    Without a usage lake there is no form: nobody knows up to which day to ask.
    """

    definition: Definition | None
    form: BacktestForm | None
    text: str = ""
    draft: DefinitionDoc | None = None

    @property
    def names(self) -> list[str]:
        """What the versions are called."""
        said = self._said()
        return ["The draft" if said[0] == DRAFT else f"v{said[0]}", *(f"v{number}" for number in said[1:])]

    def _said(self) -> list[str]:
        assert self.form is not None
        cleaned = self.form.cleaned_data
        return [cleaned["version"], *([cleaned["against"]] if cleaned["against"] else [])]

    def question(self) -> run.Question:
        """What a valid form asks. RuleError for a version that this program cannot read."""
        assert self.form is not None
        numbers = [int(said) for said in self._said() if said != DRAFT]
        rows = DefinitionVersion.objects.filter(definition=self.definition, number__in=numbers) if numbers else ()
        read = {version.number: of_version(version) for version in rows}
        docs = [self.draft] if self.draft else []
        docs += [read[number] for number in numbers]
        first, last = self.form.period
        cleaned = self.form.cleaned_data
        return run.Question(tuple(docs), first, last, cleaned["outcome"], cleaned["within"])


# --- a version ------------------------------------------------------------------------------------------------


@login_required
@require_GET
def page(request: HttpRequest, slug: str) -> HttpResponse:
    """What is asked of a definition's versions; the result is fetched by the page."""
    return _page(request, _of_versions(request, slug))


@login_required
@require_GET
def result(request: HttpRequest, slug: str) -> HttpResponse:
    """The result, or what the missed lacked (`part=lacking`); the whole page for whoever asks without htmx."""
    return _result(request, _of_versions(request, slug))


@login_required
@require_GET
def accounts(request: HttpRequest, slug: str) -> HttpResponse | StreamingHttpResponse:
    """The accounts behind a number of the result, a page at a time, or all as CSV."""
    return _accounts(request, _of_versions(request, slug))


def _of_versions(request: HttpRequest, slug: str) -> Asked:
    access.require(request.user, "definitions.view")
    definition = get_object_or_404(Definition.objects.select_related("live_version"), slug=slug)
    return Asked(definition, _form(request.GET, definition))


# --- a draft --------------------------------------------------------------------------------------------------


@login_required
@require_POST
def draft(request: HttpRequest) -> HttpResponse:
    """The same page for a text that is not published; 422 with what is wrong with it."""
    try:
        return _page(request, _of_draft(request))
    except RuleError as error:
        return render(request, PAGE, {"problems": error.problems}, status=422)


@login_required
@require_POST
def draft_result(request: HttpRequest) -> HttpResponse:
    """The result of a draft."""
    try:
        return _result(request, _of_draft(request))
    except RuleError as error:
        return render(request, f"{RESULT}#problems", {"problems": error.problems}, status=422)


@login_required
@require_POST
def draft_accounts(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The accounts behind a number of a draft's result."""
    try:
        return _accounts(request, _of_draft(request))
    except RuleError as error:
        return render(request, f"{RESULT}#problems", {"problems": error.problems}, status=422)


def _of_draft(request: HttpRequest) -> Asked:
    access.require(request.user, "definitions.edit")
    text = request.POST.get("text", "")
    try:
        if len(text) > LONGEST_TEXT:
            raise ValueError("too long")
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RuleError([Problem("", "This is not JSON yet.")]) from error
    doc = of_draft(document)
    definition = Definition.objects.select_related("live_version").filter(slug=doc.slug).first()
    given = request.POST.dict() | {"version": DRAFT}
    return Asked(definition, _form(given, definition), text, doc)


# --- both -----------------------------------------------------------------------------------------------------


def _form(given: Mapping[str, Any] | QueryDict, definition: Definition | None) -> BacktestForm | None:
    try:
        until = run.known_until()
    except lake.NoLake:
        return None
    versions: list[int] = []
    live = 0
    if definition is not None:
        versions = list(definition.versions.order_by("-number").values_list("number", flat=True)[:VERSIONS])
        live = definition.live_version.number if definition.live_version else 0
    said = given.dict() if isinstance(given, QueryDict) else given
    return BacktestForm(said, versions=versions, live=live, until=until)


def _place(asked: Asked, name: str) -> str:
    """The address of one of a backtest's views."""
    if asked.text:
        return reverse(f"backtest_draft{name}")
    assert asked.definition is not None
    return reverse(f"backtest{name}", args=[asked.definition.slug])


def _query(asked: Asked) -> str:
    """What a valid form asks, for an address; a draft's is in its form."""
    if asked.text or asked.form is None:
        return ""
    return urlencode({name: asked.form.data[name] for name in asked.form.fields if asked.form.data.get(name)})


def _page(request: HttpRequest, asked: Asked, **more: Any) -> HttpResponse:
    is_valid = asked.form is not None and asked.form.is_valid()
    names = EventType.objects.order_by("-last_seen_at", "name").values_list("name", flat=True)
    context = {
        "asked": asked,
        "definition": asked.definition,
        "name": asked.draft.name if asked.draft else asked.definition.name if asked.definition else "",
        "form": asked.form,
        "is_valid": is_valid,
        "place": _place(asked, ""),
        "result_place": _place(asked, "_result"),
        "query": _query(asked) if is_valid else "",
        "stages": Stage.choices,
        "events": names[:OUTCOMES],
        **more,
    }
    return render(request, PAGE, context, status=200 if is_valid or asked.form is None else 422)


def _result(request: HttpRequest, asked: Asked) -> HttpResponse:
    if asked.form is None:
        return render(request, f"{RESULT}#no_lake", {"place": _place(asked, "_result"), "draft": bool(asked.text)})
    if not asked.form.is_valid():
        if request.htmx:  # type: ignore[attr-defined]
            problems = [Problem("", str(words)) for errors in asked.form.errors.values() for words in errors]
            return render(request, f"{RESULT}#problems", {"problems": problems}, status=422)
        return _page(request, asked)
    question = asked.question()
    try:
        answer = answers.answer(question, generation=_number(request, "generation"))
    except ValueError as error:  # the data ends earlier now than when the form was read: another lake
        raise Http404(str(error)) from error
    if request.GET.get("part") == "lacking":
        return _lacking(request, asked, question, answer)
    leads = _leads(asked, answer)
    context = {
        "answer": answer,
        "question": question,
        "outcome": outcome_words(question.outcome),
        "names": asked.names,
        "shown": shown(
            answer.results,
            names=asked.names,
            reps=sellers.count(),
            outcome=outcome_words(question.outcome),
            leads=leads,
        ),
        "draft": bool(asked.text),
        "lacking_place": f"{_place(asked, '_result')}?{_query(asked)}&part=lacking&generation={answer.generation}",
    }
    if not request.htmx:  # type: ignore[attr-defined]
        return _page(request, asked, shown_at_once=True, **context)
    return render(request, RESULT, context)


def _lacking(request: HttpRequest, asked: Asked, question: run.Question, answer: run.Answer) -> HttpResponse:
    leads = _leads(asked, answer)
    context = {
        "outcome": outcome_words(question.outcome),
        "sides": [
            told.lacking_side(answers.what_was_lacking(question, answer, side), answer.results[side], name, side, leads)
            for side, name in enumerate(asked.names)
        ],
    }
    return render(request, "backtest/lacking.html", context)


def _leads(asked: Asked, answer: run.Answer) -> Any:
    """A function that gives the attributes of a link to the accounts behind a number."""
    place, query = _place(asked, "_accounts"), _query(asked)
    opens = {"hx-target": "#behind-b", "hx-indicator": "#behind-b", "data-open": "behind"}

    def leads(side: int, of: str, **narrowed: object) -> dict[str, str]:
        asks = urlencode({"of": of, "side": side, **narrowed, "generation": answer.generation})
        url = f"{place}?{query}&{asks}" if query else f"{place}?{asks}"
        if asked.text:
            return {"form": "draft", "formaction": url, "hx-post": url, "hx-include": "#draft", **opens}
        return {"href": url, "hx-get": url, **opens}

    return leads


def _accounts(request: HttpRequest, asked: Asked) -> HttpResponse | StreamingHttpResponse:
    access.require(request.user, "accounts.view")
    if asked.form is None or not asked.form.is_valid():
        raise Http404("There is no such backtest.")
    question = asked.question()
    answer = answers.answer(question, generation=_number(request, "generation"))
    side = _number(request, "side") or 0
    if side >= len(answer.results):
        raise Http404("There is no such version.")
    mine, theirs = answer.results[side], answer.results[1 - side] if len(answer.results) == 2 else None
    path = request.GET.get("path", "")
    wanted = lists.Wanted(
        of=request.GET.get("of", ""),
        week=_number(request, "week"),
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
            rows = [row for row in rows if any(one.path == path for one in lacked.by_account.get(row.account_id, ()))]
    place = f"{_place(asked, '_accounts')}?{_without(request.GET, 'cursor', 'format')}"
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
        "narrowed": told.narrowed(wanted, lacked, path),
        "total": len(rows),
        "rows": told.accounts(page.items, lacked),
        "next": f"{place}&cursor={page.next_cursor}" if page.has_next else "",
        "csv": f"{place}&format=csv",
        "shows": told.Columns.of(wanted.of),
        "draft": bool(asked.text),
        "back": f"{_place(asked, '')}?{_query(asked)}" if not asked.text else "",
    }
    if htmx.wants(request, "more-behind"):
        return render(request, f"{ACCOUNTS}#rows", context)
    return htmx.page(request, ACCOUNTS, context, fragments=("behind-b",))


def _without(given: QueryDict, *names: str) -> str:
    kept = given.copy()
    for name in names:
        kept.pop(name, None)
    return kept.urlencode()


def _number(request: HttpRequest, name: str) -> int | None:
    """A whole number of the address; 404 for anything else."""
    text = request.GET.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > 18:
        raise Http404(f"“{name}” is not a number.")
    return int(text)


def _span(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    least, _, most = text.partition("-")
    if not (least.isdecimal() and most.isdecimal() and len(text) <= 12):
        raise Http404("“lead” is not a span of days.")
    return int(least), int(most)
