"""Snoozing: when it ends, that it ends once, what counts as stronger evidence, and taking it back."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from accounts import lifecycle
from accounts.models import AuditEntry
from plgops.lib.business_time import Calendar
from scoring import definitions, handoffs, openings, snooze, undo
from scoring.models import AlertFact, Handoff
from scoring.tasks import wake
from tests.conftest import NOW
from tests.factories.scoring import document, make_account, publish, sweep, use

pytestmark = pytest.mark.django_db

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")
WEEK = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}


def claimed(rep, name="Acme", **values) -> Handoff:
    values = {"status": "claimed", "owner": rep, "claimed_at": NOW, **values}
    return Handoff.objects.create(company=make_account(name), opened_at=NOW, newest_evidence_at=NOW, **values)


def asleep(rep, name="Acme", **values) -> Handoff:
    return snooze.snooze(handoff_id=claimed(rep, name).pk, until=NOW + DAY, by=rep, now=NOW, **values)


def state(handoff: Handoff) -> tuple:
    handoff.refresh_from_db()
    return handoff.status, handoff.snoozed_until, handoff.woken_at


# --- until when ----------------------------------------------------------------------------------------------


def told(now: dt.datetime, calendar=None) -> dict[str, str]:
    found = snooze.presets(now=now, zone=BERLIN, calendar=calendar)
    return {one.code: one.until.astimezone(BERLIN).strftime("%a %d %H:%M") for one in found}


def test_presets_are_mornings_of_the_workspace_and_a_little_later_today():
    wednesday = dt.datetime(2026, 11, 18, 10, 20, tzinfo=BERLIN)
    assert told(wednesday) == {"later": "Wed 18 13:00", "tomorrow": "Thu 19 09:00", "monday": "Mon 23 09:00"}


def test_presets_late_and_at_the_weekend():
    assert told(dt.datetime(2026, 11, 18, 21, 0, tzinfo=BERLIN)) == {
        "tomorrow": "Thu 19 09:00",
        "monday": "Mon 23 09:00",
    }
    # on a Sunday, tomorrow is the next week: one preset, not two
    assert told(dt.datetime(2026, 11, 22, 21, 0, tzinfo=BERLIN)) == {"tomorrow": "Mon 23 09:00"}


def test_presets_keep_to_the_business_calendar():
    calendar = Calendar("Europe/Berlin", WEEK, ["2026-11-23"], {})
    friday = dt.datetime(2026, 11, 20, 15, 0, tzinfo=BERLIN)
    assert told(friday, calendar) == {"tomorrow": "Tue 24 09:00"}
    assert told(dt.datetime(2026, 11, 18, 9, 0, tzinfo=BERLIN), calendar)["later"] == "Wed 18 12:00"


def test_presets_across_a_clock_change_are_still_nine_in_the_morning():
    saturday = dt.datetime(2026, 10, 24, 12, 0, tzinfo=BERLIN)
    assert told(saturday)["tomorrow"] == "Sun 25 09:00"
    assert snooze.morning_of(dt.date(2026, 10, 26), zone=BERLIN) == dt.datetime(2026, 10, 26, 8, 0, tzinfo=dt.UTC)


# --- by its owner --------------------------------------------------------------------------------------------


def test_snooze_keeps_the_owner_and_the_moment(rep):
    handoff = asleep(rep)
    assert state(handoff) == ("snoozed", NOW + DAY, None)
    assert (handoff.owner, handoff.wakes_on_evidence) == (rep, True)
    entry = AuditEntry.objects.get(action="handoff.snoozed")
    assert entry.detail["until"] == (NOW + DAY).isoformat()


def test_snooze_of_somebody_elses_and_of_what_nobody_has_is_refused(rep, other_rep, manager):
    handoff = claimed(rep)
    with pytest.raises(handoffs.NotAllowed):
        snooze.snooze(handoff_id=handoff.pk, until=NOW + DAY, by=other_rep, now=NOW)
    free = Handoff.objects.create(company=make_account("Free"), opened_at=NOW, newest_evidence_at=NOW)
    with pytest.raises(handoffs.Refused, match="Claim it first"):
        snooze.snooze(handoff_id=free.pk, until=NOW + DAY, by=manager, now=NOW)
    assert not Handoff.objects.filter(status="snoozed").exists()
    snooze.snooze(handoff_id=handoff.pk, until=NOW + DAY, by=manager, now=NOW)
    assert state(handoff)[0] == "snoozed"


@pytest.mark.parametrize("until", [NOW, NOW - DAY, NOW + 367 * DAY])
def test_moments_that_are_past_or_too_far_are_refused(rep, until):
    with pytest.raises(handoffs.Refused):
        snooze.snooze(handoff_id=claimed(rep).pk, until=until, by=rep, now=NOW)


def test_touches_and_notes_leave_it_asleep_and_waking_gives_what_it_was(rep):
    handoff = asleep(rep)
    handoffs.note(handoff_id=handoff.pk, text="Back in May.", by=rep, now=NOW)
    handoffs.touch(handoff_id=handoff.pk, kind="emailed", by=rep, now=NOW)
    assert state(handoff)[0] == "snoozed"
    snooze.wake(handoff_id=handoff.pk, by=rep, now=NOW + HOUR)
    assert state(handoff) == ("working", None, None)


def test_assigned_to_somebody_else_it_is_awake(rep, other_rep, manager):
    handoff = asleep(rep)
    handoffs.assign(handoff_id=handoff.pk, owner=other_rep, by=manager, now=NOW)
    assert state(handoff) == ("claimed", None, None)


@pytest.mark.parametrize(("later", "status"), [(HOUR, "snoozed"), (2 * DAY, "claimed")])
def test_an_outcome_that_is_taken_back_gives_the_rest_of_the_sleep_back(rep, later, status):
    handoff = asleep(rep)
    handoffs.close(handoff_id=handoff.pk, outcome="lost", reason="timing", by=rep, now=NOW)
    assert snooze.wake_due(now=NOW + later) == 0
    handoffs.reopen(handoff_id=handoff.pk, by=rep, now=NOW + later)
    assert state(handoff)[0] == status


# --- waking by itself ----------------------------------------------------------------------------------------


def test_the_sweep_wakes_what_is_due_once_and_tells_it_once(rep):
    first, second = asleep(rep), asleep(rep, "Later")
    snooze.snooze(handoff_id=second.pk, until=NOW + 3 * DAY, by=rep, now=NOW)
    assert snooze.wake_due(now=NOW + DAY - HOUR) == 0
    assert snooze.wake_due(now=NOW + DAY) == 1
    assert snooze.wake_due(now=NOW + DAY) == 0
    assert state(first) == ("claimed", None, NOW + DAY)
    assert state(second)[0] == "snoozed"
    fact = AlertFact.objects.get(kind="handoff_woken")
    assert (fact.handoff, fact.detail["why"]) == (first, "date")
    assert AuditEntry.objects.get(action="handoff.woken").actor_id is None


def test_a_sweep_is_cut_and_goes_on(rep):
    for name in ("One", "Two", "Three"):
        asleep(rep, name)
    assert snooze.wake_due(now=NOW + DAY, limit=2) == 2
    assert snooze.wake_due(now=NOW + DAY, limit=2) == 1


def test_the_task_wakes_by_the_clock(rep):
    handoff = asleep(rep)
    Handoff.objects.update(snoozed_until=NOW)
    wake(later_argument=True)
    assert state(handoff)[:2] == ("claimed", None)


def test_touched_after_it_woke_it_is_woken_no_more(rep):
    handoff = asleep(rep)
    snooze.wake_due(now=NOW + DAY)
    handoffs.touch(handoff_id=handoff.pk, kind="called", by=rep, now=NOW + DAY)
    assert state(handoff) == ("working", None, None)


def world(rep, *, or_evidence: bool) -> Handoff:
    """Acme qualified under TEAM, was claimed and snoozed; a second definition is live that it does not fit yet."""
    publish(NOW - DAY)
    other = document(
        slug="exports", name="Exports", rule={"count": {"event": "Export", "at_least": 1, "window": {"last_days": 7}}}
    )
    definitions.publish(document=other, by=None, now=NOW - DAY)
    account = make_account(recorded_at=NOW)
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    handoff = handoffs.claim(handoff_id=Handoff.objects.get().pk, by=rep, now=NOW)
    snooze.snooze(handoff_id=handoff.pk, until=NOW + 30 * DAY, by=rep, now=NOW, or_evidence=or_evidence)
    return handoff


@pytest.mark.parametrize(("or_evidence", "status"), [(True, "claimed"), (False, "snoozed")])
def test_another_reason_wakes_it_where_that_was_wanted(rep, or_evidence, status):
    handoff = world(rep, or_evidence=or_evidence)
    use(handoff.company, "Export", at=NOW + HOUR)
    sweep(NOW + HOUR)
    assert handoff.reasons.count() == 2
    assert state(handoff)[0] == status
    assert AlertFact.objects.filter(kind="handoff_woken", detail__why="reason").count() == or_evidence


def test_more_of_the_same_wakes_nobody(rep):
    handoff = world(rep, or_evidence=True)
    use(handoff.company, "Invite Sent", at=NOW + HOUR, count=5)
    sweep(NOW + HOUR)
    assert state(handoff)[0] == "snoozed"


def test_a_reason_that_lapses_leaves_it_asleep_and_one_that_holds_again_wakes_it(rep):
    handoff = world(rep, or_evidence=True)
    sweep(NOW + 12 * DAY)
    sweep(NOW + 14 * DAY)
    handoff.refresh_from_db()
    assert (handoff.status, bool(handoff.rule_lapsed_at)) == ("snoozed", True)
    use(handoff.company, "Invite Sent", at=NOW + 15 * DAY, count=3)
    sweep(NOW + 15 * DAY)
    assert state(handoff)[0] == "claimed"


def test_a_payment_wakes_it(rep):
    handoff = world(rep, or_evidence=True)
    paid = {"stage": "paid", "at": NOW + HOUR, "now": NOW + HOUR, "cause": "billing"}
    lifecycle.reach(account_id=handoff.company_id, **paid)
    sweep(NOW + HOUR)
    assert state(handoff)[0] == "claimed"
    assert AlertFact.objects.get(kind="handoff_woken").detail["why"] == "paid"


def test_sleep_moves_with_its_account(rep):
    handoff = world(rep, or_evidence=True)
    root = make_account("Root")
    openings.rehome(old_company_id=handoff.company_id, company=root, now=NOW)
    assert state(handoff)[0] == "snoozed" and handoff.company == root


# --- taking it back ------------------------------------------------------------------------------------------


def last(handoff: Handoff) -> int:
    return AuditEntry.objects.filter(object_type="handoff", object_id=handoff.pk).latest("pk").pk


def test_undo_of_a_snooze_and_of_another_one_on_top(rep):
    handoff = asleep(rep)
    first = last(handoff)
    snooze.snooze(handoff_id=handoff.pk, until=NOW + 5 * DAY, by=rep, now=NOW, or_evidence=False)
    with pytest.raises(handoffs.Refused, match="Something else"):
        undo.undo(entry_id=first, by=rep, now=NOW)
    undo.undo(entry_id=last(handoff), by=rep, now=NOW)
    assert state(handoff) == ("snoozed", NOW + DAY, None)
    assert handoff.wakes_on_evidence


def test_undo_of_the_only_snooze_and_of_waking(rep):
    handoff = asleep(rep)
    snooze.wake(handoff_id=handoff.pk, by=rep, now=NOW)
    undo.undo(entry_id=last(handoff), by=rep, now=NOW)
    assert state(handoff) == ("snoozed", NOW + DAY, None)
    other = asleep(rep, "Other")
    undo.undo(entry_id=last(other), by=rep, now=NOW)
    assert state(other) == ("claimed", None, None)


def test_undo_of_a_first_touch_and_of_a_note(rep):
    handoff = claimed(rep)
    handoffs.touch(handoff_id=handoff.pk, kind="emailed", by=rep, now=NOW)
    undo.undo(entry_id=last(handoff), by=rep, now=NOW)
    handoff.refresh_from_db()
    assert (handoff.status, handoff.first_touch_at, handoff.activities.count()) == ("claimed", None, 0)
    handoffs.touch(handoff_id=handoff.pk, kind="emailed", by=rep, now=NOW)
    handoffs.note(handoff_id=handoff.pk, text="Hm.", by=rep, now=NOW + HOUR)
    undo.undo(entry_id=last(handoff), by=rep, now=NOW + HOUR)
    handoff.refresh_from_db()
    assert (handoff.status, handoff.first_touch_at, handoff.activities.count()) == ("working", NOW, 1)


def test_undo_of_a_second_touch_leaves_the_first(rep):
    handoff = claimed(rep)
    handoffs.touch(handoff_id=handoff.pk, kind="emailed", by=rep, now=NOW)
    handoffs.touch(handoff_id=handoff.pk, kind="called", by=rep, now=NOW + HOUR)
    undo.undo(entry_id=last(handoff), by=rep, now=NOW + HOUR)
    handoff.refresh_from_db()
    assert (handoff.status, handoff.first_touch_at, handoff.activities.count()) == ("working", NOW, 1)


def test_undo_of_an_assignment_gives_it_back_to_who_had_it(rep, other_rep, manager):
    handoff = asleep(rep)
    handoffs.assign(handoff_id=handoff.pk, owner=other_rep, by=manager, now=NOW + HOUR)
    undo.undo(entry_id=last(handoff), by=manager, now=NOW + HOUR)
    assert state(handoff) == ("snoozed", NOW + DAY, None)
    handoff.company.refresh_from_db()
    assert (handoff.owner, handoff.claimed_at, handoff.assigned) == (rep, NOW, False)
    assert handoff.company.owner == rep


def test_undo_of_an_assignment_of_a_new_one_makes_it_new_again(rep, manager):
    handoff = Handoff.objects.create(company=make_account(), opened_at=NOW, newest_evidence_at=NOW)
    handoffs.assign(handoff_id=handoff.pk, owner=rep, by=manager, now=NOW)
    undo.undo(entry_id=last(handoff), by=manager, now=NOW)
    handoff.refresh_from_db()
    assert (handoff.status, handoff.owner, handoff.assigned) == ("new", None, False)
    handoff.company.refresh_from_db()
    assert handoff.company.owner is None


def test_undo_of_claim_and_outcome(rep):
    handoff = Handoff.objects.create(company=make_account(), opened_at=NOW, newest_evidence_at=NOW)
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoffs.close(handoff_id=handoff.pk, outcome="won", by=rep, now=NOW)
    undo.undo(entry_id=last(handoff), by=rep, now=NOW)
    assert state(handoff)[0] == "claimed"
    other = Handoff.objects.create(company=make_account("Other"), opened_at=NOW, newest_evidence_at=NOW)
    handoffs.claim(handoff_id=other.pk, by=rep, now=NOW)
    undo.undo(entry_id=last(other), by=rep, now=NOW)
    assert state(other)[0] == "new"


def test_undo_is_for_who_did_it_and_for_a_few_minutes(rep, manager):
    handoff = asleep(rep)
    with pytest.raises(handoffs.NotAllowed):
        undo.undo(entry_id=last(handoff), by=manager, now=NOW)
    with pytest.raises(handoffs.Refused, match="too long ago"):
        undo.undo(entry_id=last(handoff), by=rep, now=NOW + HOUR)
    undo.undo(entry_id=last(handoff), by=rep, now=NOW)
    with pytest.raises(handoffs.Refused, match="cannot be undone"):
        undo.undo(entry_id=last(handoff), by=rep, now=NOW)


def test_what_the_machine_does_meanwhile_is_no_obstacle(rep):
    handoff = asleep(rep)
    entry = last(handoff)
    snooze.wake_for(handoff, why="reason", now=NOW)
    undo.undo(entry_id=entry, by=rep, now=NOW)
    assert state(handoff)[:2] == ("claimed", None)
