"""The two wide tables: what every condition measured, and the next day on which time alone changes it."""

from __future__ import annotations

from scoring.rules import tree, windows
from scoring.rules.sql import sequences
from scoring.rules.sql.booleans import holds, soonest
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import NO_DAY, Leafy, truth, window_of
from scoring.rules.windows import Subject


def wide_table(plan: Plan, subject: Subject) -> None:
    """`pairs` or `accts`: m (measured) and n (next day) of every condition of the subject."""
    names = {name for name, _ in plan.with_parts}
    person = subject == "user"
    by_pair = "x.account_id = s.account_id AND x.user_id = s.user_id"
    by_account = "x.account_id = s.account_id"
    counted = [table for (whose, _), table in plan.usage_table.items() if whose == subject]
    tables = dict.fromkeys(counted, by_pair if person else by_account) | {
        "vals" if person else "avals": by_pair if person else by_account,
        "slid" if person else "aslid": by_pair if person else by_account,
        "lasts" if person else "alasts": by_pair if person else by_account,
        "seq" if person else "aseq": by_pair if person else by_account,
        "atrait": by_account,
        "achange": by_account,
        "plim": by_account,
        "stage": by_account,
    }
    tables |= (
        dict.fromkeys(("utrait", "uchange"), "x.user_id = s.user_id")
        if person
        else {"daily": by_account, "who": by_account}
    )
    joins = "".join(
        f" LEFT JOIN {table} ON {on.replace('x.', f'{table}.')}" for table, on in tables.items() if table in names
    )
    columns = []
    for node, number in plan.leaves[subject].items():
        measured, changes = _columns_of(plan, node, number, subject)
        columns += [f"{measured} AS m{number}", f"{changes} AS n{number}"]
        if isinstance(node, tree.First):
            inside = plan.inside(node.window, measured, "s.signup_day") or "1 = 1"
            columns.append(f"{truth(f'{measured} IS NOT NULL AND {inside}')} AS h{number}")
        if isinstance(node, tree.Sequence):
            columns.append(f"{'seq' if person else 'aseq'}.l{number} AS y{number}")
        if isinstance(node, tree.Change):
            before = f"{plan.usage_table[subject, node]}.b{plan.usage_columns[node]}"
            columns.append(f"COALESCE({before}, 0) AS y{number}")
        if isinstance(node, tree.Value) and isinstance(node.against, tree.Share):
            share = plan.limit_columns[node.against]
            columns += [f"plim.x{share} AS x{number}", f"plim.y{share} AS y{number}"]
        if isinstance(node, tree.Trait):
            columns.append(f"{'utrait' if node.of == 'user' else 'atrait'}.v{plan.trait_columns[node]} AS v{number}")
    if person:
        source = "members s JOIN acct a ON a.id = s.account_id"
        keys = "s.account_id, s.user_id"
    else:
        source = "(SELECT id AS account_id, signup_day FROM acct WHERE id > 0) s JOIN acct a ON a.id = s.account_id"
        keys = "s.account_id"
    listed = ", ".join([keys, *columns])
    plan.add("pairs" if person else "accts", f"SELECT {listed} FROM {source}{joins}")


def _columns_of(plan: Plan, node: Leafy, number: int, subject: Subject) -> tuple[str, str]:
    """SQL of the measured value and of the next day on which time alone changes the condition's answer."""
    person = subject == "user"
    match node:
        case tree.UsersWho():
            rule = plan.people_rules[node.rule]
            return f"COALESCE(who.h{rule}, 0)", f"who.n{rule}"
        case tree.Trait():
            column, table = plan.trait_columns[node], "utrait" if node.of == "user" else "atrait"
            return f"COALESCE({table}.m{column}, 0)", f"{table}.n{column}"
        case tree.StageReached() | tree.StageSince():
            return _stage_columns_of(plan, node)
        case tree.Recency():
            last = f"{plan.usage_table[subject, node]}.m{plan.usage_columns[node]}"
            length = node.within_days if node.within_days is not None else node.not_for_days
            return last, f"CASE WHEN {last} + {length} > {plan.day} THEN {last} + {length} END"
        case tree.First():
            first = f"{plan.usage_table[subject, node]}.m{plan.usage_columns[node]}"
            end = plan.lapses(node.window, first)
            return first, NO_DAY if end == NO_DAY else f"CASE WHEN {plan.inside(node.window, first, '')} THEN {end} END"
        case tree.Change():
            base, column = plan.usage_table[subject, node], plan.usage_columns[node]
            measured = f"COALESCE({base}.m{column}, 0)"
            moves = plan.least([f"{base}.l{column} + {node.days}", f"{base}.k{column} + {2 * node.days}"])
            # what is recent only falls: below its least number, or at none, the answer stays no
            least = max(node.at_least, 1 if node.op == "at_least" else 0)
            return measured, f"CASE WHEN {measured} >= {least} THEN {moves} END"
        case tree.TraitChanged():
            changed = f"{'uchange' if node.of == 'user' else 'achange'}.@{plan.changed_columns[node]}"
            last, end = changed.replace("@", "m"), f"{changed.replace('@', 'm')} + {node.within_days}"
            return last, plan.least([f"CASE WHEN {end} > {plan.day} THEN {end} END", changed.replace("@", "n")])
        case tree.Sequence():
            return sequences.columns_of(plan, node, number, subject)
        case tree.Score() | tree.Nested():
            raise TypeError("measured by what it holds")
        case tree.Value():
            return _value_columns_of(plan, node, number, subject)
    if isinstance(window_of(node), windows.AnyDays):
        return f"COALESCE({'slid' if person else 'aslid'}.m{number}, 0)", NO_DAY
    if isinstance(node, tree.Distinct):
        table = "vals" if person else "avals"
        measured, oldest = f"COALESCE({table}.m{number}, 0)", f"{table}.l{number}"
    else:
        column, table = plan.usage_columns[node], plan.usage_table[subject, node]
        counted = "daily" if isinstance(node, tree.Days) and table == "abase" else table
        measured, oldest = f"COALESCE({counted}.m{column}, 0)", f"{table}.l{column}"
    end = plan.lapses(window_of(node), oldest)
    return measured, end if end == NO_DAY else f"CASE WHEN {_falls(measured, node.compare)} THEN {end} END"


