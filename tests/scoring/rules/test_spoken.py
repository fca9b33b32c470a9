"""What is wrong in a draft, in the words of the builder's forms."""

import re

import pytest

from scoring.rules.parse import parse_definition
from scoring.rules.problems import Problem, RuleError
from scoring.rules.spoken import _SAID, spoken

COUNT = {"event": "Invite Sent", "at_least": 3, "window": {"last_days": 14}}


def told(rule=None, **more):
    """What is said of a definition with this rule, of each problem once."""
    document = {"slug": "draft", "name": "Draft", "purpose": "pql", "rule": rule or {"count": COUNT}} | more
    try:
        parse_definition(document)
    except RuleError as error:
        return list(dict.fromkeys(spoken(problem, document) for problem in error.problems))
    return []


def count(**changes):
    return {"count": {key: value for key, value in (COUNT | changes).items() if value is not None}}


def deep(levels):
    rule = count()
    for _ in range(levels - 1):
        rule = {"all": [rule]}
    return rule


CASES = [
    (count(event=""), ["Choose an event."]),
    (count(event=[]), ["Choose an event."]),
    (count(event=None), ["Choose an event."]),
    (count(event=["*", "Invite Sent"]), ["“Any activity” stands alone: remove the other events."]),
    (count(at_least=""), ["Fill in: At least."]),
    (count(at_least="three"), ["At least: a whole number from 1 to 1,000,000,000."]),
    (count(at_least=0), ["At least: a whole number from 1 to 1,000,000,000."]),
    (count(at_least=None), ["Choose how it is compared."]),
    (count(at_least=None, between=[5, 2]), ["From and to: two numbers, the smaller first."]),
    (count(at_least=None, **{"in": []}), ["Add at least one value."]),
    (count(window={"last_days": 4000}), ["Days: a whole number from 1 to 3,650."]),
    (count(window={"from": "2026-02-30"}), ["From: a day of the calendar."]),
    (count(window={"from": "soon"}), ["From: a day of the calendar."]),
    (count(window={"from": "2026-03-01", "to": "2026-02-01"}), ["From: not after the last day."]),
    (
        count(window={"first_days": 14, "of": "user"}),
        ["After signup of: the account; a person’s own signup is for rules about people."],
    ),
    (count(evnt="x"), ["This is written in a way that the builder does not know. Correct it as JSON."]),
    ({"dream": {}}, ["This is written in a way that the builder does not know. Correct it as JSON."]),
    ({"all": []}, ["Nothing is in this group yet: add a condition, or remove the group."]),
    ({"at_least": 1, "of": []}, ["Nothing is in this group yet: add a condition, or remove the group."]),
    ({"at_least": 3, "of": [count()]}, ["At least: a whole number from 1 to 1."]),
    ({"any": [count()] * 65}, ["A group holds at most 64 conditions."]),
    (
        {"all": [{"all": [count()] * 33}, {"all": [count()] * 33}]},
        ["These are 66 conditions; a definition has at most 64."],
    ),
    (deep(9), ["Groups stand at most 8 deep: move this out of its group, or take a group away."]),
    (
        {"count": COUNT | {"event": [f"E{n}" for n in range(201)]}},
        ["Event: at most 200 of them."],
    ),
    ({"trait": {"name": "", "exactly": "free"}}, ["Choose a trait."]),
    ({"trait": {"name": "plan", "exactly": ""}}, ["Fill in the value."]),
    ({"trait": {"name": "seats", "at_least": "many"}}, ["At least: a number."]),
    ({"trait": {"name": "seats", "at_least": 0.12345678}}, ["At least: at most six decimals."]),
    (
        {"trait": {"name": "seats", "at_least": 10**15}},
        ["At least: a number from −1,000,000,000,000 to 1,000,000,000,000."],
    ),
    ({"trait": {"name": "x" * 101, "is_set": True}}, ["Trait: at most 100 characters."]),
    ({"trait": {"name": 7, "is_set": True}}, ["Trait: letters and digits only."]),
    ({"trait": {"name": "plan", "is_set": "maybe"}}, ["Value: there is one, or there is none."]),
    (
        {"trait": {"name": "role", "of": "user", "is_set": True}},
        ["A person’s traits are asked for inside “People for whom …”."],
    ),
    ({"stage": {"reached": "rich"}}, ["Stage: choose one."]),
    ({"stage": {"since": "activated"}}, ["Fill in how many days ago."]),
    (
        {"stage": {"since": "activated", "at_least_days": 9, "at_most_days": 3}},
        ["At least days ago: not more than at most days ago."],
    ),
    (
        {"stage": {"reached": "pql"}},
        ["A definition of purpose pql writes the stage pql: it cannot read it."],
    ),
    ({"sequence": {"steps": ["", ""], "within_days": 7}}, ["Choose an event for each step."]),
    ({"sequence": {"steps": ["A"], "within_days": 7}}, ["A sequence has 2 to 5 steps."]),
    ({"sequence": {"steps": ["A", "A"], "within_days": 7}}, ["Another event than the step before."]),
    ({"first": {"event": "A", "window": "ever"}}, ["Window: some days, not ever; whoever did it began once."]),
    (
        {"value": {"event": "A", "share_of_limit": 0, "window": "billing_month"}},
        ["Percent: more than 0, at most 100,000, with at most one decimal."],
    ),
    (
        {"value": {"event": ["A", "B"], "share_of_limit": 0.8, "window": "billing_month"}},
        ["Limit of the plan: choose which, as there are several events."],
    ),
    (
        {"change": {"event": "A", "days": 7, "factor_at_least": 0.0001}},
        ["How many times as many: a number from 0.001 to 1,000 with at most three decimals."],
    ),
    ({"definition": ""}, ["Choose a definition."]),
    (
        {"definition": "Not A Slug"},
        ["Definition: small letters, digits and single hyphens, such as team-expansion."],
    ),
    ({"score": {"at_least": 60, "signals": []}}, ["Add a signal."]),
    (
        {"score": {"at_least": 60, "signals": [{"part": "fit", "points": 0, "when": count()}]}},
        ["Points: any number but 0."],
    ),
    (
        {"score": {"at_least": 1, "signals": [{"part": "fit", "points": 1, "when": count()}], "bands": {"": 3}}},
        ["Each band has a name of at most 40 characters."],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "words"), CASES, ids=[words[0] for _, words in CASES])
