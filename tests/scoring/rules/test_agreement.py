"""The compiled statement against the slow reference, over random rules and histories.

Verdicts, the people, every condition's measured value, and that nothing changes before `next_day`.
"""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.models import (
    Account,
    Event,
    EventType,
    Membership,
    Plan,
    PlanLimit,
    ProductUser,
    StageEntry,
    TraitValue,
    UsageDay,
    UsageValue,
)
from plgops.lib.days import FOREVER, from_micros
from scoring.engines import appdb, reading
from scoring.rules import compile as compiler
from scoring.rules.nesting import resolve
from scoring.rules.parse import parse_definition
from scoring.rules.tree import DefinitionDoc, Nested, leaves

from . import reference, strategies
from .world import at

pytestmark = pytest.mark.django_db

# without making a failing example smaller, which takes minutes
quick = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    max_examples=80,
    phases=[Phase.explicit, Phase.generate],
)
METERED = ("sum_value", "max_value", "last_value", "last_value_us")
HORIZON = strategies.LAST_DAY + strategies.LONGEST + 2  # nothing changes any more after it
FIRST = 5000  # ids that no other test's rows have


@contextmanager
def stored(facts: reference.Facts):
    """The facts in the tables, for as long as the block lasts."""
    with transaction.atomic():
        types = {number: FIRST + number for number, *_ in facts.types.values()}
        accounts = {0: 0} | {number: FIRST + number for number in facts.accounts}
        users = {0: 0} | {number: FIRST + number for number in facts.users}
        base = EventType.objects.create(id=FIRST, name="The base of D", is_activity=False)
        EventType.objects.bulk_create(
            EventType(
                id=types[number],
                name=name,
                is_activity=activity,
                base=base if derived else None,
                property_filter={"name": "x", "in": [1]} if derived else None,
                distinct_property=collects,
            )
            for name, (number, activity, derived, collects) in facts.types.items()
        )
        signed = {"signed_up_at": at(0), "recorded_at": at(0)}
        Account.objects.create(id=FIRST, external_id="winner", name="W", signup_day=0, is_internal=True, **signed)
        Account.objects.bulk_create(
            Account(
                id=accounts[number],
                external_id=f"a{number}",
                name="A",
                signup_day=day,
                is_internal=internal,
                merged_into_id=FIRST if merged else None,
                **signed,
            )
            for number, (day, internal, merged) in facts.accounts.items()
        )
        # merged from the first day on: it stays out of "people without an account" by that
        ProductUser.objects.create(id=FIRST, external_id="someone", signup_day=FOREVER, **signed)
        ProductUser.objects.bulk_create(
            ProductUser(
                id=users[number],
                external_id=f"u{number}",
                signup_day=day,
                merged_into_id=FIRST if merged else None,
                **signed,
            )
            for number, (day, merged) in facts.users.items()
        )
        Membership.objects.bulk_create(
            Membership(
                account_id=accounts[where],
                user_id=users[who],
                account_key=f"k{number}",
                user_key="u",
                origin="group",
                valid_from=at(start),
                from_day=start,
                to_day=end,
            )
            for number, (where, who, start, end) in enumerate(facts.members)
        )
        plans = {code: Plan.objects.create(code=code, name=code) for code in {code for code, *_ in facts.limits}}
        PlanLimit.objects.bulk_create(
            PlanLimit(plan=plans[code], metric=metric, from_day=day, limit=limit)
            for code, metric, day, limit in facts.limits
        )
        UsageDay.objects.bulk_create(
            UsageDay(
                account_id=accounts[where],
                user_id=users[who],
                event_type_id=types[kind],
                day=day,
                count=count,
                first_us=facts.times[where, who, kind, day][0],
                last_us=facts.times[where, who, kind, day][-1],
                **dict(zip(METERED, facts.metered.get((where, who, kind, day), ()), strict=False)),
            )
            for where, who, kind, day, count in facts.usage
        )
        raw = {number for number, _, derived, _ in facts.types.values() if not derived}
        Event.objects.bulk_create(
            Event(
                source_id=1,
                message_id="m",
                event_type_id=types[kind],
                user_id=users[who],
                account_id=accounts[where] or None,
                occurred_at=from_micros(time),
                received_at=at(0),
            )
            for (where, who, kind, _), times in facts.times.items()
            for time in times
            if kind in raw
        )
        UsageValue.objects.bulk_create(
            UsageValue(
                account_id=accounts[where],
                user_id=users[who],
                event_type_id=types[kind],
                day=day,
                value=value,
                count=1,
            )
            for where, who, kind, day, value in facts.values
        )
        TraitValue.objects.bulk_create(
            TraitValue(
                account_id=accounts[who] if whose == "account" else 0,
                user_id=users[who] if whose == "user" else 0,
                key=f"k{number}",
                name=name,
                value=value,
                text="null" if value is None else str(value).lower() if isinstance(value, bool) else str(value),
                number=None if isinstance(value, (bool, str)) or value is None else int(Decimal(str(value)) * 10**6),
                valid_from=at(start),
                recorded_at=at(start),
                from_day=start,
                to_day=end,
            )
            for number, (whose, who, name, value, start, end) in enumerate(facts.traits)
        )
        StageEntry.objects.bulk_create(
            StageEntry(
                account_id=accounts[where],
                origin_id=accounts[where],
                stage=stage,
                at=at(day),
                day=day,
                recorded_at=at(day),
                cause="test",
                reference=f"r{number}",
            )
            for number, (where, stage, day) in enumerate(facts.stages)
        )
        yield
        transaction.set_rollback(True)


