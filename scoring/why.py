"""Why now: frozen evidence in words, numbers and small series. Pure; `scoring/inbox.py` brings the rows.

A qualification's evidence holds ids and numbers only. This module says it to a person: each condition with
what was measured, what was needed, who is behind it and how it got there day by day.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plgops.lib import days

NARROW = 3  # a condition about more event types than that is about activity as such
SERIES_DAYS = 30  # a sparkline shows at most so many days

_ICONS = {
    "count": "repeat-2",
    "distinct": "shapes",
    "users": "users",
    "days": "calendar-days",
    "recency": "clock",
    "trait": "tag",
    "stage": "milestone",
    "users_who": "user-check",
    "value": "gauge",
    "change": "trending-up",
    "sequence": "route",
    "first": "sparkles",
}
# Which conditions have a course over days, and how it adds up to what was measured.
_RUNNING = {"count", "distinct", "days"}
_DAILY = {"users", "recency"}
_TOLD = _RUNNING | {"users"}  # what can be told as something done
_NEEDS = {"at_least": "at least {}", "at_most": "at most {}", "exactly": "exactly {}"}
_UNITS = {"count": "times", "distinct": "different", "users": "people", "days": "days", "users_who": "people"}


@dataclass(frozen=True, slots=True)
class Usage:
    """One row of the roll-up, or of the distinct values (`value` set): what a series is made of."""

    account_id: int
    user_id: int
    event_type_id: int
    day: int
    count: int
    value: str = ""


@dataclass(frozen=True, slots=True)
class Signal:
    """One condition of a definition, as a person reads it."""

    icon: str
    english: str
    holds: bool  # as the definition wants it: a negated condition holds when it is not so
    negated: bool
    measured: str  # "5 times"; empty where nothing was measured
    needed: str  # "at least 3"
    people: tuple[str, ...]
    more_people: int
    newest_at: dt.datetime | None
    series: tuple[int, ...]
    series_label: str
    threshold: float | None  # where the needed number lies on the series; None: the series is not measured in it


def has_series(condition: Mapping[str, Any]) -> bool:
    """Whether a condition is about what happened on days."""
    return condition.get("kind") in _RUNNING | _DAILY


def signals(
    evidence: Mapping[str, Any],
    *,
    names: Mapping[int, str],
    usage: Sequence[Usage],
    values: Sequence[Usage] = (),
    of_people: bool = False,
) -> tuple[Signal, ...]:
    """Every condition of `evidence` in reading order, positive ones that hold first.

    `names` gives people their names by id (one without is left out), `usage` the daily rows of the account,
    `values` its distinct values. `of_people`: the whole definition is asked of each person.
    """
    as_of = int(evidence.get("as_of_day") or 0)
    told = [
        _signal(c, as_of, names, values if c.get("kind") == "distinct" else usage, of_people)
        for c in evidence.get("conditions", ())
    ]
    return tuple(sorted(told, key=lambda s: (not s.holds, s.negated, not s.series)))  # stable: reading order else


def headline(evidence: Mapping[str, Any], event_types: Mapping[int, str]) -> tuple[str, str]:
    """The icon and a few words for the strongest condition: what a row of the inbox has room for."""
    best = _strongest(evidence)
    if best:
        return _ICONS[best[0]["kind"]], _capital(_told(best[0], event_types))
    held = [c for c in evidence.get("conditions", ()) if c.get("holds") and not c.get("negated")]
    if held:
        return _ICONS.get(held[0].get("kind", ""), "sparkles"), _capital(str(held[0].get("english", "")))
    return "sparkles", "Qualifies"


def sentence(evidence: Mapping[str, Any], *, event_types: Mapping[int, str], names: Mapping[int, str]) -> str:
    """What this account did, in one sentence: its three strongest conditions and who was behind them."""
    told = [_told(c, event_types) for c in _strongest(evidence)[:3]]
    if not told:
        held = [c for c in evidence.get("conditions", ()) if c.get("holds") and not c.get("negated")]
        told = [str(c.get("english", "")) for c in held[:3]]
    if not told:
        return "It met the definition; no evidence was frozen with this episode."
    people = [names[i] for i in evidence.get("users") or () if i in names][:3]
    more = max(0, int(evidence.get("users_total") or 0) - len(people))
    who = [*people, f"{more:,} more"] if more and people else people
    return f"{_capital(_listed(told))}{f', by {_listed(who)}' if who else ''}."


def _strongest(evidence: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The counted conditions that hold, the one furthest past what was needed first."""
    held = [c for c in evidence.get("conditions", ()) if c.get("holds") and not c.get("negated")]
    counted = [c for c in held if c.get("kind") in _TOLD and isinstance(c.get("measured"), int)]
    return sorted(counted, key=_strength, reverse=True)


def _told(condition: Mapping[str, Any], event_types: Mapping[int, str]) -> str:
    """A counted condition as what was done: “Invite Sent 5 times”."""
    number = condition["measured"]
    types = [event_types[i] for i in condition.get("event_type_ids") or () if i in event_types]
    what = types[0] if len(types) == 1 else ""
    match condition["kind"]:
        case "count":
            return f"{what or 'events'} {number:,} time{'' if number == 1 else 's'}"
        case "distinct":
            return f"{what or 'events'} with {number:,} different value{'' if number == 1 else 's'}"
        case "days":
            return f"{what or 'active'} on {number:,} day{'' if number == 1 else 's'}"
    people = f"{number:,} {'person' if number == 1 else 'people'}"
    return (
        f"{what} by {people}" if what else f"{people} active" if condition["kind"] == "users" else f"{people} who did"
    )


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def people_of(evidence: Mapping[str, Any]) -> set[int]:
    """The ids of everybody whom the evidence names."""
    ids = set(evidence.get("users") or ())
    for condition in evidence.get("conditions", ()):
        ids.update(condition.get("people") or ())
    return ids


