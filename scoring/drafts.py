"""A draft before it is published: what it says, what is wrong with it and where, and what publishing would change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scoring import definitions, dependencies, names
from scoring.definitions import LiveRule
from scoring.rules import describe, differences, nesting, tree
from scoring.rules import drafts as texts
from scoring.rules.problems import Problem, RuleError


@dataclass(frozen=True, slots=True)
class Draft:
    """`english` is the whole definition as a sentence, "" as long as there are problems. `phrases` and `warnings` stand
    by the JSON pointer of the part that they are about. `free_slug` is one that a new definition could have, where its
    own is taken."""

    doc: tree.DefinitionDoc | None
    english: str
    problems: list[Problem]
    phrases: Mapping[str, str] = field(default_factory=dict)
    warnings: Mapping[str, list[str]] = field(default_factory=dict)
    free_slug: str = ""


def read(document: object, *, now: dt.datetime, new: bool = False) -> Draft:
    """What the draft says: checked as publishing checks it, without writing. Three queries and one of the lake.

    `new`: it is to be a new definition, so its slug has to be free (one query more).
    """
    rules = {rule.slug: rule for rule in definitions.live_rules()}
    found = texts.read(document, names={slug: rule.doc.name for slug, rule in rules.items()})
    problems, english = found.problems, ""
    if found.doc is not None:
        try:
            resolved = _resolved(found.doc, rules)
            english = describe.describe(resolved)
        except RuleError as error:
            problems = list(error.problems)
    free = ""
    given = document.get("slug") if new and isinstance(document, dict) else None
    slug = given if isinstance(given, str) and all(problem.path != "/slug" for problem in problems) else ""
    if refused := definitions.refused_slug(slug) if slug else "":
        problems, english, free = [Problem("/slug", refused), *problems], "", definitions.free_slug(slug)
    silent = names.warnings({name for events in found.events.values() for name in events}, now=now)
    warnings = {
        path: [f"“{name}”: {silent[name]}" for name in events if name in silent]
        for path, events in found.events.items()
    }
    return Draft(
        found.doc if english else None,
        english,
        problems,
        found.phrases,
        {path: words for path, words in warnings.items() if words},
        free,
    )


def changes(document: object, base: object) -> list[differences.Change] | None:
    """What a draft changes of a stored document; None as long as one of them cannot be read."""
    before, after = texts.read(base).doc, texts.read(document).doc
    return differences.between(before, after) if before and after else None


def dependents(slug: str) -> list[LiveRule]:
    """The live definitions that nest this one, also through others, by name: publishing it publishes them again."""
    rules = definitions.live_rules()
    nests = {rule.slug: {node.slug for _, node in nesting.nested(rule.doc)} for rule in rules}
    found: set[str] = {slug}
    while more := {outer for outer, inner in nests.items() if inner & found} - found:
        found |= more
    return sorted((rule for rule in rules if rule.slug in found - {slug}), key=lambda rule: rule.doc.name)


def _resolved(doc: tree.DefinitionDoc, rules: Mapping[str, LiveRule]) -> tree.DefinitionDoc:
    _, resolved = dependencies.pinned(doc, {slug: rule.number for slug, rule in rules.items()})
    dependencies.refuse_cycle(resolved, {slug: rule.doc for slug, rule in rules.items()})
    return resolved


def places(problems: Iterable[Problem]) -> list[dict[str, str]]:
    """Problems as data for a page."""
    return [{"path": problem.path, "message": problem.message} for problem in problems]
