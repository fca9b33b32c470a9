"""Speed to lead: the policies, and how soon people claim and touch."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from accounts.team.requests import StaffRequest
from plgops.lib import access
from scoring import routing_desk, speed_numbers
from scoring.handoff_states import Refused
from scoring.models import SpeedPolicy
from scoring.routing_forms import PolicyForm
from scoring.views.routing import STALE

FIELDS = ("is_on", "claim_minutes", "touch_minutes", "warn_percent", "reroute_after", "escalate_after", "calendar")


@login_required
@require_GET
def index(request: StaffRequest) -> HttpResponse:
    """What is promised, and what was kept in the last 90 days."""
    access.require(request.user, "handoffs.view")
    policies = SpeedPolicy.objects.select_related("play", "calendar").order_by("play__name", "pk")
    told = speed_numbers.measured(now=timezone.now())
    context = {
        "policies": list(policies),
        "measured": [("Person", told.people), ("Play", told.plays)],
        "days": speed_numbers.DAYS,
        "may_edit": access.may(request.user, "routing.edit"),
        "tab": "speed",
    }
    return render(request, "routing/speed.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def policy(request: StaffRequest, policy_id: int | None = None) -> HttpResponse:
    """Make or change a policy; handoffs that are open keep theirs."""
    access.require(request.user, "routing.edit")
    found = get_object_or_404(SpeedPolicy, pk=policy_id) if policy_id else None
    start: dict[str, Any] = {"is_on": True, "warn_percent": 80, "edition": 0}
    if found:
        start = {name: getattr(found, name) for name in (*FIELDS, "play", "edition")}
    form = PolicyForm(request.POST or None, initial=start)
    form.fields["play"].disabled = found is not None
    status, stale = 200, ""
    if request.method == "POST":
        status = 422
        if form.is_valid():
            data = form.cleaned_data
            try:
                routing_desk.save_policy(
                    policy_id=policy_id,
                    play=data["play"],
                    fields={name: data[name] for name in FIELDS},
                    edition=data["edition"],
                    by=request.user,
                    now=timezone.now(),
                )
            except Refused as error:
                form.add_error(None, error.message)
            except routing_desk.Stale:
                status, stale = 409, STALE
                form = PolicyForm(initial=data | {"edition": SpeedPolicy.objects.get(pk=policy_id or 0).edition})
                form.fields["play"].disabled = True
            else:
                messages.success(request, "Speed policy saved")
                return redirect("routing_speed")
    context = {"form": form, "policy": found, "stale": stale}
    return render(request, "routing/policy.html", context, status=status)
