"""The ticket list and the ticket page."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Account, StaffUser
from accounts.team.requests import StaffRequest
from plgops.lib import access
from plgops.lib.htmx import page
from plgops.lib.paging import keyset
from support import kb, queries, tickets
from support.forms import MessageForm, TicketForm
from support.models import Route, Ticket


@login_required
@require_GET
def ticket_list(request: StaffRequest) -> HttpResponse:
    """Tickets of a tab: a fixed number of queries, whatever the desk's size."""
    access.require(request.user, "tickets.view")
    tab = request.GET.get("tab", "open")
    if tab not in queries.TABS:
        tab = "open"
    tier_id = request.GET.get("tier", "")
    route = request.GET.get("route", "")
    search = request.GET.get("q", "").strip()
    rows = queries.narrowed(
        queries.tickets_in(tab, me=request.user),
        search=search,
        tier_id=int(tier_id) if tier_id.isdecimal() and len(tier_id) < 19 else None,
        route=route if route in Route.values else "",
    )
    context = {
        "page": keyset(rows, by=queries.order_of(tab), cursor=request.GET.get("cursor", "")),
        "tab": tab,
        "can_work": access.may(request.user, "tickets.work"),
        "tabs": queries.TABS.items(),
        "counts": queries.tab_counts(me=request.user),
        "count_cap": queries.COUNT_CAP,
        "tiers": list(queries.tiers()),
        "tier_id": tier_id,
        "route": route,
        "routes": Route.choices,
        "q": search,
        "now": timezone.now(),
    }
    return page(request, "tickets/list.html", context, fragments=("tickets",))


@login_required
@require_http_methods(["GET", "POST"])
def ticket_new(request: StaffRequest) -> HttpResponse:
    access.require(request.user, "tickets.work")
    if request.method == "GET":
        known = (
            Account.objects.filter(pk=request.GET["account"]).first()
            if request.GET.get("account", "").isdecimal()
            else None
        )
        form = TicketForm(initial={"account": known.external_id} if known else {})
        return render(request, "tickets/new.html", {"form": form})
    form = TicketForm(request.POST)
    if not form.is_valid():
        return render(request, "tickets/new.html", {"form": form}, status=422)
    ticket = tickets.open_ticket(**form.cleaned_data, by=request.user, now=timezone.now())
    return redirect("ticket", pk=ticket.pk)


def _page(request: StaffRequest, pk: int, *, form: MessageForm | None = None, status: int = 200) -> HttpResponse:
    rows = Ticket.objects.select_related("account", "user", "tier__calendar", "assignee")
    ticket = get_object_or_404(rows, pk=pk)
    can_work = access.may(request.user, "tickets.work")
    thread = list(queries.thread(ticket))
    context = {
        "ticket": ticket,
        "thread": thread,
        "form": form or MessageForm(),
        "can_work": can_work,
        "workers": queries.workers() if access.may(request.user, "tickets.assign") else [],
        "priorities": Ticket.Priority.choices,
        "suggestions": list(kb.find(ticket.subject, limit=3)) if ticket.status != Ticket.Status.SOLVED else [],
        "now": timezone.now(),
    }
    return page(request, "tickets/page.html", context, fragments=("ticket",), status=status)


@login_required
@require_GET
def ticket_page(request: StaffRequest, pk: int) -> HttpResponse:
    """One ticket with its thread."""
    access.require(request.user, "tickets.view")
    return _page(request, pk)


def _done(request: StaffRequest, pk: int, text: str) -> HttpResponse:
    if request.htmx:
        return _page(request, pk)
    messages.success(request, text)
    return redirect("ticket", pk=pk)


def _refused(request: StaffRequest, pk: int, text: str) -> HttpResponse:
    """409: what the page showed is no longer so. The text is shown as a toast, or on the page without script."""
    if request.htmx:
        return HttpResponse(text, status=409, content_type="text/plain; charset=utf-8")
    messages.error(request, text)
    return _page(request, pk, status=409)


