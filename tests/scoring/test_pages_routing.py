"""The routing pages: the ladder's draft, pools, people, speed, assignments and the panel beside a handoff."""

import datetime as dt

import pytest
from django.urls import reverse

from scoring import ladder, simulate
from scoring.models import Handoff, Leave, PoolMember, RoutingLadder, RoutingPool, Seller, SpeedPolicy
from tests.conftest import NOW
from tests.factories.routing import go, ladder_of, office, pool_of, sellers, waiting
from tests.factories.scoring import make_account

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
PAGES = ("routing", "routing_people", "routing_speed", "routing_assignments")


def floor(size: int = 3):
    """So many sellers in a pool, as many handoffs given, and somebody passed over each time."""
    people = sellers(*[f"Seller{n}" for n in range(size)])
    pool = pool_of(*people)
    ladder_of({"kind": "owner", "last_owner_days": 0}, {"kind": "pool", "name": "Everybody", "pool": pool.pk})
    (away,) = sellers("Away")
    PoolMember.objects.create(pool=pool, person=away)
    Leave.objects.create(person=away, first_day=NOW.date() - DAY, last_day=NOW.date() + DAY)
    return pool, [go(waiting()).handoff for _ in range(size)]


def draft(steps, *, do, replaces=None, reason="Because"):
    """The ladder's form as a browser sends it."""
    replaces = replaces or RoutingLadder.objects.order_by("-number")[0].number
    data = {"n": len(steps), "do": do, "replaces": replaces, "reason": reason}
    for number, step in enumerate(steps):
        data |= {f"s{number}-{name}": value for name, value in step.items()}
    return data


@pytest.mark.parametrize("page", PAGES)
def test_who_may_see_handoffs_reads_and_a_stranger_does_not(client_of, viewer, stranger, agent, page):
    floor()
    assert client_of(viewer).get(reverse(page)).status_code == 200
    assert client_of(stranger).get(reverse(page)).status_code == 403


@pytest.mark.parametrize("page", ["routing_edit", "routing_pool_new", "routing_policy_new"])
@pytest.mark.parametrize("who", ["rep", "manager", "viewer"])
def test_only_an_admin_edits(client_of, request, who, page):
    browser = client_of(request.getfixturevalue(who))
    assert browser.get(reverse(page)).status_code == 403
    assert browser.post(reverse(page), {}).status_code == 403


@pytest.mark.parametrize(
    ("page", "queries"),
    [("routing", 7), ("routing_people", 12), ("routing_speed", 6), ("routing_assignments", 6)],
)
@pytest.mark.parametrize("size", [1, 3])
def test_a_page_asks_the_same_whatever_it_shows(client_of, viewer, django_assert_num_queries, page, queries, size):
    floor(size)
    browser = client_of(viewer)
    with django_assert_num_queries(queries):
        assert browser.get(reverse(page)).status_code == 200


def test_the_ladder_is_told_in_words(client_of, viewer, rep):
    pool = pool_of(rep, name="EMEA")
    ladder_of(
        {"kind": "owner", "last_owner_days": 30},
        {"kind": "rule", "name": "Large", "plans": ["team"], "employees": [200, None], "pool": pool.pk},
    )
    page = client_of(viewer).get(reverse("routing")).content.decode()
    assert "or who had it last, for 30 days" in page
    assert "plan is team" in page and "200 or more employees" in page and "goes to pool EMEA" in page


