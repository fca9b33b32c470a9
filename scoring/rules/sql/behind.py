"""What is told beside a verdict: the best stretches of sliding windows, the people and days behind a condition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scoring.rules import tree
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.sliding import stretch_rows
from scoring.rules.sql.terms import Leafy, Statement, in_list, needs_person, window_of


@dataclass(frozen=True, slots=True)
class Look:
    """Where to look: an account, one of its people (0: everybody), the first and the last day."""

    account_id: int
    user_id: int
    from_day: int
    to_day: int


def stretches_found(plan: Plan, nodes: Sequence[tuple[Leafy, Sequence[tuple[int, int]]]]) -> Statement:
    """Rows (place in `nodes`, account id, last day of the best stretch)."""
    rows = []
    for place, (node, pairs) in enumerate(nodes):
        people, everybody = [pair for pair in pairs if pair[1]], [pair for pair in pairs if not pair[1]]
        for keys, asked in (("account_id, user_id", people), ("account_id", everybody)):
            if not asked:
                continue
            name = f"asked{len(plan.with_parts)}"
            plan.add(f"{name} (account_id, user_id)", _values(asked))
            same = "w.account_id = q.account_id" + (" AND w.user_id = q.user_id" if asked is people else "")
            rows.append(
                f"SELECT {place} AS place, account_id, day FROM (SELECT q.account_id, w.day, ROW_NUMBER() OVER"
                f" (PARTITION BY q.account_id ORDER BY w.m DESC, w.day DESC) AS rank"
                f" FROM {name} q JOIN ({stretch_rows(plan, node, keys)}) w ON {same}) {name}_best WHERE rank = 1"
            )
    return plan.statement("\nUNION ALL ".join(rows))


def usage_behind(plan: Plan, nodes: Sequence[tuple[Leafy, Sequence[Look]]], people: int, days: int) -> Statement:
    """Rows (place in `nodes`, account id, what, id, n, newest): see `compile_behind`."""
    rows = []
    for place, (node, looks) in enumerate(nodes):
        name = f"look{place}"
        plan.add(
            f"{name} (account_id, user_id, from_day, to_day)",
            _values((look.account_id, look.user_id, look.from_day, look.to_day) for look in looks),
        )
        scan = _scan(plan, name, node, with_people=any(look.user_id for look in looks))
        newest, events = "MAX(u.last_us) AS newest", "CAST(SUM(u.count) AS BIGINT) AS n"
        rows.append(
            f"SELECT {place} AS place, l.account_id, 0 AS what,"
            " COUNT(DISTINCT CASE WHEN u.user_id > 0 THEN u.user_id END) AS id,"
            f" COUNT(DISTINCT u.day) AS n, {newest}{scan} GROUP BY l.account_id"
        )
        for what, column, only, order, most in (
            (1, "u.user_id", " AND u.user_id > 0", "n DESC, id", people),
            (2, "u.day", "", "id DESC", days),
        ):
            if most:
                counted = f"SELECT l.account_id AS account_id, {column} AS id, {events}, {newest}{scan}{only}"
                rows.append(
                    f"SELECT {place}, account_id, {what}, id, n, newest FROM (SELECT c{place}.*, ROW_NUMBER() OVER"
                    f" (PARTITION BY account_id ORDER BY {order}) AS rank"
                    f" FROM ({counted} GROUP BY l.account_id, {column}) c{place}) r{place}"
                    f" WHERE rank <= {int(most)}"
                )
    # places are told in order: the first of a place's people is who did most
    return plan.statement(f"SELECT * FROM ({' UNION ALL '.join(rows)}) told ORDER BY 1, 2, 3, {_RANKED}")


# people by how much they did, days from the newest
_RANKED = "CASE WHEN what = 1 THEN -n ELSE -id END, id"


def _scan(plan: Plan, looks: str, node: Leafy, *, with_people: bool) -> str:
    """FROM and WHERE over the usage (`u`) where it is to be looked (`l`)."""
    ids = plan.types.ids_of(node)
    by_person = needs_person(node) and not isinstance(node, tree.First)  # whose day is known by now
    person = " LEFT JOIN accounts_productuser p ON p.id = u.user_id" if by_person else ""
    plus = "+" if plan.dialect == "sqlite" else ""
    scan = (
        f" FROM {looks} l CROSS JOIN accounts_usageday u{person} WHERE u.account_id = l.account_id"
        f" AND {plus}u.day >= l.from_day AND {plus}u.day <= l.to_day"
    )
    if not ids or set(ids) < plan.every_type:
        scan += f" AND u.event_type_id IN {in_list(sorted(ids))}"
    if with_people:
        scan += " AND (l.user_id = 0 OR u.user_id = l.user_id)"
    return scan + (f" AND {plan.inside(window_of(node), 'u.day', 'p.signup_day')}" if by_person else "")


def _values(rows: Iterable[Sequence[int]]) -> str:
    """Rows of whole numbers as a table."""
    return "VALUES " + ", ".join(f"({', '.join(str(int(number)) for number in row)})" for row in rows)
