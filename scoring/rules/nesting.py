"""Definitions inside definitions: which ones a definition nests, and putting their rules in place. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from scoring.rules.problems import Problem, RuleError
from scoring.rules.tree import (
    All,
    Any_,
    AtLeast,
    Compare,
    DefinitionDoc,
    Leaf,
    Nested,
    Node,
    Not,
    Score,
    UsersWho,
    all_leaves,
)
from scoring.rules.windows import Subject

MAX_EXPANDED = 200  # conditions of a definition with all that it nests
MAX_DEEP = 4  # definitions inside one another

Find = Callable[[Nested], DefinitionDoc]


def nested(doc: DefinitionDoc) -> Iterator[tuple[Leaf, Nested]]:
    """Where a definition asks for another one; in one that is resolved, also where those ask."""
    for leaf in all_leaves(doc):
        if isinstance(leaf.node, Nested):
            yield leaf, leaf.node


def pin(doc: DefinitionDoc, versions: Callable[[Nested], int | None]) -> DefinitionDoc:
    """The definition with each nested one pinned to the version that `versions` gives."""

    def pinned(node: Nested, subject: Subject) -> Node:
        return Nested(node.slug, versions(node))

    return _replaced(doc, pinned)


def resolve(doc: DefinitionDoc, find: Find) -> DefinitionDoc:
    """The definition with the rules of those that it nests in place; `find` gives each of these, resolved itself.

    A definition about people, nested in a rule about accounts, asks for as many people as lift it to the account.
    RuleError for one about accounts in a rule about people, and where it all grows too large.
    """

    def looked_up(node: Nested, subject: Subject) -> Node:
        inner = find(node)
        rule = inner.rule
        if inner.level != subject:
            rule = UsersWho(Compare("at_least", low=inner.users_at_least), rule)
        return replace(node, name=inner.name, rule=rule)

    problems = [
        Problem(leaf.path, f"“{node.slug}” is about accounts: a rule about people cannot ask for it")
        for leaf, node in nested(doc)
        if leaf.subject == "user" and find(node).level == "account"
    ]
    if problems:
        raise RuleError(problems)
    resolved = _replaced(doc, looked_up)
    found = list(all_leaves(resolved))
    if len(found) > MAX_EXPANDED:
        message = f"expected at most {MAX_EXPANDED} conditions with those of nested definitions, found {len(found)}"
        raise RuleError([Problem("/rule", message)])
    if max((leaf.path.count("/definition/rule") + 1 for leaf, _ in nested(resolved)), default=0) > MAX_DEEP:
        raise RuleError([Problem("/rule", f"expected at most {MAX_DEEP} definitions inside one another")])
    return resolved


def _replaced(doc: DefinitionDoc, put: Callable[[Nested, Subject], Node]) -> DefinitionDoc:
    motion = None if doc.motion is None else _in(doc.motion, "account", put)
    return replace(doc, rule=_in(doc.rule, doc.level, put), motion=motion)


def _in(rule: Node, subject: Subject, put: Callable[[Nested, Subject], Node]) -> Node:
    match rule:
        case Nested():
            return put(rule, subject)
        case All(of) | Any_(of):
            parts = tuple(_in(part, subject, put) for part in of)
            return All(parts) if isinstance(rule, All) else Any_(parts)
        case AtLeast(k, of):
            return AtLeast(k, tuple(_in(part, subject, put) for part in of))
        case Not(of=part):
            return Not(_in(part, subject, put))
        case UsersWho(compare, inner):
            return UsersWho(compare, _in(inner, "user", put))
        case Score(signals):
            kept = tuple(
                signal if signal.when is None else replace(signal, when=_in(signal.when, subject, put))
                for signal in signals
            )
            return replace(rule, signals=kept)
    return rule
