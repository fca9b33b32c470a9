"""Rules read as a rep would say them."""

from __future__ import annotations

import pytest

from scoring.rules import describe
from scoring.rules.parse import parse_definition, parse_rule
from scoring.rules.tree import UsersWho

PHRASES = [
    ({"count": {"event": "Invite Sent", "at_least": 3}}, "“Invite Sent” at least 3 times"),
    ({"count": {"event": "Invite Sent", "at_least": 1}}, "“Invite Sent” at least once"),
    ({"count": {"event": "Invite Sent", "exactly": 0}}, "“Invite Sent” never"),
    ({"count": {"event": ["B", "A"], "between": [2, 5]}}, "“A” or “B” 2 to 5 times"),
    ({"count": {"event": "A", "in": [3, 1, 2]}}, "“A” 1, 2 or 3 times"),
    (
        {"count": {"event": "A", "at_least": 3, "window": {"first_days": 14, "of": "account"}}},
        "“A” at least 3 times within 14 days of signup",
    ),
    (
        {"distinct": {"event": "A", "of": "email", "at_least": 3, "window": {"any_days": 7}}},
        "“A” with at least 3 different values of email within any 7 days",
    ),
    (
        {"users": {"event": "*", "at_least": 1, "window": {"last_days": 28}}},
        "at least 1 person active in the last 28 days",
    ),
    ({"users": {"event": "A", "at_least": 3}}, "at least 3 people with “A”"),
    (
        {"days": {"event": "*", "at_least": 3, "window": {"any_days": 7}}},
        "active on at least 3 different days within any 7 days",
    ),
    ({"days": {"event": "A", "at_least": 1, "window": {"last_days": 1}}}, "“A” on at least 1 day today"),
    ({"recency": {"event": "*", "within_days": 3}}, "seen in the last 3 days"),
    ({"recency": {"event": "*", "not_for_days": 1}}, "not seen for 1 day"),
    ({"recency": {"event": "A", "not_for_days": 14}}, "no “A” for 14 days"),
    ({"first": {"event": "A", "window": {"last_days": 7}}}, "“A” for the first time in the last 7 days"),
    (
        {"first": {"event": "*", "window": {"first_days": 7, "of": "account"}}},
        "active for the first time within 7 days of signup",
    ),
    (
        {"value": {"event": "A", "share_of_limit": 0.8, "window": "billing_month"}},
        "“A” adding up to at least 80% of the plan's limit this billing month",
    ),
    (
        {"value": {"event": ["A", "B"], "measure": "last", "share_of_limit": 1.125, "limit": "rows"}},
        "“A” or “B” with a last value of at least 112.5% of the plan's limit for rows",
    ),
    (
        {"value": {"event": "A", "measure": "max", "between": [0.5, 1500], "window": {"last_days": 7}}},
        "“A” with a greatest value of 0.5 to 1,500 in the last 7 days",
    ),
    (
        {"change": {"event": "A", "days": 7, "factor_at_least": 1.5, "at_least": 50}},
        "“A” at least 1.5 times as often in the last 7 days as in the 7 days before, and at least 50 times",
    ),
    (
        {"change": {"event": "*", "days": 1, "factor_at_most": 0.5, "base_at_least": 20}},
        "any activity at most 0.5 times as often today as the day before (at least 20 then)",
    ),
    (
        {
            "score": {
                "signals": [
                    {"part": "usage", "points": 5, "cap": 25, "per": {"count": {"event": "A"}}},
                    {"part": "usage", "points": 2, "half_life_days": 14, "per": {"days": {"event": "*"}}},
                    {"part": "usage", "points": 3, "per": {"distinct": {"event": "A", "of": "email"}}},
                    {"part": "fit", "points": 20, "when": {"trait": {"name": "plan", "exactly": "free"}}},
                    {"part": "intent", "points": -2, "cap": 9, "per": {"users": {"event": "B"}}},
                ],
                "at_least": 60,
            }
        },
        "a score of at least 60 points (for fit 20 if plan is free; for usage 5 for each “A” up to 25, 2 for each day"
        " with activity (halving every 14 days), 3 for each different email of “A”; for intent -2 for each person"
        " with “B” up to -9)",
    ),
    (
        {"sequence": {"steps": ["A", ["B", "C"], "D"], "within_days": 7, "window": {"last_days": 30}}},
        "“A”, then “B” or “C”, then “D”, within 7 days in the last 30 days",
    ),
    ({"definition": "active-team"}, "qualifies for “active-team”"),
    ({"not": {"definition": {"slug": "active-team", "version": 3}}}, "does not qualify for “active-team”"),
    ({"trait": {"name": "plan", "in": ["trial", "free"]}}, "plan is free or trial"),
    ({"not": {"trait": {"name": "plan", "exactly": "free"}}}, "plan is not free"),
    ({"not": {"trait": {"name": "plan", "in": ["trial", "free"]}}}, "plan is none of free, trial"),
    ({"trait": {"name": "employees", "at_least": 1500}}, "has at least 1,500 employees"),
    ({"not": {"trait": {"name": "seats", "at_most": 1}}}, "does not have at most 1 seat"),
    ({"trait": {"name": "active_users", "between": [5, 10]}}, "has 5 to 10 active users"),
    ({"trait": {"name": "seats", "in": [5, 10]}}, "has 5 or 10 seats"),
    ({"trait": {"name": "regions", "exactly": "EU"}}, "regions are EU"),
    ({"trait": {"name": "status", "at_least": 3}}, "status is at least 3"),
    ({"not": {"trait": {"name": "mrr", "at_least": 500}}}, "mrr is not at least 500"),
    ({"trait": {"name": "billing_country", "changed_within_days": 30}}, "billing country changed in the last 30 days"),
    ({"trait": {"name": "share", "between": [0.5, 2]}}, "share is from 0.5 to 2"),
    ({"trait": {"name": "country", "is_set": False}}, "country is not set"),
    ({"not": {"trait": {"name": "country", "is_set": False}}}, "country is set"),
    ({"stage": {"reached": "paid"}}, "has paid"),
    ({"not": {"stage": {"reached": "paid"}}}, "has not paid"),
    ({"stage": {"reached": "activated", "window": {"last_days": 30}}}, "has been activated in the last 30 days"),
    ({"stage": {"since": "signed_up", "at_least_days": 10}}, "at least 10 days since signup"),
    ({"stage": {"since": "paid", "at_least_days": 1, "at_most_days": 30}}, "1 to 30 days since paying"),
    (
        {"count": {"event": "A", "at_least": 2, "window": {"from": "2026-01-01", "to": "2026-01-31"}}},
        "“A” at least 2 times from 2026-01-01 to 2026-01-31",
    ),
]


