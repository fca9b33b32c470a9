"""Near misses: who would qualify with one condition met, by brute force, and what they are told."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from accounts import lake
from scoring import definitions, near_misses
from scoring.engines import appdb
from scoring.rules import forced, tree
from scoring.rules.parse import parse_definition
from tests.conftest import NOW

from .rules import reference, strategies, world
from .rules.test_agreement import FIRST, quick, read, stored

pytestmark = pytest.mark.django_db
DAY = 40

# what holds for whoever is asked, in the stored form
ALWAYS = {"recency": {"event": "Nobody does this", "not_for_days": 1}}
few = settings(quick, max_examples=40, phases=[Phase.explicit, Phase.generate])


# --- against the reference -----------------------------------------------------------------------------------


def met(part, path):
    """The rule with the condition at the path replaced by one that always holds; the path is without its kind."""
    if not path:
        return ALWAYS
    key, rest = path[0], path[1:]
    if isinstance(part, list):
        return [met(item, rest) if number == int(key) else item for number, item in enumerate(part)]
    return part | {key: met(part[key], rest)}


def candidates(part, path=()):
    """The paths of all conditions that are not under a `not`, nor count for a signal that takes points."""
    if "of" in part and "at_least" in part:
        for number, item in enumerate(part["of"]):
            yield from candidates(item, (*path, "of", str(number)))
        return
    ((kind, body),) = part.items()
    if kind == "not":
        return
    if kind in ("all", "any"):
        for number, item in enumerate(body):
            yield from candidates(item, (*path, kind, str(number)))
        return
    yield path, kind
    if kind == "users_who":
        yield from candidates(body["rule"], (*path, "users_who", "rule"))
    if kind == "score":
        for number, signal in enumerate(body["signals"]):
            if "when" in signal and signal["points"] > 0:
                yield from candidates(signal["when"], (*path, "score", "signals", str(number), "when"))


def close_to_score(facts, document, path, account, day):
    """Whether the account, or somebody of it for whom the rest holds, lacks at most a fifth of the score."""
    rule, inside, who = document["rule"], path, [None]
    if document.get("level") == "user" or "users_who" in path:
        who = reference.people(facts, account, day)
    if "users_who" in path:
        start = path.index("users_who") + 2
        rule, inside = part_at(rule, path[:start]), path[start:]
    body = part_at(rule, inside)["score"]
    there = met(rule, inside)
    return any(
        0 < missing_of_score(body, reference.measure(facts, "score", body, day, account, user)) <= Fraction(1, 5)
        and reference.holds(facts, there, day, account, user)
        for user in who
    )


def part_at(part, path):
    for key in path:
        part = part[int(key)] if isinstance(part, list) else part[key]
    return part


def missing_of_score(body, points):
    """As a share of the accepted number that is next; points are in 32nds."""
    if "between" in body or "in" not in body:
        low, high = body.get("between", [None, None])
        low = body.get("at_least", body.get("exactly", low))
        high = body.get("at_most", body.get("exactly", high))
        bounds = [
            bound for bound, off in ((low, 1), (high, -1)) if bound is not None and off * (32 * bound - points) > 0
        ]
    else:
        bounds = [] if points in [32 * value for value in body["in"]] else body["in"]
    if not bounds:
        return 0
    bound = min(bounds, key=lambda one: (abs(32 * one - points), -one))
    return Fraction(abs(32 * bound - points), max(abs(32 * bound), 1))


def expected(facts, document, day):
    """By the path of the condition, the accounts that are short of it."""
    short = {}
    for path, kind in candidates(document["rule"]):
        there = document | {"rule": met(document["rule"], path)}
        found = {
            account + FIRST
            for account in reference.population(facts, day)
            if not reference.verdict(facts, document, account, day)[0]
            and reference.verdict(facts, there, account, day)[0]
            and (kind != "score" or close_to_score(facts, document, path, account, day))
        }
        if found:
            short["/".join(("/rule", *path, kind))] = found
    return short


@few
@given(facts=strategies.histories(), document=strategies.documents(), day=st.sampled_from([29, 32, 35, 37, 38]))
def test_near_misses_are_those_of_the_reference(facts, document, day):
    doc = parse_definition(document)
    wanted = expected(facts, document, day)
    everybody = {account_id for found in wanted.values() for account_id in found}
    with stored(facts):
        lake.refresh(now=NOW, whole=True)
        found = near_misses.of_definition(doc, day, 1000)
        late = [near.closest.too_late for near in found.nearest]
        assert (found.accounts, found.too_late) == (late.count(False), late.count(True))
        counted = {one.path: one.accounts + one.too_late for one in found.by_condition}
        told = by_path(found.nearest)
        if tree.reads_log(doc):  # the lake may miss somebody, but tells nothing that is not so
            listed = {near.account_id for near in found.nearest}
            assert told == {path: short & listed for path, short in wanted.items() if short & listed}
        else:
            assert len(late) == len(everybody) and told == wanted
            assert counted == {path: len(short) for path, short in wanted.items()}
        rule = definitions.LiveRule(1, 1, "a", "risk", NOW, 1, doc)
        one_by_one = [near for pk in sorted(facts.accounts) for near in near_misses.of_account(pk + FIRST, [rule], day)]
        assert by_path(one_by_one) == wanted


def by_path(found):
    short = {}
    for near in found:
        for option in near.options:
            short.setdefault(option.path, set()).add(near.account_id)
    return short


@settings(few, max_examples=25)
@given(facts=strategies.histories(), documents=strategies.nests(), day=st.sampled_from([32, 37, 38]))
def test_definitions_inside_definitions(facts, documents, day):
    """By the verdicts of the engine, with each condition met in turn."""
    facts.definitions = {document["slug"]: document for document in documents[1:]}
    doc = read(facts, documents[0])
    with stored(facts):
        ids = [FIRST + number for number in facts.accounts]
        docs = {0: doc} | {
            number: dataclasses.replace(doc, rule=one.rule)
            for number, one in enumerate(forced.each(doc.rule, subject=doc.level), start=1)
        }
        found = appdb.verdicts(docs, account_ids=ids, as_of_day=day)
        holds = {number: {v.account_id for v in verdicts if v.holds} for number, verdicts in found.items()}
        scores = {
            number
            for number, one in enumerate(forced.each(doc.rule, subject=doc.level), start=1)
            if isinstance(one.leaf.node, tree.Score)
        }
        most = {pk for number in docs for pk in holds[number]} - holds[0]
        least = {pk for number in docs if number not in scores for pk in holds[number]} - holds[0]
        rule = definitions.LiveRule(1, 1, "a", "risk", NOW, 1, doc)
        short = {pk for pk in ids if near_misses.of_account(pk, [rule], day)}
        assert least <= short <= most  # a score may be too far away
        lake.refresh(now=NOW, whole=True)
        listed = {one.account_id for one in near_misses.of_definition(doc, day, 1000).nearest}
        assert listed <= short if tree.reads_log(doc) else listed == short


# --- what is told --------------------------------------------------------------------------------------------


def near_by(rule, day=DAY, **more):
    """The near misses of a rule, as its account and as the lake tell them: the same."""
    doc = parse_definition(world.document(rule, **more))
    lake.refresh(now=NOW, whole=True)
    found = near_misses.of_definition(doc, day).nearest
    live = definitions.LiveRule(1, 1, doc.slug, "risk", NOW, 1, doc)
    for near in found:
        assert near_misses.of_account(near.account_id, [live], day) == [near]
    return found


@pytest.fixture
def team():
    """Signed up on day 30, with Ada (from day 30) and Bo (from day 35), who sent 4 and 1 invites on day 36."""
    account = world.account(30)
    invites = world.event_type("Invite Sent", distinct_property="email")
    for number, (day, count) in enumerate(((30, 4), (35, 1))):
        user = world.person(day, account)
        world.used(account, user, invites, 36, count=count)
        world.valued(account, user, invites, 36, f"{number}@x")
    world.trait(account, "plan", "free", 30)
    world.trait(account, "seats", 7, 30)
    world.stage(account, "activated", 38)
    return account


def sent(kind="count", window="ever", **compare):
    return {
        kind: {"event": "Invite Sent", "window": window} | ({"of": "email"} if kind == "distinct" else {}) | compare
    }


@pytest.mark.parametrize(
    ("rule", "found", "needs", "distance", "left"),
    [
        (sent(at_least=8), "5 times, asked for at least 8", "3 more times", 3, None),
        (sent(at_most=3), "5 times, asked for at most 3", "2 less", 2, None),
        ({"count": {"event": "Invite Sent", "in": [1, 7]}}, "5 times, asked for 1 or 7", "2 more times", 2, None),
        (sent("users", at_least=3), "2 people, asked for at least 3", "1 more person", 1, None),
        (sent("distinct", at_least=4), "2 different values, asked for at least 4", "2 more different values", 2, None),
        (
            sent("days", {"first_days": 14, "of": "account"}, at_least=2),
            "1 day, asked for at least 2",
            "1 more day",
            1,
            3,
        ),
        (sent(window={"from": 30, "to": 40}, at_least=6), "5 times, asked for at least 6", "1 more time", 1, 0),
        (sent(window="billing_month", at_least=6), "5 times, asked for at least 6", "1 more time", 1, 18),
        ({"recency": {"event": "*", "within_days": 3}}, "4 days ago", "activity again", None, None),
        ({"recency": {"event": "Invite Sent", "within_days": 2}}, "4 days ago", "the event again", None, None),
        (
            {"recency": {"event": "Invite Sent", "not_for_days": 7}},
            "4 days ago",
            "3 more days without it",
            3,
            None,
        ),
        ({"trait": {"name": "seats", "at_least": 10}}, "7", "3 more", 3, None),
        ({"trait": {"name": "plan", "exactly": "team"}}, "another value, or none", "plan is team", None, None),
        ({"trait": {"name": "plan", "changed_within_days": 3}}, "never", "plan changed in the last 3 days", None, None),
        ({"stage": {"reached": "paid"}}, "not in this time", "to have paid", None, None),
        ({"stage": {"since": "activated", "at_least_days": 7}}, "2 days ago", "5 more days", 5, None),
        ({"stage": {"since": "paid", "at_least_days": 7}}, "never", "at least 7 days since paying", None, None),
        (
            {"value": {"event": "Invite Sent", "at_least": 2.5}},
            "0, asked for at least 2.5",
            "2.5 more",
            2.5,
            None,
        ),
        ({"value": {"event": "Invite Sent", "measure": "max", "at_least": 2}}, None, "a value", None, None),
        (
            {"value": {"event": "Invite Sent", "share_of_limit": 0.8}},
            None,
            "a plan with a limit for this",
            None,
            None,
        ),
        (
            {"change": {"event": "Invite Sent", "days": 5, "factor_at_least": 2}},
            None,
            "more of it in the time before",
            None,
            None,
        ),
        (
            {"change": {"event": "Invite Sent", "days": 4, "factor_at_least": 2}},
            None,
            "10 more times",
            10,
            None,
        ),
        ({"value": {"event": "Invite Sent", "at_least": 2.123456}}, None, "2.12 more", 2.123456, None),
        ({"value": {"event": "Invite Sent", "at_least": 0.001}}, None, "0.001 more", 0.001, None),
        ({"sequence": {"steps": ["Invite Sent", "Paid"], "within_days": 9}}, "1 of 2 steps", "1 more step", 1, None),
        (
            {
                "score": {
                    "signals": [{"part": "usage", "points": 3, "per": {"count": {"event": "Invite Sent"}}}],
                    "at_least": 18,
                }
            },
            "15 points, asked for at least 18",
            "3 more points",
            3,
            None,
        ),
    ],
)
def test_what_an_account_is_short_of(team, rule, found, needs, distance, left):
    (near,) = near_by({"all": [{"stage": {"reached": "signed_up"}}, rule]})
    option = near.closest
    assert (option.needs, option.distance, option.days_left) == (needs, distance, left)
    assert found is None or option.found == found
    assert near.account_id == team.pk and option.user_id == 0 and not option.too_late


@pytest.mark.parametrize(("asked", "near"), [(18, True), (19, False)])
def test_a_score_that_is_far_away_is_no_near_miss(team, asked, near):
    signals = [{"part": "usage", "points": 3, "per": {"count": {"event": "Invite Sent"}}}]  # 15 points
    assert bool(near_by({"score": {"signals": signals, "at_least": asked}})) is near


def test_whose_time_is_over_is_counted_apart(team):
    kind = world.event_type("Built")
    for number in range(3):
        world.used(world.account(20), None, kind, 21, count=number + 1)  # whose first 14 days have passed
    fresh = world.account(38)
    rule = {"any": [{"count": {"event": "Built", "at_least": 9, "window": {"first_days": 14, "of": "account"}}}]}
    doc = parse_definition(world.document(rule))
    lake.refresh(now=NOW, whole=True)
    found = near_misses.of_definition(doc, DAY)
    assert (found.accounts, found.too_late) == (2, 3)
    assert [(one.accounts, one.too_late) for one in found.by_condition] == [(2, 3)]
    assert [near.account_id for near in found.nearest[:2]] == [team.pk, fresh.pk]
    late = {"count": {"event": "Built", "at_least": 1, "window": {"to": 19}}}  # all five, too late
    built = {"count": {"event": "Built", "at_least": 3}}  # four of them, one has enough
    doc = parse_definition(world.document({"all": [{"any": [late, built]}, {"not": {"stage": {"reached": "paid"}}}]}))
    found = near_misses.of_definition(doc, DAY)
    assert (found.accounts, found.too_late) == (4, 0)
    assert [(one.path, one.accounts, one.too_late) for one in found.by_condition] == [
        ("/rule/all/0/any/1/count", 4, 0),
        ("/rule/all/0/any/0/count", 0, 4),
    ]


def test_who_qualifies_by_the_log_is_not_listed():
    kinds = [world.event_type(name) for name in ("Tried", "Liked", "Bought")]
    there, short = world.account(10), world.account(10)
    for account, times in ((there, ((5,), (1, 6, 9), (7,))), (short, ((5,), (1, 2, 3), (7,)))):
        user = world.person(10, account)
        for kind, at in zip(kinds, times, strict=True):
            world.happened(account, user, kind, 36, *at)
    doc = parse_definition(world.document({"sequence": {"steps": ["Tried", "Liked", "Bought"], "within_days": 2}}))
    lake.refresh(now=NOW, whole=True)
    found = near_misses.of_definition(doc, DAY)
    assert [near.account_id for near in found.nearest] == [short.pk]
    assert (found.accounts, [one.accounts for one in found.by_condition]) == (1, [1])


@pytest.mark.parametrize(
    "rule",
    [
        sent(window={"first_days": 5, "of": "account"}, at_least=9),
        sent(window={"to": 39}, at_least=9),
        {"first": {"event": "Invite Sent", "window": {"last_days": 2}}},
        {"stage": {"since": "activated", "at_most_days": 1}},
    ],
)
def test_what_nothing_brings_any_more_is_too_late(team, rule):
    (near,) = near_by(rule)
    assert near.closest.too_late and near.closest.days_left is None


def test_of_people_the_one_who_comes_closest_is_told(team):
    rule = sent(window={"first_days": 14, "of": "user"}, at_least=5)
    (near,) = near_by({"users_who": {"at_least": 1, "rule": rule}})
    person, people = near.options
    assert (person.path, person.needs, person.days_left) == ("/rule/users_who/rule/count", "1 more time", 3)
    assert person.user_id == team.memberships.order_by("from_day").first().user_id
    assert (people.path, people.needs) == ("/rule/users_who", "1 more person")
    (alone,) = near_by(rule, level="user")
    assert alone.closest.user_id == person.user_id


def test_usage_comes_before_what_it_does_not_bring(team):
    either = [
        {"trait": {"name": "seats", "at_least": 8}},
        sent(at_least=50),
        sent(at_least=6),
        {"not": sent(at_least=1)},
    ]
    (near,) = near_by({"any": either})
    assert [option.path for option in near.options] == ["/rule/any/2/count", "/rule/any/1/count", "/rule/any/0/trait"]
    assert near.others == 2


def test_the_nearest_come_first_and_no_more_than_asked_for(team):
    kind = world.event_type("Built")
    for number in (3, 1, 2, 4):
        world.used(world.account(30), None, kind, 36, count=number)
    doc = parse_definition(world.document({"count": {"event": "Built", "at_least": 5}}))
    lake.refresh(now=NOW, whole=True)
    found = near_misses.of_definition(doc, DAY, 2)
    assert found.accounts == 5 and found.by_condition[0].accounts == 5
    assert [near.closest.measured for near in found.nearest] == [4, 3]


def test_a_rule_of_negations_has_no_near_misses(team):
    assert near_by({"not": sent(at_least=1)}) == ()


def test_before_the_first_generation_there_is_no_answer():
    doc = parse_definition(world.document(sent(at_least=1)))
    with pytest.raises(lake.NoLake):
        near_misses.of_definition(doc, DAY)


def test_several_definitions_of_one_account(team, django_assert_num_queries, monkeypatch):
    docs = [parse_definition(world.document(sent(at_least=n), slug=f"d{n}")) for n in (9, 6, 4, 7)]
    rules = [definitions.LiveRule(n, n, doc.slug, "risk", NOW, 1, doc) for n, doc in enumerate(docs)]
    with django_assert_num_queries(2):  # event types, the statement
        found = near_misses.of_account(team.pk, rules, DAY)
    assert [(near.slug, near.closest.distance) for near in found] == [("d6", 1), ("d7", 2), ("d9", 4)]
    monkeypatch.setattr(near_misses, "WIDEST", 2)
    assert near_misses.of_account(team.pk, rules, DAY) == found
    assert near_misses.of_account(team.pk, [], DAY) == []
