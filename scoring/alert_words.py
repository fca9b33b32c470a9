"""What an alert says: the account, what happened, why (the one explanation), who has it, and where to go.

Said when the message is made, not when the fact happened: a digest of the morning does not offer what was taken in the
night. What is over by then is None and is left out.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from accounts.models import Destination, StaffUser
from accounts.team.messages import Item
from plgops.lib import access
from scoring import claim_links, reasons, serializers
from scoring.alert_rules import MACHINES
from scoring.models import AlertFact, Handoff

Kind = AlertFact.Kind
Status = Handoff.Status
GIVEN = {Kind.HANDOFF_ASSIGNED, Kind.SPEED_REROUTED}
NEWS_OF_OPEN = GIVEN | {
    Kind.HANDOFF_OPENED,
    Kind.HANDOFF_JOINED,
    Kind.HANDOFF_WOKEN,
    Kind.SPEED_WARNED,
    Kind.SPEED_ESCALATED,
}
_WOKEN = {
    "date": "woke on its date",
    "reason": "woke: it has another reason",
    "held_again": "woke: its rule holds again",
    "paid": "woke: it paid",
}


def words(keys: Sequence[str], destination: Destination, *, now: dt.datetime) -> dict[str, Item | None]:
    """What these facts (by id) say to this destination; None for what is over by now."""
    facts = list(
        AlertFact.objects.select_related("account", "handoff__owner", "handoff__company").filter(
            pk__in=[int(key) for key in keys]
        )
    )
    open_ones = {fact.handoff_id for fact in facts if fact.handoff_id}
    why = _why(open_ones)
    people = _people(facts)
    told: dict[str, Item | None] = dict.fromkeys(keys)
    for fact in facts:
        if not _is_over(fact, destination):
            told[str(fact.pk)] = _item(fact, destination, why.get(fact.handoff_id or 0, ()), people)
    return told


def _is_over(fact: AlertFact, destination: Destination) -> bool:
    """Whether nobody would want to hear of it any more. Programs hear everything."""
    handoff = fact.handoff
    if destination.channel in MACHINES or handoff is None:
        return False
    if fact.kind == Kind.HANDOFF_RETURNED:
        return handoff.status != Status.RETURNED  # taken back meanwhile
    if fact.kind not in NEWS_OF_OPEN:
        return False
    if handoff.closed_at is not None:
        return True
    owner, reader = handoff.owner_id, destination.owner_id
    if fact.kind in GIVEN:
        to = _named(fact.detail)
        return bool(to) and owner not in to  # it went on, or back
    if fact.kind == Kind.SPEED_WARNED:
        return handoff.first_touch_at is not None if _of_touch(fact) else owner is not None
    return fact.kind == Kind.HANDOFF_OPENED and owner is not None and reader is not None and owner != reader


def _of_touch(fact: AlertFact) -> bool:
    """Whether a step of speed is about the first touch; else it is about the claim."""
    return fact.detail.get("metric") not in (None, "claim")


def _item(fact: AlertFact, destination: Destination, why: Sequence[str], people: Mapping[int, str]) -> Item:
    handoff = fact.handoff
    account = handoff.company if handoff else fact.account
    owner = handoff.owner if handoff else None
    # a link in a team's channel stands for nobody: whoever opens it says who they are
    reader = destination.owner
    may_claim = (
        handoff is not None
        and handoff.status == Status.NEW
        and destination.channel not in MACHINES
        and (reader is None or access.may(reader, "handoffs.claim"))
    )
    path = f"/inbox/{handoff.pk}/" if handoff and handoff.closed_at is None else f"/accounts/{account.pk}/"
    return Item(
        kind=fact.kind,
        at=fact.at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z"),
        subject=" ".join(account.name.split()),  # on one line: a name can forge none
        headline=_headline(fact, destination, people),
        why=_own_words(fact) or why,
        owner=owner.label if owner else "",
        url=settings.SITE_URL + path,
        claim_url=claim_links.address(
            handoff_id=handoff.pk, recipient_id=destination.owner_id, fact_id=fact.pk, at=fact.at
        )
        if handoff is not None and may_claim
        else "",
        data={
            "account": {"external_id": account.external_id, "name": account.name},
            "handoff": handoff.pk if handoff else None,
            "status": handoff.status if handoff else None,
            "detail": fact.detail,
        },
    )


def _headline(fact: AlertFact, destination: Destination, people: Mapping[int, str]) -> str:
    detail, kind = fact.detail, fact.kind
    to = _named(detail)[:1]
    whom = "you" if destination.owner_id in to else people.get(to[0], "") if to else ""
    touched = _of_touch(fact)
    if kind == Kind.HANDOFF_OPENED:
        return "came into the inbox"
    if kind == Kind.HANDOFF_JOINED:
        return "has another reason"
    if kind == Kind.HANDOFF_ASSIGNED:
        return f"was given to {whom or 'somebody'}" + (f": {detail['why']}" if detail.get("why") else "")
    if kind == Kind.HANDOFF_WOKEN:
        return _WOKEN.get(str(detail.get("why")), "woke")
    if kind == Kind.HANDOFF_RETURNED:
        return "was returned to self-serve"
    if kind == Kind.SPEED_WARNED:
        return "is about to wait too long for a first touch" if touched else "is about to wait too long to be claimed"
    if kind == Kind.SPEED_REROUTED:
        return f"waited too long and went to {whom}" if whom else "waited too long and goes to somebody else"
    if kind == Kind.SPEED_ESCALATED:
        return "has waited too long for a first touch" if touched else "has waited too long to be claimed"
    if kind == Kind.TASK_CREATED:
        return "has a new task"
    return f"set off the play {detail.get('play_name') or detail.get('play') or ''}".rstrip()


def _own_words(fact: AlertFact) -> list[str]:
    """What a fact of no handoff says of itself."""
    said = fact.detail.get("title") or fact.detail.get("words")
    return [str(said)] if said and fact.handoff_id is None else []


def _why(handoff_ids: set[int]) -> dict[int, list[str]]:
    """The explanations of these handoffs' open reasons, as lines."""
    found = list(reasons.rows().filter(handoff_id__in=handoff_ids, closed_at=None).order_by("-since_at", "-id"))
    lines: dict[int, list[str]] = defaultdict(list)
    for episode, explanation in zip(found, reasons.explained(found), strict=True):
        if episode.handoff_id is not None:
            said = serializers.as_text(explanation).splitlines()
            lines[episode.handoff_id] += [line.removeprefix("- ") for line in said]
    return lines


def _people(facts: Sequence[AlertFact]) -> dict[int, str]:
    found = StaffUser.objects.filter(pk__in={one for fact in facts for one in _named(fact.detail)})
    return {person.pk: person.label for person in found}


def _named(detail: Mapping[str, Any]) -> list[int]:
    """Whom a fact names as the ones that it goes to."""
    to = detail.get("to")
    return [one for one in (to if isinstance(to, list) else [to]) if isinstance(one, int)]
