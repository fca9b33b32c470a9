"""Evidence in words: what was measured, what was needed, how far apart they are. Pure.

A qualification's evidence holds ids and numbers only; `scoring/explanation.py` puts it into the shape of its rule.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from plgops.lib import days

Number = int | float
NARROW = 3  # a condition about more event types than that is about activity as such

ICONS = {
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


def headline(evidence: Mapping[str, Any], event_types: Mapping[int, str]) -> tuple[str, str]:
    """The icon and a few words for the strongest condition: what a row of the inbox has room for."""
    best = _strongest(evidence)
    if best:
        return ICONS[best[0]["kind"]], capital(_told(best[0], event_types))
    held = [c for c in evidence.get("conditions", ()) if c.get("holds") and not c.get("negated")]
    if held:
        return ICONS.get(held[0].get("kind", ""), "sparkles"), capital(str(held[0].get("english", "")))
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
    return f"{capital(_listed(told))}{f', by {_listed(who)}' if who else ''}."


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


def measured(condition: Mapping[str, Any]) -> str:
    """What was measured, with its unit: “5 times”; empty where nothing was."""
    number, kind = condition.get("measured"), condition.get("kind")
    if number is None or kind in ("stage", "definition"):
        return ""
    if _is_number(number):
        number = _exact(number)
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


def needed(condition: Mapping[str, Any]) -> str:
    """What was asked for: “at least 3”; empty where the condition's English says it all."""
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
    return _NEEDS.get(str(comparison), "{}").format(shown)


def distance(condition: Mapping[str, Any]) -> Number | None:
    """How far what was measured lies from where the answer turns, in the condition's own unit.

    0 or more: it holds, with so much to spare; below 0: so much is missing. None where there is no number to compare
    (texts, first times, stages that were reached, definitions), nothing was measured, or a plan sets no limit. Of a
    change only the factor is looked at. It is the condition's own distance, whatever `not` stands above it.
    """
    number, asked = condition.get("measured"), condition.get("threshold")
    match condition.get("comparison"):
        case "share_of_limit":
            limit = condition.get("limit")
            asked = None if limit is None or asked is None else asked * limit
        case "factor_at_least" | "factor_at_most":
            asked = asked * condition["base"] if asked is not None and condition.get("base") else None
    if isinstance(asked, list | tuple):
        return _to_list(number, asked, condition.get("comparison"))
    if not _is_number(number) or not _is_number(asked):
        return None
    match condition.get("comparison"):
        case "at_least" | "share_of_limit" | "factor_at_least" | "steps":
            return _exact(number - asked)
        case "at_most" | "factor_at_most":
            return _exact(asked - number)
        case "exactly":
            return _exact(-abs(number - asked))
        case "within_days" | "changed_within_days":
            return asked - 1 - number
        case "not_for_days":
            return number - asked
    return None


def _to_list(number: Any, asked: Sequence[Any], comparison: str | None) -> Number | None:
    """The distance to a range, both ends included, or to the nearest of several numbers."""
    if not _is_number(number) or not asked or not all(_is_number(one) for one in asked):
        return None
    if comparison == "between":
        return _exact(min(number - asked[0], asked[1] - number))
    return _exact(-min(abs(number - one) for one in asked)) if comparison == "in" else None


def missing(condition: Mapping[str, Any]) -> str:
    """What is missing until the condition holds: “2 more”; empty where it holds, or where that is no number."""
    far = distance(condition)
    if far is None or far >= 0:
        return ""
    shown = f"{-far:,}"
    match condition.get("comparison"):
        case "within_days" | "changed_within_days":
            return f"{shown} day{'' if far == -1 else 's'} too long ago"
        case "not_for_days":
            return f"{shown} day{'' if far == -1 else 's'} to go"
        case "at_most" | "factor_at_most":
            return f"{shown} too many"
        case "exactly" | "between" | "in":
            return f"{shown} off"
    return f"{shown} more"


def _is_number(value: Any) -> TypeGuard[Number]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _exact(number: Number) -> Number:
    """Without the noise of binary fractions: nothing that is measured has more than six decimals."""
    rounded = round(number, 6)
    return int(rounded) if rounded == int(rounded) else rounded


def moments(evidence: Mapping[str, Any]) -> tuple[tuple[dt.datetime, str], ...]:
    """When the newest fact behind each condition happened that is a reason, and what was measured: pins of a chart."""
    return tuple(
        (days.from_micros(c["newest_us"]), ", ".join(filter(None, (capital(str(c.get("english", ""))), measured(c)))))
        for c in evidence.get("conditions", ())
        if c.get("newest_us") and c.get("holds") and not c.get("negated")
    )


def _is_ago(condition: Mapping[str, Any]) -> bool:
    """Whether what was measured is the days since then."""
    changed = condition.get("comparison") == "changed_within_days"
    return condition.get("kind") in ("recency", "first") or changed


def _strength(condition: Mapping[str, Any]) -> tuple[float, int]:
    """How far past what was needed; ties go to the newer."""
    threshold = condition.get("threshold")
    needed = threshold if isinstance(threshold, int) and threshold > 0 else 1
    return condition["measured"] / needed, int(condition.get("newest_us") or 0)


def capital(text: str) -> str:
    """The text with its first letter in capitals."""
    return text[:1].upper() + text[1:]
