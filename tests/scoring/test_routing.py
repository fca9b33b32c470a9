"""Routing against the tables: what is given to whom, what every walk keeps, and what admins decide."""

import datetime as dt

import pytest
from django.db import IntegrityError, transaction

from accounts.models import AuditEntry
from scoring import handoffs, routing, routing_desk
from scoring.handoff_states import NotAllowed, Refused
from scoring.ladder import BadLadder
from scoring.models import (
    AlertFact,
    Assignment,
    Handoff,
    Leave,
    Play,
    PoolMember,
    RoutingLadder,
    RoutingPool,
    Seller,
    SpeedPolicy,
    SpeedStep,
)
from tests.conftest import NOW
from tests.factories.routing import go, ladder_of, office, pool_of, sellers, waiting
from tests.factories.scoring import make_account, publish, sweep, use

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


def given_to(handoff, **more):
    assignment = go(handoff, **more)
    handoff.refresh_from_db()
    assert handoff.owner_id == assignment.person_id
    return handoff.owner


def reasons(assignment):
    return {skip["id"]: skip["why"] for skip in assignment.skipped}


# --- who is given it ---------------------------------------------------------------------------------------------


def test_until_an_admin_edits_it_an_account_goes_to_its_owner_and_else_to_the_queue(rep):
    owned, free = waiting(make_account("Owned", owner=rep)), waiting()
    assert given_to(owned) == rep
    assert given_to(free) is None
    kept = Assignment.objects.get(handoff=owned)
    assert (kept.ladder.number, kept.step, kept.kind, kept.rule) == (1, 0, "owner", "Existing owner")
    assert (free.status, Assignment.objects.get(handoff=free).step) == ("new", None)


def test_a_qualification_is_routed_when_its_handoff_opens(rep, other_rep):
    ladder_of({"kind": "pool", "name": "Everybody", "pool": pool_of(rep, other_rep).pk})
    publish(NOW - DAY)
    for name in ("One", "Two"):
        use(make_account(name, recorded_at=NOW), "Invite Sent", at=NOW, count=3)
    assert sweep(NOW).failed == 0
    assert set(Handoff.objects.values_list("owner", flat=True)) == {rep.pk, other_rep.pk}
    assert AlertFact.objects.filter(kind="handoff_assigned").count() == 2
    assert AuditEntry.objects.filter(action="handoff.assigned", detail__why="Everybody").count() == 2


def test_a_pool_takes_turns_and_every_walk_keeps_the_order_and_who_was_passed_over():
    dana, theo, mara = people = sellers("Dana", "Theo", "Mara")
    ladder_of({"kind": "pool", "name": "Everybody", "pool": pool_of(*people).pk})
    Leave.objects.create(person=theo, first_day=NOW.date(), last_day=NOW.date())
    assert [given_to(waiting()) for _ in range(4)] == [dana, mara, dana, mara]
    last = Assignment.objects.order_by("-pk")[0]
    assert reasons(last) == {theo.pk: "on_leave"}
    assert last.place == {"order": [mara.pk, dana.pk], "owed": False}
    assert given_to(waiting(), now=NOW + DAY) in people


def test_who_left_or_changed_the_desk_is_given_nothing():
    dana, theo, mara = people = sellers("Dana", "Theo", "Mara")
    ladder_of({"kind": "pool", "pool": pool_of(*people).pk})
    dana.is_active = False
    dana.save()
    theo.groups.clear()
    found = go(waiting())
    assert (found.person, reasons(found)) == (mara, {dana.pk: "gone", theo.pk: "no_role"})


def test_caps_count_what_was_given_today_and_what_is_open():
    dana, theo = sellers("Dana", "Theo")
    ladder_of({"kind": "pool", "pool": pool_of(dana, theo).pk})
    Seller.objects.create(person=dana, daily_cap=2)
    Seller.objects.create(person=theo, open_cap=1)
    assert [given_to(waiting()) for _ in range(4)] == [dana, theo, dana, None]
    last = Assignment.objects.order_by("-pk")[0]
    assert reasons(last) == {dana.pk: "daily_cap", theo.pk: "open_cap"}
    Handoff.objects.filter(owner=theo).update(status="snoozed", snoozed_until=NOW + DAY)
    assert given_to(waiting()) == theo
    assert given_to(waiting(), now=NOW + DAY) == dana


