"""Routing as it is read and edited: the ladder with its simulation, and the pools."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import StaffUser
from accounts.team.requests import StaffRequest
from plgops.lib import access, htmx
from scoring import ladder, routing, routing_desk, simulate
from scoring.availability import OBSTACLES
from scoring.handoff_states import Refused
from scoring.ladder import BadLadder
from scoring.models import PoolMember, RoutingLadder, RoutingPool
from scoring.routing_forms import LadderForm, PoolForm, StepForm, typed

STALE = "Somebody else changed it since you opened it. Look at what it says now; your changes are still below."


def sellers() -> list[StaffUser]:
    """Who works handoffs, by name."""
    people = StaffUser.objects.filter(is_active=True, groups__name__in=sorted(routing.WORKERS)).distinct()
    return list(people.order_by("first_name", "username"))


@login_required
@require_GET
def index(request: StaffRequest) -> HttpResponse:
    """The ladder in force, in words, with its pools and its history."""
    access.require(request.user, "handoffs.view")
    live = routing.current()
    steps = ladder.read(live.steps)
    people = {p.pk: p.label for p in StaffUser.objects.filter(pk__in=ladder.people_of(steps))}
    pools = list(RoutingPool.objects.filter(retired_at=None).order_by("name", "pk"))
    members: dict[int, list[PoolMember]] = {pool.pk: [] for pool in pools}
    for member in PoolMember.objects.filter(pool__in=pools).select_related("person").order_by("person__first_name"):
        members[member.pool_id].append(member)
    names = {pool.pk: pool.name for pool in pools}
    context = {
        "live": live,
        "steps": [(step, _leads_to(step, people, names)) for step in steps],
        "pools": [(pool, members[pool.pk]) for pool in pools],
        "history": list(RoutingLadder.objects.select_related("published_by").order_by("-number")[:10]),
        "may_edit": access.may(request.user, "routing.edit"),
        "tab": "ladder",
    }
    return render(request, "routing/ladder.html", context)


def _leads_to(step: ladder.Step, people: dict[int, str], pools: dict[int, str]) -> str:
    if step.kind == "owner":
        return "the account's owner" + (
            f", or who had it last, for {step.last_owner_days} days" if step.last_owner_days else ""
        )
    if step.kind == "named":
        count = len(step.accounts)
        return f"{count} account{'' if count == 1 else 's'} and their people"
    if step.person is not None:
        return people.get(step.person, "somebody who is gone")
    return f"pool {pools.get(step.pool or 0, 'that is retired')}"


# --- the ladder's draft ------------------------------------------------------------------------------------------


@login_required
@require_http_methods(["GET", "POST"])
def edit(request: StaffRequest) -> HttpResponse:
    """The draft is the form itself: a button moves, adds or removes a step, tries the draft, or publishes it."""
    access.require(request.user, "routing.edit")
    people, pools = sellers(), list(RoutingPool.objects.filter(retired_at=None).order_by("name", "pk"))
    live = routing.current()
    choices: dict[str, Any] = {"people": people, "pools": pools}
    if request.method == "GET":
        forms = [StepForm(initial=typed(step, people), prefix=f"s{n}", **choices) for n, step in enumerate(live.steps)]
        form = LadderForm(initial={"replaces": live.number})
        return _draft(request, forms, form, live=live)
    count = request.POST.get("n", "")
    size = min(int(count), ladder.MOST_STEPS) if count.isdecimal() and len(count) < 4 else 0
    forms = [StepForm(request.POST, prefix=f"s{n}", **choices) for n in range(size)]
    form = LadderForm(request.POST)
    do, _, where = request.POST.get("do", "").partition(":")
    if do in ("up", "down", "remove", "add"):
        forms, focus = _moved(forms, do, where, choices)
        kept = LadderForm(initial={"reason": request.POST.get("reason", ""), "replaces": request.POST.get("replaces")})
        return _draft(request, forms, kept, live=live, focus=focus)
    sound = not [step for step in forms if not step.is_valid()]  # every step says what is wrong with it
    if do == "simulate":
        found = simulate.simulate(ladder.read(_stored(forms)), now=timezone.now()) if sound else None
        if htmx.wants(request, "simulation") and sound:
            return render(request, "routing/edit.html#simulation", {"found": found, **_words()})
        kept = LadderForm(initial={"reason": request.POST.get("reason", ""), "replaces": request.POST.get("replaces")})
        return _draft(request, forms, kept, live=live, found=found, status=200 if sound else 422)
    if not form.is_valid() or not sound:
        return _draft(request, forms, form, live=live, status=422)
    try:
        made = routing_desk.publish(
            steps=_stored(forms),
            replaces=form.cleaned_data["replaces"],
            reason=form.cleaned_data["reason"],
            by=request.user,
            now=timezone.now(),
        )
    except BadLadder as error:
        form.add_error(None, str(error))
        return _draft(request, forms, form, live=live, status=422)
    except routing_desk.Stale:
        again = LadderForm(initial={"reason": form.cleaned_data["reason"], "replaces": routing.current().number})
        return _draft(request, forms, again, live=routing.current(), stale=True, status=409)
    messages.success(request, f"Version {made.number} is in force")
    return redirect("routing")


def _stored(forms: list[StepForm]) -> list[dict[str, Any]]:
    return [form.stored() for form in forms]


def _moved(forms: list[StepForm], do: str, where: str, choices: dict[str, Any]) -> tuple[list[StepForm], int]:
    """The draft after a move, as unbound forms with what was typed; and which step takes the focus."""
    typed_now = [
        {name: form.data.get(form.add_prefix(name), "") for name in form.fields} | {"kind": form.step_kind}
        for form in forms
    ]
    at = int(where) if where.isdecimal() else -1
    if do == "add" and where in ladder.KINDS and len(forms) < ladder.MOST_STEPS:
        typed_now.append({"kind": where})
        at = len(typed_now) - 1
    elif do == "remove" and 0 <= at < len(forms):
        typed_now.pop(at)
        at = max(0, at - 1)
    elif do in ("up", "down"):
        other = at + (1 if do == "down" else -1)
        if 0 <= at < len(forms) and 0 <= other < len(forms):
            typed_now[at], typed_now[other] = typed_now[other], typed_now[at]
            at = other
    moved = [StepForm(initial=values, prefix=f"s{n}", **choices) for n, values in enumerate(typed_now)]
    return moved, at if moved else -1


def _draft(
    request: HttpRequest,
    forms: list[StepForm],
    form: LadderForm,
    *,
    live: RoutingLadder,
    found: simulate.Simulation | None = None,
    stale: bool = False,
    focus: int = -1,
    status: int = 200,
) -> HttpResponse:
    has_owner = any(step.step_kind == "owner" for step in forms)  # a second one would find nobody the first did not
    context = {
        "steps": forms,
        "form": form,
        "live": live,
        "found": found,
        "stale": STALE if stale else "",
        "focus": focus,
        "kinds": {kind: label for kind, label in ladder.KINDS.items() if kind != "owner" or not has_owner},
        **_words(),
    }
    if htmx.wants(request, "simulation"):  # there is none: what is wrong stands at its step, not in the simulation
        response = render(request, "routing/edit.html#draft", context, status=status)
        response.headers["HX-Retarget"] = "#draft"
        response.headers["HX-Reswap"] = "outerHTML show:none"
        return response
    return htmx.page(request, "routing/edit.html", context, fragments=("draft",), status=status)


def _words() -> dict[str, Any]:
    return {"obstacles": OBSTACLES}


# --- pools -------------------------------------------------------------------------------------------------------


@login_required
@require_http_methods(["GET", "POST"])
def pool(request: StaffRequest, pool_id: int | None = None) -> HttpResponse:
    """Who takes turns, with which weight."""
    access.require(request.user, "routing.edit")
    found = get_object_or_404(RoutingPool, pk=pool_id, retired_at=None) if pool_id else None
    weights = dict(PoolMember.objects.filter(pool=found).values_list("person", "weight")) if found else {}
    started: dict[str, Any] = {"name": found.name if found else "", "edition": found.edition if found else 0}
    form = PoolForm(request.POST or None, initial=started, people=sellers(), weights=weights)
    status, stale = 200, ""
    if request.method == "POST":
        status = 422
        if form.is_valid():
            data = form.cleaned_data
            try:
                saved = routing_desk.save_pool(
                    pool_id=pool_id,
                    name=data["name"],
                    weights=form.weights,
                    edition=data["edition"],
                    by=request.user,
                    now=timezone.now(),
                )
            except Refused as error:
                form.add_error("name", error.message)
            except routing_desk.Stale:
                status, stale = 409, STALE
                form = PoolForm(
                    initial={"name": data["name"], "edition": RoutingPool.objects.get(pk=pool_id or 0).edition},
                    people=sellers(),
                    weights=form.weights,
                )
            else:
                messages.success(request, f"{saved.name} saved")
                return redirect("routing")
    context = {"form": form, "pool": found, "stale": stale}
    return render(request, "routing/pool.html", context, status=status)


@login_required
@require_POST
def pool_retire(request: StaffRequest, pool_id: int) -> HttpResponse:
    """Take a pool out of use."""
    get_object_or_404(RoutingPool, pk=pool_id)
    try:
        gone = routing_desk.retire_pool(pool_id=pool_id, by=request.user, now=timezone.now())
    except Refused as error:
        messages.error(request, error.message)
        return redirect("routing_pool", pool_id=pool_id)
    messages.success(request, f"{gone.name} is retired")
    return redirect("routing")
