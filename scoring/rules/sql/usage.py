"""Usage: rows per account, and per account and person, with filtered aggregates for each condition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from scoring.rules import tree, windows
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import Leafy, moves, needs_person, window_of
from scoring.rules.windows import Subject

_PLAIN = (tree.Count, tree.Users, tree.Days, tree.Recency, tree.First, tree.Value, tree.Change)


class _Column(NamedTuple):
    """An aggregate over usage rows `u`, and how an account's people are added up; "": they cannot be."""

    name: str
    text: str
    again: str


def usage_tables(plan: Plan) -> None:
    """Filtered aggregates for each condition, in tables that `plan.usage_table` names.

    Of few accounts all rows are looked at anyway, by an index: once is best, and an account is the sum of its people.
    Of everybody only rows that count are worth adding up, so windows of a kind are scanned for together, and accounts
    by themselves.
    """
    mine: dict[Subject, list[Leafy]] = {"user": plan.standing("user", *_PLAIN)}
    mine["account"] = plan.standing("account", *_PLAIN)
    plan.usage_columns = {node: number for number, node in enumerate(dict.fromkeys(mine["user"] + mine["account"]))}
    if plan.few:
        _of_few(plan, mine)
        return
    for subject, nodes_of in mine.items():
        name, user = ("base", ", u.user_id") if subject == "user" else ("abase", "")
        kinds: dict[str, list[Leafy]] = {}
        for node in nodes_of:
            kinds.setdefault(_kind(_reach(node)), []).append(node)
        for kind, nodes in kinds.items():
            columns, scan = _scanned(plan, nodes, direct=subject == "account")
            if columns:
                text = f"SELECT a.id AS account_id{user}, {_listed(columns)}{scan} GROUP BY a.id{user}"
                plan.add(f"{name}_{kind}", text)
            plan.usage_table |= {(subject, node): f"{name}_{kind}" for node in nodes}


def _of_few(plan: Plan, mine: Mapping[Subject, Sequence[Leafy]]) -> None:
    """`base`: account and person; `abase`: the account; `daily`: distinct days of the account."""
    daily = [node for node in mine["account"] if isinstance(node, tree.Days)]
    columns, scan = _scanned(plan, list(plan.usage_columns), direct=False)
    told = {f"m{plan.usage_columns[node]}" for node in daily if node not in mine["user"]}
    columns = [column for column in columns if column.name not in told]
    numbers = {str(plan.usage_columns[node]) for node in mine["account"]}
    sums = [column for column in columns if column.again and column.name[1:] in numbers]
    if columns:
        plan.add("base", f"SELECT a.id AS account_id, u.user_id, {_listed(columns)}{scan} GROUP BY a.id, u.user_id")
    if sums:
        again = ", ".join(f"{column.again.format(column.name)} AS {column.name}" for column in sums)
        plan.add("abase", f"SELECT account_id, {again} FROM base GROUP BY account_id")
    if daily:
        columns, scan = _scanned(plan, daily, direct=True)
        days = [column for column in columns if not column.again]
        plan.add("daily", f"SELECT a.id AS account_id, {_listed(days)}{scan} GROUP BY a.id")
    plan.usage_table |= {("user", node): "base" for node in mine["user"]}
    plan.usage_table |= {("account", node): "abase" for node in mine["account"]}


def _kind(window: windows.Window) -> str:
    """Windows of a kind have most of their days in common."""
    if moves(window):
        return "lately"
    return "within" if isinstance(window, windows.FirstDays | windows.Dates) else "ever"


def _scanned(plan: Plan, nodes: Sequence[Leafy], *, direct: bool) -> tuple[list[_Column], str]:
    """The columns of the conditions, and the one scan that they are aggregates over."""
    ids = [number for node in nodes for number in plan.types.ids_of(node)]
    within = {_reach(node) for node in nodes}
    by_person = any(needs_person(node) for node in nodes)
    # where the scan keeps to the one window that all ask about, its rows need not be asked again
    limits = len(within) == 1
    columns = [column for node in nodes for column in _columns(plan, node, ids, direct=direct, limits=limits)]
    return columns, plan.usage_scan("accounts_usageday", ids, by_person=by_person, within=within)


