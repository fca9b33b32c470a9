"""Event types: the catalogue, and what each event means."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Exists, OuterRef
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from accounts import event_types, rebuild
from accounts.forms import EventTypeForm
from accounts.models import EventType, Recount
from accounts.team.requests import StaffRequest
from plgops.lib import access
from plgops.lib.htmx import page
from plgops.lib.paging import keyset


@login_required
@require_GET
def event_type_list(request: StaffRequest) -> HttpResponse:
    """Every event type; `?meaning=none` those that nobody has described yet."""
    access.require(request.user, "event_types.edit")
    search, meaning = request.GET.get("q", "").strip(), request.GET.get("meaning", "")
    rows = EventType.objects.select_related("base").annotate(
        is_recounted=Exists(Recount.objects.filter(event_type=OuterRef("pk")))
    )
    if search:
        rows = rows.filter(name__icontains=search)
    if meaning == "none":
        rows = rows.filter(meaning="")
    elif meaning in EventType.Meaning.values and meaning:
        rows = rows.filter(meaning=meaning)
    else:
        meaning = ""
    context = {
        "page": keyset(rows, by="name", cursor=request.GET.get("cursor", "")),
        "q": search,
        "meaning": meaning,
        "meanings": [choice for choice in EventType.Meaning.choices if choice[0]],
    }
    return page(request, "event_types/list.html", context, fragments=("event-types",))


@login_required
@require_http_methods(["GET", "POST"])
def event_type_edit(request: StaffRequest, event_type_id: int) -> HttpResponse:
    access.require(request.user, "event_types.edit")
    kind = get_object_or_404(EventType.objects.select_related("base"), pk=event_type_id)
    form = EventTypeForm(request.POST or None, instance=kind)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                event_types.describe(
                    event_type_id=event_type_id, **form.cleaned_data, by=request.user, now=timezone.now()
                )
                messages.success(request, f"{kind.name} is described")
                return redirect("event-types")
            except event_types.NotRaw as error:
                form.add_error("is_activity", str(error))
    context = {"form": form, "kind": kind, "recount": rebuild.under_way(kind)}
    return render(request, "event_types/edit.html", context, status=status)
