"""Support tiers: who is helped how."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.team.requests import StaffRequest
from plgops.lib import access
from support import queries, tiers
from support.forms import TierForm
from support.models import Tier


@login_required
@require_GET
def tier_list(request: StaffRequest) -> HttpResponse:
    access.require(request.user, "tickets.view")
    context = {"tiers": list(queries.tiers()), "can_edit": access.may(request.user, "tiers.edit")}
    return render(request, "tiers/list.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def tier_edit(request: StaffRequest, pk: int | None = None) -> HttpResponse:
    """Write a tier; every account is looked at again in the background."""
    access.require(request.user, "tiers.edit")
    tier = get_object_or_404(Tier, pk=pk) if pk else Tier()
    form = TierForm(request.POST or None, instance=tier)
    if request.method == "POST" and form.is_valid():
        saved = tiers.save_tier(tier=form.save(commit=False), by=request.user, now=timezone.now())
        messages.success(request, f"{saved.name} saved. Accounts move to their tier within a minute.")
        return redirect("tiers")
    status = 422 if request.method == "POST" else 200
    return render(request, "tiers/edit.html", {"form": form, "tier": tier}, status=status)


@login_required
@require_POST
def tier_remove(request: StaffRequest, pk: int) -> HttpResponse:
    access.require(request.user, "tiers.edit")
    get_object_or_404(Tier, pk=pk)
    try:
        tiers.remove_tier(tier_id=pk, by=request.user, now=timezone.now())
    except tiers.TierInUse as error:
        messages.error(request, str(error))
        return redirect("tier-edit", pk=pk)
    messages.success(request, "Tier removed")
    return redirect("tiers")
