"""The language as forms: what a builder offers for each kind of condition, with its limits. Pure.

Plain data for a page's script, made of the same words and limits that the reader checks with. A test holds it against
the JSON Schema: every kind, key, window and choice of the language is offered, and what a form starts with is valid.
"""

from __future__ import annotations

from typing import Any

from scoring.rules.conditions import MAX_STEPS
from scoring.rules.parse import MAX_CONDITIONS, MAX_LEVELS
from scoring.rules.parts import AMOUNTS, COMPARISONS
from scoring.rules.phrases import STAGE_REACHED, STAGE_WORDS
from scoring.rules.scores import COUNTED, MAX_BANDS, MAX_CAP, MAX_HALF_LIFE, MAX_POINTS
from scoring.rules.tree import LEVELS, MEASURES, PARTS, PURPOSES, STAGE_WRITTEN, STAGES
from scoring.rules.values import MAX_DAYS, MAX_THRESHOLD
from scoring.rules.windows import Subject

Form = dict[str, Any]

STILL = ("ever", "last_days", "first_days", "billing_month", "dates")
SLIDING = ("ever", "last_days", "first_days", "any_days", "billing_month", "dates")
OPS = {
    "at_least": "at least",
    "at_most": "at most",
    "exactly": "exactly",
    "between": "between",
    "in": "one of",
    "is_set": "has a value",
    "changed_within_days": "changed in the last days",
    "share_of_limit": "at least this share of the plan's limit",
    "within_days": "seen in the last days",
    "not_for_days": "not seen for days",
    "factor_at_least": "at least so many times as before",
    "factor_at_most": "at most so many times as before",
}
WINDOWS = {
    "ever": ("Ever", ""),
    "last_days": ("The last days", "in the last {n} days"),
    "first_days": ("The first days after signup", "within {n} days of signup"),
    "any_days": ("Any stretch of days", "within any {n} days"),
    "billing_month": ("This billing month", "this billing month"),
    "dates": ("Between two dates", "from {from} to {to}"),
}
PURPOSE_WORDS = {
    "activation": ("Activation", "marks the account as activated"),
    "pql": ("PQL", "hands the company to sales"),
    "expansion": ("Expansion", "keeps the episode with its evidence"),
    "risk": ("Risk", "keeps the episode with its evidence"),
}
ICONS = {
    "count": "repeat-2",
    "distinct": "shapes",
    "users": "users",
    "days": "calendar-days",
    "recency": "clock",
    "first": "sparkles",
    "value": "gauge",
    "change": "trending-up",
    "sequence": "route",
    "score": "sigma",
    "definition": "list-checks",
    "trait": "tag",
    "stage": "milestone",
    "users_who": "user-check",
}


def grammar() -> Form:
    """Everything that the builder knows about the language."""
    return {
        "kinds": _kinds(),
        "counted": list(COUNTED),
        "windows": {key: {"label": label, "phrase": phrase} for key, (label, phrase) in WINDOWS.items()},
        "ops": OPS,
        "stages": [{"value": key, "reached": STAGE_REACHED[key], "since": STAGE_WORDS[key]} for key in STAGES],
        "purposes": [
            {
                "value": key,
                "label": PURPOSE_WORDS[key][0],
                "words": PURPOSE_WORDS[key][1],
                "writes": STAGE_WRITTEN.get(key, ""),
            }
            for key in PURPOSES
        ],
        "levels": list(LEVELS),
        "parts": list(PARTS),
        "limits": {
            "conditions": MAX_CONDITIONS,
            "levels": MAX_LEVELS,
            "days": MAX_DAYS,
            "threshold": MAX_THRESHOLD,
            "steps": MAX_STEPS,
            "bands": MAX_BANDS,
            "points": MAX_POINTS,
            "cap": MAX_CAP,
            "half_life": MAX_HALF_LIFE,
            "grace": 365,
        },
    }


