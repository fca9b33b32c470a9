"""What each condition and window means at its edges; docs/rules.md says the same in words."""

from __future__ import annotations

import pytest

from scoring.engines import appdb
from scoring.rules.tree import parse_definition

from . import world

pytestmark = pytest.mark.django_db

DAY = 100  # the day asked about, unless a test moves it


def holds(rule: dict, whose, day: int = DAY, **more) -> bool:
    """Whether the rule holds for one account."""
    doc = parse_definition(world.document(rule, **more))
    found = appdb.verdicts({7: doc}, account_ids=[whose.pk], as_of_day=day)[7]
    return any(verdict.holds for verdict in found)


def next_day(rule: dict, whose, day: int = DAY, **more) -> int | None:
    doc = parse_definition(world.document(rule, **more))
    found = appdb.verdicts({7: doc}, account_ids=[whose.pk], as_of_day=day)[7]
    return found[0].next_day if found else None


@pytest.fixture
def acme():
    return world.account(signup_day=10)


@pytest.fixture
def invite():
    return world.event_type("Invite Sent", distinct_property="email")


def test_count_adds_people_and_days(acme, invite):
    ann, bob = world.person(10, acme), world.person(10, acme)
    world.used(acme, ann, invite, 20, 2)
    world.used(acme, bob, invite, 21, 1)
    assert holds({"count": {"event": "Invite Sent", "at_least": 3}}, acme)
    assert not holds({"count": {"event": "Invite Sent", "at_least": 4}}, acme)


def test_days_are_different_days_whoever_acted(acme, invite):
    ann, bob = world.person(10, acme), world.person(10, acme)
    for who, day in ((ann, 20), (bob, 20), (bob, 25)):
        world.used(acme, who, invite, day)
    assert holds({"days": {"event": "*", "exactly": 2}}, acme)


def test_trait_stands_from_its_first_day_to_the_one_before_its_end(acme):
    world.trait(acme, "plan", "free", 10, 50)
    rule = {"trait": {"name": "plan", "in": ["free", "trial"]}}
    assert [holds(rule, acme, day) for day in (10, 49, 50)] == [True, True, False]
    assert next_day(rule, acme, 20) == 50


def test_user_level_lists_the_people(acme, invite):
    ann, bob = world.person(10, acme), world.person(10, acme)
    world.used(acme, ann, invite, 20, 3)
    world.used(acme, bob, invite, 20, 1)
    doc = parse_definition(world.document({"count": {"event": "Invite Sent", "at_least": 2}}, level="user"))
    found = appdb.verdicts({7: doc}, account_ids=[acme.pk], as_of_day=DAY)
    assert found == {7: [appdb.Verdict(acme.pk, True, None, (ann.pk,))]}
    assert appdb.qualifying_users(doc, as_of_day=DAY) == [(acme.pk, ann.pk)]
