"""Definitions: the list, one in English with who qualifies, archiving and releasing."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.models import StaffUser
from plgops.lib import access, htmx
from scoring import catalogue, definitions, freshness, openings, play_numbers
from scoring.forms import ReleaseForm
from scoring.models import Definition

LIST = "definitions/list.html"
PAGE = "definitions/page.html"


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
        "plays": play_numbers.in_use(found.pk),
        "may_edit": access.may(user, "definitions.edit"),
        "may_release": access.may(user, "definitions.release"),
    }
    return render(request, PAGE, context)


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


def _reader(request: HttpRequest) -> StaffUser:
    access.require(request.user, "definitions.view")
    return cast(StaffUser, request.user)


def _found(slug: str) -> Definition:
    return get_object_or_404(Definition.objects.select_related("live_version__published_by"), slug=slug)
