"""Reading one condition: each kind with its keys, checked for the subject that it is asked of. Pure."""

from __future__ import annotations

from collections.abc import Callable

from scoring.rules.dated import read_stage, read_trait
from scoring.rules.metered import read_value
from scoring.rules.parts import (
    COMPARISONS,
    read_compare,
    read_event,
    read_events,
    read_slug,
    read_thousandths,
    read_window,
)
from scoring.rules.tree import (
    ANY_EVENT,
    Change,
    Compare,
    Condition,
    Count,
    Days,
    Distinct,
    First,
    Nested,
    Recency,
    Sequence,
    Users,
)
from scoring.rules.values import MAX_DAYS, MAX_THRESHOLD, Reader, at, quoted
from scoring.rules.windows import Ever, Subject, Window

MAX_STEPS = 5
_WINDOWS = ("last_days", "first_days", "any_days", "billing_month")


def _measured(
    reader: Reader,
    value: object,
    path: str,
    subject: Subject,
    make: Callable[[tuple[str, ...], Compare, Window], Condition],
) -> Condition | None:
    """The shape that count, users and days share."""
    table = reader.table(value, path, needs=("event",), may=(*COMPARISONS, "window"))
    if table is None:
        return None
    events = read_events(reader, table, path)
    compare = read_compare(reader, table, path)
    window = read_window(reader, table, path, subject, kinds=_WINDOWS)
    return make(events, compare, window) if events and compare and window else None


def _count(reader: Reader, value: object, path: str, subject: Subject) -> Condition | None:
    return _measured(reader, value, path, subject, Count)


def _days(reader: Reader, value: object, path: str, subject: Subject) -> Condition | None:
    return _measured(reader, value, path, subject, Days)


def _users(reader: Reader, value: object, path: str, subject: Subject) -> Condition | None:
    if subject == "user":
        reader.wrong(path, "“users” counts the people of an account: it has no meaning in a rule about one person")
    return _measured(reader, value, path, subject, Users)


def _distinct(reader: Reader, value: object, path: str, subject: Subject) -> Condition | None:
    table = reader.table(value, path, needs=("event", "of"), may=(*COMPARISONS, "window"))
    if table is None:
        return None
    events = read_events(reader, table, path)
    of = reader.text(table["of"], at(path, "of"), longest=100) if "of" in table else None
    compare = read_compare(reader, table, path)
    window = read_window(reader, table, path, subject, kinds=_WINDOWS)
    return Distinct(events, of, compare, window) if events and of and compare and window else None


def _recency(reader: Reader, value: object, path: str, subject: Subject) -> Condition | None:
    keys = ("within_days", "not_for_days")
    table = reader.table(value, path, needs=("event",), may=keys)
    if table is None:
        return None
    events = read_events(reader, table, path)
    given = [key for key in keys if key in table]
    if len(given) != 1:
        reader.wrong(path, f"expected exactly one of {quoted(keys)}")
        return None
    length = reader.whole(table[given[0]], at(path, given[0]), low=1, high=MAX_DAYS)
    if not events or length is None:
        return None
    if given[0] == "within_days":
        return Recency(events, within_days=length)
    return Recency(events, not_for_days=length)


def _first(reader: Reader, value: object, path: str, subject: Subject) -> Condition | None:
    table = reader.table(value, path, needs=("event", "window"), may=())
    if table is None:
        return None
    events = read_events(reader, table, path)
    if "window" not in table:
        return None
    window = read_window(reader, table, path, subject, kinds=("last_days", "first_days", "billing_month"))
    if isinstance(window, Ever):
        reader.wrong(at(path, "window"), "expected days that do not take in everything: whoever did it began once")
        return None
    return First(events, window) if events and window else None


def _change(reader: Reader, value: object, path: str, subject: Subject) -> Condition | None:
    factors = ("factor_at_least", "factor_at_most")
    table = reader.table(value, path, needs=("event", "days"), may=(*factors, "at_least", "base_at_least"))
    if table is None:
        return None
    events = read_events(reader, table, path)
    length = reader.whole(table["days"], at(path, "days"), low=1, high=MAX_DAYS) if "days" in table else None
    least = reader.whole(table.get("at_least", 0), at(path, "at_least"), low=0, high=MAX_THRESHOLD)
    base = reader.whole(table.get("base_at_least", 1), at(path, "base_at_least"), low=1, high=MAX_THRESHOLD)
    given = [key for key in factors if key in table]
    if len(given) != 1:
        reader.wrong(path, f"expected exactly one of {quoted(factors)}")
        return None
    factor = read_thousandths(reader, table[given[0]], at(path, given[0]), low=given[0] == "factor_at_least")
    if not events or length is None or least is None or base is None or factor is None:
        return None
    return Change(events, length, "at_least" if given[0] == "factor_at_least" else "at_most", factor, least, base)


def _definition(reader: Reader, value: object, path: str, subject: Subject) -> Condition | None:
    if isinstance(value, str):
        slug = read_slug(reader, value, path)
        return None if slug is None else Nested(slug)
    table = reader.table(value, path, needs=("slug",), may=("version",))
    if table is None or "slug" not in table:
        return None
    slug = read_slug(reader, table["slug"], at(path, "slug"))
    if "version" in table:
        version = reader.whole(table["version"], at(path, "version"), low=1, high=MAX_THRESHOLD)
        return None if slug is None or version is None else Nested(slug, version)
    return None if slug is None else Nested(slug)


def _sequence(reader: Reader, value: object, path: str, subject: Subject) -> Condition | None:
    table = reader.table(value, path, needs=("steps", "within_days"), may=("window",))
    if table is None:
        return None
    window = read_window(reader, table, path, subject, kinds=("last_days", "first_days", "billing_month"))
    length = None
    if "within_days" in table:
        length = reader.whole(table["within_days"], at(path, "within_days"), low=1, high=MAX_DAYS)
    here = at(path, "steps")
    found = reader.items(table["steps"], here, longest=MAX_STEPS) if "steps" in table else None
    if found is not None and len(found) < 2:
        reader.wrong(here, f"expected 2 to {MAX_STEPS} steps")
        return None
    steps = [read_event(reader, item, at(here, number)) for number, item in enumerate(found or [])]
    for number, (before, after) in enumerate(zip(steps, steps[1:], strict=False), start=1):
        if before and after and (set(before) & set(after) or ANY_EVENT in (before, after)):
            message = "expected other events than in the step before: one event alone would be both"
            reader.wrong(at(here, number), message)
            return None
    if found is None or length is None or window is None or not all(steps):
        return None
    return Sequence(tuple(steps), length, window)


# users_who is read by `parse`, which knows how deep it stands
CONDITIONS: dict[str, Callable[[Reader, object, str, Subject], Condition | None]] = {
    "count": _count,
    "distinct": _distinct,
    "users": _users,
    "days": _days,
    "recency": _recency,
    "first": _first,
    "value": read_value,
    "change": _change,
    "sequence": _sequence,
    "definition": _definition,
    "trait": read_trait,
    "stage": read_stage,
}
