"""Data quality: event types out of their rhythm, what was not understood, what cannot be evaluated."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts import data_quality
from accounts.team.requests import StaffRequest
from plgops.lib import access, rhythm

SHOWN = data_quality.SHOWN


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the summary on the home page."""

    words: str
    badge: str
    tone: str


@login_required
@require_GET
def quality(request: StaffRequest) -> HttpResponse:
    """The page; definitions come by themselves, from the floor above."""
    access.require(request.user, "data.quality")
    found, new = data_quality.rhythms(), data_quality.new_types(now=timezone.now())
    context = {
        "rhythms": found,
        "silent": found.silent[:SHOWN],
        "silent_more": max(0, len(found.silent) - SHOWN),
        "doubled": found.doubled[:SHOWN],
        "doubled_more": max(0, len(found.doubled) - SHOWN),
        "new": new[:SHOWN],
        "new_more": len(new) > SHOWN,
        "errors": data_quality.errors(),
        "quarantine_read": data_quality.QUARANTINE_READ,
        "recent_days": data_quality.RECENT_DAYS,
        "weeks": rhythm.WEEKS,
        "fewest_weeks": rhythm.FEWEST_WEEKS,
        "odds": round(1 / rhythm.SURPRISE),
        "is_admin": access.may(request.user, "workspace.admin"),
    }
    return render(request, "data_quality/page.html", context)


@login_required
@require_GET
def summary(request: StaffRequest) -> HttpResponse:
    """What stands out, for the home page."""
    access.require(request.user, "data.quality")
    found, new = data_quality.rhythms(), data_quality.new_types(now=timezone.now())
    lines = [
        Line(one.event_type.name, f"Silent for {one.days} day{'' if one.days == 1 else 's'}", "bad")
        for one in found.silent[:3]
    ]
    lines += [Line(one.event_type.name, f"{one.times:.1f} times the usual", "warn") for one in found.doubled[:2]]
    undescribed = [one for one in new if not one.meaning]
    if undescribed:
        count = f"{SHOWN}+" if len(undescribed) > SHOWN else str(len(undescribed))
        lines.append(Line(f"{count} new, not described yet", "New", "accent"))
    return render(request, "data_quality/summary.html", {"rhythms": found, "lines": lines})
