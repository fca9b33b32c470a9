"""By when a handoff must be claimed or touched: on its row, in the inbox's order, and what changes it."""

import datetime as dt

import pytest

from scoring import handoffs, queue, snooze, speed
from scoring.models import SpeedClock, SpeedPolicy
from tests.conftest import NOW
from tests.factories.routing import waiting

pytestmark = pytest.mark.django_db
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture
def policy(db):
    return SpeedPolicy.objects.create(claim_minutes=60, touch_minutes=240)


def started(**more):
    handoff = waiting(**more)
    speed.start(handoff, now=handoff.opened_at)
    return handoff


def due(handoff):
    handoff.refresh_from_db()
    return handoff.due_at


def test_it_is_due_to_be_claimed_then_to_be_touched_then_no_more(policy, rep):
    handoff = started()
    assert due(handoff) == NOW + HOUR
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW + MINUTE)
    assert due(handoff) == NOW + MINUTE + 4 * HOUR
    snooze.snooze(handoff_id=handoff.pk, until=NOW + DAY, by=rep, now=NOW + HOUR)
    assert due(handoff) is None
    snooze.wake(handoff_id=handoff.pk, by=rep, now=NOW + 2 * HOUR)
    assert due(handoff) == NOW + MINUTE + 5 * HOUR
    handoffs.touch(handoff_id=handoff.pk, kind="emailed", by=rep, now=NOW + 3 * HOUR)
    assert (due(handoff), SpeedClock.objects.get().next_at) == (None, None)


def test_what_is_closed_is_not_due_and_is_again_when_that_is_taken_back(policy, rep):
    handoff = started()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoffs.close(handoff_id=handoff.pk, outcome="won", by=rep, now=NOW + HOUR)
    assert due(handoff) is None
    handoffs.reopen(handoff_id=handoff.pk, by=rep, now=NOW + 2 * HOUR)
    assert due(handoff) == NOW + 5 * HOUR


def test_the_inbox_sorts_by_it_page_after_page_and_what_has_no_deadline_comes_last(policy, rep, monkeypatch):
    monkeypatch.setattr(queue, "PAGE", 2)
    late, soon, never = started(at=NOW - 2 * HOUR), started(at=NOW), waiting(at=NOW - DAY)
    SpeedPolicy.objects.update(claim_minutes=30)
    sooner = started(at=NOW)
    filters = queue.Filters(sort="due")
    first = queue.page(filters, user=rep)
    second = queue.page(filters, user=rep, cursor=first.next_cursor)
    assert [h.pk for h in (*first.items, *second.items)] == [late.pk, sooner.pk, soon.pk, never.pk]
    rows = queue.rows_of([*first.items, *second.items], now=NOW + 45 * MINUTE, filters=filters)
    assert [(r.due_what, r.due_tone, r.late) for r in rows] == [
        ("Claim", "bad", HOUR + 45 * MINUTE),
        ("Claim", "bad", 15 * MINUTE),
        ("Claim", "warn", None),
        ("Claim", "", None),
    ]


def test_a_row_says_what_is_due(policy, rep, client_of):
    started()
    page = client_of(rep).get("/inbox/?sort=due").content.decode()
    assert 'title="Claim due Monday, 15 June, 10:00"' in page
    assert "<b>Due first</b>" in page
