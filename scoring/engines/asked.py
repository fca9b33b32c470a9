"""A statement asked of the lake once, and then looked at from several sides."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import duckdb

from accounts import lake
from scoring.rules.sql.terms import Statement


@contextlib.contextmanager
def table(statement: Statement, name: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the current generation on which the statement's rows stand as a table of this name.

    The table is temporary, seen by this connection only, and gone with it. Raises lake.NoLake.
    """
    with lake.connection() as db:
        bound = statement.sql % {param: f"${param}" for param in statement.params}
        db.execute(f"CREATE TEMP TABLE {name} AS {bound}", dict(statement.params))
        try:
            yield db
        finally:
            db.execute(f"DROP TABLE {name}")
