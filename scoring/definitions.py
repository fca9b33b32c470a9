"""Definitions: publish a version, archive, and read what is live.

Publishing writes one version and points the definition at it; nothing else. Who has to be judged again is a
fact that already stands in the database: every account whose AccountDue.followed_version is lower than the
newest live version's id. Evaluation works it off in batches, after what has changed and what is due by time,
so a population of any size needs no long transaction, and a worker that dies in between loses nothing: what
is left is still behind. Archiving is the same: open episodes of an archived definition are what is left to do.
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import connection, transaction

from accounts.models import StaffUser, Workspace
from accounts.team import audit
from plgops.lib.db import after_commit, is_postgres
from plgops.lib.doorbell import ring
from scoring import dependencies, playbook
from scoring.models import Definition, DefinitionVersion
from scoring.rules import describe, nesting, tree
from scoring.rules.parse import parse_definition
from scoring.rules.problems import Problem, RuleError
from scoring.rules.stored import to_json

logger = logging.getLogger(__name__)
CONSUMER = "evaluation"
# the addresses of pages beside those of definitions: no definition can have one of these as its slug
TAKEN = ("backtest", "describe", "names", "new", "preview", "review")
PAGE = "a page has this name; choose another"


@dataclass(frozen=True, slots=True)
class LiveRule:
    """A live version, read: what evaluation works with."""

    definition_id: int
    version_id: int
    slug: str
    purpose: str
    published_at: dt.datetime
    number: int
    doc: tree.DefinitionDoc


class Stale(Exception):
    """Somebody published meanwhile; `version` is the one that is live now."""

    def __init__(self, version: DefinitionVersion) -> None:
        super().__init__(f"Version {version.number} was published meanwhile.")
        self.version = version


def publish(
    *, document: object, by: StaffUser | None, now: dt.datetime, reason: str = "", replaces: int | None = None
) -> DefinitionVersion:
    """Publish a definition's text. The same text as the live version's changes nothing and returns that one.

    `replaces` is the number of the version that was edited: Stale if another one is live by now. 0 is a new
    definition: RuleError at /slug if there is one of that slug, in use or archived, that says something else. None
    publishes over whatever is live, as a file does.
    Definitions that it nests are pinned to their live versions (one that is archived meanwhile stays as it was
    pinned), and those that nest it are published again, pinned to this one.
    RuleError (with the places in the document) if it is not a definition, if it asks for one that is not live, or if
    it depends on itself through others: on their rules, or on a stage that it writes. One publication at a time.
    """
    doc = parse_definition(document)
    if doc.slug in TAKEN:
        raise RuleError([Problem("/slug", PAGE)])
    with transaction.atomic():
        _alone()
        live = {rule.slug: rule for rule in live_rules()}
        version = _publish(doc, live, by=by, now=now, reason=reason, replaces=replaces)
        if live.get(doc.slug) is None or live[doc.slug].version_id != version.pk:
            _republish_dependents(version, by=by, now=now)
    return version


def _republish_dependents(version: DefinitionVersion, *, by: StaffUser | None, now: dt.datetime) -> None:
    """Publish again what nests the definition, also through others: each once, after all that it nests."""
    live = {rule.slug: rule for rule in live_rules()}
    nests = {slug: {node.slug for _, node in nesting.nested(rule.doc)} for slug, rule in live.items()}
    waiting = {slug for slug, inner in nests.items() if version.definition.slug in inner}
    while waiting:
        slug = min(slug for slug in waiting if not nests[slug] & waiting)
        waiting.remove(slug)
        rule, name = live[slug], version.definition.name
        try:
            again = _publish(rule.doc, live, by=by, now=now, reason=f"“{name}” v{version.number} was published.")
        except RuleError as error:
            told = "; ".join(problem.message for problem in error.problems)
            raise RuleError([Problem("", f"“{rule.doc.name}” asks for this definition, and then: {told}")]) from error
        (live[slug],) = read([again])


def _publish(
    doc: tree.DefinitionDoc,
    rules: Mapping[str, LiveRule],
    *,
    by: StaffUser | None,
    now: dt.datetime,
    reason: str,
    replaces: int | None = None,
) -> DefinitionVersion:
    """One version, pinned to the live ones (`rules`) that it nests; what is live already if nothing is new."""
    doc, resolved = dependencies.pinned(doc, {slug: rule.number for slug, rule in rules.items()})
    dependencies.refuse_cycle(resolved, {slug: rule.doc for slug, rule in rules.items()})
    rows = Definition.objects.select_for_update(of=("self",)).select_related("live_version")
    definition = rows.filter(slug=doc.slug).first() or Definition(slug=doc.slug, created_at=now)
    canonical = to_json(doc)
    live = definition.live_version
    if live is not None and definition.archived_at is None and live.document == canonical:
        return live
    if replaces == 0 and live is not None:
        raise RuleError([Problem("/slug", _has_it(definition.name))])
    if replaces is not None and live is not None and live.number != replaces:
        raise Stale(live)
    definition.name, definition.purpose, definition.level = doc.name, doc.purpose, doc.level
    definition.archived_at = None
    definition.save()
    last = definition.versions.order_by("-number").values_list("number", flat=True).first() or 0
    version = DefinitionVersion.objects.create(
        definition=definition,
        number=last + 1,
        document=canonical,
        english=describe.describe(resolved),
        reason=reason,
        published_at=now,
        published_by=by,
    )
    definition.live_version = version
    definition.save(update_fields=["live_version"])
    audit.record(
        action="definition.published",
        obj=definition,
        by=by,
        now=now,
        detail={"version": version.number, "version_id": version.pk, "reason": reason},
    )
    playbook.for_published(definition, by=by, now=now)
    after_commit(ring, settings.DUE_CONSUMERS[CONSUMER])
    return version


def archive(*, definition_id: int, by: StaffUser | None, now: dt.datetime) -> None:
    """Take a definition out of use; its open episodes end as redefined with the next sweeps. Again: no-op."""
    with transaction.atomic():
        _alone()
        definition = Definition.objects.select_for_update().get(pk=definition_id)
        if definition.archived_at is not None:
            return
        definition.archived_at = now
        definition.save(update_fields=["archived_at"])
        audit.record(action="definition.archived", obj=definition, by=by, now=now)
        after_commit(ring, settings.DUE_CONSUMERS[CONSUMER])


def refused_slug(slug: str) -> str:
    """Why a new definition cannot have this slug, "" if it can: a page has it, or a definition, in use or archived."""
    if slug in TAKEN:
        return PAGE
    name = Definition.objects.filter(slug=slug).values_list("name", flat=True).first()
    return "" if name is None else _has_it(name)


def free_slug(wanted: str) -> str:
    """The slug itself if a new definition can have it, else the first of wanted-2, wanted-3 … that is free."""
    stem = wanted[:70].rstrip("-")
    used = {*TAKEN, *Definition.objects.filter(slug__startswith=stem).values_list("slug", flat=True)}
    if wanted not in used:
        return wanted
    return next(slug for slug in (f"{stem}-{number}" for number in itertools.count(2)) if slug not in used)


def _has_it(name: str) -> str:
    return f"this slug is taken by {name}; choose another"


def live_rules() -> list[LiveRule]:
    """What is live, in order of slug."""
    return read(live_versions())


def read(versions: Sequence[DefinitionVersion]) -> list[LiveRule]:
    """Versions with the rules of nested definitions in place (a query more for those that are not among them).

    A text that this program cannot read is left out and logged. That can only be one written by a newer program;
    its open episodes stay as they are.
    """
    docs: dict[int, tree.DefinitionDoc] = {}
    for version in versions:
        try:
            docs[version.pk] = parse_definition(version.document)
        except RuleError as error:
            logger.error("definition %s v%s cannot be read: %s", version.definition.slug, version.number, error)
    known = {(version.definition.slug, version.number): docs[version.pk] for version in versions if version.pk in docs}
    find = dependencies.finder(docs.values(), known)
    rules = []
    for version in versions:
        if version.pk not in docs:
            continue
        try:
            doc = nesting.resolve(docs[version.pk], find)
        except RuleError as error:
            logger.error("definition %s v%s cannot be read: %s", version.definition.slug, version.number, error)
            continue
        rules.append(
            LiveRule(
                definition_id=version.definition_id,
                version_id=version.pk,
                slug=doc.slug,
                purpose=doc.purpose,
                published_at=version.published_at,
                number=version.number,
                doc=doc,
            )
        )
    return rules


def live_versions() -> list[DefinitionVersion]:
    """The live version of every definition that is not archived, in order of slug."""
    rows = DefinitionVersion.objects.filter(live_for__isnull=False, live_for__archived_at=None)
    return list(rows.select_related("definition").order_by("definition__slug"))


def still_stand(rules: Mapping[int, int]) -> bool:
    """Whether exactly these versions (definition id -> version id) are live, held so until the commit."""
    share = " FOR SHARE" if is_postgres() else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, live_version_id FROM scoring_definition"
            f" WHERE archived_at IS NULL AND live_version_id IS NOT NULL ORDER BY id{share}"
        )
        live = dict(cursor.fetchall())
    return all(live.get(definition_id) == version_id for definition_id, version_id in rules.items())


def _alone() -> None:
    """One publication at a time: two that are each sound could make a cycle together."""
    Workspace.objects.select_for_update().get(pk=1)
