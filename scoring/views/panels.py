"""What scoring shows on the account page, fetched by URL."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from accounts.models import Account
from plgops.lib import access
from scoring import reasons


@login_required
@require_GET
def qualification(request: HttpRequest, account_id: int) -> HttpResponse:
    """Why an account qualifies now, under what it did before, and in whose hands its company is."""
    access.require(request.user, "accounts.view")
    account = get_object_or_404(Account.objects.only("id", "parent_id"), pk=account_id)
    return render(request, "scoring/qualification_panel.html", reasons.episodes(account))
