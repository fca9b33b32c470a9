"""A snapshot's settings are its own: nobody who gets the connection next is under them."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from plgops.lib.db import snapshot

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


def standing() -> tuple[str, str, str]:
    found = []
    with connection.cursor() as cursor:
        for name in ("transaction_isolation", "transaction_read_only", "jit"):
            cursor.execute(f"SHOW {name}")
            found.append(cursor.fetchone()[0])
    return found[0], found[1], found[2]


def test_a_snapshot_reads_as_of_one_moment_without_jit_and_leaves_nothing_behind():
    with connection.cursor() as cursor:
        cursor.execute("SET jit = on")
    before = standing()
    with snapshot():
        assert standing() == ("repeatable read", "on", "off")
    assert standing() == before == ("read committed", "off", "on")


def test_a_snapshot_costs_one_query_and_none_inside_a_transaction():
    with CaptureQueriesContext(connection) as outermost, snapshot():
        pass
    assert [query["sql"] for query in outermost if not query["sql"].startswith(("BEGIN", "COMMIT"))] == [
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL jit = off"
    ]
    with transaction.atomic(), CaptureQueriesContext(connection) as inner, snapshot():
        assert standing()[:2] == ("read committed", "off")
    assert not [query["sql"] for query in inner if query["sql"].startswith("SET")]