def test_steps_are_added_moved_and_removed_in_the_draft_alone(client_of, admin):
    browser, url = client_of(admin), reverse("routing_edit")
    pool = RoutingPool.objects.create(name="Everybody")
    steps = [{"kind": "owner", "last_owner_days": 7}, {"kind": "pool", "name": "All", "to": f"pool:{pool.pk}"}]
    moved = browser.post(url, draft(steps, do="down:0"))
    kinds = [step.step_kind for step in moved.context["steps"]]
    assert (moved.status_code, kinds, moved.context["focus"]) == (200, ["pool", "owner"], 1)
    assert moved.context["steps"][1]["last_owner_days"].value() == "7"
    part = browser.post(url, draft(steps, do="down:0"), headers={"HX-Request": "true", "HX-Target": "draft"})
    assert b"<html" not in part.content and b'id="draft"' in part.content
    assert b"add:owner" not in moved.content  # the ladder has it
    added = browser.post(url, draft(steps, do="add:rule"))
    assert [step.step_kind for step in added.context["steps"]] == ["owner", "pool", "rule"]
    gone = browser.post(url, draft(steps, do="remove:0"))
    assert [step.step_kind for step in gone.context["steps"]] == ["pool"] and b"add:owner" in gone.content
    assert RoutingLadder.objects.count() == 1


def test_a_ladder_is_put_in_force(client_of, admin, rep):
    pool = pool_of(rep)
    steps = [
        {"kind": "named", "name": "Strategic", "accounts": "Acme.com = DANA\n\nglobex = dana"},
        {
            "kind": "rule",
            "name": "DACH",
            "countries": "Germany, Austria",
            "mrr_from": "10.50",
            "to": f"person:{rep.pk}",
        },
        {"kind": "pool", "name": "", "to": f"pool:{pool.pk}"},
    ]
    done = client_of(admin).post(reverse("routing_edit"), draft(steps, do="publish", reason="New territory"))
    assert done.status_code == 302
    live = RoutingLadder.objects.get(number=2)
    assert (live.reason, live.published_by) == ("New territory", admin)
    first, second, third = ladder.read(live.steps)
    assert first.accounts == {"acme.com": rep.pk, "globex": rep.pk}
    assert (second.countries, second.person) == (frozenset({"germany", "austria"}), rep.pk)
    assert third.pool == pool.pk
    again = client_of(admin).get(reverse("routing_edit")).content.decode()
    assert "acme.com = dana" in again and "austria, germany" in again


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"kind": "named", "accounts": "acme.com = nobody"}, "Line 1: expected"),
        ({"kind": "rule", "name": "x", "plans": "team"}, "one person or to one pool"),
        ({"kind": "rule", "name": "x", "to": "person:PK"}, "at least one condition"),
        ({"kind": "pool"}, "one person or to one pool"),
        ({"kind": "owner", "last_owner_days": -1}, "greater than or equal to 0"),
    ],
)
def test_what_cannot_work_is_said_at_its_step(client_of, admin, rep, step, message):
    step = {name: value.replace("PK", str(rep.pk)) if isinstance(value, str) else value for name, value in step.items()}
    answer = client_of(admin).post(reverse("routing_edit"), draft([step], do="publish"))
    assert answer.status_code == 422 and message in answer.content.decode()
    assert RoutingLadder.objects.count() == 1


def test_whoever_publishes_second_is_told_and_loses_nothing(client_of, admin, rep):
    pool = pool_of(rep)
    ladder_of({"kind": "owner"})
    steps = [{"kind": "pool", "name": "Mine", "to": f"pool:{pool.pk}"}]
    late = client_of(admin).post(reverse("routing_edit"), draft(steps, do="publish", replaces=1))
    assert late.status_code == 409
    page = late.content.decode()
    assert "Version 2 came before yours" in page and 'value="Mine"' in page
    assert 'name="replaces" value="2"' in page


