"""What the support pages read. Costs are said per function; nothing here counts without a bound."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Case, F, Q, QuerySet, When

from accounts import identity
from accounts.models import StaffUser
from plgops.lib import access
from support.models import Article, Ticket, TicketMessage, Tier

COUNT_CAP = 100  # a tab says “99+” beyond this, so that its cost never grows with the desk

TABS = {"open": "Open", "mine": "Mine", "waiting": "Waiting", "solved": "Solved"}


def tickets_in(tab: str, *, me: StaffUser) -> QuerySet[Ticket]:
    """The tickets of a tab, to be read in the order of `order_of(tab)`."""
    rows = Ticket.objects.select_related("account", "tier", "assignee")
    if tab == "solved":
        return rows.filter(status=Ticket.Status.SOLVED)
    unsolved = rows.exclude(status=Ticket.Status.SOLVED)
    if tab == "mine":
        unsolved = unsolved.filter(assignee=me)
    else:
        unsolved = unsolved.filter(status=Ticket.Status.WAITING if tab == "waiting" else Ticket.Status.OPEN)
    return unsolved


def order_of(tab: str) -> str:
    """The order of work: what breaches next first, without a promise last; solved ones newest first."""
    return "-solved_at" if tab == "solved" else "due_at"


def narrowed(rows: QuerySet[Ticket], *, search: str, tier_id: int | None, route: str) -> QuerySet[Ticket]:
    """Filter a tab: by words of the subject, the account's name or `#number`, by tier, by route."""
    if search.lstrip("#").isdecimal():
        rows = rows.filter(pk=int(search.lstrip("#")[:18]))
    elif search:
        rows = rows.filter(Q(subject__icontains=search) | Q(account__name__icontains=search))
    if tier_id:
        rows = rows.filter(tier_id=tier_id)
    if route:
        rows = rows.filter(route=route)
    return rows


def tab_counts(*, me: StaffUser) -> dict[str, int]:
    """How many per tab, up to COUNT_CAP each: one query a tab over an index, bounded."""
    return {tab: tickets_in(tab, me=me)[:COUNT_CAP].count() for tab in TABS if tab != "solved"}


def open_tickets() -> int:
    """Open tickets, up to COUNT_CAP, for the navigation."""
    return Ticket.objects.filter(status=Ticket.Status.OPEN)[:COUNT_CAP].count()


@dataclass(frozen=True, slots=True)
class AccountTickets:
    """An account's newest tickets, and whether there are more."""

    tickets: list[Ticket]
    more: bool


def tickets_of(account_id: int, *, limit: int = 5) -> AccountTickets:
    """The unsolved first, then the newest, those of accounts merged into this one too: two queries, and one a merge."""
    rows = Ticket.objects.filter(account_id__in=[account_id, *identity.merged_into([account_id])]).select_related(
        "tier", "assignee"
    )
    found = list(rows.order_by(F("solved_at").desc(nulls_first=True), "-opened_at", "-pk")[: limit + 1])
    return AccountTickets(found[:limit], len(found) > limit)


def talking(account_id: int, *, cap: int = 20) -> AccountTickets:
    """The account's open tickets, urgent ones first, then the next promise; merged accounts' too. As `tickets_of`."""
    rows = Ticket.objects.filter(account_id__in=[account_id, *identity.merged_into([account_id])])
    urgent = Case(When(priority=Ticket.Priority.URGENT, then=0), default=1)
    rows = rows.exclude(status=Ticket.Status.SOLVED).select_related("assignee", "tier")
    found = list(rows.order_by(urgent, F("due_at").asc(nulls_last=True), "pk")[: cap + 1])
    return AccountTickets(found[:cap], len(found) > cap)


def thread(ticket: Ticket) -> QuerySet[TicketMessage]:
    """The ticket's messages in order."""
    return ticket.messages.select_related("by").order_by("at", "pk")


def workers() -> list[StaffUser]:
    """Staff who may work tickets: two queries (users, their groups)."""
    roles = access.CAPABILITIES["tickets.work"]
    rows = StaffUser.objects.filter(is_active=True).filter(Q(groups__name__in=roles) | Q(is_superuser=True))
    return list(rows.distinct().order_by("first_name", "last_name", "username"))


def tiers() -> QuerySet[Tier]:
    """All tiers in order; a handful."""
    return Tier.objects.select_related("calendar").order_by("position")


def articles(*, search: str, drafts: bool) -> QuerySet[Article]:
    """Articles whose title or text holds the words; to be read newest change first."""
    rows = Article.objects.select_related("updated_by").defer("body")
    if not drafts:
        rows = rows.filter(status=Article.Status.PUBLISHED)
    return rows.filter(Q(title__icontains=search) | Q(body__icontains=search)) if search else rows
