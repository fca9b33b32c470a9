"""Reading definitions: what is accepted, what is refused and how it is said."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.rules import describe, stored, tree
from scoring.rules.conditions import CONDITIONS
from scoring.rules.parse import parse_definition, parse_rule
from scoring.rules.problems import RuleError
from scoring.rules.values import quoted

from . import strategies

quick = settings(deadline=None, database=None, max_examples=150)

COUNT = {"count": {"event": "A", "at_least": 1}}


def problems(document) -> list[tuple[str, str]]:
    with pytest.raises(RuleError) as caught:
        parse_definition(document)
    return [(problem.path, problem.message) for problem in caught.value.problems]


def rule_problems(rule, level="account") -> list[tuple[str, str]]:
    with pytest.raises(RuleError) as caught:
        parse_rule(rule, level=level)
    return [(problem.path, problem.message) for problem in caught.value.problems]


def definition(**more) -> dict:
    return {"slug": "a", "name": "A", "purpose": "risk", "rule": COUNT} | more


def test_defaults():
    doc = parse_definition(definition())
    assert (doc.level, doc.users_at_least, doc.grace_days, doc.motion) == ("account", 1, 7, None)


def test_every_problem_is_told_with_its_place():
    assert problems(
        {
            "slug": "Not A Slug",
            "purpose": "sales",
            "grace_days": True,
            "colour": "red",
            "rule": {
                "all": [
                    {"count": {"event": "A"}},
                    {"count": {"event": 3, "at_least": True}},
                    {"trait": {"name": "plan", "is": "free"}},
                    {"unheard": {}},
                ]
            },
        }
    ) == [
        (
            "/colour",
            "unknown key; expected one of “slug”, “name”, “purpose”, “rule”, “level”, “account_when”, “grace_days”,"
            " “motion”",
        ),
        ("", "“name” is missing"),
        ("/slug", "expected lower-case letters, digits and single hyphens, such as team-expansion"),
        ("/purpose", "expected one of “activation”, “pql”, “expansion”, “risk”"),
        (
            "/rule/all/0/count",
            "expected exactly one comparison: “at_least”, “at_most”, “exactly”, “between”, “in”",
        ),
        ("/rule/all/1/count/event", "expected an event name, a list of names, or “*”, not a number"),
        ("/rule/all/1/count/at_least", "expected a whole number from 1 to 1000000000, not true or false"),
        (
            "/rule/all/2/trait/is",
            "unknown key; expected one of “name”, “of”, “at_least”, “at_most”, “exactly”, “between”, “in”, “is_set”,"
            " “changed_within_days”",
        ),
        (
            "/rule/all/2/trait",
            "expected exactly one comparison: “at_least”, “at_most”, “exactly”, “between”, “in”, “is_set”,"
            " “changed_within_days”",
        ),
        (
            "/rule/all/3/unheard",
            "unknown condition; expected one of “all”, “any”, “not”, “at_least”, "
            + quoted([*CONDITIONS, "score", "users_who"]),
        ),
        ("/grace_days", "expected a whole number from 0 to 365, not true or false"),
    ]


REFUSED = [
    ([], "account", ""),
    ({}, "account", ""),
    ({"all": []}, "account", "/all"),
    ({"all": [COUNT], "any": [COUNT]}, "account", ""),
    ({"at_least": 3, "of": [COUNT, COUNT]}, "account", "/at_least"),
    ({"at_least": 0, "of": [COUNT]}, "account", "/at_least"),
    ({"at_least": 1}, "account", ""),
    ({"not": [COUNT]}, "account", "/not"),
    ({"count": {"event": "A", "at_least": 0}}, "account", "/count/at_least"),
    ({"count": {"event": "A", "at_least": 1.0}}, "account", "/count/at_least"),
    ({"count": {"event": "A", "at_least": 1, "at_most": 2}}, "account", "/count"),
    ({"count": {"event": "A", "between": [3, 2]}}, "account", "/count/between"),
    ({"count": {"event": "A", "in": []}}, "account", "/count/in"),
    ({"count": {"event": ["A", "*"], "at_least": 1}}, "account", "/count/event/1"),
    ({"count": {"event": "A\x00", "at_least": 1}}, "account", "/count/event"),
    ({"count": {"event": "A", "at_least": 1, "window": "always"}}, "account", "/count/window"),
    ({"count": {"event": "A", "at_least": 1, "window": {"last_days": 0}}}, "account", "/count/window/last_days"),
    ({"count": {"event": "A", "at_least": 1, "window": {"first_days": 3}}}, "account", "/count/window"),
    (
        {"count": {"event": "A", "at_least": 1, "window": {"first_days": 3, "of": "user"}}},
        "account",
        "/count/window/of",
    ),
    ({"count": {"event": "A", "at_least": 1, "window": {"from": "2026-02-30"}}}, "account", "/count/window/from"),
    (
        {"count": {"event": "A", "at_least": 1, "window": {"from": "2026-02-03", "to": "2026-02-01"}}},
        "account",
        "/count/window",
    ),
    ({"users": {"event": "*", "at_least": 1}}, "user", "/users"),
    ({"users_who": {"at_least": 1, "rule": COUNT}}, "user", "/users_who"),
    ({"users_who": {"rule": COUNT}}, "account", "/users_who"),
    (
        {"users_who": {"at_least": 1, "rule": {"users": {"event": "*", "at_least": 1}}}},
        "account",
        "/users_who/rule/users",
    ),
    ({"recency": {"event": "*"}}, "account", "/recency"),
    ({"recency": {"event": "*", "within_days": 3, "not_for_days": 3}}, "account", "/recency"),
    ({"first": {"event": "A"}}, "account", "/first"),
    ({"first": {"event": "A", "window": "ever"}}, "account", "/first/window"),
    ({"first": {"event": "A", "window": {"any_days": 3}}}, "account", "/first/window"),
    ({"first": {"event": "A", "at_least": 1, "window": {"last_days": 3}}}, "account", "/first/at_least"),
    ({"value": {"event": "A"}}, "account", "/value"),
    ({"value": {"event": "A", "at_least": 1, "share_of_limit": 0.8}}, "account", "/value"),
    ({"value": {"event": "A", "at_least": 1, "measure": "mean"}}, "account", "/value/measure"),
    ({"value": {"event": "A", "at_least": 1, "limit": "rows"}}, "account", "/value/limit"),
    ({"value": {"event": "A", "between": [2, 1]}}, "account", "/value/between"),
    ({"value": {"event": "A", "exactly": True}}, "account", "/value/exactly"),
    ({"value": {"event": "*", "share_of_limit": 0.8}}, "account", "/value"),
    ({"value": {"event": "A", "share_of_limit": 0}}, "account", "/value/share_of_limit"),
    ({"value": {"event": "A", "share_of_limit": 0.0001}}, "account", "/value/share_of_limit"),
    (
        {"value": {"event": "A", "measure": "max", "at_least": 1, "window": {"any_days": 3}}},
        "account",
        "/value/window",
    ),
    ({"change": {"event": "A", "days": 7}}, "account", "/change"),
    ({"change": {"event": "A", "factor_at_least": 2}}, "account", "/change"),
    ({"change": {"event": "A", "days": 7, "factor_at_least": 2, "factor_at_most": 3}}, "account", "/change"),
    ({"change": {"event": "A", "days": 7, "factor_at_least": 0}}, "account", "/change/factor_at_least"),
    ({"change": {"event": "A", "days": 7, "factor_at_least": 1.0001}}, "account", "/change/factor_at_least"),
    ({"change": {"event": "A", "days": 7, "factor_at_most": -1}}, "account", "/change/factor_at_most"),
    (
        {"change": {"event": "A", "days": 7, "factor_at_most": 0, "base_at_least": 0}},
        "account",
        "/change/base_at_least",
    ),
    ({"sequence": {"steps": ["A"], "within_days": 7}}, "account", "/sequence/steps"),
    ({"sequence": {"steps": list("ABCDEF"), "within_days": 7}}, "account", "/sequence/steps"),
    ({"sequence": {"steps": ["A", "B"]}}, "account", "/sequence"),
    ({"sequence": {"steps": ["A", 5], "within_days": 7}}, "account", "/sequence/steps/1"),
    ({"sequence": {"steps": ["A", ["B", "A"]], "within_days": 7}}, "account", "/sequence/steps/1"),
    ({"sequence": {"steps": ["A", "B", "*"], "within_days": 7}}, "account", "/sequence/steps/2"),
    (
        {"sequence": {"steps": ["A", "B"], "within_days": 7, "window": {"any_days": 7}}},
        "account",
        "/sequence/window",
    ),
    ({"definition": "Active Team"}, "account", "/definition"),
    ({"definition": {"version": 1}}, "account", "/definition"),
    ({"definition": {"slug": "active", "version": 0}}, "account", "/definition/version"),
    ({"definition": 5}, "account", "/definition"),
    ({"trait": {"name": "plan", "of": "user", "exactly": "free"}}, "account", "/trait/of"),
    ({"trait": {"name": "plan", "at_least": "5"}}, "account", "/trait/at_least"),
    ({"trait": {"name": "plan", "at_least": 0.0000001}}, "account", "/trait/at_least"),
    ({"trait": {"name": "plan", "at_least": float("nan")}}, "account", "/trait/at_least"),
    ({"trait": {"name": "plan", "exactly": None}}, "account", "/trait/exactly"),
    ({"trait": {"name": "plan", "changed_within_days": 0}}, "account", "/trait/changed_within_days"),
    ({"trait": {"name": "plan", "is_set": 1}}, "account", "/trait/is_set"),
    ({"stage": {"reached": "sold"}}, "account", "/stage/reached"),
    ({"stage": {"since": "paid"}}, "account", "/stage"),
    ({"stage": {"reached": "paid", "since": "paid"}}, "account", "/stage"),
    ({"stage": {"reached": "paid", "at_least_days": 3}}, "account", "/stage/at_least_days"),
    ({"stage": {"reached": "paid", "window": {"any_days": 3}}}, "account", "/stage/window"),
    ({"stage": {"since": "paid", "at_least_days": 3, "at_most_days": 2}}, "account", "/stage"),
]


@pytest.mark.parametrize(("rule", "level", "path"), REFUSED)
def test_refused(rule, level, path):
    assert [found for found, _ in rule_problems(rule, level)] == [path]


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"part": "luck"}, "/part"),
        ({"points": 0}, "/points"),
        ({"points": 1001}, "/points"),
        ({"when": COUNT}, ""),
        ({"cap": 0}, "/cap"),
        ({"half_life_days": 366}, "/half_life_days"),
        ({"per": {"recency": {"event": "A", "within_days": 1}}}, "/per"),
        ({"per": COUNT}, "/per/count/at_least"),
        ({"per": {"count": {"event": 5}}}, "/per/count/event"),
        ({"half_life_days": 7, "per": {"count": {"event": "A", "window": {"last_days": 7}}}}, "/per/count/window"),
    ],
)
def test_refused_signal(more, path):
    signal = {"part": "fit", "points": 5, "per": {"count": {"event": "A"}}}
    good = {"score": {"signals": [signal], "at_least": 1}}
    assert parse_rule(good)
    wrong = {"score": {"signals": [signal, signal | more], "at_least": 1}}
    assert [found for found, _ in rule_problems(wrong)] == [f"/score/signals/1{path}"]


def test_what_a_score_holds_counts_and_is_as_deep_as_it_stands():
    signal = {"part": "fit", "points": 5, "per": {"count": {"event": "A"}}}
    assert parse_definition(definition(rule={"score": {"signals": [signal] * 63, "at_least": 1}}))
    assert problems(definition(rule={"score": {"signals": [signal] * 64, "at_least": 1}})) == [
        ("/rule", "expected at most 64 conditions, found 65")
    ]
    deep = COUNT
    for _ in range(6):
        deep = {"not": deep}
    assert parse_rule({"score": {"signals": [{"part": "fit", "points": 1, "when": deep}], "at_least": 1}})
    deeper = {"score": {"signals": [{"part": "fit", "points": 1, "when": {"not": deep}}], "at_least": 1}}
    assert rule_problems(deeper) == [("/score/signals/0/when" + "/not" * 7, "expected at most 8 levels")]
    for bands, path in (([], "/score/bands"), ({"hot": 1.5}, "/score/bands/hot"), ({"": 1}, "/score/bands/")):
        wrong = {"score": {"signals": [signal], "at_least": 1, "bands": bands}}
        assert [found for found, _ in rule_problems(wrong)] == [path]


def test_account_when_is_for_level_user():
    lifted = {"users_at_least": 2}
    assert [path for path, _ in problems(definition(account_when=lifted))] == ["/account_when"]
    assert parse_definition(definition(level="user", account_when=lifted)).users_at_least == 2


def test_a_definition_cannot_read_the_stage_that_it_writes():
    rule = {"all": [COUNT, {"not": {"stage": {"reached": "pql"}}}]}
    assert [path for path, _ in problems(definition(purpose="pql", rule=rule))] == ["/rule/all/1/not/stage"]
    doc = parse_definition(definition(purpose="activation", rule=rule))
    assert (tree.stages_read(doc), tree.stage_written(doc)) == ({"pql"}, "activated")


def test_limits_on_conditions_and_levels():
    assert parse_definition(definition(rule={"all": [COUNT] * 64})).rule
    motion = {"rule": COUNT}
    assert problems(definition(rule={"all": [COUNT] * 64}, motion=motion)) == [
        ("/rule", "expected at most 64 conditions, found 65")
    ]
    deep = COUNT
    for _ in range(7):
        deep = {"not": deep}
    assert parse_rule(deep)
    assert rule_problems({"not": deep}) == [("/not" * 8, "expected at most 8 levels")]
    for _ in range(20_000):
        deep = {"all": [deep]}
    assert rule_problems(deep) == [("/all/0" * 8, "expected at most 8 levels")]


def test_leaves_in_reading_order_with_whose_and_whether_negated():
    doc = parse_definition(
        definition(
            rule={
                "all": [
                    {"not": {"any": [COUNT, {"not": COUNT}]}},
                    {"at_least": 1, "of": [{"users_who": {"at_least": 1, "rule": {"all": [COUNT]}}}]},
                ]
            },
            motion={"rule": {"trait": {"name": "seats", "at_least": 5}}},
        )
    )
    assert [(leaf.path, leaf.subject, leaf.negated) for leaf in tree.all_leaves(doc)] == [
        ("/rule/all/0/not/any/0/count", "account", True),
        ("/rule/all/0/not/any/1/not/count", "account", False),
        ("/rule/all/1/of/0/users_who", "account", False),
        ("/rule/all/1/of/0/users_who/rule/all/0/count", "user", False),
        ("/motion/rule/trait", "account", False),
    ]
    assert tree.event_names(doc) == {"A"}


def test_digest_tells_whether_the_meaning_was_written_differently():
    one = definition(rule={"count": {"event": ["B", "A"], "at_least": 1, "window": "ever"}}, grace_days=7)
    two = definition(rule={"count": {"at_least": 1, "event": ["A", "B"]}}, level="account")
    three = definition(rule={"count": {"at_least": 2, "event": ["A", "B"]}})
    digests = [stored.digest(parse_definition(document)) for document in (one, two, three)]
    assert digests[0] == digests[1] != digests[2]


@quick
@given(strategies.documents())
def test_stored_form_survives_reading_and_writing(document):
    doc = parse_definition(document)
    again = parse_definition(json.loads(json.dumps(stored.to_json(doc))))
    assert again == doc
    assert describe.describe(doc) == describe.describe(again)


words = st.sampled_from(
    [
        *("slug", "name", "purpose", "level", "rule", "account_when", "grace_days", "motion", "all", "any", "not"),
        *("at_least", "at_most", "exactly", "between", "in", "of", "event", "window", "last_days", "first_days"),
        *(
            "any_days",
            "from",
            "to",
            "count",
            "distinct",
            "users",
            "days",
            "recency",
            "trait",
            "stage",
            "users_who",
            *CONDITIONS,
            *(
                "measure",
                "sum",
                "share_of_limit",
                "limit",
                "billing_month",
                "score",
                "signals",
                "part",
                "points",
                "when",
                "per",
                "cap",
                "half_life_days",
                "version",
                "steps",
                "bands",
                "factor_at_least",
                "base_at_least",
            ),
            "first",
        ),
        *("within_days", "not_for_days", "reached", "since", "at_least_days", "is_set", "pql", "user", "*", "paid"),
    ]
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    words,
    st.sampled_from([1, 2, "2026-01-01"]),
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(words, words, st.text(max_size=3)), inner, max_size=4)
    ),
    max_leaves=25,
)


@settings(quick, max_examples=400)
@given(anything)
def test_any_json_is_read_or_refused_with_reasons(document):
    for level in ("account", "user"):
        try:
            rule = parse_rule(document, level=level)
        except RuleError as error:
            assert error.problems
        else:
            assert describe.describe_rule(rule, subject=level)
    if isinstance(document, dict):
        try:
            parse_definition(definition() | document)
        except RuleError as error:
            assert error.problems


@quick
@given(strategies.documents(), st.data())
def test_a_definition_with_one_thing_changed_is_read_or_refused(document, data):
    """Closer to what people write: a good document with one value replaced."""
    change_one_thing(document, data)
    try:
        assert describe.describe(parse_definition(document))
    except RuleError as error:
        assert error.problems


def change_one_thing(document, data):
    """One value somewhere in it, replaced by anything."""
    places = [document]
    for place in places:
        places += [
            part
            for part in (place.values() if isinstance(place, dict) else place)
            if part and isinstance(part, (dict, list))
        ]
    place = data.draw(st.sampled_from(places))
    key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[key] = data.draw(anything)
