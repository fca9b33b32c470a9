"""What each condition and window means at its edges; docs/rules.md says the same in words."""

from __future__ import annotations

import pytest

from scoring.engines import appdb
from scoring.rules.parse import parse_definition

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


# --- windows


@pytest.mark.parametrize(("day", "counts"), [(9, False), (10, True), (23, True), (24, False)])
def test_first_14_days_are_day_0_to_13(acme, invite, day, counts):
    ann = world.person(10, acme)
    world.used(acme, ann, invite, day)
    for of, level in (("account", "account"), ("user", "user"), ("account", "user")):
        rule = {"count": {"event": "*", "at_least": 1, "window": {"first_days": 14, "of": of}}}
        assert holds(rule, acme, level=level) is counts
        assert next_day(rule, acme, level=level) is None


def test_first_days_of_a_person_run_from_the_persons_own_signup(acme, invite):
    bob = world.person(40, acme)
    world.used(acme, bob, invite, 45)
    inner = {"count": {"event": "*", "at_least": 1, "window": {"first_days": 14, "of": "user"}}}
    assert holds({"users_who": {"at_least": 1, "rule": inner}}, acme)
    inner["count"]["window"]["of"] = "account"
    assert not holds({"users_who": {"at_least": 1, "rule": inner}}, acme)


def test_who_is_soonest_decides_when_people_are_looked_at_again(acme, invite):
    """Each person's own day lapses by itself: the account comes back for the first of them, not for the last."""
    for day in (50, 53, 55):
        world.used(acme, world.person(10, acme), invite, day)
    inner = {"count": {"event": "*", "at_least": 1, "window": {"last_days": 7}}}
    rule = {"users_who": {"at_least": 3, "rule": inner}}
    assert (holds(rule, acme, 56), next_day(rule, acme, 56)) == (True, 57)
    assert (holds(rule, acme, 57), next_day(rule, acme, 57)) == (False, 60)
    assert next_day(inner, acme, 56, level="user") == 57


def test_last_days_end_with_the_day_itself(acme, invite):
    world.used(acme, None, invite, 50)
    rule = {"count": {"event": "*", "at_least": 1, "window": {"last_days": 7}}}
    assert [holds(rule, acme, day) for day in (49, 50, 56, 57)] == [False, True, True, False]
    assert next_day(rule, acme, 52) == 57
    assert next_day(rule, acme, 57) is None


def test_last_days_below_the_threshold_never_come_back_by_time(acme, invite):
    world.used(acme, None, invite, 50)
    assert next_day({"count": {"event": "*", "at_least": 2, "window": {"last_days": 7}}}, acme, 52) is None
    assert next_day({"count": {"event": "*", "at_most": 1, "window": {"last_days": 7}}}, acme, 52) is None
    assert next_day({"count": {"event": "*", "at_most": 0, "window": {"last_days": 7}}}, acme, 52) == 57


def test_any_7_days_span_7_calendar_days(acme, invite):
    for day in (20, 23, 26, 60, 63, 67):
        world.used(acme, None, invite, day)
    rule = {"days": {"event": "*", "at_least": 3, "window": {"any_days": 7}}}
    assert holds(rule, acme, 26)
    assert not holds(rule, acme, 25)
    rule["days"]["window"]["any_days"] = 6
    assert not holds(rule, acme)


def test_any_days_of_values_and_people_count_each_once(acme, invite):
    ann, bob = world.person(10, acme), world.person(10, acme)
    for who, day, value in ((ann, 20, "x"), (ann, 21, "x"), (bob, 22, "y"), (bob, 40, "z")):
        world.used(acme, who, invite, day)
        world.valued(acme, who, invite, day, value)
    window = {"window": {"any_days": 3}}
    assert holds({"distinct": {"event": "Invite Sent", "of": "email", "exactly": 2} | window}, acme)
    assert holds({"users": {"event": "*", "exactly": 2} | window}, acme)


def test_dates_include_both_ends(acme, invite):
    world.used(acme, None, invite, 31)  # 1970-02-01
    for bounds, counts in (
        ({"from": "1970-02-01", "to": "1970-02-01"}, True),
        ({"from": 31}, True),
        ({"to": 31}, True),
        ({"from": 32}, False),
        ({"to": "1970-01-31"}, False),
    ):
        assert holds({"count": {"event": "*", "at_least": 1, "window": bounds}}, acme) is counts


