"""The same statement over the usage lake gives the same verdicts and people as over the app database."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import lake
from scoring.engines import appdb, columnar
from scoring.rules import tree
from scoring.rules.parse import parse_definition
from tests.conftest import NOW

from . import strategies
from .test_agreement import quick, stored

pytestmark = pytest.mark.django_db


@settings(quick, max_examples=25)
@given(
    facts=strategies.histories(),
    documents=st.lists(strategies.documents(), min_size=3, max_size=4),
    days=st.lists(st.sampled_from([29, 32, 35, 37, 38]), min_size=2, max_size=2, unique=True),
)
def test_the_lake_agrees_with_the_app_database(facts, documents, days):
    docs = {number: parse_definition(document) for number, document in enumerate(documents)}
    with stored(facts):
        lake.refresh(now=NOW, whole=True)
        for day in days:
            assert columnar.verdicts(docs, as_of_day=day) == asked_apart(docs, day)
            for doc in docs.values():
                with_account = [pair for pair in appdb.qualifying_users(doc, as_of_day=day) if pair[0]]
                assert columnar.qualifying_users(doc, as_of_day=day) == with_account


@settings(quick, max_examples=3)
@given(facts=strategies.histories(), document=strategies.documents(strategies.wide_rules))
def test_rules_of_64_conditions_agree(facts, document):
    docs = {0: parse_definition(document)}
    with stored(facts):
        lake.refresh(now=NOW, whole=True)
        assert columnar.verdicts(docs, as_of_day=37) == appdb.verdicts(docs, account_ids=None, as_of_day=37)


@settings(quick, max_examples=10)
@given(
    facts=strategies.histories(),
    documents=st.lists(strategies.documents(), min_size=3, max_size=4),
    more=st.lists(strategies.documents(strategies.single), min_size=2, max_size=2),
    day=st.sampled_from([32, 37, 38]),
)
def test_asked_in_parts_or_for_who_holds_the_answer_is_the_same(facts, documents, more, day):
    docs = {number: parse_definition(document) for number, document in enumerate([*documents, *more])}
    with stored(facts):
        lake.refresh(now=NOW, whole=True)
        verdicts = asked_apart(docs, day)
        holders = {key: {verdict.account_id for verdict in told if verdict.holds} for key, told in verdicts.items()}
        with mock.patch.object(columnar, "_AT_ONCE", 3):
            assert columnar.history(docs, until_day=day) == appdb.history(docs, account_ids=None, until_day=day)
            assert columnar.verdicts(docs, as_of_day=day) == verdicts
            assert columnar.holders(docs, as_of_day=day) == holders
        assert columnar.holders(docs, as_of_day=day) == holders
        listed = sorted({account_id for told in holders.values() for account_id in told})[:2]
        assert columnar.holders(docs, account_ids=listed, as_of_day=day) == {
            key: told & {*listed} for key, told in holders.items()
        }


def asked_apart(docs, day):
    """The app database's verdicts. What time alone may change is bounded for all that are asked together, and those
    that read the log are asked apart."""
    together = {key: doc for key, doc in docs.items() if not tree.reads_log(doc)}
    apart = {key: doc for key, doc in docs.items() if key not in together}
    parts = (appdb.verdicts(part, account_ids=None, as_of_day=day) for part in (together, apart))
    return {key: told for part in parts for key, told in part.items()}
