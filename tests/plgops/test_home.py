"""The home page: the first steps as the data says, and each role's work in a fixed number of queries."""

import datetime as dt
import re

import pytest
from django.utils import timezone

from accounts.models import Account, Event, EventType, QuarantinedMessage, Source, StaffUser, StageEntry
from accounts.workspace import day_of
from plgops import today
from plgops.lib import access
from scoring import firing, playbook
from scoring.models import CsTask, Definition, DefinitionVersion, Handoff, NextTask, Qualification
from support.models import Ticket
from tests.conftest import NOW, make_staff
from tests.scoring.test_plays import live_world, other_play, qualify, sales

pytestmark = pytest.mark.django_db


def make_account(number, **extra):
    now = timezone.now()
    return Account.objects.create(
        external_id=f"acme-{number}",
        name=f"Acme {number}",
        signed_up_at=now,
        signup_day=day_of(now),
        recorded_at=now,
        **extra,
    )


def make_handoff(number, **extra):
    now = timezone.now()
    return Handoff.objects.create(
        company=make_account(number), opened_at=now, newest_evidence_at=now - dt.timedelta(hours=number), **extra
    )


def make_definition():
    definition = Definition.objects.create(slug="team", name="Team", purpose="pql", created_at=timezone.now())
    version = DefinitionVersion.objects.create(
        definition=definition, number=1, document={}, english="…", published_at=timezone.now()
    )
    Definition.objects.update(live_version=version)
    return definition, version


def texts(response):
    return [re.sub(r"\s+", " ", part) for part in re.findall(r"<h3>([^<]*)", response.content.decode())]


def test_home_needs_a_log_in(client):
    assert client.get("/").headers["Location"] == "/login/?next=/"


def test_first_steps_are_all_open_in_an_empty_workspace(admin, django_assert_num_queries):
    with django_assert_num_queries(2):  # the roles, the steps
        steps = today.first_steps(admin)
    assert [step.done for step in steps] == [False] * 5
    assert [step.may for step in steps] == [True] * 5


def test_first_steps_follow_the_data(admin, rep):
    source = Source.objects.create(name="Web", kind="file", created_at=timezone.now())
    assert [step.done for step in today.first_steps(admin)] == [False] * 5  # a file is no write key
    Source.objects.create(name="App", kind="http", prefix="p", key_hash="h", created_at=timezone.now())
    assert [step.done for step in today.first_steps(admin)] == [True, False, False, False, False]
    event_type = EventType.objects.create(name="Invite Sent")
    Event.objects.create(
        source=source,
        message_id="1",
        event_type=event_type,
        user_id=1,
        user_key="u:1",
        occurred_at=timezone.now(),
        received_at=timezone.now(),
    )
    assert [step.done for step in today.first_steps(admin)] == [True, True, False, False, False]
    EventType.objects.update(meaning="invite")
    make_definition()
    # an account that went to its owner by itself was claimed by nobody
    handoff = make_handoff(1, status="claimed", owner=rep, claimed_at=timezone.now(), assigned=True)
    assert [step.done for step in today.first_steps(admin)] == [True, True, True, True, False]
    Handoff.objects.filter(pk=handoff.pk).update(assigned=False)
    assert [step.done for step in today.first_steps(admin)] == [True] * 5


def test_a_step_is_offered_only_to_who_may_do_it(client_of, rep):
    response = client_of(rep).get("/")
    assert texts(response) == [
        "Create a source",
        "See the first event",
        "Say what your events mean",
        "Publish a definition",
        "Claim the first account",
    ]
    assert response.content.decode().count("An admin does this") == 4
    assert response.context["next_step"].title == "Claim the first account"


def test_somebody_without_a_role_sees_no_figures(client_of, stranger):
    make_handoff(1)
    response = client_of(stranger).get("/")
    assert response.context["figures"] == [] and response.context["cards"] == []
    assert "Acme" not in response.content.decode()
    assert texts(response)[-1] == "You have no role yet"


def test_this_week_counts_accounts_once_and_leaves_internal_ones_out():
    now = timezone.now()
    day = day_of(now)
    ours, theirs, again = make_account(1, is_internal=True), make_account(2), make_account(3)
    for account, stage, ago in [
        (ours, "paid", 1),
        (theirs, "paid", 1),
        (theirs, "paid", 2),
        (again, "paid", 6),
        (again, "pql", 7),
        (again, "activated", 14),
        (again, "claimed", -1),
    ]:
        StageEntry.objects.create(
            account=account,
            origin=account,
            stage=stage,
            at=now,
            day=day - ago,
            recorded_at=now,
            cause="test",
            reference=f"{ago}",
        )
    figures = {figure.label: (figure.now, figure.before) for figure in today.this_week(now=now)}
    assert figures == {
        "Signed up": (0, 0),
        "Activated": (0, 0),
        "Product-qualified": (0, 1),
        "Claimed by sales": (0, 0),
        "Paid": (2, 0),
    }


