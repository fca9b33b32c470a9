"""What a qualification freezes: numbers, people and days behind each condition."""

from __future__ import annotations

import pytest

from scoring.engines import appdb
from scoring.rules.nesting import resolve
from scoring.rules.parse import parse_definition

from . import world

pytestmark = pytest.mark.django_db

DAY = 100


def noon(day: int) -> int:
    return day * 86_400_000_000 + 43_200_000_000


def explained(rule: dict, whose, **more) -> dict:
    doc = parse_definition(world.document(rule, **more))
    return appdb.evidence(doc, account_id=whose.pk, as_of_day=DAY)


@pytest.fixture
def acme():
    return world.account(signup_day=10)


@pytest.fixture
def invite():
    return world.event_type("Invite Sent", distinct_property="email")


def test_count_of_an_account(acme, invite):
    ann, bob = world.person(10, acme), world.person(10, acme)
    world.used(acme, ann, invite, 75, 2)
    world.used(acme, bob, invite, 80, 3)
    world.used(acme, bob, invite, 20, 9)
    found = explained({"count": {"event": "Invite Sent", "at_least": 3, "window": {"last_days": 30}}}, acme)
    assert found == {
        "as_of_day": DAY,
        "newest_us": noon(80),
        "users": [bob.pk, ann.pk],
        "users_total": 2,
        "conditions": [
            {
                "path": "/rule/count",
                "kind": "count",
                "english": "“Invite Sent” at least 3 times in the last 30 days",
                "holds": True,
                "measured": 5,
                "threshold": 3,
                "comparison": "at_least",
                "unit": "events",
                "event_type_ids": [invite.pk],
                "window": {"from_day": 71, "to_day": 100},
                "people": [bob.pk, ann.pk],
                "people_total": 2,
                "days": [75, 80],
                "days_total": 2,
                "newest_us": noon(80),
            }
        ],
    }


def test_negated_conditions_are_no_reason(acme, invite):
    ann = world.person(10, acme)
    world.used(acme, ann, invite, 75)
    world.stage(acme, "activated", 60)
    found = explained(
        {
            "all": [
                {"stage": {"reached": "activated"}},
                {"not": {"count": {"event": "Invite Sent", "at_least": 3}}},
            ]
        },
        acme,
    )
    assert (found["newest_us"], found["users"]) == (noon(60), [])
    reached, negated = found["conditions"]
    assert (reached["measured"], reached["days"], reached["comparison"]) == (40, [60], "reached")
    assert (negated["path"], negated["holds"], negated["negated"]) == ("/rule/all/1/not/count", False, True)
    assert negated["measured"] == 1


def test_people_who_carry_the_best_persons_values(acme, invite):
    ann, bob = world.person(10, acme), world.person(40, acme)
    world.used(acme, ann, invite, 30, 5)  # after her first 14 days
    world.used(acme, bob, invite, 45, 4)
    world.used(acme, bob, invite, 90, 4)
    inner = {"count": {"event": "Invite Sent", "at_least": 3, "window": {"first_days": 14, "of": "user"}}}
    found = explained({"users_who": {"at_least": 1, "rule": inner}}, acme)
    assert (found["users"], found["users_total"], found["newest_us"]) == ([bob.pk], 1, noon(45))
    who, count = found["conditions"]
    assert (who["measured"], who["threshold"], who["people"], who["people_total"]) == (1, 1, [bob.pk], 1)
    assert count["path"] == "/rule/users_who/rule/count"
    assert (count["measured"], count["days"], count["window"]) == (4, [45], {"from_day": 40, "to_day": 53})


def test_best_stretch_of_any_days(acme, invite):
    ann = world.person(10, acme)
    for day in (20, 24, 26, 60, 61, 62, 63, 64, 90):
        world.used(acme, ann, invite, day)
    found = explained({"days": {"event": "*", "at_least": 3, "window": {"any_days": 7}}}, acme)
    (days,) = found["conditions"]
    assert (days["measured"], days["days"], days["window"]) == (5, [60, 61, 62, 63, 64], {"from_day": 58, "to_day": 64})
    assert found["newest_us"] == noon(64)


def test_traits_show_the_accounts_value_but_no_text_of_a_person(acme):
    world.trait(acme, "plan", "free")
    world.trait(acme, "seats", 12.5)
    ann = world.person(10, acme)
    world.trait(ann, "city", "Riga")
    found = explained(
        {
            "all": [
                {"trait": {"name": "plan", "in": ["free", "trial"]}},
                {"trait": {"name": "seats", "at_least": 10}},
                {"users_who": {"at_least": 1, "rule": {"trait": {"name": "city", "exactly": "Riga"}}}},
            ]
        },
        acme,
    )
    told = [(item["kind"], item["holds"], item["measured"], item["threshold"]) for item in found["conditions"]]
    assert told == [
        ("trait", True, "free", ["free", "trial"]),
        ("trait", True, 12.5, 10),
        ("users_who", True, 1, 1),
        ("trait", True, None, "Riga"),
    ]


