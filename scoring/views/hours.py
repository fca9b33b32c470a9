"""Business hours: the calendars that routing, speed to lead and support reckon with."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from accounts import workspace
from accounts.models import BusinessCalendar
from accounts.team import calendars
from accounts.team.requests import StaffRequest
from plgops.lib import access
from plgops.lib.business_time import BadCalendar
from scoring import speed
from scoring.routing_forms import WEEK, CalendarForm
from scoring.views.routing import STALE


@login_required
@require_GET
def index(request: StaffRequest) -> HttpResponse:
    """Every calendar with its week and the dates that are still to come."""
    access.require(request.user, "handoffs.view")
    today = timezone.localdate().isoformat()
    rows = [
        {
            "calendar": row,
            "week": [(words, row.hours.get(day, ())) for day, words in WEEK.items()],
            "closed": [day for day in sorted(row.holidays) if day >= today][:5],
            "dated": [(day, spans) for day, spans in sorted(row.overrides.items()) if day >= today][:5],
        }
        for row in BusinessCalendar.objects.order_by("pk")
    ]
    may_edit = access.may(request.user, calendars.CAPABILITY)
    return render(request, "routing/hours.html", {"rows": rows, "may_edit": may_edit, "tab": "hours"})


@login_required
@require_http_methods(["GET", "POST"])
def calendar(request: StaffRequest, calendar_id: int | None = None) -> HttpResponse:
    """Make or change a calendar; what is promised in it follows."""
    access.require(request.user, calendars.CAPABILITY)
    found = get_object_or_404(BusinessCalendar, pk=calendar_id) if calendar_id else None
    begin = CalendarForm.of(found) if found else {"time_zone": workspace.zone().key}
    form = CalendarForm(request.POST or None, initial=begin)
    status, stale, now = 200, "", timezone.now()
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                saved = calendars.save(calendar_id=calendar_id, by=request.user, now=now, **form.told())
            except BadCalendar as error:
                form.add_error(None, str(error))
            except calendars.Stale:
                fresh = calendars.mark_of(BusinessCalendar.objects.get(pk=calendar_id or 0))
                status, stale, form = 409, STALE, CalendarForm(initial=form.cleaned_data | {"was": fresh})
            else:
                speed.look_again(saved.pk, now=now)
                messages.success(request, f"{saved.name} saved")
                return redirect("routing_hours")
    context = {"form": form, "calendar": found, "stale": stale}
    return render(request, "routing/calendar.html", context, status=status)