def test_a_rep_sees_what_waits_and_what_is_theirs_first_what_needs_them(client_of, rep, other_rep):
    now = timezone.now()
    make_handoff(1)
    make_handoff(2, status="working", owner=rep, claimed_at=now, first_touch_at=now)
    make_handoff(3, status="claimed", owner=rep, claimed_at=now)
    make_handoff(4, status="working", owner=rep, claimed_at=now, first_touch_at=now, paid_at=now)
    make_handoff(5, status="claimed", owner=other_rep, claimed_at=now)
    make_handoff(6, status="claimed", owner=rep, claimed_at=now, due_at=now - dt.timedelta(hours=1))
    make_handoff(7, status="snoozed", owner=rep, claimed_at=now, snoozed_until=now + dt.timedelta(days=1))
    unclaimed, mine = client_of(rep).get("/").context["cards"]
    assert [(line.text, line.note) for line in unclaimed.lines] == [("Acme 1", "")]
    assert [(line.text, line.note) for line in mine.lines] == [
        ("Acme 4", "Paid: confirm the outcome"),
        ("Acme 6", "First touch is late"),
        ("Acme 3", "Not contacted yet"),
        ("Acme 2", "Working"),
    ]
    assert mine.count == 4


def give_reasons(handoff, definition, version, *, ids=()):
    """Two reasons, of which the newer one is told, though it came into the books first."""
    now = timezone.now()
    for days_ago, times in [(3, 7), (9, 4)]:
        told = {"kind": "count", "holds": True, "measured": times, "needed": 2, "event_type_ids": list(ids)}
        Qualification.objects.create(
            account=handoff.company,
            definition=definition,
            version=version,
            handoff=handoff,
            opened_at=now,
            since_at=now - dt.timedelta(days=days_ago),
            cause="event",
            evidence={"conditions": [told]},
            closed_at=now if days_ago == 9 else None,
            close_cause="lapsed" if days_ago == 9 else "",
        )


def test_an_unclaimed_account_says_why_it_waits(client_of, rep):
    invite = EventType.objects.create(name="Invite Sent")
    give_reasons(make_handoff(1), *make_definition(), ids=[invite.pk])
    make_handoff(2)
    response = client_of(rep).get("/")
    unclaimed = response.context["cards"][0]
    assert [(line.text, line.why) for line in unclaimed.lines] == [("Acme 1", "Invite Sent 7 times"), ("Acme 2", "")]
    assert response.content.decode().count("Invite Sent 7 times") == 1


def test_a_manager_sees_the_team_instead_of_an_empty_list(client_of, manager, rep, other_rep):
    now = timezone.now()
    ago = [now - dt.timedelta(days=days) for days in range(6)]
    make_handoff(1)
    make_handoff(2, status="claimed", owner=rep, claimed_at=ago[1])
    make_handoff(3, status="claimed", owner=rep, claimed_at=ago[5])
    make_handoff(4, status="working", owner=rep, claimed_at=ago[5], first_touch_at=ago[2])
    make_handoff(5, status="working", owner=other_rep, claimed_at=ago[5], first_touch_at=ago[2])
    make_handoff(6, status="won", owner=other_rep, claimed_at=ago[5], closed_at=now)
    other_rep.is_active = False
    other_rep.save()
    browser = client_of(manager)
    unclaimed, team = browser.get("/").context["cards"]
    assert (unclaimed.title, team.title, team.count) == ("Unclaimed", "Team", 4)
    waits = [load.waits.days if load.waits else None for load in team.loads]
    loads = [(load.name, load.is_active, load.to_contact, load.contacted) for load in team.loads]
    assert [(*load, days) for load, days in zip(loads, waits, strict=True)] == [
        ("Dana Whitfield", True, 2, 1, 5),
        ("Theo Marsh", False, 0, 1, None),
    ]
    theirs = browser.get(team.loads[1].href)
    assert [row.name for row in theirs.context["rows"]] == ["Acme 5"]
    assert [(chip["label"], chip["value"]) for chip in theirs.context["chips"]] == [("Owner is", "Theo Marsh")]
    make_handoff(7, status="claimed", owner=manager, claimed_at=now)
    assert [card.title for card in browser.get("/").context["cards"]] == ["Unclaimed", "Team", "Mine"]


def test_the_team_is_shown_to_a_bound(client_of, manager, monkeypatch):
    monkeypatch.setattr(today, "PEOPLE", 2)
    for number in range(3):
        owner = StaffUser.objects.create(username=f"rep{number}")
        make_handoff(number, status="claimed", owner=owner, claimed_at=timezone.now() - dt.timedelta(days=number))
    team = client_of(manager).get("/").context["cards"][1]
    assert ([load.name for load in team.loads], team.count) == (["rep2", "rep1"], 3)


@pytest.mark.parametrize("item_count", [1, 3])
def test_home_query_count_for_a_manager(client_of, manager, item_count, django_assert_num_queries):
    for number in range(item_count):
        owner = StaffUser.objects.create(username=f"rep{number}")
        make_handoff(number, status="claimed", owner=owner, claimed_at=timezone.now())
    browser = client_of(manager)
    # as a rep, and the team: its people, their handoffs; what is due for customer success
    with django_assert_num_queries(12):
        browser.get("/")


