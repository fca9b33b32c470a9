"""What sales does about an account, on the account's page: what is next, touches and notes; adding to both."""

from __future__ import annotations

import datetime as dt

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.models import Account
from accounts.team.requests import StaffRequest
from plgops.lib import access
from scoring import account_work, handoffs, next_tasks
from scoring.models import Handoff
from scoring.views.inbox_parts import tomorrow


@login_required
@require_http_methods(["GET", "POST"])
def panel(request: StaffRequest, account_id: int) -> HttpResponse:
    """The panel; 204 where sales never had the company. POST adds a note, plans what is next, or says it is done."""
    access.require(request.user, "accounts.view")
    access.require(request.user, "handoffs.view")
    account = get_object_or_404(Account.objects.only("id", "parent_id"), pk=account_id)
    problem = _act(request, account) if request.method == "POST" else ""
    if request.method == "POST" and not request.htmx:
        if problem:
            messages.error(request, problem)
        return redirect("account", account_id=account_id)
    work = account_work.of_account(account, reader=request.user, now=timezone.now())
    if work is None:
        return HttpResponse(status=204)
    context = {
        "work": work,
        "account_id": account_id,
        "problem": problem,
        "text": request.POST.get("text", "") if problem and request.POST.get("verb") == "note" else "",
        "today": tomorrow() - dt.timedelta(days=1),
        "tomorrow": tomorrow(),
    }
    return render(request, "scoring/account_work.html", context, status=422 if problem else 200)


def _act(request: StaffRequest, account: Account) -> str:
    """Do what was asked; what is wrong with it in words, or nothing. Http404 for a handoff of another company."""
    asked, verb, now = request.POST.get("handoff", ""), request.POST.get("verb", ""), timezone.now()
    text = request.POST.get("text", "").replace("\x00", "")
    pk = int(asked) if asked.isdecimal() and len(asked) < 19 else 0
    if not Handoff.objects.filter(pk=pk, company_id=account.company_id).exists():
        raise Http404("There is no such handoff.")
    try:
        if verb == "note":
            handoffs.note(handoff_id=pk, text=text, by=request.user, now=now)
        elif verb == "task":
            next_tasks.put(handoff_id=pk, text=text, day=_day(request.POST.get("day", "")), by=request.user, now=now)
        elif verb == "done":
            next_tasks.finish(handoff_id=pk, by=request.user, now=now)
        else:
            raise Http404("There is no such thing to do.")
    except handoffs.HandoffError as error:
        if isinstance(error, PermissionDenied):
            raise
        return error.message
    return ""


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise handoffs.Refused("Choose a day.") from None