def test_at_night_it_waits_in_the_queue_and_is_tried_again_when_the_first_begins():
    from scoring import speed

    (dana,) = sellers("Dana")
    Seller.objects.create(person=dana, calendar=office())
    ladder_of({"kind": "pool", "pool": pool_of(dana).pk})
    night = NOW.replace(hour=20)
    handoff = waiting(at=night)
    first = go(handoff, now=night)
    morning = (NOW + DAY).replace(hour=9)
    assert (first.person, first.retry_at) == (None, morning)
    assert speed.retry_due(now=morning - dt.timedelta(minutes=1)) == 0
    assert speed.retry_due(now=morning) == 1
    assert speed.retry_due(now=morning) == 0
    handoff.refresh_from_db()
    assert (handoff.owner, handoff.assignments.count()) == (dana, 2)


def test_what_somebody_claimed_meanwhile_is_not_routed_again(rep):
    from scoring import speed

    (dana,) = sellers("Nora")
    Seller.objects.create(person=dana, calendar=office())
    ladder_of({"kind": "pool", "pool": pool_of(dana).pk})
    night = NOW.replace(hour=20)
    handoff = waiting(at=night)
    go(handoff, now=night)
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=night)
    assert speed.retry_due(now=NOW + DAY) == 0
    handoff.refresh_from_db()
    assert handoff.owner == rep
    assert not Assignment.objects.filter(retry_at__isnull=False).exists()


def test_who_had_it_last_gets_it_again_where_the_ladder_says_so(rep):
    ladder_of({"kind": "owner", "last_owner_days": 90})
    handoff = waiting()
    handoff.last_owner, handoff.last_owner_until = rep, NOW - 10 * DAY
    handoff.save()
    assert given_to(handoff) == rep


def test_an_owner_over_their_cap_lets_the_next_step_have_it(rep, other_rep):
    Seller.objects.create(person=rep, open_cap=1)
    ladder_of({"kind": "owner"}, {"kind": "pool", "pool": pool_of(other_rep).pk})
    given_to(waiting(make_account("First", owner=rep)))
    assert given_to(waiting(make_account("Second", owner=rep))) == other_rep


def test_a_named_account_and_a_territory(rep, other_rep):
    ladder_of(
        {"kind": "named", "accounts": {"kestrel.com": rep.pk}},
        {"kind": "rule", "name": "DACH", "countries": ["Germany", "Austria"], "person": other_rep.pk},
    )
    assert given_to(waiting(domain="kestrel.com", traits={"country": "Germany"})) == rep
    assert given_to(waiting(traits={"country": "germany"})) == other_rep
    assert given_to(waiting(traits={"country": "France"})) is None


# --- a bad lead gives the turn back ------------------------------------------------------------------------------


def test_a_bad_lead_gives_its_turn_back_once():
    dana, theo = people = sellers("Dana", "Theo")
    pool = pool_of(*people)
    ladder_of({"kind": "pool", "pool": pool.pk})
    bad = waiting()
    assert given_to(bad) == dana
    with transaction.atomic():
        assert routing.credit_back(bad, NOW)
        assert not routing.credit_back(bad, NOW)
    assert PoolMember.objects.get(person=dana).owed == 1
    assert [given_to(waiting()) for _ in range(3)] == [dana, theo, dana]
    assert Assignment.objects.order_by("pk")[1].place["owed"] is True


def test_taking_the_outcome_back_takes_the_turn_back_too():
    dana, theo = people = sellers("Dana", "Theo")
    ladder_of({"kind": "pool", "pool": pool_of(*people).pk})
    bad = waiting()
    go(bad)
    with transaction.atomic():
        routing.credit_back(bad, NOW)
        routing.credit_again(bad)
    assert given_to(waiting()) == theo
    assert not Assignment.objects.filter(given_back_at__isnull=False).exists()


