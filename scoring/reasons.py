"""Why a company is in the inbox, told: episodes with their explanations, names and lines.

Every function here is a fixed number of queries, however many episodes it tells (where a definition nests others, a
query more for each depth; today's readings, a few for each version).
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery

from accounts.models import Account, EventType, ProductUser
from plgops.lib import days
from plgops.lib.db import snapshot
from scoring import dependencies, series, told, why
from scoring.engines import appdb
from scoring.explanation import Explanation, Part, Person
from scoring.models import DefinitionVersion, Handoff, Qualification
from scoring.rules import nesting, tree
from scoring.rules.parse import parse_definition
from scoring.rules.problems import RuleError

PAST_EPISODES = 30
Evidence = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a reason: a group's word, a condition, or a signal of a score.

    `met`: it is (or was) as the rule wants it; `now` says today's beside it, empty where nobody asked.
    """

    part: Part
    depth: int
    icon: str
    english: str
    met: bool | None
    measured: str = ""
    needed: str = ""
    missing: str = ""
    people: tuple[str, ...] = ()
    more_people: int = 0
    note: str = ""  # of a score: its points by part
    now: str = ""
    now_tone: str = ""
    line: series.Line | None = None

    @property
    def is_group(self) -> bool:
        return self.part.is_group

    @property
    def negated(self) -> bool:
        return self.part.negated


@dataclass(frozen=True, slots=True)
class Reason:
    """One definition under which the company qualifies (or did), told."""

    qualification: Qualification
    explanation: Explanation
    rows: tuple[Row, ...]

    @property
    def differs(self) -> bool:
        """Whether anything measures otherwise today."""
        return any(row.now for row in self.rows)

    @property
    def left_under(self) -> int | None:
        """The number of the version whose publication ended the episode."""
        q = self.qualification
        if q.close_cause != Qualification.CloseCause.REDEFINED:
            return None
        return getattr(q, "version_at_close", None)


def rows() -> QuerySet[Qualification]:
    """Episodes with all that their explanation needs."""
    newer = DefinitionVersion.objects.filter(
        definition=OuterRef("definition"), published_at__lte=OuterRef("closed_at")
    ).order_by("-number")
    return (
        Qualification.objects.select_related("definition__live_version", "version", "account")
        .defer("definition__live_version__document", "definition__live_version__english", "account__traits")
        .annotate(version_at_close=Subquery(newer.values("number")[:1]))
    )


def of_handoff(handoff: Handoff) -> list[Qualification]:
    """The reasons of a handoff: the open ones first, the newest evidence first."""
    found = rows().filter(handoff=handoff)
    return list(found.order_by(F("closed_at").desc(nulls_first=True), F("since_at").desc(nulls_last=True), "-id"))


def explained(found: Sequence[Qualification], *, today: int | None = None) -> list[Explanation]:
    """The explanations of episodes (from `rows`), in their order.

    `today`: a day, at whose end everything is measured once more, by the version of the episode, so that its numbers
    can be held against the frozen ones. An account that is internal, merged or unknown has none.
    """
    read = docs({q.version_id: q.version for q in found})
    evidence = _today(found, read, today) if today is not None else {}
    every = [q.evidence for q in found] + list(evidence.values())
    known = told.Known(
        people=people({i for one in every for i in why.people_of(one)}),
        event_types=event_type_names(why.event_types_of(every)),
    )
    return [_explanation(q, read[q.version_id], evidence.get(q.pk), today, known) for q in found]


def told_of(found: Sequence[Qualification], *, today: int | None = None) -> tuple[Reason, ...]:
    """Episodes (from `rows`) as the inbox and the account page show them, each condition with its line."""
    asked = {
        (q.pk, place): series.asked(
            condition,
            account_id=q.account_id,
            as_of_day=int(q.evidence.get("as_of_day") or 0),
            of_people=q.definition.level == "user",
        )
        for q in found
        for place, condition in enumerate(q.evidence.get("conditions", ()))
    }
    numbers = series.read([one for one in asked.values() if one])
    return tuple(
        Reason(q, explanation, tuple(_rows(explanation.rule, _lines(q, asked, numbers))))
        for q, explanation in zip(found, explained(found, today=today), strict=True)
    )


