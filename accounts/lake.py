"""The usage lake: what rules read, once more, in a DuckDB file sorted by account, for questions about everybody.

The app database stays the record. A *generation* of the lake is one file under a name of its own; a pointer,
replaced atomically, names the current one, and who reads keeps the file that was opened. `refresh` makes the
next generation from one snapshot of the app database: it copies the file and replaces the rows of the accounts
whose `AccountDue.changed_seq` is another one than the file was made from, or writes everything again when that
is most of it. A crash in between leaves the old generation. Tables and columns are named as in the app database,
so that one compiled statement runs on both; people without an account are not in it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
from django.conf import settings

from plgops.lib.db import snapshot
from plgops.lib.outflow import write_csv

logger = logging.getLogger(__name__)

POINTER, BUILDING = "current.json", "building.lock"
FORMAT = 2  # a file of another format is made again
CONSUMER = "evaluation"  # its changed_seq rises with everything that rules read
MOST = 0.3  # so many of all accounts changed, or so many rows replaced since the last sort: write everything again
_IDS_AT_ONCE = 10_000


class CannotAnswer(Exception):
    """The lake gives no answer now: why, its subclasses say."""


class NoLake(CannotAnswer):
    """There is no generation yet."""


class TooLong(CannotAnswer):
    """The question took longer than whoever asks has patience for."""


class Broken(CannotAnswer):
    """The file is gone or damaged, or memory or disk ran out; the cause has it."""


class Building(Exception):
    """Another process is at work on the next generation."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One file of the lake. `built_at` is the moment of its snapshot, UTC."""

    number: int
    file: str
    built_at: dt.datetime
    accounts: int
    rows: int  # of usage
    replaced: int  # rows of usage replaced since it was last sorted
    seconds: float  # what it took to make

    @property
    def path(self) -> Path:
        return folder() / self.file


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the lake: the columns with DuckDB's types, and whose rows they are.

    `sql` says how the app database tells a column that is not taken as it is.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    of: str = "account_id"  # the column of the account's id; "user": of the person's; "": copied whole each time
    order: str = ""
    where: str = ""
    sql: tuple[tuple[str, str], ...] = ()

    def select(self, condition: str = "") -> str:
        given = dict(self.sql)
        listed = ", ".join(given.get(name, f"t.{name}") for name, _ in self.columns)
        wheres = " AND ".join(part for part in (self.where, condition) if part)
        return f"SELECT {listed} FROM {self.name} t" + (f" WHERE {wheres}" if wheres else "")


_NUMBERS = ("account_id", "user_id", "event_type_id")
_KEYS = tuple((name, "BIGINT") for name in _NUMBERS)
_SPAN = (("from_day", "INTEGER"), ("to_day", "INTEGER"))
_MEMBERS = "SELECT m.user_id FROM accounts_membership m WHERE m.account_id IN"
TABLES = (
    _Table(
        "accounts_account",
        (
            ("id", "BIGINT"),
            ("parent_id", "BIGINT"),
            ("merged_into_id", "BIGINT"),
            ("is_internal", "BOOLEAN"),
            ("signup_day", "INTEGER"),
        ),
        of="id",
        order="id",
        sql=(("is_internal", "CASE WHEN t.is_internal THEN 1 ELSE 0 END"),),
    ),
    _Table(
        "accounts_productuser",
        (("id", "BIGINT"), ("merged_into_id", "BIGINT"), ("signup_day", "INTEGER")),
        of="user",
        order="id",
        where="EXISTS (SELECT 1 FROM accounts_membership m WHERE m.user_id = t.id)",
    ),
    _Table(
        "accounts_membership",
        (("account_id", "BIGINT"), ("user_id", "BIGINT"), *_SPAN),
        order="account_id, user_id, from_day",
    ),
    _Table(
        "accounts_traitvalue",
        (
            ("account_id", "BIGINT"),
            ("user_id", "BIGINT"),
            ("name", "VARCHAR"),
            ("value", "VARCHAR"),
            ("text", "VARCHAR"),
            ("number", "BIGINT"),
            *_SPAN,
        ),
        order="account_id, user_id, name, from_day",
        where="t.account_id > 0",
        # rules only ask whether there is a value (a trait that was taken back is NULL); its text is in the next column
        sql=(("value", "CASE WHEN CAST(t.value AS TEXT) <> 'null' THEN 'set' END"),),
    ),
    _Table(
        "accounts_stageentry",
        (("account_id", "BIGINT"), ("stage", "VARCHAR"), ("day", "INTEGER")),
        order="account_id, stage, day",
    ),
    _Table(
        "accounts_usageday",
        (
            *_KEYS,
            ("day", "INTEGER"),
            ("count", "INTEGER"),
            ("sum_value", "BIGINT"),
            ("max_value", "BIGINT"),
            ("last_value", "BIGINT"),
            ("last_value_us", "BIGINT"),
            ("first_us", "BIGINT"),
            ("last_us", "BIGINT"),
        ),
        order="account_id, user_id, event_type_id, day",
        where="t.account_id > 0",
    ),
    _Table(
        "accounts_usagevalue",
        (*_KEYS, ("day", "INTEGER"), ("value", "VARCHAR"), ("count", "INTEGER")),
        order="account_id, user_id, event_type_id, day, value",
        where="t.account_id > 0",
    ),
)
_PEOPLES_TRAITS = _Table(
    "accounts_traitvalue",
    next(table.columns for table in TABLES if table.name == "accounts_traitvalue"),
    of="user_id",
    where="t.user_id > 0 AND EXISTS (SELECT 1 FROM accounts_membership m WHERE m.user_id = t.user_id)",
    sql=next(table.sql for table in TABLES if table.name == "accounts_traitvalue"),
)
SEQUENCES = "lake_sequence"  # account_id, seq: the changed_seq that the account's rows were made from


