"""Statements asked of the lake once, and then looked at from several sides; of everybody, or of a sample."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator

import duckdb

from accounts import lake
from scoring.rules.sql.terms import Statement

USAGE = ("accounts_usageday", "accounts_usagevalue")
# a multiplicative hash (Knuth, TAOCP 6.4): its high bits choose, so that no pattern in the ids does
_HASH = "(({column} % 2147483648) * 2654435761) % 4294967296 // 65536 % {every} = 0"


def sampled(column: str, every: int) -> str:
    """Whether an account's id is one of a sample of one in `every`: always the same ones."""
    return _HASH.format(column=column, every=int(every))


@contextlib.contextmanager
def connection(
    *, every: int = 1, also: Collection[int] = (), reads: Iterable[Statement] = ()
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the current generation. With `every` it has only that sample of the accounts, and those with the
    ids `also`, so that a statement about everybody is one about them. Usage that the statements `reads` look at, which
    may be often, is then read from the file once, in the columns that they name. Raises lake.NoLake.
    """
    with lake.connection() as db:
        if every > 1:
            _only(db, every, also, " ".join(statement.sql for statement in reads))
        yield db


def _only(db: duckdb.DuckDBPyConnection, every: int, also: Collection[int], sql: str) -> None:
    """Puts what is of the sample before the tables of the file: names find temporary ones first."""
    ((file,),) = db.execute("SELECT current_database()").fetchall()
    mine, accounts = sampled("id", every), f'SELECT * FROM "{file}".accounts_account'
    others = f" UNION ALL {accounts} WHERE id IN ({', '.join(map(str, also))}) AND NOT ({mine})" if also else ""
    db.execute(f"CREATE TEMP TABLE accounts_account AS {accounts} WHERE {mine}{others}")
    if also:
        return  # the join with these accounts is quicker than asking each row whether its own is on the list
    for table in lake.TABLES:
        if table.of in ("id", "user"):
            continue  # people are found by their memberships
        # what is said of people stands under account 0
        wheres = sampled(table.of, every) + (f" OR {table.of} = 0" if table.name == "accounts_traitvalue" else "")
        columns = [name for name, _ in table.columns if re.search(rf"\b{name}\b", sql)]
        kind, listing = ("TABLE", ", ".join(columns)) if table.name in USAGE and table.name in sql else ("VIEW", "*")
        db.execute(f'CREATE TEMP {kind} {table.name} AS SELECT {listing} FROM "{file}".{table.name} WHERE {wheres}')


@contextlib.contextmanager
def table(db: duckdb.DuckDBPyConnection, name: str, statements: Iterable[Statement]) -> Iterator[None]:
    """The rows of the statements, which are alike and of different accounts, stand as a temporary table of this name,
    seen by this connection only."""
    into = f"CREATE TEMP TABLE {name} AS"
    try:
        for statement in statements:
            bound = statement.sql % {param: f"${param}" for param in statement.params}
            db.execute(f"{into} {bound}", dict(statement.params))
            into = f"INSERT INTO {name}"
        yield
    finally:
        db.execute(f"DROP TABLE IF EXISTS temp.{name}")
