"""Whether what comes in looks as it did before: event types that fell silent, doubled, or are new; what went wrong.

Counts by event type and day come from the usage lake, in one statement; everything else is an index range with a cap.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from accounts import lake
from accounts.models import AccountDue, EventType, QuarantinedMessage
from accounts.workspace import day_of
from plgops.lib import days, rhythm

SPAN_DAYS = 126  # of counts that are read: eight weeks of past, and a silence of up to ten
RECENT_DAYS = 3  # complete days that are held against the weeks before
SHAPE_DAYS = 28
KEPT_FOR = dt.timedelta(minutes=5)  # counts of older generations of the same day are used for so long
NEW_FOR = dt.timedelta(days=7)
SHOWN = 20  # event types of a kind; the rest is counted
QUARANTINE_READ = 1_000  # messages, the newest
ERRORS_SHOWN = 10
ERRORS_CAP = 100


@dataclass(frozen=True, slots=True)
class Silent:
    """An event type that used to come and stopped. `expected`: how many should have come in `days` days."""

    event_type: EventType
    last: dt.date
    days: int
    expected: float
    a_day: float
    shape: tuple[int, ...]  # events on each of the last SHAPE_DAYS complete days


@dataclass(frozen=True, slots=True)
class Doubled:
    """An event type that comes twice as often, or more. Both numbers are of RECENT_DAYS days."""

    event_type: EventType
    count: int
    expected: float
    shape: tuple[int, ...]

    @property
    def times(self) -> float:
        return self.count / self.expected


@dataclass(frozen=True, slots=True)
class Rhythms:
    """Event types out of their rhythm. `as_of`: the last complete day that was counted; None: there is no lake yet."""

    as_of: dt.date | None
    built_at: dt.datetime | None = None
    silent: tuple[Silent, ...] = ()
    doubled: tuple[Doubled, ...] = ()

    @property
    def silent_names(self) -> frozenset[str]:
        return frozenset(one.event_type.name for one in self.silent)


@dataclass(frozen=True, slots=True)
class Errors:
    """What could not be taken in or evaluated. Counts go to their caps."""

    accounts: tuple[AccountDue, ...]
    accounts_total: int
    quarantined: tuple[tuple[str, int], ...]  # by code, the most first
    quarantined_total: int


def rhythms() -> Rhythms:
    """Which event types are out of their own rhythm, by the current generation of the lake. One query, or none.

    Days are the workspace's and complete: the day of the lake's snapshot only shows that something came at all.
    """
    generation = lake.current()
    if generation is None:
        return Rhythms(as_of=None)
    try:
        counts = _counts(generation)
    except lake.CannotAnswer:
        return Rhythms(as_of=None)
    today, counted = counts.today, counts.by_type
    silent, doubled = {}, {}
    for event_type_id, by_day in counted.items():
        if (quiet := silence(by_day, today=today)) is not None:
            silent[event_type_id] = quiet
        elif (more := doubling(by_day, today=today)) is not None:
            doubled[event_type_id] = more
    types = EventType.objects.in_bulk([*silent, *doubled]) if silent or doubled else {}
    found_silent = [
        Silent(types[pk], days.date_of(last), quiet, expected, a_day, _shape(counted[pk], today))
        for pk, (last, quiet, expected, a_day) in silent.items()
        if pk in types
    ]
    found_doubled = [
        Doubled(types[pk], count, expected, _shape(counted[pk], today))
        for pk, (count, expected) in doubled.items()
        if pk in types
    ]
    return Rhythms(
        as_of=days.date_of(today - 1),
        built_at=counts.built_at,
        silent=tuple(sorted(found_silent, key=lambda one: (-one.expected, one.event_type.name))),
        doubled=tuple(sorted(found_doubled, key=lambda one: (-one.count, one.event_type.name))),
    )


def _shape(by_day: Mapping[int, int], today: int) -> tuple[int, ...]:
    return tuple(by_day.get(day, 0) for day in range(today - SHAPE_DAYS, today))


def silence(by_day: Mapping[int, int], *, today: int) -> tuple[int, int, float, float] | None:
    """(last day with any, complete days since, how many were to be expected in them, how many a day); None: no alarm.

    The weeks up to the last day say what is usual, so that a type that comes twice a month may be quiet for long.
    """
    last = max(by_day)
    quiet = today - 1 - last
    if quiet < 1:
        return None
    usual = rhythm.usual(by_day, first=min(by_day), last=last)
    if usual is None:
        return None
    expected = usual.expected(last + 1, today - 1)
    if not rhythm.is_silent(expected, usual.dispersion):
        return None
    return last, quiet, expected, sum(usual.means) / rhythm.WEEK


def doubling(by_day: Mapping[int, int], *, today: int) -> tuple[int, float] | None:
    """(how many in the last RECENT_DAYS complete days, how many were to be expected); None: no alarm."""
    first = today - RECENT_DAYS
    usual = rhythm.usual(by_day, first=min(by_day), last=first - 1)
    if usual is None:
        return None
    count, expected = sum(by_day.get(day, 0) for day in range(first, today)), usual.expected(first, today - 1)
    return (count, expected) if rhythm.is_more(count, expected, usual.dispersion) else None


def new_types(*, now: dt.datetime) -> list[EventType]:
    """Event types first seen in the last days, the newest first; at most SHOWN and one more."""
    rows = EventType.objects.filter(first_seen_at__gt=now - NEW_FOR, base=None)
    return list(rows.order_by("-first_seen_at", "-id")[: SHOWN + 1])


def errors() -> Errors:
    """Accounts that cannot be evaluated, and messages that were not understood. Three queries."""
    failing = AccountDue.objects.filter(attempts__gt=0)
    shown = failing.select_related("account").order_by("-attempts", "pk")[:ERRORS_SHOWN]
    waiting = QuarantinedMessage.objects.filter(replayed_at=None).order_by("-received_at", "id")
    codes = Counter(waiting.values_list("code", flat=True)[:QUARANTINE_READ])
    return Errors(
        accounts=tuple(shown),
        accounts_total=failing.order_by().values("pk")[:ERRORS_CAP].count(),
        quarantined=tuple(sorted(codes.items(), key=lambda pair: (-pair[1], pair[0]))),
        quarantined_total=sum(codes.values()),
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    """Events by type and day, as of a snapshot of the lake."""

    folder: str
    built_at: dt.datetime
    today: int
    by_type: Mapping[int, Mapping[int, int]]

    def serves(self, generation: lake.Generation) -> bool:
        """Whether they are new enough in place of this generation's: it is complete days that are told by them."""
        age = generation.built_at - self.built_at
        is_same = self.folder == str(lake.folder()) and self.today == day_of(generation.built_at)
        return is_same and dt.timedelta() <= age < KEPT_FOR


_lock = threading.Lock()
_kept: _Counts | None = None


def _counts(generation: lake.Generation) -> _Counts:
    """Events by type and day over the last SPAN_DAYS: a scan of all usage, at most once in KEPT_FOR a process."""
    global _kept
    with _lock:
        if _kept is not None and _kept.serves(generation):
            return _kept
    today = day_of(generation.built_at)
    found: dict[int, dict[int, int]] = defaultdict(dict)
    with lake.connection() as db:
        rows = db.execute(
            "SELECT event_type_id, day, CAST(SUM(count) AS BIGINT) FROM accounts_usageday"
            " WHERE day > ? AND day <= ? GROUP BY event_type_id, day",
            [today - SPAN_DAYS, today],
        )
        for event_type_id, day, number in rows.fetchall():
            found[event_type_id][day] = number
    counted = _Counts(str(lake.folder()), generation.built_at, today, dict(found))
    with _lock:
        _kept = counted
    return counted
