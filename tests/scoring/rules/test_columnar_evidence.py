"""What every condition measured, and who and what is behind it: the usage lake tells the same as the app database."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import lake
from accounts.workspace import day_of
from scoring.engines import appdb, columnar, reading
from scoring.rules import tree
from scoring.rules.parse import parse_definition
from tests.conftest import NOW
from tests.factories.scoring import document, make_account

from . import strategies
from .test_agreement import FIRST, quick, stored

pytestmark = pytest.mark.django_db


@settings(quick, max_examples=30)
@given(
    facts=strategies.histories(),
    documents=st.lists(strategies.documents(), min_size=2, max_size=3),
    day=st.sampled_from([29, 32, 35, 37, 38]),
)
def test_the_lake_gives_the_same_evidence(facts, documents, day):
    docs = [doc for doc in map(parse_definition, documents) if not tree.reads_log(doc)]
    account_ids = [FIRST + number for number in facts.accounts]
    # the lake has the people of accounts: whoever did something in one was once in it, as ingest sees to
    did = {(where, who) for where, who, *_ in facts.usage if where and who}
    facts.members += [(where, who, 24, 24) for where, who in sorted(did)]
    with stored(facts), pytest.MonkeyPatch.context() as patched:
        lake.refresh(now=NOW, whole=True)
        expected = [appdb.evidence_many(doc, account_ids=account_ids, as_of_day=day) for doc in docs]
        patched.setattr(reading, "rows", columnar.rows)
        patched.setattr(reading, "dialect", lambda: "duckdb")
        assert [appdb.evidence_many(doc, account_ids=account_ids, as_of_day=day) for doc in docs] == expected


@pytest.mark.parametrize(
    "rule",
    [
        {"sequence": {"steps": ["A", "B"], "within_days": 3}},
        {"score": {"signals": [{"part": "usage", "points": 5, "per": {"count": {"event": "A"}}}], "at_least": 5}},
        {"change": {"event": "A", "days": 7, "factor_at_least": 2}},
        {"value": {"event": "A", "share_of_limit": 0.5}},
        {"first": {"event": "A", "window": {"last_days": 7}}},
    ],
)
def test_an_account_without_anybody_has_evidence_of_a_rule_about_people(rule):
    account = make_account()
    doc = parse_definition(document(level="user", rule=rule))
    found = appdb.evidence(doc, account_id=account.pk, as_of_day=day_of(NOW))
    assert [condition["holds"] for condition in found["conditions"]][0] is False
    assert (found["users"], found["users_total"]) == ([], 0)
