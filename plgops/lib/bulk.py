"""Many rows in one statement, on PostgreSQL and on SQLite: what the ORM cannot say (increment on conflict).

Columns carry a PostgreSQL type: rows travel there as one JSON document, whose columns the server reads as
those types; SQLite takes the same rows one by one through a prepared statement. Table and column names are
our own constants, values are always bound.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson
from django.db import connection

from plgops.lib.db import is_postgres

AT_ONCE = 5_000  # rows of a long answer that are held at once
Row = Sequence[Any]
Columns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table to write to: its name and the columns written, with their PostgreSQL types."""

    name: str
    columns: Columns

    @property
    def names(self) -> str:
        return ", ".join(name for name, _ in self.columns)


def _document(columns: Columns, rows: Sequence[Row]) -> str:
    """The rows as a JSON array of objects; what is JSON already goes in as it is."""
    names = [name for name, _ in columns]
    documents = [i for i, (_, kind) in enumerate(columns) if kind == "jsonb"]
    if documents:
        turned = [list(column) for column in zip(*rows, strict=True)]
        for i in documents:
            turned[i] = [None if text is None else orjson.Fragment(text) for text in turned[i]]
        rows = list(zip(*turned, strict=True))
    return orjson.dumps([dict(zip(names, row, strict=True)) for row in rows], default=_text).decode()


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, Decimal):
        return str(value)  # exact, which a JSON number would not be
    raise TypeError(f"{type(value).__name__} has no place in a row")


def _typed(columns: Columns) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns)


def json_text(value: Any) -> str:
    """The JSON text of plain data, as both databases store it."""
    return orjson.dumps(value).decode()


def sql_time(at: dt.datetime | None) -> Any:
    """An instant as this database's driver wants it (SQLite: text in UTC, the form that the ORM writes)."""
    return at if at is None or is_postgres() else _utc_text(at)


def _utc_text(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).replace(tzinfo=None).isoformat(" ")


def _bindable(columns: Columns, rows: Sequence[Row]) -> Sequence[Row]:
    """The rows for SQLite, with their times as text."""
    times = [i for i, (_, kind) in enumerate(columns) if kind == "timestamptz"]
    if not times:
        return rows
    turned = [list(column) for column in zip(*rows, strict=True)]
    texts: dict[int, str | None] = {id(None): None}  # the same instant comes many times: one batch, one arrival
    for i in times:
        column = turned[i]
        for place, at in enumerate(column):
            name = id(at)
            if name not in texts:
                texts[name] = _utc_text(at)
            column[place] = texts[name]
    return list(zip(*turned, strict=True))


def write(table: Table, rows: Sequence[Row], tail: str = "") -> None:
    """Insert rows; `tail` is what follows, usually `ON CONFLICT …`. No row: no statement."""
    if not rows:
        return
    with connection.cursor() as cursor:
        if is_postgres():
            cursor.execute(
                f"INSERT INTO {table.name} ({table.names}) SELECT {table.names}"
                f" FROM json_to_recordset(%s::json) AS rows({_typed(table.columns)}) {tail}",
                [_document(table.columns, rows)],
            )
        else:
            marks = ", ".join(["%s"] * len(table.columns))
            cursor.executemany(
                f"INSERT INTO {table.name} ({table.names}) VALUES ({marks}) {tail}", _bindable(table.columns, rows)
            )


def write_returning(table: Table, rows: Sequence[Row], tail: str, returning: str) -> list[tuple[Any, ...]]:
    """As `write`, with what the rows written return. A row left alone by ON CONFLICT DO NOTHING returns nothing."""
    if not rows:
        return []
    tail = f"{tail} RETURNING {returning}"
    with connection.cursor() as cursor:
        if is_postgres():
            cursor.execute(
                f"INSERT INTO {table.name} ({table.names}) SELECT {table.names}"
                f" FROM json_to_recordset(%s::json) AS rows({_typed(table.columns)}) {tail}",
                [_document(table.columns, rows)],
            )
            return cursor.fetchall()
        found: list[tuple[Any, ...]] = []
        step = 30_000 // len(table.columns)
        mark = "(" + ", ".join(["%s"] * len(table.columns)) + ")"
        for start in range(0, len(rows), step):
            part = _bindable(table.columns, rows[start : start + step])
            marks = ", ".join([mark] * len(part))
            cursor.execute(
                f"INSERT INTO {table.name} ({table.names}) VALUES {marks} {tail}", [v for row in part for v in row]
            )
            found.extend(cursor.fetchall())
        return found


def update(
    name: str, key: tuple[str, str], columns: Sequence[tuple[str, str]], rows: Sequence[Row], guard: str = ""
) -> None:
    """Set `columns` of the rows named by their `key` (first value of each row); `guard` narrows it, e.g. to newer ones.

    In `guard` the table is `t` and the new values are `v.<column>`.
    """
    if not rows:
        return
    where = f" AND ({guard})" if guard else ""
    with connection.cursor() as cursor:
        sets = ", ".join(f"{c} = v.{c}" for c, _ in columns)
        every: Columns = (key, *columns)
        if is_postgres():
            cursor.execute(
                f"UPDATE {name} AS t SET {sets} FROM json_to_recordset(%s::json) AS v({_typed(every)})"
                f" WHERE t.{key[0]} = v.{key[0]}{where}",
                [_document(every, rows)],
            )
        else:
            picked = ", ".join(f"%s AS {c}" for c, _ in every)
            cursor.executemany(
                f"UPDATE {name} AS t SET {sets} FROM (SELECT {picked}) AS v WHERE t.{key[0]} = v.{key[0]}{where}",
                _bindable(every, rows),
            )


def among(column: str) -> str:
    """`column` is one of many: a condition with a single parameter, `many(values)`."""
    if is_postgres():
        return f"{column} = ANY(%s)"
    return f"{column} IN (SELECT value FROM json_each(%s))"


def many(values: Iterable[Any]) -> Any:
    """The parameter of `among`: an array's literal, or JSON for SQLite."""
    listed = list(values)
    if not is_postgres():
        return json_text(listed)
    if listed and isinstance(listed[0], str):
        listed = ['"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in listed]
    return "{" + ",".join(map(str, listed)) + "}"


def fetch(sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The rows of a query. Times come back as the driver gives them: see `read_time`."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def each(sql: str, params: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """As `fetch`, for what may be a whole log: some thousand rows at a time. To be called in a transaction.

    PostgreSQL answers by what stood when the first row was asked for; on SQLite the tables that are read must not
    be written to meanwhile.
    """
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, params)
        while rows := cursor.fetchmany(AT_ONCE):
            yield from rows
            if len(rows) < AT_ONCE:
                return


def table(name: str, columns: Columns, rows: Sequence[Row]) -> tuple[str, str]:
    """Rows as a table `name` to be joined (plain columns and times, no bytes or JSON), and its one parameter."""
    if is_postgres():
        return f"json_to_recordset(%s::json) AS {name}({_typed(columns)})", _document(columns, rows)
    picked = ", ".join(f"json_extract(value, '$[{i}]') AS {column}" for i, (column, _) in enumerate(columns))
    bindable = _bindable(columns, rows) if rows else ()
    return f"(SELECT {picked} FROM json_each(%s)) AS {name}", json_text([list(row) for row in bindable])


def read_time(value: Any) -> dt.datetime | None:
    """The aware instant of a time read by `fetch` (SQLite gives text, or a naive instant in UTC)."""
    if value is None:
        return None
    at = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)
    return at if at.tzinfo is not None else at.replace(tzinfo=dt.UTC)
