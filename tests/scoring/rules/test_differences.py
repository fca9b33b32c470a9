"""What changed between two definitions, in English."""

import pytest

from scoring.rules.differences import between, swapped
from scoring.rules.parse import parse_definition

PLAN = {"trait": {"name": "plan", "in": ["free", "trial"]}}
INVITES = {"count": {"event": "Invite Sent", "at_least": 3, "window": {"last_days": 14}}}
PEOPLE = {"users": {"event": "*", "at_least": 3, "window": {"last_days": 28}}}
PAID = {"not": {"stage": {"reached": "paid"}}}


def definition(rule, **more):
    return parse_definition({"slug": "one", "name": "One", "purpose": "pql", "level": "account", "rule": rule} | more)


def told(old, new, **more):
    return [str(change) for change in between(definition(old), definition(new, **more))]


def test_nothing_changed():
    assert told({"all": [PLAN, INVITES]}, {"all": [PLAN, INVITES]}) == []


def test_a_threshold_and_a_window():
    more = {"count": {"event": "Invite Sent", "at_least": 5, "window": {"last_days": 7}}}
    assert told({"all": [PLAN, INVITES]}, {"all": [PLAN, more]}) == [
        "Changed in “all of”: “Invite Sent” at least 3 times in the last 14 days"
        " (at least 3 → at least 5, in the last 14 days → in the last 7 days)"
    ]


def test_added_and_removed():
    assert told({"all": [PLAN, INVITES]}, {"all": [PEOPLE, INVITES]}) == [
        "Added in “all of”: at least 3 people active in the last 28 days",
        "Removed in “all of”: plan is free or trial",
    ]


def test_the_order_of_parts_means_nothing():
    assert told({"all": [PLAN, INVITES, PAID]}, {"all": [PAID, PLAN, INVITES]}) == []


def test_a_group_of_another_kind():
    assert told(
        {"all": [PLAN, {"any": [INVITES, PEOPLE]}]}, {"all": [PLAN, {"at_least": 2, "of": [INVITES, PEOPLE]}]}
    ) == [
        "Changed in “all of”: “Invite Sent” at least 3 times in the last 14 days or at least 3 people active …"
        " (“any of” → “at least 2 of”)"
    ]


def test_a_condition_that_became_a_group_and_back():
    assert told(PLAN, {"all": [PLAN, INVITES]}) == [
        "Added in “all of”: “Invite Sent” at least 3 times in the last 14 days"
    ]
    assert told({"all": [PLAN, INVITES]}, PLAN) == ["Removed: “Invite Sent” at least 3 times in the last 14 days"]


def test_a_denied_condition():
    assert told({"all": [PLAN, PAID]}, {"all": [PLAN, {"stage": {"reached": "paid"}}]}) == [
        "Changed in “all of”: has not paid (not → nothing)"
    ]


def test_moved_into_another_group():
    old = {"all": [PLAN, INVITES, {"any": [PEOPLE, PAID]}]}
    new = {"all": [PLAN, {"any": [PEOPLE, PAID, INVITES]}]}
    assert told(old, new) == ["Moved in “any of”, in “all of”: “Invite Sent” at least 3 times in the last 14 days"]


def test_people_for_whom():
    seen = {"recency": {"event": "*", "within_days": 7}}
    old = {"users_who": {"at_least": 1, "rule": {"all": [seen]}}}
    new = {"users_who": {"at_least": 3, "rule": {"all": [seen, {"count": {"event": "A", "at_least": 1}}]}}}
    changes = between(definition(old), definition(new))
    assert [(c.kind, c.swaps) for c in changes] == [
        ("changed", (("“at least 1 person for whom”", "“at least 3 people for whom”"),)),
        ("added", ()),
    ]
    assert changes[1].after == "“A” at least once"


def test_a_score():
    signal = {"part": "usage", "points": 5, "per": {"count": {"event": "A", "window": {"last_days": 28}}}, "cap": 20}
    fit = {"part": "fit", "points": 20, "when": PLAN}
    old = {"score": {"at_least": 60, "signals": [signal, fit], "bands": {"hot": 80}}}
    new = {"score": {"at_least": 50, "signals": [signal | {"points": 6}], "bands": {"hot": 90}}}
    assert told(old, new) == [
        "Changed: at least 60 points (at least 60 → at least 50)",
        "Changed: bands hot from 80 (hot from 80 → hot from 90)",
        "Changed in the score: for usage 5 for each “A” in the last 28 days up to 20 (5 → 6)",
        "Removed in the score: for fit 20 if plan is free or trial",
    ]


def test_a_nested_definition_pinned_to_another_version():
    old, new = ({"definition": {"slug": "active", "version": number}} for number in (1, 2))
    assert told(old, new) == ["Changed: qualifies for “active” (version 1 → version 2)"]


def test_what_stands_beside_the_rule():
    assert told(PLAN, PLAN, name="Two", grace_days=3, purpose="risk") == [
        "Changed: name One (One → Two)",
        "Changed: purpose pql (pql → risk)",
        "Changed: grace days 7 (7 → 3)",
    ]


@pytest.mark.parametrize("added", [True, False])
def test_which_accounts_are_worth_a_person(added):
    without, with_one = (
        definition(PLAN),
        definition(PLAN, motion={"rule": {"trait": {"name": "seats", "at_least": 10}}}),
    )
    said = "goes to sales only when has at least 10 seats"
    changes = between(without, with_one) if added else between(with_one, without)
    assert [str(change) for change in changes] == [f"Added: {said}" if added else f"Removed: {said}"]


def test_a_changed_motion_says_where():
    old, new = (definition(PLAN, motion={"rule": {"trait": {"name": "seats", "at_least": n}}}) for n in (10, 20))
    (change,) = between(old, new)
    assert (change.kind, change.where, change.swaps) == (
        "changed",
        "“worth a person”",
        (("at least 10", "at least 20"),),
    )


def test_another_level_is_told_even_where_the_rule_says_the_same():
    seen = {"recency": {"event": "*", "within_days": 7}}
    changes = between(definition(seen), definition(seen, level="user"))
    assert changes[0].swaps == (("account", "user"),)


def test_swapped_keeps_words_that_belong_together():
    assert swapped("“A” at least 3 times in the last 14 days", "“B” at most 3 times in the last 14 days") == (
        ("“A” at least 3", "“B” at most 3"),
    )
