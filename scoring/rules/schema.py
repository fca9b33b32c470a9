"""The stored form as a JSON Schema (draft 2020-12), made from the language's own words and limits. Pure.

For editors and other programs. It says of a document what can be said without adding up: `parse` also refuses more
than 64 conditions, bounds in the wrong order, days that are in no calendar, steps that share an event, a stage that a
definition writes itself, and a key of the reader's that contradicts another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plgops.lib import days
from scoring.rules.conditions import CONDITIONS, MAX_STEPS
from scoring.rules.parse import MAX_CONDITIONS, MAX_LEVELS
from scoring.rules.parts import AMOUNTS, COMPARISONS
from scoring.rules.scores import COUNTED, MAX_BANDS, MAX_CAP, MAX_HALF_LIFE, MAX_POINTS
from scoring.rules.tree import LEVELS, MEASURES, PARTS, PURPOSES, STAGES
from scoring.rules.values import MAX_DAYS, MAX_LIST, MAX_THRESHOLD
from scoring.rules.windows import Subject

Schema = dict[str, Any]
SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_MOST = MAX_THRESHOLD * 1000


def json_schema() -> Schema:
    """The schema of a whole definition. Rules stand in `$defs` by whom they ask and how deep they are."""
    asked: list[Subject] = ["account", "user"]
    rules = {f"{who}_{level}": _rule(who, level) for who in asked for level in range(1, MAX_LEVELS + 1)}
    motion = _object({"rule": _ref("account", 1)})
    common = {
        "slug": {"type": "string", "pattern": SLUG, "maxLength": 80},
        "name": _text(120),
        "purpose": {"enum": list(PURPOSES)},
        "grace_days": _whole(0, 365),
        "motion": motion,
    }
    needs = ("slug", "name", "purpose", "rule")
    people = _object({"users_at_least": _whole(1, MAX_THRESHOLD)})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "plgops definition",
        "oneOf": [
            _object(common | {"level": {"const": "account"}, "rule": _ref("account", 1)}, needs),
            _object(
                common | {"level": {"const": "user"}, "rule": _ref("user", 1), "account_when": people},
                (*needs, "level"),
            ),
        ],
        "$defs": rules | _shared() | {name: schema for who in asked for name, schema in _of(who).items()},
    }


def _shared() -> Schema:
    """What many conditions are made of."""
    day = {
        "anyOf": [{"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}, _whole(-days.FOREVER, days.FOREVER)]
    }
    name = _text(200)
    return {
        "day": day,
        "event": {"anyOf": [name, _list(_text(200) | {"not": {"const": "*"}})]},
        "amount": {"type": "number", "minimum": -_MOST, "maximum": _MOST},
        "value": {"anyOf": [_text(500), {"$ref": "#/$defs/amount"}, {"type": "boolean"}]},
    }


def _of(subject: Subject) -> Schema:
    """What does not depend on how deep it stands: conditions, what a score counts, windows."""
    kinds = _counting(subject) | _others(subject)
    slides = ("last_days", "first_days", "any_days", "billing_month")
    still = ("last_days", "first_days", "billing_month")
    return {
        f"{subject}_condition": {"oneOf": [_object({kind: schema}) for kind, schema in kinds.items()]},
        f"{subject}_counts": {"oneOf": _counts(subject)},
        f"{subject}_window": _windows(subject, slides),
        f"{subject}_still": _windows(subject, still),
        f"{subject}_within": _windows(subject, still, ever=False),
    }


def _rule(subject: Subject, level: int) -> Schema:
    kinds: Schema = {}
    if level < MAX_LEVELS:
        inner = _ref(subject, level + 1)
        kinds |= {"all": _list(inner, MAX_CONDITIONS), "any": _list(inner, MAX_CONDITIONS), "not": inner}
        if subject == "account":
            kinds["users_who"] = _compared(COMPARISONS, {"rule": _ref("user", level + 1)})
    kinds["score"] = _compared(
        COMPARISONS, {"signals": _list(_signal(subject, level), MAX_CONDITIONS)}, {"bands": _BANDS}
    )
    forms = [{"$ref": f"#/$defs/{subject}_condition"}, *(_object({kind: schema}) for kind, schema in kinds.items())]
    if level < MAX_LEVELS:
        several = _list(_ref(subject, level + 1), MAX_CONDITIONS)
        forms.append(_object({"at_least": _whole(1, MAX_CONDITIONS), "of": several}))
    return {"oneOf": forms}


def _counting(subject: Subject) -> Schema:
    more = {"window": _window(subject)}
    counted = _compared(COMPARISONS, {"event": _EVENT}, more)
    kinds = {
        "count": counted,
        "days": counted,
        "distinct": _compared(COMPARISONS, {"event": _EVENT, "of": _text(100)}, more),
    }
    return kinds | ({"users": counted} if subject == "account" else {})


def _others(subject: Subject) -> Schema:
    still = {"window": _window(subject, "still")}
    of = {"of": {"enum": list(LEVELS) if subject == "user" else ["account"]}}
    span, factor = _whole(1, MAX_DAYS), {"type": "number", "minimum": 0, "maximum": 1000}
    least = {"at_least": _whole(0, MAX_THRESHOLD), "base_at_least": _whole(1, MAX_THRESHOLD)}
    slug = {"type": "string", "pattern": SLUG, "maxLength": 80}
    bounds = {"at_least_days": _whole(0, MAX_DAYS), "at_most_days": _whole(0, MAX_DAYS)}
    stage = {"enum": list(STAGES)}
    amounts = {op: _AMOUNT if op != "between" else _pair(_AMOUNT) for op in AMOUNTS}
    added = {"measure": {"const": "sum"}, "window": _window(subject)}
    other = {"measure": {"enum": [measure for measure in MEASURES if measure != "sum"]}}
    share = {"share_of_limit": {"type": "number", "exclusiveMinimum": 0, "maximum": 1000}}
    limit = {"limit": _text(100)}
    found: Schema = {
        "recency": _one_of({"event": _EVENT}, {"within_days": span, "not_for_days": span}, {}),
        "first": _object({"event": _EVENT, "window": _window(subject, "within")}),
        "change": _one_of(
            {"event": _EVENT, "days": span}, {"factor_at_least": factor, "factor_at_most": factor}, least
        ),
        "value": {
            "oneOf": [
                _one_of({"event": _EVENT}, amounts, added),
                _one_of({"event": _EVENT} | other, amounts, still),
                _object({"event": _EVENT} | share | added | limit, ("event", "share_of_limit")),
                _object({"event": _EVENT} | share | other | still | limit, ("event", "share_of_limit", "measure")),
            ]
        },
        "sequence": _object(
            {"steps": _list(_EVENT, MAX_STEPS, least=2), "within_days": span} | still, ("steps", "within_days")
        ),
        "definition": {"oneOf": [slug, _object({"slug": slug, "version": _whole(1, MAX_THRESHOLD)}, ("slug",))]},
        "trait": _one_of(
            {"name": _text(100)},
            amounts
            | {"exactly": _VALUE, "in": _list(_VALUE), "is_set": {"type": "boolean"}, "changed_within_days": span},
            of,
        ),
        "stage": {
            "oneOf": [
                _object({"reached": stage, "window": _window("account", "still")}, ("reached",)),
                _object({"since": stage} | bounds, ("since",)) | {"minProperties": 2},
            ]
        },
    }
    assert found.keys() | {"count", "days", "distinct", "users"} == CONDITIONS.keys()
    return found


def _head() -> Schema:
    return {"part": {"enum": list(PARTS)}, "points": _whole(-MAX_POINTS, MAX_POINTS) | {"not": {"const": 0}}}


def _signal(subject: Subject, level: int) -> Schema:
    head = _head()
    counts: Schema = {"$ref": f"#/$defs/{subject}_counts"}
    return {"oneOf": [counts, _object(head | {"when": _ref(subject, level + 1)})]} if level < MAX_LEVELS else counts


def _counts(subject: Subject) -> list[Schema]:
    """A signal that counts each one: with a window, or with a half-life."""
    head = _head()
    cap, half = {"cap": _whole(1, MAX_CAP)}, {"half_life_days": _whole(1, MAX_HALF_LIFE)}

    def per(more: Schema) -> Schema:
        counted = [kind for kind in COUNTED if kind != "users" or subject == "account"]
        inner = {kind: {"event": _EVENT} | ({"of": _text(100)} if kind == "distinct" else {}) for kind in counted}
        return {"oneOf": [_object({kind: _object(keys | more, tuple(keys))}) for kind, keys in inner.items()]}

    return [
        _object(head | {"per": per({"window": _window(subject)})} | cap, (*head, "per")),
        _object(head | {"per": per({})} | half | cap, (*head, "per", *half)),
    ]


def _window(subject: Subject, kind: str = "window") -> Schema:
    return {"$ref": f"#/$defs/{subject}_{kind}"}


def _windows(subject: Subject, kinds: Sequence[str], *, ever: bool = True) -> Schema:
    span = _whole(1, MAX_DAYS)
    of = {"enum": list(LEVELS) if subject == "user" else ["account"]}
    forms: list[Schema] = [{"const": "ever"}] if ever else []
    for kind in kinds:
        if kind == "billing_month":
            forms.append({"const": kind})
        else:
            forms.append(_object({kind: span} | ({"of": of} if kind == "first_days" else {})))
    dates = {"from": {"$ref": "#/$defs/day"}, "to": {"$ref": "#/$defs/day"}}
    return {"oneOf": [*forms, _object(dates, ()) | {"minProperties": 1}]}


def _compared(ops: Sequence[str], needs: Schema, may: Schema | None = None) -> Schema:
    """An object with exactly one comparison of whole numbers."""
    whole = _whole(0, MAX_THRESHOLD)
    values = {"at_least": _whole(1, MAX_THRESHOLD), "between": _pair(whole), "in": _list(whole)}
    return _one_of(needs, {op: values.get(op, whole) for op in ops}, may or {})


def _one_of(needs: Schema, exactly_one: Schema, may: Schema) -> Schema:
    """An object with these keys, exactly one of `exactly_one`, and perhaps those of `may`."""
    return _object(needs | exactly_one | may, tuple(needs)) | {"oneOf": [{"required": [key]} for key in exactly_one]}


def _object(properties: Schema, needs: Sequence[str] | None = None) -> Schema:
    """An object with these keys and no others; all are needed unless said otherwise."""
    required = list(properties if needs is None else needs)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _list(items: Schema, longest: int = MAX_LIST, *, least: int = 1) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "maxItems": longest}


def _pair(items: Schema) -> Schema:
    return _list(items, 2, least=2)


def _whole(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


def _text(longest: int) -> Schema:
    return {"type": "string", "pattern": r"^[^\u0000]*[^\u0000\s][^\u0000]*$", "maxLength": longest}


def _ref(subject: Subject, level: int) -> Schema:
    return {"$ref": f"#/$defs/{subject}_{level}"}


_EVENT: Schema = {"$ref": "#/$defs/event"}
_AMOUNT: Schema = {"$ref": "#/$defs/amount"}
_VALUE: Schema = {"$ref": "#/$defs/value"}
_BANDS: Schema = {
    "type": "object",
    "maxProperties": MAX_BANDS,
    "propertyNames": _text(40),
    "additionalProperties": _whole(-MAX_CAP, MAX_CAP),
}