def test_a_draft_is_tried_on_the_past_before_it_is_in_force(client_of, admin):
    pool, handoffs = floor(3)
    Handoff.objects.update(opened_at=dt.datetime.now(dt.UTC) - 2 * DAY)
    steps = [{"kind": "pool", "name": "All", "to": f"pool:{pool.pk}"}]
    headers = {"HX-Request": "true", "HX-Target": "simulation"}
    answer = client_of(admin).post(reverse("routing_edit"), draft(steps, do="simulate"), headers=headers)
    assert answer.status_code == 200 and b"<html" not in answer.content and b"Really" in answer.content
    wrong = client_of(admin).post(
        reverse("routing_edit"), draft([{**steps[0], "to": ""}], do="simulate"), headers=headers
    )
    assert (wrong.status_code, wrong.headers["HX-Retarget"]) == (422, "#draft")  # never a page within the page
    assert b"<html" not in wrong.content and b"A step leads to one person or to one pool." in wrong.content
    whole = client_of(admin).post(reverse("routing_edit"), draft(steps, do="simulate"))
    found = whole.context["found"]
    assert (found.openings, found.queue) == (3, 0) and b"<html" in whole.content


def test_a_pool_is_made_changed_and_retired(client_of, admin, rep, other_rep):
    browser = client_of(admin)
    made = browser.post(
        reverse("routing_pool_new"), {"name": "EMEA", "edition": 0, f"w{rep.pk}": 2, f"w{other_rep.pk}": ""}
    )
    pool = RoutingPool.objects.get(name="EMEA")
    assert made.status_code == 302
    assert dict(PoolMember.objects.values_list("person", "weight")) == {rep.pk: 2}
    url = reverse("routing_pool", args=[pool.pk])
    assert browser.post(url, {"name": "EMEA", "edition": 1, f"w{other_rep.pk}": 1}).status_code == 302
    late = browser.post(url, {"name": "EMEA", "edition": 1, f"w{rep.pk}": 5})
    assert late.status_code == 409 and 'value="5"' in late.content.decode()
    assert dict(PoolMember.objects.values_list("person", "weight")) == {other_rep.pk: 1}
    assert browser.post(url, {"name": "", "edition": 2}).status_code == 422
    browser.post(reverse("routing_pool_retire", args=[pool.pk]))
    assert browser.get(url).status_code == 404


def test_a_manager_says_what_somebody_takes(client_of, manager, rep):
    calendar, url = office(), reverse("routing_person", args=[rep.pk])
    browser = client_of(manager)
    data = {
        "calendar": calendar.pk,
        "daily_cap": 4,
        "open_cap": 20,
        "ramp_from": "2026-06-01",
        "ramp": "25%, 50",
        "edition": 0,
    }
    assert browser.post(url, data).status_code == 302
    seller = Seller.objects.get(person=rep)
    assert (seller.daily_cap, seller.ramp, seller.calendar) == (4, [25, 50], calendar)
    assert browser.post(url, data).status_code == 409
    assert browser.post(url, data | {"edition": 1, "ramp": "a lot"}).status_code == 422
    assert b"25, 50" in browser.get(url).content


def test_a_seller_enters_their_own_leave_and_nothing_else(client_of, rep, other_rep):
    browser = client_of(rep)
    own, others = (reverse("routing_person", args=[p.pk]) for p in (rep, other_rep))
    assert browser.get(own).status_code == 200 and b"What they take" not in browser.get(own).content
    assert browser.get(others).status_code == 403
    assert browser.post(own, {"edition": 0}).status_code == 403
    days = {"first_day": "2026-07-01", "last_day": "2026-07-14", "note": "Sea"}
    assert browser.post(own + "leave/", days).status_code == 302
    assert browser.post(own + "leave/", days | {"last_day": "2026-06-14"}).status_code == 422
    assert browser.post(others + "leave/", days).status_code == 403
    assert browser.post(reverse("routing_leave_remove", args=[Leave.objects.get().pk])).status_code == 302
    assert not Leave.objects.exists()


def test_a_speed_policy_is_made_and_changed(client_of, admin):
    browser = client_of(admin)
    data = {"is_on": "on", "claim_minutes": 60, "warn_percent": 80, "edition": 0}
    assert browser.post(reverse("routing_policy_new"), data).status_code == 302
    policy = SpeedPolicy.objects.get()
    assert b"already" in browser.post(reverse("routing_policy_new"), data).content
    url = reverse("routing_policy", args=[policy.pk])
    assert browser.post(url, data | {"edition": 1, "touch_minutes": 240}).status_code == 302
    assert browser.post(url, data | {"edition": 1}).status_code == 409
    assert browser.post(url, {"edition": 2}).status_code == 422
    assert b"4 h" in browser.get(reverse("routing_speed")).content