def test_it_is_told_by_the_field_that_is_to_be_filled_in(rule, words):
    assert told(rule) == words


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": ""}, "Give it a name."),
        ({"slug": ""}, "Fill in: Slug."),
        ({"slug": "A B"}, "Slug: small letters, digits and single hyphens, such as team-expansion."),
        ({"purpose": "fun"}, "Purpose: choose one."),
        ({"grace_days": 400}, "Grace days: a whole number from 0 to 365."),
        ({"account_when": {"users_at_least": 2}}, "Only a definition of level user lifts to the account."),
    ],
)
def test_what_stands_beside_the_rule(more, words):
    assert told(**more) == [words]


def test_what_is_live_or_goes_in_a_circle():
    assert (
        spoken(Problem("/rule/definition", "expected a definition that is live; “b” is not"), {}) == "“b” is not live."
    )
    circle = "expected a stage that does not follow from this definition; “pql” does, through “Team”"
    assert spoken(Problem("/rule/stage", circle), {}) == (
        "This would go round in a circle: “pql” follows from this definition, by “Team”."
    )


def test_no_sentence_speaks_of_json_keys_or_paths():
    said = {line for _, words in CASES for line in words}
    assert not [line for line in said if re.search(r"expected|_|/rule|\bnull\b|an object|a list", line)]


def test_every_way_of_saying_it_is_one_that_the_parser_leads_to():
    """A message that was reworded would fall through to the general ones."""
    general = {pattern.pattern for pattern, _ in _SAID[-1:]}
    circles = {p.pattern for p, _ in _SAID if "live" in p.pattern or "does not follow" in p.pattern}
    met = set()
    for rule, _ in [*CASES, (count(window={"last_days": 1}, at_least=0), [])]:
        document = {"slug": "draft", "name": "Draft", "purpose": "pql", "rule": rule}
        with pytest.raises(RuleError) as caught:
            parse_definition(document)
        for problem in caught.value.problems:
            met |= {next((p.pattern for p, _ in _SAID if p.fullmatch(problem.message)), "")}
    assert {p.pattern for p, _ in _SAID} - met - general - circles == set()