def docs(versions: Mapping[int, DefinitionVersion]) -> dict[int, tree.DefinitionDoc | None]:
    """What these versions say, with what they nest; None for one that this program cannot read."""
    parsed: dict[int, tree.DefinitionDoc] = {}
    for pk, version in versions.items():
        with contextlib.suppress(RuleError):
            parsed[pk] = parse_definition(version.document)
    find = dependencies.finder(parsed.values())
    resolved: dict[int, tree.DefinitionDoc | None] = dict.fromkeys(versions)
    for pk, doc in parsed.items():
        with contextlib.suppress(RuleError):
            resolved[pk] = nesting.resolve(doc, find)
    return resolved


def _today(
    found: Sequence[Qualification], read: Mapping[int, tree.DefinitionDoc | None], today: int
) -> dict[int, Evidence]:
    """What is measured by the end of a day, by episode; asked for all accounts of a version together."""
    by_version: dict[int, list[Qualification]] = defaultdict(list)
    for q in found:
        by_version[q.version_id].append(q)
    evidence: dict[int, Evidence] = {}
    for version_id, episodes_of in by_version.items():
        doc = read[version_id]
        if doc is not None:
            account_ids = sorted({q.account_id for q in episodes_of})
            with snapshot():  # everything as of one moment, and planned as evaluation's reads are
                by_account = appdb.evidence_many(doc, account_ids=account_ids, as_of_day=today)
            evidence |= {q.pk: by_account[q.account_id] for q in episodes_of}
    return evidence


def _explanation(
    q: Qualification, doc: tree.DefinitionDoc | None, evidence: Evidence | None, today: int | None, known: told.Known
) -> Explanation:
    live, as_of = q.definition.live_version, q.evidence.get("as_of_day")
    return Explanation(
        qualification_id=q.pk,
        account=q.account.external_id,
        account_name=q.account.name,
        definition=q.definition.slug,
        definition_name=q.definition.name,
        purpose=q.definition.purpose,
        version=q.version.number,
        live_version=live.number if live and q.definition.archived_at is None else None,
        english=q.version.english,
        cause=q.cause,
        release=q.release,
        opened_at=q.opened_at,
        since_at=q.since_at,
        since_day=None if q.since_day is None else days.date_of(q.since_day),
        closed_at=q.closed_at,
        close_cause=q.close_cause,
        as_of=None if as_of is None else days.date_of(as_of),
        today=None if today is None else days.date_of(today),
        sentence=why.sentence(q.evidence, event_types=known.event_types, names=known.names),
        people=tuple(known.people[i] for i in q.evidence.get("users") or () if i in known.people),
        people_total=int(q.evidence.get("users_total") or 0),
        rule=told.of_rule(doc, q.evidence, evidence, known=known),
    )


# --- lines ------------------------------------------------------------------------------------------------------


def _lines(
    q: Qualification,
    asked: Mapping[tuple[int, int], series.Asked | None],
    numbers: Mapping[series.Asked, dict[int, int]],
) -> dict[int, series.Line | None]:
    """The lines of an episode's conditions by their place in the evidence."""
    as_of_day = int(q.evidence.get("as_of_day") or 0)
    return {
        place: series.line(condition, one, numbers.get(one, {}), as_of_day=as_of_day)
        for place, condition in enumerate(q.evidence.get("conditions", ()))
        if (one := asked[q.pk, place]) is not None
    }


def _rows(
    part: Part, lines: Mapping[int, series.Line | None], depth: int = 0, *, is_root: bool = True
) -> Iterator[Row]:
    """A rule as lines, what stands in a group one step further in; the outermost `all` needs no word of its own."""
    turned = part.kind == "not"
    inner = part.parts[0] if turned else part
    if turned and not inner.is_group:  # one condition that must not hold is one line
        first, *under = _rows(inner, lines, depth, is_root=False)
        yield replace(
            first,
            english=f"Not: {inner.english[:1].lower()}{inner.english[1:]}",
            met=part.held,
            now_tone=_tone(part.held, part.holds_now),
        )
        yield from under
        return
    if part.is_group:
        if not (is_root and part.kind == "all"):
            yield _group_row(part, inner, depth)
            depth += 1
        parts = inner.parts
    else:
        yield _row(part, lines, depth)
        parts = () if part.kind == "signal" else part.parts
        if len(parts) == 1 and parts[0].kind == "all":  # “for whom” says it already
            parts = parts[0].parts
        depth += 1
    for one in parts if part.kind == "score" else _sorted(parts, lines):
        yield from _rows(one, lines, depth, is_root=False)


