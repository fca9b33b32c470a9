"""The accounts list and one account's page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts import about, charts, history, identity, limits, listing, stewardship, timeline
from accounts.charts import Measure
from accounts.models import Account, AccountMerge, StaffUser, Stage
from accounts.team.requests import StaffRequest
from accounts.workspace import day_of
from plgops.lib import access, htmx

TEMPLATE = "accounts/page.html"
TABS = ("overview", "timeline", "people", "events", "revenue", "history")
SHOWN_CONTACTS = 6
SHOWN_MOMENTS = 12


@require_GET
@login_required
def account_list(request: StaffRequest) -> HttpResponse:
    """Every live account: filtered, ordered, a page at a time."""
    access.require(request.user, "accounts.view")
    get = request.GET
    chosen = listing.Filter(
        text=get.get("q", "").strip()[:100],
        plan=get.get("plan", ""),
        owner=get.get("owner", ""),
        stage=get.get("stage", ""),
        kind=get.get("kind", ""),
        sort=get.get("sort", "") if get.get("sort") in listing.SORTS else "seen",
    )
    page = listing.account_list(chosen, me=request.user.pk, cursor=get.get("cursor", ""))
    today = day_of(timezone.now())
    activity = listing.activity([account.pk for account in page.items], today=today)
    context = {
        "page": page,
        "rows": [(account, activity[account.pk]) for account in page.items],
        "chosen": chosen,
        "plans": listing.plans(),
        "stages": Stage.choices,
        "columns": COLUMNS,
        "more": _with(request, cursor=page.next_cursor),
        "is_first": not get.get("cursor"),
    }
    response = htmx.page(request, "accounts/list.html", context, fragments=("list", "more"))
    if htmx.wants(request, "list"):
        response.headers["HX-Push-Url"] = reverse("accounts") + _with(request)
    return response


# column -> its order's parameter (none: not to be ordered by), css class
COLUMNS = (
    ("Name", "name", ""),
    ("Plan", "plan", "only-d"),
    ("MRR", "mrr", "right"),
    ("Seats", "seats", "right only-d"),
    ("Active people, 28 days", "", "only-d"),
    ("Last seen", "seen", "right"),
    ("Signed up", "signup", "right only-d"),
    ("Owner", "", "only-d"),
)


def _with(request: StaffRequest, **changes: str) -> str:
    """The address's query with these values changed; empty ones left out."""
    values = {**request.GET.dict(), **changes}
    return "?" + urlencode({name: value for name, value in values.items() if value})


@require_GET
@login_required
def account_page(request: StaffRequest, account_id: int, strands: Sequence[timeline.Strand] = ()) -> HttpResponse:
    """One account. A merged one leads to its winner. `strands` is what other floors add to its timeline."""
    access.require(request.user, "accounts.view")
    account = get_object_or_404(Account.objects.select_related("owner", "parent"), pk=account_id)
    if account.merged_into_id is not None:
        winner = about.winner_of(account)
        messages.info(request, f"{account.name} was merged into {winner.name}; this is {winner.name}.")
        return redirect("account", winner.pk)
    tab = request.GET.get("tab", "overview")
    if tab not in TABS:
        raise Http404("There is no such tab.")
    today = day_of(timezone.now())
    context: dict[str, Any] = {"account": account, "tab": tab, "tabs": TABS, "today": today}
    if not htmx.wants(request, "more"):
        context |= _frame(request, account, today)
    if tab == "timeline":
        context |= _timeline(request, account, today, strands)
    elif tab == "overview":
        context |= _overview(account, today, strands)
    else:
        context |= _TAB_READERS[tab](request, account, today)
    return htmx.page(request, TEMPLATE, context, fragments=("tab", "more"))


def _frame(request: StaffRequest, account: Account, today: int) -> dict[str, Any]:
    """What stands around every tab."""
    may_own = access.may(request.user, "handoffs.manage")
    may_merge = access.may(request.user, "accounts.merge")
    return {
        "facts": about.facts(account),
        "family": about.family(account),
        "totals": about.totals([account.pk], today=today),
        "may_own": may_own,
        "may_merge": may_merge,
        "owners": list(StaffUser.objects.filter(is_active=True).order_by("first_name", "last_name", "pk")[:200])
        if may_own
        else [],
    }


def _overview(account: Account, today: int, strands: Sequence[timeline.Strand]) -> dict[str, Any]:
    entries = history.stages([account.pk])
    contacts = about.contacts([account.pk], SHOWN_CONTACTS + 1, today=today)
    champion = about.champion([account.pk], today=today)
    if champion is not None:
        contacts = about.with_champion(contacts, champion, [account.pk], today=today)
    return {
        "usage": charts.usage_chart([account.pk], today, pins=history.stage_pins(entries)),
        "usage_ids": account.pk,
        "stages": entries,
        "contacts": contacts,
        "contacts_shown": SHOWN_CONTACTS,
        "champion": champion,
        "path": history.stage_path([account.pk]),
        "limits": limits.use_of_limits(account, today=today),
        "moments": timeline.page(account.pk, today=today, size=SHOWN_MOMENTS, strands=strands),
    }


def _timeline(
    request: StaffRequest, account: Account, today: int, strands: Sequence[timeline.Strand]
) -> dict[str, Any]:
    kind = request.GET.get("show", "")
    if kind not in timeline.KINDS:
        raise Http404("There is no such part of the timeline.")
    cursor = request.GET.get("cursor", "")
    page = timeline.page(account.pk, today=today, kind=kind, cursor=cursor, strands=strands)
    return {
        "page": page,
        "more": _with(request, cursor=page.next_cursor),
        "show": kind,
        "kinds": [(name, words) for name, (words, _) in timeline.KINDS.items()],
        "signal_days": timeline.SIGNAL_DAYS,
    }


