"""The rows of a query as a CSV file, from PostgreSQL by COPY and from SQLite row by row.

NULL is an empty field and an empty text is `""`, on both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from django.db import connection

from plgops.lib.db import is_postgres

_AT_ONCE = 20_000


def write_csv(path: Path, queries: Iterable[str]) -> None:
    """Write what the queries find, one after the other, in the snapshot that the caller has opened.

    The queries are our own and bind nothing.
    """
    with path.open("wb") as file, connection.cursor() as cursor:
        for query in queries:
            if is_postgres():
                with cursor.cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv)") as rows:
                    for block in rows:
                        file.write(block)
                continue
            cursor.execute(query)
            while found := cursor.fetchmany(_AT_ONCE):
                file.write("".join(map(_line, found)).encode())


def _line(row: Sequence[Any]) -> str:
    return ",".join(map(_field, row)) + "\n"


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return str(int(value))  # numbers here are whole