def test_the_panel_says_why_and_why_not_me(client_of):
    pool, handoffs = floor(3)
    first, second = Handoff.objects.filter(owner__isnull=False).order_by("pk")[:2]
    away = PoolMember.objects.order_by("-pk")[0].person
    url = reverse("routing_of_handoff", args=[first.pk])
    page = client_of(second.owner).get(url).content.decode()
    assert f"Pool Everybody: {first.owner.first_name} was next." in page
    assert "It was not your turn: 1 turn to go." in page
    assert "is on leave" in page
    assert "You were passed over: is on leave." in client_of(away).get(url).content.decode()


def test_the_panel_shows_the_clock(client_of, rep):
    from scoring import speed

    SpeedPolicy.objects.create(claim_minutes=60, touch_minutes=120)
    handoff = waiting()
    speed.start(handoff, now=NOW)
    page = client_of(rep).get(reverse("routing_of_handoff", args=[handoff.pk])).content.decode()
    assert "Claim due" in page and "late" in page


def test_assignments_are_found_by_whom_they_passed_over(client_of, viewer):
    floor(2)
    away = PoolMember.objects.order_by("-pk")[0].person
    owned = go(waiting(make_account("Owned", owner=sellers("Nell")[0])))
    browser = client_of(viewer)
    rows = browser.get(reverse("routing_assignments"), {"person": away.pk}).context["rows"]
    assert len(rows) == 2 and owned.pk not in {row.assignment.pk for row in rows}
    assert len(browser.get(reverse("routing_assignments"), {"person": "x"}).context["rows"]) == 3


# --- the simulation ----------------------------------------------------------------------------------------------


def test_a_replay_keeps_to_caps_hours_leave_and_closings():
    dana, theo = sellers("Dana", "Theo")
    pool = pool_of(dana, theo)
    Seller.objects.create(person=dana, open_cap=1)
    Seller.objects.create(person=theo, calendar=office())
    Leave.objects.create(person=theo, first_day=NOW.date() + 3 * DAY, last_day=NOW.date() + 3 * DAY)
    steps = ladder.read([{"kind": "pool", "pool": pool.pk}])
    monday = NOW
    first = waiting(at=monday)
    Handoff.objects.filter(pk=first.pk).update(
        status="lost", owner=dana, claimed_at=monday, closed_at=monday + 2 * DAY, assigned=False
    )
    waiting(at=monday + dt.timedelta(minutes=1))
    waiting(at=monday + dt.timedelta(hours=12))  # Dana is full, Theo is at home: on Tuesday it is his
    waiting(at=monday + 3 * DAY)  # Theo is away, Dana is free again
    found = simulate.simulate(steps, now=monday + 5 * DAY)
    lines = {line.name.split()[0]: line for line in found.lines}
    assert (found.openings, found.queue, found.really_queue, found.waited) == (4, 0, 3, 1)
    assert (lines["Dana"].simulated, lines["Dana"].really, lines["Theo"].simulated) == (2, 1, 2)
    assert dict(lines["Dana"].passed) == {"open_cap": 3}
    assert dict(lines["Theo"].passed) == {"out_of_hours": 1, "on_leave": 1}


def test_a_replay_gives_a_company_to_whom_it_belonged_then(rep, other_rep):
    account = make_account("Owned", owner=other_rep)
    go(waiting(account))
    steps = ladder.read([{"kind": "owner"}, {"kind": "pool", "pool": pool_of(rep).pk}])
    found = simulate.simulate(steps, now=NOW + DAY)
    assert [(line.name, line.simulated) for line in found.lines][0] == (other_rep.label, 1)
