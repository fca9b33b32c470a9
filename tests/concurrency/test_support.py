"""Two agents at once, and a tier that is removed while somebody falls into it."""

from decimal import Decimal

import pytest

from accounts import due
from accounts.models import Account, AccountDue, AuditEntry
from support import tickets, tiers
from support.models import AccountTier, Ticket, Tier
from tests.concurrency.races import at_once
from tests.conftest import NOW
from tests.support.worlds import make_account, make_tier

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


def test_of_two_who_take_a_ticket_exactly_one_gets_it(agent, admin):
    for _ in range(5):
        ticket = tickets.open_ticket(subject="Hi", body="Hi", by=None, now=NOW)
        results = at_once(
            lambda ticket=ticket: tickets.take(ticket_id=ticket.pk, by=agent, now=NOW),
            lambda ticket=ticket: tickets.take(ticket_id=ticket.pk, by=admin, now=NOW),
        )
        lost = [result for result in results if isinstance(result, tickets.AlreadyTaken)]
        ticket.refresh_from_db()
        assert len(lost) == 1
        assert lost[0].owner == ticket.assignee
    assert AuditEntry.objects.filter(action="ticket.taken").count() == 5


def test_two_sweeps_assign_each_account_once():
    make_tier("Free", 1, plans=["free"])
    accounts = [make_account(f"acme-{number}", plan="free") for number in range(20)]
    due.mark_changed([account.pk for account in accounts], now=NOW)
    looked_at = at_once(*[lambda: tiers.assign_due(now=NOW, limit=10)] * 4)
    assert sum(looked_at) == 20
    assert AccountTier.objects.count() == 20
    assert AuditEntry.objects.filter(action="account.tier_changed").count() == 20


def test_a_tier_is_not_removed_under_an_account(admin):
    for number in range(5):
        tier = make_tier(f"Free {number}", number, plans=[f"free-{number}"])
        account = make_account(f"acme-{number}", plan=f"free-{number}")
        due.mark_changed([account.pk], now=NOW)
        at_once(
            lambda: tiers.assign_due(now=NOW),
            lambda tier=tier: tiers.remove_tier(tier_id=tier.pk, by=admin, now=NOW),
        )
        assigned = AccountTier.objects.filter(account=account).exists()
        row = AccountDue.objects.get(account=account, consumer="tiers")
        assert assigned == Tier.objects.filter(pk=tier.pk).exists()
        assert row.done_seq == 1 or "Error" in row.last_error  # settled, or it comes again


def test_a_ticket_opened_beside_a_change_of_tier_ends_in_the_new_one():
    make_tier("Paid", 1, min_mrr=1)
    make_tier("Free", 2)
    accounts = [make_account(f"acme-{number}") for number in range(8)]
    due.mark_changed([account.pk for account in accounts], now=NOW)
    tiers.assign_due(now=NOW)
    for account in accounts:
        Account.objects.filter(pk=account.pk).update(mrr=Decimal(50))
        due.mark_changed([account.pk], now=NOW)
        swept, opened = at_once(
            lambda: tiers.assign_due(now=NOW),
            lambda account=account: tickets.open_ticket(account=account, subject="Hi", body="Hi", by=None, now=NOW),
        )
        opened.refresh_from_db()
        assert (swept, opened.tier.name) == (1, "Paid")


def test_tickets_opened_beside_accounts_assigned_together_end_in_the_new_tiers():
    make_tier("Paid", 1, min_mrr=1)
    make_tier("Free", 2)
    winners = [make_account(f"acme-{number}") for number in range(6)]
    losers = [make_account(f"gone-{number}", merged_into=winner) for number, winner in enumerate(winners)]
    for amount, name in ((50, "Paid"), (0, "Free"), (50, "Paid")):
        Account.objects.update(mrr=Decimal(amount))
        due.mark_changed([account.pk for account in (*winners, *losers)], now=NOW)

        def ask(accounts):
            return [
                tickets.open_ticket(account=account, subject="Hi", body="Hi", by=None, now=NOW) for account in accounts
            ]

        swept, *opened = at_once(lambda: tiers.assign_due(now=NOW), lambda: ask(winners), lambda: ask(reversed(losers)))
        assert swept == 12
        assert all(isinstance(one, list) for one in opened), opened
        assert set(Ticket.objects.values_list("tier__name", flat=True)) == {name}
    assert Ticket.objects.count() == 36


def test_a_tier_removed_under_accounts_assigned_together_leaves_each_with_one_that_stands(admin):
    for number in range(4):
        tier = make_tier(f"Gone {number}", 2 * number, plans=[f"plan-{number}"])
        accounts = [make_account(f"acme-{number}-{place}", plan=f"plan-{number}") for place in range(6)]
        due.mark_changed([account.pk for account in accounts], now=NOW)
        at_once(
            lambda: tiers.assign_due(now=NOW),
            lambda tier=tier: tiers.remove_tier(tier_id=tier.pk, by=admin, now=NOW),
        )
        in_it = AccountTier.objects.filter(account__in=accounts).count()
        assert in_it == (6 if Tier.objects.filter(pk=tier.pk).exists() else 0)
        assert not AccountDue.objects.filter(
            consumer="tiers", is_behind=True
        ).exists()  # one by one, by what stands now
