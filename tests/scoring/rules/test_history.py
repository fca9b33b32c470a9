"""On which days a rule held: the same as asking for the verdict of every day."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from accounts import lake
from scoring.engines import appdb, columnar
from scoring.rules.history import NoHistory, compile_history
from scoring.rules.parse import parse_definition
from scoring.rules.sql.terms import EventTypes
from tests.conftest import NOW

from . import strategies
from .test_agreement import HORIZON, stored
from .test_agreement import quick as shrinking

pytestmark = pytest.mark.django_db
# an example asks for every day: making it smaller would take minutes and tells little more
quick = settings(shrinking, phases=[Phase.explicit, Phase.generate])


def told(documents):
    """The documents whose history can be told, by number."""
    docs = {number: parse_definition(document) for number, document in enumerate(documents)}
    return {number: doc for number, doc in docs.items() if can_be_told(doc)}


def can_be_told(doc) -> bool:
    try:
        compile_history([doc], types=EventTypes({}, ()), until_day=1, account_ids=None, dialect="duckdb")
    except NoHistory:
        return False
    return True


def from_verdicts(docs, until):
    """By definition and account: the days of 0 to `until` at whose end it held, asked day by day."""
    held: dict[tuple[int, int], set[int]] = {}
    for day in range(until + 1):
        for key, found in appdb.verdicts(docs, account_ids=None, as_of_day=day).items():
            for verdict in found:
                if verdict.holds:
                    held.setdefault((key, verdict.account_id), set()).add(day)
    return held


def from_history(history, until):
    held: dict[tuple[int, int], set[int]] = {}
    for key, intervals in history.items():
        for account_id, from_day, to_day in intervals:
            days = held.setdefault((key, account_id), set())
            assert from_day < to_day
            assert not days or from_day > max(days) + 1  # in order, and neighbours are one interval
            days |= set(range(from_day, min(to_day, until + 1)))
    return held


@settings(quick, max_examples=25)
@given(facts=strategies.histories(), documents=st.lists(strategies.documents(), min_size=3, max_size=4))
def test_history_says_what_the_verdicts_of_all_days_say(facts, documents):
    docs = told(documents)
    with stored(facts):
        history = appdb.history(docs, account_ids=None, until_day=HORIZON)
        assert from_history(history, HORIZON) == from_verdicts(docs, HORIZON)


@settings(quick, max_examples=15)
@given(facts=strategies.histories(), documents=st.lists(strategies.documents(), min_size=4, max_size=5))
def test_the_lake_has_the_same_history(facts, documents):
    docs = told(documents)
    with stored(facts):
        lake.refresh(now=NOW, whole=True)
        history = appdb.history(docs, account_ids=None, until_day=HORIZON)
        assert columnar.history(docs, until_day=HORIZON) == history


@settings(quick, max_examples=25)
@given(
    facts=strategies.histories(), documents=st.lists(strategies.documents(strategies.single), min_size=6, max_size=6)
)
def test_history_of_each_condition(facts, documents):
    docs = told(documents)
    with stored(facts):
        history = appdb.history(docs, account_ids=None, until_day=HORIZON)
        assert from_history(history, HORIZON) == from_verdicts(docs, HORIZON)