def event_types_of(evidences: Iterable[Mapping[str, Any]], *, narrow: bool = False) -> set[int]:
    """The ids of every event type that the evidences are about; `narrow`: not of those about any activity."""
    lists = (c.get("event_type_ids") or () for e in evidences for c in e.get("conditions", ()))
    return {i for ids in lists if not narrow or len(ids) <= NARROW for i in ids}


def series_days(condition: Mapping[str, Any], as_of_day: int) -> tuple[int, int]:
    """The days `[first, last]` that count for a condition; two weeks where it has no window."""
    window = condition.get("window") or {}
    end: int | None = window.get("to_day")
    last = as_of_day if end is None else min(end, as_of_day)
    first: int | None = window.get("from_day")
    return (last - 13 if first is None else min(first, last)), last


def _signal(
    condition: Mapping[str, Any], as_of: int, names: Mapping[int, str], rows: Sequence[Usage], of_people: bool
) -> Signal:
    kind = condition.get("kind", "")
    people = tuple(names[i] for i in condition.get("people") or () if i in names)
    series, label, threshold = _series(condition, as_of, rows, of_people)
    newest = condition.get("newest_us")
    negated, english = bool(condition.get("negated")), str(condition.get("english", ""))
    if kind == "users_who":  # its conditions follow one by one
        who = english.partition(" for whom (")[0].removeprefix("there is ").removeprefix("there are ")
        english = f"{who} for whom all of this holds"
    return Signal(
        icon=_ICONS.get(kind, "sparkles"),
        english=f"Not: {english}" if negated else _capital(english),
        holds=bool(condition.get("holds")) != negated,
        negated=negated,
        measured=_measured(condition),
        needed=_needed(condition),
        people=people[:3],
        more_people=max(0, int(condition.get("people_total") or 0) - len(people[:3])),
        newest_at=days.from_micros(newest) if newest else None,
        series=series,
        series_label=label,
        threshold=threshold,
    )


def _measured(condition: Mapping[str, Any]) -> str:
    number, kind = condition.get("measured"), condition.get("kind")
    if number is None or kind == "stage":
        return ""
    if kind == "trait":
        return f"{number:,}" if isinstance(number, int | float) and not isinstance(number, bool) else str(number)
    if kind == "recency":
        return "today" if number == 0 else "1 day ago" if number == 1 else f"{number:,} days ago"
    unit = _UNITS.get(str(kind), str(condition.get("unit") or ""))
    if number == 1:
        unit = {"times": "time", "people": "person", "days": "day"}.get(unit, unit)
    return f"{number:,} {unit}".strip() if isinstance(number, int | float) else str(number)


def _needed(condition: Mapping[str, Any]) -> str:
    threshold, comparison = condition.get("threshold"), condition.get("comparison")
    if condition.get("kind") == "recency" and condition.get("measured") is not None:
        return "at the time"  # the days are counted from when it was found, not from today
    if threshold is None or condition.get("kind") in ("trait", "stage", "recency"):
        return ""
    if comparison == "between" and isinstance(threshold, list | tuple):
        return f"between {threshold[0]:,} and {threshold[1]:,}"
    return _NEEDS.get(str(comparison), "{}").format(f"{threshold:,}" if isinstance(threshold, int) else threshold)


def _series(
    condition: Mapping[str, Any], as_of: int, rows: Sequence[Usage], of_people: bool
) -> tuple[tuple[int, ...], str, float | None]:
    if not has_series(condition):
        return (), "", None
    kind = condition["kind"]
    start, last = series_days(condition, as_of)
    first = max(start, last - SERIES_DAYS + 1)
    types, people = set(condition.get("event_type_ids") or ()), list(condition.get("people") or ())
    # what is asked of each person was measured for the best one, who stands first
    alone = set(people[:1]) if of_people or "/users_who/" in str(condition.get("path", "")) else set()
    by_day: dict[int, list[Usage]] = defaultdict(list)
    for row in rows:
        if (
            start <= row.day <= last
            and (not types or row.event_type_id in types)
            and (not alone or row.user_id in alone)
        ):
            by_day[row.day].append(row)
    if not by_day:
        return (), "", None
    shown, span = range(first, last + 1), f"{last - first + 1} days"
    if kind == "users":
        return tuple(len({r.user_id for r in by_day[day]}) for day in shown), f"People a day, {span}", None
    if kind == "recency":
        return tuple(_sum(by_day[day]) for day in shown), f"Events a day, {span}", None
    unbounded = not condition.get("window")
    if kind == "distinct" and unbounded:  # a value may have been seen before the days that are shown
        return tuple(_sum(by_day[day]) for day in shown), f"Events a day, {span}", None
    seen: set[str | int] = set()
    total, running = 0, {}
    for day in range(start, last + 1):
        if kind == "count":
            total += _sum(by_day[day])
        else:
            seen.update((r.value if kind == "distinct" else r.day) for r in by_day[day])
            total = len(seen)
        running[day] = total
    threshold = condition.get("threshold")
    line = float(threshold) if isinstance(threshold, int) and condition.get("comparison") == "at_least" else None
    before = max(0, int(condition.get("measured") or 0) - total) if unbounded else 0
    return tuple(before + running[day] for day in shown), f"Running total, {span}", line


def _sum(rows: Iterable[Usage]) -> int:
    return sum(r.count for r in rows)


def _strength(condition: Mapping[str, Any]) -> tuple[float, int]:
    """How far past what was needed; ties go to the newer."""
    threshold = condition.get("threshold")
    needed = threshold if isinstance(threshold, int) and threshold > 0 else 1
    return condition["measured"] / needed, int(condition.get("newest_us") or 0)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
