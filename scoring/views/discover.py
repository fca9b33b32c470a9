"""Discovery: the questions asked of history, a form for a new one, and an answer with its charts."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts.models import EventType, Stage
from accounts.team.requests import StaffRequest
from plgops.lib import access
from plgops.lib.htmx import page
from plgops.lib.paging import keyset
from scoring import discover
from scoring.discovery import drawn, everything
from scoring.discovery.extract import UnknownOutcome
from scoring.models import Discovery, Level

LIST = "discover/list.html"
PAGE = "discover/page.html"
OPEN = (Discovery.Status.WAITING, Discovery.Status.RUNNING)
MOST_EVENTS = 200  # that the form offers as an outcome


class AskForm(forms.Form):
    """A question to history."""

    outcome = forms.ChoiceField(label="Outcome", initial=Stage.PAID)
    first_days = forms.IntegerField(
        label="First days",
        initial=14,
        min_value=1,
        max_value=discover.MAX_FIRST_DAYS,
        help_text=f"What they did in so many days from sign-up: 1 to {discover.MAX_FIRST_DAYS}.",
    )
    within = forms.IntegerField(
        label="Then within",
        initial=60,
        min_value=1,
        max_value=discover.MAX_WITHIN,
        help_text=f"The outcome so many days after those: 1 to {discover.MAX_WITHIN}.",
    )
    level = forms.ChoiceField(label="Whose behaviour", choices=[(Level.ACCOUNT, "Accounts"), (Level.USER, "People")])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stages = [(value, label) for value, label in Stage.choices if value != Stage.SIGNED_UP]
        names = EventType.objects.order_by("name").values_list("name", flat=True)[:MOST_EVENTS]
        events = [(name, name) for name in names if name not in Stage.values]
        field = self.fields["outcome"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("A stage is reached", stages), ("An event happens", events)] if events else stages


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def question_list(request: StaffRequest) -> HttpResponse:
    """The questions, newest first; a POST asks one and goes on to its answer."""
    access.require(request.user, "definitions.view")
    may_ask = access.may(request.user, "definitions.edit")
    form, status = None, 200
    if request.method == "POST":
        access.require(request.user, "definitions.edit")
        form, status = AskForm(request.POST), 422
        if form.is_valid():
            try:
                asked = discover.checked(**form.cleaned_data)
                row = discover.ask(asked=asked, by=request.user, now=timezone.now())
                return redirect("discovery", row.pk)
            except (UnknownOutcome, discover.TooMany) as error:
                form.add_error("outcome", str(error))
    elif may_ask:
        form = AskForm()
    rows = Discovery.objects.select_related("asked_by").defer("result")
    found = keyset(rows, by="-asked_at", tie="-id", cursor=request.GET.get("cursor", ""), size=25)
    context = {
        "form": form,
        "page": found,
        "asked": [(row, drawn.asked(discover.question(row))) for row in found.items],
        "polled": any(row.status in OPEN for row in found.items),
    }
    return page(request, LIST, context, fragments=("questions",), status=status)


@login_required
@never_cache
@require_GET
def question(request: HttpRequest, discovery_id: int) -> HttpResponse:
    """One question with its answer, or how far it is."""
    access.require(request.user, "definitions.view")
    row = get_object_or_404(Discovery.objects.select_related("asked_by"), pk=discovery_id)
    context: dict[str, Any] = {"row": row, "asked": drawn.asked(discover.question(row)), "open": row.status in OPEN}
    if row.status == Discovery.Status.DONE:
        context |= {
            "answer": row.result,
            "drawn": drawn.drawn(row.result),
            "may_edit": access.may(request.user, "definitions.edit"),
        }
    elif row.status == Discovery.Status.REFUSED:
        context |= {"answer": row.result}
    return page(request, PAGE, context, fragments=("answer",))


@login_required
@require_GET
def text(request: HttpRequest, discovery_id: int) -> HttpResponse:
    """The whole answer as JSON, as `manage.py discover --json` prints it."""
    access.require(request.user, "definitions.view")
    row = get_object_or_404(
        Discovery.objects.only("result"), pk=discovery_id, status__in=[Discovery.Status.DONE, Discovery.Status.REFUSED]
    )
    response = HttpResponse(
        json.dumps(row.result, indent=1, ensure_ascii=False), content_type="application/json; charset=utf-8"
    )
    response.headers["Content-Disposition"] = f'attachment; filename="discovery-{row.pk}.json"'
    return response


@login_required
@require_GET
def tried(request: HttpRequest, discovery_id: int) -> StreamingHttpResponse:
    """Every single condition that was tried, in both halves, as CSV."""
    access.require(request.user, "definitions.view")
    row = get_object_or_404(Discovery.objects.only("result"), pk=discovery_id, status=Discovery.Status.DONE)
    response = StreamingHttpResponse(everything.csv_lines(row.result), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="discovery-{row.pk}.csv"'
    return response
