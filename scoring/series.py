"""The small line beside a condition: how it came, day by day, to what was measured.

What a line needs is summed up in the database, one row a day, in one query for all lines of a page: a company of
three thousand people costs little more than one of three, and nothing is cut off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.db import connection
from django.db.models import Count, Min, Model, Sum

from accounts.models import UsageDay, UsageValue

SHOWN_DAYS = 30  # a line shows at most so many days
NO_WINDOW_DAYS = 14  # and so many where the condition has no window

_RUNNING = {"count", "distinct", "days"}  # adds up to what was measured
_DAILY = {"users", "recency"}
# events; people; events that carried a value; values that came for the first time since `first`
What = Literal["events", "people", "value_events", "new_values"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line to draw; `threshold` is where the needed number lies, None where it is measured otherwise."""

    values: tuple[int, ...]
    label: str
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a line is made of: a number for each day from `first` to `last`."""

    account_id: int
    first: int
    last: int
    event_type_ids: tuple[int, ...]  # empty: all
    user_id: int  # 0: everybody
    what: What


def asked(condition: Mapping[str, Any], *, account_id: int, as_of_day: int, of_people: bool) -> Asked | None:
    """What the line of this condition is made of; None: it is not about what happened on days.

    `of_people`: the whole definition is asked of each person. What is asked of each person was measured for the
    best one, who stands first.
    """
    kind = condition.get("kind")
    if kind not in _RUNNING | _DAILY:
        return None
    first, last = _days(condition, as_of_day)
    people = list(condition.get("people") or ())
    of_one = of_people or "/users_who/" in str(condition.get("path", ""))
    what: What = "people" if kind == "users" else "events"
    if kind == "distinct":  # a value that has no window may have been seen before the days that are shown
        what = "new_values" if condition.get("window") else "value_events"
    return Asked(
        account_id=account_id,
        first=first if what == "new_values" else max(first, last - SHOWN_DAYS + 1),
        last=last,
        event_type_ids=tuple(condition.get("event_type_ids") or ()),
        user_id=people[0] if of_one and people else 0,
        what=what,
    )


def read(wanted: Collection[Asked]) -> dict[Asked, dict[int, int]]:
    """The numbers of each, by day; a day without any is left out. One query, or none."""
    each = list(dict.fromkeys(wanted))
    if not each:
        return {}
    parts: list[str] = []
    values: list[Any] = []
    for place, one in enumerate(each):
        sql, parameters = _statement(one)
        parts.append(f"SELECT {place} AS place, day, number FROM ({sql}) AS part{place}")
        values += parameters
    found: dict[Asked, dict[int, int]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), values)
        for place, day, number in cursor.fetchall():
            found[each[place]][day] = int(number)
    return found


def line(condition: Mapping[str, Any], asked: Asked, by_day: Mapping[int, int], *, as_of_day: int) -> Line | None:
    """The line of a condition from its numbers; None where nothing happened on the days that it would show."""
    start, last = _days(condition, as_of_day)
    first = max(start, last - SHOWN_DAYS + 1)
    shown, span = range(first, last + 1), f"{last - first + 1} days"
    if not by_day:
        return None
    if asked.what == "people":
        return Line(tuple(by_day.get(day, 0) for day in shown), f"People a day, {span}")
    if condition["kind"] == "recency" or asked.what == "value_events":
        return Line(tuple(by_day.get(day, 0) for day in shown), f"Events a day, {span}")
    steps = {day: 1 if condition["kind"] == "days" else number for day, number in by_day.items()}
    total = sum(number for day, number in steps.items() if day < first)
    if asked.first > start or not condition.get("window"):  # what lies before the days that were read
        total = max(0, int(condition.get("measured") or 0) - sum(steps.values()))
    running = []
    for day in shown:
        total += steps.get(day, 0)
        running.append(total)
    needed = condition.get("threshold")
    threshold = float(needed) if isinstance(needed, int) and condition.get("comparison") == "at_least" else None
    return Line(tuple(running), f"Running total, {span}", threshold)


def _days(condition: Mapping[str, Any], as_of_day: int) -> tuple[int, int]:
    """The days `[first, last]` that count for a condition."""
    window = condition.get("window") or {}
    end: int | None = window.get("to_day")
    last = as_of_day if end is None else min(end, as_of_day)
    first: int | None = window.get("from_day")
    return (last - NO_WINDOW_DAYS + 1 if first is None else min(first, last)), last


def _statement(one: Asked) -> tuple[str, tuple[Any, ...]]:
    """SQL that answers rows of `day, number`, with its parameters."""
    table: type[Model] = UsageValue if one.what in ("value_events", "new_values") else UsageDay
    rows = table._default_manager.filter(account_id=one.account_id, day__range=(one.first, one.last)).order_by()
    if one.event_type_ids:
        rows = rows.filter(event_type_id__in=one.event_type_ids)
    if one.user_id:
        rows = rows.filter(user_id=one.user_id)
    if one.what == "new_values":
        first_seen = rows.values("value").annotate(seen=Min("day")).values("seen")
        sql, parameters = first_seen.query.sql_with_params()
        return f"SELECT seen AS day, COUNT(*) AS number FROM ({sql}) AS first_seen GROUP BY seen", parameters
    number = Count("user_id", distinct=True) if one.what == "people" else Sum("count")
    return rows.values("day").annotate(number=number).query.sql_with_params()