# --- who is asked


def test_events_dated_in_the_future_count_from_their_day_on(acme, invite):
    world.used(acme, None, invite, 60)
    rule = {"count": {"event": "*", "at_least": 1}}
    assert (holds(rule, acme, 59), next_day(rule, acme, 59)) == (False, 60)
    assert (holds(rule, acme, 60), next_day(rule, acme, 60)) == (True, None)


def test_absence_holds_from_signup_on(acme):
    rule = {"recency": {"event": "*", "not_for_days": 14}}
    assert (holds(rule, acme, 9), next_day(rule, acme, 9)) == (False, 10)
    assert holds(rule, acme, 10)
    assert not holds({"not": rule}, acme, 9)


def test_a_person_in_two_accounts_is_judged_in_each(acme, invite):
    other = world.account(10)
    ann = world.person(10, acme, other)
    world.used(acme, ann, invite, 20, 2)
    world.used(other, ann, invite, 20, 1)
    rule = {"count": {"event": "*", "at_least": 2}}
    assert holds(rule, acme, level="user")
    assert not holds(rule, other, level="user")
    assert not holds({"count": {"event": "*", "at_least": 3}}, acme, level="user")


def test_who_has_left_counts_for_the_account_but_is_not_asked(acme, invite):
    ann = world.person(10)
    world.member(acme, ann, 10, 30)
    world.used(acme, ann, invite, 20)
    rule = {"count": {"event": "*", "at_least": 1}}
    assert [holds(rule, acme, day, level="user") for day in (29, 30)] == [True, False]
    assert next_day(rule, acme, 25, level="user") == 30
    assert holds(rule, acme, 30)


def test_account_qualifies_with_enough_people(acme, invite):
    for _ in range(2):
        world.used(acme, world.person(10, acme), invite, 20)
    rule = {"count": {"event": "*", "at_least": 1}}
    for least, expected in ((2, True), (3, False)):
        assert holds(rule, acme, level="user", account_when={"users_at_least": least}) is expected


def test_people_without_an_account_qualify_but_lift_to_none(acme, invite):
    loner = world.person(10)
    world.used(None, loner, invite, 20)
    doc = parse_definition(world.document({"count": {"event": "*", "at_least": 1}}, level="user"))
    assert appdb.qualifying_users(doc, DAY) == [(0, loner.pk)]
    assert appdb.verdicts({1: doc}, account_ids=None, as_of_day=DAY) == {1: []}


def test_people_without_an_account_have_no_account_whose_traits_could_be_asked_for(acme, invite):
    loner, other = world.person(10), world.person(10, acme)
    world.metered(None, loner, invite, 20, 9)
    for name, value in (("seats", 5), ("plan", "free")):
        world.trait(other, name, value)  # a person's own, not an account's
    world.limit("free", "Invite Sent", 10)
    for rule in (
        {"trait": {"name": "seats", "of": "account", "at_least": 1}},
        {"value": {"event": "Invite Sent", "share_of_limit": 0.5}},
    ):
        doc = parse_definition(world.document(rule, level="user"))
        assert appdb.qualifying_users(doc, DAY) == []


def test_internal_and_merged_are_out(acme, invite):
    ours, gone = world.account(10, is_internal=True), world.account(10, merged_into=acme)
    ann = world.person(10, acme)
    twin = world.person(10, acme, merged_into=ann)
    rule = {"recency": {"event": "*", "not_for_days": 1}}
    assert not holds(rule, ours)
    assert not holds(rule, gone)
    doc = parse_definition(world.document(rule, level="user"))
    assert appdb.qualifying_users(doc, DAY) == [(acme.pk, ann.pk)]
    assert twin.pk


# --- conditions


def test_recency_counts_today_as_the_first_day(acme, invite):
    world.used(acme, None, invite, 50)
    seen = {"recency": {"event": "*", "within_days": 3}}
    gone = {"recency": {"event": "*", "not_for_days": 3}}
    assert [holds(seen, acme, day) for day in (50, 52, 53)] == [True, True, False]
    assert [holds(gone, acme, day) for day in (50, 52, 53)] == [False, False, True]
    assert next_day(seen, acme, 50) == next_day(gone, acme, 50) == 53
    assert next_day(gone, acme, 53) is None


