"""What conditions are made of: reading their events, their comparison and their window. Pure."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from plgops.lib import days
from scoring.rules.tree import LEVELS, Compare
from scoring.rules.values import MAX_DAYS, MAX_THRESHOLD, Reader, at, json_kind, quoted
from scoring.rules.windows import AnyDays, BillingMonth, Dates, Ever, FirstDays, LastDays, Subject, Window

COMPARISONS = ("at_least", "at_most", "exactly", "between", "in")
AMOUNTS = ("at_least", "at_most", "exactly", "between")  # of metered values
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def read_slug(reader: Reader, value: object, path: str) -> str | None:
    """The name of a definition."""
    slug = reader.text(value, path, longest=80)
    if slug is not None and not _SLUG.fullmatch(slug):
        reader.wrong(path, "expected lower-case letters, digits and single hyphens, such as team-expansion")
        return None
    return slug


def read_events(reader: Reader, table: dict[str, Any], path: str) -> tuple[str, ...]:
    if "event" not in table:
        return ()  # the missing key is noted already
    return read_event(reader, table["event"], at(path, "event"))


def read_event(reader: Reader, value: object, here: str) -> tuple[str, ...]:
    """A name, a list of names in order, or “*”; empty where it is none of them."""
    if isinstance(value, str):
        name = reader.text(value, here, longest=200)
        return () if name is None else (name,)
    if not isinstance(value, list):
        reader.wrong(here, f"expected an event name, a list of names, or “*”, not {json_kind(value)}")
        return ()
    names: set[str] = set()
    for number, item in enumerate(reader.items(value, here) or []):
        name = reader.text(item, at(here, number), longest=200)
        if name == "*":
            reader.wrong(at(here, number), "“*” stands alone, not in a list")
        elif name is not None:
            names.add(name)
    return tuple(sorted(names))


def read_compare(reader: Reader, table: dict[str, Any], path: str, *, lowest: int = 0) -> Compare | None:
    """Exactly one comparison among the keys of a condition."""
    given = [op for op in COMPARISONS if op in table]
    if len(given) != 1:
        reader.wrong(path, f"expected exactly one comparison: {quoted(COMPARISONS)}")
        return None
    op = given[0]
    here, value = at(path, op), table[op]
    if op == "at_least":
        low = reader.whole(value, here, low=max(lowest, 1), high=MAX_THRESHOLD)
        return None if low is None else Compare("at_least", low=low)
    if op == "at_most":
        high = reader.whole(value, here, low=lowest, high=MAX_THRESHOLD)
        return None if high is None else Compare("at_most", high=high)
    if op == "exactly":
        same = reader.whole(value, here, low=lowest, high=MAX_THRESHOLD)
        return None if same is None else Compare("exactly", low=same, high=same)
    found = reader.items(value, here)
    if found is None:
        return None
    numbers = [reader.whole(item, at(here, i), low=lowest, high=MAX_THRESHOLD) for i, item in enumerate(found)]
    whole = [number for number in numbers if number is not None]
    if len(whole) != len(found):
        return None
    if op == "in":
        return Compare("in", low=min(whole), high=max(whole), values=tuple(sorted(set(whole))))
    if len(whole) != 2 or whole[0] > whole[1]:
        reader.wrong(here, "expected two numbers, the smaller first")
        return None
    return Compare("between", low=whole[0], high=whole[1])


def read_amount(reader: Reader, value: object, path: str, op: str) -> Compare | None:
    """The bounds of a comparison of numbers that need not be whole, in micro-units."""
    found = reader.items(value, path, longest=2) if op == "between" else [value]
    if found is None:
        return None
    bounds = [reader.micro(item, at(path, number) if op == "between" else path) for number, item in enumerate(found)]
    numbers = [bound for bound in bounds if bound is not None]
    if len(numbers) != len(found):
        return None
    match op:
        case "at_least":
            return Compare("at_least", low=numbers[0])
        case "at_most":
            return Compare("at_most", high=numbers[0])
        case "exactly":
            return Compare("exactly", low=numbers[0], high=numbers[0])
    if len(numbers) != 2 or numbers[0] > numbers[1]:
        reader.wrong(path, "expected two numbers, the smaller first")
        return None
    return Compare("between", low=numbers[0], high=numbers[1])


def read_thousandths(reader: Reader, value: object, path: str, *, low: int) -> int | None:
    """A factor or share from `low` thousandths to 1000, with at most three decimals."""
    micro = reader.micro(value, path)
    if micro is None:
        return None
    if micro % 1000 or not low <= micro // 1000 <= 1_000_000:
        least = "0.001" if low else "0"
        reader.wrong(path, f"expected a number from {least} to 1000 with at most three decimals, such as 0.8")
        return None
    return micro // 1000


def read_window(
    reader: Reader, table: dict[str, Any], path: str, subject: Subject, *, kinds: tuple[str, ...]
) -> Window | None:
    """The window, ever if there is none. `kinds` are those that make sense for the condition."""
    value, here = table.get("window", "ever"), at(path, "window")
    if value == "ever":
        return Ever()
    if value == "billing_month" and value in kinds:
        return BillingMonth()
    expected = f"expected {quoted(('ever', *kinds))} as in docs/rules.md"
    if not isinstance(value, dict):
        reader.wrong(here, expected)
        return None
    if "from" in value or "to" in value:
        return _dates(reader, value, here)
    found = [kind for kind in kinds if kind in value and kind != "billing_month"]
    if len(found) != 1:
        reader.wrong(here, expected)
        return None
    kind = found[0]
    length = reader.whole(value[kind], at(here, kind), low=1, high=MAX_DAYS)
    if kind == "first_days":
        reader.table(value, here, needs=("first_days", "of"), may=())
        of = reader.choice(value["of"], at(here, "of"), LEVELS) if "of" in value else None
        if of == "user" and subject == "account":
            reader.wrong(
                at(here, "of"), "expected “account”: a person's sign-up has a meaning only in a rule about people"
            )
            return None
        if length is None or of is None:
            return None
        return FirstDays(length, "user" if of == "user" else "account")
    reader.table(value, here, needs=(kind,), may=())
    if length is None:
        return None
    return LastDays(length) if kind == "last_days" else AnyDays(length)


def _dates(reader: Reader, value: dict[str, Any], path: str) -> Window | None:
    reader.table(value, path, needs=(), may=("from", "to"))
    bounds: dict[str, int | None] = {}
    for key in ("from", "to"):
        if key in value:
            bounds[key] = _day(reader, value[key], at(path, key))
            if bounds[key] is None:
                return None
    start, end = bounds.get("from"), bounds.get("to")
    if start is not None and end is not None and start > end:
        reader.wrong(path, "expected “from” not after “to”")
        return None
    return Dates(start, end)


def _day(reader: Reader, value: object, path: str) -> int | None:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return days.day_number(dt.date.fromisoformat(value))
        except ValueError:
            reader.wrong(path, "expected a date of the calendar as YYYY-MM-DD")
            return None
    if isinstance(value, int) and not isinstance(value, bool):
        return reader.whole(value, path, low=-days.FOREVER, high=days.FOREVER)
    reader.wrong(path, "expected a date as YYYY-MM-DD or a day number (days since 1970-01-01)")
    return None
