"""Rules into one SQL statement: on which days each account held, over all time up to a day.

The other question of one tree (compile.py asks for one day). Each condition becomes the days on which its answer
changes (`sql/changes`), the changes of all conditions of a subject are laid side by side and summed along the days,
and the tree is a boolean expression over those sums: so every day on which anything changes has an answer, and no
other day needs one. People are counted the same way. Whoever can never come to hold, by the changes that there are at
all, is left out before that. As of day D the history says what the verdict at D says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scoring.rules import tree, windows
from scoring.rules.sql.booleans import answered
from scoring.rules.sql.changes import flips
from scoring.rules.sql.outset import could
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.rising import first_days, rises, spans_of_people
from scoring.rules.sql.steps import KEYS, running
from scoring.rules.sql.terms import FAR, Dialect, EventTypes, Leafy, Statement, truth, window_of
from scoring.rules.sql.totals import states_of
from scoring.rules.windows import Subject

_MONTHS = 480  # forty years: nothing older is a product's usage
_DATED = (tree.Trait, tree.TraitChanged, tree.StageReached, tree.StageSince)
_THERE = -1  # the part of the changes that says from when to when the subject is asked


def compile_history(
    docs: Sequence[tree.DefinitionDoc],
    *,
    types: EventTypes,
    until_day: int,
    account_ids: Sequence[int] | None,
    dialect: Dialect,
    since_day: int | None = None,
) -> Statement:
    """Rows (definition number, account id, from day, to day): the rule held at the end of the days from the first
    to before the last, FAR where it holds up to `until_day` and nothing known ends it. Numbers are positions in `docs`.
    Of days before `since_day` nothing is told, which is faster: what held then and still does begins on that day.
    """
    plan = Plan(types, until_day, account_ids, dialect, since_day=since_day)
    tables(plan, docs)
    return plan.statement("\nUNION ALL ".join(intervals(plan, doc, number) for number, doc in enumerate(docs)))


def tables(plan: Plan, docs: Sequence[tree.DefinitionDoc], also: Sequence[Leafy] = ()) -> None:
    """Everything that the histories of these definitions are told by; `also` conditions are asked of accounts too."""
    for doc in docs:
        if doc.level == "user":
            _ask_people(plan, doc.rule)
        else:
            _ask(plan, doc.rule, "account")
    for node in also:
        _ask(plan, node, "account")
    plan.add("acct", plan.accounts())
    if any(isinstance(window, windows.BillingMonth) for window in _windows(plan)):
        _months(plan)
    _worth(plan, docs)
    if plan.people_rules and all(rises(plan, rule) for rule in plan.people_rules):
        first_days(plan)
        _members(plan, f"SELECT {KEYS} FROM user_first" if plan.sifts else "")
        spans_of_people(plan)
    elif plan.people_rules:
        _members(plan, _early(plan))
        _states(plan, "user", list(plan.people_rules))
        _people(plan)
    if plan.leaves["account"]:
        _states(plan, "account", [doc.rule for doc in docs if doc.level == "account"])


def _ask(plan: Plan, rule: tree.Node, subject: Subject) -> None:
    """Give each condition its number, what a score asks before the score."""
    for node in answered(rule):
        if isinstance(node, tree.Score):
            for signal in node.signals:
                if signal.when is not None:
                    _ask(plan, signal.when, subject)
        if isinstance(node, tree.UsersWho):
            _ask_people(plan, node.rule)
        plan.leaves[subject].setdefault(node, len(plan.leaves[subject]))


def _ask_people(plan: Plan, rule: tree.Node) -> None:
    plan.people_rules.setdefault(rule, len(plan.people_rules))
    _ask(plan, rule, "user")


def _windows(plan: Plan) -> Iterator[windows.Window]:
    for nodes in plan.leaves.values():
        for node in nodes:
            yield window_of(node)
            if isinstance(node, tree.Score):
                yield from (window_of(signal.per) for signal in node.signals if signal.per is not None)


def _months(plan: Plan) -> None:
    """`months`: the first day of each calendar month and of the next, as far back as anything was recorded."""
    firsts = [windows.month_start(plan.day)]
    while len(firsts) < _MONTHS:
        firsts.append(windows.month_start(firsts[-1] - 1))
    rows = ", ".join(f"({first}, {windows.next_month(first)})" for first in firsts)
    plan.add("months(first_day, next_month)", f"VALUES {rows}")


def _early(plan: Plan) -> str:
    """The changes of what people are counted by, which takes no list of people; rows (account_id, user_id) of those
    for whom a rule can hold by them, "" where that may be anybody."""
    early = {node: number for node, number in plan.leaves["user"].items() if _is_early(node)}
    for node, number in early.items():
        plan.add(f"user_{number}", flips(plan, node, "user"))

    def ever(node: Leafy, wanted: bool) -> str | None:
        return _ever(plan, "user", node, wanted) if node in early else None

    able = [could(rule, ever) for rule in plan.people_rules]
    if None in able or not plan.sifts:
        return ""
    rows = " UNION ALL ".join(f"SELECT {KEYS}, {number} AS part, delta FROM user_{number}" for number in early.values())
    some = " OR ".join(dict.fromkeys(part for part in able if part is not None))
    return f"SELECT {KEYS} FROM ({rows}) e GROUP BY {KEYS} HAVING {some}"


def _is_early(node: Leafy) -> bool:
    of_a_plan = isinstance(node, tree.Value) and isinstance(node.against, tree.Share)
    return not of_a_plan and not isinstance(node, (*_DATED, tree.Score))


def _members(plan: Plan, who: str) -> None:
    """The spans in which each person was there to be asked: a member, and both had signed up."""
    only = f" AND (m.account_id, m.user_id) IN ({who})" if who else ""
    signed = "CASE WHEN p.signup_day > a.signup_day THEN p.signup_day ELSE a.signup_day END"
    begins = f"CASE WHEN m.from_day > {signed} THEN m.from_day ELSE {signed} END"
    plan.add(
        "members",
        f"SELECT m.account_id, m.user_id, p.signup_day, {begins} AS from_day, m.to_day"
        " FROM acct a CROSS JOIN accounts_membership m JOIN accounts_productuser p ON p.id = m.user_id"
        f" WHERE m.account_id = a.id AND p.merged_into_id IS NULL AND {begins} < m.to_day{only}",
    )


def _worth(plan: Plan, docs: Sequence[tree.DefinitionDoc]) -> None:
    """The changes of dated facts of accounts, which are few; and `worth`, where no definition can hold for others: the
    accounts for which they let some definition hold, whatever the usage says."""
    dated = {node: number for node, number in plan.leaves["account"].items() if isinstance(node, _DATED)}
    for node, number in dated.items():
        plan.add(f"account_{number}", flips(plan, node, "account"))

    def ever(node: Leafy, wanted: bool) -> str | None:
        return _ever(plan, "account", node, wanted) if node in dated else None

    able = [None if doc.level == "user" else could(doc.rule, ever) for doc in docs]
    if None in able or not plan.sifts:
        return
    rows = " UNION ALL ".join(
        f"SELECT account_id, {number} AS part, delta FROM account_{number}" for number in dated.values()
    )
    some = " OR ".join(dict.fromkeys(part for part in able if part is not None))
    plan.add("worth", f"SELECT account_id AS id FROM ({rows}) w GROUP BY account_id HAVING {some}")
    plan.worth = "SELECT id FROM worth"


def _states(plan: Plan, subject: Subject, rules: Sequence[tree.Node]) -> None:
    """The changes of each condition of the subject, and `…_states`: for each day with any, the conditions that the
    rules name as running sums."""
    for node, number in plan.leaves[subject].items():
        if not (_is_early(node) if subject == "user" else isinstance(node, _DATED)):
            plan.add(f"{subject}_{number}", flips(plan, node, subject))
    numbers = dict.fromkeys(plan.leaves[subject][node] for rule in rules for node in answered(rule))
    changes = [f"SELECT {KEYS}, day, {number} AS part, delta FROM {subject}_{number}" for number in numbers]
    plan.add(f"{subject}_changes", " UNION ALL ".join(changes))
    if subject == "user":
        spans = f"SELECT {KEYS}, {{0}} AS day, {_THERE} AS part, {{1}} AS delta FROM members"
        there = f"{spans.format('from_day', 1)} UNION ALL {spans.format('to_day', -1)}"
    else:
        there = f"SELECT id AS account_id, 0 AS user_id, signup_day AS day, {_THERE} AS part, 1 AS delta FROM acct"
    rows = f"SELECT {KEYS}, day, part, delta FROM {subject}_changes UNION ALL {there}"
    able = [could(rule, lambda node, wanted: _ever(plan, subject, node, wanted)) for rule in rules]
    if None not in able and plan.sifts:
        some = " OR ".join(dict.fromkeys(part for part in able if part is not None))
        plan.add(f"{subject}_able", f"SELECT {KEYS} FROM {subject}_changes GROUP BY {KEYS} HAVING {some}")
        rows = f"SELECT {KEYS}, day, part, delta FROM ({rows}) e WHERE ({KEYS}) IN (SELECT {KEYS} FROM {subject}_able)"
    columns = {_THERE: "there"} | {number: f"s{number}" for number in numbers}
    plan.add(f"{subject}_states", running(rows, columns, plan))


def _ever(plan: Plan, subject: Subject, node: Leafy, wanted: bool) -> str:
    """Whether a condition ever becomes true, or false, in a group of changes."""
    change = f"part = {plan.leaves[subject][node]} AND delta = {1 if wanted else -1}"
    return f"MAX({truth(change)}) = 1"


def _people(plan: Plan) -> None:
    """`flips_of_people`: when somebody begins or ceases to be one for whom a rule holds."""
    parts = [
        f"SELECT {number} AS rule, account_id, day, t - t0 AS delta FROM ({_answers(plan, rule, 'user')}) a{number}"
        " WHERE t <> t0"
        for rule, number in plan.people_rules.items()
    ]
    plan.add("flips_of_people", " UNION ALL ".join(parts))


def _answers(plan: Plan, rule: tree.Node, subject: Subject) -> str:
    """Rows (account_id, day, t, t0): whether the subject is there and the rule holds, and did before the day."""
    now = truth(f"there > 0 AND {states_of(rule, plan, subject, str)}")
    before = truth(f"there - d_there > 0 AND {states_of(rule, plan, subject, lambda name: f'({name} - d_{name})')}")
    return f"SELECT account_id, day, {now} AS t, {before} AS t0 FROM {subject}_states"


def intervals(plan: Plan, doc: tree.DefinitionDoc, number: int) -> str:
    """Rows of `compile_history` for one definition, over the plan's tables."""
    if doc.level == "account":
        answers = _answers(plan, doc.rule, "account")
    else:
        daily = (
            "SELECT account_id, day, SUM(delta) AS delta FROM flips_of_people"
            f" WHERE rule = {plan.people_rules[doc.rule]} GROUP BY account_id, day"
        )
        over = "OVER (PARTITION BY account_id ORDER BY day)"
        sums = f"SELECT account_id, day, delta, SUM(delta) {over} AS m FROM ({daily}) d"
        now, before = (truth(f"{people} >= {doc.users_at_least}") for people in ("m", "m - delta"))
        answers = f"SELECT account_id, day, {now} AS t, {before} AS t0 FROM ({sums}) r"
    ends = f"LEAD(day, 1, {FAR}) OVER (PARTITION BY account_id ORDER BY day)"
    return (
        f"SELECT {number} AS definition, account_id, day AS from_day, to_day"
        f" FROM (SELECT account_id, day, t, {ends} AS to_day FROM ({answers}) c WHERE t <> t0) i{number} WHERE t = 1"
    )