def test_first_time_is_the_first_of_all(acme, invite):
    for day in (50, 54):
        world.used(acme, None, invite, day)
    rule = {"first": {"event": "*", "window": {"last_days": 3}}}
    assert [holds(rule, acme, day) for day in (49, 50, 52, 53, 54)] == [False, True, True, False, False]
    assert [next_day(rule, acme, day) for day in (50, 53)] == [53, 54]  # 54: what is dated in the future is looked at
    assert next_day(rule, acme, 54) is None
    assert holds({"first": {"event": "*", "window": {"from": 50, "to": 50}}}, acme)
    assert not holds({"first": {"event": "*", "window": {"from": 51}}}, acme)
    assert not holds({"first": {"event": "Nobody Sent This", "window": {"last_days": 3}}}, acme)


def test_first_time_of_a_person_is_that_persons_own(acme, invite):
    ann, bob = world.person(10, acme), world.person(40, acme)
    world.used(acme, ann, invite, 20)
    world.used(acme, bob, invite, 45)
    late = {"first": {"event": "*", "window": {"from": 40}}}
    assert not holds(late, acme)
    assert holds({"users_who": {"exactly": 1, "rule": late}}, acme)
    soon = {"first": {"event": "*", "window": {"first_days": 6, "of": "user"}}}
    assert holds({"users_who": {"exactly": 1, "rule": soon}}, acme)
    soon["first"]["window"]["first_days"] = 5
    assert not holds({"users_who": {"at_least": 1, "rule": soon}}, acme)


