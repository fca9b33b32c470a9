"""Reading scores: signals with points, caps and half-lives, and bands. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scoring.rules.conditions import CONDITIONS
from scoring.rules.parts import COMPARISONS, read_compare
from scoring.rules.tree import PARTS, Condition, Count, Days, Distinct, Node, Score, Signal, Users
from scoring.rules.values import Reader, at, json_kind, quoted
from scoring.rules.windows import Subject

MAX_POINTS = 1000
MAX_CAP = 1_000_000
MAX_HALF_LIFE = 365
MAX_BANDS = 10
COUNTED = ("count", "distinct", "users", "days")


def read_score(
    reader: Reader, value: object, path: str, subject: Subject, *, rule: Callable[[object, str], Node | None]
) -> Condition | None:
    """`{"score": {"signals": [...], comparison, "bands"}}`; `rule` reads what stands under `when`."""
    table = reader.table(value, path, needs=("signals",), may=(*COMPARISONS, "bands"))
    if table is None:
        return None
    compare = read_compare(reader, table, path)
    bands = _bands(reader, table.get("bands", {}), at(path, "bands"))
    here = at(path, "signals")
    found = reader.items(table["signals"], here, longest=64) if "signals" in table else None
    signals = [_signal(reader, item, at(here, number), subject, rule) for number, item in enumerate(found or [])]
    read = tuple(signal for signal in signals if signal is not None)
    if found is None or len(read) != len(found) or compare is None or bands is None:
        return None
    return Score(read, compare, bands)


def _signal(
    reader: Reader, value: object, path: str, subject: Subject, rule: Callable[[object, str], Node | None]
) -> Signal | None:
    table = reader.table(value, path, needs=("part", "points"), may=("when", "per", "cap", "half_life_days"))
    if table is None:
        return None
    part = reader.choice(table["part"], at(path, "part"), PARTS) if "part" in table else None
    points = None
    if "points" in table:
        points = reader.whole(table["points"], at(path, "points"), low=-MAX_POINTS, high=MAX_POINTS)
        if points == 0:
            reader.wrong(at(path, "points"), "expected points to give or, below 0, to take")
            points = None
    if ("when" in table) == ("per" in table):
        reader.wrong(path, "expected exactly one of “when”, “per”")
        return None
    if "when" in table:
        for key in ("cap", "half_life_days"):
            if key in table:
                reader.wrong(at(path, key), "goes with “per”")
        when = rule(table["when"], at(path, "when"))
        return Signal(part, points, when) if part and points and when else None
    cap = half_life = None
    if "cap" in table:
        cap = reader.whole(table["cap"], at(path, "cap"), low=1, high=MAX_CAP)
    if "half_life_days" in table:
        half_life = reader.whole(table["half_life_days"], at(path, "half_life_days"), low=1, high=MAX_HALF_LIFE)
    per = _per(reader, table["per"], at(path, "per"), subject, decays="half_life_days" in table)
    if part is None or points is None or per is None:
        return None
    return Signal(part, points, None, per, cap, half_life)


def _per(
    reader: Reader, value: object, path: str, subject: Subject, *, decays: bool
) -> Count | Distinct | Users | Days | None:
    if not isinstance(value, dict):
        reader.wrong(path, f"expected an object, not {json_kind(value)}")
        return None
    if len(value) != 1 or not value.keys() <= set(COUNTED):
        reader.wrong(path, f"expected exactly one of {quoted(COUNTED)}")
        return None
    ((key, inner),) = value.items()
    here = at(path, key)
    reader.conditions += 1
    given: dict[str, Any] = dict(inner) if isinstance(inner, dict) else {}
    for op in COMPARISONS:
        if op in given:
            reader.wrong(at(here, op), "each one counts: a comparison has no place here")
            return None
    if decays and "window" in given:
        reader.wrong(at(here, "window"), "what decays has no window: it counts for six half-lives")
        return None
    read = CONDITIONS[key](reader, given | {"at_least": 1} if isinstance(inner, dict) else inner, here, subject)
    return read if isinstance(read, Count | Distinct | Users | Days) else None


def _bands(reader: Reader, value: object, path: str) -> tuple[tuple[str, int], ...] | None:
    if not isinstance(value, dict) or len(value) > MAX_BANDS:
        reader.wrong(path, f"expected an object of at most {MAX_BANDS} names with the points they begin at")
        return None
    found: list[tuple[str, int]] = []
    for name, least in value.items():
        if not 1 <= len(name.strip()) <= 40:
            reader.wrong(at(path, name), "expected a name of 1 to 40 characters")
        points = reader.whole(least, at(path, name), low=-MAX_CAP, high=MAX_CAP)
        if points is not None:
            found.append((name, points))
    return tuple(sorted(found, key=lambda band: (-band[1], band[0])))