def test_an_agent_sees_late_tickets_and_their_own(client_of, agent, admin):
    now = timezone.now()

    def ticket(subject, minutes, **extra):
        at = now + dt.timedelta(minutes=minutes)
        return Ticket.objects.create(subject=subject, route="people", opened_at=now, updated_at=now, due_at=at, **extra)

    ticket("late", -5, assignee=admin)
    ticket("soon", 5, assignee=agent)
    ticket("later", 50, assignee=agent, status="waiting")
    ticket("done", -50, assignee=agent, status="solved", solved_at=now)
    late, mine = client_of(agent).get("/").context["cards"]
    assert [(line.text.split(" ", 1)[1], line.note) for line in late.lines] == [("late", "Late")]
    assert [(line.text.split(" ", 1)[1], line.note) for line in mine.lines] == [
        ("soon", "Open"),
        ("later", "Waiting for the customer"),
    ]


def test_an_admin_sees_what_is_not_normal(client_of, admin):
    house = client_of(admin).get("/").context["cards"][-1]
    assert house.lines == ()
    now = timezone.now()
    source = Source.objects.create(name="Web", kind="file", created_at=now)
    QuarantinedMessage.objects.create(source=source, digest=b"1", code="x", reason="x", payload={}, received_at=now)
    definition, version = make_definition()
    for number in (1, 2):
        Qualification.objects.create(
            account=make_account(number),
            definition=definition,
            version=version,
            opened_at=now,
            cause="publish",
            release="waiting",
        )
    house = client_of(admin).get("/").context["cards"][-1]
    assert [line.text for line in house.lines] == ["1 message was not understood", "2 accounts wait for release"]


@pytest.mark.parametrize("item_count", [1, 3])
def test_home_query_count(client_of, rep, item_count, django_assert_num_queries):
    rule, invite = make_definition(), EventType.objects.create(name="Invite Sent")
    for number in range(item_count):
        give_reasons(make_handoff(number), *rule, ids=[invite.pk])
        make_handoff(10 + number, status="claimed", owner=rep, claimed_at=timezone.now())
    browser = client_of(rep)
    # session, user, roles, steps, the week, what is due, unclaimed (count, rows, their reasons and event types), mine
    with django_assert_num_queries(11):
        browser.get("/")


@pytest.mark.parametrize("item_count", [1, 3])
def test_home_query_count_for_an_admin(client_of, admin, item_count, django_assert_num_queries):
    for number in range(item_count):
        make_handoff(number)
    browser = client_of(admin)
    # as a manager (without event types), then tickets: late (count, rows), mine; the house: quarantine, waiting,
    # three consumers' two, what plays and speed could not decide
    with django_assert_num_queries(26):
        browser.get("/")


def test_what_is_due_today_comes_first(client_of, rep, manager):
    now = timezone.now()
    for number, (text, owner, day, done_by) in enumerate(
        [
            ("Send the quote", rep, -2, None),
            ("Call them", rep, 0, None),
            ("Another's", manager, -2, None),
            ("For later", rep, 2, None),
            ("It was done", rep, -3, rep),
        ]
    ):
        NextTask.objects.create(
            handoff=make_handoff(number, status="claimed", owner=owner, claimed_at=now),
            text=text,
            owner=owner,
            due_at=now + dt.timedelta(days=day),
            set_at=now,
            done_at=now if done_by else None,
            done_by=done_by,
        )
    due = client_of(rep).get("/").context["cards"][0]
    assert (due.title, due.count) == ("Due", 2)
    assert [(line.text, line.note) for line in due.lines] == [
        ("Send the quote · Acme 0", "Overdue"),
        ("Call them · Acme 1", "Today"),
    ]


def test_customer_success_sees_the_tasks_that_are_due(client_of, admin, rep):
    world = live_world()
    playbook.move(play_id=sales().pk, verb="pause", by=admin, now=NOW - dt.timedelta(days=1))
    other_play(admin, "cs_task", content={"headline": "Call them", "due_days": 2})
    qualify(world)
    firing.decide_due(now=NOW + dt.timedelta(seconds=2))
    task = CsTask.objects.get()
    cs = make_staff("cleo", access.CS)

    def shown(user):
        cards = client_of(user).get("/").context["cards"]
        return [(line.text, line.href, line.note) for card in cards if "CS" in card.title for line in card.lines]

    told = (f"{world.name}: Call them", f"/cs-tasks/#task-{task.pk}")
    CsTask.objects.update(due_on=timezone.localdate())
    assert (shown(cs), shown(rep)) == ([(*told, "Today")], [])
    CsTask.objects.update(due_on=timezone.localdate() - dt.timedelta(days=1))
    assert shown(cs) == [(*told, "Overdue")]
    CsTask.objects.update(owner=admin)
    assert shown(cs) == []
    CsTask.objects.update(owner=cs, due_on=timezone.localdate() + dt.timedelta(days=1))
    assert shown(cs) == []