def folder() -> Path:
    """Where the generations are."""
    return Path(settings.LAKE_DIR)


def current() -> Generation | None:
    """The current generation; None before the first, and where the pointer cannot be read."""
    try:
        told = json.loads((folder() / POINTER).read_text())
    except (FileNotFoundError, ValueError):
        return None
    if told.pop("format") != FORMAT:
        return None
    return Generation(**told | {"built_at": dt.datetime.fromisoformat(told["built_at"])})


def standing() -> Generation:
    """The current generation. Raises NoLake before the first."""
    generation = current()
    if generation is None:
        raise NoLake("The usage lake has not been built yet.")
    return generation


def refresh(*, now: dt.datetime, whole: bool = False, wait: bool = True) -> Generation:
    """Make the next generation, if anything changed; the current one then.

    `whole`: write everything again. One process builds at a time; others wait for it, or raise Building where they
    would have to and must not (`wait`). Rows read from the app database: those of the accounts that changed, and one
    number per account. Peak memory: settings.LAKE_MEMORY.
    """
    folder().mkdir(parents=True, exist_ok=True)
    with _alone(wait=wait):
        old = None if whole else current()
        if old is not None and not (old.path.exists() and _opens(old)):
            old = None
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir=folder(), prefix="building-") as work:
            made = _build(Path(work), old, now=now, began=began)
        _forget(made, old)
        return made


@contextlib.contextmanager
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection to the current generation, which stays the same while it is used. Raises NoLake, and
    whatever else keeps it from an answer as a CannotAnswer."""
    generation = standing()
    try:
        cursor = _opened(generation).cursor()
    except duckdb.Error as error:
        raise Broken("The usage lake cannot be opened.") from error
    try:
        with _interrupting(cursor):
            yield cursor
    except duckdb.InterruptException as error:
        raise TooLong("The question took too long.") from error
    except duckdb.Error as error:
        raise Broken("The usage lake cannot be read.") from error
    finally:
        cursor.close()


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Inside, questions that are not answered so many seconds from now are stopped, with TooLong."""
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


_until: ContextVar[float | None] = ContextVar("until when the lake may be asked", default=None)


