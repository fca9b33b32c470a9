"""Near misses: the accounts that are one condition short, what is missing, and how long there is left for it.

`of_definition` asks the usage lake about everybody, `of_account` the app database about one. Both rank what using
the product brings before what it does not (a plan, a stage), and that before what nothing can bring any more, because
its window has ended; within that the smaller share that is missing comes first.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

from scoring.definitions import LiveRule
from scoring.engines import asked, columnar, reading
from scoring.rules import describe, short, shortfall, tree
from scoring.rules.forced import Forced
from scoring.rules.sql.terms import EventTypes

NEAREST = 100
WIDEST = 150  # conditions in one statement about several definitions: engines limit its columns and its parts


@dataclass(frozen=True, slots=True)
class Missing:
    """One condition that alone keeps an account from qualifying.

    `measured` and `distance` are as `shortfall.of` tells them, `share` is what is missing of what is asked for (0.2 at
    4 of 5; None: unknown). `days_left` counts the days after today on which it can still be met, where its window ends
    by itself (0: today is the last one; None: it does not end). `user_id` is who comes closest, of a condition about
    people; else 0.
    """

    path: str
    kind: str
    english: str
    found: str  # “2 times, asked for at least 3”
    needs: str  # “1 more time”
    measured: int | float | None
    distance: int | float | None
    unit: str
    share: float | None
    days_left: int | None
    rank: int  # as `compile_short` says
    user_id: int

    @property
    def too_late(self) -> bool:
        """Whether nothing brings it any more."""
        return self.rank == short.TOO_LATE


@dataclass(frozen=True, slots=True)
class NearMiss:
    """An account with the conditions each of which alone would do, the closest first."""

    account_id: int
    slug: str
    options: tuple[Missing, ...]

    @property
    def closest(self) -> Missing:
        return self.options[0]

    @property
    def others(self) -> int:
        """How many other conditions would do as well."""
        return len(self.options) - 1


@dataclass(frozen=True, slots=True)
class ByCondition:
    """How many accounts are short of a condition and of nothing else; `too_late`: of nothing that can still come."""

    path: str
    english: str
    accounts: int
    too_late: int


@dataclass(frozen=True, slots=True)
class NearMisses:
    """All near misses of a definition, counted, and the nearest of them. `accounts` can still make it, the `too_late`
    cannot: every condition that would do has ended for them."""

    accounts: int
    too_late: int
    by_condition: tuple[ByCondition, ...]  # most that can still make it first
    nearest: tuple[NearMiss, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the statement, as `compile_short` says."""

    definition: int
    leaf: int
    account_id: int
    user_id: int
    rank: int
    missing: float | None
    measured: int | None
    extra: int | None
    last_day: int | None

    @property
    def order(self) -> tuple[int, float, int]:
        return self.rank, math.inf if self.missing is None else self.missing, self.leaf


def of_definition(doc: tree.DefinitionDoc, as_of_day: int, limit: int = NEAREST, *, every: int = 1) -> NearMisses:
    """The near misses of a definition (with nested ones in place) at the end of a day, from the lake; the nearest
    `limit` of them in full. With `every` only a sample is asked (`engines.asked`). Raises lake.NoLake.

    Where the rule reads the log, which the lake has not, the nearest are asked of the app database once more.
    """
    found, types = short.conditions(doc), reading.event_types()
    ask = partial(short.compile_short, [doc], types=types, as_of_day=as_of_day, dialect="duckdb")
    with (
        asked.connection(every=every) as db,
        asked.table(db, "short", columnar.apart(db, [doc], ask, at_once=every > 1)),
    ):
        accounts = Counter(
            dict(
                db.execute(
                    f"SELECT best = {short.TOO_LATE} AS late, COUNT(*) FROM"
                    " (SELECT MIN(rank) AS best FROM short GROUP BY account_id) s GROUP BY late"
                ).fetchall()
            )
        )
        by_leaf: Counter[tuple[int, bool]] = Counter()
        for leaf, late, number in db.execute(
            f"SELECT leaf, rank = {short.TOO_LATE} AS late, COUNT(*) FROM short GROUP BY leaf, late"
        ).fetchall():
            by_leaf[leaf, late] = number
        nearest = (
            "SELECT account_id FROM (SELECT account_id, ROW_NUMBER() OVER"
            " (PARTITION BY account_id ORDER BY rank, missing NULLS LAST, leaf) AS place, rank, missing FROM short) s"
            " WHERE place = 1 ORDER BY rank, missing NULLS LAST, account_id LIMIT ?"
        )
        rows = db.execute(f"SELECT * FROM short WHERE account_id IN ({nearest})", [limit]).fetchall()
    near = _told([doc], [found], rows, as_of_day)
    if tree.reads_log(doc) and near:
        near, gone = _by_log(doc, found, near, types, as_of_day)
        accounts.subtract(one.closest.too_late for one in gone)
        places = {one.leaf.path: place for place, one in enumerate(found)}
        by_leaf.subtract((places[option.path], option.too_late) for one in gone for option in one.options)
    return NearMisses(
        accounts=accounts[False],
        too_late=accounts[True],
        by_condition=_by_condition(found, by_leaf),
        nearest=near,
    )


