"""The live preview of a draft, in parts that are each asked for by themselves; and near misses."""

from __future__ import annotations

import time
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts import lake
from accounts.models import Account
from accounts.workspace import day_of
from plgops.lib import access, days
from plgops.templatetags.charts import Bar, ColumnChart, nice_top
from scoring import capacity, definitions, near_misses, preview
from scoring.forms import DocumentForm
from scoring.models import Definition
from scoring.rules import tree
from scoring.rules.problems import RuleError
from scoring.rules.spoken import spoken
from scoring.views import asking

PREVIEW = "definitions/preview.html"
NEAR = "definitions/near_misses.html"
PARTS = ("who", "rate", "near")
NEAREST = 5
FOLLOWS = (
    15.0  # seconds: what everybody's rate would take at most, by the sample's, to be counted without being asked for
)
LISTED = 25  # near misses on a definition's page, and how many more each time
MOST = 500  # of them altogether


class AskedForm(forms.Form):
    """Which part of the preview, of everybody or first of a sample, and what sales has room for."""

    slug = forms.SlugField(max_length=80, required=False)
    part = forms.ChoiceField(choices=[(part, part) for part in PARTS], required=False)
    exact = forms.ChoiceField(choices=[("1", "everybody")], required=False)
    reps = forms.IntegerField(min_value=1, max_value=10_000, required=False)
    each = forms.IntegerField(min_value=1, max_value=10_000, required=False)
    lever = forms.CharField(max_length=200, required=False)


class ShownForm(forms.Form):
    """How many near misses are listed."""

    shown = forms.IntegerField(min_value=1, max_value=MOST, required=False)


@login_required
@require_POST
def draft(request: HttpRequest) -> HttpResponse:
    """What a draft would do, as a fragment: of each part first a sample, then everybody, if that does not take long.

    422 with what is missing where the text is no definition.
    """
    access.require(request.user, "definitions.edit")
    form = AskedForm(request.POST)
    if not form.is_valid():
        return _refused(request, [f"{field}: {errors[0]}" for field, errors in form.errors.items()])
    asked = form.cleaned_data
    text = DocumentForm(request.POST, slug=asked["slug"])
    if "text" in text.errors:
        return _refused(
            request,
            [problem.words or problem.message for problem in text.problems]
            or [str(error) for error in text.errors["text"]],
        )
    try:
        read = preview.read(text.document, slug=asked["slug"])
    except RuleError as error:
        return _refused(request, [spoken(problem, text.document) for problem in error.problems])
    return _answer(request, read, asked, text=request.POST["text"])


@login_required
@require_GET
def near(request: HttpRequest, slug: str) -> HttpResponse:
    """The accounts that are one condition short of the live version, as a section of the definition's page.

    `shown` asks for so many of them, the nearest first.
    """
    access.require(request.user, "definitions.view")
    asked = ShownForm(request.GET)
    shown = (asked.cleaned_data["shown"] if asked.is_valid() else None) or LISTED
    found = get_object_or_404(Definition.objects.filter(archived_at=None), slug=slug)
    rule = next((rule for rule in definitions.live_rules() if rule.definition_id == found.pk), None)
    context: dict[str, Any] = {"definition": found}
    if rule is not None:
        try:
            with asking.question():
                misses = near_misses.of_definition(rule.doc, day_of(timezone.now()), shown)
        except lake.CannotAnswer as error:
            context |= {"waits": asking.why(error), "again": asking.passes(error)}
        else:
            accounts = Account.objects.in_bulk([one.account_id for one in misses.nearest])
            generation = lake.current()
            context |= {
                "misses": misses,
                "rows": [(one, accounts[one.account_id]) for one in misses.nearest if one.account_id in accounts],
                "more": min(shown + LISTED, MOST) if misses.accounts + misses.too_late > shown < MOST else None,
                "reads_log": tree.reads_log(rule.doc),
                "built_at": generation.built_at if generation else None,
            }
    return render(request, NEAR, context)


def _answer(request: HttpRequest, read: preview.Draft, asked: dict[str, Any], *, text: str) -> HttpResponse:
    """The part that was asked for, or all of it with the later parts still to be asked for."""
    part = asked["part"] or "who"
    context: dict[str, Any] = {
        "draft": read,
        "text": text,
        "slug": asked["slug"],
        "part": part,
        "exact": asked["exact"],
    }
    day = day_of(timezone.now())
    try:
        with asking.question():
            basis = preview.basis(day=day, exact=asked["exact"] == "1")
            context |= {"basis": basis} | _PARTS[part](read, basis, day, asked)
    except lake.CannotAnswer as error:
        context |= {"waits": asking.why(error), "again": asking.passes(error), "whole": not asked["part"]}
    fragment = f"#{part}" if asked["part"] else ""
    return render(request, f"{PREVIEW}{fragment}", context)


def _who(read: preview.Draft, basis: preview.Basis, day: int, asked: dict[str, Any]) -> dict[str, Any]:
    return {"who": preview.who(read, basis, day=day)}


def _rate(read: preview.Draft, basis: preview.Basis, day: int, asked: dict[str, Any]) -> dict[str, Any]:
    given = capacity.room(day=day, reps=asked["reps"], each=asked["each"])
    began = time.monotonic()
    rate = capacity.rate(read, basis, day=day, given=given, path=asked["lever"])
    follows = (time.monotonic() - began) * basis.every <= FOLLOWS
    return {"rate": rate, "chart": _chart(rate), "follows": follows}


def _near(read: preview.Draft, basis: preview.Basis, day: int, asked: dict[str, Any]) -> dict[str, Any]:
    misses, accounts = preview.near(read, basis, day=day, limit=NEAREST)
    return {
        "misses": misses,
        "total": basis.estimate(misses.accounts),
        "too_late": basis.estimate(misses.too_late),
        "by_condition": [(one, basis.estimate(one.accounts)) for one in misses.by_condition[:NEAREST] if one.accounts],
        "reads_log": tree.reads_log(read.doc),
        "rows": [(one, accounts[one.account_id]) for one in misses.nearest if one.account_id in accounts],
    }


_PARTS = {"who": _who, "rate": _rate, "near": _near}


def _chart(rate: capacity.Rate) -> ColumnChart:
    """The weeks as columns; the last one ends today."""
    numbers = [estimate.value for _, estimate in rate.weeks]
    top, ticks = nice_top(max(numbers))
    dates = [days.date_of(first) for first, _ in rate.weeks]
    bars = [
        Bar([(number, "f1")], f"{date:%d %b} to {days.date_of(first + 6):%d %b}: {number:,}")
        for number, date, (first, _) in zip(numbers, dates, rate.weeks, strict=True)
    ]
    told = ", ".join(f"{number:,} in the week from {date:%d %b}" for number, date in zip(numbers, dates, strict=True))
    labels = [(0, f"{dates[0]:%d %b}"), (100, "This week")]
    return ColumnChart("Accounts flagged for the first time, by week", told, bars, labels, top, ticks)


def _refused(request: HttpRequest, problems: list[str]) -> HttpResponse:
    return render(request, f"{PREVIEW}#refused", {"problems": problems[:NEAREST]}, status=422)
