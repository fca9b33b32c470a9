"""The roll-up that rules read: counted with the log in one transaction, and made again from it.

`Rollup` is the one place that says what an event counts for; ingest adds a batch's events to it and
increments the rows, `rebuild` adds the whole log of some people and replaces them. Whoever changes what
events resolve to, or what a type counts, rebuilds the people concerned in the same transaction.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

import orjson
from django.db import connection

from accounts import counting
from accounts.counting import Counted, text_of
from accounts.models import Account, ProductUser, UsageDay, UsageValue
from accounts.workspace import zone
from plgops.lib import bulk
from plgops.lib.days import MICRO, day_of, from_micros, micros, minute_of

LONGEST_VALUE = 200
MOST_UNITS = 10**12  # a metered value beyond this is a mistake of the sender, and would overflow sums
MOST_SUM = 8 * 10**18  # where a day's sum stops: within 64 bits on every engine
AT_ONCE = 50_000  # rows of the roll-up that a rebuild holds, and a day's more
QUARTER = 15 * 60 * 1_000_000  # time zones change on quarters of an hour: the day is worked out once for each

_DAY = bulk.Table(
    UsageDay._meta.db_table,
    (
        ("account_id", "bigint"),
        ("user_id", "bigint"),
        ("event_type_id", "bigint"),
        ("day", "int"),
        ("count", "int"),
        ("sum_value", "bigint"),
        ("max_value", "bigint"),
        ("last_value", "bigint"),
        ("last_value_us", "bigint"),
        ("first_us", "bigint"),
        ("last_us", "bigint"),
    ),
)
_VALUE = bulk.Table(
    UsageValue._meta.db_table,
    (
        ("account_id", "bigint"),
        ("user_id", "bigint"),
        ("event_type_id", "bigint"),
        ("day", "int"),
        ("value", "text"),
        ("count", "int"),
    ),
)
_T, _V = _DAY.name, _VALUE.name
_NEWER = (
    f"{_T}.last_value_us IS NULL OR excluded.last_value_us > {_T}.last_value_us"
    f" OR (excluded.last_value_us = {_T}.last_value_us AND excluded.last_value > {_T}.last_value)"
)
_ADD_DAY = (
    "ON CONFLICT (account_id, user_id, event_type_id, day) DO UPDATE SET"
    f" count = {_T}.count + excluded.count,"
    f" sum_value = CASE WHEN {_T}.sum_value / 2 + excluded.sum_value / 2 >= {MOST_SUM // 2} THEN {MOST_SUM}"
    f" WHEN {_T}.sum_value / 2 + excluded.sum_value / 2 <= -{MOST_SUM // 2} THEN -{MOST_SUM}"
    f" ELSE {_T}.sum_value + excluded.sum_value END,"
    f" max_value = CASE WHEN {_T}.max_value IS NULL OR excluded.max_value > {_T}.max_value"
    f" THEN excluded.max_value ELSE {_T}.max_value END,"
    f" last_value = CASE WHEN excluded.last_value_us IS NOT NULL AND ({_NEWER})"
    f" THEN excluded.last_value ELSE {_T}.last_value END,"
    f" last_value_us = CASE WHEN excluded.last_value_us IS NOT NULL AND ({_NEWER})"
    f" THEN excluded.last_value_us ELSE {_T}.last_value_us END,"
    f" first_us = CASE WHEN excluded.first_us < {_T}.first_us THEN excluded.first_us ELSE {_T}.first_us END,"
    f" last_us = CASE WHEN excluded.last_us > {_T}.last_us THEN excluded.last_us ELSE {_T}.last_us END"
)
_ADD_VALUE = (
    f"ON CONFLICT (account_id, user_id, event_type_id, day, value) DO UPDATE SET count = {_V}.count + excluded.count"
)
_days: dict[str, dict[int, int]] = {}  # by zone, then by quarter of an hour


def _days_here() -> dict[int, int]:
    known = _days.setdefault(zone().key, {})
    if len(known) > 200_000:
        known.clear()
    return known


def day_of_micros(us: int) -> int:
    """The workspace day of an instant in microseconds; remembered for each quarter of an hour."""
    known = _days_here()
    day = known.get(us // QUARTER)
    if day is None:
        day = known[us // QUARTER] = day_of(from_micros(us), zone())
    return day


def metered_of(value: Any) -> int | None:
    """A metered value in micro-units; None if it is no number or beyond all reason."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not math.isfinite(value) or abs(value) > MOST_UNITS:
        return None
    return value * MICRO if isinstance(value, int) else round(value * MICRO)


