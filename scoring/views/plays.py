"""Plays: the list with live numbers, one with its form, its accounts and its lift, a new one, and its states."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.team.requests import StaffRequest
from plgops.lib import access, htmx
from scoring import holdout, play_numbers, playbook
from scoring.models import Play
from scoring.play_forms import MOMENTS, KindForm, PlayForm, initial_of

LIST = "plays/list.html"
PAGE = "plays/page.html"
NEW = "plays/new.html"
PAST = {"start": "Started", "pause": "Paused", "archive": "Archived", "restore": "Restored, and paused,"}


@login_required
@require_GET
def play_list(request: HttpRequest) -> HttpResponse:
    """The plays, those in use first."""
    access.require(request.user, "definitions.view")
    archived = request.GET.get("archived") == "1"
    context = {
        "plays": play_numbers.listed(archived=archived),
        "archived": archived,
        "may_edit": access.may(request.user, "plays.edit"),
    }
    return render(request, LIST, context)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def play_page(request: StaffRequest, slug: str) -> HttpResponse:
    """One play; a POST changes it."""
    access.require(request.user, "definitions.view")
    play = _found(slug)
    now, may_edit = timezone.now(), access.may(request.user, "plays.edit")
    form, status = PlayForm(initial=initial_of(play), action=play.action, trigger=play.trigger), 200
    if request.method == "POST":
        access.require(request.user, "plays.edit")
        form, status = PlayForm(request.POST, action=play.action, trigger=play.trigger), 422
        if form.is_valid():
            try:
                playbook.edit(play_id=play.pk, values=form.values(), by=request.user, now=now)
                messages.success(request, "Saved. It acts so on what opens from now on.")
                return redirect("play", slug=slug)
            except playbook.Refused as error:
                form.add_error(None, str(error))
    tab = request.GET.get("tab", "all")
    tab = tab if tab in {name for name, _, _ in play_numbers.TABS} else "all"
    numbers = play_numbers.numbers([play.pk]).get(play.pk, play_numbers.Numbers())
    context: dict[str, Any] = {
        "play": play,
        "form": form,
        "numbers": numbers,
        "tab": tab,
        "tabs": [(name, words, numbers.of(name)) for name, words, _ in play_numbers.TABS],
        "page": play_numbers.runs(play, tab=tab, cursor=request.GET.get("cursor", "")),
        "may_edit": may_edit,
    }
    if not htmx.wants(request, "runs"):
        context |= {
            "lift": holdout.lift(play, now=now),
            "least": holdout.LEAST_EACH,
            "met": play_numbers.met(play) if play.action in Play.OUTREACH else None,
            "history": play_numbers.history(play),
            "verbs": playbook.allowed(play) if may_edit else [],
        }
    return htmx.page(request, PAGE, context, fragments=("runs",), status=status)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def new(request: StaffRequest) -> HttpResponse:
    """A new play in two steps: what it is about, then how; a POST makes the draft."""
    access.require(request.user, "plays.edit")
    kind = KindForm(request.GET if "definition" in request.GET else None, initial=request.GET.dict())
    if not kind.is_bound or not kind.is_valid():
        return render(request, NEW, {"kind": kind}, status=422 if kind.is_bound else 200)
    wanted = kind.cleaned_data
    action, definition = wanted["action"], wanted["definition"]
    moment = request.GET.get("moment", "")
    given = MOMENTS.get(moment, {}) if action == Play.Action.PROMPT else {}
    begin = {"name": f"{definition.name}: {given.get('name') or Play.Action(action).label.lower()}"[:120]}
    form, status = PlayForm(initial=given | begin | {"moment": moment}, action=action, trigger=wanted["trigger"]), 200
    if request.method == "POST":
        form, status = PlayForm(request.POST, action=action, trigger=wanted["trigger"]), 422
        if form.is_valid():
            values = form.values()
            name = values.pop("name")
            try:
                play = playbook.create(
                    playbook.Wanted(name, definition, action, wanted["trigger"], values),
                    by=request.user,
                    now=timezone.now(),
                )
                messages.success(request, "A draft. It does nothing before you start it.")
                return redirect("play", slug=play.slug)
            except playbook.Refused as error:
                form.add_error(None, str(error))
    context = {
        "kind": kind,
        "form": form,
        "definition": definition,
        "action": Play.Action(action),
        "trigger": Play.Trigger(wanted["trigger"]),
        "moments": [(name, given["name"]) for name, given in MOMENTS.items()] if action == Play.Action.PROMPT else [],
        "moment": moment,
    }
    return render(request, NEW, context, status=status)


@login_required
@require_POST
def move(request: StaffRequest, slug: str, verb: str) -> HttpResponse:
    """Start, pause, archive or restore a play."""
    access.require(request.user, "plays.edit")
    play = _found(slug)
    try:
        playbook.move(play_id=play.pk, verb=verb, by=request.user, now=timezone.now())
        messages.success(request, f"{PAST[verb]} {play.name}.")
    except playbook.Refused as error:
        messages.error(request, str(error))
    return redirect("play", slug=slug)


@login_required
@require_POST
def would(request: StaffRequest, slug: str) -> HttpResponse:
    """What the play would have done lately with what the form says now; nothing is saved."""
    access.require(request.user, "definitions.view")
    play = _found(slug)
    form = PlayForm(request.POST, action=play.action, trigger=play.trigger)
    if not form.is_valid():
        return render(request, "plays/would.html", {"form": form, "play": play}, status=422)
    for name, value in form.values().items():
        setattr(play, name, value)
    found = play_numbers.would_fire(play, now=timezone.now())
    return render(request, "plays/would.html", {"would": found, "play": play})


def _found(slug: str) -> Play:
    return get_object_or_404(Play.objects.select_related("definition", "created_by"), slug=slug)
