"""Many hands at one handoff: claims by several workers, sweeps that wake, owners who snooze and wake by hand."""

import datetime as dt

import pytest

from accounts.models import AuditEntry, StageEntry
from plgops.lib import access
from scoring import bulk, handoffs, snooze
from scoring.models import AlertFact, Handoff
from tests.concurrency.races import at_once
from tests.conftest import NOW, make_staff
from tests.factories.scoring import make_account

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True, serialized_rollback=True)]
DAY = dt.timedelta(days=1)
WORKERS = 8
ROUNDS = 12


def new(number: int, **values) -> Handoff:
    return Handoff.objects.create(
        company=make_account(f"Acme {number}"), opened_at=NOW, newest_evidence_at=NOW, **values
    )


def asleep(number: int, owner) -> Handoff:
    return new(number, status="snoozed", owner=owner, claimed_at=NOW, snoozed_until=NOW + DAY)


def test_of_eight_claimers_one_wins_each_time(db):
    reps = [make_staff(f"rep-{number}", access.SALES_REP) for number in range(WORKERS)]
    for number in range(ROUNDS):
        handoff = new(number)
        results = at_once(
            *(lambda rep=rep, pk=handoff.pk: handoffs.claim(handoff_id=pk, by=rep, now=NOW) for rep in reps)
        )
        handoff.refresh_from_db()
        winners = [result for result in results if isinstance(result, Handoff)]
        losers = [result for result in results if isinstance(result, handoffs.AlreadyClaimed)]
        assert (len(winners), len(losers)) == (1, WORKERS - 1)
        assert {winners[0].owner_id, handoff.owner_id, *(loser.owner.pk for loser in losers)} == {handoff.owner_id}
    assert AuditEntry.objects.filter(action="handoff.claimed").count() == ROUNDS
    assert StageEntry.objects.filter(stage="claimed").count() == ROUNDS


def test_sweeps_at_the_same_moment_wake_each_once(rep):
    for number in range(ROUNDS):
        asleep(number, rep)
    woken = at_once(*(lambda: snooze.wake_due(now=NOW + DAY) for _ in range(WORKERS)))
    assert sum(woken) == ROUNDS
    assert not Handoff.objects.filter(status="snoozed").exists()
    assert AlertFact.objects.filter(kind="handoff_woken").count() == ROUNDS
    assert AuditEntry.objects.filter(action="handoff.woken").count() == ROUNDS


def test_a_sweep_beside_its_owner_who_wakes_or_snoozes_on(rep):
    for number in range(ROUNDS):
        handoff = asleep(number, rep)
        later = NOW + 9 * DAY
        by_hand, again, swept = at_once(
            lambda pk=handoff.pk: snooze.wake(handoff_id=pk, by=rep, now=NOW + DAY),
            lambda pk=handoff.pk, until=later: snooze.snooze(handoff_id=pk, until=until, by=rep, now=NOW + DAY),
            lambda: snooze.wake_due(now=NOW + DAY),
        )
        handoff.refresh_from_db()
        assert isinstance(again, Handoff)  # it can be snoozed in either state
        assert isinstance(by_hand, Handoff | handoffs.Refused)
        assert (handoff.status, handoff.snoozed_until) in {("snoozed", later), ("claimed", None)}
        told = AlertFact.objects.filter(kind="handoff_woken", handoff=handoff).count()
        woken = AuditEntry.objects.filter(action="handoff.woken", object_id=handoff.pk)
        assert told == swept == woken.filter(actor_id=None).count()
        Handoff.objects.filter(pk=handoff.pk, status="snoozed").update(snoozed_until=NOW + 99 * DAY)


def test_two_who_claim_the_same_many_get_each_one_once(rep, other_rep):
    ids = [new(number).pk for number in range(ROUNDS)]
    one, other = at_once(
        *(
            lambda who=who, order=order: bulk.for_each(
                order, lambda pk: handoffs.claim(handoff_id=pk, by=who, now=NOW), by=who, now=NOW
            )
            for who, order in ((rep, ids), (other_rep, ids[::-1]))
        )
    )
    assert sorted(one.done + other.done) == ids
    assert len(one.refused) + len(other.refused) == ROUNDS
    assert set(Handoff.objects.filter(owner=rep).values_list("pk", flat=True)) == set(one.done)
