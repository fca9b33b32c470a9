"""Plays about near misses: once a day, whoever is one condition short of a definition gets a run.

The usage lake is asked about everybody (scoring/near_misses.py); a company that a play has looked at rests for at least
REST_DAYS, so that nobody hears of the same missing invitation every morning. What is missing, and how many days are
left for it, is kept with the run for whoever reads the nudge or the task.
"""

from __future__ import annotations

import datetime as dt

from accounts import lake
from accounts.models import Account
from accounts.workspace import day_of
from scoring import definitions, near_misses, plays
from scoring.models import Play, PlayRun
from scoring.playbook import NEAR_EVERY

REST_DAYS = 14
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
    mine = Play.objects.filter(pk=play.pk, near_due_at=play.near_due_at)
    if not mine.update(near_due_at=now + NEAR_EVERY) or not plays.is_on(play, now):
        return 0
    rule = next((rule for rule in definitions.live_rules() if rule.definition_id == play.definition_id), None)
    if rule is None:
        return 0
    try:
        found = near_misses.of_definition(rule.doc, day_of(now), MOST)
    except lake.NoLake:
        Play.objects.filter(pk=play.pk, near_due_at=now + NEAR_EVERY).update(near_due_at=now + NO_LAKE)
        return 0
    return _note(play, [near for near in found.nearest if not near.closest.too_late], now=now)


def _note(play: Play, near: list[near_misses.NearMiss], *, now: dt.datetime) -> int:
    """A run for each of these that the play has not looked at lately."""
    today = day_of(now)
    ids = [one.account_id for one in near]
    rest = max(play.cooldown_days, REST_DAYS)
    lately = set(
        PlayRun.objects.filter(play=play, account_id__in=ids, near_day__gt=today - rest).values_list(
            "account_id", flat=True
        )
    )
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
        if one.account_id in companies and one.account_id not in lately
    ]
    PlayRun.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
    return len(rows)
