"""Small pieces that every verb shares: run after the commit, claim rows that nobody else has."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, TypeVar

from django.db import connection, models, transaction

M = TypeVar("M", bound=models.Model)


def is_postgres() -> bool:
    """Whether the app database is PostgreSQL (else it is SQLite)."""
    return connection.vendor == "postgresql"


def after_commit(call: Any, /, *args: Any, **kwargs: Any) -> None:
    """Run `call` once the outermost transaction has committed; never when it rolls back."""
    transaction.on_commit(functools.partial(call, *args, **kwargs))


def lock_free_rows(rows: models.QuerySet[M]) -> models.QuerySet[M]:
    """Lock the rows that nobody else has locked, skipping the rest.

    SQLite has one writer at a time and no row locks: a transaction there starts IMMEDIATE, so the plain
    query is already alone.
    """
    return rows.select_for_update(skip_locked=True, of=("self",)) if is_postgres() else rows


@contextlib.contextmanager
def snapshot() -> Iterator[None]:
    """Read everything inside as of one moment, holding no row lock.

    PostgreSQL: a read-only REPEATABLE READ transaction; inside a transaction that is already open its owner
    has decided. SQLite: a transaction there is alone anyway.
    """
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost and is_postgres():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
