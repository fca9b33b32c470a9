"""Rules into one SQL statement: the accounts that are one condition short, and of which. Pure.

An account is one condition short if the rule does not hold but would with exactly one of its conditions met: NOT rule
AND rule[condition := true], by the verdict's own expressions. Of conditions about people it is asked who comes
closest: somebody for whom the rule about a person would hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from scoring.rules import forced, tree, windows
from scoring.rules.forced import Forced
from scoring.rules.lifted import Lifted, flag
from scoring.rules.sql.booleans import holds, measured
from scoring.rules.sql.distances import missing
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import Dialect, EventTypes, Statement, needs_person, window_of

USAGE, OTHER, TOO_LATE = 0, 1, 2  # ranks: what using the product brings, what it does not, what nothing brings any more
_NUMBER = "CAST(NULL AS BIGINT)"
NEAR_SCORE = "0.2"  # of what a score asks for: who lacks more is far away, though it is one condition
_FAR = "1000000.0"  # no share is larger that anybody would look at


def conditions(doc: tree.DefinitionDoc) -> list[Forced]:
    """The conditions of a definition that an account may be short of; their places number the rows' `leaf`."""
    return list(forced.each(doc.rule, subject=doc.level))


def compile_short(
    docs: Sequence[tree.DefinitionDoc],
    *,
    types: EventTypes,
    as_of_day: int,
    account_ids: Sequence[int] | None,
    dialect: Dialect,
) -> Statement:
    """Rows (definition, leaf, account id, user id, rank, missing, measured, extra, last day).

    One for each account that is short of just that condition: places in `docs` and in `conditions`, the person who
    comes closest (0: it is the account's own condition), USAGE, OTHER or TOO_LATE, the share of what is asked for that
    is missing (`sql.distances`), what was measured (as `compile_measures` tells it), what is told beside it, and the
    last day of a window that ends for the account or person by itself (NULL: none does).
    """
    plan = Plan(types, as_of_day, account_ids, dialect)
    asked = [(doc, conditions(doc)) for doc in docs]
    met = [replace(doc, rule=one.rule) for doc, found in asked for one in found]
    lifted = Lifted(plan, [*docs, *met])
    columns = ["a.id AS account_id", "a.signup_day"]
    for number, (doc, found) in enumerate(asked):
        columns.append(flag(lifted.holds(doc), f"t{number}"))
        columns += [
            flag(lifted.holds(replace(doc, rule=one.rule)), f"f{number}_{place}") for place, one in enumerate(found)
        ]
    plan.add("near", f"SELECT {', '.join(columns)}{lifted.source}")
    rows = [row for number, (_, found) in enumerate(asked) for row in _rows(plan, number, found)]
    if not rows:  # nothing but negations
        rows = [f"SELECT {', '.join(f'{text} AS {name}' for name, text in _NOTHING.items())} FROM near WHERE 1 = 0"]
    best = (
        "ROW_NUMBER() OVER (PARTITION BY definition, leaf, account_id"
        f" ORDER BY rank, COALESCE(missing, {_FAR}), user_id) AS place"
    )
    told = ", ".join(_NOTHING)
    return plan.statement(
        f"SELECT {told} FROM (SELECT {told}, {best} FROM ({' UNION ALL '.join(rows)}) told) ranked WHERE place = 1"
    )


_NOTHING = {
    "definition": "0",
    "leaf": "0",
    "account_id": "account_id",
    "user_id": "CAST(0 AS BIGINT)",
    "rank": "0",
    "missing": "CAST(NULL AS DOUBLE PRECISION)",
    "measured": _NUMBER,
    "extra": _NUMBER,
    "last_day": "CAST(NULL AS INTEGER)",
}


def _rows(plan: Plan, number: int, found: Sequence[Forced]) -> Iterator[str]:
    for place, one in enumerate(found):
        node, subject = one.leaf.node, one.leaf.subject
        column = measured(plan, node, subject)
        # what was measured is told where a row of the wide table has it
        person = subject == "user"
        last = _last_day(plan, one)
        told = {
            "definition": str(number),
            "leaf": str(place),
            "account_id": "near.account_id",
            "user_id": "s.user_id" if person else "CAST(0 AS BIGINT)",
            "rank": _rank(plan, one, column, last),
            "missing": missing(plan, node, subject),
            "measured": f"CAST({column} AS BIGINT)",
            "extra": f"CAST({_extra(plan, one)} AS BIGINT)",
            "last_day": last,
        }
        joined = f" JOIN {'pairs' if person else 'accts'} s ON s.account_id = near.account_id"
        if person and needs_person(node):
            joined += " JOIN members p ON p.account_id = s.account_id AND p.user_id = s.user_id"
        where = f"t{number} = 0 AND f{number}_{place} = 1"
        if person:
            rule = one.person if one.person is not None else one.rule
            where += f" AND {holds(plan, rule, 'user')} AND NOT {holds(plan, node, 'user')}"
        if isinstance(node, tree.Score):
            where += f" AND {told['missing']} <= {NEAR_SCORE}"
        listed = ", ".join(f"{text} AS {name}" for name, text in told.items())
        yield f"SELECT {listed} FROM near{joined} WHERE {where}"


def _extra(plan: Plan, one: Forced) -> str:
    number = plan.leaves[one.leaf.subject].get(one.leaf.node)
    match one.leaf.node:
        case tree.Change():
            return f"y{number}"
        case tree.Value(against=tree.Share()):
            return f"x{number}"
    return "NULL"


def _rank(plan: Plan, one: Forced, column: str, last: str) -> str:
    node = one.leaf.node
    rank = str(USAGE if isinstance(node, tree.UsageCondition | tree.UsersWho | tree.Score) else OTHER)
    late = [] if last == _NOTHING["last_day"] else [f"{last} < {plan.day}"]
    if isinstance(node, tree.First):  # it happened, but not in the window: there is no second first time
        late.append(f"{column} IS NOT NULL")
    if isinstance(node, tree.StageSince) and node.at_most_days is not None:
        late.append(f"{column} < {plan.day - node.at_most_days}")
    return f"CASE WHEN {' OR '.join(late)} THEN {TOO_LATE} ELSE {rank} END" if late else rank


def _last_day(plan: Plan, one: Forced) -> str:
    """The last day of the condition's window, as a column; NULL where none ends by itself."""
    node = one.leaf.node
    if isinstance(node, tree.StageReached) and node.stage == "signed_up":
        return _NOTHING["last_day"]
    match window_of(node):
        case windows.FirstDays(length, of):
            return f"{'near' if of == 'account' else 'p'}.signup_day + {length - 1}"
        case windows.Dates(to_day=int(day)):
            return str(day)
        case windows.BillingMonth():
            return str(windows.next_month(plan.day) - 1)
    return _NOTHING["last_day"]