@pytest.mark.parametrize(("rule", "english"), PHRASES)
def test_phrase(rule, english):
    assert describe.describe_rule(parse_rule(rule)) == english


A, B, C = ({"count": {"event": name, "at_least": 2}} for name in "ABC")


@pytest.mark.parametrize(
    ("rule", "english"),
    [
        ({"all": [A, B, C]}, "“A” at least 2 times, “B” at least 2 times and “C” at least 2 times"),
        ({"any": [A, {"all": [B, C]}]}, "“A” at least 2 times or (“B” at least 2 times and “C” at least 2 times)"),
        ({"all": [A, {"any": [B]}]}, "“A” at least 2 times and “B” at least 2 times"),
        ({"not": A}, "not (“A” at least 2 times)"),
        ({"not": {"all": [A, B]}}, "not (“A” at least 2 times and “B” at least 2 times)"),
        ({"not": {"any": [A, B]}}, "none of these: (“A” at least 2 times; “B” at least 2 times)"),
        ({"at_least": 1, "of": [A, B]}, "at least 1 of these: (“A” at least 2 times; “B” at least 2 times)"),
    ],
)
def test_groups(rule, english):
    assert describe.describe_rule(parse_rule(rule)) == english


def test_definition_of_accounts_with_people_and_motion():
    doc = parse_definition(
        {
            "slug": "team-expansion",
            "name": "Team expansion",
            "purpose": "pql",
            "rule": {
                "all": [
                    {"trait": {"name": "plan", "in": ["free", "trial"]}},
                    {
                        "users_who": {
                            "at_least": 1,
                            "rule": {
                                "all": [
                                    {
                                        "count": {
                                            "event": "Invite Sent",
                                            "at_least": 3,
                                            "window": {"first_days": 14, "of": "user"},
                                        }
                                    },
                                    {"trait": {"name": "region", "of": "account", "exactly": "EU"}},
                                ]
                            },
                        }
                    },
                    {"not": {"stage": {"reached": "paid"}}},
                ]
            },
            "motion": {"rule": {"trait": {"name": "seats", "at_least": 10}}},
        }
    )
    assert describe.describe(doc) == (
        "An account qualifies when plan is free or trial, there is at least 1 person for whom (“Invite Sent” at "
        "least 3 times within 14 days of their own signup and the account's region is EU) and has not paid. "
        "It goes to sales only when it has at least 10 seats."
    )


def test_definition_of_people():
    doc = parse_definition(
        {
            "slug": "a",
            "name": "A",
            "purpose": "activation",
            "level": "user",
            "account_when": {"users_at_least": 2},
            "rule": A,
        }
    )
    assert describe.describe(doc) == (
        "A person qualifies when “A” at least 2 times. An account qualifies with at least 2 such people."
    )


@pytest.mark.parametrize(
    ("rule", "measured", "english"),
    [
        (A, 5, "5 times, asked for at least 2"),
        (A, 1, "1 time, asked for at least 2"),
        ({"users": {"event": "*", "at_least": 3}}, 1, "1 person, asked for at least 3"),
        ({"days": {"event": "*", "between": [1, 3]}}, 2, "2 days, asked for 1 to 3"),
        ({"recency": {"event": "*", "within_days": 3}}, 0, "today"),
        ({"recency": {"event": "*", "within_days": 3}}, None, "never"),
        ({"first": {"event": "A", "window": {"last_days": 3}}}, 2, "2 days ago"),
        (
            {"change": {"event": "A", "days": 7, "factor_at_most": 0.5}},
            3,
            "3 times, asked for at most 0.5 times as many as before",
        ),
        (
            {"score": {"signals": [{"part": "fit", "points": 1, "when": A}], "at_least": 60}},
            7.5,
            "7.5 points, asked for at least 60",
        ),
        ({"sequence": {"steps": ["A", "B"], "within_days": 7}}, 1, "1 of 2 steps"),
        ({"definition": "active-team"}, 1, "qualifies"),
        ({"definition": "active-team"}, 0, "does not qualify"),
        ({"value": {"event": "A", "at_least": 1500}}, 1200.5, "1,200.5, asked for at least 1,500"),
        (
            {"value": {"event": "A", "measure": "max", "share_of_limit": 0.8}},
            None,
            "no value, asked for 80% of the limit",
        ),
        ({"stage": {"since": "paid", "at_least_days": 3}}, 1, "1 day ago"),
        ({"trait": {"name": "plan", "exactly": "free"}}, "free", "free"),
        ({"trait": {"name": "plan", "exactly": "free"}}, None, "not set"),
    ],
)
def test_measure(rule, measured, english):
    node = parse_rule(rule)
    assert not isinstance(node, UsersWho)
    assert describe.describe_measure(node, measured) == english
