"""Reading conditions about dated facts: traits and stages. Pure."""

from __future__ import annotations

from typing import Any

from scoring.rules.parts import COMPARISONS, read_amount, read_window
from scoring.rules.tree import LEVELS, STAGES, Condition, StageReached, StageSince, Trait, TraitChanged
from scoring.rules.values import MAX_DAYS, Reader, at, json_kind, quoted
from scoring.rules.windows import Subject


def read_trait(reader: Reader, value: object, path: str, subject: Subject) -> Condition | None:
    ops = (*COMPARISONS, "is_set", "changed_within_days")
    table = reader.table(value, path, needs=("name",), may=("of", *ops))
    if table is None:
        return None
    name = reader.text(table["name"], at(path, "name"), longest=100) if "name" in table else None
    of = reader.choice(table.get("of", subject), at(path, "of"), LEVELS)
    if of == "user" and subject == "account":
        reader.wrong(at(path, "of"), "expected “account”: people's traits are asked for inside “users_who”")
        of = None
    given = [op for op in ops if op in table]
    if len(given) != 1:
        reader.wrong(path, f"expected exactly one comparison: {quoted(ops)}")
        return None
    if given[0] == "changed_within_days":
        length = reader.whole(table[given[0]], at(path, given[0]), low=1, high=MAX_DAYS)
        whose: Subject = "user" if of == "user" else "account"
        return None if name is None or of is None or length is None else TraitChanged(name, whose, length)
    test = _trait_test(reader, given[0], table[given[0]], at(path, given[0]))
    if name is None or of is None or test is None:
        return None
    return Trait(name=name, of="user" if of == "user" else "account", **test)


def _trait_test(reader: Reader, op: str, value: object, path: str) -> dict[str, Any] | None:
    if op == "is_set":
        if not isinstance(value, bool):
            reader.wrong(path, f"expected true or false, not {json_kind(value)}")
            return None
        return {"op": op, "is_set": value}
    if op in ("at_least", "at_most", "between"):
        compare = read_amount(reader, value, path, op)
        return None if compare is None else {"op": op, "low": compare.low, "high": compare.high}
    found = [value] if op == "exactly" else reader.items(value, path)
    if found is None:
        return None
    texts: set[str] = set()
    numbers: set[int] = set()
    for number, item in enumerate(found):
        here = path if op == "exactly" else at(path, number)
        if isinstance(item, bool):
            texts.add("true" if item else "false")
        elif isinstance(item, (int, float)):
            micro = reader.micro(item, here)
            if micro is None:
                return None
            numbers.add(micro)
        else:
            text = reader.text(item, here, longest=500)
            if text is None:
                return None
            texts.add(text)
    return {"op": op, "texts": tuple(sorted(texts)), "numbers": tuple(sorted(numbers))}


def read_stage(reader: Reader, value: object, path: str, subject: Subject) -> Condition | None:
    table = reader.table(value, path, needs=(), may=("reached", "window", "since", "at_least_days", "at_most_days"))
    if table is None:
        return None
    if ("reached" in table) == ("since" in table):
        reader.wrong(path, "expected exactly one of “reached”, “since”")
        return None
    if "reached" in table:
        for key in ("at_least_days", "at_most_days"):
            if key in table:
                reader.wrong(at(path, key), "goes with “since”, not with “reached”")
        stage = reader.choice(table["reached"], at(path, "reached"), STAGES)
        window = read_window(reader, table, path, "account", kinds=("last_days", "first_days", "billing_month"))
        return StageReached(stage, window) if stage and window else None
    if "window" in table:
        reader.wrong(at(path, "window"), "goes with “reached”, not with “since”")
    stage = reader.choice(table["since"], at(path, "since"), STAGES)
    bounds: dict[str, int | None] = {}
    for key in ("at_least_days", "at_most_days"):
        bounds[key] = None
        if key in table:
            bounds[key] = reader.whole(table[key], at(path, key), low=0, high=MAX_DAYS)
    low, high = bounds["at_least_days"], bounds["at_most_days"]
    if "at_least_days" not in table and "at_most_days" not in table:
        reader.wrong(path, "expected “at_least_days”, “at_most_days” or both")
        return None
    if low is not None and high is not None and low > high:
        reader.wrong(path, "expected “at_least_days” not above “at_most_days”")
        return None
    return StageSince(stage, low, high) if stage else None
