"""Names that a rule may use: events, traits, properties, limits, definitions; how often and how lately each is seen.

How often is read from the usage lake, every few minutes at most; where there is none yet, only the
catalogue's own last moment is known. Every answer is bounded: the catalogue by EVENT_NAMES_MAX, lists by MOST.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Q

from accounts import lake
from accounts.models import EventType, PlanLimit, TraitValue
from accounts.workspace import day_of
from plgops.lib import days
from scoring.models import Definition

MOST = 20
FRESH = dt.timedelta(minutes=10)  # so long what the lake said of names is kept
LOOKED_AT = 500  # names that fit, of which the most frequent are offered
SPAN = 28  # days that "how often" is told for
BACK = 180  # days that are looked back for the last one
REGULAR = 8  # on so many of the days up to its last an event is regular
SILENT = 7  # for so many days nothing of a regular event is worth a word
NEVER = "No event of this name has come in yet."
_TRAITS_READ = 2_000  # the newest facts, where there is no lake to ask


@dataclass(frozen=True, slots=True)
class Name:
    """One that can be chosen: the name as a rule writes it, what is known of it in words, and what is wrong with it."""

    name: str
    words: str = ""
    warning: str = ""
    label: str = ""  # what is shown in its place, where that is another text

    @property
    def short(self) -> str:
        """The warning in a word or two."""
        return "" if not self.warning else "not seen yet" if self.warning == NEVER else "stopped coming"


@dataclass(frozen=True, slots=True)
class Seen:
    """An event type in the lake: its last day, events of the last SPAN days, active days of the SPAN up to its last."""

    last_day: int
    count: int
    active_days: int


def offered(kind: str, *, search: str = "", of: str = "", now: dt.datetime) -> list[Name]:
    """Names of a kind that contain `search`, the most frequent first, at most MOST.

    Kinds: event, metered (events with a metered property), property (that is counted by its distinct values; `of`: of
    this event only), trait (`of`: account or user), value (of the trait `of`), limit, definition; else ValueError.
    """
    search = search.strip()[:200]
    match kind:
        case "event" | "metered":
            return _events(search, now, metered=kind == "metered")
        case "property":
            return _properties(search, of)
        case "trait":
            return _traits(search, people=of == "user", today=day_of(now))
        case "value":
            return _values(search, of, day_of(now))
        case "limit":
            rows = (
                PlanLimit.objects.filter(metric__icontains=search).order_by("metric").values_list("metric", flat=True)
            )
            return [Name(metric) for metric in rows.distinct()[:MOST]]
        case "definition":
            return _definitions(search)
    raise ValueError(f"No names of the kind {kind!r}.")


def of_definitions(text: str) -> dict[str, str]:
    """The names of the definitions whose slugs stand in quotes in a document's text, by slug: one query."""
    slugs = set(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)*)"', text))
    rows = Definition.objects.filter(slug__in=sorted(slugs)[:LOOKED_AT]) if slugs else Definition.objects.none()
    return dict(rows.values_list("slug", "name"))


def warnings(names: Collection[str], *, now: dt.datetime) -> dict[str, str]:
    """What is wrong with these events as something to wait for: never seen, or silent though it was regular.

    Regular: on at least REGULAR of the SPAN days up to its last one; silent: nothing for SILENT days or more.
    """
    wanted = set(names) - {"*"}
    if not wanted:
        return {}
    seen = _seen(day_of(now))
    rows = EventType.objects.filter(name__in=sorted(wanted)).only("name", "last_seen_at", "base_id")
    found = {row.name: _warning(row, seen, now) for row in rows}
    unknown = dict.fromkeys(wanted - found.keys(), NEVER)
    return unknown | {name: words for name, words in found.items() if words}


def _warning(row: EventType, seen: dict[int, Seen] | None, now: dt.datetime) -> str:
    today = day_of(now)
    usage = (seen or {}).get(row.pk)
    if usage is not None:
        gap = today - usage.last_day
        if gap < SILENT or usage.active_days < REGULAR:
            return ""
        date = days.date_of(usage.last_day)
        return (
            f"Stopped coming: none for {gap} days, since {date.day} {date:%B %Y}. "
            f"Before that it came on {usage.active_days} of {SPAN} days."
        )
    if row.last_seen_at is None:
        return "" if row.base_id and seen is None else NEVER
    gap = today - day_of(row.last_seen_at)
    return f"None for {gap} days." if gap >= (BACK if seen is not None else SILENT) else ""


def _events(search: str, now: dt.datetime, *, metered: bool) -> list[Name]:
    rows = EventType.objects.filter(name__icontains=search)
    if metered:
        rows = rows.exclude(metered_property="")
    today = day_of(now)
    seen = _seen(today)
    found = list(rows.order_by("name")[:LOOKED_AT])
    if seen is not None:
        found.sort(key=lambda row: -(seen[row.pk].count if row.pk in seen else 0))
    told = []
    for row in found[:MOST]:
        usage = (seen or {}).get(row.pk)
        words = [f"{usage.count if usage else 0:,} in {SPAN} days"] if seen is not None else []
        last = usage.last_day if usage else day_of(row.last_seen_at) if row.last_seen_at else None
        words += [f"last {_ago(today - last)}"] if last is not None else []
        words += [f"measures {row.metered_property}"] if row.metered_property else []
        told.append(Name(row.name, ", ".join(words), _warning(row, seen, now)))
    return told


