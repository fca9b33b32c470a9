"""Why a company is in the inbox, told: episodes with their evidence in words, names and lines.

Every function here is a fixed number of queries, however many episodes it tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Q

from accounts.models import Account, EventType, ProductUser
from scoring import series, why
from scoring.models import Handoff, Qualification

PAST_EPISODES = 30


@dataclass(frozen=True, slots=True)
class Reason:
    """One definition under which the company qualifies (or did), told."""

    qualification: Qualification
    signals: tuple[why.Signal, ...]
    sentence: str


def of_handoff(handoff: Handoff) -> list[Qualification]:
    """The reasons of a handoff: the open ones first, the newest evidence first."""
    return list(
        Qualification.objects.filter(handoff=handoff)
        .select_related("definition", "version", "account")
        .defer("version__document", "account__traits")
        .order_by(F("closed_at").desc(nulls_first=True), F("since_at").desc(nulls_last=True), "-id")
    )


def told(found: Sequence[Qualification]) -> tuple[Reason, ...]:
    """Qualifications told from their evidence; at most three queries for all of them together."""
    names = person_names({i for q in found for i in why.people_of(q.evidence)})
    types = event_type_names(why.event_types_of(q.evidence for q in found))
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
    return tuple(_told(q, asked, numbers, names=names, types=types) for q in found)


def _told(
    q: Qualification,
    asked: dict[tuple[int, int], series.Asked | None],
    numbers: dict[series.Asked, dict[int, int]],
    *,
    names: dict[int, str],
    types: dict[int, str],
) -> Reason:
    as_of_day = int(q.evidence.get("as_of_day") or 0)
    lines = {
        place: series.line(condition, one, numbers.get(one, {}), as_of_day=as_of_day)
        for place, condition in enumerate(q.evidence.get("conditions", ()))
        if (one := asked[q.pk, place]) is not None
    }
    return Reason(
        qualification=q,
        signals=why.signals(q.evidence, names=names, lines=lines),
        sentence=why.sentence(q.evidence, event_types=types, names=names),
    )


def person_names(ids: set[int]) -> dict[int, str]:
    """What to call these people: name, else e-mail address, else the id they came with."""
    rows = ProductUser.objects.filter(pk__in=ids).values_list("pk", "name", "email", "external_id") if ids else ()
    return {pk: name or email or external_id for pk, name, email, external_id in rows}


def event_type_names(ids: set[int]) -> dict[int, str]:
    """The names of these event types by id."""
    return dict(EventType.objects.filter(pk__in=ids).values_list("pk", "name")) if ids else {}


def episodes(account: Account) -> dict[str, Any]:
    """An account's episodes for its page: the open ones told, the past ones listed, and its company's handoff.

    A company's page has the reasons of its handoff too, whichever of its accounts they are of.
    """
    ours = Q(account_id=account.pk) | Q(handoff__in=Handoff.objects.filter(company_id=account.pk))
    found = list(
        Qualification.objects.filter(ours)
        .select_related("definition", "version", "account")
        .order_by(F("closed_at").desc(nulls_first=True), F("since_at").desc(nulls_last=True), "-id")[:PAST_EPISODES]
    )
    return {
        "account_id": account.pk,
        "reasons": told([q for q in found if q.closed_at is None]),
        "past": [q for q in found if q.closed_at is not None],
        "handoff": Handoff.objects.filter(company_id=account.company_id)
        .select_related("owner")
        .order_by(F("closed_at").desc(nulls_first=True), "-id")
        .first(),
    }
