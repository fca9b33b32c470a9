"""Nothing falls through: people who leave, calendars that end, deeds taken back, rows that cannot be read."""

import datetime as dt

import pytest

from accounts.models import Account, AuditEntry, BusinessCalendar
from plgops.lib.db import in_one_transaction
from scoring import handoff_states, handoffs, leavers, openings, routing, snooze, speed, undo
from scoring.handoff_states import Refused
from scoring.models import Assignment, Handoff, Seller, SpeedClock, SpeedPolicy
from tests.conftest import NOW
from tests.factories.routing import go, ladder_of, pool_of, sellers, waiting
from tests.factories.scoring import make_account, publish, sweep, use

pytestmark = pytest.mark.django_db
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)


def last(handoff):
    return AuditEntry.objects.filter(object_type="handoff", object_id=handoff.pk).latest("pk").pk


def leave_the_company(person):
    person.is_active = False
    person.save(update_fields=["is_active"])


# --- whose owner is gone -----------------------------------------------------------------------------------------


def test_what_somebody_had_who_left_goes_down_the_ladder_without_them():
    dana, theo = sellers("Dana", "Theo")
    ladder_of({"kind": "owner"}, {"kind": "pool", "pool": pool_of(dana, theo).pk})
    handoff, asleep = waiting(), waiting()
    for one in (handoff, asleep):
        handoffs.claim(handoff_id=one.pk, by=dana, now=NOW)
    snooze.snooze(handoff_id=asleep.pk, until=NOW + 30 * DAY, by=dana, now=NOW)
    assert leavers.sweep(now=NOW) == 0
    leave_the_company(dana)
    assert (leavers.sweep(now=NOW + DAY), leavers.sweep(now=NOW + DAY)) == (2, 0)
    for one in (handoff, asleep):
        one.refresh_from_db()
        assert (one.status, one.owner, one.company.owner) == ("claimed", theo, theo)
    kept = Assignment.objects.get(handoff=handoff)
    assert (kept.cause, kept.skipped[0]["why"]) == ("left", "gone")


def test_where_nobody_can_take_it_everybody_sees_it_and_a_deal_under_way_is_not_withdrawn(rep):
    publish(NOW - DAY)
    account = make_account("Acme", recorded_at=NOW)
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    handoff = Handoff.objects.get()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoffs.touch(handoff_id=handoff.pk, kind="called", by=rep, now=NOW)
    rep.groups.clear()
    assert leavers.sweep(now=NOW) == 1
    handoff.refresh_from_db()
    assert (handoff.status, handoff.owner) == ("new", None)
    handoff.reasons.update(closed_at=NOW, close_cause="lapsed")
    in_one_transaction(lambda: openings.review(company_id=account.pk, now=NOW))
    handoff.refresh_from_db()
    assert (handoff.status, handoff.rule_lapsed_at) == ("new", NOW)


def test_who_takes_over_a_deal_under_way_has_it_as_working(rep, other_rep):
    handoff = waiting()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoffs.touch(handoff_id=handoff.pk, kind="called", by=rep, now=NOW)
    leave_the_company(rep)
    leavers.sweep(now=NOW)
    assert handoffs.claim(handoff_id=handoff.pk, by=other_rep, now=NOW).status == "working"


def test_a_merge_gives_nothing_to_who_left(rep):
    winner, loser = waiting(), waiting()
    handoffs.claim(handoff_id=loser.pk, by=rep, now=NOW)
    leave_the_company(rep)

    def join():
        handoff_states.lock_company(winner.company_id, loser.company_id)
        openings.rehome(old_company_id=loser.company_id, company=winner.company, now=NOW)

    in_one_transaction(join)
    winner.refresh_from_db()
    assert (winner.status, winner.owner) == ("new", None)


def test_an_assignment_is_not_taken_back_to_who_left(rep, other_rep, manager):
    handoff = waiting()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoffs.assign(handoff_id=handoff.pk, owner=other_rep, by=manager, now=NOW)
    leave_the_company(rep)
    with pytest.raises(Refused, match="does not work handoffs"):
        undo.undo(entry_id=last(handoff), by=manager, now=NOW)


def test_an_assignment_that_plgops_changed_since_is_not_taken_back(rep, other_rep, manager):
    handoff = waiting()
    handoffs.assign(handoff_id=handoff.pk, owner=rep, by=manager, now=NOW)
    entry = last(handoff)
    ladder_of({"kind": "pool", "pool": pool_of(other_rep).pk})
    leave_the_company(rep)
    leavers.sweep(now=NOW)
    with pytest.raises(Refused, match="since"):
        undo.undo(entry_id=entry, by=manager, now=NOW + MINUTE)
    handoff.refresh_from_db()
    assert handoff.owner == other_rep


# --- a claim that is taken back ----------------------------------------------------------------------------------