def _sorted(parts: Sequence[Part], lines: Mapping[int, series.Line | None]) -> list[Part]:
    """What holds first, then what has a line; groups and what must not hold last."""

    def key(part: Part) -> tuple[bool, bool, bool, bool]:
        has_line = part.place is not None and lines.get(part.place) is not None
        return part.held is not True, part.is_group, bool(part.parts), not has_line

    return sorted(parts, key=key)


def _group_row(part: Part, inner: Part, depth: int) -> Row:
    words = part.english
    if part.kind == "not":
        few = f"Fewer than {inner.at_least} of these"
        words = {"any": "None of these", "all": "Not all of these", "at_least": few}.get(inner.kind, "Not")
    return Row(
        part=part,
        depth=depth,
        icon="ban" if part.kind == "not" else "list-checks",
        english=words,
        met=part.held,
        now=_now(part),
        now_tone=_tone(part.held, part.holds_now),
    )


def _row(part: Part, lines: Mapping[int, series.Line | None], depth: int) -> Row:
    told_by = part.parts[0] if part.kind == "signal" and part.parts else part
    frozen = part.frozen
    people_shown = tuple(person.name for person in told_by.frozen.people[:3]) if told_by.frozen else ()
    needed = frozen.needed if frozen else ""
    if part.kind == "score" and frozen and frozen.band:
        needed = f"{needed}, {frozen.band}" if needed else frozen.band
    line = lines.get(told_by.place) if told_by.place is not None else None
    if part.kind == "signal" and told_by.frozen:
        needed = told_by.frozen.text
        line = line and replace(line, threshold=None)  # each one counts: nothing is to be reached
    return Row(
        part=part,
        depth=depth,
        icon=why.ICONS.get(told_by.kind, "sparkles"),
        english=part.english,
        met=part.held,
        measured=frozen.text if frozen else "",
        needed=needed,
        missing=frozen.missing if frozen else "",
        people=people_shown,
        note=", ".join(f"{name} {points:,}" for name, points in frozen.parts.items()) if frozen else "",
        more_people=max(0, told_by.frozen.people_total - len(people_shown)) if told_by.frozen else 0,
        now=_now(part),
        now_tone=_tone(part.held, part.holds_now) if part.kind != "signal" else "",
        line=line,
    )


def _now(part: Part) -> str:
    """Today's beside the frozen: “now 7 times”; empty where nobody asked, or nothing changed."""
    if part.holds_now is None:
        return ""
    before, text = (reading.text if reading else "" for reading in (part.frozen, part.today))
    if part.held == part.holds_now:
        return f"now {text}" if text and text != before else ""
    return f"now {text}" if text else "holds now" if part.holds_now else "not any more"


def _tone(held: bool | None, holds_now: bool | None) -> str:
    return "" if held is None or holds_now is None or held == holds_now else "ok" if holds_now else "warn"


# --- names ------------------------------------------------------------------------------------------------------


def people(ids: set[int]) -> dict[int, Person]:
    """Who these people are, each called by name, else e-mail address, else the id they came with."""
    found = ProductUser.objects.filter(pk__in=ids).values_list("pk", "name", "email", "external_id") if ids else ()
    return {pk: Person(pk, external_id, name or email or external_id) for pk, name, email, external_id in found}


def event_type_names(ids: set[int]) -> dict[int, str]:
    """The names of these event types by id."""
    return dict(EventType.objects.filter(pk__in=ids).values_list("pk", "name")) if ids else {}


# --- the account page -------------------------------------------------------------------------------------------


def episodes(account: Account) -> dict[str, Any]:
    """An account's episodes for its page: the open ones told, the past ones listed, and its company's handoff.

    A company's page has the reasons of its handoff too, whichever of its accounts they are of.
    """
    ours = Q(account_id=account.pk) | Q(handoff__in=Handoff.objects.filter(company_id=account.pk))
    found = list(
        rows()
        .filter(ours)
        .order_by(F("closed_at").desc(nulls_first=True), F("since_at").desc(nulls_last=True), "-id")[:PAST_EPISODES]
    )
    return {
        "account_id": account.pk,
        "reasons": told_of([q for q in found if q.closed_at is None]),
        "past": [q for q in found if q.closed_at is not None],
        "handoff": Handoff.objects.filter(company_id=account.company_id)
        .select_related("owner")
        .order_by(F("closed_at").desc(nulls_first=True), "-id")
        .first(),
    }