def read(facts: reference.Facts, document: dict) -> DefinitionDoc:
    """The definition with those that it nests in place."""

    def find(node: Nested) -> DefinitionDoc:
        return read(facts, facts.definitions[node.slug])

    return resolve(parse_definition(document), find)


def agree(facts: reference.Facts, documents: list[dict], day: int) -> None:
    docs = {number: read(facts, document) for number, document in enumerate(documents)}
    some = appdb.verdicts(docs, account_ids=[FIRST + number for number in facts.accounts], as_of_day=day)
    assert appdb.verdicts(docs, account_ids=None, as_of_day=day) == some
    for number, document in enumerate(documents):
        given_by = {verdict.account_id - FIRST: verdict for verdict in some[number]}
        assert given_by.keys() <= facts.accounts.keys()
        for account in facts.accounts:
            expected = reference.verdict(facts, document, account, day)
            found = given_by.get(account, appdb.Verdict(account + FIRST, False, None, ()))
            assert (found.holds, tuple(user - FIRST for user in found.user_ids)) == expected
            lasting(facts, document, day, found)
        measured(facts, docs[number], document, day)
        people(facts, docs[number], document, day)


def lasting(facts: reference.Facts, document: dict, day: int, found: appdb.Verdict) -> None:
    """Until its next day a verdict stays what it is."""
    assert found.next_day is None or found.next_day > day
    account = found.account_id - FIRST
    said = (found.holds, tuple(user - FIRST for user in found.user_ids))
    for later in range(day + 1, min(HORIZON if found.next_day is None else found.next_day, HORIZON)):
        assert reference.verdict(facts, document, account, later) == said, (account, later, found)


def last_alone(facts: reference.Facts, documents: list[dict], day: int) -> None:
    """Each definition asked by itself, so that no other one's next day makes its own come sooner."""
    for document in documents:
        asked = [FIRST + number for number in facts.accounts]
        found = appdb.verdicts({0: read(facts, document)}, account_ids=asked, as_of_day=day)[0]
        given_by = {verdict.account_id: verdict for verdict in found}
        for account_id in asked:
            lasting(facts, document, day, given_by.get(account_id, appdb.Verdict(account_id, False, None, ())))


def measured(facts: reference.Facts, doc, document: dict, day: int) -> None:
    """Every condition's value, for every subject of the day."""
    document = document | {"rule": written_out(facts, document["rule"], doc.level)}
    inside = [(doc.rule, doc.level, "/rule")]
    inside += [
        (leaf.node.rule, "user", leaf.path + "/rule")
        for leaf in leaves(doc.rule, subject=doc.level)
        if leaf.path.endswith("/users_who")
    ]
    for rule, subject, path in inside:
        statement = compiler.compile_measures(
            rule,
            subject=subject,
            types=reading.event_types(),
            as_of_day=day,
            account_ids=[FIRST + number for number in facts.accounts],
            dialect=reading.dialect(),
        )
        found = {(account - FIRST, user and user - FIRST): row for account, user, _, *row in reading.rows(statement)}
        asked = [leaf for leaf in leaves(rule, path, subject=subject) if leaf.subject == subject]
        expected = {}
        for account in reference.population(facts, day):
            for user in [0] if subject == "account" else reference.people(facts, account, day):
                row = []
                for leaf in asked:
                    body = document
                    for key in leaf.path.split("/")[1:-1]:
                        body = body[int(key)] if isinstance(body, list) else body[key]
                    if "/per/" in leaf.path:
                        body = one_of_each(document, leaf.path, body)
                    ((kind, inner),) = body.items()
                    row.append(reference.measure(facts, kind, inner, day, account, user or None))
                    row.append(int(reference.holds(facts, body, day, account, user or None)))
                    row += reference.extras(facts, kind, inner, day, account, user or None)
                expected[account, user] = row
        assert found == expected


