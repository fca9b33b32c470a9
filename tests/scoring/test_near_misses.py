"""Near misses: who would qualify with one condition met, by brute force, and what they are told."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from accounts import lake
from scoring import definitions, near_misses
from scoring.engines import appdb
from scoring.rules import forced, tree
from scoring.rules.parse import parse_definition
from tests.conftest import NOW

from .rules import reference, strategies, world
from .rules.test_agreement import FIRST, quick, read, stored

pytestmark = pytest.mark.django_db
DAY = 40

# what holds for whoever is asked, in the stored form
ALWAYS = {"recency": {"event": "Nobody does this", "not_for_days": 1}}
few = settings(quick, max_examples=40, phases=[Phase.explicit, Phase.generate])


# --- against the reference -----------------------------------------------------------------------------------


def met(part, path):
    """The rule with the condition at the path replaced by one that always holds; the path is without its kind."""
    if not path:
        return ALWAYS
    key, rest = path[0], path[1:]
    if isinstance(part, list):
        return [met(item, rest) if number == int(key) else item for number, item in enumerate(part)]
    return part | {key: met(part[key], rest)}


def candidates(part, path=()):
    """The paths of all conditions that are not under a `not`, nor count for a signal that takes points."""
    if "of" in part and "at_least" in part:
        for number, item in enumerate(part["of"]):
            yield from candidates(item, (*path, "of", str(number)))
        return
    ((kind, body),) = part.items()
    if kind == "not":
        return
    if kind in ("all", "any"):
        for number, item in enumerate(body):
            yield from candidates(item, (*path, kind, str(number)))
        return
    yield path, kind
    if kind == "users_who":
        yield from candidates(body["rule"], (*path, "users_who", "rule"))
    if kind == "score":
        for number, signal in enumerate(body["signals"]):
            if "when" in signal and signal["points"] > 0:
                yield from candidates(signal["when"], (*path, "score", "signals", str(number), "when"))


def expected(facts, document, day):
    """By the path of the condition, the accounts that are short of it."""
    short = {}
    for path, kind in candidates(document["rule"]):
        there = document | {"rule": met(document["rule"], path)}
        found = {
            account + FIRST
            for account in reference.population(facts, day)
            if not reference.verdict(facts, document, account, day)[0]
            and reference.verdict(facts, there, account, day)[0]
        }
        if found:
            short["/".join(("/rule", *path, kind))] = found
    return short


@few
@given(facts=strategies.histories(), document=strategies.documents(), day=st.sampled_from([29, 32, 35, 37, 38]))
def test_near_misses_are_those_of_the_reference(facts, document, day):
    doc = parse_definition(document)
    wanted = expected(facts, document, day)
    everybody = {account_id for found in wanted.values() for account_id in found}
    with stored(facts):
        if not tree.reads_log(doc):
            lake.refresh(now=NOW, whole=True)
            found = near_misses.of_definition(doc, day, 1000)
            assert found.accounts == len(everybody)
            assert {one.path: one.accounts for one in found.by_condition} == {k: len(v) for k, v in wanted.items()}
            assert by_path(found.nearest) == wanted
        rule = definitions.LiveRule(1, 1, "a", "risk", NOW, 1, doc)
        one_by_one = [near for pk in sorted(facts.accounts) for near in near_misses.of_account(pk + FIRST, [rule], day)]
        assert by_path(one_by_one) == wanted


def by_path(found):
    short = {}
    for near in found:
        for option in near.options:
            short.setdefault(option.path, set()).add(near.account_id)
    return short


@settings(few, max_examples=25)
@given(facts=strategies.histories(), documents=strategies.nests(), day=st.sampled_from([32, 37, 38]))
def test_definitions_inside_definitions(facts, documents, day):
    """By the verdicts of the engine, with each condition met in turn."""
    facts.definitions = {document["slug"]: document for document in documents[1:]}
    doc = read(facts, documents[0])
    with stored(facts):
        ids = [FIRST + number for number in facts.accounts]
        docs = {0: doc} | {
            number: dataclasses.replace(doc, rule=one.rule)
            for number, one in enumerate(forced.each(doc.rule, subject=doc.level), start=1)
        }
        found = appdb.verdicts(docs, account_ids=ids, as_of_day=day)
        holds = {number: {v.account_id for v in verdicts if v.holds} for number, verdicts in found.items()}
        wanted = {pk for number in docs for pk in holds[number]} - holds[0]
        if not tree.reads_log(doc):
            lake.refresh(now=NOW, whole=True)
            assert {one.account_id for one in near_misses.of_definition(doc, day, 1000).nearest} == wanted
        rule = definitions.LiveRule(1, 1, "a", "risk", NOW, 1, doc)
        assert {pk for pk in ids if near_misses.of_account(pk, [rule], day)} == wanted
