"""What scoring shows on the account page, fetched by URL."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.models import Account
from accounts.workspace import day_of
from plgops.lib import access
from scoring import nearest, next_action, reached_out, reasons


@login_required
@require_GET
def qualification(request: HttpRequest, account_id: int) -> HttpResponse:
    """Why an account qualifies now, under what it did before, and in whose hands its company is."""
    access.require(request.user, "accounts.view")
    account = get_object_or_404(Account.objects.only("id", "parent_id"), pk=account_id)
    return render(request, "scoring/qualification_panel.html", reasons.episodes(account))


@login_required
@require_GET
def near(request: HttpRequest, account_id: int) -> HttpResponse:
    """Which definitions an account is one condition short of, and what is missing; 204 where there is none."""
    access.require(request.user, "accounts.view")
    account = get_object_or_404(Account.objects.only("id"), pk=account_id)
    found = nearest.of_account(account.pk, now=timezone.now())
    if not found:
        return HttpResponse(status=204)
    return render(request, "scoring/near.html", {"near": found, "account_id": account.pk})


@login_required
@require_GET
def today(request: HttpRequest, qualification_id: int) -> HttpResponse:
    """The conditions of an episode with what they measure today beside what was frozen."""
    access.require(request.user, "accounts.view")
    found = get_object_or_404(reasons.rows(), pk=qualification_id)
    (reason,) = reasons.told_of([found], today=day_of(timezone.now()))
    return render(request, "scoring/_why.html#conditions", {"reason": reason})


@login_required
@require_GET
def sales(request: HttpRequest, account_id: int) -> HttpResponse:
    """Who of sales talks to the account's company now, and what would help most next."""
    access.require(request.user, "accounts.view")
    account = get_object_or_404(Account.objects.only("id", "parent_id"), pk=account_id)
    return render(request, "scoring/talking.html", {"talking": next_action.of_account(account, now=timezone.now())})


@login_required
@require_GET
def plays(request: HttpRequest, account_id: int) -> HttpResponse:
    """What the account's company meets in the product now, and what customer success has to do about it."""
    user = request.user
    access.require(user, "accounts.view")
    account = get_object_or_404(Account.objects.only("id", "parent_id"), pk=account_id)
    now = timezone.now()
    context = {
        "out": reached_out.of_account(account, now=now),
        "today": timezone.localdate(now),
        "may_work": access.may(user, "plays.tasks"),
    }
    return render(request, "scoring/reached_out.html", context)
