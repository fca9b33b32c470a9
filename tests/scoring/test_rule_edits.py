"""A reason for ending handoffs proposes a condition: counted by hand, as of the day each was handed over."""

from __future__ import annotations

import datetime as dt
import json
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from scoring import rule_edits
from scoring.models import Qualification
from tests.factories.pages import an_account
from tests.factories.scoring import make_trait, publish
from tests.scoring.test_team_page import a_handoff, because

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
NOT_EDU = {"not": {"trait": {"name": "industry", "in": ["Education"]}}}


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def world(now, rep):
    """Four disqualified as students, all in education with at most 5 employees; three won, one of them in education."""
    version = publish(now - 100 * DAY)

    def ended(status, industry, employees, **extra):
        made = a_handoff(now, owner=rep, status=status, opened=9, claimed=8, closed=2, **extra)
        because(made, version, now)
        for name, value in (("industry", industry), ("employees", employees)):
            make_trait(made.company, name, value, at=now - 50 * DAY)
        return made

    student = {"outcome_reason": "student"}
    made = [ended("disqualified", "Education", number, **student) for number in (1, 2, 4, 5)]
    made += [
        ended("won", industry, employees) for industry, employees in (("Education", 90), ("Retail", 4), ("Oil", 30))
    ]
    return made


def told(now, **asked):
    asked = {"outcome": "disqualified", "code": "student", "since": now - 90 * DAY} | asked
    return [
        (one.definition.slug, [(e.condition, e.keeps_out, e.of, e.loses, e.wins) for e in one.edits])
        for one in rule_edits.proposals(**asked)
    ]


def test_the_clearest_condition_comes_first(world, now):
    assert told(now) == [
        (
            "team-expansion",
            [
                ({"trait": {"name": "employees", "at_least": 5}}, 3, 4, 1, 3),
                ({"trait": {"name": "employees", "at_least": 6}}, 4, 4, 1, 3),
                (NOT_EDU, 4, 4, 1, 3),
            ][1:]
            + [({"trait": {"name": "employees", "at_least": 5}}, 3, 4, 1, 3)],
        )
    ]


def test_traits_are_those_of_the_day_it_was_handed_over(world, now):
    for made in world[:4]:
        make_trait(made.company, "industry", "Retail", at=now - 3 * DAY)
    ((_, edits),) = told(now)
    assert (NOT_EDU, 4, 4, 1, 3) in edits


def test_traits_are_those_of_the_account_that_qualified(world, now):
    """A company of two workspaces stays in as long as one of those that qualified does."""
    lost = world[0]
    child = an_account(parent=lost.company)
    make_trait(child, "industry", "Retail", at=now - 50 * DAY)
    episode = lost.reasons.get()
    Qualification.objects.filter(pk=episode.pk).update(account=child)
    ((_, edits),) = told(now)
    assert (NOT_EDU, 3, 4, 1, 3) in edits
    Qualification.objects.filter(pk=episode.pk).update(account=lost.company)
    because_of(child, lost, episode.version, now)
    ((_, edits),) = told(now)
    assert (NOT_EDU, 3, 4, 1, 3) in edits


def because_of(account, handoff, version, now):
    Qualification.objects.create(
        account=account,
        definition=version.definition,
        version=version,
        opened_at=now,
        cause="event",
        handoff=handoff,
    )


def test_internal_accounts_propose_nothing(world, now):
    for made in world[:2]:
        made.company.is_internal = True
        made.company.save()
    assert told(now) == []


def test_nothing_is_proposed_from_too_few_or_where_nothing_sets_them_apart(world, now):
    assert told(now, since=now - DAY) == []
    assert told(now, code="bad_fit") == []
    for made in world[4:]:
        make_trait(made.company, "industry", "Education", at=now - 20 * DAY)
        make_trait(made.company, "employees", 1, at=now - 20 * DAY)
    assert told(now) == []


def test_a_condition_becomes_part_of_the_rule(world, now):
    definition = rule_edits.proposals(outcome="disqualified", code="student", since=now - 90 * DAY)[0].definition
    before = definition.live_version.document["rule"]
    assert rule_edits.document(definition, NOT_EDU)["rule"] == {"all": [*before.get("all", [before]), NOT_EDU]}


def test_the_page_proposes_and_the_builder_takes_it(world, client_of, manager, admin):
    path = "/team/handoffs/?days=90&what=disqualified:student"
    html = client_of(manager).get(path).content.decode()
    assert "keeps out" in html and "4 of 4" in html and "1 of 3" in html
    assert "Edit the rule" not in html
    html = client_of(admin).get(path).content.decode()
    assert "Edit the rule" in html and "Backtest" in html
    edit = f"/definitions/team-expansion/edit/?{urlencode({'keep': json.dumps(NOT_EDU)})}"
    page = client_of(admin).get(edit)
    assert page.status_code == 200
    assert json.loads(page.context["form"]["text"].value())["rule"]["all"][-1] == NOT_EDU


@pytest.mark.parametrize("keep", ["x", "[]", '{"nonsense": 1}', "[" * 5000, '"a"', "null"])
def test_a_damaged_proposal_is_a_404(world, client_of, admin, keep):
    edit = f"/definitions/team-expansion/edit/?{urlencode({'keep': keep})}"
    assert client_of(admin).get(edit).status_code == 404


@pytest.mark.parametrize("rows", [0, 3])
def test_it_costs_the_same_for_any_number(world, now, rep, rows, django_assert_num_queries):
    version = world[0].reasons.get().version
    for _ in range(rows):
        made = a_handoff(now, owner=rep, status="lost", opened=9, claimed=8, closed=2, outcome_reason="student")
        because(made, version, now)
    with django_assert_num_queries(5):  # ended so, won, reasons, traits, definitions
        rule_edits.proposals(outcome="disqualified", code="student", since=now - 90 * DAY)
