"""Keyset and offset pages: no gap, no repeat, whatever the order, the nulls and the equal values."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account
from plgops.lib.paging import MAX_OFFSET, BadCursor, keyset, offset
from tests.factories.pages import an_account


def walk(read) -> list[int]:
    seen, cursor = [], ""
    while True:
        page = read(cursor)
        seen += [row.pk for row in page.items]
        if not page.has_next:
            return seen
        cursor = page.next_cursor


@pytest.fixture
def accounts(db):
    now = timezone.now()
    for i in range(11):
        seen = None if i % 4 == 0 else now - dt.timedelta(days=i % 3)
        an_account(f"A{i % 2}", mrr=i % 3, last_seen_at=seen, seats=None)


@pytest.mark.parametrize(
    ("by", "tie", "key"),
    [
        ("-last_seen_at", "id", lambda a: (a.last_seen_at is None, -(a.last_seen_at or a.signed_up_at).timestamp())),
        ("last_seen_at", "-id", lambda a: (a.last_seen_at is None, (a.last_seen_at or a.recorded_at).timestamp())),
        ("-mrr", "id", lambda a: -a.mrr),
        ("name", "-id", lambda a: a.name),
        ("seats", "id", lambda a: 0),  # null everywhere
    ],
)
@pytest.mark.parametrize("size", [1, 3, 4, 50])
def test_keyset_walks_every_row_in_order(accounts, by, tie, key, size):
    rows = list(Account.objects.all())
    never = [a.pk for a in rows if getattr(a, by.removeprefix("-")) is None]
    turn = -1 if tie == "-id" else 1
    valued = sorted((a for a in rows if a.pk not in never), key=lambda a: (key(a), turn * a.pk))
    expected = [a.pk for a in valued] + sorted(never, key=lambda pk: turn * pk)
    assert walk(lambda c: keyset(Account.objects.all(), by=by, tie=tie, cursor=c, size=size)) == expected


def test_keyset_by_the_tie_alone(accounts):
    expected = sorted(Account.objects.values_list("pk", flat=True), reverse=True)
    assert walk(lambda c: keyset(Account.objects.all(), tie="-id", cursor=c, size=4)) == expected


def test_keyset_follows_a_relation(accounts):
    root = Account.objects.order_by("pk").first()
    Account.objects.filter(name="A1").update(parent=root)
    rows = Account.objects.select_related("parent")
    expected = [*rows.filter(name="A1").order_by("pk"), *rows.filter(name="A0").order_by("pk")]
    assert walk(lambda c: keyset(rows, by="parent__name", cursor=c, size=3)) == [a.pk for a in expected]


def test_keyset_asks_once_when_valued_rows_fill_the_page(accounts):
    with CaptureQueriesContext(connection) as made:
        keyset(Account.objects.all(), by="-last_seen_at", size=3)
    assert len(made) == 1
    with CaptureQueriesContext(connection) as made:
        keyset(Account.objects.all(), by="-mrr", size=50)
    assert len(made) == 1  # not nullable: there is no second half


def test_rows_that_arrive_meanwhile_never_repeat_one(accounts):
    first = keyset(Account.objects.all(), by="-mrr", size=4)
    an_account("New", mrr=99)
    second = keyset(Account.objects.all(), by="-mrr", cursor=first.next_cursor, size=50)
    assert {a.pk for a in first.items} & {a.pk for a in second.items} == set()


@pytest.mark.parametrize("cursor", ["nonsense", "!!!", "e30", "W10", "WzEsMiwzLDRd", "a" * 500])
def test_a_damaged_cursor_is_refused(db, cursor):
    with pytest.raises(BadCursor):
        keyset(Account.objects.all(), by="-mrr", cursor=cursor)


def test_a_cursor_of_another_order_is_refused(accounts):
    page = keyset(Account.objects.all(), by="-mrr", size=2)
    with pytest.raises(BadCursor):
        keyset(Account.objects.all(), by="name", cursor=page.next_cursor)


def test_offset_pages_of_a_list():
    rows = list(range(7))
    first = offset(rows, size=3)
    second = offset(rows, cursor=first.next_cursor, size=3)
    third = offset(rows, cursor=second.next_cursor, size=3)
    assert [first.items, second.items, third.items] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [first.has_next, third.has_next] == [True, False]


@pytest.mark.parametrize("cursor", ["-1", "x", str(MAX_OFFSET + 1)])
def test_offset_refuses_what_is_no_place(cursor):
    with pytest.raises(BadCursor):
        offset([1, 2, 3], cursor=cursor)
