"""On which days a condition's answer changes: what an event adds on its day, and takes back when it leaves.

For each condition rows (account_id, user_id, day, delta) whose running sum is the number that is judged; user id 0
for the account itself. Never a loop over days: rows come from usage, traits and stages, one or two for each.
"""

from __future__ import annotations

from scoring.rules import tree, windows
from scoring.rules.sql.facts import trait_test
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.sliding import stretch_rows
from scoring.rules.sql.steps import BY_DAY, KEYS, MONTH_OF, TWICE, moves, usage
from scoring.rules.sql.terms import FAR, Leafy, judged, needs_person, truth, window_of
from scoring.rules.sql.value_changes import against_limits, greatest_or_last, span_against_span
from scoring.rules.windows import Subject

_COUNTED = (tree.Count, tree.Distinct, tree.Users, tree.Days, tree.UsersWho)


def flips(plan: Plan, node: Leafy, subject: Subject) -> str:
    """Rows (account_id, user_id, day, delta): +1 where the answer becomes yes, -1 where it becomes no.

    Before the first row the answer is `at_zero`.
    """
    if isinstance(node, tree.Change):
        answers = span_against_span(plan, node, subject)
    elif isinstance(node, tree.Value) and isinstance(node.against, tree.Share):
        answers = against_limits(plan, node.against, _measured(plan, node, subject), subject)
    else:
        measured = _measured(plan, node, subject)
        answers = f"SELECT {KEYS}, day, {truth(_answer(node, 'm'))} AS t FROM ({measured}) r"
    start = truth(_answer(node, "0")) if at_zero(node) else "0"
    changes = f"SELECT {KEYS}, day, t - LAG(t, 1, {start}) OVER ({BY_DAY}) AS delta FROM ({answers}) a"
    return f"SELECT {KEYS}, day, delta FROM ({changes}) c WHERE delta <> 0"


def _measured(plan: Plan, node: Leafy, subject: Subject) -> str:
    """Rows (account_id, user_id, day, m), one for each day on which the measured number may change."""
    if isinstance(node, tree.Value) and node.measure != "sum":
        return greatest_or_last(plan, node, subject)
    points = _points(plan, node, subject)
    daily = f"SELECT {KEYS}, day, SUM(delta) AS delta FROM ({points}) p WHERE day <= {plan.day} GROUP BY {KEYS}, day"
    best = isinstance(window_of(node), windows.AnyDays)  # the best stretch so far, which is not a sum
    running = "MAX" if best else "SUM"
    return f"SELECT {KEYS}, day, CAST({running}(delta) OVER ({BY_DAY}) AS BIGINT) AS m FROM ({daily}) d"


def at_zero(node: Leafy) -> bool:
    """The condition's answer while nothing has happened yet."""
    match node:
        case tree.Recency(_, within_days, _):
            return within_days is None
        case tree.Trait():
            return not node.is_set
        case tree.StageReached() | tree.StageSince() | tree.First() | tree.Change():
            return False
        case tree.Value():
            if node.measure != "sum" or isinstance(node.against, tree.Share):
                return False
            compare = node.against
        case _:
            assert isinstance(node, _COUNTED)
            compare = node.compare
    if compare.op == "in":
        return 0 in compare.values
    return (compare.low is None or compare.low <= 0) and (compare.high is None or compare.high >= 0)


def _answer(node: Leafy, column: str) -> str:
    """Whether the running number is what was asked for."""
    match node:
        case tree.Recency(_, within_days, _):
            return f"({column} {'>' if within_days is not None else '<='} 0)"
        case tree.Trait():
            return f"({column} {'>' if node.is_set else '<='} 0)"
        case tree.StageReached() | tree.StageSince() | tree.First():
            return f"({column} > 0)"
        case tree.Value():
            assert isinstance(node.against, tree.Compare)
            return f"({column} IS NOT NULL AND {judged(column, node.against)})"
    assert isinstance(node, _COUNTED)
    return judged(column, node.compare)


def _points(plan: Plan, node: Leafy, subject: Subject) -> str:
    match node:
        case tree.Trait():
            return _trait_points(plan, node, subject)
        case tree.StageReached() | tree.StageSince():
            return _for_people(_stage_points(plan, node), subject)
        case tree.UsersWho():
            rule = plan.people_rules[node.rule]
            return f"SELECT account_id, 0 AS user_id, day, delta FROM flips_of_people WHERE rule = {rule}"
        case tree.First():
            return _first_points(plan, node, subject)
    if isinstance(window_of(node), windows.AnyDays):
        user = "user_id" if subject == "user" else "0 AS user_id"
        keys = KEYS if subject == "user" else "account_id"
        people = " WHERE user_id > 0" if subject == "user" else ""
        best = f"SELECT {keys}, day, MAX(m) AS m FROM ({stretch_rows(plan, node, keys)}) s GROUP BY {keys}, day"
        return f"SELECT account_id, {user}, day, m AS delta FROM ({best}) b{people}"
    if isinstance(node, tree.Count | tree.Value):
        column = "count" if isinstance(node, tree.Count) else "sum_value"
        rows = usage(plan, node, subject, f"u.{column} AS delta")
        daily = f"SELECT {KEYS}, day, SUM(delta) AS delta FROM ({rows}) u GROUP BY {KEYS}, day"
        return _until_it_leaves(daily, window_of(node))
    return _of_things(plan, node, subject)


