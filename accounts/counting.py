"""The catalogue of event types: rows made on sight, and what each type counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.conf import settings

from accounts.models import EventType
from plgops.lib import bulk

STALE = dt.timedelta(hours=1)  # last_seen_at follows in steps: the row is hot and the moment is for reading only

_TYPE = bulk.Table(
    EventType._meta.db_table,
    (
        ("name", "text"),
        ("meaning", "text"),
        ("description", "text"),
        ("is_activity", "boolean"),
        ("metered_property", "text"),
        ("distinct_property", "text"),
        ("first_seen_at", "timestamptz"),
        ("last_seen_at", "timestamptz"),
    ),
)


class CatalogueFull(Exception):
    """There is no room for these event names; the text says why, for whoever sent them."""

    code = "too_many_event_names"

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(
            f"At most {settings.EVENT_NAMES_MAX:,} different event names are kept (EVENT_NAMES_MAX), and this would be"
            " one more. What differs from message to message, such as an id, belongs in a property."
        )
        self.names = frozenset(names)


@dataclass(slots=True)
class Counted:
    """How events of one type are counted, with the derived types that count them too."""

    id: int
    name: str
    is_activity: bool
    metered: str
    distinct: str
    last_seen_at: dt.datetime | None
    derived: list[Derived] = field(default_factory=list)


@dataclass(slots=True)
class Derived:
    """A type derived from another: events whose property has one of these values (as canonical text)."""

    counted: Counted
    property: str
    values: frozenset[str]


def text_of(value: Any) -> str:
    """Canonical text of a JSON value: strings as they are, true/false, numbers, else JSON with sorted keys."""
    if isinstance(value, str):
        return value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def load(names: Iterable[str]) -> dict[str, Counted]:
    """What the named types count, by name; unknown names are absent. Read afresh: one query a batch."""
    wanted = sorted(set(names))
    rows = bulk.fetch(
        "SELECT id, name, is_activity, metered_property, distinct_property, last_seen_at, base_id, property_filter"
        f" FROM accounts_eventtype WHERE {bulk.among('name')}"
        f" OR base_id IN (SELECT id FROM accounts_eventtype WHERE {bulk.among('name')})",
        [bulk.many(wanted), bulk.many(wanted)],
    )
    return _assemble(rows)


def load_all() -> dict[int, Counted]:
    """Every type by id."""
    rows = bulk.fetch(
        "SELECT id, name, is_activity, metered_property, distinct_property, last_seen_at, base_id, property_filter"
        " FROM accounts_eventtype",
        [],
    )
    return {counted.id: counted for counted in _assemble(rows).values()}


def _assemble(rows: Iterable[tuple[Any, ...]]) -> dict[str, Counted]:
    by_id: dict[int, Counted] = {}
    bases: list[tuple[int, int, Mapping[str, Any]]] = []
    for pk, name, is_activity, metered, distinct, last_seen_at, base_id, condition in rows:
        by_id[pk] = Counted(pk, name, bool(is_activity), metered, distinct, bulk.read_time(last_seen_at))
        if base_id is not None:
            bases.append((pk, base_id, orjson.loads(condition) if isinstance(condition, str) else condition))
    for pk, base_id, condition in sorted(bases, key=lambda row: row[0]):
        if base_id in by_id:
            values = frozenset(text_of(value) for value in condition.get("in", ()))
            by_id[base_id].derived.append(Derived(by_id[pk], condition.get("name", ""), values))
    return {counted.name: counted for counted in by_id.values()}


def _room() -> int | None:
    """For how many more names there is room; None: for all."""
    most: int = settings.EVENT_NAMES_MAX
    return max(0, most - EventType.objects.filter(base=None).count()) if most > 0 else None


def on_sight(seen: Mapping[str, tuple[dt.datetime, dt.datetime]]) -> dict[str, Counted]:
    """The types of these names, made if they are new. `seen`: first and last time of each name in the batch.

    Raises CatalogueFull for new names beyond EVENT_NAMES_MAX; those that come first have the room that is left.
    Batches that meet at the limit may go past it together, by as much as each of them brings.
    """
    known = load(seen)
    new = [name for name in seen if name not in known]
    if new:
        room = _room()
        if room is not None and len(new) > room:
            raise CatalogueFull(new[room:])
        new.sort()
        bulk.write(
            _TYPE,
            [(name, "", "", True, "", "", seen[name][0], seen[name][1]) for name in new],
            "ON CONFLICT (name) DO NOTHING",
        )
        known = load(seen)
    later = [
        (known[name].id, last)
        for name, (_, last) in sorted(seen.items())
        if (stored := known[name].last_seen_at) is None or last > stored + STALE
    ]
    bulk.update(
        _TYPE.name,
        ("id", "bigint"),
        [("last_seen_at", "timestamptz")],
        sorted(later),
        "t.last_seen_at IS NULL OR t.last_seen_at < v.last_seen_at",
    )
    described = [  # before their first event
        (known[name].id, first) for name, (first, _) in sorted(seen.items()) if known[name].last_seen_at is None
    ]
    bulk.update(
        _TYPE.name, ("id", "bigint"), [("first_seen_at", "timestamptz")], sorted(described), "t.first_seen_at IS NULL"
    )
    return known
