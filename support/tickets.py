"""Tickets: open, take, reply, note, solve. Every change is made under the ticket's lock, with an audit row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping

from django.db import transaction

from accounts import identity, lifecycle
from accounts.models import Account, ProductUser, StaffUser
from accounts.team import audit
from accounts.team.calendars import calendar_of
from plgops.lib import access
from plgops.lib.business_time import due_at, elapsed
from support import clocks
from support.models import AccountTier, Route, Ticket, TicketMessage, Tier

OPEN, WAITING, SOLVED = Ticket.Status.OPEN, Ticket.Status.WAITING, Ticket.Status.SOLVED

# What a state allows. Reading: from the state, the verb leads to the state.
TRANSITIONS: dict[tuple[str, str], str] = {
    (OPEN, "reply"): WAITING,
    (WAITING, "reply"): WAITING,
    (OPEN, "customer"): OPEN,
    (WAITING, "customer"): OPEN,
    (SOLVED, "customer"): OPEN,
    (OPEN, "solve"): SOLVED,
    (WAITING, "solve"): SOLVED,
    (SOLVED, "reopen"): OPEN,
}


class NotAllowed(Exception):
    """The ticket's state does not allow this; the message says so in words."""


class AlreadyTaken(Exception):
    """Somebody else has the ticket; `owner` is who."""

    def __init__(self, owner: StaffUser) -> None:
        super().__init__(f"{owner.label} already has this ticket.")
        self.owner = owner


def _locked(ticket_id: int) -> Ticket:
    # No select_related: PostgreSQL re-reads only the locked row after a wait, and would pair it with what the
    # other tables held before.
    return Ticket.objects.select_for_update().get(pk=ticket_id)


def lock_accounts(account_ids: Collection[int]) -> dict[int, tuple[Account, Account]]:
    """Each account with the one that it stands for now (itself, unless it was merged), all locked in order of id.

    Whoever writes a ticket's tier and whoever changes the account's tier take this first: neither misses the other.
    """
    stands_for = identity.survivors(account_ids)
    rows = Account.objects.select_for_update(no_key=True).filter(pk__in={*stands_for, *stands_for.values()})
    locked = {row.pk: row for row in rows.order_by("pk").defer("traits")}
    return {pk: (locked[pk], locked[standing]) for pk, standing in stands_for.items()}


def _move(ticket: Ticket, verb: str) -> None:
    try:
        ticket.status = TRANSITIONS[ticket.status, verb]
    except KeyError:
        raise NotAllowed(f"This ticket is {ticket.get_status_display().lower()} already.") from None


def _save(ticket: Ticket, *, now: dt.datetime) -> None:
    ticket.updated_at = now
    ticket.due_at = clocks.next_due(
        first_response_due_at=ticket.first_response_due_at,
        resolution_due_at=ticket.resolution_due_at,
        first_response_at=ticket.first_response_at,
        is_running=ticket.status == OPEN,
    )
    ticket.save()
    if ticket.account_id:
        urgent = ticket.priority == Ticket.Priority.URGENT and ticket.status != SOLVED
        say = lifecycle.hold if urgent else lifecycle.lift
        say(account_id=ticket.account_id, kind="urgent_ticket", source=f"ticket:{ticket.pk}", now=now)


@transaction.atomic
def open_ticket(
    *,
    subject: str,
    body: str,
    by: StaffUser | None,
    now: dt.datetime,
    account: Account | None = None,
    user: ProductUser | None = None,
    requester_email: str = "",
    priority: str = Ticket.Priority.NORMAL,
) -> Ticket:
    """Open a ticket with the customer's first message. The account's tier decides route and promises.

    Without an account, or with one that fits no tier, the knowledge base and the bot come first and nothing
    is promised. `by` is the agent who writes it down, None when it came from outside.
    """
    tier = None
    if account is not None:
        _, standing = lock_accounts([account.pk])[account.pk]
        assigned = AccountTier.objects.select_related("tier__calendar").filter(account=standing).first()
        tier = assigned.tier if assigned else None
    first, resolution = clocks.promises(tier, opened_at=now)
    ticket = Ticket(
        account=account,
        user=user,
        requester_email=requester_email or (user.email if user else ""),
        subject=subject,
        tier=tier,
        route=tier.route if tier else Route.BOT,
        priority=priority,
        opened_at=now,
        first_response_due_at=first,
        resolution_due_at=resolution,
    )
    _save(ticket, now=now)
    TicketMessage.objects.create(ticket=ticket, kind=TicketMessage.Kind.CUSTOMER, at=now, body=body)
    _record("ticket.opened", ticket, by=by, now=now, detail={"tier": tier.name if tier else "", "route": ticket.route})
    return ticket


@transaction.atomic
def reply(*, ticket_id: int, body: str, by: StaffUser, now: dt.datetime, solve: bool = False) -> Ticket:
    """Answer the customer; the first answer keeps the first-response promise. `solve` ends the ticket with it."""
    ticket = _locked(ticket_id)
    _move(ticket, "reply")
    if ticket.first_response_at is None:
        ticket.first_response_at = now
    if ticket.assignee_id is None:
        ticket.assignee = by
    if solve:
        _move(ticket, "solve")
        ticket.solved_at = now
    TicketMessage.objects.create(ticket=ticket, kind=TicketMessage.Kind.REPLY, at=now, by=by, body=body)
    _save(ticket, now=now)
    _record("ticket.solved" if solve else "ticket.replied", ticket, by=by, now=now)
    return ticket


