"""A rule with one of its conditions taken as met: what an account that is short of just that one would be. Pure.

Conditions under a `not`, and those of signals that take points, are left out: meeting them helps nobody. So are the
conditions that a score counts one by one, since it is the score that is short then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from scoring.rules.tree import All, Any_, AtLeast, Leaf, Nested, Node, Not, Score, StageSince, UsersWho, kind_of
from scoring.rules.windows import Subject

# holds for whoever is asked: nobody is asked about before the sign-up day
MET = StageSince("signed_up", at_least_days=0, at_most_days=None)

Wrap = Callable[[Node], Node]


@dataclass(frozen=True, slots=True)
class Forced:
    """A condition, and the rule as it reads with that one met.

    `person` is, of a condition inside `users_who`, the rule about one person with the condition met.
    """

    leaf: Leaf
    rule: Node
    person: Node | None = None


def each(rule: Node, *, subject: Subject) -> Iterator[Forced]:
    """Every condition that somebody may be short of, in reading order, `users_who`, `score` and `definition` before
    the conditions that they hold."""
    return _each(rule, "/rule", subject, _itself, None)


def _each(rule: Node, path: str, subject: Subject, put: Wrap, person: Wrap | None) -> Iterator[Forced]:
    """`put` and `person` build the whole rule, and that about one person, around what stands at `path`."""

    def inside(part: Node, where: str, wrap: Wrap) -> Iterator[Forced]:
        around = None if person is None else _both(person, wrap)
        return _each(part, f"{path}/{where}", subject, _both(put, wrap), around)

    if isinstance(rule, Not):
        return
    if isinstance(rule, All | Any_ | AtLeast):
        key = "all" if isinstance(rule, All) else "any" if isinstance(rule, Any_) else "of"
        for number, part in enumerate(rule.of):
            yield from inside(part, f"{key}/{number}", _part(rule, number))
        return
    leaf = Leaf(f"{path}/{kind_of(rule)}", rule, subject, negated=False)
    yield Forced(leaf, put(MET), None if person is None else person(MET))
    if isinstance(rule, UsersWho):
        yield from _each(rule.rule, f"{path}/users_who/rule", "user", _both(put, _people(rule)), _itself)
    elif isinstance(rule, Nested):
        yield from inside(rule.looked_up(), "definition/rule", _nested(rule))
    elif isinstance(rule, Score):
        for number, signal in enumerate(rule.signals):
            if signal.when is not None and signal.points > 0:
                yield from inside(signal.when, f"score/signals/{number}/when", _signal(rule, number))


def _itself(node: Node) -> Node:
    return node


def _both(outer: Wrap, inner: Wrap) -> Wrap:
    return lambda node: outer(inner(node))


def _part(group: All | Any_ | AtLeast, number: int) -> Wrap:
    return lambda node: replace(group, of=(*group.of[:number], node, *group.of[number + 1 :]))


def _people(asked: UsersWho) -> Wrap:
    return lambda node: replace(asked, rule=node)


def _nested(asked: Nested) -> Wrap:
    return lambda node: replace(asked, rule=node)


def _signal(score: Score, number: int) -> Wrap:
    before, signal, after = score.signals[:number], score.signals[number], score.signals[number + 1 :]
    return lambda node: replace(score, signals=(*before, replace(signal, when=node), *after))