def test_value_adds_up_what_the_events_carry(acme, invite):
    ann = world.person(10, acme)
    world.metered(acme, ann, invite, 50, 1.5, 4)
    world.metered(acme, None, invite, 55, 2)
    world.used(acme, ann, invite, 56)  # carries no number

    def ask(measure, **test):
        return {"value": {"event": "Invite Sent", "measure": measure} | test}

    for measure, told in (("sum", 7.5), ("max", 4), ("last", 2)):
        assert holds(ask(measure, exactly=told), acme)
        assert not holds(ask(measure, at_least=told + 0.000001), acme)
    last3 = {"window": {"last_days": 3}}
    assert [holds(ask("sum", at_least=5.5, **last3), acme, day) for day in (49, 50, 52, 53)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert [next_day(ask("sum", at_least=5.5, **last3), acme, day) for day in (56, 57, 58)] == [None, None, None]
    assert next_day(ask("max", at_least=2, **last3), acme, 56) == 58
    assert next_day(ask("last", at_least=2, **last3), acme, 56) == 58
    assert next_day(ask("max", at_most=9, **last3), acme, 56) == 58  # then there is no number any more
    assert not holds(ask("max", at_most=9, window={"from": 56}), acme)  # no number at all: neither above nor below
    assert holds(ask("sum", at_most=0, window={"from": 56}), acme)


def test_what_was_taken_back_lets_a_sum_rise_when_it_leaves(acme, invite):
    world.metered(acme, None, invite, 50, -3)
    world.metered(acme, None, invite, 52, 4)
    rule = {"value": {"event": "*", "at_least": 4, "window": {"last_days": 5}}}
    assert [holds(rule, acme, day) for day in (54, 55, 57)] == [False, True, False]
    assert (next_day(rule, acme, 54), next_day(rule, acme, 55)) == (55, 57)


def test_share_of_the_limit_in_force_on_the_day(acme, invite):
    world.metered(acme, None, invite, 20, 8)
    rule = {"value": {"event": "Invite Sent", "share_of_limit": 0.8}}
    assert not holds(rule, acme)  # no plan
    world.trait(acme, "plan", "free", 10, 60)
    world.trait(acme, "plan", "vast", 60)
    assert not holds(rule, acme, 50)  # a plan without limits
    world.limit("free", "Invite Sent", 10.000001)
    world.limit("free", "Invite Sent", 10, from_day=30)
    world.limit("free", "Invite Sent", 11, from_day=40)
    world.limit("free", "seats", 1)
    assert [holds(rule, acme, day) for day in (29, 30, 39, 40, 60)] == [False, True, True, False, False]
    assert [next_day(rule, acme, day) for day in (29, 30, 40, 60)] == [30, 40, 60, None]
    seats = {"value": {"event": "*", "share_of_limit": 8, "limit": "seats"}}
    assert holds(seats, acme, 20)
    assert not holds(seats, acme, 19)
    assert holds({"users_who": {"exactly": 0, "rule": seats}}, acme, 20)


def test_a_limit_beyond_what_a_column_holds_is_no_matter(acme, invite):
    world.metered(acme, None, invite, 20, 900_000_000_000)
    world.trait(acme, "plan", "free")
    world.limit("free", "Invite Sent", 1_000_000_000_000)
    for share, reached in ((0.9, True), (0.901, False), (1000, False)):
        assert holds({"value": {"event": "Invite Sent", "share_of_limit": share}}, acme) is reached


def test_billing_month_is_the_calendar_month(acme, invite):
    ann = world.person(10, acme)
    world.metered(acme, ann, invite, 57, 3)  # 1970-02-27
    world.metered(acme, ann, invite, 59, 2)  # 1970-03-01
    month = {"window": "billing_month"}
    for rule in (
        {"value": {"event": "*", "at_least": 3} | month},
        {"count": {"event": "*", "at_least": 1} | month},
        {"users": {"event": "*", "at_least": 1} | month},
        {"first": {"event": "*"} | month},
    ):
        assert [holds(rule, acme, day) for day in (30, 31, 57, 58)] == [False, False, True, True]
        assert next_day(rule, acme, 58) == 59
    assert holds({"value": {"event": "*", "exactly": 2} | month}, acme, 60)
    assert not holds({"first": {"event": "*"} | month}, acme, 60)
    world.stage(acme, "paid", 57)
    paid = {"stage": {"reached": "paid"} | month}
    assert [holds(paid, acme, day) for day in (56, 57, 58, 59)] == [False, True, True, False]
    assert (next_day(paid, acme, 58), next_day(paid, acme, 59)) == (59, None)


def test_change_compares_two_stretches_of_days_that_touch(acme, invite):
    world.used(acme, None, invite, 86, 40)  # neither of the last 7 days nor of the 7 before
    world.used(acme, None, invite, 87, 20)
    world.used(acme, None, invite, 93, 20)
    world.used(acme, None, invite, 94, 30)
    world.used(acme, None, invite, 100, 30)
    rule = {"change": {"event": "*", "days": 7, "factor_at_least": 1.5, "at_least": 60}}
    assert holds(rule, acme)
    for key, more in (("factor_at_least", 1.501), ("at_least", 61), ("base_at_least", 41)):
        assert not holds({"change": rule["change"] | {key: more}}, acme)
    assert holds({"change": rule["change"] | {"base_at_least": 40}}, acme)
    assert next_day(rule, acme) == 101  # day 87 leaves the base, day 94 goes over to it
    assert next_day(rule, acme, 101) is None  # 30 are fewer than asked for, and can only get fewer


def test_change_is_never_from_nothing(acme, invite):
    world.used(acme, None, invite, 100, 30)
    assert not holds({"change": {"event": "*", "days": 7, "factor_at_least": 0.001}}, acme)
    assert not holds({"change": {"event": "*", "days": 7, "factor_at_most": 1000}}, acme)
    gone = {"change": {"event": "*", "days": 7, "factor_at_most": 0}}
    assert [holds(gone, acme, day) for day in (106, 107, 113, 114)] == [False, True, True, False]
    assert [next_day(gone, acme, day) for day in (100, 107, 114)] == [107, 114, None]


def test_score_halves_in_whole_steps_and_ends_after_six(acme, invite):
    world.used(acme, world.person(10, acme), invite, 50, 2)
    for kind, whole in (("count", 64), ("days", 32), ("users", 32)):
        signal = {"part": "usage", "points": 32, "half_life_days": 3, "per": {kind: {"event": "*"}}}

        def points(day: int, most: int = whole, signal: dict = signal) -> int:
            rules = ({"score": {"signals": [signal], "exactly": n}} for n in range(most + 1))
            return next(n for n, rule in enumerate(rules) if holds(rule, acme, day))

        for age, halved in ((0, 1), (2, 1), (3, 2), (5, 2), (6, 4), (9, 8), (12, 16), (15, 32), (17, 32)):
            assert points(50 + age) == whole // halved
        assert points(50 + 18) == 0
        lasting = {"score": {"signals": [signal], "at_least": 1}}
        assert [next_day(lasting, acme, 50 + age) for age in (0, 2, 3, 17, 18)] == [53, 53, 56, 68, None]


def test_a_cap_applies_after_decay_and_bounds_what_is_taken_too(acme, invite):
    world.used(acme, None, invite, 96, 10)
    for points, total in ((5, 12), (-5, -12)):
        signals = [
            {"part": "usage", "points": points, "cap": 12, "half_life_days": 3, "per": {"count": {"event": "*"}}},
            {"part": "fit", "points": 100, "when": {"trait": {"name": "seats", "at_least": 5}}},
            {"part": "fit", "points": 20, "when": {"not": {"trait": {"name": "seats", "at_least": 5}}}},
        ]
        assert holds({"score": {"signals": signals, "exactly": 20 + total}}, acme)


def test_a_score_may_fall_short_by_part_of_a_point(acme, invite):
    world.used(acme, None, invite, 97)
    signal = {"part": "usage", "points": 5, "half_life_days": 1, "per": {"count": {"event": "*"}}}
    assert not holds({"score": {"signals": [signal], "at_least": 1}}, acme)  # 5/8
    assert not holds({"score": {"signals": [signal], "in": [0, 1]}}, acme)
    assert holds({"score": {"signals": [signal, signal], "at_least": 1}}, acme)


def test_a_score_of_people_is_each_persons_own(acme, invite):
    ann, bob = world.person(10, acme), world.person(10, acme)
    world.used(acme, ann, invite, 100, 3)
    world.used(acme, bob, invite, 100, 2)
    score = {"score": {"signals": [{"part": "usage", "points": 2, "per": {"count": {"event": "*"}}}], "at_least": 6}}
    assert holds({"users_who": {"exactly": 1, "rule": score}}, acme)
    assert holds({"users_who": {"exactly": 0, "rule": score}}, acme, 99)


def test_steps_in_order_within_so_many_days(acme, invite):
    made = world.event_type("Project Made")
    ann, bob = world.person(10, acme), world.person(10, acme)
    world.happened(acme, bob, invite, 49, 0)
    world.happened(acme, ann, made, 50, 0)
    world.happened(acme, bob, invite, 56, 0)
    rule = {"sequence": {"steps": ["Project Made", "Invite Sent"], "within_days": 7}}
    assert [holds(rule, acme, day) for day in (55, 56, DAY)] == [False, True, True]
    assert not holds({"sequence": rule["sequence"] | {"within_days": 6}}, acme)
    assert not holds(
        {"sequence": rule["sequence"] | {"steps": ["Invite Sent", "Project Made"], "within_days": 1}}, acme
    )
    assert not holds({"users_who": {"at_least": 1, "rule": rule}}, acme)  # nobody took both steps
    recent = {"sequence": rule["sequence"] | {"window": {"last_days": 8}}}
    assert [holds(recent, acme, day) for day in (56, 57, 58)] == [True, True, False]
    assert [next_day(recent, acme, day) for day in (56, 58)] == [58, None]
    world.happened(acme, ann, made, 55, 0)
    assert next_day(recent, acme, 56) == 63  # the latest beginning decides


@pytest.mark.parametrize(("made_at", "invited_at", "in_order"), [(0, 1, True), (1, 1, True), (2, 1, False)])
def test_steps_at_the_same_time_are_in_order(acme, invite, made_at, invited_at, in_order):
    made, ann = world.event_type("Project Made"), world.person(10, acme)
    world.happened(acme, ann, made, 50, made_at, 9)
    world.happened(acme, ann, invite, 50, -1, invited_at)
    rule = {"sequence": {"steps": ["Project Made", "Invite Sent"], "within_days": 1}}
    assert holds(rule, acme) is in_order
    assert holds({"users_who": {"at_least": 1, "rule": rule}}, acme) is in_order


@pytest.mark.parametrize(("times", "in_order"), [((1, 5, 9), True), ((1, 2, 9), False), ((1, 3, 7, 9), True)])
def test_a_step_in_between_may_be_any_of_its_times(acme, invite, times, in_order):
    """Neither the first nor the last of the day lies between the two others; the log knows."""
    made, shared, ann = world.event_type("Project Made"), world.event_type("Shared"), world.person(10, acme)
    world.happened(acme, ann, made, 50, 3)
    world.happened(acme, ann, shared, 50, *times)
    world.happened(acme, ann, invite, 50, 7)
    rule = {"sequence": {"steps": ["Project Made", "Shared", "Invite Sent"], "within_days": 1}}
    assert holds(rule, acme) is in_order
    assert holds(rule, acme, level="user") is in_order
    assert holds({"sequence": rule["sequence"] | {"steps": ["Shared", "Project Made", "Shared"]}}, acme)


def test_star_is_raw_activity_only(acme, invite):
    quiet = world.event_type("Page Loaded", is_activity=False)
    derived = world.event_type("Big Invite", is_activity=False, base=invite, property_filter={"name": "n", "in": [1]})
    world.used(acme, None, quiet, 20)
    world.used(acme, None, derived, 20)
    assert not holds({"count": {"event": "*", "at_least": 1}}, acme)
    assert holds({"count": {"event": ["Big Invite", "Page Loaded"], "exactly": 2}}, acme)


def test_unknown_events_measure_nothing(acme):
    assert not holds({"count": {"event": "Nobody Sent This", "at_least": 1}}, acme)
    assert holds({"count": {"event": "Nobody Sent This", "exactly": 0}}, acme)
    for kind in ("days", "users"):
        assert holds({kind: {"event": "Nobody", "at_most": 0, "window": {"any_days": 3}}}, acme)


def test_distinct_needs_the_property_that_the_type_collects(acme, invite):
    world.valued(acme, None, invite, 20, "x")
    assert holds({"distinct": {"event": "Invite Sent", "of": "email", "at_least": 1}}, acme)
    assert not holds({"distinct": {"event": "Invite Sent", "of": "phone", "at_least": 1}}, acme)


@pytest.mark.parametrize(
    ("value", "test", "expected"),
    [
        ("free", {"exactly": "free"}, True),
        ("free", {"exactly": "Free"}, False),
        ("it's 100% “so”; --", {"in": ["it's 100% “so”; --"]}, True),
        (5, {"in": [5.0]}, True),
        (5, {"exactly": "5"}, False),
        ("5", {"exactly": 5}, False),
        (True, {"exactly": True}, True),
        (49.999999, {"at_least": 50}, False),
        (50, {"between": [50, 50]}, True),
        ("50", {"at_least": 50}, False),
        ("", {"is_set": True}, False),
        (None, {"is_set": False}, True),
        (False, {"is_set": True}, True),
        (0, {"is_set": True}, True),
    ],
)
def test_trait_comparisons(acme, value, test, expected):
    world.trait(acme, "thing", value)
    assert holds({"trait": {"name": "thing"} | test}, acme) is expected


def test_no_value_is_only_not_set(acme):
    for test in ({"exactly": "x"}, {"at_most": 5}, {"is_set": True}):
        assert not holds({"trait": {"name": "thing"} | test}, acme)
    assert holds({"trait": {"name": "thing", "is_set": False}}, acme)


def test_traits_of_the_account_inside_a_rule_about_people(acme):
    ann = world.person(10, acme)
    world.trait(acme, "plan", "team")
    world.trait(ann, "plan", "free")
    for of, plan in (({}, "free"), ({"of": "account"}, "team")):
        assert holds({"trait": {"name": "plan", "exactly": plan} | of}, acme, level="user")


def test_trait_changed_is_not_its_first_value(acme):
    ann = world.person(10, acme)
    world.trait(acme, "plan", "free", 20, 50)
    world.trait(acme, "plan", "team", 50, 60)
    world.trait(acme, "plan", None, 60)
    world.trait(ann, "title", "CTO", 55)
    rule = {"trait": {"name": "plan", "changed_within_days": 5}}
    assert [holds(rule, acme, day) for day in (20, 49, 50, 54, 55, 60, 64, 65)] == [
        False, False, True, True, False, True, True, False,
    ]  # fmt: skip
    assert [next_day(rule, acme, day) for day in (20, 52, 57, 62, 65)] == [50, 55, 60, 65, None]
    assert holds(rule | {"trait": rule["trait"] | {"of": "account"}}, acme, 52, level="user")
    assert not holds({"trait": {"name": "title", "changed_within_days": 50}}, acme, level="user")


def test_stage_since_counts_from_the_latest_entry(acme):
    world.stage(acme, "paid", 40)
    world.stage(acme, "paid", 60)
    rule = {"stage": {"since": "paid", "at_least_days": 10, "at_most_days": 20}}
    assert [holds(rule, acme, day) for day in (49, 50, 59, 60, 69, 70, 80, 81)] == [
        False, True, True, False, False, True, True, False,
    ]  # fmt: skip
    assert [next_day(rule, acme, day) for day in (45, 55, 65, 75, 85)] == [50, 60, 70, 81, None]
    assert not holds({"stage": {"since": "churned", "at_most_days": 10}}, acme)


def test_signed_up_is_the_accounts_signup_day(acme):
    rule = {"stage": {"since": "signed_up", "at_least_days": 10}}
    assert [holds(rule, acme, day) for day in (19, 20)] == [False, True]
    assert next_day(rule, acme, 12) == 20


def test_stage_reached_within_a_window(acme):
    world.stage(acme, "activated", 50)
    rule = {"stage": {"reached": "activated", "window": {"last_days": 5}}}
    assert [holds(rule, acme, day) for day in (49, 50, 54, 55)] == [False, True, True, False]
    assert [next_day(rule, acme, day) for day in (49, 52, 55)] == [50, 55, None]


# --- how it is asked


@pytest.mark.parametrize("size", [1, 3])
def test_verdicts_take_two_queries_whatever_the_number_of_accounts(size, invite, django_assert_num_queries):
    accounts = [world.account(10) for _ in range(size)]
    for each in accounts:
        world.used(each, world.person(10, each), invite, 20, 2)
    docs = {
        1: parse_definition(world.document({"count": {"event": "*", "at_least": 2}})),
        2: parse_definition(world.document({"count": {"event": "*", "at_least": 2}}, level="user")),
    }
    with django_assert_num_queries(2):
        found = appdb.verdicts(docs, account_ids=[each.pk for each in accounts], as_of_day=DAY)
    assert [len(found[1]), len(found[2])] == [size, size]


def test_more_conditions_than_one_statement_measures(acme, invite, django_assert_num_queries):
    world.used(acme, None, invite, 20, 100)
    docs = {
        first: parse_definition(
            world.document({"all": [{"count": {"event": "*", "at_least": first + i + 1}} for i in range(60)]})
        )
        for first in (0, 60, 120, 180)
    }
    with django_assert_num_queries(3):
        found = appdb.verdicts(docs, account_ids=[acme.pk], as_of_day=DAY)
    assert {key: [verdict.holds for verdict in held] for key, held in found.items()} == {
        0: [True], 60: [], 120: [], 180: [],
    }  # fmt: skip


def test_nobody_asked_nothing_queried(django_assert_num_queries):
    doc = parse_definition(world.document({"count": {"event": "*", "at_least": 2}}))
    with django_assert_num_queries(0):
        assert appdb.verdicts({1: doc}, account_ids=[], as_of_day=DAY) == {1: []}
        assert appdb.verdicts({}, account_ids=None, as_of_day=DAY) == {}


def test_motion_says_which_accounts_are_worth_a_person(acme):
    small = world.account(10)
    world.trait(acme, "seats", 10)
    world.trait(small, "seats", 9)
    rule = {"count": {"event": "*", "at_least": 1}}
    ids = [acme.pk, small.pk]
    doc = parse_definition(world.document(rule, motion={"rule": {"trait": {"name": "seats", "at_least": 10}}}))
    assert appdb.motion_holds(doc, account_ids=ids, as_of_day=DAY) == {acme.pk}
    assert appdb.motion_holds(parse_definition(world.document(rule)), account_ids=ids, as_of_day=DAY) == set(ids)
