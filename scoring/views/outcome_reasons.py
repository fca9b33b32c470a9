"""The page on which admins keep the reasons of outcomes, and what came of a definition's handoffs for which reason."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from plgops.lib import access
from scoring import outcome_reasons, queue
from scoring.handoff_states import OUTCOMES, HandoffError
from scoring.models import Definition, Handoff, OutcomeReason
from scoring.views.inbox_parts import reader


@login_required
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Every outcome with its reasons, and the archived ones below."""
    access.require(request.user, "handoffs.view")
    shown = outcome_reasons.offered()
    archived = OutcomeReason.objects.filter(archived_at__isnull=False).order_by("outcome", "label", "pk")
    groups = [
        {"outcome": outcome, "label": Handoff.Status(outcome).label, "reasons": shown[outcome]} for outcome in OUTCOMES
    ]
    may_edit = access.may(request.user, outcome_reasons.CAPABILITY)
    context = {"groups": groups, "archived": archived[:100], "may_edit": may_edit, "most": outcome_reasons.MOST}
    return render(request, "inbox/reasons.html", context)


@login_required
@require_POST
def act(request: HttpRequest, verb: str) -> HttpResponse:
    """Add, change, archive, move up; then the list again."""
    user, now, data = reader(request), timezone.now(), request.POST
    reason_id = int(data["reason"]) if data.get("reason", "").isdecimal() and len(data["reason"]) < 19 else 0
    marks = {"needs_note": "needs_note" in data, "is_bad_lead": "is_bad_lead" in data}
    try:
        if verb == "add":
            outcome, label = data.get("outcome", ""), data.get("label", "")
            done = outcome_reasons.add(outcome=outcome, label=label, by=user, now=now, **marks)
            said = f"“{done.label}” can be chosen from now on."
        elif verb == "change":
            label = data.get("label", "")
            done = outcome_reasons.change(reason_id=reason_id, label=label, by=user, now=now, **marks)
            said = f"It is called “{done.label}”."
        elif verb == "archive":
            done = outcome_reasons.archive(reason_id=reason_id, by=user, now=now)
            said = f"“{done.label}” is offered no more; what was closed with it keeps it."
        else:
            done = outcome_reasons.move_up(reason_id=reason_id, by=user, now=now)
            said = f"“{done.label}” is further up."
    except OutcomeReason.DoesNotExist as error:
        raise Http404("There is no such reason.") from error
    except HandoffError as error:
        if isinstance(error, PermissionDenied):
            raise
        messages.error(request, error.message)
    else:
        messages.success(request, said)
    return redirect("inbox_reasons")


@login_required
@require_GET
def of_definition(request: HttpRequest, slug: str) -> HttpResponse:
    """What came of a definition's handoffs, by version; 204 while none was closed."""
    access.require(request.user, "handoffs.view")
    definition = get_object_or_404(Definition, slug=slug)
    versions = outcome_reasons.by_version(definition)
    if not versions:
        return HttpResponse(status=204)
    told = [
        {
            "version": one.version,
            "closed": one.closed,
            "rows": [
                {
                    "text": Handoff.Status(row.outcome).label + (f": {row.label}" if row.label else ""),
                    "number": row.number,
                    "percent": round(100 * row.share),
                    "url": queue.Filters(
                        tab="done", definition=slug, version=one.version, outcome=row.outcome, reason=row.reason
                    ).here,
                }
                for row in one.rows
            ],
        }
        for one in versions[:3]
    ]
    return render(request, "definitions/outcomes.html", {"versions": told, "older": len(versions) - len(told)})
