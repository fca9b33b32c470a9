"""What conditions add up, day by day: usage is read once for many of them, into `…_usage` rows (see `rows`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scoring.rules import tree, windows
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.rows import LENGTH, moved, placed, running
from scoring.rules.sql.steps import KEYS, least_of, weights
from scoring.rules.sql.terms import Leafy, moves, window_of
from scoring.rules.windows import Subject

_AT_ONCE = 12  # so many tallies share a table


@dataclass(frozen=True, slots=True)
class Tally:
    """Events of these types, their metered values or their days; in a window, if that is anchored."""

    what: Literal["count", "sum_value", "days"]
    ids: tuple[int, ...]
    window: windows.Window


def tally_of(plan: Plan, node: Leafy) -> Tally | None:
    """What a condition adds up; None where that is something else, or goes by the calendar's months."""
    window = window_of(node)
    if isinstance(window, windows.AnyDays | windows.BillingMonth):
        return None
    anchored = windows.Ever() if moves(window) else window
    match node:
        case tree.Count() | tree.Change():
            return Tally("count", plan.types.ids_of(node), anchored)
        case tree.Days():
            return Tally("days", plan.types.ids_of(node), anchored)
        case tree.Value(measure="sum", against=tree.Compare()):
            return Tally("sum_value", plan.types.ids_of(node), anchored)
    return None


def tallied(plan: Plan, tally: Tally, subject: Subject) -> tuple[str, str]:
    """The table of a tally and its column there."""
    known = list(_known(plan, subject).items())
    place = [one for one, _ in known].index(tally)
    first = place // _AT_ONCE * _AT_ONCE
    table = f"{subject}_usage_{first}"
    if not plan.has(table):
        plan.add(table, _usage(plan, dict(known[first : first + _AT_ONCE]), subject))
    return table, f"x{place - first}"


def levels(plan: Plan, node: Leafy, subject: Subject) -> tuple[str, str]:
    """The table of running sums in which a condition's number is, and its column there.

    Conditions whose usage leaves their window after the same time, or never, share one.
    """
    tally = tally_of(plan, node)
    assert tally is not None
    table, column = tallied(plan, tally, subject)
    ages = weights(window_of(node))
    name = table.replace("usage", "levels") + "".join(f"_{age}" for age in ages if age)
    if not plan.has(name):
        columns, least = [], []
        for other in plan.leaves[subject]:
            its = None if isinstance(other, tree.Change) else tally_of(plan, other)
            if its is None or weights(window_of(other)) != ages or tallied(plan, its, subject)[0] != table:
                continue
            columns.append(tallied(plan, its, subject)[1])
            least.append((columns[-1], _least(other)))
        columns = list(dict.fromkeys(columns))
        length = LENGTH[subject]
        source = _worth_a_look(table, least, length) if len(ages) > 1 and plan.sifts else table
        taken = {age: {column: (weight, column) for column in columns} for age, weight in ages.items()}
        plan.add(name, running(moved(source, taken, plan.day, length), columns, length, plan.dialect))
    return name, column


def _worth_a_look(table: str, least: list[tuple[str, int]], length: int) -> str:
    """The table without who never gets to what is asked for with all there is: most people, often."""
    if any(number < 2 for _, number in least):
        return table
    some = " OR ".join(
        f"SUM({' + '.join(f'{column}_{place}' for place in range(length))}) >= {number}" for column, number in least
    )
    enough = f"SELECT {KEYS} FROM {table} GROUP BY {KEYS} HAVING {some}"
    return f"(SELECT * FROM {table} WHERE ({KEYS}) IN ({enough})) e"


def _least(node: Leafy) -> int:
    """The lowest number that is accepted; 0 where what is added up may fall."""
    return least_of(node.compare) if isinstance(node, tree.Count | tree.Days) else 0


def _known(plan: Plan, subject: Subject) -> dict[Tally, set[windows.Window]]:
    """All that is added up of a subject, in order, each with the days whose usage matters for it."""
    known: dict[Tally, set[windows.Window]] = {}
    for node in plan.leaves[subject]:
        uses = (
            [(signal.per, signal.half_life_days) for signal in node.signals]
            if isinstance(node, tree.Score)
            else [(node, None)]
        )
        for one, half_life in uses:
            tally = None if one is None else tally_of(plan, one)
            if one is not None and tally is not None:
                days = 2 * one.days if isinstance(one, tree.Change) else max(weights(window_of(one), half_life))
                known.setdefault(tally, set()).add(plan.back(days) if days else tally.window)
    return known


def _usage(plan: Plan, tallies: dict[Tally, set[windows.Window]], subject: Subject) -> str:
    length = LENGTH[subject]
    within = set[windows.Window]().union(*tallies.values())
    ids = [number for tally in tallies for number in tally.ids]
    columns, sums = [], []
    for number, tally in enumerate(tallies):
        # where the scan keeps to the one window that all ask about, its rows need not be asked again
        match = plan.match(tally.ids, windows.Ever() if len(within) == 1 else tally.window, ids)
        added = "1" if tally.what == "days" else f"u.{tally.what}"
        columns.append(f"CASE WHEN {match} THEN {added} ELSE 0 END AS n{number}")
        for place in range(length):
            here = f"CASE WHEN place = {place} THEN n{number} ELSE 0 END" if length > 1 else f"n{number}"
            total = f"MAX({here})" if tally.what == "days" else f"CAST(SUM({here}) AS BIGINT)"
            sums.append(f"{total} AS x{number}_{place}")
    by_person = any(isinstance(tally.window, windows.FirstDays) and tally.window.of == "user" for tally in tallies)
    scan = plan.usage_scan("accounts_usageday", ids, by_person=by_person, within=within)
    first, at = placed("u.day", length)
    user, people = ("u.user_id", " AND u.user_id > 0") if subject == "user" else ("0 AS user_id", "")
    rows = f"SELECT a.id AS account_id, {user}, {first} AS day, {at} AS place, {', '.join(columns)}{scan}{people}"
    return f"SELECT {KEYS}, day, {', '.join(sums)} FROM ({rows}) r GROUP BY {KEYS}, day"