def _people(request: StaffRequest, account: Account, today: int) -> dict[str, Any]:
    page = about.people([account.pk], today=today, cursor=request.GET.get("cursor", ""))
    champion = about.champion([account.pk], today=today)
    return {"page": page, "more": _with(request, cursor=page.next_cursor), "champion": champion}


def _events(request: StaffRequest, account: Account, today: int) -> dict[str, Any]:
    page = history.timeline([account.pk], 50, cursor=request.GET.get("cursor", ""))
    return {"page": page, "more": _with(request, cursor=page.next_cursor)}


def _revenue(request: StaffRequest, account: Account, today: int) -> dict[str, Any]:
    return {"movements": history.movements(account.pk)}


def _history(request: StaffRequest, account: Account, today: int) -> dict[str, Any]:
    page = history.audit_trail(account.pk, cursor=request.GET.get("cursor", ""))
    context: dict[str, Any] = {"page": page, "more": _with(request, cursor=page.next_cursor)}
    if not request.GET.get("cursor"):
        context |= {
            "stages": history.stages([account.pk]),
            "changes": history.trait_changes(account.pk),
        }
    return context


_TAB_READERS = {
    "people": _people,
    "events": _events,
    "revenue": _revenue,
    "history": _history,
}


@require_GET
@login_required
def usage(request: StaffRequest, account_id: int) -> HttpResponse:
    """The usage chart alone, for its switch; `?company=1` counts the whole company."""
    access.require(request.user, "accounts.view")
    account = get_object_or_404(Account, pk=account_id, merged_into__isnull=True)
    company = bool(request.GET.get("company"))
    ids = about.company_ids(account.company_id) if company else [account.pk]
    measure: Measure = "events" if request.GET.get("measure") == "events" else "people"
    pins = history.stage_pins(history.stages(ids))
    chart = charts.usage_chart(ids, day_of(timezone.now()), measure=measure, pins=pins)
    context = {"usage": chart, "usage_ids": account.pk, "usage_company": company}
    return render(request, f"{TEMPLATE}#usage", context)


@require_GET
@login_required
def palette(request: StaffRequest) -> HttpResponse:
    """Accounts for the command palette."""
    access.require(request.user, "accounts.view")
    return render(request, "_palette_found.html", {"found": listing.find(request.GET.get("q", "")[:100])})


@require_GET
@login_required
def merge_choices(request: StaffRequest, account_id: int) -> HttpResponse:
    """Accounts that this one could be merged into, for the dialog's search."""
    access.require(request.user, "accounts.merge")
    found = [a for a in listing.find(request.GET.get("into", "")[:100], limit=8) if a.pk != account_id]
    return render(request, f"{TEMPLATE}#merge_choices", {"found": found, "asked": bool(request.GET.get("into"))})


@require_POST
@login_required
def owner(request: StaffRequest, account_id: int) -> HttpResponse:
    """Give the account to somebody, or to nobody."""
    access.require(request.user, "handoffs.manage")
    account = get_object_or_404(Account, pk=account_id)
    chosen = request.POST.get("owner", "")
    new = get_object_or_404(StaffUser, pk=chosen, is_active=True) if chosen.isdecimal() else None
    try:
        changed = stewardship.set_owner(account_id=account.pk, owner=new, by=request.user, now=timezone.now())
    except stewardship.Merged as error:
        messages.error(request, str(error))
    else:
        if changed:
            messages.success(request, f"{new.label} owns {account.name} now." if new else f"{account.name} is free.")
    return redirect("account", account.pk)


@require_POST
@login_required
def internal(request: StaffRequest, account_id: int) -> HttpResponse:
    """Take the account out of every figure because it is ours or a test, or put it back."""
    access.require(request.user, "accounts.merge")
    account = get_object_or_404(Account, pk=account_id)
    flag = request.POST.get("internal") == "1"
    try:
        stewardship.set_internal(account_id=account.pk, internal=flag, by=request.user, now=timezone.now())
    except stewardship.Merged as error:
        messages.error(request, str(error))
    else:
        words = "is internal now: out of every figure." if flag else "counts again."
        messages.success(request, f"{account.name} {words}")
    return redirect("account", account.pk)


@require_POST
@login_required
def merge(request: StaffRequest, account_id: int) -> HttpResponse:
    """Merge this account into the chosen one."""
    access.require(request.user, "accounts.merge")
    loser = get_object_or_404(Account, pk=account_id)
    chosen = request.POST.get("winner", "")
    if not chosen.isdecimal():
        messages.error(request, "Choose the account to merge into.")
        return redirect("account", loser.pk)
    winner = get_object_or_404(Account, pk=chosen)
    try:
        identity.merge_accounts(winner=winner, loser=loser, by=request.user, now=timezone.now())
    except identity.CannotMerge as error:
        messages.error(request, str(error))
        return redirect("account", loser.pk)
    messages.success(request, f"{loser.name} was merged into {winner.name}.")
    return redirect("account", winner.pk)


@require_POST
@login_required
def unmerge(request: StaffRequest, merge_id: int) -> HttpResponse:
    """Take a merge back."""
    access.require(request.user, "accounts.merge")
    taken = get_object_or_404(AccountMerge.objects.select_related("loser", "winner"), pk=merge_id)
    try:
        identity.unmerge_accounts(merge=taken, by=request.user, now=timezone.now())
    except identity.CannotMerge as error:
        messages.error(request, str(error))
        return redirect("account", taken.winner_id)
    messages.success(request, f"{taken.loser.name} stands on its own again.")
    return redirect("account", taken.loser_id)
