"""Plays about near misses: once a day, whoever is one condition short of a definition gets a run.

The usage lake is asked about everybody (scoring/near_misses.py); a company that a play has looked at rests for at least
REST_DAYS, so that nobody hears of the same missing invitation every morning. What is missing, and how many days are
left for it, is kept with the run for whoever reads the nudge or the task.
"""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from accounts import lake
from accounts.models import Account
from accounts.workspace import day_of
from scoring import definitions, near_misses, plays
from scoring.models import Play, PlayRun
from scoring.playbook import NEAR_EVERY

REST_DAYS = 14
LEASE = dt.timedelta(hours=1)  # as long as the task may take; who died over it is made up for then
MOST = 500  # near misses that a play takes up in a day, the nearest first
NO_LAKE = dt.timedelta(minutes=5)


def ask_next(*, now: dt.datetime) -> int | None:
    """Ask for the near misses of one play that is due, if any: how many runs were left; None if none was due.

    Two who ask at once never take the same play.
    """
    due = Play.objects.filter(near_due_at__lte=now, status=Play.Status.LIVE, trigger=Play.Trigger.NEAR_MISS)
    play = due.order_by("near_due_at", "pk").first()
    if play is None:
        return None
    lease = now + LEASE
    if not Play.objects.filter(pk=play.pk, near_due_at=play.near_due_at).update(near_due_at=lease):
        return 0
    mine = Play.objects.filter(pk=play.pk, near_due_at=lease)
    rule = next((rule for rule in definitions.live_rules() if rule.definition_id == play.definition_id), None)
    if rule is None or not plays.is_on(play, now):
        mine.update(near_due_at=now + NEAR_EVERY)
        return 0
    resting = _resting(play, day_of(now))
    try:
        # those that rest may be the nearest of all: they take nobody's place
        found = near_misses.of_definition(rule.doc, day_of(now), MOST + len(resting))
    except lake.NoLake:
        mine.update(near_due_at=now + NO_LAKE)
        return 0
    near = [one for one in found.nearest if not one.closest.too_late and one.account_id not in resting]
    with transaction.atomic():
        return _note(play, near[:MOST], now=now) if mine.update(near_due_at=now + NEAR_EVERY) else 0


def _resting(play: Play, today: int) -> frozenset[int]:
    """Accounts that the play has looked at lately: MOST of each of these days."""
    rest = max(play.cooldown_days, REST_DAYS)
    lately = PlayRun.objects.filter(play=play, near_day__gt=today - rest)
    return frozenset(lately.values_list("account_id", flat=True))


def _note(play: Play, near: list[near_misses.NearMiss], *, now: dt.datetime) -> int:
    """A run for each of these."""
    today = day_of(now)
    ids = [one.account_id for one in near]
    companies = {account.pk: account.company_id for account in Account.objects.filter(pk__in=ids, is_internal=False)}
    rows = [
        PlayRun(
            play=play,
            account_id=one.account_id,
            company_id=companies[one.account_id],
            near_day=today,
            created_at=now,
            due_at=now,
            detail={
                "needs": one.closest.needs,
                "english": one.closest.english,
                "days_left": one.closest.days_left,
                "user": one.closest.user_id,
            },
        )
        for one in near
        if one.account_id in companies
    ]
    PlayRun.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
    return len(rows)
