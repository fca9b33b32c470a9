"""Traits: what was said about one account, in whatever order it came."""

from __future__ import annotations

import pytest

from accounts.models import Account, TraitValue
from tests.accounts.ingest_world import at, make_source, send

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
