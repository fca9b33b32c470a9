"""Reading conditions about metered values: amounts, and shares of what the plan allows. Pure."""

from __future__ import annotations

from typing import Any

from scoring.rules.parts import AMOUNTS, read_amount, read_events, read_thousandths, read_window
from scoring.rules.tree import ANY_EVENT, MEASURES, Compare, Condition, Share, Value
from scoring.rules.values import Reader, at, quoted
from scoring.rules.windows import Subject


def read_value(reader: Reader, value: object, path: str, subject: Subject) -> Condition | None:
    """`{"value": {"event", "measure", an amount or "share_of_limit", "limit", "window"}}`."""
    asks = (*AMOUNTS, "share_of_limit")
    table = reader.table(value, path, needs=("event",), may=("measure", *asks, "limit", "window"))
    if table is None:
        return None
    events = read_events(reader, table, path)
    measure = reader.choice(table.get("measure", "sum"), at(path, "measure"), MEASURES)
    sliding = ("any_days",) if measure == "sum" else ()
    window = read_window(reader, table, path, subject, kinds=("last_days", "first_days", *sliding, "billing_month"))
    given = [key for key in asks if key in table]
    if len(given) != 1:
        reader.wrong(path, f"expected exactly one comparison: {quoted(asks)}")
        return None
    against: Compare | Share | None
    if given[0] == "share_of_limit":
        against = _share(reader, table, path, events)
    else:
        if "limit" in table:
            reader.wrong(at(path, "limit"), "goes with “share_of_limit”")
        against = read_amount(reader, table[given[0]], at(path, given[0]), given[0])
    if not events or measure is None or window is None or against is None:
        return None
    return Value(events, "max" if measure == "max" else "last" if measure == "last" else "sum", against, window)


def _share(reader: Reader, table: dict[str, Any], path: str, events: tuple[str, ...]) -> Share | None:
    here = at(path, "share_of_limit")
    share = read_thousandths(reader, table["share_of_limit"], here, low=1)
    if share is None:
        return None
    if "limit" in table:
        metric = reader.text(table["limit"], at(path, "limit"), longest=100)
    elif len(events) == 1 and events != ANY_EVENT:
        metric = events[0]
    else:
        reader.wrong(path, "“limit” is missing: with several events, the name of what the plan limits")
        metric = None
    return None if metric is None else Share(share, metric)
