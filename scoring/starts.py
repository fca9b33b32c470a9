"""What a new definition starts from: whole documents, made with the names that the catalogue's meanings give. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Start:
    """A document to begin with, and what it is for."""

    key: str
    icon: str
    label: str
    words: str
    document: Document


def offered(events: Mapping[str, Collection[str]], *, limited: str = "") -> list[Start]:
    """The starts, the simplest first. `events` are names by their meaning (EventType.Meaning), `limited` is a metered
    event that the plans limit; what nobody has described yet is asked as any activity. Each can be published
    as it stands but the last, which is blank."""
    core = _event(events.get("core", ()))
    invite = _event(events.get("invite", ()))
    return [
        Start(
            "active-team", "users", "Active team", "At least 3 people active in 28 days, not paying yet.", ACTIVE_TEAM
        ),
        Start(
            "early-team",
            "rocket",
            "Early core use",
            "Somebody invites others and completes the core workflow in their first 14 days.",
            _early_team(core, invite),
        ),
        _near_limit(limited) if limited else _growing(core),
        Start(
            "lead-score",
            "gauge",
            "Lead score",
            "Points for fit, usage and intent; fresh use counts more than old.",
            _lead_score(core, invite, _event(events.get("premium", ()))),
        ),
        Start("blank", "pencil", "Blank", "No condition yet: it can be published when it has one.", BLANK),
    ]


BLANK: Document = {
    "slug": "new-definition",
    "name": "New definition",
    "purpose": "pql",
    "level": "account",
    "rule": {"all": []},
}


def _event(names: Collection[str]) -> str | list[str]:
    listed = sorted(names)[:20]
    return "*" if not listed else listed[0] if len(listed) == 1 else listed


_FREE: Document = {"trait": {"name": "plan", "in": ["free", "trial"]}}
_UNPAID: Document = {"not": {"stage": {"reached": "paid"}}}
ACTIVE_TEAM: Document = {
    "slug": "active-team",
    "name": "Active team",
    "purpose": "pql",
    "level": "account",
    "rule": {"all": [_FREE, {"users": {"event": "*", "at_least": 3, "window": {"last_days": 28}}}, _UNPAID]},
    "grace_days": 7,
}


def _early_team(core: str | list[str], invite: str | list[str]) -> Document:
    early = {"first_days": 14, "of": "user"}
    conditions = [
        {"count": {"event": invite, "at_least": 3, "window": early}},
        {"count": {"event": core, "at_least": 1, "window": early}},
    ]
    people = {"users_who": {"at_least": 1, "rule": {"all": conditions}}}
    return ACTIVE_TEAM | {
        "slug": "early-core-use",
        "name": "Early core use",
        "rule": {"all": [people, _UNPAID]},
    }


def _near_limit(metered: str) -> Start:
    document = ACTIVE_TEAM | {
        "slug": "near-the-limit",
        "name": "Near the limit",
        "rule": {"all": [{"value": {"event": metered, "share_of_limit": 0.8, "window": "billing_month"}}, _UNPAID]},
    }
    return Start(
        "near-the-limit",
        "chart-no-axes-column-increasing",
        "Near the limit",
        f"{metered} at 80% of the plan's limit.",
        document,
    )


def _growing(core: str | list[str]) -> Start:
    change = {"change": {"event": core, "days": 7, "factor_at_least": 1.5, "at_least": 20}}
    document = ACTIVE_TEAM | {"slug": "growing-use", "name": "Growing use", "rule": {"all": [change, _FREE]}}
    return Start("growing-use", "trending-up", "Growing use", "Half as much again as the week before.", document)


def _lead_score(core: str | list[str], invite: str | list[str], premium: str | list[str]) -> Document:
    signals: list[Document] = [
        {"part": "fit", "points": 20, "when": {"trait": {"name": "employees", "at_least": 50}}},
        {"part": "usage", "points": 2, "per": {"count": {"event": core}}, "half_life_days": 7, "cap": 30},
        {"part": "usage", "points": 5, "per": {"users": {"event": "*", "window": {"last_days": 28}}}, "cap": 25},
        {"part": "usage", "points": 5, "per": {"count": {"event": invite, "window": {"last_days": 14}}}, "cap": 15},
        {"part": "intent", "points": 15, "when": {"recency": {"event": premium, "within_days": 14}}},
    ]
    score = {"score": {"at_least": 60, "signals": signals, "bands": {"hot": 80, "warm": 60}}}
    return ACTIVE_TEAM | {"slug": "lead-score", "name": "Lead score", "rule": {"all": [score, _UNPAID]}}