def _kinds() -> list[Form]:
    counted = [_EVENT, _compare(COMPARISONS, "How many"), _window(SLIDING)]
    last = {"last_days": 14}
    return [
        _kind(
            "count",
            "Event count",
            "An event, so many times",
            "{event} {compare} times {window}",
            counted,
            {"event": "*", "at_least": 3, "window": last},
        ),
        _kind(
            "distinct",
            "Different values",
            "An event with so many different values of a property",
            "{event} with {compare} different {of} {window}",
            [_EVENT, _text("of", "Property", "property"), *counted[1:]],
            {"event": "", "of": "", "at_least": 3, "window": last},
        ),
        _kind(
            "users",
            "People",
            "So many different people did something",
            "{compare} people with {event} {window}",
            counted,
            {"event": "*", "at_least": 3, "window": {"last_days": 28}},
            ("account",),
        ),
        _kind(
            "days",
            "Active days",
            "Something on so many different days",
            "{event} on {compare} days {window}",
            counted,
            {"event": "*", "at_least": 5, "window": last},
        ),
        _kind(
            "recency",
            "Recency",
            "Seen lately, or not seen for a while",
            "{event} {compare}",
            [_EVENT, _compare(("within_days", "not_for_days"), "When", _whole(1, MAX_DAYS))],
            {"event": "*", "within_days": 7},
        ),
        _kind(
            "first",
            "First time",
            "An event for the first time ever",
            "{event} for the first time {window}",
            [_EVENT, _window(STILL[1:])],
            {"event": "*", "window": {"last_days": 7}},
        ),
        _kind(
            "value",
            "Metered value",
            "An amount, or a share of what the plan allows",
            "{measure} of {event} {compare} {limit} {window}",
            [
                _EVENT | {"names": "metered"},
                _choice("measure", "Measure", MEASURES, "sum"),
                _compare((*AMOUNTS, "share_of_limit"), "How much", _number(-MAX_THRESHOLD * 1000)),
                _text("limit", "Limit of the plan", "limit", optional=True) | {"with": "share_of_limit"},
                _window(SLIDING) | {"without": {"any_days": ["measure", ["max", "last"]]}},
            ],
            {"event": "", "share_of_limit": 0.8, "window": "billing_month"},
        ),
        _kind(
            "change",
            "Change",
            "More or fewer events than in the days before",
            "{event} {compare} as often in {days} days as in those before {at_least} {base_at_least}",
            [
                _EVENT,
                _number_field("days", "Days", 1, MAX_DAYS),
                _compare(("factor_at_least", "factor_at_most"), "How many times as many", _number(0, 1000)),
                _number_field("at_least", "And at least so many events", 0, MAX_THRESHOLD, optional=True),
                _number_field("base_at_least", "And at least so many before", 1, MAX_THRESHOLD, optional=True),
            ],
            {"event": "*", "days": 7, "factor_at_least": 1.5, "at_least": 50},
        ),
        _kind(
            "sequence",
            "Sequence",
            "One event, then another",
            "{steps} within {within_days} days {window}",
            [
                {"key": "steps", "type": "steps", "label": "Steps", "min": 2, "max": MAX_STEPS},
                _number_field("within_days", "Within days", 1, MAX_DAYS),
                _window(STILL),
            ],
            {"steps": ["", ""], "within_days": 7},
        ),
        _kind(
            "trait",
            "Trait",
            "What is known of the account or the person",
            "{of} {name} {compare}",
            [
                _text("name", "Trait", "trait"),
                {"key": "of", "type": "subject", "label": "Of", "optional": True},
                _compare(
                    (*COMPARISONS, "is_set", "changed_within_days"),
                    "Is",
                    _number(-MAX_THRESHOLD * 1000),
                    {"exactly": {"type": "text"}, "in": {"type": "texts"}},
                ),
            ],
            {"name": "plan", "in": ["free", "trial"]},
        ),
        _kind(
            "stage",
            "Stage",
            "How far the account has come",
            "{stage} {window}",
            [
                {"key": "stage", "type": "stage", "label": "Stage", "keys": ["reached", "since"]},
                _window(STILL, with_="reached"),
                _number_field("at_least_days", "At least days ago", 0, MAX_DAYS, optional=True) | {"with": "since"},
                _number_field("at_most_days", "At most days ago", 0, MAX_DAYS, optional=True) | {"with": "since"},
            ],
            {"reached": "activated"},
        ),
        _kind(
            "definition",
            "Definition",
            "Qualifies under another definition",
            "qualifies for {definition}",
            [{"key": "definition", "type": "definition", "label": "Definition", "names": "definition"}],
            "",
        ),
        _kind(
            "users_who",
            "People for whom …",
            "So many people who meet conditions of their own",
            "{compare} people for whom",
            [_compare(COMPARISONS, "How many people")],
            {"at_least": 1, "rule": {"all": [{"recency": {"event": "*", "within_days": 7}}]}},
            ("account",),
        ),
        _kind(
            "score",
            "Score",
            "Points per signal, added up",
            "a score of {compare} points",
            [
                _compare(COMPARISONS, "Points"),
                {"key": "bands", "type": "bands", "label": "Bands", "optional": True, "max": MAX_BANDS},
            ],
            {
                "at_least": 60,
                "signals": [
                    {"part": "usage", "points": 10, "per": {"days": {"event": "*", "window": last}}, "cap": 100}
                ],
            },
        ),
    ]


def _kind(
    kind: str,
    label: str,
    words: str,
    phrase: str,
    fields: list[Form],
    start: object,
    subjects: tuple[Subject, ...] = ("account", "user"),
) -> Form:
    return {
        "kind": kind,
        "label": label,
        "words": words,
        "phrase": phrase,
        "icon": ICONS[kind],
        "fields": fields,
        "start": start,
        "subjects": list(subjects),
    }


_EVENT: Form = {"key": "event", "type": "event", "label": "Event", "names": "event"}


def _compare(ops: tuple[str, ...], label: str, numbers: Form | None = None, other: Form | None = None) -> Form:
    """Exactly one of `ops`; each with what it takes: `numbers`, or what `other` says of it."""
    whole = _whole(0, MAX_THRESHOLD)
    takes: dict[str, Form] = {
        "in": {"type": "wholes"},
        "is_set": {"type": "yes"},
        "share_of_limit": _number(0, 1000) | {"type": "share"},
        "changed_within_days": _whole(1, MAX_DAYS),
        "at_least": numbers or _whole(1, MAX_THRESHOLD),
    } | (other or {})
    options = [{"op": op, "label": OPS[op]} | takes.get(op, numbers or whole) for op in ops]
    return {"type": "compare", "label": label, "options": options}


def _whole(low: int, high: int) -> Form:
    return {"type": "whole", "min": low, "max": high}


def _number(low: int, high: int = MAX_THRESHOLD * 1000) -> Form:
    return {"type": "number", "min": low, "max": high}


def _number_field(key: str, label: str, low: int, high: int, *, optional: bool = False) -> Form:
    return {"key": key, "label": label, "optional": optional} | _whole(low, high)


def _text(key: str, label: str, names: str, *, optional: bool = False) -> Form:
    return {"key": key, "type": "text", "label": label, "names": names, "optional": optional}


def _choice(key: str, label: str, choices: tuple[str, ...], left_out: str) -> Form:
    return {"key": key, "type": "choice", "label": label, "choices": list(choices), "left_out": left_out}


def _window(kinds: tuple[str, ...], with_: str = "") -> Form:
    field: Form = {"key": "window", "type": "window", "label": "Window", "kinds": list(kinds)}
    return field | ({"with": with_} if with_ else {})