def test_what_the_owner_had_already_gives_no_turn_back(rep):
    handoff = waiting(make_account("Owned", owner=rep))
    go(handoff)
    with transaction.atomic():
        assert not routing.credit_back(handoff, NOW)


# --- what admins decide -----------------------------------------------------------------------------------------


def test_of_two_who_edit_the_ladder_the_second_is_told(admin, rep):
    pool = pool_of(rep)
    steps = [{"kind": "pool", "pool": pool.pk}]
    made = routing_desk.publish(steps=steps, replaces=1, reason="A pool", by=admin, now=NOW)
    assert (made.number, routing.current()) == (2, made)
    with pytest.raises(routing_desk.Stale):
        routing_desk.publish(steps=[], replaces=1, reason="Mine", by=admin, now=NOW)
    assert AuditEntry.objects.get(action="routing.published").detail["number"] == 2


def test_a_ladder_leads_to_people_and_pools_that_are_there(admin, rep, viewer):
    retired = RoutingPool.objects.create(name="Old", retired_at=NOW)
    for steps, message in (
        ([{"kind": "pool", "pool": retired.pk}], "a pool that is in use"),
        ([{"kind": "pool", "pool": 999}], "a pool that is in use"),
        ([{"kind": "named", "accounts": {"a.com": viewer.pk}}], "does not work handoffs"),
    ):
        with pytest.raises(BadLadder, match=message):
            routing_desk.publish(steps=steps, replaces=1, reason="", by=admin, now=NOW)
    assert RoutingLadder.objects.count() == 1


def test_a_pool_keeps_its_turns_when_its_people_change(admin):
    dana, theo, mara = sellers("Dana", "Theo", "Mara")
    pool = pool_of(dana, theo)
    ladder_of({"kind": "pool", "pool": pool.pk})
    for _ in range(11):
        go(waiting())
    saved = routing_desk.save_pool(
        pool_id=pool.pk, name="Everybody", weights={dana.pk: 1, theo.pk: 1, mara.pk: 1}, edition=1, by=admin, now=NOW
    )
    assert saved.edition == 2
    assert sorted(given_to(waiting()).first_name for _ in range(6)) == ["Dana", "Dana", "Mara", "Mara", "Theo", "Theo"]
    with pytest.raises(routing_desk.Stale):
        routing_desk.save_pool(pool_id=pool.pk, name="Mine", weights={dana.pk: 1}, edition=1, by=admin, now=NOW)
    with pytest.raises(Refused, match="The ladder leads"):
        routing_desk.retire_pool(pool_id=pool.pk, by=admin, now=NOW)


def test_a_pool_that_cannot_work_is_refused(admin, viewer, rep):
    pool_of(rep, name="Taken")
    for name, weights, message in (
        ("", {}, "needs a name"),
        ("taken", {}, "already"),
        ("New", {rep.pk: 0}, "from 1 to 100"),
        ("New", {viewer.pk: 1}, "work handoffs"),
    ):
        with pytest.raises(Refused, match=message):
            routing_desk.save_pool(pool_id=None, name=name, weights=weights, edition=0, by=admin, now=NOW)


def test_a_seller_plans_their_own_leave_and_nobody_elses(rep, other_rep, manager):
    days = {"first_day": NOW.date(), "last_day": NOW.date() + DAY, "note": "Holiday", "now": NOW}
    own = routing_desk.add_leave(person=rep, by=rep, **days)
    with pytest.raises(NotAllowed):
        routing_desk.add_leave(person=other_rep, by=rep, **days)
    routing_desk.add_leave(person=other_rep, by=manager, **days)
    routing_desk.remove_leave(leave_id=own.pk, by=rep, now=NOW)
    assert list(Leave.objects.values_list("person", flat=True)) == [other_rep.pk]