def _listed(columns: Iterable[_Column]) -> str:
    return ", ".join(f"{column.text} AS {column.name}" for column in columns)


def _columns(plan: Plan, node: Leafy, ids: Sequence[int], *, direct: bool, limits: bool) -> Iterator[_Column]:
    """What is measured of a condition (m), and by when it lapses (l); `direct`: of the account, not of each person.

    The scan is over the types `ids`; with `limits` over the days of the condition's window only.
    """
    number, mine = plan.usage_columns[node], plan.types.ids_of(node)
    # the first time is the first of all: whether it lies in the window is asked afterwards
    window = windows.Ever() if isinstance(node, tree.First) else window_of(node)
    match = plan.match(mine, windows.Ever() if limits else window, ids)
    if isinstance(node, tree.Count):
        yield _sum(f"m{number}", match, "u.count")
    elif isinstance(node, tree.Users) and direct:
        yield _Column(f"m{number}", f"COUNT(DISTINCT CASE WHEN {match} AND u.user_id > 0 THEN u.user_id END)", "")
    elif isinstance(node, tree.Users):
        yield _Column(f"m{number}", f"MAX(CASE WHEN {match} AND u.user_id > 0 THEN 1 ELSE 0 END)", _SUM)
    elif isinstance(node, tree.Recency):
        yield _least(f"m{number}", match, "u.day", "MAX")
    elif isinstance(node, tree.First):
        yield _least(f"m{number}", match, "u.day")
    elif isinstance(node, tree.Change):
        recent, both = (plan.match(mine, windows.LastDays(n), ids) for n in (node.days, 2 * node.days))
        before = f"{both} AND u.day <= {plan.day - node.days}"
        yield _sum(f"m{number}", recent, "u.count")
        yield _sum(f"b{number}", before, "u.count")
        yield _least(f"l{number}", recent, "u.day")
        yield _least(f"k{number}", before, "u.day")
    elif isinstance(node, tree.Value):
        if node.measure == "max":
            yield _least(f"m{number}", match, "u.max_value", "MAX")
        elif node.measure == "sum":
            yield _sum(f"m{number}", match, "u.sum_value")
            yield _least(f"g{number}", match, "u.sum_value")
    else:
        yield _Column(f"m{number}", f"COUNT(DISTINCT CASE WHEN {match} THEN u.day END)", "")
    if moves(window):
        yield _least(f"l{number}", match, "u.day")


_SUM = "CAST(SUM({}) AS BIGINT)"


def _sum(name: str, match: str, column: str) -> _Column:
    return _Column(name, _SUM.format(f"CASE WHEN {match} THEN {column} ELSE 0 END"), _SUM)


def _least(name: str, match: str, column: str, function: str = "MIN") -> _Column:
    return _Column(name, f"{function}(CASE WHEN {match} THEN {column} END)", f"{function}({{}})")


def _reach(node: Leafy) -> windows.Window:
    """The days that a condition looks at."""
    if isinstance(node, tree.Change):
        return windows.LastDays(2 * node.days)
    return windows.Ever() if isinstance(node, tree.Recency | tree.First) else window_of(node)


def value_tables(plan: Plan) -> None:
    """`vals`: different values by account and person; `avals`: those of the account."""
    for subject, name in (("user", "vals"), ("account", "avals")):
        nodes = plan.standing(subject, tree.Distinct)  # type: ignore[arg-type]
        if not nodes:
            continue
        columns = []
        ids = [number for node in nodes for number in plan.types.ids_of(node)]
        for node in nodes:
            number = plan.leaves[subject][node]  # type: ignore[index]
            match = plan.match(plan.types.ids_of(node), window_of(node), ids)
            columns.append(f"COUNT(DISTINCT CASE WHEN {match} THEN u.value END) AS m{number}")
            columns.append(f"MIN(CASE WHEN {match} THEN u.day END) AS l{number}")
        keys = "a.id, u.user_id" if subject == "user" else "a.id"
        by_person = any(needs_person(node) for node in nodes)
        scan = plan.usage_scan("accounts_usagevalue", ids, by_person=by_person, within=map(_reach, nodes))
        named = keys.replace("a.id", "a.id AS account_id")
        plan.add(name, f"SELECT {named}, {', '.join(columns)}{scan} GROUP BY {keys}")
