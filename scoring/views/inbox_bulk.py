"""What a person can do with several handoffs of the queue at once, and one undo for all of it.

Each handoff goes through the verb that its own button calls. A plain form POST redirects; sent by htmx the queue is
drawn again, with what did not work and why above it.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.models import StaffUser
from scoring import bulk, handoffs, queue, snooze
from scoring.views import inbox_parts as parts
from scoring.views.inbox_actions import moment, refused


@login_required
@require_POST
def claim(request: HttpRequest) -> HttpResponse:
    def act(pk: int, user: StaffUser, now: dt.datetime) -> object:
        return handoffs.claim(handoff_id=pk, by=user, now=now)

    return _each(request, act, "Claimed")


@login_required
@require_POST
def put_to_sleep(request: HttpRequest) -> HttpResponse:
    data = request.POST

    def act(pk: int, user: StaffUser, now: dt.datetime) -> object:
        until = moment(data.get("until", ""), data.get("day", ""))
        return snooze.snooze(handoff_id=pk, until=until, or_evidence="or_evidence" in data, by=user, now=now)

    return _each(request, act, "Snoozed")


@login_required
@require_POST
def disqualify(request: HttpRequest) -> HttpResponse:
    reason, note = request.POST.get("reason", ""), request.POST.get("note", "")

    def act(pk: int, user: StaffUser, now: dt.datetime) -> object:
        return handoffs.close(handoff_id=pk, outcome="disqualified", reason=reason, note=note, by=user, now=now)

    return _each(request, act, "Disqualified")


@login_required
@require_POST
def assign(request: HttpRequest) -> HttpResponse:
    owner_id = request.POST.get("owner", "")
    parts.reader(request)
    owner = get_object_or_404(StaffUser, pk=int(owner_id) if owner_id.isdecimal() and len(owner_id) < 10 else 0)

    def act(pk: int, user: StaffUser, now: dt.datetime) -> object:
        return handoffs.assign(handoff_id=pk, owner=owner, by=user, now=now)

    return _each(request, act, f"Assigned to {owner.label}:")


@login_required
@require_POST
def take_back(request: HttpRequest) -> HttpResponse:
    """Undo what these audit rows tell."""
    user = parts.reader(request)
    ids = [int(one) for one in request.GET.get("entries", "").split("-") if one.isdecimal() and len(one) < 19]
    try:
        result = bulk.undo_all(ids, by=user, now=timezone.now())
    except handoffs.HandoffError as error:
        return refused(request, error, reverse("inbox"))
    return _told(request, user, result, "Taken back:")


def _each(request: HttpRequest, act: Callable[[int, StaffUser, dt.datetime], object], did: str) -> HttpResponse:
    user, now = parts.reader(request), timezone.now()
    ids = [int(one) for one in request.POST.getlist("ids") if one.isdecimal() and len(one) < 19]
    try:
        result = bulk.for_each(ids, lambda pk: act(pk, user, now), by=user, now=now)
    except handoffs.HandoffError as error:
        filters = queue.Filters.read(request.GET.dict())
        return refused(request, error, reverse("inbox") + filters.here)
    return _told(request, user, result, did)


def _told(request: HttpRequest, user: StaffUser, result: bulk.Result, did: str) -> HttpResponse:
    filters = queue.Filters.read(request.GET.dict())
    done, left = len(result.done), len(result.refused)
    said = f"{did} {done} account{'' if done == 1 else 's'}" if done or not left else "Nothing was changed"
    if left:
        said += f"; {left} could not be"
    if not request.htmx:  # type: ignore[attr-defined]
        messages.add_message(request, messages.WARNING if left else messages.SUCCESS, said)
        for name, why in result.refused[:5]:
            messages.error(request, f"{name}: {why}" if name else why)
        return HttpResponseRedirect(reverse("inbox") + filters.here)
    page = queue.page(filters, user=user)
    tabs = parts.tabs(user, filters)
    context = parts.queue(user, filters, page.items, page.next_cursor) | {
        "tabs": tabs,
        "unclaimed": tabs[0]["count"],
        "text": said,
        "tone": "warning" if left else "success",
        "undo": reverse("inbox_bulk_undo") + _joined(filters, result.entries) if result.entries else "",
        "refused": result.refused,
    }
    response = render(request, "inbox/bulk.html", context)
    response["HX-Trigger"] = "handoff-changed"  # the open one may be among them
    response["HX-Trigger-After-Settle"] = json.dumps({"focus-on": "#rows [data-row]"})  # the buttons are gone
    return response


def _joined(filters: queue.Filters, entries: list[int]) -> str:
    return f"{filters.here}&entries={'-'.join(map(str, entries))}"