@login_required
@require_POST
def ticket_say(request: StaffRequest, pk: int, kind: str) -> HttpResponse:
    """Write on a ticket: a reply, a reply that solves it, a note, or what the customer said."""
    access.require(request.user, "tickets.work")
    get_object_or_404(Ticket, pk=pk)
    form = MessageForm(request.POST)
    if not form.is_valid():
        return _page(request, pk, form=form, status=422)
    body, by, now = form.cleaned_data["body"], request.user, timezone.now()
    try:
        if kind == "note":
            tickets.note(ticket_id=pk, body=body, by=by, now=now)
        elif kind == "customer":
            tickets.customer_wrote(ticket_id=pk, body=body, by=by, now=now)
        else:
            tickets.reply(ticket_id=pk, body=body, by=by, now=now, solve=kind == "reply-solve")
    except tickets.NotAllowed as error:
        return _refused(request, pk, str(error))
    return _done(request, pk, {"note": "Note added", "customer": "Customer's message added"}.get(kind, "Reply kept"))


_ACTIONS: dict[str, tuple[Callable[..., Ticket], str]] = {
    "take": (tickets.take, "The ticket is yours"),
    "solve": (tickets.solve, "Solved"),
    "reopen": (tickets.reopen, "Open again"),
}


@login_required
@require_POST
def ticket_act(request: StaffRequest, pk: int, action: str) -> HttpResponse:
    """Take, solve or reopen a ticket."""
    access.require(request.user, "tickets.work")
    get_object_or_404(Ticket, pk=pk)
    verb, text = _ACTIONS[action]
    try:
        verb(ticket_id=pk, by=request.user, now=timezone.now())
    except (tickets.NotAllowed, tickets.AlreadyTaken) as error:
        return _refused(request, pk, str(error))
    return _done(request, pk, text)


@login_required
@require_POST
def ticket_assign(request: StaffRequest, pk: int) -> HttpResponse:
    """Give the ticket to a colleague, or to nobody."""
    access.require(request.user, "tickets.assign")
    get_object_or_404(Ticket, pk=pk)
    chosen = request.POST.get("assignee", "")
    to = get_object_or_404(StaffUser, pk=chosen) if chosen.isdecimal() else None
    try:
        tickets.assign(ticket_id=pk, to=to, by=request.user, now=timezone.now())
    except tickets.NotAllowed as error:
        return _refused(request, pk, str(error))
    return _done(request, pk, f"Assigned to {to.label}" if to else "Nobody has it now")


@login_required
@require_POST
def ticket_priority(request: StaffRequest, pk: int) -> HttpResponse:
    access.require(request.user, "tickets.work")
    get_object_or_404(Ticket, pk=pk)
    try:
        tickets.set_priority(
            ticket_id=pk, priority=request.POST.get("priority", ""), by=request.user, now=timezone.now()
        )
    except tickets.NotAllowed as error:
        return _refused(request, pk, str(error))
    return _done(request, pk, "Priority changed")


@login_required
@require_GET
def account_panel(request: StaffRequest, account_id: int) -> HttpResponse:
    """The account page's tickets, with those of accounts that were merged into it."""
    access.require(request.user, "tickets.view")
    account = get_object_or_404(Account.objects.select_related("tier__tier"), pk=account_id)
    context = {
        "account": account,
        "assigned": getattr(account, "tier", None),
        "found": queries.tickets_of(account_id),
        "can_work": access.may(request.user, "tickets.work"),
        "now": timezone.now(),
    }
    return render(request, "tickets/_panel.html", context)


@login_required
@require_GET
def account_talking(request: StaffRequest, account_id: int) -> HttpResponse:
    """Who of support talks to the account now: its most pressing open ticket, and how many others."""
    access.require(request.user, "tickets.view")
    return render(request, "tickets/_talking.html", {"found": queries.talking(account_id), "now": timezone.now()})
