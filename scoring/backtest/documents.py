"""The definitions that a backtest asks about, with the rules of nested ones in place: a version, or a draft."""

from __future__ import annotations

from scoring import definitions, dependencies
from scoring.models import DefinitionVersion
from scoring.rules import nesting
from scoring.rules.parse import parse_definition
from scoring.rules.tree import DefinitionDoc


def of_version(version: DefinitionVersion) -> DefinitionDoc:
    """What a version says, with what it was pinned to. RuleError if this program cannot read it."""
    doc = parse_definition(version.document)
    return nesting.resolve(doc, dependencies.finder([doc]))


def of_draft(document: object) -> DefinitionDoc:
    """What a text that is not published says, with what is live now where it nests others. RuleError if it is not a
    definition."""
    doc = parse_definition(document)
    live = {version.definition.slug: version.number for version in definitions.live_versions()}
    return dependencies.pinned(doc, live)[1]
