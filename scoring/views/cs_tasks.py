"""Tasks of customer success: what is open, what came of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.team.requests import StaffRequest
from plgops.lib import access
from plgops.lib.htmx import page
from plgops.lib.paging import keyset
from scoring import cs_tasks
from scoring.models import CsTask
from scoring.play_forms import TaskForm

TABS = (("open", "Open"), ("mine", "Mine"), ("closed", "Closed"))


@login_required
@never_cache
@require_GET
def task_list(request: StaffRequest) -> HttpResponse:
    """Open tasks, what is due first; one's own; and those that were closed."""
    access.require(request.user, "plays.tasks")
    tab = request.GET.get("tab", "open")
    tab = tab if tab in dict(TABS) else "open"
    rows = CsTask.objects.select_related("company", "owner", "run__play", "closed_by").defer("company__traits")
    cursor = request.GET.get("cursor", "")
    if tab == "closed":
        found = keyset(rows.filter(closed_at__isnull=False), by="-closed_at", tie="id", cursor=cursor, size=25)
    else:
        mine = {"owner": request.user} if tab == "mine" else {}
        found = keyset(rows.filter(status=CsTask.Status.OPEN, **mine), by="due_on", cursor=cursor, size=25)
    context: dict[str, Any] = {
        "page": found,
        "tab": tab,
        "tabs": TABS,
        "today": timezone.localdate(),
        "form": TaskForm(),
    }
    return page(request, "plays/tasks.html", context)


def _back(request: StaffRequest) -> HttpResponse:
    """To the tab that it was done on."""
    tab = request.GET.get("tab", "open")
    here = reverse("cs_tasks")
    return redirect(f"{here}?tab={tab}" if tab != "open" and tab in dict(TABS) else here)


def _acted(request: StaffRequest, task_id: int, act: Callable[[CsTask], object], said: str) -> HttpResponse:
    """Do it with the task, say so or why not, and go back."""
    task = get_object_or_404(CsTask, pk=task_id)
    try:
        act(task)
        messages.success(request, f"“{task.title}” is {said}.")
    except cs_tasks.Refused as error:
        messages.error(request, str(error))
    return _back(request)


@login_required
@require_POST
def take(request: StaffRequest, task_id: int) -> HttpResponse:
    """Make it one's own."""
    access.require(request.user, "plays.tasks")
    now = timezone.now()
    return _acted(request, task_id, lambda task: cs_tasks.take(task_id=task.pk, by=request.user, now=now), "yours")


@login_required
@require_POST
def close(request: StaffRequest, task_id: int) -> HttpResponse:
    """Done or dismissed, by the button that was pressed."""
    access.require(request.user, "plays.tasks")
    form = TaskForm(request.POST)

    def act(task: CsTask) -> None:
        if not form.is_valid():
            raise cs_tasks.Refused("Choose what came of it.")
        cs_tasks.close(
            task_id=task.pk,
            status=request.POST.get("status", ""),
            outcome=form.cleaned_data["outcome"],
            note=form.cleaned_data["note"],
            by=request.user,
            now=timezone.now(),
        )

    return _acted(request, task_id, act, "closed")


@login_required
@require_POST
def reopen(request: StaffRequest, task_id: int) -> HttpResponse:
    """Take back that it was closed."""
    access.require(request.user, "plays.tasks")
    now = timezone.now()
    return _acted(
        request, task_id, lambda task: cs_tasks.reopen(task_id=task.pk, by=request.user, now=now), "open again"
    )
