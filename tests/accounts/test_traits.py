"""Traits: what was said about one account, in whatever order it came."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal

import pytest

from accounts import billing, traits
from accounts.models import Account, AccountKey, ProductUser, TraitValue, UserKey
from tests.accounts.ingest_world import NOW, at, make_source, send

pytestmark = pytest.mark.django_db


def group(day, hour, seats):
    return {"type": "group", "userId": "u", "groupId": "acme", "timestamp": at(day, hour), "traits": {"seats": seats}}


def stand() -> tuple[list, object]:
    rows = TraitValue.objects.filter(name="seats").order_by("from_day")
    return [(row.value, row.text, row.number) for row in rows], Account.objects.get().traits["seats"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    ("first", "last"), [("50", 50), (50, "50"), ("null", None), (None, "null"), ("true", True), ("[1]", [1])]
)
def test_a_value_of_another_kind_replaces_one_that_reads_the_same(first, last, order):
    """A client that said "50" and now says 50: rules compare the number from then on, also within the day."""
    source = make_source()
    told = [group(2, 1, first), group(2, 2, last), group(4, 1, first)]
    for index in (*order, 2):
        send(source, told[index])
    number = {True: 50_000_000, False: None}
    texts = "null" if first is None or last is None else str(first).lower()
    kept = [(value, texts, number[value == 50]) for value in (last, first)]
    assert stand() == (kept, first)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_a_text_and_a_number_at_one_instant_the_number_stands(order):
    source = make_source()
    told = [group(2, 1, "50"), group(2, 1, 50)]
    for index in order:
        send(source, told[index])
    assert stand() == ([(50, "50", 50_000_000)], 50)


def said(chance: random.Random) -> dict:
    """Something about a person or an account, at a time that others are said at too."""
    plan, size = chance.choice(["free", "team", "", None]), chance.choice([1, 2, "2", None, 2.5, True, [1], "x" * 600])
    told = {"plan": plan, "size": size, "mrr": chance.choice([0, 9]), "last login": chance.randint(0, 3)}
    some = dict(chance.sample(sorted(told.items()), chance.randint(1, 3)))
    when = {"timestamp": at(chance.randint(1, 8), chance.choice([0, 3, 3, 12, 23])), "messageId": f"{chance.random()}"}
    if chance.random() < 0.5:
        return {**when, "type": "group", "groupId": chance.choice(["acme", "globex"]), "traits": some}
    return {**when, "type": "identify", "userId": chance.choice(["ann", "bob"]), "traits": some}


def nothing_differs_from_all_that_was_said() -> None:
    for column, keys, subjects in (("user_id", UserKey, ProductUser), ("account_id", AccountKey, Account)):
        owners = dict(keys.objects.values_list("key", column))
        for pk, standing in traits.derive(owners, column).items():
            assert standing.changed is False
            assert subjects.objects.get(pk=pk).traits == standing.values


@pytest.mark.parametrize("seed", range(12))
def test_what_is_derived_from_the_newest_facts_is_what_all_of_them_say(seed):
    chance, source = random.Random(seed), make_source()
    for _ in range(25):
        account = Account.objects.filter(external_id="acme").first()
        if account is not None and chance.random() < 0.15:
            moment = dt.datetime.fromisoformat(at(chance.randint(1, 8), chance.choice([0, 3, 12])))
            plan, mrr = chance.choice(["team", "pro", ""]), Decimal(chance.choice(["0", "20", "49.5"]))
            billing.record_state(
                account_id=account.pk, account_key="g:acme", at=moment, plan=plan, mrr=mrr, source=source, now=NOW
            )
        else:
            send(source, *(said(chance) for _ in range(chance.randint(1, 3))))
        nothing_differs_from_all_that_was_said()
