"""The lines beside conditions: summed up by the database, and ending at what was measured."""

import pytest

from accounts.models import UsageDay, UsageValue
from scoring import series
from tests.scoring.test_pages_why import TODAY, condition

pytestmark = pytest.mark.django_db
ACCOUNT = 5


def did(day, count=1, *, user=1, event_type=7, account=ACCOUNT):
    UsageDay.objects.create(
        account_id=account, user_id=user, event_type_id=event_type, day=day, count=count, first_us=1, last_us=1
    )


def said(day, value, count=1, *, user=1, account=ACCOUNT):
    UsageValue.objects.create(account_id=account, user_id=user, event_type_id=7, day=day, value=value, count=count)


def line(told, *, of_people=False):
    asked = series.asked(told, account_id=ACCOUNT, as_of_day=TODAY, of_people=of_people)
    return series.line(told, asked, series.read([asked]).get(asked, {}), as_of_day=TODAY)


def test_a_count_runs_up_to_what_was_measured():
    for day, count in ((TODAY - 3, 1), (TODAY - 1, 2), (TODAY, 1), (TODAY - 9, 50)):
        did(day, count)
    did(TODAY, 9, event_type=8)
    did(TODAY, 9, account=6)
    found = line(condition())
    assert (found.values, found.threshold, found.label) == ((0, 1, 1, 3, 4), 3.0, "Running total, 5 days")


def test_a_count_without_a_window_starts_from_what_was_before():
    did(TODAY - 1), did(TODAY)
    found = line(condition(window=None, measured=12))
    assert (found.values[0], found.values[-1], len(found.values)) == (10, 12, 14)


def test_days_count_once():
    did(TODAY - 4, 3), did(TODAY - 4, user=2), did(TODAY)
    assert line(condition(kind="days", measured=2)).values == (1, 1, 1, 1, 2)


def test_distinct_values_count_once():
    said(TODAY - 4, "a@x"), said(TODAY - 2, "a@x"), said(TODAY, "b@x"), said(TODAY, "c@x", account=6)
    assert line(condition(kind="distinct", measured=2)).values == (1, 1, 1, 1, 2)


def test_distinct_values_of_a_long_window_are_those_that_came_in_it():
    told = condition(kind="distinct", measured=2, window={"from_day": TODAY - 59, "to_day": TODAY})
    said(TODAY - 50, "a@x"), said(TODAY - 2, "a@x"), said(TODAY, "b@x"), said(TODAY - 70, "b@x")
    found = line(told)
    assert (len(found.values), found.values[0], found.values[-1]) == (30, 1, 2)


def test_distinct_values_without_a_window_promise_no_total():
    said(TODAY, "a@x", 3)
    found = line(condition(kind="distinct", window=None))
    assert (found.values[-1], found.threshold, found.label) == (3, None, "Events a day, 14 days")


def test_people_a_day():
    did(TODAY), did(TODAY, user=2, event_type=8), did(TODAY, user=2), did(TODAY - 1)
    found = line(condition(kind="users", event_type_ids=[7, 8], measured=2))
    assert (found.values, found.threshold, found.label) == ((0, 0, 0, 1, 2), None, "People a day, 5 days")


def test_what_is_asked_of_each_person_is_told_by_the_best_one():
    did(TODAY, 40), did(TODAY, user=2)
    assert line(condition(path="/rule/users_who/rule/all/0", people=[2, 1], measured=1)).values == (0, 0, 0, 0, 1)
    assert line(condition(people=[2, 1], measured=1), of_people=True).values == (0, 0, 0, 0, 1)
    assert line(condition(people=[2, 1], measured=41)).values == (0, 0, 0, 0, 41)


def test_long_windows_show_their_last_days_but_count_from_their_first():
    told = condition(window={"from_day": TODAY - 89, "to_day": TODAY}, measured=3)
    did(TODAY - 80, 2), did(TODAY)
    found = line(told)
    assert (len(found.values), found.values[0], found.values[-1]) == (30, 2, 3)


def test_a_window_that_is_not_over_ends_today():
    did(TODAY)
    assert line(condition(window={"from_day": TODAY - 1, "to_day": TODAY + 12}, measured=1)).values == (0, 1)


def test_recency_shows_every_event():
    did(TODAY - 2, 3)
    found = line(condition(kind="recency", measured=2))
    assert (found.values, found.label) == ((0, 0, 3, 0, 0), "Events a day, 5 days")


def test_where_nothing_happened_there_is_no_line_and_facts_have_none():
    assert line(condition()) is None
    told = condition(kind="trait")
    assert series.asked(told, account_id=ACCOUNT, as_of_day=TODAY, of_people=False) is None


def test_all_lines_of_a_page_are_one_query(django_assert_num_queries):
    did(TODAY), said(TODAY, "a@x")
    asked = [
        series.asked(condition(kind=kind), account_id=account, as_of_day=TODAY, of_people=False)
        for kind in ("count", "days", "users", "distinct", "recency")
        for account in (ACCOUNT, 6)
    ]
    with django_assert_num_queries(1):
        found = series.read([*asked, asked[0]])
    assert {one.what for one in found} == {"events", "people", "new_values"}
    assert {one.account_id for one in found} == {ACCOUNT}
    with django_assert_num_queries(0):
        assert series.read([]) == {}
