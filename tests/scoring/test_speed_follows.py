"""A handoff's clock goes on through everything that happens to it: routing, undo, sleep, a merge."""

import datetime as dt

import pytest

from accounts.models import AuditEntry, StageEntry
from plgops.lib.db import in_one_transaction
from scoring import handoff_states, handoffs, openings, snooze, speed, undo
from scoring.models import Handoff, NextTask, Seller, SpeedClock, SpeedPolicy
from tests.conftest import NOW
from tests.factories.routing import go, ladder_of, office, pool_of, sellers, waiting
from tests.factories.scoring import make_account, publish, sweep, use

pytestmark = pytest.mark.django_db
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture
def policy(db):
    """Four hours for the first touch and nothing about the claim; a warning at half of it, then the manager."""
    return SpeedPolicy.objects.create(touch_minutes=240, warn_percent=50, escalate_after=0)


def started(**more) -> Handoff:
    handoff = waiting(**more)
    speed.start(handoff, now=handoff.opened_at)
    return handoff


def next_at(handoff):
    return SpeedClock.objects.get(handoff=handoff).next_at


def last(handoff):
    return AuditEntry.objects.filter(object_type="handoff", object_id=handoff.pk).latest("pk").pk


def test_what_is_given_to_somebody_at_once_has_its_first_touch_promised(policy, rep):
    ladder_of({"kind": "pool", "pool": pool_of(rep).pk})
    publish(NOW - DAY)
    use(make_account("Acme", recorded_at=NOW), "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    handoff = Handoff.objects.get()
    assert (handoff.owner, next_at(handoff)) == (rep, NOW + 2 * HOUR)
    assert speed.sweep(now=NOW + 2 * HOUR) == 1


def test_so_has_what_goes_to_somebody_when_working_hours_begin(policy):
    (dana,) = sellers("Dana")
    ladder_of({"kind": "pool", "pool": pool_of(dana).pk})
    Seller.objects.create(person=dana, calendar=office())
    handoff = started(at=NOW - 12 * HOUR)
    go(handoff, now=NOW - 12 * HOUR)
    assert speed.retry_due(now=NOW) == 1
    assert next_at(handoff) == NOW + 2 * HOUR


def test_so_has_what_gets_its_account_s_owner(policy, rep):
    publish(NOW - DAY)
    account = make_account("Acme", recorded_at=NOW)
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    handoff = Handoff.objects.get()
    assert (handoff.owner, next_at(handoff)) == (None, None)
    account.owner = rep
    account.save(update_fields=["owner"])
    in_one_transaction(lambda: openings.review(company_id=account.pk, now=NOW))
    assert next_at(handoff) == NOW + 2 * HOUR


def test_a_snooze_that_is_taken_back_starts_the_clock_again(policy, rep):
    handoff = started()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    snooze.snooze(handoff_id=handoff.pk, until=NOW + DAY, by=rep, now=NOW + MINUTE)
    undo.undo(entry_id=last(handoff), by=rep, now=NOW + 2 * MINUTE)
    assert next_at(handoff) == NOW + 2 * HOUR + MINUTE


def test_a_touch_that_is_taken_back_starts_it_again(policy, rep):
    handoff = started()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    late = NOW + 2 * HOUR
    handoffs.touch(handoff_id=handoff.pk, kind="emailed", by=rep, now=late)
    entry = last(handoff)
    assert (speed.sweep(now=late), next_at(handoff)) == (0, None)
    undo.undo(entry_id=entry, by=rep, now=late + MINUTE)
    assert next_at(handoff) == late


def test_an_assignment_that_is_taken_back_leaves_the_time_asleep_out(policy, rep, other_rep, manager):
    handoff = started()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    snooze.snooze(handoff_id=handoff.pk, until=NOW + DAY, by=rep, now=NOW + HOUR)
    handoffs.assign(handoff_id=handoff.pk, owner=other_rep, by=manager, now=NOW + 2 * HOUR)
    undo.undo(entry_id=last(handoff), by=manager, now=NOW + 2 * HOUR + MINUTE)
    assert next_at(handoff) is None
    snooze.wake_due(now=NOW + DAY)
    # one hour before it slept, and the minute that it was somebody else's
    assert next_at(handoff) == NOW + DAY + HOUR - MINUTE


def test_an_outcome_that_is_taken_back_from_one_that_slept_leaves_that_time_out_too(policy, rep):
    handoff = started()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    snooze.snooze(handoff_id=handoff.pk, until=NOW + DAY, by=rep, now=NOW + HOUR)
    handoffs.close(handoff_id=handoff.pk, outcome="won", by=rep, now=NOW + 2 * HOUR)
    handoffs.reopen(handoff_id=handoff.pk, by=rep, now=NOW + 2 * HOUR + MINUTE)
    snooze.wake_due(now=NOW + DAY)
    assert next_at(handoff) == NOW + DAY + HOUR


def test_two_that_become_one_are_touched_when_either_was_and_keep_what_is_next(policy, rep):
    winner, loser = started(), started()
    handoffs.claim(handoff_id=loser.pk, by=rep, now=NOW)
    handoffs.touch(handoff_id=loser.pk, kind="called", by=rep, now=NOW + HOUR)
    task = NextTask.objects.create(handoff=loser, text="Send it", due_at=NOW + DAY, owner=rep, set_at=NOW)

    def join():
        handoff_states.lock_company(winner.company_id, loser.company_id)
        openings.rehome(old_company_id=loser.company_id, company=winner.company, now=NOW + HOUR)

    in_one_transaction(join)
    winner.refresh_from_db()
    task.refresh_from_db()
    assert (winner.status, winner.owner, winner.first_touch_at) == ("working", rep, NOW + HOUR)
    assert (task.handoff, next_at(winner)) == (winner, None)
    assert StageEntry.objects.filter(stage="contacted").count() == 1
