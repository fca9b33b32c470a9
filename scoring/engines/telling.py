"""Evidence as it is frozen: each condition as JSON, ids and numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accounts.models import ProductUser, TraitValue
from scoring.engines.found import PEOPLE, Found, Question
from scoring.rules import describe, stored, tree, windows

Traits = dict[str, tuple[str, int | None]]


def account_traits(question: Question, found: Sequence[Found]) -> Traits:
    """The account's own traits that conditions ask for, as they stood: text and number by name."""
    traits = [item.leaf.node for item in found if isinstance(item.leaf.node, tree.Trait)]
    if not any(trait.of == "account" for trait in traits):
        return {}
    stands = TraitValue.objects.filter(
        account_id=question.account_id,
        name__in={trait.name for trait in traits},
        from_day__lte=question.day,
        to_day__gt=question.day,
    )
    rows = stands.order_by("id").values_list("name", "text", "number")
    return {name: (text, number) for name, text, number in rows}


def told(question: Question, item: Found, traits: Traits) -> dict[str, Any]:
    """One condition as evidence holds it."""
    node = item.leaf.node
    comparison, threshold = asked_for(node)
    told = {
        "path": item.leaf.path,
        "kind": tree.kind_of(node),
        "english": describe.describe_condition(node, subject=item.leaf.subject),
        "holds": item.holds,
        "measured": _told_measure(question, item, traits),
        "threshold": threshold,
        "comparison": comparison,
        "unit": describe.unit(node),
        "event_type_ids": list(question.types.ids_of(node)),
        "window": _told_window(question, item),
        "people": item.people[:PEOPLE],
        "people_total": item.people_total,
        "days": sorted(item.days),
        "days_total": item.days_total,
        "newest_us": item.newest_us,
    }
    return told | {"negated": True} if item.leaf.negated else told


def _told_measure(question: Question, item: Found, traits: Traits) -> Any:
    node = item.leaf.node
    if isinstance(node, tree.Recency):
        return None if item.measured is None else question.day - item.measured
    if not isinstance(node, tree.Trait):
        return item.measured
    if node.of == "account" and node.name in traits:
        text, number = traits[node.name]
        return text if number is None else stored.number_json(number)
    if node.op in ("at_least", "at_most", "between") and item.measured is not None:
        return stored.number_json(item.measured)
    return None


def _told_window(question: Question, item: Found) -> dict[str, int | None] | None:
    window = item.window
    if isinstance(item.leaf.node, tree.StageReached):
        window = item.leaf.node.window
    elif isinstance(item.leaf.node, tree.Recency):
        length = item.leaf.node.within_days or item.leaf.node.not_for_days or 0
        window = windows.LastDays(length)
    match window:
        case windows.LastDays(length):
            return {"from_day": question.day - length + 1, "to_day": question.day}
        case windows.Dates(start, end):
            return {"from_day": start, "to_day": question.day if end is None else end}
        case windows.FirstDays(length, of):
            start_day = question.signup_day if of == "account" else _signup_of(item.people[:1])
            return None if start_day is None else {"from_day": start_day, "to_day": start_day + length - 1}
    return None


def _signup_of(people: list[int]) -> int | None:
    return ProductUser.objects.filter(pk__in=people).values_list("signup_day", flat=True).first()


def asked_for(node: tree.Condition | tree.UsersWho) -> tuple[str, Any]:
    """The comparison of a condition and its threshold, as evidence shows them."""
    match node:
        case tree.Recency(_, within_days, not_for_days):
            return ("within_days", within_days) if within_days is not None else ("not_for_days", not_for_days)
        case tree.StageReached():
            return "reached", None
        case tree.StageSince(_, low, high):
            if low is not None and high is not None:
                return "between", [low, high]
            return ("at_least", low) if low is not None else ("at_most", high)
        case tree.Trait():
            ((comparison, threshold),) = (
                (key, value)
                for key, value in stored.rule_json(node, subject=node.of)["trait"].items()
                if key not in ("name", "of")
            )
            return comparison, threshold
    ((comparison, threshold),) = stored.compare_json(node.compare).items()
    return comparison, threshold