def _until_it_leaves(rows: str, window: windows.Window) -> str:
    """What the rows add on their day, and take back when it leaves a window of the last days, or a month."""
    if not moves(window):
        return f"SELECT {KEYS}, day, delta FROM ({rows}) g"
    leaves, month = _leaving(window, "g")
    day = f"CASE WHEN sign = 1 THEN g.day ELSE {leaves} END"
    return f"SELECT {KEYS}, {day} AS day, sign * delta AS delta FROM ({rows}) g{month}{TWICE}"


def _leaving(window: windows.Window, row: str) -> tuple[str, str]:
    """The day on which a day of the row leaves the window, and the join that this takes."""
    if isinstance(window, windows.LastDays):
        return f"{row}.day + {window.days}", ""
    return "next_month", MONTH_OF.format(row)


def _of_things(plan: Plan, node: Leafy, subject: Subject) -> str:
    """Different people, days or values, or just activity: each counts once while it is in the window."""
    window = window_of(node)
    match node:
        case tree.Users():
            thing = "u.user_id"
        case tree.Days():
            thing = "u.day"
        case tree.Distinct():
            thing = "u.value"
        case _:
            thing = "1"
    if isinstance(node, tree.Recency):
        window = windows.LastDays(node.within_days or node.not_for_days or 0)
    return _once(usage(plan, node, subject, f"{thing} AS thing"), window)


def _once(rows: str, window: windows.Window) -> str:
    """Each thing of the rows from its first day on, or, where the window moves, until its last day has left it."""
    if not moves(window):
        first = f"SELECT {KEYS}, thing, MIN(day) AS day FROM ({rows}) u GROUP BY {KEYS}, thing"
        return f"SELECT {KEYS}, day, 1 AS delta FROM ({first}) f"
    leaves, month = _leaving(window, "o")
    days = (
        f"SELECT {KEYS}, o.day, LEAD(o.day, 1, {FAR}) OVER (PARTITION BY {KEYS}, thing ORDER BY o.day) AS next_day,"
        f" {leaves} AS leaves FROM (SELECT DISTINCT {KEYS}, thing, day FROM ({rows}) u) o{month}"
    )
    day = "CASE WHEN sign = 1 THEN day WHEN next_day < leaves THEN next_day ELSE leaves END"
    return f"SELECT {KEYS}, {day} AS day, sign AS delta FROM ({days}) s{TWICE}"


def _first_points(plan: Plan, node: tree.First, subject: Subject) -> str:
    """From the first time ever, if that lies in the window; of the last days, for so long."""
    anything = tree.Count(node.events, tree.Compare("at_least", low=1), windows.Ever())
    first = f"SELECT {KEYS}, MIN(day) AS day FROM ({usage(plan, anything, subject, '1 AS one')}) u GROUP BY {KEYS}"
    if moves(node.window):
        return _until_it_leaves(f"SELECT {KEYS}, day, 1 AS delta FROM ({first}) f", node.window)
    inside = plan.inside(node.window, "f.day", "p.signup_day")
    person = " JOIN accounts_productuser p ON p.id = f.user_id" if needs_person(node) else ""
    return (
        f"SELECT f.account_id, f.user_id, f.day, 1 AS delta FROM ({first}) f JOIN acct a ON a.id = f.account_id{person}"
        + (f" WHERE {inside}" if inside else "")
    )


def _trait_points(plan: Plan, node: tree.Trait, subject: Subject) -> str:
    matches = f"t.name = {plan.bind(node.name)} AND t.to_day > t.from_day AND {trait_test(plan, node)}"
    if node.of == "user":
        source = f"(SELECT DISTINCT {KEYS} FROM members) q JOIN accounts_traitvalue t ON t.user_id = q.user_id"
        keys = "q.account_id, q.user_id"
    else:
        source, keys = "acct a CROSS JOIN accounts_traitvalue t", "t.account_id, 0 AS user_id"
        matches = f"t.account_id = a.id AND {matches}"
    rows = (
        f"SELECT {keys}, t.from_day AS day, 1 AS delta FROM {source} WHERE {matches}"
        f" UNION ALL SELECT {keys}, t.to_day, -1 FROM {source} WHERE {matches}"
    )
    return rows if node.of == "user" else _for_people(rows, subject)


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
        return _once(kept + (f" WHERE {inside}" if inside else ""), node.window)
    low, high = node.at_least_days or 0, node.at_most_days
    days = (
        f"SELECT account_id, day + {low} AS from_day, LEAD(day, 1, {FAR}) OVER (PARTITION BY account_id ORDER BY day)"
        f" AS next_day, {FAR if high is None else f'day + {high + 1}'} AS last_day FROM ({entries}) e"
    )
    spans = (
        f"SELECT account_id, from_day, CASE WHEN next_day < last_day THEN next_day ELSE last_day END AS to_day"
        f" FROM ({days}) d"
    )
    return (
        f"SELECT account_id, 0 AS user_id, from_day AS day, 1 AS delta FROM ({spans}) s WHERE from_day < to_day"
        f" UNION ALL SELECT account_id, 0, to_day, -1 FROM ({spans}) n WHERE from_day < to_day"
    )


def _for_people(rows: str, subject: Subject) -> str:
    """Rows of the account, for each of its people where a rule about people asks."""
    if subject == "account":
        return rows
    people = f"(SELECT DISTINCT {KEYS} FROM members) q"
    return (
        f"SELECT q.account_id, q.user_id, r.day, r.delta FROM ({rows}) r JOIN {people} ON q.account_id = r.account_id"
    )