def _by_log(
    doc: tree.DefinitionDoc, found: Sequence[Forced], near: Sequence[NearMiss], types: EventTypes, day: int
) -> tuple[tuple[NearMiss, ...], list[NearMiss]]:
    """These near misses as the app database tells them, which has the log; and those that are none by it."""
    statement = short.compile_short(
        [doc],
        types=types,
        as_of_day=day,
        account_ids=sorted(one.account_id for one in near),
        dialect=reading.dialect(),
    )
    told = _told([doc], [found], reading.rows(statement), day)
    there = {one.account_id for one in told}
    return told, [one for one in near if one.account_id not in there]


def of_account(account_id: int, rules: Sequence[LiveRule], as_of_day: int) -> list[NearMiss]:
    """Which of these definitions the account is one condition short of at the end of a day, the nearest first.

    From the app database: two queries for up to WIDEST conditions.
    """
    near: list[NearMiss] = []
    for docs in _batches([rule.doc for rule in rules]):
        statement = short.compile_short(
            docs,
            types=reading.event_types(),
            as_of_day=as_of_day,
            account_ids=[account_id],
            dialect=reading.dialect(),
        )
        near += _told(docs, [short.conditions(doc) for doc in docs], reading.rows(statement), as_of_day)
    return sorted(near, key=_nearness)


def _batches(docs: Sequence[tree.DefinitionDoc]) -> Iterator[list[tree.DefinitionDoc]]:
    batch: list[tree.DefinitionDoc] = []
    wide = 0
    for doc in docs:
        more = len(list(tree.leaves(doc.rule, subject=doc.level)))
        if batch and wide + more > WIDEST:
            yield batch
            batch, wide = [], 0
        batch.append(doc)
        wide += more
    if batch:
        yield batch


def _by_condition(found: Sequence[Forced], by_leaf: Mapping[tuple[int, bool], int]) -> tuple[ByCondition, ...]:
    counted = [
        ByCondition(one.leaf.path, _english(one), by_leaf.get((place, False), 0), by_leaf.get((place, True), 0))
        for place, one in enumerate(found)
    ]
    there = [one for one in counted if one.accounts or one.too_late]
    return tuple(sorted(there, key=lambda one: (-one.accounts, -one.too_late)))


def _told(
    docs: Sequence[tree.DefinitionDoc], found: Sequence[Sequence[Forced]], rows: Iterable[Sequence[Any]], day: int
) -> tuple[NearMiss, ...]:
    """Rows of the statement as near misses, the nearest first."""
    options: dict[tuple[int, int], list[_Row]] = {}
    for row in itertools.starmap(_Row, rows):
        options.setdefault((row.account_id, row.definition), []).append(row)
    near = [
        NearMiss(
            account_id,
            docs[number].slug,
            tuple(_missing(found[number][row.leaf], row, day) for row in sorted(mine, key=attrgetter("order"))),
        )
        for (account_id, number), mine in options.items()
    ]
    return tuple(sorted(near, key=_nearness))


def _nearness(near: NearMiss) -> tuple[int, float, int, str]:
    closest = near.closest
    return closest.rank, math.inf if closest.share is None else closest.share, near.account_id, near.slug


def _missing(one: Forced, row: _Row, day: int) -> Missing:
    node = one.leaf.node
    lacks = shortfall.of(node, row.measured, row.extra, day=day)
    return Missing(
        path=one.leaf.path,
        kind=tree.kind_of(node),
        english=_english(one),
        found=lacks.found,
        needs=lacks.needs,
        measured=lacks.measured,
        distance=lacks.distance,
        unit=describe.unit(node),
        share=row.missing,
        days_left=None if row.last_day is None or row.last_day < day else row.last_day - day,
        rank=row.rank,
        user_id=row.user_id,
    )


def _english(one: Forced) -> str:
    text = describe.describe_condition(one.leaf.node, subject=one.leaf.subject)
    return text[:1].upper() + text[1:]
