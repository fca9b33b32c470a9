"""Versions of a definition side by side: what changed in English, and going back to an older one."""

from __future__ import annotations

import datetime as dt
import difflib
from dataclasses import dataclass

from accounts.models import StaffUser
from scoring import definitions
from scoring.json_lines import pretty
from scoring.models import Definition, DefinitionVersion
from scoring.rules import differences, tree
from scoring.rules.drafts import in_order
from scoring.rules.parse import parse_definition
from scoring.rules.problems import RuleError


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the texts side by side: kept, added or removed."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Compared:
    """Two texts of a definition. `changes` is None where this program cannot read one of them: only `lines` tell."""

    changes: list[differences.Change] | None
    lines: list[Line]


def compare(old: object, new: object) -> Compared:
    """Two stored documents, in English and line by line."""
    before, after = _read(old), _read(new)
    changes = differences.between(before, after) if before and after else None
    return Compared(changes, _lines(old, new))


def back_to(
    version: DefinitionVersion, *, by: StaffUser | None, now: dt.datetime, reason: str = "", replaces: int | None = None
) -> DefinitionVersion:
    """Publish an old version's text as a new version: history is added to, never rewritten.

    Raises what publishing raises: Stale if another version than `replaces` is live by now, RuleError if the old text
    asks for something that is not there any more.
    """
    said = f"Back to version {version.number}: {reason}" if reason else f"Back to version {version.number}"
    return definitions.publish(document=version.document, by=by, now=now, reason=said[:300], replaces=replaces)


def of(definition: Definition, number: int) -> DefinitionVersion | None:
    """The version of this number."""
    return definition.versions.select_related("published_by").filter(number=number).first()


def _read(document: object) -> tree.DefinitionDoc | None:
    try:
        return parse_definition(document)
    except RuleError:
        return None


def _lines(old: object, new: object) -> list[Line]:
    before, after = (pretty(in_order(text)).split("\n") for text in (old, new))
    found = []
    # by whole lines: looking for likeness inside of them takes minutes where hundreds of long names changed
    for _, start, end, to, until in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if before[start:end] == after[to:until]:
            found += [Line("kept", text) for text in before[start:end]]
            continue
        found += [Line("removed", text) for text in before[start:end]]
        found += [Line("added", text) for text in after[to:until]]
    return found
