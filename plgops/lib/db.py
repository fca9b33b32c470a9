"""Small pieces that every verb shares: run after the commit, claim rows that nobody else has."""

from __future__ import annotations

import contextlib
import functools
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

from django.db import Error, connection, models, transaction

M = TypeVar("M", bound=models.Model)
R = TypeVar("R")
P = ParamSpec("P")

ATTEMPTS = 8
# deadlock, serialisation failure, lock not available, a unique row that somebody else made first
_PASSING = frozenset({"40P01", "40001", "55P03", "23505"})


class TooSlow(Exception):
    """A statement took longer than it may."""


class Contended(Exception):
    """Somebody else made or changed the same rows meanwhile: the whole transaction is to be tried again."""


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
    has decided. SQLite: a transaction there is alone anyway. Just-in-time compilation is off in it: what is
    read this way has hundreds of expressions over few rows, and compiling them takes longer than running them.
    It is set for the transaction alone, so that a pooler may give the connection to somebody else afterwards.
    """
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost and is_postgres():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL jit = off")
        yield


@contextlib.contextmanager
def statements_within(seconds: float) -> Iterator[None]:
    """Read inside a transaction in which PostgreSQL stops a statement after so many seconds: TooSlow.

    SQLite, which is for small installations, lets it finish: a transaction there would keep all writers waiting.
    """
    if not is_postgres():
        yield
        return
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
            yield
    except Error as error:
        if getattr(error.__cause__, "sqlstate", None) == "57014":
            raise TooSlow from error
        raise


def is_passing(error: Exception) -> bool:
    """Whether the same transaction may go through a moment later."""
    if isinstance(error, Contended):
        return True
    state = getattr(error.__cause__, "sqlstate", None)
    return state in _PASSING or (not is_postgres() and "locked" in str(error))


def in_one_transaction(call: Callable[[], R]) -> R:
    """Run `call` in a transaction, and all of it again after a deadlock or a busy database, a few times.

    Inside a transaction that is already open its owner has to try again: the error is theirs.
    """
    attempt = 0
    while True:
        try:
            with transaction.atomic():
                return call()
        except (Contended, Error) as error:
            attempt += 1
            if attempt == ATTEMPTS or connection.in_atomic_block or not is_passing(error):
                raise
            time.sleep(random.uniform(0.5, 1.0) * 0.02 * 2**attempt)  # noqa: S311 - no secret


def retried(verb: Callable[P, R]) -> Callable[P, R]:
    """A verb that is one transaction, and all of it again after a deadlock, as `in_one_transaction` says."""

    @functools.wraps(verb)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return in_one_transaction(lambda: verb(*args, **kwargs))

    return call
