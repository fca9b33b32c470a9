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


def test_accounts_are_assigned_together_with_as_many_queries_as_one(ladder, django_assert_num_queries):
    def sweep(many: int) -> None:
        accounts = [make_account(f"acme-{many}-{number}", plan="free") for number in range(many)]
        due.mark_changed([account.pk for account in accounts], now=NOW)
        claimed = due.claim(consumer="tiers", now=NOW, today=0, limit=100, lease=tiers.LEASE)
        # savepoint (2), merges, lock, tiers, current ones, tombstones, tiers written, audit rows, tickets, finished (2)
        with django_assert_num_queries(12):
            tiers._follow(claimed, now=NOW)

    sweep(1)
    sweep(7)
    assert AccountTier.objects.count() == 8
    assert AuditEntry.objects.filter(action="account.tier_changed").values("account_id").distinct().count() == 8
    assert not AccountDue.objects.filter(consumer="tiers", is_behind=True).exists()


def test_more_accounts_than_go_together_are_all_assigned(ladder, monkeypatch):
    monkeypatch.setattr(tiers, "TOGETHER", 3)
    accounts = [make_account(f"acme-{number}", plan="free") for number in range(8)]
    due.mark_changed([account.pk for account in accounts], now=NOW)
    assert tiers.assign_due(now=NOW) == 8
    assert AccountTier.objects.count() == 8


def test_an_account_whose_tier_stays_is_only_finished(ladder):
    stays, moves = make_account("stays", plan="free"), make_account("moves", plan="free")
    due.mark_changed([stays.pk, moves.pk], now=NOW)
    tiers.assign_due(now=NOW)
    Account.objects.filter(pk=moves.pk).update(mrr=10)
    due.mark_changed([stays.pk, moves.pk], now=later(5))
    assert tiers.assign_due(now=later(5)) == 2
    assert dict(AccountTier.objects.values_list("account_id", "since")) == {stays.pk: NOW, moves.pk: later(5)}
    written = AuditEntry.objects.filter(action="account.tier_changed", at=later(5)).values_list("account_id", "detail")
    free, paid = ladder[2].pk, ladder[1].pk
    assert list(written) == [(moves.pk, {"from": free, "to": paid, "tier": "Paid"})]
    assert not AccountDue.objects.filter(consumer="tiers", is_behind=True).exists()


def test_of_accounts_assigned_together_those_whose_lease_was_lost_are_left_alone(ladder):
    lost, kept = make_account("lost", plan="free"), make_account("kept", plan="free")
    asked = tickets.open_ticket(account=lost, subject="Help", body="Please", by=None, now=NOW)
    due.mark_changed([lost.pk, kept.pk], now=NOW)
    claimed = due.claim(consumer="tiers", now=NOW, today=0, limit=10, lease=tiers.LEASE)
    AccountDue.objects.filter(account=lost, consumer="tiers").update(lease_token="somebody else")
    tiers._follow(claimed, now=later(3))
    assert list(AccountTier.objects.values_list("account", flat=True)) == [kept.pk]
    assert list(AuditEntry.objects.filter(action="account.tier_changed").values_list("account_id", flat=True)) == [
        kept.pk
    ]
    asked.refresh_from_db()
    assert asked.tier is None
    row = AccountDue.objects.get(account=lost, consumer="tiers")
    assert (row.lease_token, row.done_seq, row.attempts) == ("somebody else", 0, 0)


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


def test_tickets_follow_through_a_chain_of_merges(ladder):
    last, middle, first = (make_account(key, plan="free") for key in ("last", "middle", "first"))
    other, gone = make_account("other", plan="free"), make_account("gone", plan="free")
    everybody = [account.pk for account in (last, middle, first, other, gone)]
    due.mark_changed(everybody, now=NOW)
    tiers.assign_due(now=NOW)
    asked = {
        account.pk: tickets.open_ticket(account=account, subject="Help", body="Please", by=None, now=NOW)
        for account in (first, gone)
    }
    for loser, winner in ((first, middle), (middle, last), (gone, other)):
        Account.objects.filter(pk=loser.pk).update(merged_into=winner)
    due.mark_changed(everybody, now=later(1))
    tiers.assign_due(now=later(1))
    Account.objects.filter(pk=last.pk).update(mrr=2000)
    Account.objects.filter(pk=other.pk).update(mrr=5)
    due.mark_changed([last.pk, other.pk], now=later(5))  # the winners only: their tombstones' tickets come along
    tiers.assign_due(now=later(5))
    helped_by = dict(Ticket.objects.values_list("account_id", "tier__name"))
    assert helped_by == {first.pk: "Enterprise", gone.pk: "Paid"}
    assert set(asked) == set(helped_by)


def test_a_sweep_ends_and_leaves_the_rest(ladder, monkeypatch):
    due.mark_changed([make_account("acme", plan="free").pk], now=NOW)
    monkeypatch.setattr(tasks, "BUDGET", 0.0)
    assert tasks.assign_due() == 0
    monkeypatch.undo()
    assert tasks.assign_due() == 1
