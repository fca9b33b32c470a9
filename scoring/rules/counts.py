"""A draft into one SQL statement: for each account whether it holds, and each part of it. Pure.

The parts are the nodes of the document, by JSON pointer: what a node alone says of an account, and, inside an `all`,
what it says together with those before it. Of a rule about people, whether there is at least one such person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from scoring.rules import tree
from scoring.rules.lifted import Lifted, flag
from scoring.rules.sql.booleans import holds
from scoring.rules.sql.plan import Plan
from scoring.rules.sql.terms import Dialect, EventTypes, Statement, truth
from scoring.rules.windows import Subject


@dataclass(frozen=True, slots=True)
class Part:
    """A node of a definition where it stands. `so_far`: it and those before it in its `all` group; None: in none."""

    path: str
    node: tree.Node
    subject: Subject
    so_far: tree.Node | None


def parts(doc: tree.DefinitionDoc) -> list[Part]:
    """Every node of the rule and the motion rule in reading order; of nested definitions not what they hold."""
    found = list(_parts(doc.rule, "/rule", doc.level, None))
    return found + ([] if doc.motion is None else list(_parts(doc.motion, "/motion/rule", "account", None)))


def _parts(node: tree.Node, path: str, subject: Subject, so_far: tree.Node | None) -> Iterator[Part]:
    yield Part(path, node, subject, so_far)
    match node:
        case tree.All(of):
            for number, part in enumerate(of):
                yield from _parts(part, f"{path}/all/{number}", subject, tree.All(of[: number + 1]))
        case tree.Any_(of) | tree.AtLeast(of=of):
            key = "any" if isinstance(node, tree.Any_) else "of"
            for number, part in enumerate(of):
                yield from _parts(part, f"{path}/{key}/{number}", subject, None)
        case tree.Not(of=part):
            yield from _parts(part, f"{path}/not", subject, None)
        case tree.UsersWho(rule=inner):
            yield from _parts(inner, f"{path}/users_who/rule", "user", None)
        case tree.Score(signals):
            for number, signal in enumerate(signals):
                here, shown = f"{path}/score/signals/{number}", signal.shown()
                if signal.when is not None:
                    yield from _parts(signal.when, f"{here}/when", subject, None)
                elif shown is not None:
                    yield Part(f"{here}/per", shown, subject, None)


def compile_counts(
    doc: tree.DefinitionDoc,
    others: Mapping[str, tree.DefinitionDoc],
    *,
    types: EventTypes,
    as_of_day: int,
    account_ids: Sequence[int] | None,
    dialect: Dialect,
) -> Statement:
    """One row for each account: account_id, signup_day, `holds`, one column for each of `others` by its name, and for
    each of `parts` its place as `n0` … and, where it has one, `so_far` as `s0` …: 1 or 0."""
    plan = Plan(types, as_of_day, account_ids, dialect)
    found = parts(doc)
    motion = [] if doc.motion is None else [replace(doc, level="account", rule=doc.motion)]
    lifted = Lifted(plan, [doc, *motion, *others.values()])
    columns = ["a.id AS account_id", "a.signup_day", flag(lifted.holds(doc), "holds")]
    columns += [flag(lifted.holds(other), name) for name, other in others.items()]
    of_people, joined = [], ""
    for place, part in enumerate(found):
        for name, rule in ((f"n{place}", part.node), (f"s{place}", part.so_far)):
            if rule is None:
                continue
            if part.subject == "account":
                columns.append(flag(holds(plan, rule, "account"), name))
            else:
                of_people.append(f"MAX({truth(holds(plan, rule, 'user'))}) AS {name}")
                columns.append(f"COALESCE(sp.{name}, 0) AS {name}")
    if of_people:
        plan.add("some_person", f"SELECT account_id, {', '.join(of_people)} FROM pairs GROUP BY account_id")
        joined = " LEFT JOIN some_person sp ON sp.account_id = a.id"
    return plan.statement(f"SELECT {', '.join(columns)}{lifted.source}{joined}")
