"""What a person can do with a handoff in the inbox.

Every action is a plain form POST that redirects; sent by htmx it answers with the parts of the page that
changed (templates/inbox/oob.html). A race that was lost is 409 with the reason in words.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts import workspace
from accounts.models import AuditEntry, StaffUser
from scoring import handoffs, next_tasks, queue, snooze, undo
from scoring.models import Handoff
from scoring.views import inbox_parts as parts


@login_required
@require_POST
def claim(request: HttpRequest, handoff_id: int) -> HttpResponse:
    def act(user: StaffUser, now: dt.datetime) -> str:
        done = handoffs.claim(handoff_id=handoff_id, by=user, now=now)
        return f"Claimed {done.company.name}"

    return acted(request, handoff_id, act, left=("new",))


@login_required
@require_POST
def unclaim(request: HttpRequest, handoff_id: int) -> HttpResponse:
    def act(user: StaffUser, now: dt.datetime) -> str:
        done = handoffs.unclaim(handoff_id=handoff_id, by=user, now=now)
        return f"{done.company.name} is back in the queue"

    return acted(request, handoff_id, act, redraw=True, undoes=False)


@login_required
@require_POST
def assign(request: HttpRequest, handoff_id: int) -> HttpResponse:
    owner_id = request.POST.get("owner", "")

    def act(user: StaffUser, now: dt.datetime) -> str:
        owner = get_object_or_404(StaffUser, pk=int(owner_id) if owner_id.isdecimal() and len(owner_id) < 10 else 0)
        done = handoffs.assign(handoff_id=handoff_id, owner=owner, by=user, now=now)
        return f"Assigned {done.company.name} to {owner.label}"

    return acted(request, handoff_id, act, redraw=True)


@login_required
@require_POST
def touch(request: HttpRequest, handoff_id: int) -> HttpResponse:
    kind = request.POST.get("kind", "")

    def act(user: StaffUser, now: dt.datetime) -> str:
        text = request.POST.get("text", "")
        done = handoffs.touch(handoff_id=handoff_id, kind=kind, text=text, by=user, now=now)
        return f"Recorded: {done.get_kind_display().lower()}"

    return acted(request, handoff_id, act)


@login_required
@require_POST
def note(request: HttpRequest, handoff_id: int) -> HttpResponse:
    def act(user: StaffUser, now: dt.datetime) -> str:
        handoffs.note(handoff_id=handoff_id, text=request.POST.get("text", ""), by=user, now=now)
        return "Note added"

    return acted(request, handoff_id, act)


@login_required
@require_POST
def close(request: HttpRequest, handoff_id: int) -> HttpResponse:
    data = request.POST

    def act(user: StaffUser, now: dt.datetime) -> str:
        done = handoffs.close(
            handoff_id=handoff_id,
            outcome=data.get("outcome", ""),
            reason=data.get("reason", ""),
            note=data.get("note", ""),
            by=user,
            now=now,
        )
        return f"{done.company.name}: {done.get_status_display().lower()}"

    return acted(request, handoff_id, act, left=(*parts.OPEN_TABS,))


@login_required
@require_POST
def reopen(request: HttpRequest, handoff_id: int) -> HttpResponse:
    def act(user: StaffUser, now: dt.datetime) -> str:
        done = handoffs.reopen(handoff_id=handoff_id, by=user, now=now)
        return f"{done.company.name} is open again"

    return acted(request, handoff_id, act, redraw=True, undoes=False)


@login_required
@require_POST
def put_to_sleep(request: HttpRequest, handoff_id: int) -> HttpResponse:
    """Snooze: `until` is a moment, or empty, and then `day` is one."""
    data = request.POST

    def act(user: StaffUser, now: dt.datetime) -> str:
        until = moment(data.get("until", ""), data.get("day", ""))
        done = snooze.snooze(handoff_id=handoff_id, until=until, or_evidence="or_evidence" in data, by=user, now=now)
        return f"Snoozed {done.company.name} until {parts.when(until)}"

    return acted(request, handoff_id, act, left=("mine", "team", "due"))


@login_required
@require_POST
def wake(request: HttpRequest, handoff_id: int) -> HttpResponse:
    def act(user: StaffUser, now: dt.datetime) -> str:
        done = snooze.wake(handoff_id=handoff_id, by=user, now=now)
        return f"{done.company.name} is awake"

    return acted(request, handoff_id, act, left=("snoozed",))


@login_required
@require_POST
def plan(request: HttpRequest, handoff_id: int) -> HttpResponse:
    """Set the next task."""
    data = request.POST

    def act(user: StaffUser, now: dt.datetime) -> str:
        try:
            day = dt.date.fromisoformat(data.get("day", ""))
        except ValueError:
            raise handoffs.Refused("Choose a day.") from None
        done = next_tasks.put(handoff_id=handoff_id, text=data.get("text", ""), day=day, by=user, now=now)
        return f"Next: {done.text}"

    return acted(request, handoff_id, act)


@login_required
@require_POST
def task_done(request: HttpRequest, handoff_id: int) -> HttpResponse:
    """What was next is done."""

    def act(user: StaffUser, now: dt.datetime) -> str:
        done = next_tasks.finish(handoff_id=handoff_id, by=user, now=now)
        return f"Done: {done.text}"

    return acted(request, handoff_id, act, left=("due",))


@login_required
@require_POST
def take_back(request: HttpRequest, entry_id: int) -> HttpResponse:
    """Undo what an audit row tells."""
    parts.reader(request)
    entry = get_object_or_404(AuditEntry, pk=entry_id, object_type="handoff", object_id__isnull=False)

    def act(user: StaffUser, now: dt.datetime) -> str:
        done = undo.undo(entry_id=entry_id, by=user, now=now)
        return f"{done.company.name} is as it was"

    return acted(request, entry.object_id or 0, act, redraw=True, undoes=False)


def moment(until: str, day: str) -> dt.datetime:
    """What a snooze form asks for: an instant with its zone, or the morning of a day; Refused when it is neither."""
    try:
        if until:
            asked = dt.datetime.fromisoformat(until)
            if asked.tzinfo is not None:
                return asked.astimezone(dt.UTC)
        else:
            return snooze.morning_of(dt.date.fromisoformat(day), zone=workspace.zone())
    except (ValueError, OverflowError):
        pass
    raise handoffs.Refused("Choose until when.")


# --- one way through every action --------------------------------------------------------------------------


def acted(
    request: HttpRequest,
    handoff_id: int,
    act: Callable[[StaffUser, dt.datetime], str],
    *,
    undoes: bool = True,
    left: tuple[str, ...] = (),
    redraw: bool = False,
) -> HttpResponse:
    """Do it once, then say so: the changed parts for htmx, a redirect with a message for a plain form.

    `left` names the tabs whose queue the account is no longer in; `undoes`: what was done is offered to be taken back.
    `redraw` asks for the whole queue with the account open beside it: an undo may come when another one is.
    """
    user, now = parts.reader(request), timezone.now()
    filters = queue.Filters.read(request.GET.dict())
    here = reverse("inbox_handoff", args=[handoff_id]) + filters.here
    try:
        said = act(user, now)
    except Handoff.DoesNotExist as error:
        raise Http404("There is no such handoff.") from error
    except handoffs.HandoffError as error:
        return refused(request, error, here)
    if not request.htmx:  # type: ignore[attr-defined]
        messages.success(request, said)
        return HttpResponseRedirect(here)
    found = parts.found(handoff_id)
    gone = filters.tab in left
    tabs = parts.tabs(user, filters)
    told = parts.pane if redraw else parts.work
    entries = undo.entries_of([handoff_id], by=user, at=now) if undoes else []
    context = told(found, user, filters) | {
        "tabs": tabs,
        "shown": redraw,
        "text": said,
        "undo": reverse("inbox_undo", args=[entries[-1]]) + filters.here if entries else "",
        "gone": gone,
        "unclaimed": tabs[0]["count"],
    }
    if redraw or (gone and not queue.queue(filters, user=user).exists()):
        page = queue.page(filters, user=user)
        context |= parts.queue(user, filters, page.items, page.next_cursor) | {"redraw": True}
        context["selected"] = found.pk
    response = render(request, "inbox/oob.html", context)
    if not redraw:
        response["HX-Trigger"] = json.dumps({"row-gone" if gone else "row-changed": f"#row-{handoff_id}"})
    if redraw:
        response["HX-Push-Url"] = here
        response["HX-Trigger-After-Settle"] = json.dumps({"focus-on": f"#row-{handoff_id} [data-row]"})
    return response


def refused(request: HttpRequest, error: handoffs.HandoffError, here: str) -> HttpResponse:
    """What could not be done, in words: 409 a lost race, 403 not yours, 422 something is missing."""
    if not request.htmx:  # type: ignore[attr-defined]
        if isinstance(error, PermissionDenied):
            raise error
        messages.error(request, error.message)
        return HttpResponseRedirect(here)
    lost = isinstance(error, handoffs.AlreadyClaimed | handoffs.NotOpen)
    status = 409 if lost else 403 if isinstance(error, PermissionDenied) else 422
    if status == 422:
        return render(request, "_toast.html", {"text": error.message, "tone": "bad", "oob": "true"}, status=422)
    response = HttpResponse(error.message, status=status, content_type="text/plain; charset=utf-8")
    if lost:
        response["HX-Trigger"] = "handoff-changed"  # the detail pane fetches itself again
    return response
