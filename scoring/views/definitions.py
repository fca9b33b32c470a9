"""Definitions: the list, one in English with who qualifies, and the JSON that admins edit and publish."""

from __future__ import annotations

import json
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import StaffUser
from plgops.lib import access, htmx
from scoring import catalogue, definitions, freshness, openings
from scoring.forms import DocumentForm, ReleaseForm
from scoring.models import Definition
from scoring.rules.problems import RuleError

LIST = "definitions/list.html"
PAGE = "definitions/page.html"
EDIT = "definitions/edit.html"
EXAMPLE = {
    "slug": "active-team",
    "name": "Active team",
    "purpose": "pql",
    "level": "account",
    "rule": {
        "all": [
            {"trait": {"name": "plan", "in": ["free", "trial"]}},
            {"users": {"event": "*", "at_least": 3, "window": {"last_days": 28}}},
            {"not": {"stage": {"reached": "paid"}}},
        ]
    },
    "grace_days": 7,
}


@login_required
@require_GET
def catalogue_page(request: HttpRequest) -> HttpResponse:
    """The definitions with their live counts."""
    access.require(request.user, "definitions.view")
    archived = request.GET.get("archived") == "1"
    page, fresh = catalogue.listed(now=timezone.now(), archived=archived, cursor=request.GET.get("cursor", ""))
    context = {
        "page": page,
        "fresh": fresh,
        "archived": archived,
        "cap": catalogue.CAP,
        "may_edit": access.may(request.user, "definitions.edit"),
    }
    if htmx.wants(request, "more-rows"):
        return render(request, f"{LIST}#more_rows", context)
    return render(request, LIST, context)


@login_required
@require_GET
def definition(request: HttpRequest, slug: str) -> HttpResponse:
    """One definition: what it says, who qualifies, who waits, and how it came to be."""
    user = _reader(request)
    found = _found(slug)
    cursor = request.GET.get("cursor", "")
    context: dict[str, Any] = {"definition": found, "page": catalogue.qualifiers(found, cursor=cursor)}
    if htmx.wants(request, "more-rows"):
        return render(request, f"{PAGE}#more_rows", context)
    now = timezone.now()
    fresh = freshness.of([found.pk], now=now)
    doc = catalogue.read(found.live_version)
    context |= {
        "version": found.live_version,
        "doc": doc,
        "rule": catalogue.branches(doc.rule, subject=doc.level) if doc else None,
        "motion": catalogue.branches(doc.motion, subject="account") if doc and doc.motion else None,
        "counts": catalogue.counts([found.pk], now=now).get(found.pk, catalogue.Counts()),
        "cap": catalogue.CAP,
        "fresh": fresh,
        "behind": fresh.to_follow.get(found.pk, 0),
        "versions": catalogue.versions(found)[:20],
        "history": catalogue.history(found),
        "may_edit": access.may(user, "definitions.edit"),
        "may_release": access.may(user, "definitions.release"),
    }
    return render(request, PAGE, context)


@login_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Write a definition and publish its first version."""
    access.require(request.user, "definitions.edit")
    return _editor(request, None)


@login_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Change a definition's JSON and publish it as the next version."""
    access.require(request.user, "definitions.edit")
    return _editor(request, _found(slug))


@login_required
@require_POST
def archive(request: HttpRequest, slug: str) -> HttpResponse:
    """Take a definition out of use."""
    access.require(request.user, "definitions.edit")
    found = _found(slug)
    definitions.archive(definition_id=found.pk, by=cast(StaffUser, request.user), now=timezone.now())
    messages.success(request, f"Archived {found.name}. Nobody qualifies under it any more.")
    return redirect("definition", slug=slug)


@login_required
@require_POST
def release(request: HttpRequest, slug: str) -> HttpResponse:
    """Let waiting episodes open their handoffs: all, or the largest so many."""
    access.require(request.user, "definitions.release")
    found = _found(slug)
    form = ReleaseForm(request.POST)
    if not form.is_valid():
        messages.error(request, "How many of the largest? Give a whole number from 1.")
        return redirect("definition", slug=slug)
    released = openings.release(
        definition_id=found.pk,
        largest=form.cleaned_data["largest"],
        by=cast(StaffUser, request.user),
        now=timezone.now(),
    )
    messages.success(request, f"Released {released:,}. Their accounts reach the inbox within seconds.")
    return redirect("definition", slug=slug)


def _editor(request: HttpRequest, found: Definition | None) -> HttpResponse:
    """Show, check and publish the JSON of a definition (None: a new one)."""
    live = found.live_version if found else None
    if request.method == "GET":
        document = live.document if live else EXAMPLE
        form = DocumentForm(initial={"text": pretty(document), "replaces": live.number if live else 0})
        return _editor_page(request, form, found)
    form = DocumentForm(request.POST, slug=found.slug if found else "")
    if not form.is_valid():
        return _editor_page(request, form, found, status=422)
    try:
        version = definitions.publish(
            document=form.document,
            by=cast(StaffUser, request.user),
            now=timezone.now(),
            reason=form.cleaned_data["reason"],
            replaces=form.cleaned_data["replaces"] or 0,
        )
    except RuleError as error:
        form.refuse(error)
        return _editor_page(request, form, found, status=422)
    except definitions.Stale as stale:
        return _editor_page(request, form, found, status=409, stale=stale)
    if live is not None and version.pk == live.pk:
        messages.success(request, f"Nothing changed: this is what version {version.number} says already.")
    else:
        messages.success(request, f"Published version {version.number}. Accounts are evaluated now.")
    return redirect("definition", slug=version.definition.slug)


def _editor_page(
    request: HttpRequest,
    form: DocumentForm,
    found: Definition | None,
    *,
    status: int = 200,
    stale: definitions.Stale | None = None,
) -> HttpResponse:
    text = form["text"].value() or ""
    lines = max(text.count("\n") + 1, 1)
    context = {
        "form": form,
        "definition": found,
        "stale": stale,
        "stale_text": pretty(stale.version.document) if stale else "",
        "lines": [(number, number in form.problem_lines) for number in range(1, lines + 1)],
    }
    return render(request, EDIT, context, status=status)


def pretty(document: object) -> str:
    """A document as JSON for people: short objects on one line, as in the guide to the language."""
    return _pretty(document, 0)


def _pretty(value: object, depth: int) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or (len(flat) + 2 * depth <= 88 and depth > 0):
        return flat
    pad, end = "  " * (depth + 1), "  " * depth
    if isinstance(value, list):
        inner = [_pretty(item, depth + 1) for item in value]
        return "[\n" + ",\n".join(pad + item for item in inner) + f"\n{end}]"
    pairs = [f"{json.dumps(k, ensure_ascii=False)}: {_pretty(v, depth + 1)}" for k, v in value.items()]
    return "{\n" + ",\n".join(pad + pair for pair in pairs) + f"\n{end}}}"


def _reader(request: HttpRequest) -> StaffUser:
    access.require(request.user, "definitions.view")
    return cast(StaffUser, request.user)


def _found(slug: str) -> Definition:
    return get_object_or_404(Definition.objects.select_related("live_version__published_by"), slug=slug)
