"""Reads behind the definition pages: the list with its live counts, and one definition in words.

Counts stop at a cap, so that no page ever counts a population: each is an index range of at most CAP entries.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import QuerySet

from accounts.models import AuditEntry
from plgops.lib.paging import Page, keyset
from scoring import freshness, reasons, why
from scoring.freshness import Freshness
from scoring.models import Definition, DefinitionVersion, Qualification
from scoring.qualifications import QUIET_CAUSES
from scoring.rules import describe, tree
from scoring.rules.parse import parse_definition
from scoring.rules.problems import RuleError
from scoring.rules.windows import Subject

CAP = 10_000
RECENT = dt.timedelta(days=7)
_NODE_ICONS = {
    tree.Count: "repeat-2",
    tree.Distinct: "shapes",
    tree.Users: "users",
    tree.Days: "calendar-days",
    tree.Recency: "clock",
    tree.First: "sparkles",
    tree.Value: "gauge",
    tree.Change: "trending-up",
    tree.Sequence: "route",
    tree.Score: "gauge",
    tree.Nested: "list-checks",
    tree.Trait: "tag",
    tree.TraitChanged: "tag",
    tree.StageReached: "milestone",
    tree.StageSince: "milestone",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """Episodes of a definition, each counted up to CAP (shown as “10,000+” there)."""

    open: int = 0
    waiting: int = 0
    recent: int = 0  # opened in the last 7 days, not by a publication or an import


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the definition list."""

    definition: Definition
    counts: Counts
    to_follow: int = 0  # accounts that its live version has still to reach


@dataclass(frozen=True, slots=True)
class Branch:
    """A rule as a tree of phrases: a group with its word, or a condition (no children)."""

    text: str
    icon: str = ""
    children: tuple[Branch, ...] = ()
    people: bool = False  # its conditions are asked of each person


@dataclass(frozen=True, slots=True)
class Qualifier:
    """An open episode with the words that explain it."""

    qualification: Qualification
    icon: str
    text: str
    more: int


def listed(*, now: dt.datetime, archived: bool = False, cursor: str = "") -> tuple[Page[Listed], Freshness]:
    """A page of the definitions by name with their counts, and how far evaluation is: three queries."""
    rows = Definition.objects.filter(archived_at__isnull=not archived).select_related("live_version")
    page = keyset(rows, by="name", cursor=cursor)
    counted = counts([d.pk for d in page.items], now=now)
    fresh = freshness.of([d.pk for d in page.items], now=now)
    found = [Listed(d, counted.get(d.pk, Counts()), fresh.to_follow.get(d.pk, 0)) for d in page.items]
    return Page(found, page.next_cursor), fresh


def counts(definition_ids: Sequence[int], *, now: dt.datetime) -> dict[int, Counts]:
    """The counts of these definitions; one query that reads at most CAP index entries for each number."""
    if not definition_ids:
        return {}
    table = connection.ops.quote_name(Qualification._meta.db_table)

    def capped(condition: str, among: str = "") -> str:
        return (
            f"(SELECT COUNT(*) FROM (SELECT q.cause FROM {table} q WHERE q.definition_id = d.id AND {condition}"
            f" LIMIT {CAP}) AS counted{among})"
        )

    is_open, waiting, recent = "q.closed_at IS NULL", "q.release = 'waiting'", "q.opened_at >= %s"
    quiet = ", ".join(f"'{cause}'" for cause in QUIET_CAUSES)
    live = f" WHERE cause NOT IN ({quiet})"
    marks = ", ".join(["%s"] * len(definition_ids))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT d.id, {capped(is_open)}, {capped(f'{is_open} AND {waiting}')}, {capped(recent, live)}"
            f" FROM {connection.ops.quote_name(Definition._meta.db_table)} d WHERE d.id IN ({marks})",
            [connection.ops.adapt_datetimefield_value(now - RECENT), *definition_ids],
        )
        return {row[0]: Counts(*row[1:]) for row in cursor.fetchall()}


def versions(definition: Definition) -> QuerySet[DefinitionVersion]:
    """The definition's versions, newest first."""
    return definition.versions.select_related("published_by").order_by("-number")


def qualifiers(definition: Definition, *, cursor: str = "", size: int = 25) -> Page[Qualifier]:
    """A page of the accounts that qualify now, newest evidence first."""
    open_ones = Qualification.objects.filter(definition=definition, closed_at=None)
    page = keyset(
        open_ones.select_related("account", "handoff", "handoff__owner"), by="-since_at", cursor=cursor, size=size
    )
    types = reasons.event_type_names(why.event_types_of(q.evidence for q in page.items))
    told = []
    for q in page.items:
        icon, text = why.headline(q.evidence, types)
        held = sum(1 for c in q.evidence.get("conditions", ()) if c.get("holds"))
        told.append(Qualifier(q, icon, text, max(0, held - 1)))
    return Page(told, page.next_cursor)


def history(definition: Definition) -> list[AuditEntry]:
    """What was done to the definition beside publishing: archived, released."""
    rows = AuditEntry.objects.filter(object_type="definition", object_id=definition.pk)
    return list(rows.exclude(action="definition.published").order_by("-at", "-id")[:20])


def read(version: DefinitionVersion | None) -> tree.DefinitionDoc | None:
    """The version's document, checked; None if this program cannot read it."""
    if version is None:
        return None
    try:
        return parse_definition(version.document)
    except RuleError:
        return None


def branches(rule: tree.Node, *, subject: Subject) -> Branch:
    """A rule as a tree of phrases."""
    match rule:
        case tree.All(of):
            return Branch("All of", "", tuple(branches(part, subject=subject) for part in of))
        case tree.Any_(of):
            return Branch("Any of", "", tuple(branches(part, subject=subject) for part in of))
        case tree.AtLeast(k, of):
            return Branch(f"At least {k} of", "", tuple(branches(part, subject=subject) for part in of))
        case tree.Not(of=tree.All() | tree.Any_() | tree.AtLeast() | tree.UsersWho() as part):
            return Branch("Not", "", (branches(part, subject=subject),))
        case tree.Not():
            return Branch(_capital(describe.describe_rule(rule, subject=subject)), "ban")
        case tree.UsersWho(compare, inner):
            whole = describe.describe_condition(tree.UsersWho(compare, inner), subject=subject)
            return Branch(
                _capital(whole.partition(" for whom")[0]) + " for whom",
                "user-check",
                (branches(inner, subject="user"),),
                people=True,
            )
    return Branch(_capital(describe.describe_condition(rule, subject=subject)), _NODE_ICONS.get(type(rule), "circle"))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
