"""What stands beside definitions and the inbox: how far evaluation is, what publications changed, files."""

from __future__ import annotations

import datetime as dt
from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts import data_quality
from accounts.models import StaffUser
from plgops.lib import access
from scoring import definition_health, digest, export, freshness, undecided
from scoring.models import Definition


@login_required
@require_GET
def inbox_freshness(request: HttpRequest) -> HttpResponse:
    """Up to when everything is evaluated, for the inbox's head; `of=queue`: what an empty queue still waits for."""
    access.require(request.user, "handoffs.view")
    part = "#queue" if request.GET.get("of") == "queue" else "#head"
    return render(request, f"scoring/freshness.html{part}", {"fresh": freshness.of(None, now=timezone.now())})


@login_required
@require_GET
def digest_lately(request: HttpRequest) -> HttpResponse:
    """What publications and releases changed lately, as one line; 204 where nothing did."""
    access.require(request.user, "handoffs.view")
    user = cast(StaffUser, request.user)
    changes = digest.lately(user=user, now=timezone.now(), seen=user.news_seen_at)
    if not changes:
        return HttpResponse(status=204)
    return render(
        request, "scoring/digest.html", {"changes": changes, "until": max(change.at for change in changes).isoformat()}
    )


@login_required
@require_POST
def digest_dismiss(request: HttpRequest) -> HttpResponse:
    """Do not tell these changes to this person again; `until` is the newest that was shown."""
    access.require(request.user, "handoffs.view")
    until = _moment(request.POST.get("until", ""))
    if until is None:
        return HttpResponse("until: expected a time.", status=422, content_type="text/plain; charset=utf-8")
    digest.dismiss(user=cast(StaffUser, request.user), until=min(until, timezone.now()))
    if request.headers.get("HX-Request"):
        return HttpResponse("")
    return redirect("inbox")


@login_required
@require_GET
def qualifiers_csv(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """Who qualifies now, as a file."""
    access.require(request.user, "definitions.view")
    access.require(request.user, "accounts.view")
    definition = get_object_or_404(Definition.objects.select_related("live_version"), slug=slug)
    name = f"{definition.slug}-{timezone.localdate():%Y-%m-%d}.csv"
    response = StreamingHttpResponse(export.lines(definition), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@login_required
@require_GET
def definition_health_panel(request: HttpRequest) -> HttpResponse:
    """Definitions that fell silent, flood, or ask for events that do not come, and up to when each is evaluated: a part
    of the page on data quality."""
    access.require(request.user, "data.quality")
    now = timezone.now()
    fresh = freshness.of(None, now=now)
    context = {
        "suspects": definition_health.suspects(now=now, silent_events=data_quality.rhythms().silent_names),
        "fresh": fresh,
        "lines": freshness.lines(fresh),
    }
    return render(request, "data_quality/definitions.html", context)


@login_required
@require_GET
def undecided_panel(request: HttpRequest) -> HttpResponse:
    """What plays and speed could not decide: a part of the page on data quality."""
    access.require(request.user, "data.quality")
    return render(request, "data_quality/undecided.html", {"rows": undecided.rows(), "count": undecided.count()})


def _moment(text: str) -> dt.datetime | None:
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None
