"""What a choice of alerts would have sent over the last four weeks: asked before it is switched on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from django.db.models import F

from accounts.models import Destination
from plgops.lib.db import TooSlow, statements_within
from scoring import alert_times
from scoring.alert_hearers import Past, Told, Wish, about, wants
from scoring.alert_rules import MACHINES, UNCAPPED, Wanted
from scoring.alert_times import Forecast, Happened, Timing
from scoring.models import AlertFact, AlertRule, Handoff, Qualification

Kind = AlertFact.Kind
DAYS = 28
MOST = 20_000  # facts that are read; more would be too many alerts for anybody
SECONDS = 2


def forecast(destination: Destination, wanted: Wanted, *, now: dt.datetime) -> Forecast | None:
    """What `wanted` would have sent there in the DAYS days before `now`; None where reading them takes too long.

    From the facts that are kept and, for the time before, from the inbox's own rows. Whose an account was at each
    moment is not kept: who has it today stands for it.
    """
    try:
        with statements_within(SECONDS):
            facts = _facts(now - dt.timedelta(days=DAYS), now, wanted.kinds)
            known = about(facts)
    except TooSlow:
        return None
    wish = Wish(destination.owner_id, wanted.kinds, wanted.scope, frozenset(wanted.definition_ids))
    happened = [Happened(one.at, one.account_id, one.kind in UNCAPPED) for one in known if wants(wish, one)]
    machine = destination.channel in MACHINES
    timing = Timing(AlertRule.Pace.IMMEDIATE, wanted.timing.zone) if machine else wanted.timing
    return alert_times.forecast(timing, happened, cap=wanted.per_account, days=DAYS, until=now, one_each=machine)


def _facts(since: dt.datetime, now: dt.datetime, kinds: Collection[str]) -> list[Told]:
    kept = AlertFact.objects.filter(at__gte=since, at__lte=now, kind__in=list(kinds)).order_by("-at")[:MOST]
    found: list[Told] = list(kept)
    # facts are kept since a release: before the first of any kind, the inbox tells what happened
    first = AlertFact.objects.order_by("at").values_list("at", flat=True).first()
    return found + _before(since, min(first or now, now), kinds)


def _before(since: dt.datetime, until: dt.datetime, kinds: Collection[str]) -> list[Told]:
    found: list[Told] = []
    if until <= since:
        return found
    if Kind.HANDOFF_OPENED in kinds or Kind.HANDOFF_ASSIGNED in kinds:
        rows = Handoff.objects.filter(opened_at__gte=since, opened_at__lt=until).order_by("-opened_at")
        for pk, at, company_id, assigned in rows.values_list("pk", "opened_at", "company_id", "assigned")[:MOST]:
            found.append(Past(Kind.HANDOFF_OPENED, at, company_id, pk))
            if assigned:
                found.append(Past(Kind.HANDOFF_ASSIGNED, at, company_id, pk))
    if Kind.HANDOFF_JOINED in kinds:
        later = Qualification.objects.filter(
            opened_at__gte=since, opened_at__lt=until, opened_at__gt=F("handoff__opened_at")
        ).order_by("-opened_at")
        fields = ("pk", "opened_at", "handoff__company_id", "handoff_id")
        for pk, at, company_id, handoff_id in later.values_list(*fields)[:MOST]:
            found.append(Past(Kind.HANDOFF_JOINED, at, company_id, handoff_id, {"qualification": pk}))
    return found
