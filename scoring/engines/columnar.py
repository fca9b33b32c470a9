"""The usage lake as engine: the same statement over DuckDB, for whole populations.

Its answers are as of the generation's snapshot (`accounts.lake`). People without an account are not in the lake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from accounts import lake
from scoring.engines import appdb, reading
from scoring.engines.verdicts import Verdict, ask, ask_history
from scoring.rules import compile as compiler
from scoring.rules import tree
from scoring.rules.sql.terms import Statement


def verdicts(
    docs: Mapping[int, tree.DefinitionDoc], *, account_ids: Sequence[int] | None = None, as_of_day: int
) -> dict[int, list[Verdict]]:
    """The verdicts of several definitions at the end of a day, as `verdicts.ask` says. Raises lake.NoLake.

    The lake has no log: definitions that read it are asked of the app database.
    """
    if not docs:
        return {}
    of_log = {key: doc for key, doc in docs.items() if tree.reads_log(doc)}
    found = appdb.verdicts(of_log, account_ids=account_ids, as_of_day=as_of_day) if of_log else {}
    return found | ask(
        {key: doc for key, doc in docs.items() if key not in of_log},
        types=reading.event_types(),
        account_ids=account_ids,
        as_of_day=as_of_day,
        dialect="duckdb",
        rows=rows,
    )


def history(
    docs: Mapping[int, tree.DefinitionDoc], *, account_ids: Sequence[int] | None = None, until_day: int
) -> dict[int, list[tuple[int, int, int]]]:
    """On which days each account held, as `verdicts.ask_history` says. Raises lake.NoLake.

    Definitions that read the log are asked of the app database, as for verdicts.
    """
    of_log = {key: doc for key, doc in docs.items() if tree.reads_log(doc)}
    found = appdb.history(of_log, account_ids=account_ids, until_day=until_day) if of_log else {}
    return found | ask_history(
        {key: doc for key, doc in docs.items() if key not in of_log},
        types=reading.event_types(),
        account_ids=account_ids,
        until_day=until_day,
        dialect="duckdb",
        rows=rows,
    )


def qualifying_users(doc: tree.DefinitionDoc, as_of_day: int) -> list[tuple[int, int]]:
    """(account id, user id) of everybody with an account whom a definition of level user holds for, in order."""
    if doc.level != "user":
        return []
    if tree.reads_log(doc):
        return [pair for pair in appdb.qualifying_users(doc, as_of_day) if pair[0]]
    statement = compiler.compile_people(
        doc, types=reading.event_types(), as_of_day=as_of_day, account_ids=None, dialect="duckdb"
    )
    return sorted((account_id, user_id) for account_id, user_id in rows(statement))


def rows(statement: Statement) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement over the current generation."""
    with lake.connection() as db:
        found = db.execute(statement.sql % {name: f"${name}" for name in statement.params}, dict(statement.params))
        while batch := found.fetchmany(20_000):
            yield from batch