@transaction.atomic
def customer_wrote(*, ticket_id: int, body: str, now: dt.datetime, by: StaffUser | None = None) -> Ticket:
    """The customer wrote again: the word is ours, and a solved ticket is open again. `by` wrote it down."""
    ticket = _locked(ticket_id)
    _move(ticket, "customer")
    ticket.solved_at = None
    TicketMessage.objects.create(ticket=ticket, kind=TicketMessage.Kind.CUSTOMER, at=now, body=body)
    _save(ticket, now=now)
    _record("ticket.customer_wrote", ticket, by=by, now=now)
    return ticket


@transaction.atomic
def note(*, ticket_id: int, body: str, by: StaffUser, now: dt.datetime) -> Ticket:
    """Write something down that the customer never sees. Changes no state and stops no clock."""
    ticket = _locked(ticket_id)
    TicketMessage.objects.create(ticket=ticket, kind=TicketMessage.Kind.NOTE, at=now, by=by, body=body)
    _record("ticket.noted", ticket, by=by, now=now)
    return ticket


@transaction.atomic
def solve(*, ticket_id: int, by: StaffUser, now: dt.datetime) -> Ticket:
    """End the ticket. Raises NotAllowed when it is solved already."""
    ticket = _locked(ticket_id)
    _move(ticket, "solve")
    ticket.solved_at = now
    _save(ticket, now=now)
    _record("ticket.solved", ticket, by=by, now=now)
    return ticket


@transaction.atomic
def reopen(*, ticket_id: int, by: StaffUser, now: dt.datetime) -> Ticket:
    """Open a solved ticket again. Its resolution promise stands as it was; the time it was solved is not used up."""
    ticket = _locked(ticket_id)
    solved_at = ticket.solved_at
    _move(ticket, "reopen")
    if ticket.resolution_due_at and solved_at and ticket.resolution_due_at > solved_at:
        calendar = calendar_of(ticket.tier.calendar) if ticket.tier else None
        left = elapsed(solved_at, ticket.resolution_due_at, calendar)
        ticket.resolution_due_at = due_at(now, max(1, left / 60), calendar)
    ticket.solved_at = None
    _save(ticket, now=now)
    _record("ticket.reopened", ticket, by=by, now=now)
    return ticket


@transaction.atomic
def take(*, ticket_id: int, by: StaffUser, now: dt.datetime) -> Ticket:
    """Take a ticket that nobody has. Of two who try at once one gets it, the other AlreadyTaken."""
    ticket = _locked(ticket_id)
    if ticket.assignee and ticket.assignee_id != by.pk:
        raise AlreadyTaken(ticket.assignee)
    if ticket.assignee_id == by.pk:
        return ticket
    ticket.assignee = by
    _save(ticket, now=now)
    _record("ticket.taken", ticket, by=by, now=now)
    return ticket


@transaction.atomic
def assign(*, ticket_id: int, to: StaffUser | None, by: StaffUser, now: dt.datetime) -> Ticket:
    """Give a ticket to somebody who may work tickets, or to nobody. Raises NotAllowed otherwise."""
    if to is not None and not access.may(to, "tickets.work"):
        raise NotAllowed(f"{to.label} does not work tickets.")
    ticket = _locked(ticket_id)
    before = ticket.assignee.label if ticket.assignee else ""
    ticket.assignee = to
    _save(ticket, now=now)
    _record("ticket.assigned", ticket, by=by, now=now, detail={"from": before, "to": to.label if to else ""})
    return ticket


@transaction.atomic
def set_priority(*, ticket_id: int, priority: str, by: StaffUser, now: dt.datetime) -> Ticket:
    """Change how urgent it is. An urgent one holds the account back from sales while it is open."""
    if priority not in Ticket.Priority.values:
        raise NotAllowed(f"“{priority}” is not a priority.")
    ticket = _locked(ticket_id)
    before, ticket.priority = ticket.priority, priority
    _save(ticket, now=now)
    _record("ticket.priority_changed", ticket, by=by, now=now, detail={"from": before, "to": priority})
    return ticket


def retier(*, tiers: Mapping[int, Tier | None], now: dt.datetime) -> int:
    """Move the unsolved tickets of these accounts to the tier named for each; how many that were.

    Promises count from when a ticket was opened. To be called in the transaction that changes the tiers.
    """
    if not tiers:
        return 0
    rows = Ticket.objects.select_for_update().filter(account_id__in=tiers).exclude(status=SOLVED)
    moved = 0
    for ticket in rows.order_by("pk"):
        assert ticket.account_id is not None  # they were found by it
        tier = tiers[ticket.account_id]
        if ticket.tier_id == (tier.pk if tier else None):
            continue
        moved += 1
        ticket.tier, ticket.route = tier, tier.route if tier else Route.BOT
        ticket.first_response_due_at, ticket.resolution_due_at = clocks.promises(tier, opened_at=ticket.opened_at)
        _save(ticket, now=now)
        _record("ticket.retiered", ticket, by=None, now=now, detail={"tier": tier.name if tier else ""})
    return moved


def _record(
    action: str, ticket: Ticket, *, by: StaffUser | None, now: dt.datetime, detail: dict[str, str] | None = None
) -> None:
    audit.record(action=action, obj=ticket, by=by, now=now, account_id=ticket.account_id, detail=detail)
