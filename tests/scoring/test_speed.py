"""Speed to lead: targets in business time, each step once, whoever dies, and what the clock says."""

import datetime as dt

import pytest

from accounts.models import AuditEntry
from scoring import handoffs, openings, routing_desk, snooze, speed, speed_numbers
from scoring.handoff_states import Refused
from scoring.models import AlertFact, Handoff, Play, SpeedClock, SpeedPolicy
from tests.conftest import NOW
from tests.factories.routing import go, ladder_of, office, pool_of, sellers, waiting
from tests.factories.scoring import make_account, publish, sweep, use

pytestmark = pytest.mark.django_db
NINE = {"count": {"event": "Invite Sent", "at_least": 9, "window": "ever"}}
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture
def policy(db):
    """An hour to claim, four to touch; a warning at 80%, re-routed after half an hour more, the manager after two."""
    return SpeedPolicy.objects.create(
        claim_minutes=60, touch_minutes=240, warn_percent=80, reroute_after=30, escalate_after=120, calendar=office()
    )


def started(**more) -> Handoff:
    handoff = waiting(**more)
    speed.start(handoff, now=handoff.opened_at)
    return handoff


def steps(handoff):
    return [(s.metric, s.kind, s.at) for s in handoff.speed_steps.order_by("pk")]


def run_until(end, *, by=5 * MINUTE, start=NOW):
    now = start
    while now <= end:
        speed.sweep(now=now)
        now += by


