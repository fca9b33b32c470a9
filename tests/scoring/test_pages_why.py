"""Evidence said to a person: numbers, words and series that end at what was measured."""

from scoring import why
from scoring.why import Usage

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


def signal(told, usage=(), values=()):
    (found,) = why.signals(evidence(told), names={1: "Priya", 2: "Jonas"}, usage=usage, values=values)
    return found


def row(day, count=1, *, user=1, event_type=7, value=""):
    return Usage(5, user, event_type, day, count, value)


def test_a_count_runs_up_to_what_was_measured():
    found = signal(
        condition(), [row(TODAY - 3), row(TODAY - 1, 2), row(TODAY), row(TODAY - 9, 50), row(TODAY, 9, event_type=8)]
    )
    assert (found.series, found.threshold) == ((0, 1, 1, 3, 4), 3.0)
    assert (found.measured, found.needed, found.series_label) == ("4 times", "at least 3", "Running total, 5 days")
    assert found.people == ("Priya", "Jonas")


def test_a_count_without_a_window_starts_from_what_was_before():
    found = signal(condition(window=None, measured=12), [row(TODAY - 1), row(TODAY)])
    assert (found.series[0], found.series[-1], len(found.series)) == (10, 12, 14)


def test_distinct_values_count_once():
    told = condition(kind="distinct", measured=2)
    found = signal(told, values=[row(TODAY - 4, value="a@x"), row(TODAY - 2, value="a@x"), row(TODAY, value="b@x")])
    assert (found.series, found.measured) == ((1, 1, 1, 1, 2), "2 different")


def test_distinct_values_without_a_window_promise_no_total():
    found = signal(condition(kind="distinct", window=None), values=[row(TODAY, 3, value="a@x")])
    assert (found.threshold, found.series_label) == (None, "Events a day, 14 days")


def test_people_a_day():
    told = condition(kind="users", event_type_ids=[7, 8], measured=2)
    found = signal(told, [row(TODAY), row(TODAY, user=2, event_type=8), row(TODAY - 1)])
    assert (found.series, found.threshold, found.measured) == ((0, 0, 0, 1, 2), None, "2 people")


def test_what_is_asked_of_each_person_is_told_by_the_best_one():
    told = condition(path="/rule/users_who/rule/all/0", people=[2, 1], measured=1)
    usage = [row(TODAY, 40), row(TODAY, user=2)]
    assert signal(told, usage).series == (0, 0, 0, 0, 1)
    (found,) = why.signals(evidence(condition(people=[2, 1], measured=1)), names={}, usage=usage, of_people=True)
    assert found.series == (0, 0, 0, 0, 1)


def test_users_who_leaves_its_conditions_to_their_own_lines():
    told = condition(kind="users_who", english="there are at least 2 people for whom (a (b) and c)", measured=2)
    assert signal(told).english == "At least 2 people for whom all of this holds"
    assert why.headline(evidence(told), {}) == ("user-check", "There are at least 2 people for whom (a (b) and c)")


def test_long_windows_show_their_last_days_but_count_from_their_first():
    told = condition(window={"from_day": TODAY - 89, "to_day": TODAY}, measured=3)
    found = signal(told, [row(TODAY - 80, 2), row(TODAY)])
    assert (len(found.series), found.series[0], found.series[-1]) == (30, 2, 3)


def test_a_window_that_is_not_over_ends_today():
    told = condition(window={"from_day": TODAY - 1, "to_day": TODAY + 12}, measured=1)
    assert signal(told, [row(TODAY)]).series == (0, 1)


def test_negated_and_unmet_conditions_say_so():
    denied = condition(kind="stage", english="has paid", holds=False, negated=True, measured=None, threshold=None)
    unmet = condition(holds=False, measured=1)
    found = why.signals(evidence(unmet, denied), names={}, usage=[])
    assert [(s.english, s.holds) for s in found] == [
        ("Not: has paid", True),
        ("“Invite Sent” at least 3 times", False),
    ]


def test_traits_show_their_value_and_recency_its_distance():
    assert signal(condition(kind="trait", measured="team", threshold=None)).measured == "team"
    assert signal(condition(kind="trait", measured=1200)).measured == "1,200"
    assert [signal(condition(kind="recency", measured=n)).measured for n in (0, 1, 5)] == [
        "today",
        "1 day ago",
        "5 days ago",
    ]
    assert signal(condition(kind="recency", measured=5, threshold=45)).needed == "at the time"


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
