"""Near misses: the accounts that are one condition short, what is missing, and how long there is left for it.

`of_definition` asks the usage lake about everybody, `of_account` the app database about one. Both rank what using
the product brings before what it does not (a plan, a stage), and that before what nothing can bring any more, because
its window has ended; within that the smaller share that is missing comes first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from scoring.definitions import LiveRule
from scoring.engines import asked, reading
from scoring.rules import describe, short, shortfall, tree
from scoring.rules.forced import Forced

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
    """How many accounts are short of a condition and of nothing else."""

    path: str
    english: str
    accounts: int


@dataclass(frozen=True, slots=True)
class NearMisses:
    """All near misses of a definition, counted, and the nearest of them."""

    accounts: int
    by_condition: tuple[ByCondition, ...]  # most first
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


def of_definition(
    doc: tree.DefinitionDoc, as_of_day: int, limit: int = NEAREST, *, account_ids: Sequence[int] | None = None
) -> NearMisses:
    """The near misses of a definition (with nested ones in place) at the end of a day, from the lake; the nearest
    `limit` of them in full. `account_ids` asks about those only. Raises lake.NoLake."""
    found = short.conditions(doc)
    statement = short.compile_short(
        [doc], types=reading.event_types(), as_of_day=as_of_day, account_ids=account_ids, dialect="duckdb"
    )
    with asked.table(statement, "short") as db:
        ((total,),) = db.execute("SELECT COUNT(DISTINCT account_id) FROM short").fetchall()
        by_leaf = dict(db.execute("SELECT leaf, COUNT(*) FROM short GROUP BY leaf").fetchall())
        nearest = (
            "SELECT account_id FROM (SELECT account_id, ROW_NUMBER() OVER"
            " (PARTITION BY account_id ORDER BY rank, missing NULLS LAST, leaf) AS place, rank, missing FROM short) s"
            " WHERE place = 1 ORDER BY rank, missing NULLS LAST, account_id LIMIT ?"
        )
        rows = db.execute(f"SELECT * FROM short WHERE account_id IN ({nearest})", [limit]).fetchall()
    return NearMisses(
        accounts=total,
        by_condition=_by_condition(doc, found, by_leaf),
        nearest=_told([doc], [found], rows, as_of_day),
    )


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


def _by_condition(
    doc: tree.DefinitionDoc, found: Sequence[Forced], by_leaf: Mapping[int, int]
) -> tuple[ByCondition, ...]:
    counted = [
        ByCondition(one.leaf.path, _english(one), by_leaf[place]) for place, one in enumerate(found) if place in by_leaf
    ]
    return tuple(sorted(counted, key=lambda one: -one.accounts))


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