def test_a_handoff_that_opens_gets_its_clock_and_keeps_what_was_promised(policy, admin):
    publish(NOW - DAY)
    use(make_account("Acme", recorded_at=NOW), "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    clock = SpeedClock.objects.get()
    assert (clock.claim_minutes, clock.next_at) == (60, NOW + 48 * MINUTE)
    fields = {"is_on": True, "claim_minutes": 600, "touch_minutes": None, "calendar": None}
    routing_desk.save_policy(policy_id=policy.pk, play=None, fields=fields, edition=1, by=admin, now=NOW)
    clock.refresh_from_db()
    assert (clock.claim_minutes, clock.touch_minutes) == (60, 240)


def test_the_policy_of_the_play_goes_before_the_one_for_everything(policy):
    definition = publish(NOW - DAY).definition
    play = Play.objects.get(definition=definition)
    SpeedPolicy.objects.create(play=play, claim_minutes=10)
    other = Play.objects.get(definition=publish(NOW - DAY, slug="other", rule=NINE).definition)
    SpeedPolicy.objects.create(play=other, claim_minutes=20)
    use(make_account("Acme", recorded_at=NOW), "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    assert SpeedClock.objects.get().claim_minutes == 10


def test_times_are_measured_by_play_too(policy, rep):
    definition = publish(NOW - DAY).definition
    use(make_account("Acme", recorded_at=NOW), "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    handoff = Handoff.objects.get()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW + 20 * MINUTE)
    handoffs.touch(handoff_id=handoff.pk, kind="emailed", by=rep, now=NOW + DAY)
    told = speed_numbers.measured(now=NOW + DAY)
    name = Play.objects.get(definition=definition).name
    assert [(line.name, line.claim, line.touch, line.late) for line in (*told.people, *told.plays)] == [
        (rep.label, (20 * 60, 20 * 60), (8 * 3600, 8 * 3600), 1),
        (name, (20 * 60, 20 * 60), (8 * 3600, 8 * 3600), 1),
    ]
    handoff.company.is_internal = True
    handoff.company.save()
    assert speed_numbers.measured(now=NOW + DAY) == speed_numbers.Measured([], [])  # in no figure


def test_without_a_policy_or_with_one_that_is_off_nothing_is_promised(policy):
    SpeedPolicy.objects.update(is_on=False)
    started()
    assert not SpeedClock.objects.exists()


def test_nobody_claims_it_warned_tried_again_and_the_manager_told(policy, manager, rep):
    handoff = started()
    run_until(NOW + 8 * HOUR)
    assert steps(handoff) == [
        ("claim", "warned", NOW + 50 * MINUTE),
        ("claim", "rerouted", NOW + 90 * MINUTE),
        ("claim", "escalated", NOW + 180 * MINUTE),
    ]
    assert list(AlertFact.objects.filter(kind__startswith="speed").order_by("pk").values_list("kind", flat=True)) == [
        "speed_warned",
        "speed_rerouted",
        "speed_escalated",
    ]
    assert handoff.speed_steps.get(kind="escalated").detail["to"] == [manager.pk]
    assert AuditEntry.objects.filter(action__startswith="handoff.speed_").count() == 3


def test_each_step_is_done_once_however_often_it_is_swept(policy):
    handoff = started()
    late = NOW + 6 * HOUR
    assert [speed.sweep(now=late) for _ in range(6)] == [1, 1, 1, 0, 0, 0]
    assert len(steps(handoff)) == 3


def test_who_dies_before_the_commit_has_done_nothing_and_the_next_does_it(policy, monkeypatch):
    handoff = started()

    def die(*args, **kwargs):
        raise RuntimeError("the worker was killed")

    with monkeypatch.context() as killed:
        killed.setattr(speed, "tell", die)
        assert speed.sweep(now=NOW + 50 * MINUTE) == 0
    assert (steps(handoff), AlertFact.objects.count()) == ([], 0)
    assert speed.sweep(now=NOW + 2 * HOUR) == 1
    assert steps(handoff)[0][:2] == ("claim", "warned")


def test_one_that_cannot_be_read_stops_nobody_else(policy, monkeypatch):
    poison, sound = started(), started()
    real = speed._step
    monkeypatch.setattr(speed, "_step", lambda pk, now: 1 / 0 if pk == poison.pk else real(pk, now=now))
    assert speed.sweep(now=NOW + 50 * MINUTE) == 1
    assert len(steps(sound)) == 1
    assert SpeedClock.objects.get(handoff=poison).next_at == NOW + 50 * MINUTE + HOUR


def test_time_counts_in_business_hours(policy):
    """It comes at 16:30 on Friday: half an hour is left that day, the rest is Monday's."""
    friday = NOW.replace(day=19, hour=16, minute=30)
    handoff = started(at=friday)
    monday = friday + 3 * DAY
    assert SpeedClock.objects.get().next_at == monday.replace(hour=9, minute=18)
    read = speed.read(handoff, handoff.speed, (), now=monday.replace(hour=9, minute=0))
    assert (read.claim_due_at, read.waiting) == (monday.replace(hour=9, minute=30), 30 * 60)


def test_a_claim_ends_one_clock_and_begins_the_other(policy, rep):
    handoff = started()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW + 20 * MINUTE)
    assert SpeedClock.objects.get().next_at == NOW + 20 * MINUTE + 192 * MINUTE
    handoffs.touch(handoff_id=handoff.pk, kind="emailed", by=rep, now=NOW + 50 * MINUTE)
    run_until(NOW + 2 * DAY, by=HOUR)
    assert (steps(handoff), SpeedClock.objects.get().next_at) == ([], None)
    handoff.refresh_from_db()
    read = speed.read(handoff, handoff.speed, (), now=NOW + DAY)
    assert (read.to_claim, read.to_touch, read.waiting) == (20 * 60, 50 * 60, None)


def test_what_is_not_touched_goes_to_somebody_else_who_has_the_whole_time(policy):
    dana, theo = people = sellers("Dana", "Theo")
    ladder_of({"kind": "pool", "pool": pool_of(*people).pk})
    handoff = started()
    go(handoff)
    handoff.refresh_from_db()
    handoff.speed.delete()
    speed.start(handoff, now=NOW)
    run_until(NOW + 5 * HOUR)
    handoff.refresh_from_db()
    assert (handoff.owner, handoff.company.owner) == (theo, theo)
    moved = NOW + 270 * MINUTE
    assert steps(handoff) == [("touch", "warned", NOW + 195 * MINUTE), ("touch", "rerouted", moved)]
    assert speed.read(handoff, handoff.speed, (), now=moved).touch_due_at == NOW + DAY + 30 * MINUTE
    assert handoff.assignments.order_by("-pk")[0].skipped == [{"id": dana.pk, "why": "had_it", "step": 0}]
    assert AuditEntry.objects.get(action="handoff.speed_rerouted").detail["from"] == "Dana"


def test_where_nobody_else_can_take_it_everybody_may_claim_it(policy):
    (dana,) = sellers("Dana")
    ladder_of({"kind": "pool", "pool": pool_of(dana).pk})
    handoff = started()
    handoffs.assign(handoff_id=handoff.pk, owner=dana, by=make_manager(), now=NOW)
    run_until(NOW + 5 * HOUR)
    handoff.refresh_from_db()
    assert (handoff.status, handoff.owner) == ("new", None)
    assert [step[:2] for step in steps(handoff)] == [
        ("touch", "warned"),
        ("touch", "rerouted"),
        ("claim", "escalated"),
    ]


def make_manager():
    from plgops.lib import access
    from tests.conftest import make_staff

    return make_staff("boss", access.SALES_MANAGER)


def test_the_clock_stands_still_while_it_sleeps(policy, rep):
    handoff = started()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    asleep, awake = NOW + HOUR, NOW + 3 * HOUR
    snooze.snooze(handoff_id=handoff.pk, until=NOW + DAY, by=rep, now=asleep)
    assert SpeedClock.objects.get().next_at is None
    snooze.wake(handoff_id=handoff.pk, by=rep, now=awake)
    assert SpeedClock.objects.get().next_at == NOW + 2 * HOUR + 192 * MINUTE
    handoff.refresh_from_db()
    pauses = speed.pauses_of([handoff.pk])[handoff.pk]
    assert pauses == [(asleep, awake)]
    read = speed.read(handoff, handoff.speed, pauses, now=NOW + 4 * HOUR)
    assert (read.touch_due_at, read.waiting) == (NOW + 6 * HOUR, 2 * 3600)


def test_what_was_closed_is_left_alone(policy, rep):
    handoff = started()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoffs.close(handoff_id=handoff.pk, outcome="won", by=rep, now=NOW + MINUTE)
    run_until(NOW + DAY, by=HOUR)
    assert (steps(handoff), SpeedClock.objects.get().next_at) == ([], None)
    assert openings.open_of(handoff.company_id) is None


def test_a_policy_needs_a_target_and_there_is_one_of_each(admin, policy):
    for fields, message in (({}, "at least one"), ({"claim_minutes": 5}, "already")):
        with pytest.raises(Refused, match=message):
            routing_desk.save_policy(policy_id=None, play=None, fields=fields, edition=0, by=admin, now=NOW)
    with pytest.raises(routing_desk.Stale):
        routing_desk.save_policy(
            policy_id=policy.pk, play=None, fields={"claim_minutes": 5}, edition=7, by=admin, now=NOW
        )