def distinct_of(value: Any) -> str:
    """A value as it counts among distinct ones: trimmed, lower case, a long one by its digest. Empty: none."""
    if value is None or isinstance(value, bool):
        return ""
    text = text_of(value).strip().lower()
    if len(text) > LONGEST_VALUE:
        return "blake2b:" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return text


class Rollup:
    """Events added up by account, person, type and day."""

    __slots__ = ("_day_of_quarter", "days", "values")

    def __init__(self) -> None:
        self._day_of_quarter = _days_here()
        # count, sum, max, last, last_value_us, first_us, last_us
        self.days: dict[tuple[int, int, int, int], list[Any]] = {}
        self.values: dict[tuple[int, int, int, int, str], int] = {}

    def add(self, account_id: int, user_id: int, counted: Counted, us: int, properties: Mapping[str, Any]) -> None:
        """Count one event at `us` for its type and for the derived types whose filter it passes."""
        self._add(account_id, user_id, counted, us, properties)
        for derived in counted.derived:
            value = properties.get(derived.property)
            if value is not None and text_of(value) in derived.values:
                self._add(account_id, user_id, derived.counted, us, properties)

    def __len__(self) -> int:
        return len(self.days) + len(self.values)

    def _add(self, account_id: int, user_id: int, counted: Counted, us: int, properties: Mapping[str, Any]) -> None:
        day = self._day_of_quarter.get(us // QUARTER)
        key = (account_id, user_id, counted.id, day_of_micros(us) if day is None else day)
        row = self.days.get(key)
        if row is None:
            row = self.days[key] = [1, 0, None, None, None, us, us]
        else:
            row[0] += 1
            if us < row[5]:
                row[5] = us
            elif us > row[6]:
                row[6] = us
        if counted.metered:
            number = metered_of(properties.get(counted.metered))
            if number is not None:
                row[1] = max(-MOST_SUM, min(MOST_SUM, row[1] + number))
                row[2] = number if row[2] is None or number > row[2] else row[2]
                if row[4] is None or (us, number) > (row[4], row[3]):
                    row[3], row[4] = number, us
        if counted.distinct:
            text = distinct_of(properties.get(counted.distinct))
            if text:
                named = (*key, text)
                self.values[named] = self.values.get(named, 0) + 1

    def write(self) -> None:
        """Add to what is stored, in sorted order, so that two batches wait for each other and never deadlock."""
        bulk.write(_DAY, [(*key, *self.days[key]) for key in sorted(self.days)], _ADD_DAY)
        bulk.write(_VALUE, [(*key, self.values[key]) for key in sorted(self.values)], _ADD_VALUE)


def rebuild(user_ids: Collection[int]) -> set[int]:
    """Make the roll-up of these people again from the log; the accounts in which anything came out different.

    To be called in a transaction that holds their keys locked (`keys.lock_people`), so that no event of
    theirs is accepted meanwhile. The log is read in order and the roll-up written a stretch at a time, so memory
    grows neither with the one nor with the other: a service's user may have millions of events.
    """
    ids = sorted(user_ids)
    if not ids:
        return set()
    # by account: the sum of what stood less the sum of what stands now, each row by a number made from it
    difference: dict[int, int] = defaultdict(int)
    of_people = bulk.among("user_id")
    for table in (_DAY, _VALUE):
        for row in bulk.each(f"SELECT {table.names} FROM {table.name} WHERE {of_people}", [bulk.many(ids)]):
            difference[row[0]] += _number_of(row)
    with connection.cursor() as cursor:
        for table in (_DAY, _VALUE):
            cursor.execute(f"DELETE FROM {table.name} WHERE {of_people}", [bulk.many(ids)])
    types = counting.load_all()
    rollup = Rollup()
    before: tuple[int, int] | None = None
    for user_id, account_id, event_type_id, occurred_at, properties in bulk.each(
        "SELECT user_id, account_id, event_type_id, occurred_at, properties FROM accounts_event"
        f" WHERE {of_people} ORDER BY user_id, occurred_at DESC",
        [bulk.many(ids)],
    ):
        at = bulk.read_time(occurred_at)
        assert at is not None  # the column is NOT NULL
        us = micros(at)
        place = (user_id, day_of_micros(us))
        if place != before and len(rollup) >= AT_ONCE:
            _lay_down(rollup, difference)
            rollup = Rollup()
        before = place
        known = properties if isinstance(properties, dict) else orjson.loads(properties)
        rollup.add(account_id or 0, user_id, types[event_type_id], us, known)
    _lay_down(rollup, difference)
    return {account_id for account_id, left in difference.items() if account_id and left}


def _lay_down(rollup: Rollup, difference: dict[int, int]) -> None:
    """Write whole days of people, of whom nothing is stored yet."""
    rollup.write()
    for key, row in rollup.days.items():
        difference[key[0]] -= _number_of((*key, *row))
    for named, count in rollup.values.items():
        difference[named[0]] -= _number_of((*named, count))


def _number_of(row: tuple[Any, ...]) -> int:
    """A number for a row's content, so that sets of rows can be compared by a sum, without holding them."""
    return hash(repr(row))


def last_seen(column: str, ids: Collection[int]) -> dict[int, dt.datetime]:
    """The newest activity of these people or accounts (`column` user_id or account_id), to the minute."""
    rows = bulk.fetch(
        f"SELECT u.{column}, MAX(u.last_us) FROM {_T} u JOIN accounts_eventtype t ON t.id = u.event_type_id"
        f" WHERE {bulk.among(f'u.{column}')} AND t.is_activity GROUP BY u.{column}",
        [bulk.many(ids)],
    )
    return {pk: minute_of(from_micros(us)) for pk, us in rows}


def set_last_seen(user_ids: Collection[int], account_ids: Collection[int]) -> None:
    """Set the newest activity of people and accounts, also lower, after events went elsewhere or were recounted."""
    for model, column, ids in ((ProductUser, "user_id", user_ids), (Account, "account_id", account_ids)):
        newest = last_seen(column, ids)
        bulk.update(
            model._meta.db_table,
            ("id", "bigint"),
            [("last_seen_at", "timestamptz")],
            [(pk, newest.get(pk)) for pk in sorted(ids)],
        )


def sizes(user_ids: Collection[int], *, event_type_id: int) -> list[tuple[int, int]]:
    """Of these people those who have events of a type, by id; each with about how many they have of all types."""
    return [
        (user_id, int(many))
        for user_id, many in bulk.fetch(
            f"SELECT user_id, SUM(count) FROM {_T} WHERE {bulk.among('user_id')} GROUP BY user_id"
            " HAVING MAX(CASE WHEN event_type_id = %s THEN 1 ELSE 0 END) = 1 ORDER BY user_id",
            [bulk.many(sorted(user_ids)), event_type_id],
        )
    ]


def accounts_of(user_ids: Collection[int]) -> set[int]:
    """The accounts in which these people have usage."""
    return _others("account_id", "user_id", user_ids)


def people_of(account_ids: Collection[int]) -> set[int]:
    """The people who have usage in these accounts."""
    return _others("user_id", "account_id", account_ids)


def _others(wanted: str, column: str, ids: Collection[int]) -> set[int]:
    rows = bulk.fetch(
        f"SELECT DISTINCT {wanted} FROM {_T} WHERE {bulk.among(column)} AND {wanted} <> 0", [bulk.many(sorted(ids))]
    )
    return {pk for (pk,) in rows}
