"""On which days a rule held: the same as asking for the verdict of every day."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from accounts import lake
from scoring.engines import appdb, columnar
from scoring.rules.history import compile_history
from scoring.rules.parse import parse_definition
from scoring.rules.sql.terms import EventTypes
from tests.conftest import NOW

from . import strategies
from .test_agreement import FIRST, HORIZON, read, stored
from .test_agreement import quick as shrinking

pytestmark = pytest.mark.django_db
# an example asks for every day: making it smaller would take minutes and tells little more
quick = settings(shrinking, phases=[Phase.explicit, Phase.generate])


def parsed(documents):
    return {number: parse_definition(document) for number, document in enumerate(documents)}


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
    docs = parsed(documents)
    with stored(facts):
        history = appdb.history(docs, account_ids=None, until_day=HORIZON)
        assert from_history(history, HORIZON) == from_verdicts(docs, HORIZON)


@settings(quick, max_examples=15)
@given(
    facts=strategies.histories(),
    documents=st.lists(strategies.documents(), min_size=4, max_size=5),
    more=st.lists(strategies.documents(strategies.single), min_size=3, max_size=3),
    nests=strategies.nests(),
)
def test_the_lake_has_the_same_history(facts, documents, more, nests):
    facts.definitions = {document["slug"]: document for document in nests[1:]}
    docs = {number: read(facts, document) for number, document in enumerate([*documents, *more, nests[0]])}
    with stored(facts):
        lake.refresh(now=NOW, whole=True)
        history = appdb.history(docs, account_ids=None, until_day=HORIZON)
        assert columnar.history(docs, until_day=HORIZON) == history
        some = [FIRST + 1]
        assert columnar.history(docs, account_ids=some, until_day=HORIZON) == {
            key: [span for span in spans if span[0] in some] for key, spans in history.items()
        }


@settings(quick, max_examples=20)
@given(
    facts=strategies.histories(),
    documents=st.lists(strategies.documents(), min_size=2, max_size=3),
    single=st.lists(strategies.documents(strategies.single), min_size=6, max_size=6),
    scores=st.lists(strategies.documents(strategies.scores), min_size=2, max_size=2),
    since=st.integers(min_value=1, max_value=HORIZON),
)
def test_a_history_that_begins_later_is_the_rest_of_the_whole_one(facts, documents, single, scores, since):
    docs = parsed([*documents, *single, *scores])
    with stored(facts):
        lake.refresh(now=NOW, whole=True)
        whole = appdb.history(docs, account_ids=None, until_day=HORIZON)
        rest = {
            key: [(account_id, max(first, since), end) for account_id, first, end in spans if end > since]
            for key, spans in whole.items()
        }
        assert appdb.history(docs, account_ids=None, since_day=since, until_day=HORIZON) == rest
        assert columnar.history(docs, since_day=since, until_day=HORIZON) == rest


@settings(quick, max_examples=30)
@given(
    facts=strategies.histories(), documents=st.lists(strategies.documents(strategies.single), min_size=6, max_size=6)
)
def test_history_of_each_condition(facts, documents):
    docs = parsed(documents)
    with stored(facts):
        history = appdb.history(docs, account_ids=None, until_day=HORIZON)
        assert from_history(history, HORIZON) == from_verdicts(docs, HORIZON)


@settings(quick, max_examples=40)
@given(
    facts=strategies.histories(),
    documents=st.lists(strategies.documents(strategies.rising), min_size=2, max_size=3),
    since=st.integers(min_value=1, max_value=HORIZON),
)
def test_history_of_people_for_whom_it_stays_true(facts, documents, since):
    """Told by a shorter way, which these take wholly."""
    docs = parsed(documents)
    for number, doc in docs.items():
        told = compile_history([doc], types=EventTypes({}, ()), until_day=HORIZON, account_ids=None, dialect="sqlite")
        assert "user_first" in told.sql and "user_states" not in told.sql, number
    with stored(facts):
        lake.refresh(now=NOW, whole=True)
        history = appdb.history(docs, account_ids=None, until_day=HORIZON)
        assert from_history(history, HORIZON) == from_verdicts(docs, HORIZON)
        assert columnar.history(docs, until_day=HORIZON) == history
        later = appdb.history(docs, account_ids=None, since_day=since, until_day=HORIZON)
        assert later == {
            key: [(account_id, max(first, since), end) for account_id, first, end in spans if end > since]
            for key, spans in history.items()
        }


def scored(level):
    return strategies.scores(level)


def ordered(level):
    return st.builds(lambda body: {"sequence": body}, strategies.sequences(level))


def changed(level):
    names, lengths = st.sampled_from(strategies.TRAITS), strategies.lengths
    return st.builds(lambda name, days: {"trait": {"name": name, "changed_within_days": days}}, names, lengths)


@pytest.mark.parametrize("kind", [scored, ordered, changed])
@settings(quick, max_examples=20)
@given(data=st.data(), facts=strategies.histories())
def test_history_of_what_is_worked_out_along_the_days(kind, data, facts):
    documents = data.draw(st.lists(strategies.documents(kind), min_size=6, max_size=6))
    docs = parsed(documents)
    with stored(facts):
        history = appdb.history(docs, account_ids=None, until_day=HORIZON)
        assert from_history(history, HORIZON) == from_verdicts(docs, HORIZON)


@settings(quick, max_examples=20)
@given(facts=strategies.histories(), documents=strategies.nests())
def test_history_of_definitions_inside_definitions(facts, documents):
    facts.definitions = {document["slug"]: document for document in documents[1:]}
    docs = {0: read(facts, documents[0])}
    with stored(facts):
        history = appdb.history(docs, account_ids=None, until_day=HORIZON)
        assert from_history(history, HORIZON) == from_verdicts(docs, HORIZON)


@settings(quick, max_examples=20)
@given(
    facts=strategies.busy_days(),
    documents=st.lists(strategies.documents(strategies.in_order), min_size=6, max_size=6),
)
def test_history_of_steps_in_between(facts, documents):
    docs = parsed(documents)
    with stored(facts):
        lake.refresh(now=NOW, whole=True)
        history = appdb.history(docs, account_ids=None, until_day=HORIZON)
        assert from_history(history, HORIZON) == from_verdicts(docs, HORIZON)
        assert columnar.history(docs, until_day=HORIZON) == history


@settings(quick, max_examples=2)
@given(facts=strategies.histories(), document=strategies.documents(strategies.wide_rules))
def test_history_of_64_conditions(facts, document):
    docs = parsed([document])
    with stored(facts):
        history = appdb.history(docs, account_ids=None, until_day=HORIZON)
        assert from_history(history, HORIZON) == from_verdicts(docs, HORIZON)


def test_only_the_lake_leaves_out_beforehand_who_can_never_hold():
    """PostgreSQL takes such a sieve to let one row through, and loops over what follows: minutes for 500 accounts."""
    built = {"count": {"event": "Built", "at_least": 5, "window": {"last_days": 28}}}
    free = {"trait": {"name": "plan", "in": ["free"]}}
    rule = {"all": [free, built, {"users_who": {"at_least": 1, "rule": built}}]}
    doc = parse_definition({"slug": "x", "name": "X", "purpose": "pql", "rule": rule})
    sieves = {
        dialect: compile_history(
            [doc], types=EventTypes({"Built": 1}, (1,)), until_day=9, account_ids=[1], dialect=dialect
        ).sql.count("HAVING")
        for dialect in ("duckdb", "sqlite", "postgresql")
    }
    assert sieves["duckdb"] >= 3 and sieves["sqlite"] == sieves["postgresql"] == 0
