"""The usage lake as engine: the same statement over DuckDB, for whole populations.

Its answers are as of the generation's snapshot (`accounts.lake`). People without an account are not in the lake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    docs: Mapping[int, tree.DefinitionDoc], *, account_ids: Sequence[int] | None = None, as_of_day: int
) -> dict[int, list[Verdict]]:
    """The verdicts of several definitions at the end of a day, as `verdicts.ask` says. Raises lake.NoLake.

    The lake has no log: definitions that read it are asked of the app database.
    """
    asked, of_log = _by_place(docs)
    found: dict[int, list[Verdict]] = {key: [] for key in docs}
    found |= appdb.verdicts(of_log, account_ids=account_ids, as_of_day=as_of_day)
    about: dict[str, Any] = {"types": reading.event_types(), "as_of_day": as_of_day, "dialect": "duckdb"}
    with lake.connection() as db:
        for part in _parts(db, account_ids, asked):
            for key, told in ask(asked, account_ids=part, rows=partial(_rows, db), **about).items():
                found[key] += told
    return found


def holders(
    docs: Mapping[int, tree.DefinitionDoc], *, account_ids: Sequence[int] | None = None, as_of_day: int
) -> dict[int, set[int]]:
    """The accounts that each definition holds for at the end of a day, as `verdicts.ask_holders` says: of whole
    populations the quickest question there is. Raises lake.NoLake. As for verdicts, the log is in the app database.
    """
    asked, of_log = _by_place(docs)
    found: dict[int, set[int]] = {key: set() for key in docs}
    found |= appdb.holders(of_log, account_ids=account_ids, as_of_day=as_of_day)
    about: dict[str, Any] = {"types": reading.event_types(), "as_of_day": as_of_day, "dialect": "duckdb"}
    with lake.connection() as db:
        for part in _parts(db, account_ids, asked):
            for key, told in ask_holders(asked, account_ids=part, holders=partial(_by_number, db), **about).items():
                found[key] |= told
    return found


def history(
    docs: Mapping[int, tree.DefinitionDoc],
    *,
    account_ids: Sequence[int] | None = None,
    until_day: int,
    since_day: int | None = None,
) -> dict[int, list[tuple[int, int, int]]]:
    """On which days each account held, as `verdicts.ask_history` says. Raises lake.NoLake.

    Definitions that read the log are asked of the app database, as for verdicts.
    """
    asked, of_log = _by_place(docs)
    found: dict[int, list[tuple[int, int, int]]] = {key: [] for key in docs}
    found |= appdb.history(of_log, account_ids=account_ids, since_day=since_day, until_day=until_day)
    about: dict[str, Any] = {"types": reading.event_types(), "dialect": "duckdb"}
    about |= {"since_day": since_day, "until_day": until_day}
    with lake.connection() as db:
        questions: list[tuple[dict[int, tree.DefinitionDoc], Sequence[int] | None]] = [(asked, account_ids)]
        if account_ids is None:  # each by itself: the parts are for the memory of one, together they went to the disk
            questions = [({key: doc}, part) for key, doc in asked.items() for part in parts(db, at_once=_is_short(doc))]
        for some, among in questions:
            for key, spans in ask_history(some, account_ids=among, rows=partial(_rows, db), **about).items():
                found[key] += spans
    return found


def _by_place(
    docs: Mapping[int, tree.DefinitionDoc],
) -> tuple[dict[int, tree.DefinitionDoc], dict[int, tree.DefinitionDoc]]:
    """Definitions that are asked of the lake, and those that read the log, which it has not."""
    of_log = {key: doc for key, doc in docs.items() if tree.reads_log(doc)}
    return {key: doc for key, doc in docs.items() if key not in of_log}, of_log


def _parts(
    db: DuckDBPyConnection, account_ids: Sequence[int] | None, docs: Mapping[int, tree.DefinitionDoc]
) -> Sequence[Sequence[int] | None]:
    return [account_ids] if account_ids is not None else parts(db, at_once=not any(map(_sorts, docs.values())))


def _sorts(doc: tree.DefinitionDoc) -> bool:
    """Whether the verdict lays usage out along time, where others only add it up."""
    nodes = [leaf.node for leaf in tree.leaves(doc.rule, subject=doc.level)]
    return any(isinstance(node, tree.Sequence) or isinstance(window_of(node), windows.AnyDays) for node in nodes)


def _is_short(doc: tree.DefinitionDoc) -> bool:
    """Whether a history lays out only the first days of each account or person, which fit into memory together."""
    nodes = [leaf.node for leaf in tree.leaves(doc.rule, subject=doc.level)]
    return all(isinstance(window_of(node), windows.FirstDays) for node in nodes if not isinstance(node, tree.UsersWho))


def parts(db: DuckDBPyConnection, *, at_once: bool = False) -> list[range | None]:
    """Everybody of a connection in parts that are worked out in memory, ascending; None: all at once.

    Everything is local to an account, and so much usage at a time is sorted in memory; the file is sorted by account,
    so that each part reads its own rows of it.
    """
    if at_once:
        return [None]
    among = f"SELECT DISTINCT account_id FROM accounts_usageday WHERE rowid % {_AT_ONCE} = {_AT_ONCE - 1}"
    ((last,),) = db.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM accounts_account").fetchall()
    edges = [0, *sorted(pk for (pk,) in db.execute(among).fetchall()), last]
    return [range(start, end) for start, end in pairwise(edges)] if len(edges) > 2 else [None]


def apart(
    db: DuckDBPyConnection, docs: Iterable[tree.DefinitionDoc], ask: Callable[..., Statement], *, at_once: bool
) -> Iterator[Statement]:
    """The statements of a question about everybody, with `account_ids`, for each of the parts that it is worth."""
    return (ask(account_ids=part) for part in parts(db, at_once=at_once or not any(map(_sorts, docs))))


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
