"""On which days answers change that are no running sum: greatest and last values, shares of limits, this span against
the one before."""

from __future__ import annotations

from scoring.rules import tree, windows
from scoring.rules.sql.facts import HAS_VALUE
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.rows import LENGTH, At, changes, moved, running
from scoring.rules.sql.steps import BY_DAY, KEYS, MONTH_OF, usage
from scoring.rules.sql.tallies import tallied, tally_of
from scoring.rules.sql.terms import FAR, moves, truth
from scoring.rules.windows import Subject


def greatest_or_last(plan: Plan, node: tree.Value, subject: Subject) -> str:
    """The greatest value in the window, or the latest; NULL while there is none."""
    window = node.window
    leaves, month = str(FAR), ""
    if isinstance(window, windows.LastDays):
        leaves = f"d.day + {window.days}"
    elif isinstance(window, windows.BillingMonth):
        leaves, month = "next_month", MONTH_OF.format("d")
    if node.measure == "max":
        rows = usage(plan, node, subject, "u.max_value AS value") + " AND u.max_value IS NOT NULL"
        daily = f"SELECT {KEYS}, day, MAX(value) AS value FROM ({rows}) v GROUP BY {KEYS}, day"
        if not moves(window):
            return f"SELECT {KEYS}, day, MAX(value) OVER ({BY_DAY}) AS m FROM ({daily}) d"
        spans = f"SELECT {KEYS}, d.day, value, {leaves} AS leaves FROM ({daily}) d{month}"
        ends = f"SELECT {KEYS}, leaves FROM ({spans}) e WHERE leaves <= {plan.day}"
        points = f"SELECT {KEYS}, day FROM ({spans}) b UNION {ends}"
        same = "s.account_id = p.account_id AND s.user_id = p.user_id"
        return (
            f"SELECT p.account_id, p.user_id, p.day, MAX(s.value) AS m FROM ({points}) p LEFT JOIN ({spans}) s"
            f" ON {same} AND s.day <= p.day AND s.leaves > p.day GROUP BY p.account_id, p.user_id, p.day"
        )
    rows = usage(plan, node, subject, "u.last_value AS value, u.last_value_us AS us") + " AND u.last_value IS NOT NULL"
    place = f"ROW_NUMBER() OVER (PARTITION BY {KEYS}, day ORDER BY us DESC, value DESC)"
    placed = f"SELECT {KEYS}, day, value, {place} AS place FROM ({rows}) v"
    daily = f"SELECT {KEYS}, day, value FROM ({placed}) o WHERE place = 1"
    spans = (
        f"SELECT {KEYS}, d.day, value, {leaves} AS leaves, LEAD(d.day, 1, {FAR}) OVER (PARTITION BY {KEYS}"
        f" ORDER BY d.day) AS next_day FROM ({daily}) d{month}"
    )
    ends = f" UNION ALL SELECT {KEYS}, leaves, NULL FROM ({spans}) e WHERE leaves < next_day AND leaves <= {plan.day}"
    return f"SELECT {KEYS}, day, value AS m FROM ({spans}) b" + (ends if moves(window) else "")


def span_against_span(plan: Plan, node: tree.Change, subject: Subject) -> str:
    """Rows (account_id, user_id, day, before, now): whether the last days compare with those before as asked."""
    tally = tally_of(plan, node)
    assert tally is not None
    table, source = tallied(plan, tally, subject)
    length, n, columns = LENGTH[subject], node.days, ["m", "b"]
    ages = {0: {"m": (1, source)}, n: {"m": (-1, source), "b": (1, source)}, 2 * n: {"b": (-1, source)}}
    sign = ">=" if node.op == "at_least" else "<="

    def reached(at: At) -> str:
        least = f"{at('m')} >= {node.at_least} AND {at('b')} >= {node.base_at_least}"
        return truth(f"{least} AND {at('m')} * 1000 {sign} {at('b')} * {node.thousandths}")

    sums = plan.named(f"{subject}_sums", running(moved(table, ages, plan.day, length), columns, length, plan.dialect))
    return changes(sums, columns, reached, plan.day, length)


def against_limits(plan: Plan, share: tree.Share, measured: str, subject: Subject) -> str:
    """Rows (account_id, user_id, day, before, now): whether what was `measured` (rows with m) reaches its share of what
    the plan allowed on that day, and did before what the day changes."""
    before = f"LAG({{0}}, 1, 0) OVER ({BY_DAY})"
    known = "CASE WHEN m IS NULL THEN 0 ELSE 1 END"
    of_value = (
        f"SELECT {KEYS}, day, COALESCE(m, 0) - {before.format('COALESCE(m, 0)')} AS dm,"
        f" {known} - {before.format(known)} AS dk, 0 AS dx, 0 AS dl FROM ({measured}) v"
    )
    limits = _limit_spans(plan, share)
    rows = (
        f"SELECT account_id, 0 AS user_id, from_day AS day, x AS delta, 1 AS there FROM ({limits}) b"
        f" UNION ALL SELECT account_id, 0, to_day, -x, -1 FROM ({limits}) e"
    )
    if subject == "user":
        rows = (
            "SELECT q.account_id, q.user_id, r.day, r.delta, r.there"
            f" FROM ({rows}) r JOIN (SELECT DISTINCT {KEYS} FROM members) q ON q.account_id = r.account_id"
        )
    daily = (
        f"SELECT {KEYS}, day, SUM(dm) AS dm, SUM(dk) AS dk, SUM(dx) AS dx, SUM(dl) AS dl FROM ({of_value}"
        f" UNION ALL SELECT {KEYS}, day, 0, 0, delta, there FROM ({rows}) l) u WHERE day <= {plan.day}"
        f" GROUP BY {KEYS}, day"
    )
    sums = ", ".join(f"d{name}, SUM(d{name}) OVER ({BY_DAY}) AS {name}" for name in "mkxl")
    now = truth("k > 0 AND l > 0 AND m >= x")
    before = truth("k - dk > 0 AND l - dl > 0 AND m - dm >= x - dx")
    return f"SELECT {KEYS}, day, {now} AS now, {before} AS before FROM (SELECT {KEYS}, day, {sums} FROM ({daily}) d) s"


def _limit_spans(plan: Plan, share: tree.Share) -> str:
    """Rows (account_id, from_day, to_day, x): the share of the limit, in the days in which plan and limit stood."""
    by_plan: dict[str, list[tuple[int, int]]] = {}
    for limit in sorted(plan.types.limits(), key=lambda limit: limit.from_day):
        if limit.metric == share.metric:
            by_plan.setdefault(limit.plan, []).append((limit.from_day, -(-limit.limit * share.thousandths // 1000)))
    parts = []
    for code, steps in by_plan.items():
        for (first, asked), (end, _) in zip(steps, [*steps[1:], (FAR, 0)], strict=True):
            begins = f"CASE WHEN t.from_day > {first} THEN t.from_day ELSE {first} END"
            ends = f"CASE WHEN t.to_day < {end} THEN t.to_day ELSE {end} END"
            parts.append(
                f"SELECT t.account_id, {begins} AS from_day, {ends} AS to_day, {asked} AS x"
                " FROM acct a CROSS JOIN accounts_traitvalue t"
                f" WHERE t.account_id = a.id AND t.name = {plan.bind('plan')} AND t.text = {plan.bind(code)}"
                f" AND t.to_day > t.from_day AND {HAS_VALUE} AND {begins} < {ends}"
            )
    return " UNION ALL ".join(parts) or (
        "SELECT a.id AS account_id, 0 AS from_day, 0 AS to_day, 0 AS x FROM acct a WHERE 1 = 0"
    )
