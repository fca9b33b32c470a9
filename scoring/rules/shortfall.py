"""What a condition that does not hold is short of: what was measured, how much is missing, and both in words. Pure.

Numbers come as the statement tells them (whole: days as day numbers, amounts in millionths, points in 32nds) and
leave in the condition's own unit, as evidence holds them.
"""

from __future__ import annotations

from dataclasses import dataclass

from scoring.rules import describe, stored, tree
from scoring.rules.sql.terms import Leafy

Number = int | float


@dataclass(frozen=True, slots=True)
class Shortfall:
    """`distance` is what is missing of (or too much in) what was measured; None: it is no number, or unknown."""

    measured: Number | None
    distance: Number | None
    found: str  # “2 times, asked for at least 3”
    needs: str  # “1 more time”


def of(node: Leafy, measured: int | None, extra: int | None, *, day: int) -> Shortfall:
    """`extra` is what is told beside the measure: the base of a change, the amount that a share of a limit comes to."""
    way = _way(node, measured, extra, day)
    told = None if measured is None else _told(node, measured, day)
    distance = None if way is None else _in_units(node, abs(way))
    return Shortfall(
        told, distance, _found(node, told), _needs(node, told, distance, too_much=way is not None and way < 0)
    )


def _way(node: Leafy, measured: int | None, extra: int | None, day: int) -> int | None:
    """How much more is asked for (below 0: how much less), in the statement's unit."""
    number = measured or 0
    match node:
        case tree.Nested() | tree.TraitChanged() | tree.StageReached() | tree.First():
            return None
        case tree.Recency(not_for_days=length):
            return None if length is None or measured is None else length - (day - measured)
        case tree.StageSince():
            return None if measured is None else _to(day - measured, node.at_least_days, node.at_most_days)
        case tree.Trait():
            asks_number = node.low is not None or node.high is not None
            return _to(number, node.low, node.high) if asks_number and measured is not None else None
        case tree.Sequence(steps):
            return len(steps) - number
        case tree.Change():
            return _of_change(node, number, extra or 0)
        case tree.Value():
            return _of_value(node, measured, extra)
        case tree.Score(compare=compare):
            return _compared(number, compare, unit=32)
    return _compared(number, node.compare)


def _compared(number: int, compare: tree.Compare, unit: int = 1) -> int:
    if compare.op == "in":
        return min((value * unit - number for value in compare.values), key=abs)
    low, high = (None if bound is None else bound * unit for bound in (compare.low, compare.high))
    return _to(number, low, high)


def _to(number: int, low: int | None, high: int | None) -> int:
    if low is not None and number < low:
        return low - number
    return high - number if high is not None and number > high else 0


def _of_value(node: tree.Value, measured: int | None, extra: int | None) -> int | None:
    if isinstance(node.against, tree.Compare):
        return None if measured is None else _to(measured, node.against.low, node.against.high)
    return None if extra is None else extra - (measured or 0)


def _of_change(node: tree.Change, recent: int, base: int) -> int | None:
    if base < node.base_at_least:
        return None
    if recent < node.at_least:
        return node.at_least - recent
    exact = base * node.thousandths
    return exact // 1000 - recent if node.op == "at_most" else -(-exact // 1000) - recent


def _told(node: Leafy, measured: int, day: int) -> Number | None:
    if isinstance(node, tree.Trait) and node.low is None and node.high is None:
        return None  # only whether there is a value is told
    if isinstance(node, tree.Recency | tree.First | tree.TraitChanged | tree.StageReached | tree.StageSince):
        return day - measured
    return _in_units(node, measured)


def _in_units(node: Leafy, number: int) -> Number:
    if isinstance(node, tree.Score):
        return number / 32 if number % 32 else number // 32
    return stored.number_json(number) if isinstance(node, tree.Value | tree.Trait) else number


def _found(node: Leafy, told: Number | None) -> str:
    if isinstance(node, tree.Trait) and told is None:
        return "another value, or none"
    if isinstance(node, tree.StageReached):
        return "not in this time" if told is None else f"{told} days ago"
    return describe.describe_measure(node, told)


def _needs(node: Leafy, told: Number | None, distance: Number | None, *, too_much: bool) -> str:
    match node:
        case tree.Nested(slug, name=name):
            return f"to qualify for “{name or slug}”"
        case tree.Recency(not_for_days=None):
            return "activity again" if node.events == tree.ANY_EVENT else "the event again"
        case tree.Recency():
            return f"{_many(distance, 'more day')} without it"
        case tree.First():
            return "a first time" if told is None else "a first time that was in the window"
        case tree.StageReached():
            return f"to have {describe.describe_condition(node).removeprefix('has ')}"
        case tree.TraitChanged() | tree.Trait() if distance is None:
            return describe.describe_condition(node, subject=node.of)
        case tree.StageSince() if distance is None:
            return describe.describe_condition(node)
        case tree.StageSince() | tree.Recency():
            return f"{_many(distance, 'day')} fewer" if too_much else _many(distance, "more day")
        case tree.Sequence():
            return _many(distance, "more step")
        case tree.Change() if distance is None:
            return "more of it in the time before"
        case tree.Value(against=tree.Share()) if distance is None:
            return "a plan with a limit for this"
        case tree.Value() if distance is None:
            return "a value"
    if too_much:
        return f"{_amount(distance)} less"
    unit = {"events": "time", "people": "person", "values": "different value", "days": "day", "points": "point"}
    word = unit.get(describe.unit(node))
    return _many(distance, f"more {word}") if word else f"{_amount(distance)} more"


def _many(number: Number | None, word: str) -> str:
    plural = {"more person": "more people"}.get(word, f"{word}s")
    return f"{_amount(number)} {word if number == 1 else plural}"


def _amount(number: Number | None) -> str:
    """With two decimals at most, as far as that leaves something of it."""
    exact = number or 0
    short = round(exact, 2)
    return f"{short if short else exact:,}"
