"""A document that may not be a definition yet: what each of its parts says, as far as it can be read. Pure.

`parse` reads a whole definition or nothing; somebody who writes one wants to read what is there already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scoring.rules import describe, phrases, tree
from scoring.rules.parse import MAX_LEVELS, parse_definition, parse_rule
from scoring.rules.problems import Problem, RuleError
from scoring.rules.scores import COUNTED
from scoring.rules.stored import to_json
from scoring.rules.windows import Subject

_DEEP = 3 * MAX_LEVELS  # what is deeper is refused anyhow; a text of brackets only must not exhaust the stack


@dataclass(frozen=True, slots=True)
class Draft:
    """`doc` is None as long as there are problems. `phrases` says each readable part in English and `events` which
    events it names, by the JSON pointer of the part."""

    doc: tree.DefinitionDoc | None
    problems: list[Problem]
    phrases: dict[str, str] = field(default_factory=dict)
    events: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read(document: object, *, names: Mapping[str, str] | None = None) -> Draft:
    """What the document says. `names` are those of other definitions, by slug."""
    problems: list[Problem] = []
    doc = None
    try:
        doc = parse_definition(document)
    except RuleError as error:
        problems = list(error.problems)
    draft = Draft(doc, problems)
    for path, part, subject in _parts(document):
        node = _node(part, subject, names or {})
        if node is None:
            continue
        if path.endswith("/per") and isinstance(node, tree.Count | tree.Distinct | tree.Users | tree.Days):
            said = phrases.each(node, subject)
        else:
            said = describe.describe_rule(node, subject=subject)
        draft.phrases[path] = said[:1].upper() + said[1:]
        if isinstance(node, tree.UsageCondition):
            draft.events[path] = node.events
    return draft


def in_order(document: object) -> object:
    """A stored document with its keys in the order of the language: some databases keep them in one of their own.

    As it is where it is not the canonical form of what it says: nothing is rewritten by showing it.
    """
    try:
        ordered = to_json(parse_definition(document))
    except RuleError:
        return document
    return ordered if ordered == document else document


def _node(part: object, subject: Subject, names: Mapping[str, str]) -> tree.Node | None:
    try:
        node = parse_rule(part, level=subject)
    except RuleError:
        return None
    if isinstance(node, tree.Nested):
        return replace(node, name=names.get(node.slug, ""))
    if isinstance(node, tree.Not) and isinstance(node.of, tree.Nested):
        return tree.Not(replace(node.of, name=names.get(node.of.slug, "")))
    return node


def _parts(document: object) -> Iterator[tuple[str, object, Subject]]:
    """Every part that is a rule of its own: its pointer, its text, and whom it asks."""
    if not isinstance(document, dict):
        return
    subject: Subject = "user" if document.get("level") == "user" else "account"
    yield from _rule(document.get("rule"), "/rule", subject, 0)
    motion = document.get("motion")
    if isinstance(motion, dict):
        yield from _rule(motion.get("rule"), "/motion/rule", "account", 0)


def _rule(part: object, path: str, subject: Subject, deep: int) -> Iterator[tuple[str, object, Subject]]:
    if not isinstance(part, dict) or deep > _DEEP:
        return
    for key in ("all", "any", "of"):
        if isinstance(part.get(key), list):
            for number, inner in enumerate(part[key]):
                yield from _rule(inner, f"{path}/{key}/{number}", subject, deep + 1)
            return
    yield path, part, subject
    if "not" in part:
        yield from _rule(part["not"], f"{path}/not", subject, deep + 1)
    elif isinstance(people := part.get("users_who"), dict):
        yield from _rule(people.get("rule"), f"{path}/users_who/rule", "user", deep + 1)
    elif isinstance(score := part.get("score"), dict):
        signals = score.get("signals")
        for number, signal in enumerate(signals if isinstance(signals, list) else ()):
            yield from _signal(signal, f"{path}/score/signals/{number}", subject, deep + 1)


def _signal(signal: Any, path: str, subject: Subject, deep: int) -> Iterator[tuple[str, object, Subject]]:
    if not isinstance(signal, dict):
        return
    if "when" in signal:
        yield from _rule(signal["when"], f"{path}/when", subject, deep)
    per = signal.get("per")
    if isinstance(per, dict) and len(per) == 1:
        ((kind, inside),) = per.items()
        if kind in COUNTED and isinstance(inside, dict):  # as a condition of its own it needs a comparison
            yield f"{path}/per", {kind: {"at_least": 1} | inside}, subject
