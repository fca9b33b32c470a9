"""Backtests: what is asked, the result as a fragment, and the accounts behind each of its numbers.

A version is asked for by address, so that a result can be passed on; a draft by posting its text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from accounts import lake
from accounts.models import EventType, Stage
from scoring.backtest import answers, run, sellers, told
from scoring.backtest.beginning import nothing_before
from scoring.backtest.shown import shown
from scoring.backtest.words import outcome_words
from scoring.models import Purpose
from scoring.rules.problems import Problem, RuleError
from scoring.views import asking
from scoring.views.backtest_accounts import listed
from scoring.views.backtest_asked import Asked, leads_of, number, of_draft_text, of_versions, place, query

Response = HttpResponse | StreamingHttpResponse
Tell = Callable[[HttpRequest, Asked], Response]
PAGE, RESULT = "backtest/page.html", "backtest/result.html"
OUTCOMES = 200  # events to complete from, the latest seen


# --- a version ------------------------------------------------------------------------------------------------


@login_required
@require_GET
def page(request: HttpRequest, slug: str) -> HttpResponse:
    """What is asked of a definition's versions; the result is fetched by the page."""
    return _page(request, of_versions(request, slug))


@login_required
@require_GET
def result(request: HttpRequest, slug: str) -> Response:
    """The result, or a part of it (`said`: in a sentence; `lacking`: what the missed lacked); the whole page for
    whoever asks without htmx."""
    return _told(request, of_versions(request, slug), _result)


@login_required
@require_GET
def accounts(request: HttpRequest, slug: str) -> Response:
    """The accounts behind a number of the result, a page at a time, or all as CSV."""
    return _told(request, of_versions(request, slug), listed)


# --- a draft --------------------------------------------------------------------------------------------------


@login_required
@require_POST
def draft(request: HttpRequest) -> HttpResponse:
    """The same page for a text that is not published; 422 with what is wrong with it."""
    try:
        return _page(request, of_draft_text(request))
    except RuleError as error:
        return render(request, PAGE, {"problems": error.problems}, status=422)


@login_required
@require_POST
def draft_result(request: HttpRequest) -> Response:
    """The result of a draft."""
    return _told_of_draft(request, _result)


@login_required
@require_POST
def draft_accounts(request: HttpRequest) -> Response:
    """The accounts behind a number of a draft's result."""
    return _told_of_draft(request, listed)


# --- both -----------------------------------------------------------------------------------------------------


def _told_of_draft(request: HttpRequest, tell: Tell) -> Response:
    try:
        asked = of_draft_text(request)
    except RuleError as error:
        return render(request, f"{RESULT}#problems", {"problems": error.problems}, status=422)
    return _told(request, asked, tell)


def _told(request: HttpRequest, asked: Asked, tell: Tell) -> Response:
    """What `tell` makes of it, or why there is no answer."""
    try:
        with asking.question(patience=asking.PATIENCE_WITH_HISTORY):
            return tell(request, asked)
    except RuleError as error:  # a version that a newer program wrote
        return render(request, f"{RESULT}#problems", {"problems": error.problems}, status=422)
    except lake.CannotAnswer as error:
        return render(request, f"{RESULT}#no_answer", {"why": asking.why(error)})


def _page(request: HttpRequest, asked: Asked, **more: Any) -> HttpResponse:
    is_valid = asked.form is not None and asked.form.is_valid()
    names = EventType.objects.order_by(F("last_seen_at").desc(nulls_last=True), "name").values_list("name", flat=True)
    context = {
        "asked": asked,
        "definition": asked.definition,
        "name": asked.draft.name if asked.draft else asked.definition.name if asked.definition else "",
        "form": asked.form,
        "is_valid": is_valid,
        "place": place(asked, ""),
        "result_place": place(asked, "_result"),
        "query": query(asked) if is_valid else "",
        "stages": Stage.choices,
        "events": names[:OUTCOMES],
        **more,
    }
    return render(request, PAGE, context, status=200 if is_valid or asked.form is None else 422)


def _result(request: HttpRequest, asked: Asked) -> HttpResponse:
    if asked.form is None:
        raise lake.NoLake
    if not asked.form.is_valid():
        if request.htmx:  # type: ignore[attr-defined]
            problems = [Problem("", str(words)) for errors in asked.form.errors.values() for words in errors]
            return render(request, f"{RESULT}#problems", {"problems": problems}, status=422)
        return _page(request, asked)
    question = asked.question()
    try:
        answer = answers.answer(question, generation=number(request, "generation"))
    except ValueError as error:  # the data ends earlier now than when the form was read: another lake
        raise Http404(str(error)) from error
    if request.GET.get("part") == "lacking":
        return _lacking(request, asked, question, answer)
    noun = "PQLs" if question.docs[0].purpose == Purpose.PQL else "Accounts"
    context = {
        "answer": answer,
        "question": question,
        "outcome": outcome_words(question.outcome),
        "names": asked.names,
        "noun": noun,
        "nothing_before": nothing_before(answer.results),
        "shown": shown(
            answer.results,
            names=asked.names,
            reps=sellers.count(),
            outcome=outcome_words(question.outcome),
            noun=noun,
            leads=leads_of(asked, answer),
        ),
        "draft": bool(asked.text),
        "lacking_place": f"{place(asked, '_result')}?{query(asked)}&part=lacking&generation={answer.generation}",
    }
    if not request.htmx:  # type: ignore[attr-defined]
        return _page(request, asked, shown_at_once=True, **context)
    return render(request, f"{RESULT}#said" if request.GET.get("part") == "said" else RESULT, context)


def _lacking(request: HttpRequest, asked: Asked, question: run.Question, answer: run.Answer) -> HttpResponse:
    leads = leads_of(asked, answer)
    context = {
        "outcome": outcome_words(question.outcome),
        "sides": [
            told.lacking_side(answers.what_was_lacking(question, answer, side), answer.results[side], name, side, leads)
            for side, name in enumerate(asked.names)
        ],
    }
    return render(request, "backtest/lacking.html", context)