def test_recency_counts_days_since(acme, invite):
    ann = world.person(10, acme)
    world.used(acme, ann, invite, 70)
    world.used(acme, ann, invite, 60)
    found = explained({"recency": {"event": "*", "not_for_days": 14}}, acme)
    (seen,) = found["conditions"]
    assert (seen["measured"], seen["threshold"], seen["comparison"], seen["days"]) == (30, 14, "not_for_days", [70])
    assert seen["window"] == {"from_day": 87, "to_day": 100}


def test_first_time_tells_its_day_and_who_it_was(acme, invite):
    ann, bob = world.person(10, acme), world.person(10, acme)
    world.used(acme, ann, invite, 96)
    world.used(acme, bob, invite, 99)
    rule = {"first": {"event": "Invite Sent", "window": {"last_days": 7}}}
    (first,) = explained(rule, acme)["conditions"]
    assert (first["kind"], first["holds"], first["measured"], first["days"]) == ("first", True, 4, [96])
    assert (first["people"], first["newest_us"], first["window"]) == (
        [ann.pk],
        noon(96),
        {"from_day": 94, "to_day": 100},
    )
    found = explained({"users_who": {"at_least": 1, "rule": rule}}, acme)
    assert (found["users"], found["newest_us"]) == ([ann.pk, bob.pk], noon(99))


def test_score_tells_its_parts_and_what_each_signal_gave(acme, invite):
    ann = world.person(10, acme)
    world.used(acme, ann, invite, 93, 3)
    world.trait(acme, "seats", 12)
    world.stage(acme, "churned", 60)
    signals = [
        {"part": "fit", "points": 20, "when": {"trait": {"name": "seats", "at_least": 10}}},
        {"part": "usage", "points": 5, "half_life_days": 7, "cap": 25, "per": {"count": {"event": "Invite Sent"}}},
        {"part": "intent", "points": -4, "when": {"stage": {"reached": "churned"}}},
    ]
    found = explained({"score": {"signals": signals, "at_least": 20, "bands": {"hot": 40, "warm": 20}}}, acme)
    score, seats, count, churned = found["conditions"]
    assert (score["kind"], score["holds"], score["measured"], score["threshold"]) == ("score", True, 23.5, 20)
    assert score["parts"] == {"fit": 20, "usage": 7.5, "intent": -4}
    assert (score["points"], score["band"], score["unit"]) == ([20, 7.5, -4], "warm", "points")
    assert [item["path"] for item in (seats, count, churned)] == [
        "/rule/score/signals/0/when/trait",
        "/rule/score/signals/1/per/count",
        "/rule/score/signals/2/when/stage",
    ]
    assert (count["measured"], count["people"], count["window"]) == (3, [ann.pk], {"from_day": 59, "to_day": 100})
    assert churned["negated"] and "negated" not in count
    assert found["newest_us"] == noon(93)


def test_nested_definition_tells_what_it_asks_and_of_whom(acme, invite):
    ann = world.person(10, acme)
    world.used(acme, ann, invite, 90, 3)
    world.used(acme, world.person(10, acme), invite, 95)
    keen = world.document({"count": {"event": "*", "at_least": 2}}, slug="keen", name="Keen people", level="user")
    rule = {"all": [{"definition": {"slug": "keen", "version": 4}}, {"not": {"definition": "keen"}}]}
    doc = resolve(parse_definition(world.document(rule)), lambda _: parse_definition(keen))
    found = appdb.evidence(doc, account_id=acme.pk, as_of_day=DAY)
    nested, who, count, negated, *_ = found["conditions"]
    assert (nested["kind"], nested["english"], nested["holds"]) == ("definition", "qualifies for “Keen people”", True)
    assert (nested["definition"], nested["version"], nested["comparison"]) == ("keen", 4, "qualifies")
    assert (who["path"], who["people"]) == ("/rule/all/0/definition/rule/users_who", [ann.pk])
    assert (count["measured"], count["people"]) == (3, [ann.pk])
    assert negated["negated"] and found["newest_us"] == noon(90)


