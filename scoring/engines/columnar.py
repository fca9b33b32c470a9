"""The usage lake as engine: the same statement over DuckDB, for whole populations.

Its answers are as of the generation's snapshot (`accounts.lake`). People without an account are not in the lake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from duckdb import DuckDBPyConnection

from accounts import lake
from scoring.engines import appdb, reading
from scoring.engines.verdicts import Verdict, ask, ask_history, ask_holders
from scoring.rules import compile as compiler
from scoring.rules import tree, windows
from scoring.rules.sql.terms import Statement, window_of

_AT_ONCE = 4_000_000  # rows of usage


def verdicts(
    docs: Mapping[int, tree.DefinitionDoc],
    *,
    account_ids: Sequence[int] | None = None,
    as_of_day: int,
) -> dict[int, list[Verdict]]:
    """The verdicts of several definitions at the end of a day, as `verdicts.ask` says. Raises lake.NoLake.

    The lake has no log: definitions that read it are asked of the app database.
    """
    if not docs:
        return {}
    of_log = {key: doc for key, doc in docs.items() if tree.reads_log(doc)}
    found: dict[int, list[Verdict]] = {key: [] for key in docs}
    if of_log:
        found |= appdb.verdicts(of_log, account_ids=account_ids, as_of_day=as_of_day)
    asked = {key: doc for key, doc in docs.items() if key not in of_log}
    types = reading.event_types()
    for part, db in _parts(account_ids, at_once=not any(map(_sorts, asked.values()))):
        told = ask(
            asked,
            types=types,
            account_ids=part,
            as_of_day=as_of_day,
            dialect="duckdb",
            rows=partial(_rows, db),
        )
        for key, verdicts_of_part in told.items():
            found[key] += verdicts_of_part
    return found


def holders(
    docs: Mapping[int, tree.DefinitionDoc], *, account_ids: Sequence[int] | None = None, as_of_day: int
) -> dict[int, set[int]]:
    """The accounts that each definition holds for at the end of a day, as `verdicts.ask_holders` says; for whole
    populations the fastest question there is. Raises lake.NoLake. As for verdicts, the log is read in the app database.
    """
    of_log = {key: doc for key, doc in docs.items() if tree.reads_log(doc)}
    found: dict[int, set[int]] = {key: set() for key in docs}
    if of_log:
        found |= appdb.holders(of_log, account_ids=account_ids, as_of_day=as_of_day)
    asked = {key: doc for key, doc in docs.items() if key not in of_log}
    types = reading.event_types()
    for part, db in _parts(account_ids, at_once=not any(map(_sorts, asked.values()))):
        told = ask_holders(
            asked,
            types=types,
            account_ids=part,
            as_of_day=as_of_day,
            dialect="duckdb",
            holders=partial(_by_number, db),
        )
        for key, accounts in told.items():
            found[key] |= accounts
    return found


def history(
    docs: Mapping[int, tree.DefinitionDoc], *, account_ids: Sequence[int] | None = None, until_day: int
) -> dict[int, list[tuple[int, int, int]]]:
    """On which days each account held, as `verdicts.ask_history` says. Raises lake.NoLake.

    Definitions that read the log are asked of the app database, as for verdicts.
    """
    of_log = {key: doc for key, doc in docs.items() if tree.reads_log(doc)}
    found: dict[int, list[tuple[int, int, int]]] = {key: [] for key in docs}
    if of_log:
        found |= appdb.history(of_log, account_ids=account_ids, until_day=until_day)
    asked = {key: doc for key, doc in docs.items() if key not in of_log}
    types = reading.event_types()
    for part, db in _parts(account_ids):
        told = ask_history(
            asked, types=types, account_ids=part, until_day=until_day, dialect="duckdb", rows=partial(_rows, db)
        )
        for key, spans in told.items():
            found[key] += spans
    return found


def _sorts(doc: tree.DefinitionDoc) -> bool:
    """Whether the verdict lays usage out along time, where others only add it up."""
    nodes = [leaf.node for leaf in tree.leaves(doc.rule, subject=doc.level)]
    return any(isinstance(node, tree.Sequence) or isinstance(window_of(node), windows.AnyDays) for node in nodes)


def _parts(
    account_ids: Sequence[int] | None, *, at_once: bool = False
) -> Iterator[tuple[Sequence[int] | None, DuckDBPyConnection]]:
    """Those asked about in parts, ascending, each with the connection to ask about it by; all of one generation.

    Everything is local to an account, and so much usage at a time is sorted in memory; the file is sorted by account,
    so that each part reads its own rows of it.
    """
    with lake.connection() as db:
        if account_ids is not None or at_once:
            yield account_ids, db
            return
        among = f"SELECT DISTINCT account_id FROM accounts_usageday WHERE rowid % {_AT_ONCE} = {_AT_ONCE - 1}"
        last = db.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM accounts_account").fetchall()[0][0]
        edges = [0, *sorted(pk for (pk,) in db.execute(among).fetchall()), last]
        for start, end in pairwise(edges):
            yield (range(start, end) if len(edges) > 2 else None), db


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
        yield from _rows(db, statement)


def _by_number(db: DuckDBPyConnection, statement: Statement) -> Iterator[tuple[int, list[int]]]:
    """What `compile_holders` tells, as columns: rows of tens of thousands of accounts take longer than the question."""
    found = _executed(db, statement).fetchnumpy()
    numbers, accounts = found["definition"], found["account_id"]
    for number in set(numbers.tolist()):
        yield number, accounts[numbers == number].tolist()


def _rows(db: DuckDBPyConnection, statement: Statement) -> Iterator[tuple[Any, ...]]:
    found = _executed(db, statement)
    while batch := found.fetchmany(20_000):
        yield from batch


def _executed(db: DuckDBPyConnection, statement: Statement) -> DuckDBPyConnection:
    return db.execute(statement.sql % {name: f"${name}" for name in statement.params}, dict(statement.params))