def _falls(measured: str, compare: tree.Compare) -> str:
    """Whether a number that only falls may change the answer: what is below the lowest accepted one stays there."""
    return f"{measured} > {compare.high}" if compare.op == "at_most" else f"{measured} >= {compare.low}"


def _value_columns_of(plan: Plan, node: tree.Value, number: int, subject: Subject) -> tuple[str, str]:
    person, share = subject == "user", isinstance(node.against, tree.Share)
    base, column = plan.usage_table.get((subject, node), ""), plan.usage_columns.get(node)
    falls = oldest = ""
    if isinstance(node.window, windows.AnyDays):
        measured, end = f"COALESCE({'slid' if person else 'aslid'}.m{number}, 0)", NO_DAY
    else:
        if node.measure == "last":
            table = "lasts" if person else "alasts"
            measured, oldest = f"{table}.m{number}", f"{table}.l{number}"
        else:
            measured, oldest = f"{base}.m{column}", f"{base}.l{column}"
            measured = f"COALESCE({measured}, 0)" if node.measure == "sum" else measured
            if isinstance(node.against, tree.Compare):
                at_most = node.measure == "max" and node.against.op == "at_most"  # until there is no value at all
                falls = f"{measured} IS NOT NULL" if at_most else _falls(measured, node.against)
            else:
                falls = f"{measured} >= plim.x{plan.limit_columns[node.against]}"
            if node.measure == "sum":  # what was taken back counts below zero: without it the sum rises
                falls = f"({falls} OR {base}.g{column} < 0)"
        end = plan.lapses(node.window, oldest)
        if falls and end != NO_DAY:
            end = f"CASE WHEN {falls} THEN {end} END"
    if not share:
        return measured, end
    limits = plan.limit_columns[node.against]  # type: ignore[index]
    return measured, plan.least([end, f"plim.n{limits}", "plim.n"])


def _stage_columns_of(plan: Plan, node: tree.StageReached | tree.StageSince) -> tuple[str, str]:
    """Measured: the day of the newest entry that counts, or NULL."""
    if node.stage == "signed_up":
        inside = plan.inside(node.window, "a.signup_day", "") if isinstance(node, tree.StageReached) else ""
        entered = f"CASE WHEN {inside} THEN a.signup_day END" if inside else "a.signup_day"
        later = NO_DAY
    else:
        number = plan.stage_columns[node]
        entered, later = f"stage.m{number}", f"stage.n{number}"
    ends: list[int] = []
    if isinstance(node, tree.StageReached):
        if isinstance(node.window, windows.BillingMonth):
            return entered, plan.least([plan.lapses(node.window, entered), later])
        ends = [node.window.days] if isinstance(node.window, windows.LastDays) else []
    else:
        ends += [node.at_least_days] if node.at_least_days is not None else []
        ends += [node.at_most_days + 1] if node.at_most_days is not None else []
    changes = [f"CASE WHEN {entered} + {end} > {plan.day} THEN {entered} + {end} END" for end in ends]
    return entered, plan.least([*changes, later])


def people_table(plan: Plan) -> None:
    """`people`: does each rule about a person hold (h) and until when (n); `who`: counted by account."""
    columns, counts = [], []
    for rule, number in plan.people_rules.items():
        columns.append(f"{truth(holds(plan, rule, 'user'))} AS h{number}")
        columns.append(f"{soonest(plan, rule, 'user')} AS n{number}")
        counts.append(f"CAST(SUM(h{number}) AS BIGINT) AS h{number}, MIN(n{number}) AS n{number}")
    plan.add("people", f"SELECT account_id, user_id, {', '.join(columns)} FROM pairs")
    if plan.of_kind("account", tree.UsersWho):
        plan.add("who", f"SELECT account_id, {', '.join(counts)} FROM people GROUP BY account_id")
