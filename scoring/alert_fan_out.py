"""Facts become deliveries: one row for each destination that wants to hear, with the moment at which it is told.

A sweep. Facts are claimed and marked told in the transaction that writes their deliveries; a fact that two sweeps saw
would still make each delivery once, by its constraint. Where a cap is counted, sweeps take turns.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Max, Q, QuerySet

from accounts.models import Delivery, Destination
from accounts.team.deliveries import Offer, offer
from plgops.lib import access
from plgops.lib.db import lock_free_rows
from scoring.alert_hearers import About, Wish, about, wants
from scoring.alert_rules import UNCAPPED, timing
from scoring.alert_times import DAY, Timing, due_at
from scoring.models import AlertFact, AlertRule

logger = logging.getLogger(__name__)
SOURCE = "alert"  # the kind of these deliveries: settings.DELIVERY_WORDS
LIMIT = 200  # facts in one transaction
STALE = dt.timedelta(days=3)  # what could not be told for so long is not news: a restored backup tells nobody twice
HELD_BACK = "The account had enough alerts for a day."


@dataclass(frozen=True, slots=True)
class Hearer:
    """A destination that is switched on."""

    destination_id: int
    wish: Wish
    timing: Timing
    on_since: dt.datetime
    per_account: int


def fan_out(*, now: dt.datetime, limit: int = LIMIT) -> int:
    """Write the deliveries of facts that nobody was told yet; how many. One that cannot be told keeps no other."""
    listening, waiting = _hearers(), AlertFact.objects.filter(told_at=None).order_by("id")
    try:
        return _tell(waiting[:limit], listening, now=now)
    except Exception:
        logger.exception("facts could not be told together; each is tried by itself")
    done = 0
    for pk in list(waiting.values_list("pk", flat=True)[:limit]):
        try:
            done += _tell(waiting.filter(pk=pk), listening, now=now)
        except Exception:
            logger.exception("fact %s cannot be told", pk)
    return done


def _tell(waiting: QuerySet[AlertFact], listening: Sequence[Hearer], *, now: dt.datetime) -> int:
    with transaction.atomic():
        facts = list(lock_free_rows(waiting))
        if not facts:
            return 0
        fresh = [fact for fact in facts if fact.at > now - STALE]
        if listening and fresh:
            _alone([hearer.destination_id for hearer in listening if hearer.per_account])
            offer(_offers(fresh, about(fresh), listening, now=now), now=now)
        AlertFact.objects.filter(pk__in=[fact.pk for fact in facts]).update(told_at=now)
    return len(facts)


def _alone(destination_ids: Sequence[int]) -> None:
    """Until the end of the transaction no other sweep counts what these were told: both would find room."""
    if destination_ids:
        rows = Destination.objects.select_for_update(no_key=True).filter(pk__in=destination_ids)
        list(rows.order_by("pk").values_list("pk", flat=True))


def _hearers() -> list[Hearer]:
    """Everybody who listens: a person must still work here, in some role."""
    roles = Q(owner__is_superuser=True) | Q(owner__groups__name__in=access.ROLES)
    works_here = Q(owner=None) | Q(owner__is_active=True) & roles
    on = Destination.objects.filter(works_here, disabled_at=None, removed_at=None, alert_rule__on_since__isnull=False)
    rules = (
        AlertRule.objects.filter(destination__in=on.values("pk"))
        .select_related("destination")
        .prefetch_related("definitions")
        .order_by("id")
    )
    return [
        Hearer(
            destination_id=rule.destination_id,
            wish=Wish(
                rule.destination.owner_id,
                frozenset(rule.kinds),
                rule.scope,
                frozenset(definition.pk for definition in rule.definitions.all()),
            ),
            timing=timing(rule),
            on_since=rule.on_since,
            per_account=rule.per_account,
        )
        for rule in rules
        if rule.on_since is not None
    ]


def _offers(
    facts: Sequence[AlertFact], known: Sequence[About], listening: Sequence[Hearer], *, now: dt.datetime
) -> Iterable[Offer]:
    heard = _heard_lately([hearer.destination_id for hearer in listening], known, now=now)
    bundles = _open_bundles([hearer.destination_id for hearer in listening])
    for fact, one in zip(facts, known, strict=True):
        for hearer in listening:
            if fact.at < hearer.on_since or not wants(hearer.wish, one):
                continue
            place = hearer.destination_id, one.account_id
            full = bool(hearer.per_account) and heard[place] >= hearer.per_account and one.kind not in UNCAPPED
            due = due_at(hearer.timing, now, open_bundle=bundles.get(hearer.destination_id))
            if not full:
                heard[place] += 1
                if hearer.timing.pace == AlertRule.Pace.BUNDLED:
                    bundles[hearer.destination_id] = due
            yield Offer(
                destination_id=hearer.destination_id,
                fact=f"{SOURCE}:{fact.pk}",
                account_id=one.account_id,
                due_at=due,
                skipped_because=HELD_BACK if full else "",
            )


def _heard_lately(
    destination_ids: Sequence[int], known: Sequence[About], *, now: dt.datetime
) -> Counter[tuple[int, int]]:
    """How many alerts each destination had about each of these accounts in the last day."""
    rows = (
        Delivery.objects.filter(
            destination_id__in=destination_ids,
            account_id__in={one.account_id for one in known},
            created_at__gt=now - DAY,
        )
        .exclude(status=Delivery.Status.SKIPPED)
        .values_list("destination_id", "account_id")
        .annotate(alerts=Count("pk"))
        .order_by()
    )
    return Counter({(destination, account): alerts for destination, account, alerts in rows if account})


def _open_bundles(destination_ids: Sequence[int]) -> dict[int, dt.datetime]:
    """When the bundle of each destination goes that already waits."""
    waiting = Delivery.objects.filter(destination_id__in=destination_ids, status=Delivery.Status.WAITING)
    return dict(waiting.values_list("destination_id").annotate(due=Max("due_at")).order_by())
