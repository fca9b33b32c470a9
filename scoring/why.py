"""Why now: frozen evidence in words and numbers. Pure; `scoring/reasons.py` brings the names and the lines.

A qualification's evidence holds ids and numbers only. This module says it to a person: each condition with
what was measured, what was needed, and who is behind it; how it got there is drawn by `scoring/series.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plgops.lib import days

NARROW = 3  # a condition about more event types than that is about activity as such

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
    "score": "gauge",
    "definition": "list-checks",
}
_TOLD = {"count", "distinct", "days", "users"}  # what can be told as something done
_NEEDS = {"at_least": "at least {}", "at_most": "at most {}", "exactly": "exactly {}"}
_UNITS = {"count": "times", "distinct": "different", "users": "people", "days": "days", "users_who": "people"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line to draw; `threshold` is where the needed number lies, None where it is measured otherwise."""

    values: tuple[int, ...]
    label: str
    threshold: float | None = None


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
    line: Line | None


def signals(
    evidence: Mapping[str, Any], *, names: Mapping[int, str], lines: Mapping[int, Line | None] | None = None
) -> tuple[Signal, ...]:
    """Every condition of `evidence` in reading order, positive ones that hold first.

    `names` gives people their names by id (one without is left out), `lines` the conditions their lines by place.
    """
    told = [_signal(c, names, (lines or {}).get(place)) for place, c in enumerate(evidence.get("conditions", ()))]
    return tuple(sorted(told, key=lambda s: (not s.holds, s.negated, s.line is None)))  # stable: reading order else


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


def _signal(condition: Mapping[str, Any], names: Mapping[int, str], line: Line | None) -> Signal:
    kind = condition.get("kind", "")
    people = tuple(names[i] for i in condition.get("people") or () if i in names)
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
        line=line,
    )


def _measured(condition: Mapping[str, Any]) -> str:
    number, kind = condition.get("measured"), condition.get("kind")
    if number is None or kind in ("stage", "definition"):
        return ""
    if kind == "trait" and not _is_ago(condition):
        return f"{number:,}" if isinstance(number, int | float) and not isinstance(number, bool) else str(number)
    if _is_ago(condition):
        return "today" if number == 0 else "1 day ago" if number == 1 else f"{number:,} days ago"
    if kind == "sequence":
        return f"{number} of {condition.get('threshold')} steps"
    if kind == "change":
        return f"{number:,} times after {condition.get('base') or 0:,}"
    if kind == "value":
        return f"{number:,}"
    unit = _UNITS.get(str(kind), str(condition.get("unit") or ""))
    if number == 1:
        unit = {"times": "time", "people": "person", "days": "day"}.get(unit, unit)
    return f"{number:,} {unit}".strip() if isinstance(number, int | float) else str(number)


def _needed(condition: Mapping[str, Any]) -> str:
    threshold, comparison = condition.get("threshold"), condition.get("comparison")
    kind = condition.get("kind")
    if _is_ago(condition) and condition.get("measured") is not None:
        return "at the time"  # the days are counted from when it was found, not from today
    if threshold is None or kind in ("trait", "stage", "recency", "sequence"):
        return ""
    if comparison == "share_of_limit":
        limit = condition.get("limit")
        return (
            "the plan sets no limit" if limit is None else f"at least {threshold:.1%} of {limit:,}".replace(".0%", "%")
        )
    if kind == "change":
        return f"{'at least' if comparison == 'factor_at_least' else 'at most'} {threshold:g} times as many"
    if comparison == "between" and isinstance(threshold, list | tuple):
        return f"between {threshold[0]:,} and {threshold[1]:,}"
    shown = f"{threshold:,}" if isinstance(threshold, int | float) else threshold
    needed = _NEEDS.get(str(comparison), "{}").format(shown)
    if kind == "score":
        parts = (f"{name} {points:,}" for name, points in (condition.get("parts") or {}).items())
        return "; ".join([needed, *parts])
    return needed


def _is_ago(condition: Mapping[str, Any]) -> bool:
    """Whether what was measured is the days since then."""
    changed = condition.get("comparison") == "changed_within_days"
    return condition.get("kind") in ("recency", "first") or changed


def _strength(condition: Mapping[str, Any]) -> tuple[float, int]:
    """How far past what was needed; ties go to the newer."""
    threshold = condition.get("threshold")
    needed = threshold if isinstance(threshold, int) and threshold > 0 else 1
    return condition["measured"] / needed, int(condition.get("newest_us") or 0)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