def test_a_claim_that_is_taken_back_leaves_the_account_with_who_had_it(rep, other_rep):
    company = make_account("Acme", owner=other_rep)
    child = make_account("Acme Labs", parent=company, owner=rep)
    handoff = waiting(company)
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    undo.undo(entry_id=last(handoff), by=rep, now=NOW)
    assert list(Account.objects.order_by("pk").values_list("owner", flat=True)) == [other_rep.pk, rep.pk]
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoffs.unclaim(handoff_id=handoff.pk, by=rep, now=NOW)
    child.refresh_from_db()
    company.refresh_from_db()
    assert (company.owner, child.owner) == (other_rep, rep)


# --- what a company is remembered for ----------------------------------------------------------------------------


def test_one_that_was_withdrawn_does_not_hide_who_had_the_company_before(rep):
    publish(NOW - DAY)
    account = make_account("Acme", recorded_at=NOW)
    had = waiting(account)
    handoffs.claim(handoff_id=had.pk, by=rep, now=NOW)
    handoffs.close(handoff_id=had.pk, outcome="returned", by=rep, now=NOW)
    Handoff.objects.create(
        company=account, opened_at=NOW + 40 * DAY, newest_evidence_at=NOW, status="withdrawn", closed_at=NOW + 41 * DAY
    )
    use(account, "Invite Sent", at=NOW + 50 * DAY, count=3)
    sweep(NOW + 50 * DAY)
    opened = Handoff.objects.get(closed_at=None)
    assert (opened.last_owner, opened.last_owner_until) == (rep, NOW)


# --- calendars that end ------------------------------------------------------------------------------------------


@pytest.fixture
def ended():
    """Open on one day that is over: a calendar that was kept date by date, and forgotten."""
    day = (NOW - DAY).date().isoformat()
    return BusinessCalendar.objects.create(
        name="Season", time_zone="UTC", hours={}, overrides={day: [["09:00", "17:00"]]}
    )


def test_nobody_is_given_anything_in_hours_that_have_ended_and_nothing_breaks(ended):
    dana, theo = sellers("Dana", "Theo")
    Seller.objects.create(person=dana, calendar=ended)
    ladder_of({"kind": "pool", "pool": pool_of(dana).pk})
    walk = go(waiting())
    assert (walk.person, walk.retry_at, walk.skipped[0]["why"]) == (None, None, "out_of_hours")


def test_a_promise_in_hours_that_have_ended_has_no_deadline(ended, rep):
    SpeedPolicy.objects.create(claim_minutes=60, touch_minutes=60, warn_percent=50, calendar=ended)
    publish(NOW - DAY)
    use(make_account("Acme", recorded_at=NOW), "Invite Sent", at=NOW, count=3)
    assert sweep(NOW).failed == 0
    handoff = Handoff.objects.get()
    assert SpeedClock.objects.get().next_at is None
    read = speed.read(handoff, handoff.speed, (), now=NOW)
    assert (read.claim_due_at, read.waiting) == (None, 0)


def test_mornings_are_offered_although_the_calendar_has_ended(ended, rep, client_of):
    handoff = waiting()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    assert client_of(rep).get(f"/inbox/{handoff.pk}/").status_code == 200
    assert client_of(rep).get("/routing/people/").status_code == 200


# --- one row that cannot be read ---------------------------------------------------------------------------------


def test_one_that_cannot_be_woken_or_routed_stops_nobody_else(rep, monkeypatch):
    poison, sound = waiting(), waiting()
    for one in (poison, sound):
        handoffs.claim(handoff_id=one.pk, by=rep, now=NOW)
        snooze.snooze(handoff_id=one.pk, until=NOW + HOUR, by=rep, now=NOW)
    real = snooze._wake_one
    monkeypatch.setattr(snooze, "_wake_one", lambda pk, now: 1 / 0 if pk == poison.pk else real(pk, now=now))
    assert snooze.wake_due(now=NOW + DAY) == 1
    queued = [waiting(), waiting()]
    for one in queued:
        Assignment.objects.create(handoff=one, at=NOW, cause="opened", ladder=routing.current(), retry_at=NOW)
    ladder_of({"kind": "pool", "pool": pool_of(rep).pk})
    retry = speed._retry
    monkeypatch.setattr(speed, "_retry", lambda pk, now: 1 / 0 if pk == queued[0].pk else retry(pk, now=now))
    assert speed.retry_due(now=NOW + HOUR) == 1


def test_where_there_is_no_manager_the_admins_are_told(admin):
    SpeedPolicy.objects.create(claim_minutes=60, escalate_after=0)
    handoff = waiting()
    speed.start(handoff, now=NOW)
    speed.sweep(now=NOW + HOUR)
    assert handoff.speed_steps.get().detail["to"] == [admin.pk]
