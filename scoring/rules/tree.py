"""The rule language: typed nodes, and walking over them.

The nodes are frozen and compare by value, so that two definitions that ask the same share one measurement.
`parse` makes them from the stored JSON form, `stored` writes them back. Pure: no Django, no clock.
docs/rules.md says what each condition means at its edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from scoring.rules.windows import Subject, Window

PURPOSES = ("activation", "pql", "expansion", "risk")
LEVELS = ("account", "user")
STAGES = ("signed_up", "activated", "pql", "claimed", "contacted", "paid", "expanded", "churned", "returned")
# The stage that an account reaches by qualifying: a definition may not read what it writes.
STAGE_WRITTEN = {"activation": "activated", "pql": "pql"}
ANY_EVENT = ("*",)
DEFAULT_GRACE_DAYS = 7


@dataclass(frozen=True, slots=True)
class Compare:
    """How a measured number is judged: between `low` and `high`, both included (None: open), or one of `values`."""

    op: Literal["at_least", "at_most", "exactly", "between", "in"]
    low: int | None = None
    high: int | None = None
    values: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """How many events."""

    events: tuple[str, ...]
    compare: Compare
    window: Window


@dataclass(frozen=True, slots=True)
class Distinct:
    """How many different values of a property (`of`) that the event type collects."""

    events: tuple[str, ...]
    of: str
    compare: Compare
    window: Window


@dataclass(frozen=True, slots=True)
class Users:
    """How many different people were active in the account."""

    events: tuple[str, ...]
    compare: Compare
    window: Window


@dataclass(frozen=True, slots=True)
class Days:
    """On how many different days there was activity."""

    events: tuple[str, ...]
    compare: Compare
    window: Window


@dataclass(frozen=True, slots=True)
class Recency:
    """Seen within the last `within_days`, or not seen for `not_for_days`: exactly one of them is set."""

    events: tuple[str, ...]
    within_days: int | None = None
    not_for_days: int | None = None


@dataclass(frozen=True, slots=True)
class Trait:
    """A trait as it stands at the end of the day.

    Texts are compared exactly (`texts`; a boolean is the text true or false), numbers in micro-units:
    `numbers` for equality, `low` and `high` for ranges, both included. `is_set` asks whether there is a value.
    """

    name: str
    of: Subject
    op: Literal["in", "exactly", "at_least", "at_most", "between", "is_set"]
    texts: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    low: int | None = None
    high: int | None = None
    is_set: bool = True


@dataclass(frozen=True, slots=True)
class StageReached:
    """The account reached the stage, at least once, on a day of the window."""

    stage: str
    window: Window


@dataclass(frozen=True, slots=True)
class StageSince:
    """So many days since the account last reached the stage (0 on the day itself); never reached: false."""

    stage: str
    at_least_days: int | None
    at_most_days: int | None


@dataclass(frozen=True, slots=True)
class UsersWho:
    """How many people of the account the nested rule, asked of each person, holds for."""

    compare: Compare
    rule: Node


@dataclass(frozen=True, slots=True)
class All:
    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Any_:
    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: Node


@dataclass(frozen=True, slots=True)
class AtLeast:
    k: int
    of: tuple[Node, ...]


UsageCondition = Count | Distinct | Users | Days | Recency
Condition = Count | Distinct | Users | Days | Recency | Trait | StageReached | StageSince
Node = All | Any_ | Not | AtLeast | Condition | UsersWho


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
    Trait: "trait",
    StageReached: "stage",
    StageSince: "stage",
    UsersWho: "users_who",
}


def kind_of(node: Condition | UsersWho) -> str:
    """The key under which a condition is stored."""
    return _KINDS[type(node)]


def leaves(rule: Node, path: str = "/rule", *, subject: Subject, negated: bool = False) -> Iterator[Leaf]:
    """Every condition in reading order, `users_who` before the conditions that it holds."""
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
        case _:
            yield Leaf(f"{path}/{kind_of(rule)}", rule, subject, negated)


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
