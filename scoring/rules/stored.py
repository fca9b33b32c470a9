"""The canonical stored form: typed nodes back into JSON, and the digest of a definition. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from plgops.lib import days
from scoring.rules.tree import (
    All,
    Any_,
    AtLeast,
    Change,
    Compare,
    Count,
    Days,
    DefinitionDoc,
    Distinct,
    First,
    Nested,
    Node,
    Not,
    Recency,
    Score,
    Sequence,
    Share,
    Signal,
    StageReached,
    StageSince,
    Trait,
    TraitChanged,
    Users,
    UsersWho,
    Value,
    kind_of,
)
from scoring.rules.windows import AnyDays, BillingMonth, Dates, Ever, FirstDays, LastDays, Subject, Window


def to_json(doc: DefinitionDoc) -> dict[str, Any]:
    """The canonical stored form: defaults left out where the language has one, names in order."""
    document: dict[str, Any] = {
        "slug": doc.slug,
        "name": doc.name,
        "purpose": doc.purpose,
        "level": doc.level,
        "rule": rule_json(doc.rule, subject=doc.level),
        "grace_days": doc.grace_days,
    }
    if doc.level == "user":
        document["account_when"] = {"users_at_least": doc.users_at_least}
    if doc.motion is not None:
        document["motion"] = {"rule": rule_json(doc.motion, subject="account")}
    return document


def digest(doc: DefinitionDoc) -> str:
    """The same for two documents that mean the same text by text; 32 hex digits."""
    text = json.dumps(to_json(doc), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def rule_json(rule: Node, *, subject: Subject) -> dict[str, Any]:
    """The stored form of a rule."""
    match rule:
        case All(of):
            return {"all": [rule_json(part, subject=subject) for part in of]}
        case Any_(of):
            return {"any": [rule_json(part, subject=subject) for part in of]}
        case Not(of=part):
            return {"not": rule_json(part, subject=subject)}
        case AtLeast(k, of):
            return {"at_least": k, "of": [rule_json(part, subject=subject) for part in of]}
        case UsersWho(compare, inner):
            return {"users_who": compare_json(compare) | {"rule": rule_json(inner, subject="user")}}
        case Count() | Users() | Days():
            inside = {"event": _event_json(rule.events)} | compare_json(rule.compare) | _window_json(rule.window)
            return {kind_of(rule): inside}
        case Distinct(events, of, compare, window):
            inside = {"event": _event_json(events), "of": of} | compare_json(compare) | _window_json(window)
            return {"distinct": inside}
        case Recency(events, within_days, not_for_days):
            length = {"within_days": within_days} if within_days is not None else {"not_for_days": not_for_days}
            return {"recency": {"event": _event_json(events)} | length}
        case First(events, window):
            return {"first": {"event": _event_json(events)} | _window_json(window)}
        case Value():
            return {"value": _value_json(rule)}
        case Change(events, length, op, factor, least, base):
            inside = {"event": _event_json(events), "days": length, f"factor_{op}": number_json(factor * 1000)}
            inside |= {"at_least": least} if least else {}
            return {"change": inside | ({"base_at_least": base} if base > 1 else {})}
        case Score(signals, compare, bands):
            inside = {"signals": [_signal_json(signal, subject) for signal in signals]} | compare_json(compare)
            return {"score": inside | ({"bands": dict(bands)} if bands else {})}
        case Nested(slug, version):
            return {"definition": slug if version is None else {"slug": slug, "version": version}}
        case Sequence(steps, length, window):
            inside = {"steps": [_event_json(step) for step in steps], "within_days": length}
            return {"sequence": inside | _window_json(window)}
        case Trait():
            return {"trait": _trait_json(rule, subject)}
        case TraitChanged(name, of, length):
            whose = {} if of == subject else {"of": of}
            return {"trait": {"name": name} | whose | {"changed_within_days": length}}
        case StageReached(stage, window):
            return {"stage": {"reached": stage} | _window_json(window)}
        case StageSince(stage, low, high):
            bounds = {"at_least_days": low, "at_most_days": high}
            return {"stage": {"since": stage} | {key: value for key, value in bounds.items() if value is not None}}


def _event_json(events: tuple[str, ...]) -> str | list[str]:
    return events[0] if len(events) == 1 else list(events)


def compare_json(compare: Compare) -> dict[str, Any]:
    """The comparison as its one key and value."""
    values: Mapping[str, Any] = {
        "at_least": compare.low,
        "at_most": compare.high,
        "exactly": compare.low,
        "between": [compare.low, compare.high],
        "in": list(compare.values),
    }
    return {compare.op: values[compare.op]}


def _window_json(window: Window) -> dict[str, Any]:
    match window:
        case Ever():
            return {}
        case LastDays(length):
            return {"window": {"last_days": length}}
        case FirstDays(length, of):
            return {"window": {"first_days": length, "of": of}}
        case AnyDays(length):
            return {"window": {"any_days": length}}
        case BillingMonth():
            return {"window": "billing_month"}
        case Dates(start, end):
            bounds = {"from": start, "to": end}
            return {"window": {key: _day_json(day) for key, day in bounds.items() if day is not None}}


def _day_json(day: int) -> str | int:
    try:
        return days.date_of(day).isoformat()
    except OverflowError:
        return day


def number_json(micro: int) -> int | float:
    """A micro-unit number as JSON: whole where it is whole."""
    return micro // days.MICRO if micro % days.MICRO == 0 else float(Decimal(micro) / days.MICRO)


def amount_json(compare: Compare) -> dict[str, Any]:
    """A comparison of micro-units as its one key and value."""
    if compare.op == "between":
        return {"between": [number_json(compare.low or 0), number_json(compare.high or 0)]}
    return {compare.op: number_json((compare.high if compare.op == "at_most" else compare.low) or 0)}


def _value_json(value: Value) -> dict[str, Any]:
    found: dict[str, Any] = {"event": _event_json(value.events)}
    if value.measure != "sum":
        found["measure"] = value.measure
    if isinstance(value.against, Share):
        found["share_of_limit"] = number_json(value.against.thousandths * 1000)
        if value.events != (value.against.metric,):
            found["limit"] = value.against.metric
    else:
        found |= amount_json(value.against)
    return found | _window_json(value.window)


def _signal_json(signal: Signal, subject: Subject) -> dict[str, Any]:
    found: dict[str, Any] = {"part": signal.part, "points": signal.points}
    if signal.when is not None:
        return found | {"when": rule_json(signal.when, subject=subject)}
    if signal.per is not None:
        ((kind, inside),) = rule_json(signal.per, subject=subject).items()
        found["per"] = {kind: {key: value for key, value in inside.items() if key != "at_least"}}
    more = {"cap": signal.cap, "half_life_days": signal.half_life_days}
    return found | {key: value for key, value in more.items() if value is not None}


def _trait_json(trait: Trait, subject: Subject) -> dict[str, Any]:
    found: dict[str, Any] = {"name": trait.name}
    if trait.of != subject:
        found["of"] = trait.of
    equal = [*trait.texts, *(number_json(number) for number in trait.numbers)]
    values: Mapping[str, Callable[[], Any]] = {
        "in": lambda: equal,
        "exactly": lambda: equal[0],
        "at_least": lambda: number_json(trait.low or 0),
        "at_most": lambda: number_json(trait.high or 0),
        "between": lambda: [number_json(trait.low or 0), number_json(trait.high or 0)],
        "is_set": lambda: trait.is_set,
    }
    return found | {trait.op: values[trait.op]()}
