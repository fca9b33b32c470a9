"""What a fact is about, read for many at once, and whether somebody wants to hear of it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from accounts.models import Account
from scoring.models import AlertFact, AlertRule, Handoff, Qualification

Kind, Scope = AlertFact.Kind, AlertRule.Scope


class Told(Protocol):
    """A fact, as AlertFact has it."""

    kind: str
    at: dt.datetime
    account_id: int
    handoff_id: int | None
    detail: dict[str, Any]


@dataclass(slots=True)
class Past:
    """A fact of the time before facts were kept."""

    kind: str
    at: dt.datetime
    account_id: int
    handoff_id: int | None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class About:
    """What decides who hears of a fact."""

    kind: str
    at: dt.datetime
    account_id: int
    handoff_id: int | None
    owner_id: int | None  # who has the handoff, else the account, as it is now
    people: frozenset[int]  # whom the fact names
    definition_ids: frozenset[int]

    def concerns(self, person_id: int) -> bool:
        """Whether it is this person's account, or names them."""
        return person_id == self.owner_id or person_id in self.people


@dataclass(frozen=True, slots=True)
class Wish:
    """What one destination wants to hear of. `person_id` None: a team's."""

    person_id: int | None
    kinds: Collection[str]
    scope: str
    definition_ids: frozenset[int]  # empty: all


def wants(wish: Wish, about: About) -> bool:
    """Whether this destination hears of this. What somebody was given is not told them as new as well."""
    if about.kind not in wish.kinds:
        return False
    if wish.definition_ids and about.definition_ids and not wish.definition_ids & about.definition_ids:
        return False
    if wish.person_id is None or wish.scope == Scope.ALL:
        in_scope = True
    elif wish.scope == Scope.OPEN:
        in_scope = about.owner_id is None or about.concerns(wish.person_id)
    else:
        in_scope = about.concerns(wish.person_id)
    given = (
        about.kind == Kind.HANDOFF_OPENED
        and wish.person_id is not None
        and about.owner_id == wish.person_id
        and Kind.HANDOFF_ASSIGNED in wish.kinds
    )
    return in_scope and not given


def about(facts: Sequence[Told]) -> list[About]:
    """What these facts are about, in their order; three queries."""
    handoffs = {fact.handoff_id for fact in facts if fact.handoff_id}
    owners = dict(Handoff.objects.filter(pk__in=handoffs).values_list("pk", "owner_id"))
    accounts = {fact.account_id for fact in facts}
    owner_of_account = dict(Account.objects.filter(pk__in=accounts).values_list("pk", "owner_id"))
    named = {q for fact in facts if (q := _number(fact.detail.get("qualification")))}
    of_handoff: dict[int, set[int]] = defaultdict(set)
    of_episode: dict[int, int] = {}
    episodes = Qualification.objects.filter(handoff_id__in=handoffs) | Qualification.objects.filter(pk__in=named)
    for pk, handoff_id, definition_id in episodes.values_list("pk", "handoff_id", "definition_id"):
        of_episode[pk] = definition_id
        if handoff_id:
            of_handoff[handoff_id].add(definition_id)
    return [
        About(
            kind=fact.kind,
            at=fact.at,
            account_id=fact.account_id,
            handoff_id=fact.handoff_id,
            owner_id=owners.get(fact.handoff_id) if fact.handoff_id else owner_of_account.get(fact.account_id),
            people=frozenset(_people(fact.detail)),
            definition_ids=_definitions(fact, of_episode, of_handoff),
        )
        for fact in facts
    ]


def _definitions(fact: Told, of_episode: dict[int, int], of_handoff: dict[int, set[int]]) -> frozenset[int]:
    """The definition that the fact names, else those behind its handoff."""
    named = of_episode.get(_number(fact.detail.get("qualification")) or 0)
    if named is not None:
        return frozenset({named})
    return frozenset(of_handoff.get(fact.handoff_id or 0, ()))


def _people(detail: dict[str, Any]) -> Iterable[int]:
    for key in ("to", "owner"):
        value = detail.get(key)
        for one in value if isinstance(value, list) else [value]:
            if number := _number(one):
                yield number


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
