"""The sales team's page: numbers added up by hand, the handoffs behind each, who may see it, and what it costs."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scoring import handoffs, snooze, speed, team_numbers, team_turns
from scoring.models import (
    Assignment,
    Handoff,
    Leave,
    Play,
    PlayRun,
    PoolMember,
    Qualification,
    RoutingLadder,
    RoutingPool,
    SpeedPolicy,
)
from scoring.team_numbers import OfRule
from tests.factories.pages import an_account
from tests.factories.routing import office, waiting
from tests.factories.scoring import publish

pytestmark = pytest.mark.django_db
DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
Status = Handoff.Status
SESSION = 3  # session, user, roles


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def since(now):
    return now - 90 * DAY


def a_handoff(now, *, owner=None, status=Status.NEW, opened=1.0, claimed=None, touched=None, closed=None, **extra):
    """A handoff of a company of its own; times are days ago."""
    ago = {"opened_at": opened, "claimed_at": claimed, "first_touch_at": touched, "closed_at": closed}
    times = {name: None if days is None else now - days * DAY for name, days in ago.items()}
    return Handoff.objects.create(
        company=an_account(), owner=owner, status=status, newest_evidence_at=times["opened_at"], **times, **extra
    )


def because(handoff, version, now) -> None:
    Qualification.objects.create(
        account=handoff.company,
        definition=version.definition,
        version=version,
        opened_at=now,
        cause="event",
        handoff=handoff,
    )


@pytest.fixture
def world(now, rep, other_rep):
    """Dana won one and lost one, and has one; Theo returned one; one was disqualified before anybody claimed it."""
    first = publish(now - 100 * DAY)
    again = publish(now - 50 * DAY, rule={"count": {"event": "Invite Sent", "at_least": 9}})
    made = {
        "won": a_handoff(now, owner=rep, status="won", opened=10, claimed=9, touched=8.5, closed=5),
        "lost": a_handoff(
            now, owner=rep, status="lost", opened=20, claimed=17, touched=16, closed=4, outcome_reason="timing"
        ),
        "open": a_handoff(now, owner=rep, status="claimed", opened=3, claimed=3, assigned=True),
        "returned": a_handoff(now, owner=other_rep, status="returned", opened=100, claimed=99, touched=98, closed=2),
        "dismissed": a_handoff(now, status="disqualified", opened=6, closed=6, outcome_reason="student"),
        "withdrawn": a_handoff(now, status="withdrawn", opened=6, closed=6),
        "old": a_handoff(now, owner=rep, status="won", opened=200, claimed=199, closed=91),
    }
    for name in ("won", "dismissed"):
        because(made[name], first, now)
    for name in ("lost", "open"):
        because(made[name], again, now)
    return made


def told(lines) -> dict:
    return {line.label: line for line in lines}


def test_each_person_has_what_they_did_in_the_period(world, since, rep, other_rep):
    lines = told(team_numbers.lines(by="person", since=since))
    dana, theo, nobody = lines[rep.label], lines[other_rep.label], lines["Nobody had claimed it"]
    assert (dana.open, dana.claimed, dana.closed) == (1, 3, 2)
    assert dana.to_claim == pytest.approx(48)  # of a day and three; what was assigned is left out
    assert dana.to_touch == pytest.approx(18)  # of 12 and 24 hours
    assert dana.outcomes == {"won": 1, "lost": 1, "disqualified": 0, "returned": 0}
    assert (dana.won.value, round(dana.won.low, 3), round(dana.won.high, 3)) == (0.5, 0.095, 0.905)
    assert (theo.claimed, theo.to_claim, theo.outcomes["returned"], theo.won.value) == (0, None, 1, 0)
    assert (nobody.outcomes["disqualified"], nobody.closed, nobody.open) == (1, 1, 0)


def test_times_are_business_hours_without_what_it_slept(since, rep):
    """Friday 16:00 to Monday 10:00 are two hours of an office; a promise around the clock counts them all."""
    friday, monday = (dt.datetime(2026, 11, day, hour, tzinfo=dt.UTC) for day, hour in ((20, 16), (23, 10)))
    made = [waiting(at=friday) for _ in range(2)]
    office()
    SpeedPolicy.objects.create(claim_minutes=60)
    speed.start(made[1], now=friday)
    for handoff in made:
        handoffs.claim(handoff_id=handoff.pk, by=rep, now=monday)
    snooze.snooze(handoff_id=made[0].pk, until=monday + DAY, by=rep, now=monday + HOUR)
    snooze.wake_due(now=monday + DAY)
    handoffs.touch(handoff_id=made[0].pk, kind="called", by=rep, now=monday + DAY)
    (line,) = team_numbers.lines(by="person", since=friday)
    assert (sorted(line.hours_to_claim), line.hours_to_touch) == ([2, 66], [1])


def test_a_touch_of_who_had_it_before_is_nobody_s_time_to_touch(now, since, rep, other_rep, manager):
    handoff = a_handoff(now, owner=rep, status="working", opened=9, claimed=8, touched=7)
    handoffs.assign(handoff_id=handoff.pk, owner=other_rep, by=manager, now=now)
    (line,) = team_numbers.lines(by="person", since=since)
    assert (line.label, line.to_touch) == (other_rep.label, None)
    assert not team_numbers.rows_of("to_touch", now=now, since=since).exists()


def test_rules_and_their_versions_have_what_they_found(world, since):
    (rule,) = team_numbers.lines(by="definition", since=since)
    assert (rule.label, rule.open, rule.claimed, rule.closed) == ("Team expansion", 1, 3, 3)
    versions = told(team_numbers.lines(by="version", since=since))
    first, again = versions["Team expansion v1"], versions["Team expansion v2"]
    assert (first.outcomes["won"], first.outcomes["disqualified"], first.open) == (1, 1, 0)
    assert (again.outcomes["lost"], again.closed, again.open) == (1, 1, 1)


def test_a_handoff_with_two_episodes_of_a_rule_counts_once(world, since, now):
    Qualification.objects.filter(handoff=world["won"]).update(closed_at=now, close_cause="lapsed")
    because(world["won"], Qualification.objects.get(handoff=world["won"]).version, now)
    (rule,) = team_numbers.lines(by="definition", since=since)
    assert (rule.claimed, rule.closed) == (3, 3)


def test_reasons_are_counted_with_the_versions_behind_them(world, since):
    assert [(r.outcome, r.code, r.count, r.versions) for r in team_numbers.reasons(since)] == [
        ("disqualified", "student", 1, [OfRule("team-expansion", "Team expansion", 1, 1)]),
        ("lost", "timing", 1, [OfRule("team-expansion", "Team expansion", 2, 1)]),
    ]


def test_plays_have_what_they_handed_over(world, since, now):
    play = Play.objects.get(action="sales_handoff")
    fired = {"decided_at": now, "window_ends_at": now, "created_at": now}
    for name, status in (("won", "fired"), ("open", "fired"), ("lost", "held_out")):
        episode = Qualification.objects.get(handoff=world[name])
        PlayRun.objects.create(
            play=play,
            account=episode.account,
            company=episode.account,
            qualification=episode,
            status=status,
            **(fired if status == "fired" else fired | {"window_ends_at": None}),
        )
    (line,) = team_numbers.lines(by="play", since=since)
    assert (line.label, line.open, line.claimed, line.closed) == (play.name, 1, 2, 1)


def test_internal_accounts_are_out_of_every_number(world, since, now, rep):
    def everything():
        lines = [team_numbers.lines(by=by, since=since) for by in team_numbers.WAYS]
        waits = team_numbers.now_numbers(now)
        numbers = [waits.waiting, waits.oldest_at, waits.stuck, team_numbers.reasons(since), *lines]
        whats = ("open", "claimed", "closed", "won", "lost:timing", "fresh", "untouched")
        behind = [team_numbers.rows_of(what, now=now, since=since).count() for what in whats]
        return repr([*numbers, behind])

    before = everything()
    version = world["won"].reasons.get().version
    for extra in (
        {"status": "new", "opened": 50},
        {"owner": rep, "status": "claimed", "opened": 9, "claimed": 8, "paid_at": now, "rule_lapsed_at": now},
        {"owner": rep, "status": "won", "opened": 9, "claimed": 8, "touched": 7, "closed": 1},
        {"owner": rep, "status": "lost", "opened": 9, "claimed": 8, "closed": 1, "outcome_reason": "timing"},
    ):
        made = a_handoff(now, **extra)
        because(made, version, now)
        made.company.is_internal = True
        made.company.save()
    assert everything() == before


@pytest.fixture
def turned(now, rep, other_rep, manager):
    """A pool of two, whose turns were given; one came back; somebody left it since."""
    return _turns_of_a_pool(now, rep, other_rep, manager)


def test_each_turn_opens_what_was_given(turned, now, since, rep, client_of, manager):
    for one in team_turns.turns(since):
        for what, count in (("given", one.given), ("given_back", one.given_back)):
            rows = team_numbers.rows_of(what, now=now, since=since, by="pool", key=one.key)
            assert rows.count() == count, (one, what)
        assert team_numbers.label_of("pool", one.key) == f"{one.person} · {one.pool}"
    client = client_of(manager)
    link = f"/team/handoffs/?by=pool&days=90&key={turned.pk}:{rep.pk}&what=given"
    assert link.replace("&", "&amp;") in client.get("/team/").content.decode()
    assert f'Given by the pool <span class="mut">{rep.label} · EMEA</span>' in client.get(link).content.decode()
    file = b"".join(client.get("/team/?format=csv&table=turns").streaming_content).decode().splitlines()
    assert file[1] == f"EMEA,{rep.label},2,2,1,1.33,-0.33"


def _turns_of_a_pool(now, rep, other_rep, manager):
    pool = RoutingPool.objects.create(name="EMEA")
    for person, weight in ((rep, 2), (other_rep, 1)):
        PoolMember.objects.create(pool=pool, person=person, weight=weight)
    ladder = RoutingLadder.objects.order_by("-number").first()
    for person, days, back in (
        (rep, 1, None),
        (rep, 2, now),
        (rep, 91, None),
        (other_rep, 3, None),
        (manager, 3, None),
    ):
        Assignment.objects.create(
            handoff=a_handoff(now),
            at=now - days * DAY,
            cause="opened",
            ladder=ladder,
            step=0,
            kind="pool",
            person=person,
            pool=pool,
            given_back_at=back,
        )
    return pool


def test_turns_of_a_pool_beside_what_the_weights_say(turned, since, rep, other_rep, manager):
    found = {one.person: one for one in team_turns.turns(since)}
    mine, theirs = found[rep.label], found[other_rep.label]
    assert (mine.given, mine.given_back, mine.expected) == (2, 1, pytest.approx(4 / 3))
    assert (theirs.given, theirs.given_back, theirs.off) == (1, 0, pytest.approx(1 / 3))
    assert manager.label not in found  # not in the pool any more


def test_what_waits_and_what_is_stuck(now, rep, other_rep):
    for days in (0.5, 1, 2.9, 3, 6.9, 7, 40):
        a_handoff(now, opened=days)
    a_handoff(now, owner=rep, status="claimed", opened=9, claimed=3)
    a_handoff(now, owner=rep, status="claimed", opened=9, claimed=2.9)
    a_handoff(now, owner=rep, status="working", opened=9, claimed=8, touched=7, paid_at=now, rule_lapsed_at=now)
    a_handoff(now, owner=rep, status="working", opened=9, claimed=8, touched=7, rule_lapsed_at=now)
    a_handoff(now, owner=other_rep, status="claimed", opened=2, claimed=1)
    a_handoff(now, owner=other_rep, status="working", opened=2, claimed=2, touched=1)
    a_handoff(now, owner=other_rep, status="snoozed", opened=2, claimed=2, snoozed_until=now + DAY)
    for days in (0, 3):  # noted twice: both days of leave cover today
        Leave.objects.create(person=other_rep, first_day=now.date() - days * DAY, last_day=now.date() + DAY)
    found = team_numbers.now_numbers(now)
    assert [(age.what, age.count) for age in found.waiting] == [("fresh", 1), ("days", 2), ("week", 2), ("old", 2)]
    assert found.total == 7 and found.oldest_at == now - 40 * DAY
    assert {one.what: one.count for one in found.stuck} == {"untouched": 1, "paid": 1, "lapsed": 1, "away": 2}
    for number in [*found.waiting, *found.stuck]:
        assert team_numbers.rows_of(number.what, now=now, since=now).count() == number.count, number.what


@pytest.mark.parametrize("by", list(team_numbers.WAYS))
def test_the_list_behind_a_number_is_as_long_as_it_says(world, now, since, by):
    for line in team_numbers.lines(by=by, since=since):
        medians = {"to_claim": len(line.hours_to_claim), "to_touch": len(line.hours_to_touch)}
        numbers = {"open": line.open, "claimed": line.claimed, "closed": line.closed, **line.outcomes, **medians}
        for what, count in numbers.items():
            rows = team_numbers.rows_of(what, now=now, since=since, by=by, key=line.key)
            assert rows.count() == count, (line.label, what)
        assert team_numbers.label_of(by, line.key) == line.label


def test_the_page_links_each_number_to_its_handoffs(world, client_of, manager, rep):
    client = client_of(manager)
    html = client.get("/team/").content.decode()
    assert "50%" in html and "9.5% to 91%" in html
    for what, words in (("to_claim", "48 h"), ("to_touch", "18 h"), ("closed", "50%")):
        href = f"/team/handoffs/?by=person&amp;days=90&amp;key={rep.pk}&amp;what={what}"
        assert re.search(rf'href="{re.escape(href)}">{words}</a>', html), what
    of_rule = "/team/handoffs/?by=version&days=90&key=team-expansion:2&what=lost:timing"
    assert of_rule.replace("&", "&amp;") in html
    assert f"/inbox/{world['lost'].pk}/" in client.get(of_rule).content.decode()
    assert "Disqualified: student or hobby" in html and "Lost: bad timing" in html
    link = re.search(rf'href="(/team/handoffs/\?by=person&amp;days=90&amp;key={rep.pk}&amp;what=won)"', html).group(1)
    behind = client.get(link.replace("&amp;", "&")).content.decode()
    assert f"/inbox/{world['won'].pk}/" in behind and f"/inbox/{world['lost'].pk}/" not in behind
    assert f'Won <span class="mut">{rep.label}</span>' in behind
    lost = client.get("/team/handoffs/?days=90&what=lost:timing").content.decode()
    assert "Lost: bad timing" in lost and re.search(r"<td[^>]*>Bad timing</td>", lost)


def test_the_lines_are_a_fragment(world, client_of, manager):
    response = client_of(manager).get("/team/?by=version", headers={"HX-Request": "true", "HX-Target": "lines"})
    html = response.content.decode().strip()
    assert html.startswith('<div id="lines">') and "Team expansion v2" in html


def test_files(world, client_of, manager, rep):
    client = client_of(manager)
    file = client.get("/team/?format=csv")
    lines = b"".join(file.streaming_content).decode().splitlines()
    assert file["Content-Disposition"] == 'attachment; filename="team-by-person.csv"'
    assert lines[1] == f"{rep.label},1,3,48.0,18.0,1,1,0,0,2"
    rows = b"".join(client.get("/team/handoffs/?what=closed&format=csv").streaming_content).decode().splitlines()
    assert len(rows) == 1 + 4
    assert sum(",timing" in row for row in rows) == 1
    why = b"".join(client.get("/team/?format=csv&table=reasons").streaming_content).decode().splitlines()
    assert why[2] == "lost,timing,Lost: bad timing,1,team-expansion,2,1"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "what=nonsense",
        "what=won&by=person&key=x",
        "what=won&by=version&key=a:b",
        "what=won&key=9x",
        "what=won&by=pool&key=1:1",
        "what=given&by=pool&key=x",
        "what=given&by=pool&key=1:x",
        "what=given",
        "what=fresh&by=play&key=x",
        f"what=won&by=person&key={'9' * 25}",
        f"what=won&by=play&key={'9' * 25}",
        f"what=won&by=version&key=a:{'9' * 25}",
        f"what=given&by=pool&key=1:{'9' * 25}",
        f"what=won&by=person&key={'9' * 5000}",
    ],
)
def test_a_number_that_does_not_exist_is_a_404(client_of, manager, query):
    assert client_of(manager).get(f"/team/handoffs/?{query}").status_code == 404


def test_it_is_for_managers(client_of, rep, viewer, agent):
    for user in (rep, viewer, agent):
        for path in ("/team/", "/team/handoffs/?what=open"):
            assert client_of(user).get(path).status_code == 403


def test_empty(client_of, manager):
    client = client_of(manager)
    assert "Nothing was claimed or ended in this time" in client.get("/team/").content.decode()
    assert "No handoff behind this number" in client.get("/team/handoffs/?what=won").content.decode()


@pytest.mark.parametrize("rows", [1, 3])
def test_it_costs_the_same_for_any_number_of_rows(client_of, manager, rep, now, rows):
    version = publish(now - 100 * DAY)
    for number in range(rows):
        made = a_handoff(now, owner=rep, status="lost", opened=9, claimed=8, closed=number, outcome_reason="timing")
        because(made, version, now)
    client, costs = client_of(manager), {}
    for path in [*(f"/team/?by={by}" for by in team_numbers.WAYS), "/team/handoffs/?what=lost"]:
        with CaptureQueriesContext(connection) as made_queries:
            assert client.get(path).status_code == 200
        costs[path] = len(made_queries) - SESSION
    # claimed, closed, open, names or reasons; hours, sleep; turns, seats; reasons, their rules; waiting, stuck
    assert costs == {
        "/team/?by=person": 13,
        "/team/?by=definition": 13,
        "/team/?by=version": 13,
        "/team/?by=play": 13,
        "/team/handoffs/?what=lost": 2,
    }