def _ago(length: int) -> str:
    if length <= 0:
        return "today"
    return "yesterday" if length == 1 else f"{length} days ago"


def _properties(search: str, event: str) -> list[Name]:
    rows = EventType.objects.exclude(distinct_property="").filter(distinct_property__icontains=search)
    if event:
        rows = rows.filter(name=event)
    by_name: dict[str, list[str]] = {}
    for name, of in rows.order_by("distinct_property", "name").values_list("distinct_property", "name")[:LOOKED_AT]:
        by_name.setdefault(name, []).append(of)
    return [Name(name, f"of {', '.join(events[:3])}") for name, events in list(by_name.items())[:MOST]]


def _definitions(search: str) -> list[Name]:
    rows = Definition.objects.filter(Q(slug__icontains=search) | Q(name__icontains=search), archived_at=None)
    rows = rows.exclude(live_version=None).select_related("live_version").order_by("name", "pk")
    return [
        Name(
            row.slug,
            f"about {'people' if row.level == 'user' else 'accounts'}, v{row.live_version.number}",
            "",
            row.name,
        )
        for row in rows[:MOST]
        if row.live_version is not None
    ]


def _traits(search: str, *, people: bool, today: int) -> list[Name]:
    counted = _trait_counts(today)
    if counted is None:
        newest = TraitValue.objects.order_by("-pk").values_list("name", "user_id")[:_TRAITS_READ]
        names = sorted({name for name, user_id in newest if (user_id > 0) == people})
        return [Name(name) for name in names if search.lower() in name.lower()][:MOST]
    unit = "people" if people else "accounts"
    fitting = [(name, n) for (name, of_people), n in counted.items() if of_people == people]
    return [
        Name(name, f"{n:,} {unit if n != 1 else unit.removesuffix('s') if not people else 'person'}")
        for name, n in sorted(fitting, key=lambda row: (-row[1], row[0]))
        if search.lower() in name.lower()
    ][:MOST]


def _values(search: str, trait: str, today: int) -> list[Name]:
    query = (
        "SELECT text, COUNT(*) FROM accounts_traitvalue"
        " WHERE name = ? AND account_id > 0 AND from_day <= ? AND to_day > ? AND contains(lower(text), ?)"
        " GROUP BY text ORDER BY COUNT(*) DESC, text LIMIT ?"
    )
    rows = _asked(query, [trait, today, today, search.lower(), MOST])
    return [Name(text, f"{n:,} account{'' if n == 1 else 's'}") for text, n in rows or ()]


# --- the lake, asked every few minutes at most: how often a name is seen needs no seconds ---------------------


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a generation of the lake answered."""

    folder: Path
    built_at: dt.datetime
    today: int
    rows: list[Any] | None

    def serves(self, generation: lake.Generation, today: int) -> bool:
        """Whether the answer will do for a generation: of the same lake and day, hardly older."""
        same = self.folder == generation.path.parent and self.today == today
        return same and self.rows is not None and generation.built_at - self.built_at < FRESH


_lock = threading.Lock()
_kept: dict[str, _Kept] = {}


def _seen(today: int) -> dict[int, Seen] | None:
    """How often each event type comes, by id; None without a lake."""
    query = (
        "WITH daily AS (SELECT event_type_id, day, SUM(count) AS n FROM accounts_usageday"
        "  WHERE day > ? AND day <= ? GROUP BY event_type_id, day),"
        " last AS (SELECT event_type_id, MAX(day) AS day FROM daily GROUP BY event_type_id)"
        " SELECT d.event_type_id, l.day, CAST(SUM(CASE WHEN d.day > ? THEN d.n ELSE 0 END) AS BIGINT),"
        "  CAST(SUM(CASE WHEN d.day > l.day - ? THEN 1 ELSE 0 END) AS BIGINT)"
        " FROM daily d JOIN last l ON l.event_type_id = d.event_type_id GROUP BY d.event_type_id, l.day"
    )
    rows = _once("seen", today, query, [today - BACK, today, today - SPAN, SPAN])
    return None if rows is None else {pk: Seen(last, count, active) for pk, last, count, active in rows}


def _trait_counts(today: int) -> dict[tuple[str, bool], int] | None:
    """How many accounts or people have a value of each trait, by (name, whether of people); None without a lake."""
    query = (
        "SELECT name, user_id > 0, COUNT(*) FROM accounts_traitvalue WHERE from_day <= ? AND to_day > ? GROUP BY 1, 2"
    )
    rows = _once("traits", today, query, [today, today])
    return None if rows is None else {(name, people): n for name, people, n in rows}


def _once(what: str, today: int, query: str, parameters: Iterable[object]) -> list[Any] | None:
    generation = lake.current()
    if generation is None:
        return None
    kept = _kept.get(what)
    if kept is None or not kept.serves(generation, today):
        with _lock:  # one of many readers asks, the others wait for its answer
            kept = _kept.get(what)
            if kept is None or not kept.serves(generation, today):
                kept = _kept[what] = _Kept(
                    generation.path.parent, generation.built_at, today, _asked(query, list(parameters))
                )
    return kept.rows


def _asked(query: str, parameters: list[object]) -> list[Any] | None:
    try:
        with lake.connection() as db:
            return db.execute(query, parameters).fetchall()
    except lake.CannotAnswer:
        return None