def test_of_two_who_change_what_somebody_takes_the_second_is_told(rep, manager):
    fields = {"daily_cap": 5, "open_cap": 30, "calendar": None, "ramp_from": None, "ramp": []}
    routing_desk.save_seller(person=rep, fields=fields, edition=0, by=manager, now=NOW)
    with pytest.raises(routing_desk.Stale):
        routing_desk.save_seller(person=rep, fields=fields, edition=0, by=manager, now=NOW)
    with pytest.raises(NotAllowed):
        routing_desk.save_seller(person=rep, fields=fields, edition=1, by=rep, now=NOW)
    with pytest.raises(Refused, match="percent"):
        routing_desk.save_seller(person=rep, fields=fields | {"ramp": [0]}, edition=1, by=manager, now=NOW)


@pytest.mark.parametrize("verb", ["publish", "save_pool", "retire_pool", "save_policy"])
def test_a_manager_does_not_decide_about_the_ladder(manager, rep, verb):
    asked = {
        "publish": {"steps": [], "replaces": 1, "reason": ""},
        "save_pool": {"pool_id": None, "name": "x", "weights": {}, "edition": 0},
        "retire_pool": {"pool_id": 1},
        "save_policy": {"policy_id": None, "play": None, "fields": {"claim_minutes": 5}, "edition": 0},
    }
    with pytest.raises(NotAllowed):
        getattr(routing_desk, verb)(**asked[verb], by=manager, now=NOW)


# --- what the database does not let through ----------------------------------------------------------------------


def play_of(version):
    return Play.objects.get(definition=version.definition, action="sales_handoff")


def test_every_constraint_refuses_its_row(rep):
    pool, handoff, ladder = pool_of(rep), waiting(), RoutingLadder.objects.get()
    member = {"pool": pool, "person": rep}
    walk = {"handoff": handoff, "at": NOW, "cause": "opened", "ladder": ladder}
    step = {"handoff": handoff, "due_at": NOW, "at": NOW}
    SpeedStep.objects.create(metric="claim", kind="warned", **step)
    SpeedPolicy.objects.create(claim_minutes=5)
    for model, values in (
        (RoutingLadder, {"number": 0, "published_at": NOW}),
        (RoutingLadder, {"number": 1, "published_at": NOW}),
        (PoolMember, member),
        (PoolMember, {"pool": RoutingPool.objects.create(name="Other"), "person": rep, "weight": 0}),
        (PoolMember, {"pool": RoutingPool.objects.create(name="Third"), "person": rep, "owed": -1}),
        (Leave, {"person": rep, "first_day": NOW.date(), "last_day": NOW.date() - DAY}),
        (Assignment, walk | {"person": rep}),
        (Assignment, walk | {"pool": pool}),
        (Assignment, walk | {"given_back_at": NOW}),
        (Assignment, walk | {"person": rep, "step": 0, "retry_at": NOW}),
        (SpeedPolicy, {"claim_minutes": 9}),
        (SpeedPolicy, {"play": play_of(publish(NOW)), "warn_percent": 100}),
        (SpeedPolicy, {"play": play_of(publish(NOW, slug="b")), "claim_minutes": 0}),
        (SpeedPolicy, {"play": play_of(publish(NOW, slug="c")), "touch_minutes": 0}),
        (SpeedStep, step | {"metric": "claim", "kind": "warned"}),
        (SpeedStep, step | {"metric": "tea", "kind": "warned"}),
        (SpeedStep, step | {"metric": "touch", "kind": "sung"}),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            model.objects.create(**values)


def test_disqualified_as_a_bad_lead_gives_the_turn_back_and_taking_it_back_undoes_that():
    dana, theo = people = sellers("Dana", "Theo")
    ladder_of({"kind": "pool", "pool": pool_of(*people).pk})
    bad, sound = waiting(), waiting()
    assert (given_to(bad), given_to(sound)) == (dana, theo)
    handoffs.close(handoff_id=sound.pk, outcome="disqualified", reason="bad_fit", by=theo, now=NOW)
    assert not PoolMember.objects.filter(owed__gt=0).exists()
    handoffs.close(handoff_id=bad.pk, outcome="disqualified", reason="duplicate", by=dana, now=NOW)
    assert PoolMember.objects.get(owed=1).person == dana
    handoffs.reopen(handoff_id=bad.pk, by=dana, now=NOW)
    assert not PoolMember.objects.filter(owed__gt=0).exists()