def test_sequence_tells_how_far_it_got_and_the_days_of_the_latest(acme, invite):
    made, ann = world.event_type("Project Made"), world.person(10, acme)
    for day in (20, 60, 70):
        world.happened(acme, ann, made, day, 0)
    rule = {"sequence": {"steps": ["Project Made", "Invite Sent"], "within_days": 7}}
    (begun,) = explained(rule, acme)["conditions"]
    assert (begun["holds"], begun["measured"], begun["threshold"], begun["start_day"]) == (False, 1, 2, None)
    world.happened(acme, ann, invite, 62, 0)
    (done,) = explained(rule, acme)["conditions"]
    assert (done["holds"], done["measured"], done["start_day"], done["unit"]) == (True, 2, 60, "steps")
    assert (done["days"], done["people"], done["newest_us"]) == ([60, 62], [ann.pk], noon(62))


def test_changed_trait_tells_days_since(acme):
    world.trait(acme, "plan", "free", 20, 90)
    world.trait(acme, "plan", "team", 90)
    (changed,) = explained({"trait": {"name": "plan", "changed_within_days": 30}}, acme)["conditions"]
    told = (changed["kind"], changed["holds"], changed["measured"], changed["comparison"], changed["threshold"])
    assert told == ("trait", True, 10, "changed_within_days", 30)


def test_change_tells_what_there_was_before(acme, invite):
    world.used(acme, None, invite, 90, 2)
    world.used(acme, world.person(10, acme), invite, 98, 5)
    (change,) = explained({"change": {"event": "*", "days": 7, "factor_at_least": 2.5}}, acme)["conditions"]
    told = (change["holds"], change["measured"], change["base"], change["comparison"], change["threshold"])
    assert told == (True, 5, 2, "factor_at_least", 2.5)
    assert (change["days"], change["window"]) == ([98], {"from_day": 94, "to_day": 100})


def test_share_of_a_limit_tells_the_limit(acme, invite):
    world.metered(acme, world.person(10, acme), invite, 75, 8.5)
    rule = {"value": {"event": "Invite Sent", "share_of_limit": 0.8, "window": "billing_month"}}
    (bare,) = explained(rule, acme)["conditions"]
    assert (bare["holds"], bare["measured"], bare["limit"]) == (False, 0, None)
    rule["value"]["window"] = {"last_days": 30}
    world.trait(acme, "plan", "free")
    world.limit("free", "Invite Sent", 10)
    (value,) = explained(rule, acme)["conditions"]
    told = (value["holds"], value["measured"], value["limit"], value["comparison"], value["threshold"])
    assert told == (True, 8.5, 10, "share_of_limit", 0.8)
    assert (value["days"], value["newest_us"], value["unit"]) == ([75], noon(75), "value")


def test_level_user_totals_everybody_who_qualifies(acme, invite):
    people = [world.person(10, acme) for _ in range(12)]
    for number, who in enumerate(people):
        world.used(acme, who, invite, 20 + number, 3)
    found = explained({"count": {"event": "Invite Sent", "at_least": 3}}, acme, level="user")
    assert (found["users"], found["users_total"]) == ([who.pk for who in people[:10]], 12)
    (count,) = found["conditions"]
    assert (count["measured"], count["days"], count["people_total"]) == (3, [20], 12)
    assert count["newest_us"] == noon(29)


def test_unknown_internal_and_merged_accounts_have_none(acme, invite):
    gone = world.account(10, merged_into=acme)
    ours = world.account(10, is_internal=True)
    rule = {"count": {"event": "Invite Sent", "at_most": 3}}
    nothing = {"as_of_day": DAY, "newest_us": None, "users": [], "users_total": 0, "conditions": []}
    for whose in (gone, ours):
        assert explained(rule, whose) == nothing
    doc = parse_definition(world.document(rule))
    assert appdb.evidence(doc, account_id=10**9, as_of_day=DAY) == nothing


@pytest.mark.parametrize("number", [1, 3])
def test_accounts_explained_together_cost_the_same(number, invite, django_assert_num_queries):
    """Accounts, catalogue, account's conditions, people, how many beyond the ten, behind, newest of all, sign-ups."""
    rule = {
        "all": [
            {"users": {"event": "*", "at_least": 11, "window": {"last_days": 30}}},
            {
                "users_who": {
                    "at_least": 11,
                    "rule": {
                        "count": {"event": "Invite Sent", "at_least": 1, "window": {"first_days": 90, "of": "user"}}
                    },
                }
            },
        ]
    }
    accounts = [world.account(signup_day=10) for _ in range(number)]
    for account in accounts:
        for place in range(12):
            world.used(account, world.person(10, account), invite, 80 + place)
    doc = parse_definition(world.document(rule))
    with django_assert_num_queries(8):
        found = appdb.evidence_many(doc, account_ids=[account.pk for account in accounts], as_of_day=DAY)
    assert [(told["users_total"], len(told["users"])) for told in found.values()] == [(12, 10)] * number
    assert found == {pk: appdb.evidence(doc, account_id=pk, as_of_day=DAY) for pk in found}