@contextlib.contextmanager
def _interrupting(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    until = _until.get()
    if until is None:
        yield
        return

    def stop() -> None:
        with contextlib.suppress(duckdb.Error):  # it was closed at this moment
            cursor.interrupt()

    timer = threading.Timer(max(until - time.monotonic(), 0), stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def export(into: Path) -> list[Path]:
    """Write the current generation's tables as Parquet files into a folder; the files. Raises NoLake."""
    into.mkdir(parents=True, exist_ok=True)
    files = []
    with connection() as db:
        for table in TABLES:
            path = into / f"{table.name}.parquet"
            partial = into / f".{table.name}.partial"
            ordered = f"SELECT * FROM {table.name} ORDER BY {table.order}"
            db.execute(f"COPY ({ordered}) TO '{_quoted(partial)}' (FORMAT parquet, COMPRESSION zstd)")
            os.replace(partial, path)
            files.append(path)
    return files


# --- reading ------------------------------------------------------------------------------------------------

_opening = threading.Lock()
_open: dict[str, Any] = {}  # what this process has open: pid (it may have been forked since), file, connection


def _opened(generation: Generation) -> duckdb.DuckDBPyConnection:
    with _opening:
        if _open.get("pid") != os.getpid() or _open.get("path") != generation.path:
            database = duckdb.connect(str(generation.path), read_only=True, config=_limits(folder()))
            # the older one is not closed here: cursors of other threads may be at work, and the last one ends it
            _open.update(pid=os.getpid(), path=generation.path, connection=database)
        return _open["connection"]


def _opens(generation: Generation) -> bool:
    """Whether its file is there and whole; a machine that lost its power, or a full disk, may have left half of it."""
    try:
        _opened(generation)
    except duckdb.Error as error:
        logger.warning("the usage lake is made anew: %s", error)
        return False
    return True


def _limits(temporary: Path) -> dict[str, Any]:
    return {
        "memory_limit": f"{settings.LAKE_MEMORY}MB",
        "threads": settings.LAKE_THREADS,
        "temp_directory": str(temporary / "spill"),
        # parts of a WITH are worked out once, each by itself: written into one another, those of large statements with
        # UNION ALL wait for each other for ever (DuckDB 1.5; duckdb/duckdb#24961 looks the same)
        "disabled_optimizers": "cte_inlining",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


# --- building -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _alone(*, wait: bool) -> Iterator[None]:
    with (folder() / BUILDING).open("w") as lock:
        try:
            # given back by the system when the process dies
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Building("Another process is building the usage lake.") from error
        yield


def _build(work: Path, old: Generation | None, *, now: dt.datetime, began: float) -> Generation:
    """The next generation in a file of the working folder, moved into place and named by the pointer."""
    path = work / "lake.duckdb"
    with snapshot():
        sequences = work / "sequences.csv"
        query = f"SELECT account_id, changed_seq FROM accounts_accountdue WHERE consumer = '{CONSUMER}'"
        write_csv(sequences, [query])
        changed = None if old is None else _changed(old, sequences)
        if old is not None and changed == []:
            return old
        if old is not None and changed is not None and _is_most(len(changed), old):
            changed = None
        _dump(work, changed)
    if old is not None and changed is not None:
        shutil.copyfile(old.path, path)
    with duckdb.connect(str(path), config=_limits(work)) as db:
        if old is None or changed is None:
            replaced = _write_everything(db, work)
        else:
            replaced = old.replaced + _replace(db, work, changed)
        db.execute(f"CREATE OR REPLACE TABLE {SEQUENCES} AS SELECT * FROM {_csv(sequences, _SEQUENCE_COLUMNS)}")
        rows, accounts = _count(db, "accounts_usageday"), _count(db, "accounts_account")
        db.execute("CHECKPOINT")
    number = old.number + 1 if old else time.time_ns() // 1_000_000
    made = Generation(
        number=number,
        file=f"lake-{number}.duckdb",
        built_at=now,
        accounts=accounts,
        rows=rows,
        replaced=replaced,
        seconds=round(time.monotonic() - began, 3),
    )
    with path.open("rb") as file:
        os.fsync(file.fileno())  # the pointer must not be on the disk before what it names
    os.replace(path, made.path)
    pointer = work / POINTER
    pointer.write_text(json.dumps(asdict(made) | {"built_at": made.built_at.isoformat(), "format": FORMAT}))
    os.replace(pointer, folder() / POINTER)
    return made


_SEQUENCE_COLUMNS = (("account_id", "BIGINT"), ("seq", "BIGINT"))


def _changed(old: Generation, sequences: Path) -> list[int]:
    """The accounts whose rows in the old generation are not of this snapshot."""
    with _opened(old).cursor() as db:
        found = db.execute(
            f"SELECT COALESCE(n.account_id, o.account_id) FROM {_csv(sequences, _SEQUENCE_COLUMNS)} n"
            f" FULL JOIN {SEQUENCES} o USING (account_id) WHERE n.seq IS DISTINCT FROM o.seq ORDER BY 1"
        )
        return [account_id for (account_id,) in found.fetchall()]


def _is_most(changed: int, old: Generation) -> bool:
    return changed > MOST * max(old.accounts, 1) or old.replaced > MOST * max(old.rows, 1)


def _dump(work: Path, changed: Sequence[int] | None) -> None:
    """The rows of the accounts that changed (None: of all) as CSV, a file for each table."""
    for table in TABLES:
        queries = _queries(table, changed)
        if table.name == _PEOPLES_TRAITS.name:
            queries += _queries(_PEOPLES_TRAITS, changed)
        write_csv(work / f"{table.name}.csv", queries)
    if changed is not None:
        queries = [f"{_MEMBERS} ({ids})" for ids in _lists(changed)]
        write_csv(work / "people.csv", queries)


def _queries(table: _Table, changed: Sequence[int] | None) -> list[str]:
    if changed is None:
        return [table.select()]
    if table.of in ("user", "user_id"):
        column = "t.id" if table.of == "user" else "t.user_id"
        # UNION of the parts would tell a person of two parts twice: DuckDB takes each once
        return [table.select(f"{column} IN ({_MEMBERS} ({ids}))") for ids in _lists(changed)]
    return [table.select(f"t.{table.of} IN ({ids})") for ids in _lists(changed)]


def _lists(ids: Sequence[int]) -> list[str]:
    return [", ".join(map(str, ids[start : start + _IDS_AT_ONCE])) for start in range(0, len(ids), _IDS_AT_ONCE)]


def _write_everything(db: duckdb.DuckDBPyConnection, work: Path) -> int:
    for table in TABLES:
        source = _csv(work / f"{table.name}.csv", table.columns)
        db.execute(f"CREATE TABLE {table.name} AS SELECT * FROM {source} ORDER BY {table.order}")
        (work / f"{table.name}.csv").unlink()
    return 0


def _replace(db: duckdb.DuckDBPyConnection, work: Path, changed: Sequence[int]) -> int:
    """Replace the rows of these accounts and their people; how many rows of usage came in."""
    db.execute("CREATE TEMP TABLE changed (id BIGINT)")
    for ids in _lists(changed):
        db.execute(f"INSERT INTO changed SELECT unnest([{ids}])")
    people = _csv(work / "people.csv", (("id", "BIGINT"),))
    db.execute(f"CREATE TEMP TABLE people AS SELECT DISTINCT id FROM {people}")
    db.execute("BEGIN")
    for table in TABLES:
        if table.of == "user":
            db.execute(f"DELETE FROM {table.name} WHERE id IN (SELECT id FROM people)")
        else:
            db.execute(f"DELETE FROM {table.name} WHERE {table.of} IN (SELECT id FROM changed)")
        if table.name == _PEOPLES_TRAITS.name:
            db.execute(f"DELETE FROM {table.name} WHERE user_id IN (SELECT id FROM people)")
        source = _csv(work / f"{table.name}.csv", table.columns)
        db.execute(f"INSERT INTO {table.name} SELECT DISTINCT * FROM {source} ORDER BY {table.order}")
    # who has no account any more: merged into another person
    db.execute("DELETE FROM accounts_productuser WHERE id NOT IN (SELECT user_id FROM accounts_membership)")
    db.execute(
        "DELETE FROM accounts_traitvalue WHERE user_id > 0 AND user_id NOT IN (SELECT id FROM accounts_productuser)"
    )
    db.execute("COMMIT")
    return int(_one(db, f"SELECT COUNT(*) FROM {_csv(work / 'accounts_usageday.csv', _usage().columns)}"))


def _usage() -> _Table:
    return next(table for table in TABLES if table.name == "accounts_usageday")


def _csv(path: Path, columns: Sequence[tuple[str, str]]) -> str:
    typed = ", ".join(f"'{name}': '{kind}'" for name, kind in columns)
    parallel = "false" if any(kind == "VARCHAR" for _, kind in columns) else "true"  # texts may hold line ends
    return (
        f"read_csv('{_quoted(path)}', columns = {{{typed}}}, header = false, auto_detect = false, delim = ',',"
        f""" quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = false, parallel = {parallel})"""
    )


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _count(db: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(_one(db, f"SELECT COUNT(*) FROM {table}"))


def _one(db: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = db.execute(query).fetchone()
    assert row is not None
    return row[0]


def _forget(made: Generation, old: Generation | None) -> None:
    """Remove all generations but the current and the one before, which somebody may be about to open.

    Who has an older one open keeps it: the file lives until it is closed.
    """
    kept = {made.file, old.file if old else made.file}
    for path in folder().glob("lake-*.duckdb*"):
        if path.name not in kept:
            path.unlink(missing_ok=True)
    for path in folder().glob("building-*"):  # of a process that died: this one is alone and has removed its own
        shutil.rmtree(path, ignore_errors=True)
