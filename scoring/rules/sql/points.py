"""What is counted, day by day: for each condition rows (account_id, user_id, day, delta), whose running sum is the
number that is judged; user id 0 for the account itself. Never a loop over days: rows come from usage, traits and
stages."""

from __future__ import annotations

from scoring.rules import tree, windows
from scoring.rules.sql.facts import trait_test
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.sequences import completed
from scoring.rules.sql.sliding import stretch_rows
from scoring.rules.sql.steps import BY_DAY, KEYS, MONTH_OF, counted, once, usage
from scoring.rules.sql.terms import FAR, Leafy, moves, needs_person, window_of
from scoring.rules.windows import Subject


def points(plan: Plan, node: Leafy, subject: Subject, half_life: int | None = None) -> str:
    """Rows (account_id, user_id, day, delta); with a half-life in 32nds."""
    window = window_of(node)
    match node:
        case tree.Trait():
            return _trait_points(plan, node, subject)
        case tree.TraitChanged():
            return _changed_points(plan, node, subject)
        case tree.StageReached() | tree.StageSince():
            return _for_people(_stage_points(plan, node), subject)
        case tree.UsersWho():
            rule = plan.people_rules[node.rule]
            return f"SELECT account_id, 0 AS user_id, day, delta FROM flips_of_people WHERE rule = {rule}"
        case tree.First():
            return _first_points(plan, node, subject)
        case tree.Sequence():
            return _sequence_points(plan, node, subject)
        case tree.Count() | tree.Value():
            column = "count" if isinstance(node, tree.Count) else "sum_value"
            rows = usage(plan, node, subject, f"u.{column} AS delta")
            return counted(
                f"SELECT {KEYS}, day, SUM(delta) AS delta FROM ({rows}) u GROUP BY {KEYS}, day", window, half_life
            )
        case tree.Days():
            rows = usage(plan, node, subject, "1 AS delta")
            return counted(f"SELECT DISTINCT {KEYS}, day, delta FROM ({rows}) u", window, half_life)
        case tree.Recency():
            window = windows.LastDays(node.within_days or node.not_for_days or 0)
            return once(usage(plan, node, subject, "1 AS thing"), window)
    thing = "u.user_id" if isinstance(node, tree.Users) else "u.value"
    return once(usage(plan, node, subject, f"{thing} AS thing"), window, half_life)


def best(plan: Plan, node: Leafy, subject: Subject) -> str:
    """Rows (account_id, user_id, day, m): the best stretch of `any_days` so far, which is not a sum."""
    user = "user_id" if subject == "user" else "0 AS user_id"
    keys = KEYS if subject == "user" else "account_id"
    people = " WHERE user_id > 0" if subject == "user" else ""
    daily = f"SELECT {keys}, day, MAX(m) AS m FROM ({stretch_rows(plan, node, keys)}) s GROUP BY {keys}, day"
    named = f"SELECT account_id, {user}, day, m FROM ({daily}) b{people}"
    return f"SELECT {KEYS}, day, CAST(MAX(m) OVER ({BY_DAY}) AS BIGINT) AS m FROM ({named}) n"


def first_enough(plan: Plan, node: Leafy, subject: Subject) -> str:
    """Rows (account_id, user_id, day, before, now) for `any_days` and `at_least`: the first day on which one has it."""
    assert isinstance(node, tree.Count | tree.Distinct | tree.Users | tree.Days)
    user, keys, people = "0 AS user_id", "account_id", ""
    if subject == "user":
        user, keys, people = "user_id", KEYS, " AND user_id > 0"
    rows = stretch_rows(plan, node, keys, enough=True)
    first = f"SELECT {keys}, MIN(day) AS day FROM ({rows}) s WHERE m >= {node.compare.low}{people} GROUP BY {keys}"
    return f"SELECT account_id, {user}, day, 0 AS before, 1 AS now FROM ({first}) f"


def _first_points(plan: Plan, node: tree.First, subject: Subject) -> str:
    """From the first time ever, if that lies in the window; of the last days, for so long."""
    anything = tree.Count(node.events, tree.Compare("at_least", low=1), windows.Ever())
    first = f"SELECT {KEYS}, MIN(day) AS day FROM ({usage(plan, anything, subject, '1 AS one')}) u GROUP BY {KEYS}"
    if moves(node.window):
        return counted(f"SELECT {KEYS}, day, 1 AS delta FROM ({first}) f", node.window)
    inside = plan.inside(node.window, "f.day", "p.signup_day")
    person = " JOIN accounts_productuser p ON p.id = f.user_id" if needs_person(node) else ""
    return (
        f"SELECT f.account_id, f.user_id, f.day, 1 AS delta FROM ({first}) f JOIN acct a ON a.id = f.account_id{person}"
        + (f" WHERE {inside}" if inside else "")
    )


def _sequence_points(plan: Plan, node: tree.Sequence, subject: Subject) -> str:
    """From the day on which one is complete; in a window that moves until its first step leaves.

    The later of two began no earlier, so the latest that began before each end says everything.
    """
    done = completed(plan, node, subject)
    if not moves(node.window):
        return f"SELECT {KEYS}, MIN(ended) AS day, 1 AS delta FROM ({done}) s GROUP BY {KEYS}"
    if isinstance(node.window, windows.LastDays):
        leaves, month = f"s.day + {node.window.days}", ""
    else:
        leaves, month = "next_month", MONTH_OF.format("s")
    spans = f"SELECT {KEYS}, ended AS from_day, {leaves} AS to_day FROM ({done}) s{month}"
    return _joined_up(plan.named("sequence_spans", f"SELECT * FROM ({spans}) l WHERE from_day < to_day"))


