"""Tiers follow an account's plan and MRR."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import due
from accounts.models import Account, AccountDue, AuditEntry
from support import tasks, tickets, tiers
from support.models import AccountTier, Route, Ticket, Tier
from tests.conftest import NOW
from tests.support.worlds import later, make_account, make_tier, put_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def ladder():
    return [
        make_tier("Enterprise", 1, min_mrr=1000, first_response_minutes=60, resolution_minutes=480),
        make_tier("Paid", 2, min_mrr=1, first_response_minutes=240),
        make_tier("Free", 3, plans=["free", "trial"], route=Route.BOT),
    ]


@pytest.mark.parametrize(
    ("plan", "mrr", "expected"),
    [("team", 1000, "Enterprise"), ("team", 999, "Paid"), ("Free", 0, "Free"), ("free", 5, "Paid"), ("odd", 0, None)],
)
def test_first_tier_that_fits_wins(ladder, plan, mrr, expected):
    found = tiers.tier_for(ladder, plan=plan, mrr=Decimal(mrr))
    assert (found.name if found else None) == expected


def test_assign_due_writes_tier_and_finishes_the_row(ladder):
    account = make_account(plan="free")
    due.mark_changed([account.pk], now=NOW)
    assert tiers.assign_due(now=NOW) == 1
    assert AccountTier.objects.get(account=account).tier.name == "Free"
    row = AccountDue.objects.get(account=account, consumer="tiers")
    assert (row.done_seq, row.changed_seq, row.lease_until) == (1, 1, None)
    assert tiers.assign_due(now=NOW) == 0


def test_paying_moves_the_account_and_its_open_tickets(ladder):
    account = make_account(plan="free")
    due.mark_changed([account.pk], now=NOW)
    tiers.assign_due(now=NOW)
    asked = tickets.open_ticket(account=account, subject="Help", body="Please", by=None, now=NOW)
    assert (asked.route, asked.due_at) == (Route.BOT, None)
    account.plan, account.mrr = "team", Decimal(2000)
    account.save()
    due.mark_changed([account.pk], now=later(10))
    tiers.assign_due(now=later(10))
    asked.refresh_from_db()
    assert (asked.tier.name, asked.route) == ("Enterprise", Route.PEOPLE)
    assert asked.due_at == later(60)  # promises count from when it was opened
    assert list(AuditEntry.objects.filter(action="account.tier_changed").values_list("detail__tier", flat=True)) == [
        "Free",
        "Enterprise",
    ]


def test_an_account_that_fits_nowhere_has_no_tier(ladder):
    account = make_account(plan="free")
    put_in(account, ladder[0])
    account.plan = "legacy"
    account.save()
    due.mark_changed([account.pk], now=NOW)
    tiers.assign_due(now=NOW)
    assert not AccountTier.objects.exists()


def test_a_change_during_assignment_stays_due(ladder):
    account = make_account(plan="free")
    due.mark_changed([account.pk], now=NOW)
    (claimed,) = due.claim(consumer="tiers", now=NOW, today=0, limit=10, lease=tiers.LEASE)
    due.mark_changed([account.pk], now=NOW)
    assert due.finish(claimed, consumer="tiers", now=NOW, due_day=None)
    row = AccountDue.objects.get(account=account, consumer="tiers")
    assert (row.done_seq, row.changed_seq) == (1, 2)


def test_a_lost_lease_writes_nothing(ladder):
    account = make_account(plan="free")
    due.mark_changed([account.pk], now=NOW)
    (late,) = due.claim(consumer="tiers", now=NOW, today=0, limit=10, lease=tiers.LEASE)
    after = NOW + tiers.LEASE
    (winner,) = due.claim(consumer="tiers", now=after, today=0, limit=10, lease=tiers.LEASE)
    assert not due.finish(late, consumer="tiers", now=after, due_day=None)
    assert due.finish(winner, consumer="tiers", now=after, due_day=None)


def test_a_poison_account_is_pushed_back_with_its_error_and_stops_nobody(ladder):
    poison, sound = make_account("poison", plan="free"), make_account("sound", plan="team", mrr=2000)
    asked = tickets.open_ticket(account=poison, subject="Help", body="Please", by=None, now=NOW)
    calendar = make_tier("Broken", 9).calendar  # a calendar that cannot be read makes the promise fail
    assert calendar is None and asked.tier is None
    from accounts.models import BusinessCalendar

    never = BusinessCalendar.objects.create(name="Never", time_zone="UTC", hours={}, holidays=[])
    Tier.objects.filter(name="Free").update(calendar=never, first_response_minutes=5)
    due.mark_changed([poison.pk, sound.pk], now=NOW)
    tiers.assign_due(now=NOW)
    row = AccountDue.objects.get(account=poison, consumer="tiers")
    assert (row.done_seq, row.attempts, row.retry_at) == (0, 1, later(0) + (row.retry_at - NOW))
    assert "never open" in row.last_error and row.retry_at > NOW
    assert AccountTier.objects.get().account == sound


def test_saving_a_tier_makes_everybody_due(ladder, admin):
    account = make_account(plan="free")
    due.mark_changed([account.pk], now=NOW)
    tiers.assign_due(now=NOW)
    ladder[2].plans = ["basic"]
    tiers.save_tier(tier=ladder[2], by=admin, now=timezone.now())
    assert tiers.assign_due(now=timezone.now()) == 1
    assert not AccountTier.objects.exists()


def test_a_tier_in_use_cannot_be_removed(ladder, admin):
    put_in(make_account(), ladder[0])
    with pytest.raises(tiers.TierInUse):
        tiers.remove_tier(tier_id=ladder[0].pk, by=admin, now=NOW)
    tiers.remove_tier(tier_id=ladder[1].pk, by=admin, now=NOW)
    assert set(Tier.objects.values_list("name", flat=True)) == {"Enterprise", "Free"}


@pytest.mark.parametrize(
    "bad",
    [
        {"min_mrr": -1},
        {"first_response_minutes": 0},
        {"resolution_minutes": -5},
        {"route": "pigeon"},
    ],
)
def test_tier_constraints_refuse(bad):
    with pytest.raises(IntegrityError), transaction.atomic():
        make_tier("Bad", 1, **bad)


def test_tier_names_and_positions_are_unique(ladder):
    for values in ({"name": "Paid", "position": 8}, {"name": "New", "position": 2}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Tier.objects.create(route=Route.BOT, **values)


def test_an_account_is_in_one_tier(ladder):
    account = make_account()
    put_in(account, ladder[0])
    with pytest.raises(IntegrityError), transaction.atomic():
        put_in(account, ladder[1])
    assert Ticket.objects.count() == 0


def test_tickets_of_a_merged_account_are_helped_like_the_winners(ladder):
    winner, loser = make_account("winner", plan="team", mrr=2000), make_account("loser", plan="free")
    due.mark_changed([winner.pk, loser.pk], now=NOW)
    tiers.assign_due(now=NOW)
    asked = tickets.open_ticket(account=loser, subject="Help", body="Please", by=None, now=NOW)
    assert asked.route == Route.BOT
    Account.objects.filter(pk=loser.pk).update(merged_into=winner)
    due.mark_changed([winner.pk, loser.pk], now=later(5))
    tiers.assign_due(now=later(5))
    asked.refresh_from_db()
    assert (asked.tier, asked.route, asked.due_at) == (ladder[0], Route.PEOPLE, later(60))
    assert list(AccountTier.objects.values_list("account", flat=True)) == [winner.pk]
    Account.objects.filter(pk=winner.pk).update(mrr=10)
    due.mark_changed([winner.pk], now=later(10))
    tiers.assign_due(now=later(10))
    asked.refresh_from_db()
    assert (asked.tier, asked.due_at) == (ladder[1], later(240))
    late = tickets.open_ticket(account=loser, subject="Again", body="Please", by=None, now=later(11))
    assert late.tier == ladder[1]


def test_a_sweep_ends_and_leaves_the_rest(ladder, monkeypatch):
    due.mark_changed([make_account("acme", plan="free").pk], now=NOW)
    monkeypatch.setattr(tasks, "BUDGET", 0.0)
    assert tasks.assign_due() == 0
    monkeypatch.undo()
    assert tasks.assign_due() == 1
