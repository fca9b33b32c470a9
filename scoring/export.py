"""Who qualifies under a definition, as CSV: one line an account, with its explanation."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterator
from typing import Any

from plgops.lib.csv_cells import harmless
from plgops.lib.paging import keyset
from scoring import reasons, told
from scoring.explanation import Explanation
from scoring.models import Definition, Qualification
from scoring.rules import describe, tree
from scoring.serializers import as_text

AT_ONCE = 200
FIXED = (
    "account_id",
    "account_name",
    "domain",
    "plan",
    "seats",
    "definition",
    "version",
    "true_since",
    "found_at",
    "release",
    "handoff",
    "owner",
    "people",
    "why",
)


def lines(definition: Definition) -> Iterator[str]:
    """The file, line by line: a head, then who qualifies, the newest evidence first. Times are UTC.

    Each condition of the live version has a column with what was measured (of one under a `not`: whether it was as
    the rule wants it, yes or no), empty for an episode of another version that does not ask it. Held in memory:
    AT_ONCE episodes. A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    live = definition.live_version
    conditions = _conditions(reasons.docs({live.pk: live})[live.pk]) if live else []
    yield line([*FIXED, *conditions])
    rows = (
        reasons.rows()
        .select_related("definition__live_version", "version", "account", "handoff", "handoff__owner")
        .filter(definition=definition, closed_at=None)
    )
    cursor = ""
    while True:
        page = keyset(rows, by="-since_at", cursor=cursor, size=AT_ONCE)
        for q, explanation in zip(page.items, reasons.explained(page.items), strict=True):
            measured = _measured(q, explanation)
            yield line([*_fixed(q, explanation), *(measured.get(head) for head in conditions)])
        cursor = page.next_cursor
        if not cursor:
            return


def _conditions(doc: tree.DefinitionDoc | None) -> list[str]:
    """The conditions of the live version, in words; two that read alike are one column."""
    if doc is None:
        return []
    lifted = [told.lifts(doc)] if doc.level == "user" else []
    leaves = (leaf for leaf in tree.leaves(doc.rule, subject=doc.level) if not isinstance(leaf.node, tree.Nested))
    heads = (
        _head(describe.describe_condition(leaf.node, subject=leaf.subject), must_not=_must_not(leaf.path, leaf.negated))
        for leaf in leaves
    )
    return list(dict.fromkeys([*lifted, *heads]))


def _must_not(path: str, negated: bool) -> bool:
    """Whether the condition stands under a `not`; those of a score's signals are worth their number either way."""
    return negated and "/signals/" not in path


def _head(english: str, *, must_not: bool) -> str:
    return f"not: {english}" if must_not else english


def _fixed(q: Qualification, explanation: Explanation) -> list[Any]:
    handoff = q.handoff
    return [
        q.account.external_id,
        q.account.name,
        q.account.domain,
        q.account.plan,
        q.account.seats,
        explanation.definition,
        explanation.version,
        explanation.since_at,
        explanation.opened_at,
        q.release,
        handoff.status if handoff else "",
        handoff.owner.label if handoff and handoff.owner else "",
        explanation.people_total,
        as_text(explanation),
    ]


def _measured(q: Qualification, explanation: Explanation) -> dict[str, Any]:
    """What each condition measured, by the head of its column."""
    cells: dict[str, Any] = {}
    if explanation.rule.path == told.LIFTED and explanation.rule.frozen is not None:
        cells[explanation.rule.english] = explanation.rule.frozen.measured
    for condition in q.evidence.get("conditions", ()):
        must_not = _must_not(str(condition.get("path", "")), bool(condition.get("negated")))
        head = _head(str(condition.get("english", "")), must_not=must_not)
        cells[head] = ("no" if condition.get("holds") else "yes") if must_not else condition.get("measured")
    return cells


def line(values: list[Any]) -> str:
    """A line of a file: times in UTC, texts harmless to a spreadsheet, None as nothing."""
    out = io.StringIO()
    csv.writer(out).writerow([_cell(value) for value in values])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return harmless(value) if isinstance(value, str) else value