def _trait_points(plan: Plan, node: tree.Trait, subject: Subject) -> str:
    source, keys = _trait_source(node)
    matches = f"t.name = {plan.bind(node.name)} AND t.to_day > t.from_day AND {trait_test(plan, node)}"
    rows = _spans(f"SELECT {keys}, t.from_day, t.to_day FROM {source} AND {matches}")
    return rows if node.of == "user" else _for_people(rows, subject)


def _changed_points(plan: Plan, node: tree.TraitChanged, subject: Subject) -> str:
    """Values that stand on following days differ, so each but the first is a change."""
    source, keys = _trait_source(node)
    rows = f"SELECT {keys}, t.from_day FROM {source} AND t.name = {plan.bind(node.name)} AND t.to_day > t.from_day"
    first = f"SELECT {KEYS}, from_day AS day, MIN(from_day) OVER (PARTITION BY {KEYS}) AS first_day FROM ({rows}) v"
    changes = f"SELECT {KEYS}, day, 1 AS thing FROM ({first}) f WHERE day > first_day"
    told = once(changes, windows.LastDays(node.within_days))
    return told if node.of == "user" else _for_people(told, subject)


def _trait_source(node: tree.Trait | tree.TraitChanged) -> tuple[str, str]:
    """FROM and WHERE of the values `t` of those who are asked, and their keys."""
    if node.of == "user":
        people = f"(SELECT DISTINCT {KEYS} FROM members) q"
        return f"{people} CROSS JOIN accounts_traitvalue t WHERE t.user_id = q.user_id", "q.account_id, q.user_id"
    return "acct a CROSS JOIN accounts_traitvalue t WHERE t.account_id = a.id", "t.account_id, 0 AS user_id"


def _stage_points(plan: Plan, node: tree.StageReached | tree.StageSince) -> str:
    """Rows of the account: reached on a day of the window, or so many days since the latest time."""
    if node.stage == "signed_up":
        entries = "SELECT a.id AS account_id, a.signup_day AS day, a.signup_day FROM acct a"
    else:
        entries = (
            "SELECT DISTINCT s.account_id, s.day, a.signup_day FROM acct a CROSS JOIN accounts_stageentry s"
            f" WHERE s.account_id = a.id AND s.stage = {plan.bind(node.stage)}"
        )
    if isinstance(node, tree.StageReached):
        inside = "" if moves(node.window) else plan.inside(node.window, "a.day", "")
        kept = f"SELECT a.account_id, 0 AS user_id, a.day, 1 AS thing FROM ({entries}) a"
        return once(kept + (f" WHERE {inside}" if inside else ""), node.window)
    low, high = node.at_least_days or 0, node.at_most_days
    days = (
        f"SELECT account_id, day + {low} AS from_day, LEAD(day, 1, {FAR}) OVER (PARTITION BY account_id ORDER BY day)"
        f" AS next_day, {FAR if high is None else f'day + {high + 1}'} AS last_day FROM ({entries}) e"
    )
    return _spans(
        "SELECT account_id, 0 AS user_id, from_day, CASE WHEN next_day < last_day THEN next_day ELSE last_day END"
        f" AS to_day FROM ({days}) d"
    )


def _spans(rows: str) -> str:
    """Spans (account_id, user_id, from_day, to_day) as what begins and what ends; empty ones are left out."""
    ends = " CROSS JOIN (SELECT 1 AS delta UNION ALL SELECT -1) t"
    day = "CASE WHEN delta = 1 THEN from_day ELSE to_day END"
    return f"SELECT {KEYS}, {day} AS day, delta FROM ({rows}) s{ends} WHERE from_day < to_day"


def _joined_up(table: str) -> str:
    """The spans of a table (account_id, user_id, from_day, to_day) as what begins and what ends, those that touch as
    one. None that begins later may end earlier."""
    along = f"OVER (PARTITION BY {KEYS} ORDER BY from_day)"
    near = f"LAG(to_day, 1, {-FAR}) {along} AS last_end, LEAD(from_day, 1, {FAR}) {along} AS next_begin"
    begins, ends = "last_end < from_day", "next_begin > to_day"
    edges = f"SELECT * FROM (SELECT {KEYS}, from_day, to_day, {near} FROM {table} r) n WHERE {begins} OR {ends}"
    day = "CASE WHEN delta = 1 THEN from_day ELSE to_day END"
    return (
        f"SELECT {KEYS}, {day} AS day, delta FROM ({edges}) e CROSS JOIN (SELECT 1 AS delta UNION ALL SELECT -1) t"
        f" WHERE (delta = 1 AND {begins}) OR (delta = -1 AND {ends})"
    )


def _for_people(rows: str, subject: Subject) -> str:
    """Rows of the account, for each of its people where a rule about people asks."""
    if subject == "account":
        return rows
    people = f"(SELECT DISTINCT {KEYS} FROM members) q"
    return (
        f"SELECT q.account_id, q.user_id, r.day, r.delta FROM ({rows}) r JOIN {people} ON q.account_id = r.account_id"
    )
