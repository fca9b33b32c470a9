"""Evidence said to a person: numbers and words."""

from scoring import reasons, told, why
from scoring.explanation import Person
from scoring.series import Line

TODAY = 20_000


def condition(**over):
    return {
        "path": "/rule/all/0",
        "kind": "count",
        "english": "“Invite Sent” at least 3 times",
        "holds": True,
        "measured": 4,
        "threshold": 3,
        "comparison": "at_least",
        "unit": "events",
        "event_type_ids": [7],
        "window": {"from_day": TODAY - 4, "to_day": TODAY},
        "people": [1, 2],
        "people_total": 2,
        "days": [],
        "days_total": 0,
        "newest_us": 1_000_000,
    } | over


def evidence(*conditions, users=(1, 2), users_total=2):
    return {"as_of_day": TODAY, "users": list(users), "users_total": users_total, "conditions": list(conditions)}


PEOPLE = {1: Person(1, "u1", "Priya"), 2: Person(2, "u2", "Jonas")}


def rows(told_evidence, lines=None):
    """The lines that a person reads, of evidence whose rule cannot be read any more."""
    return list(reasons._rows(told.of_rule(None, told_evidence, known=told.Known(PEOPLE)), lines or {}))


def row(condition, line=None):
    (found,) = rows(evidence(condition), {0: line})
    return found


def test_a_condition_says_its_number_and_who_is_behind_it():
    found = row(condition(), Line((0, 4), "Running total, 2 days", 3.0))
    assert (found.measured, found.needed, found.line.values) == ("4 times", "at least 3", (0, 4))
    assert (found.people, found.more_people) == (("Priya", "Jonas"), 0)


def test_what_has_a_line_comes_before_what_has_none():
    told_evidence = evidence(condition(kind="trait", english="plan is free", measured="free"), condition())
    found = rows(told_evidence, {0: None, 1: Line((1, 2), "Running total, 2 days")})
    assert [r.line is None for r in found] == [False, True]


def test_what_does_not_hold_comes_last_and_says_what_is_missing():
    found = rows(evidence(condition(holds=False, measured=1), condition()))
    assert [(r.met, r.missing) for r in found] == [(True, ""), (False, "2 more")]


def test_traits_show_their_value_and_recency_its_distance():
    assert row(condition(kind="trait", measured="team", threshold=None)).measured == "team"
    assert row(condition(kind="trait", measured=1200)).measured == "1,200"
    assert [row(condition(kind="recency", measured=n)).measured for n in (0, 1, 5)] == [
        "today",
        "1 day ago",
        "5 days ago",
    ]
    assert row(condition(kind="recency", measured=5, threshold=45)).needed == "at the time"


def test_headline_is_the_condition_furthest_past_what_was_needed():
    near = condition(measured=3)
    far = condition(kind="days", measured=9, threshold=3, event_type_ids=[7, 8])
    assert why.headline(evidence(near, far), {7: "Invite Sent", 8: "Signed In"}) == (
        "calendar-days",
        "Active on 9 days",
    )
    assert why.headline(evidence(near), {7: "Invite Sent"}) == ("repeat-2", "Invite Sent 3 times")
    only_facts = condition(kind="trait", english="plan is free", measured="free")
    assert why.headline(evidence(only_facts), {}) == ("tag", "Plan is free")
    assert why.headline(evidence(), {}) == ("sparkles", "Qualifies")


def test_sentence_names_who_did_it():
    told = evidence(condition(measured=6), condition(kind="users", measured=3), users=(1, 2, 3), users_total=9)
    assert why.sentence(told, event_types={7: "Invite Sent"}, names={1: "Priya", 2: "Jonas"}) == (
        "Invite Sent 6 times and Invite Sent by 3 people, by Priya, Jonas and 7 more."
    )
    assert why.sentence(evidence(users=(), users_total=0), event_types={}, names={}) == (
        "It met the definition; no evidence was frozen with this episode."
    )


def test_narrow_event_types_leave_out_activity_as_such():
    told = [evidence(condition(event_type_ids=[1, 2]), condition(event_type_ids=[1, 3, 4, 5]))]
    assert why.event_types_of(told) == {1, 2, 3, 4, 5}
    assert why.event_types_of(told, narrow=True) == {1, 2}