def written_out(facts: reference.Facts, part, subject: str):
    """A rule with what it nests where the paths of conditions look for it."""
    if isinstance(part, list):
        return [written_out(facts, item, subject) for item in part]
    if not isinstance(part, dict):
        return part
    if "definition" not in part:
        inside = {"users_who": "user"}
        return {key: written_out(facts, item, inside.get(key, subject)) for key, item in part.items()}
    document = facts.definitions[part["definition"]]
    rule = written_out(facts, document["rule"], document["level"])
    if document["level"] != subject:
        rule = {"users_who": {"at_least": document.get("account_when", {}).get("users_at_least", 1), "rule": rule}}
    return {"definition": {"slug": part["definition"], "rule": rule}}


def one_of_each(document: dict, path: str, body: dict) -> dict:
    """What a score adds up, as the condition that is told: at least one, as long as it counts at all."""
    signal = document
    for key in path.split("/")[1:-2]:
        signal = signal[int(key)] if isinstance(signal, list) else signal[key]
    ((kind, inner),) = body.items()
    decays = {"window": {"last_days": 6 * signal["half_life_days"]}} if "half_life_days" in signal else {}
    return {kind: inner | {"at_least": 1} | decays}


def people(facts: reference.Facts, doc, document: dict, day: int) -> None:
    if document["level"] == "user":
        expected = [
            (account + FIRST, user + FIRST)
            for account in reference.population(facts, day)
            for user in reference.people(facts, account, day)
            if reference.holds(facts, document["rule"], day, account, user)
        ]
        expected += [
            (0, user + FIRST)
            for user in reference.without_account(facts, day)
            if reference.holds(facts, document["rule"], day, 0, user)
        ]
        assert appdb.qualifying_users(doc, as_of_day=day) == sorted(expected)


@quick
@given(
    facts=strategies.histories(),
    documents=st.lists(strategies.documents(), min_size=2, max_size=3),
    day=st.sampled_from([29, 32, 35, 37, 38, 38]),
)
def test_compiler_agrees_with_the_reference(facts, documents, day):
    with stored(facts):
        agree(facts, documents, day)


@settings(quick, max_examples=30)
@given(facts=strategies.histories(), document=strategies.alike(), day=st.sampled_from([29, 32, 35, 37, 38]))
def test_windows_that_are_scanned_for_together_agree(facts, document, day):
    with stored(facts):
        agree(facts, [document], day)


@settings(quick, max_examples=40)
@given(facts=strategies.histories(), documents=strategies.nests(), day=st.sampled_from([29, 32, 35, 37, 38, 38]))
def test_definitions_inside_definitions_agree(facts, documents, day):
    facts.definitions = {document["slug"]: document for document in documents[1:]}
    with stored(facts):
        agree(facts, documents[:1], day)
        last_alone(facts, documents[:1], day)


@settings(quick, max_examples=5)
@given(
    facts=strategies.histories(),
    document=strategies.documents(strategies.wide_rules),
    day=st.sampled_from([29, 32, 35, 37, 38, 38]),
)
def test_rules_of_64_conditions_agree(facts, document, day):
    with stored(facts):
        agree(facts, [document], day)


@given(
    facts=strategies.busy_days(),
    documents=st.lists(strategies.documents(strategies.in_order), min_size=6, max_size=6),
)
@settings(quick, max_examples=40)
def test_steps_in_between_agree(facts, documents):
    with stored(facts):
        agree(facts, documents, strategies.LAST_DAY)


@settings(quick, max_examples=60)
@given(
    facts=strategies.histories(),
    documents=st.lists(strategies.documents(strategies.single), min_size=8, max_size=8),
)
def test_nothing_changes_before_the_next_day(facts, documents):
    """Nothing but the end of a membership is dated in the future here: only the conditions can set the day."""
    with stored(facts):
        last_alone(facts, documents, strategies.LAST_DAY)


@settings(quick, max_examples=60)
@given(
    facts=strategies.histories(),
    documents=st.lists(strategies.documents(strategies.dated), min_size=6, max_size=6),
    more=st.lists(strategies.documents(strategies.single), min_size=2, max_size=2),
    days=st.lists(st.integers(24, 36), min_size=2, max_size=2, unique=True),
)
def test_what_is_dated_in_the_future_sets_the_next_day(facts, documents, more, days):
    with stored(facts):
        for day in days:
            last_alone(facts, [*documents, *more], day)
