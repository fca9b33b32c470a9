"""The rule language: typed nodes, and walking over them.

`nodes` holds what a rule is made of; its names are here too, so that a reader needs one module. `parse` makes
them from the stored JSON form, `stored` writes them back. Pure: no Django, no clock.
docs/rules.md says what each condition means at its edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scoring.rules.nodes import (
    PARTS,
    All,
    Any_,
    AtLeast,
    Change,
    Compare,
    Condition,
    Count,
    Days,
    Distinct,
    First,
    Nested,
    Node,
    Not,
    Recency,
    Score,
    Sequence,
    Share,
    Signal,
    StageReached,
    StageSince,
    Trait,
    TraitChanged,
    UsageCondition,
    Users,
    UsersWho,
    Value,
)
from scoring.rules.windows import Subject

__all__ = [
    "ANY_EVENT",
    "All",
    "Any_",
    "AtLeast",
    "Change",
    "Compare",
    "Condition",
    "Count",
    "DEFAULT_GRACE_DAYS",
    "Days",
    "DefinitionDoc",
    "Distinct",
    "First",
    "LEVELS",
    "MEASURES",
    "Leaf",
    "Nested",
    "Node",
    "Not",
    "PARTS",
    "PURPOSES",
    "Recency",
    "STAGES",
    "STAGE_WRITTEN",
    "Score",
    "Sequence",
    "Share",
    "Signal",
    "StageReached",
    "StageSince",
    "Trait",
    "TraitChanged",
    "UsageCondition",
    "Users",
    "UsersWho",
    "Value",
    "all_leaves",
    "event_names",
    "kind_of",
    "leaves",
    "measurements",
    "reads_log",
    "stage_written",
    "stages_read",
]

PURPOSES = ("activation", "pql", "expansion", "risk")
MEASURES = ("sum", "max", "last")
LEVELS = ("account", "user")
STAGES = ("signed_up", "activated", "pql", "claimed", "contacted", "paid", "expanded", "churned", "returned")
# The stage that an account reaches by qualifying: a definition may not read what it writes.
STAGE_WRITTEN = {"activation": "activated", "pql": "pql"}
ANY_EVENT = ("*",)
DEFAULT_GRACE_DAYS = 7


@dataclass(frozen=True, slots=True)
class DefinitionDoc:
    """A definition as a person wrote it, checked.

    `users_at_least` counts at level user only: so many qualifying people make the account qualify.
    `motion` says which accounts are worth a person (None: all); same language, level account.
    """

    slug: str
    name: str
    purpose: str
    level: Subject
    rule: Node
    users_at_least: int = 1
    grace_days: int = DEFAULT_GRACE_DAYS
    motion: Node | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """A condition where it stands: JSON pointer, whose it is, and whether an odd number of `not` is above it."""

    path: str
    node: Condition | UsersWho
    subject: Subject
    negated: bool


_KINDS: dict[type, str] = {
    Count: "count",
    Distinct: "distinct",
    Users: "users",
    Days: "days",
    Recency: "recency",
    First: "first",
    Value: "value",
    Change: "change",
    Sequence: "sequence",
    Score: "score",
    Nested: "definition",
    Trait: "trait",
    TraitChanged: "trait",
    StageReached: "stage",
    StageSince: "stage",
    UsersWho: "users_who",
}


def kind_of(node: Condition | UsersWho) -> str:
    """The key under which a condition is stored."""
    return _KINDS[type(node)]


def extras(node: Condition | UsersWho) -> tuple[str, ...]:
    """What is told of a condition beside what it measures, by name."""
    if isinstance(node, Change):
        return ("base",)
    if isinstance(node, Sequence):
        return ("start_day",)
    if isinstance(node, Score):
        return (*PARTS, *(f"signal_{number}" for number in range(len(node.signals))))
    return ("limit",) if isinstance(node, Value) and isinstance(node.against, Share) else ()


def leaves(rule: Node, path: str = "/rule", *, subject: Subject, negated: bool = False) -> Iterator[Leaf]:
    """Every condition in reading order, `users_who`, `score` and `definition` before the conditions that they hold.

    What takes points away from a score stands under a `not` more.
    """
    match rule:
        case All(of) | Any_(of):
            key = "all" if isinstance(rule, All) else "any"
            for number, part in enumerate(of):
                yield from leaves(part, f"{path}/{key}/{number}", subject=subject, negated=negated)
        case AtLeast(_, of):
            for number, part in enumerate(of):
                yield from leaves(part, f"{path}/of/{number}", subject=subject, negated=negated)
        case Not(of=part):
            yield from leaves(part, f"{path}/not", subject=subject, negated=not negated)
        case UsersWho(rule=inner):
            yield Leaf(f"{path}/users_who", rule, subject, negated)
            yield from leaves(inner, f"{path}/users_who/rule", subject="user", negated=negated)
        case Score(signals):
            yield Leaf(f"{path}/score", rule, subject, negated)
            for number, signal in enumerate(signals):
                here, against = f"{path}/score/signals/{number}", negated != (signal.points < 0)
                if signal.when is not None:
                    yield from leaves(signal.when, f"{here}/when", subject=subject, negated=against)
                elif (shown := signal.shown()) is not None:
                    yield Leaf(f"{here}/per/{kind_of(shown)}", shown, subject, against)
        case Nested(rule=nested):
            yield Leaf(f"{path}/definition", rule, subject, negated)
            if nested is not None:
                yield from leaves(nested, f"{path}/definition/rule", subject=subject, negated=negated)
        case _:
            yield Leaf(f"{path}/{kind_of(rule)}", rule, subject, negated)


def measurements(rule: Node, *, subject: Subject) -> Iterator[tuple[Subject, Condition | UsersWho]]:
    """What has to be measured to answer a rule: its conditions, in place of a score what that adds up, and of a
    definition what that asks."""
    for leaf in leaves(rule, subject=subject):
        if isinstance(leaf.node, Score):
            for signal in leaf.node.signals:
                for _, node in signal.measured_by():
                    yield leaf.subject, node
        elif not isinstance(leaf.node, Nested):
            yield leaf.subject, leaf.node


def reads_log(doc: DefinitionDoc, *, with_motion: bool = False) -> bool:
    """Whether the rule (or the motion rule, where that is asked too) needs more than the daily roll-up: only the app
    database can answer it."""
    found = all_leaves(doc) if with_motion else leaves(doc.rule, subject=doc.level)
    return any(isinstance(leaf.node, Sequence) and leaf.node.reads_log for leaf in found)


def all_leaves(doc: DefinitionDoc) -> list[Leaf]:
    """Every condition of the rule and of the motion rule."""
    found = list(leaves(doc.rule, "/rule", subject=doc.level))
    if doc.motion is not None:
        found += leaves(doc.motion, "/motion/rule", subject="account")
    return found


def event_names(doc: DefinitionDoc) -> frozenset[str]:
    """The event names that the definition reads; “*” as itself."""
    return frozenset(
        name for leaf in all_leaves(doc) if isinstance(leaf.node, UsageCondition) for name in leaf.node.events
    )


def stages_read(doc: DefinitionDoc) -> frozenset[str]:
    """The stages whose ledger entries the rule itself reads (the motion rule decides nothing about stages)."""
    return frozenset(
        leaf.node.stage
        for leaf in leaves(doc.rule, subject=doc.level)
        if isinstance(leaf.node, (StageReached, StageSince))
    )


def stage_written(doc: DefinitionDoc) -> str | None:
    """The stage that an account reaches when it qualifies."""
    return STAGE_WRITTEN.get(doc.purpose)
