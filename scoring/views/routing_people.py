"""What people take and when they are away; every assignment with its reasons, and why somebody else did not get it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import StaffUser
from accounts.team.requests import StaffRequest
from accounts.workspace import zone
from plgops.lib import access, htmx
from scoring import assignments, routing, routing_desk, speed
from scoring.availability import OBSTACLES, obstacle
from scoring.handoff_states import Refused
from scoring.models import Handoff, Leave, Seller, SpeedClock
from scoring.routing_forms import LeaveForm, SellerForm
from scoring.views.routing import STALE, sellers


@login_required
@require_GET
def people(request: StaffRequest) -> HttpResponse:
    """Everybody who works handoffs: what they take, what they have, and whether they can be given one now."""
    access.require(request.user, "handoffs.view")
    now, found = timezone.now(), sellers()
    known = routing.people(p.pk for p in found)
    capped = {s.person_id: s for s in Seller.objects.filter(person__in=found).select_related("calendar")}
    loads = routing.all_loads(known, now=now)
    today = now.astimezone(zone()).date()
    away = defaultdict(list)
    for leave in Leave.objects.filter(person__in=found, last_day__gte=today).order_by("first_day", "pk"):
        away[leave.person_id].append(leave)
    rows = []
    for person in found:
        why = obstacle(known[person.pk], loads[person.pk], at=now, in_hours=True)
        rows.append(
            {
                "person": person,
                "seller": capped.get(person.pk),
                "load": loads[person.pk],
                "leaves": away[person.pk],
                "why": OBSTACLES[why] if why else "",
                "may_plan": routing_desk.may_plan(request.user, person.pk),
            }
        )
    return render(request, "routing/people.html", {"rows": rows, "tab": "people"})


@login_required
@require_http_methods(["GET", "POST"])
def person(request: StaffRequest, person_id: int) -> HttpResponse:
    """One person's limits and leave. A manager changes both, they themselves their leave."""
    who = get_object_or_404(StaffUser, pk=person_id)
    access.require(request.user, "handoffs.work")
    if not routing_desk.may_plan(request.user, who.pk):
        access.require(request.user, "routing.people")
    may_limit = access.may(request.user, "routing.people")
    seller = Seller.objects.filter(person=who).first()
    form = SellerForm(request.POST if request.method == "POST" and may_limit else None, initial=_limits(seller))
    status, stale = 200, ""
    if request.method == "POST":
        access.require(request.user, "routing.people")
        status = 422
        if form.is_valid():
            try:
                fields = {k: v for k, v in form.cleaned_data.items() if k != "edition"}
                edition = form.cleaned_data["edition"]
                routing_desk.save_seller(
                    person=who, fields=fields, edition=edition, by=request.user, now=timezone.now()
                )
            except Refused as error:
                form.add_error("ramp", error.message)
            except routing_desk.Stale:
                status, stale = 409, STALE
                fresh = Seller.objects.filter(person=who).first()
                typed = {**fields, "ramp": ", ".join(map(str, fields["ramp"]))}
                form = SellerForm(initial=typed | {"edition": fresh.edition if fresh else 0})
            else:
                messages.success(request, f"What {who.label} takes is saved")
                return redirect("routing_people")
    return _person(request, who, form, LeaveForm(), stale=stale, status=status)


def _limits(seller: Seller | None) -> dict[str, Any]:
    if seller is None:
        return {"edition": 0}
    names = ("calendar", "daily_cap", "open_cap", "ramp_from", "edition")
    return {name: getattr(seller, name) for name in names} | {"ramp": ", ".join(map(str, seller.ramp))}


def _person(
    request: StaffRequest,
    who: StaffUser,
    form: SellerForm,
    leave_form: LeaveForm,
    *,
    stale: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "who": who,
        "form": form,
        "leave_form": leave_form,
        "leaves": list(Leave.objects.filter(person=who).order_by("-last_day", "-pk")[:30]),
        "may_limit": access.may(request.user, "routing.people"),
        "stale": stale,
    }
    return render(request, "routing/person.html", context, status=status)


@login_required
@require_POST
def leave_add(request: StaffRequest, person_id: int) -> HttpResponse:
    """Note days on which somebody is away."""
    who = get_object_or_404(StaffUser, pk=person_id)
    form = LeaveForm(request.POST)
    if form.is_valid():
        try:
            routing_desk.add_leave(person=who, by=request.user, now=timezone.now(), **form.cleaned_data)
        except Refused as error:
            form.add_error("last_day", error.message)
        else:
            messages.success(request, "Leave noted: nothing is given to them then")
            return redirect("routing_person", person_id=who.pk)
    if not routing_desk.may_plan(request.user, who.pk):
        access.require(request.user, "routing.people")
    limits = SellerForm(initial=_limits(Seller.objects.filter(person=who).first()))
    return _person(request, who, limits, form, status=422)


@login_required
@require_POST
def leave_remove(request: StaffRequest, leave_id: int) -> HttpResponse:
    """Take days of leave back."""
    person_id = get_object_or_404(Leave, pk=leave_id).person_id
    routing_desk.remove_leave(leave_id=leave_id, by=request.user, now=timezone.now())
    messages.success(request, "Leave removed")
    return redirect("routing_person", person_id=person_id)


@login_required
@require_GET
def log(request: StaffRequest) -> HttpResponse:
    """Every assignment, the newest first; `?person=` those that a person was given or passed over for."""
    access.require(request.user, "handoffs.view")
    asked = request.GET.get("person", "")
    who = StaffUser.objects.filter(pk=int(asked)).first() if asked.isdecimal() and len(asked) < 10 else None
    page = assignments.page(person=who.pk if who else None, cursor=request.GET.get("cursor", ""))
    context = {
        "page": page,
        "rows": assignments.told(page.items, reader=request.user),
        "who": who,
        "people": sellers(),
        "tab": "assignments",
        "works": access.may(request.user, "handoffs.work"),
    }
    return htmx.page(request, "routing/assignments.html", context, fragments=("more-rows",))


@login_required
@require_GET
def of_handoff(request: StaffRequest, handoff_id: int) -> HttpResponse:
    """The panel beside a handoff: why its owner has it, who was passed over, and how its clock stands."""
    access.require(request.user, "handoffs.view")
    handoff = get_object_or_404(Handoff.objects.select_related("owner"), pk=handoff_id)
    clock = SpeedClock.objects.select_related("calendar").filter(handoff=handoff).first()
    now = timezone.now()
    reading = speed.read(handoff, clock, speed.pauses_of([handoff.pk])[handoff.pk], now=now)
    context = {
        "h": handoff,
        "walks": assignments.of_handoff(handoff.pk, reader=request.user),
        "clock": clock,
        "reading": reading,
        "late": speed.is_late(handoff, reading, now=now),
        "steps": list(handoff.speed_steps.order_by("pk")),
        "works": access.may(request.user, "handoffs.work"),
        "now": now,
    }
    return render(request, "routing/of_handoff.html", context)
