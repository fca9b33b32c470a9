"""Explanations as other programs read them: JSON for the API, plain text for alerts and files. Pure."""

from __future__ import annotations

import datetime as dt
from typing import Any

from scoring.explanation import Explanation, Part, Person, Reading


def as_json(explanation: Explanation) -> dict[str, Any]:
    """The explanation as the API tells it (docs/api.md): times in UTC, days as dates of the workspace."""
    one = explanation
    return {
        "id": one.qualification_id,
        "account": {"external_id": one.account, "name": one.account_name},
        "definition": {
            "slug": one.definition,
            "name": one.definition_name,
            "purpose": one.purpose,
            "version": one.version,
            "live_version": one.live_version,
            "english": one.english,
        },
        "cause": one.cause,
        "release": one.release,
        "opened_at": _at(one.opened_at),
        "since_at": _at(one.since_at),
        "since_day": _iso(one.since_day),
        "closed_at": _at(one.closed_at),
        "close_cause": one.close_cause or None,
        "as_of": _iso(one.as_of),
        "today": _iso(one.today),
        "sentence": one.sentence,
        "people": [_person(person) for person in one.people],
        "people_total": one.people_total,
        "rule": _part_json(one.rule, with_today=one.today is not None),
    }


def as_text(explanation: Explanation) -> str:
    """The explanation as a few lines of plain text: what an alert or a CSV cell has room for."""
    lines = [f"{explanation.definition_name} v{explanation.version}: {explanation.sentence}"]
    for part in explanation.conditions():
        if part.frozen is None or part.negated or not part.frozen.holds:
            continue
        told = ", ".join(filter(None, (part.frozen.text, part.frozen.needed and f"needed {part.frozen.needed}")))
        lines.append(f"- {part.english}{f': {told}' if told else ''}")
    return "\n".join(lines)


def _part_json(part: Part, *, with_today: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": part.kind, "path": part.path, "english": part.english, "held": part.held}
    if with_today:
        told["holds_now"] = part.holds_now
    if part.at_least is not None:
        told["at_least"] = part.at_least
    if part.kind == "signal":
        told["part"] = part.of
    if not part.is_group:
        told |= {"negated": part.negated, "comparison": part.comparison or None, "threshold": part.threshold}
        told |= {"unit": part.unit or None, "events": list(part.events), "frozen": _reading_json(part.frozen)}
        if with_today:
            told["today"] = _reading_json(part.today)
    if part.parts:
        told["parts"] = [_part_json(inner, with_today=with_today) for inner in part.parts]
    return told


def _reading_json(reading: Reading | None) -> dict[str, Any] | None:
    if reading is None:
        return None
    told: dict[str, Any] = {
        "holds": reading.holds,
        "measured": reading.measured,
        "distance": reading.distance,
        "window": [_iso(day) for day in reading.window] if reading.window else None,
        "people": [_person(person) for person in reading.people],
        "people_total": reading.people_total,
        "days": [_iso(day) for day in reading.days],
        "days_total": reading.days_total,
        "newest_at": _at(reading.newest_at),
    }
    extra = {"limit": reading.limit, "base": reading.base, "parts": dict(reading.parts), "band": reading.band}
    return told | {name: value for name, value in extra.items() if value not in (None, "", {})}


def _person(person: Person) -> dict[str, str]:
    return {"external_id": person.external_id, "name": person.name}


def _at(at: dt.datetime | None) -> str | None:
    return None if at is None else at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _iso(day: dt.date | None) -> str | None:
    return None if day is None else day.isoformat()
