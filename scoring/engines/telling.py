"""Evidence as it is frozen: each condition as JSON, ids and numbers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accounts.models import ProductUser, TraitValue
from scoring.engines.found import PEOPLE, Found, Question
from scoring.rules import describe, stored, tree, windows
from scoring.rules.sql.terms import needs_person

Traits = dict[str, tuple[str, int | None]]


@dataclass(frozen=True, slots=True)
class Known:
    """What is read once for all accounts that are told."""

    traits: Mapping[int, Traits]  # by account id
    signups: Mapping[int, int]  # of people whose own sign-up a window starts at


def known(question: Question, found: Sequence[Found]) -> Known:
    """Read the traits and sign-ups that telling these conditions needs."""
    best = {item.people[0] for item in found if item.people and needs_person(item.leaf.node)}
    signups = ProductUser.objects.filter(pk__in=best).values_list("pk", "signup_day") if best else ()
    return Known(traits=account_traits(question, found), signups=dict(signups))


def account_traits(question: Question, found: Sequence[Found]) -> Mapping[int, Traits]:
    """The accounts' own traits that conditions ask for, as they stood: text and number by name."""
    traits = {item.leaf.node for item in found if isinstance(item.leaf.node, tree.Trait)}
    if not any(trait.of == "account" for trait in traits):
        return {}
    stands = TraitValue.objects.filter(
        account_id__in=list(question.signup_days),
        name__in={trait.name for trait in traits},
        from_day__lte=question.day,
        to_day__gt=question.day,
    )
    rows: dict[int, Traits] = {}
    for account_id, name, text, number in stands.order_by("id").values_list("account_id", "name", "text", "number"):
        rows.setdefault(account_id, {})[name] = (text, number)
    return rows


def alike(question: Question, leaf: tree.Leaf) -> dict[str, Any]:
    """What evidence holds of a condition whatever the account."""
    comparison, threshold = asked_for(leaf.node)
    found = {
        "path": leaf.path,
        "kind": tree.kind_of(leaf.node),
        "english": describe.describe_condition(leaf.node, subject=leaf.subject),
        "threshold": threshold,
        "comparison": comparison,
        "unit": describe.unit(leaf.node),
        "event_type_ids": list(question.types.ids_of(leaf.node)),
    }
    if isinstance(leaf.node, tree.Nested):
        found |= {"definition": leaf.node.slug, "version": leaf.node.version}
    return found | ({"negated": True} if leaf.negated else {})


def told(question: Question, item: Found, same: Mapping[str, Any], known: Known) -> dict[str, Any]:
    """One condition as evidence holds it; `same` is what it has in common with other accounts."""
    return {
        **same,
        "holds": item.holds,
        "measured": _told_measure(question, item, known.traits.get(item.account_id, {})),
        **_told_extras(item),
        "window": _told_window(question, item, known),
        "people": item.people[:PEOPLE],
        "people_total": item.people_total,
        "days": sorted(item.days),
        "days_total": item.days_total,
        "newest_us": item.newest_us,
    }


def _told_measure(question: Question, item: Found, traits: Traits) -> Any:
    node = item.leaf.node
    if isinstance(node, tree.Recency | tree.First | tree.TraitChanged):
        return None if item.measured is None else question.day - item.measured
    if isinstance(node, tree.Score):
        return None if item.measured is None else _points(item.measured)
    if isinstance(node, tree.Value):
        return None if item.measured is None else stored.number_json(item.measured)
    if not isinstance(node, tree.Trait):
        return item.measured
    if node.of == "account" and node.name in traits:
        text, number = traits[node.name]
        return text if number is None else stored.number_json(number)
    if node.op in ("at_least", "at_most", "between") and item.measured is not None:
        return stored.number_json(item.measured)
    return None


def _points(in_32nds: int) -> int | float:
    """Points as JSON: whole where they are whole, else exact."""
    return in_32nds // 32 if in_32nds % 32 == 0 else in_32nds / 32


def _told_extras(item: Found) -> dict[str, Any]:
    """What is told beside the measure: of a share, what the plan allows (None: it sets no limit); of a change, what
    there was before; of a sequence, when the latest complete one began; of a score, its parts, the points of each
    signal in order, and the highest band reached."""
    if isinstance(item.leaf.node, tree.Score):
        # nobody there to be asked of a rule about people: no points
        score = item.leaf.node
        points = dict.fromkeys(tree.extras(score), 0) | {name: _points(n) for name, n in item.extras.items()}
        reached = (name for name, least in score.bands if item.measured is not None and item.measured >= 32 * least)
        return {
            "parts": {part: points[part] for part in tree.PARTS},
            "points": [points[f"signal_{number}"] for number in range(len(score.signals))],
            "band": next(reached, None),
        }
    told = dict(item.extras)
    if isinstance(item.leaf.node, tree.Value):
        told = {name: None if value is None else stored.number_json(value) for name, value in told.items()}
    return told


def _told_window(question: Question, item: Found, known: Known) -> dict[str, int | None] | None:
    window = item.window
    if isinstance(item.leaf.node, tree.StageReached | tree.First):
        window = item.leaf.node.window
    elif isinstance(item.leaf.node, tree.Recency):
        length = item.leaf.node.within_days or item.leaf.node.not_for_days or 0
        window = windows.LastDays(length)
    match window:
        case windows.BillingMonth():
            return {"from_day": windows.month_start(question.day), "to_day": question.day}
        case windows.LastDays(length):
            return {"from_day": question.day - length + 1, "to_day": question.day}
        case windows.Dates(start, end):
            return {"from_day": start, "to_day": question.day if end is None else end}
        case windows.FirstDays(length, of):
            if of == "account":
                start_day: int | None = question.signup_days[item.account_id]
            else:
                start_day = known.signups.get(item.people[0]) if item.people else None
            return None if start_day is None else {"from_day": start_day, "to_day": start_day + length - 1}
    return None


def asked_for(node: tree.Condition | tree.UsersWho) -> tuple[str, Any]:
    """The comparison of a condition and its threshold, as evidence shows them."""
    match node:
        case tree.Recency(_, within_days, not_for_days):
            return ("within_days", within_days) if within_days is not None else ("not_for_days", not_for_days)
        case tree.TraitChanged(within_days=length):
            return "changed_within_days", length
        case tree.Sequence(steps):
            return "steps", len(steps)
        case tree.Nested():
            return "qualifies", None
        case tree.StageReached():
            return "reached", None
        case tree.First():
            return "first", None
        case tree.StageSince(_, low, high):
            if low is not None and high is not None:
                return "between", [low, high]
            return ("at_least", low) if low is not None else ("at_most", high)
        case tree.Change(op=op, thousandths=factor):
            return f"factor_{op}", stored.number_json(factor * 1000)
        case tree.Value(against=against):
            if isinstance(against, tree.Share):
                return "share_of_limit", stored.number_json(against.thousandths * 1000)
            ((comparison, threshold),) = stored.amount_json(against).items()
            return comparison, threshold
        case tree.Trait():
            ((comparison, threshold),) = (
                (key, value)
                for key, value in stored.rule_json(node, subject=node.of)["trait"].items()
                if key not in ("name", "of")
            )
            return comparison, threshold
    ((comparison, threshold),) = stored.compare_json(node.compare).items()
    return comparison, threshold
