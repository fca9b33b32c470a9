"""Upgrade moments and nudges inside the customer's product: which one is due for a person, and what they did about it.

A prompt is a run of a play that fired (scoring/firing.py) and is not over. At most one is due at a time: the highest
priority among those of the person's accounts. What is promotional waits while a rep works the company or an urgent
ticket is open, is left out for who must not be contacted, is not shown again within AGAIN, and counts for one cap
over all plays; a notice that is not promotional is always due. Reads are few and by index: three where nothing is due.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from accounts.models import Membership, ProductUser, StaffUser, UserKey
from accounts.team import audit
from plgops.lib import access
from plgops.lib.db import in_one_transaction
from scoring import muting, plays
from scoring.models import Play, PlayRun, PromptRules, PromptView

AGAIN = dt.timedelta(hours=24)  # a promotion that was seen and neither taken nor dismissed is not shown before
EVENTS = ("seen", "clicked", "dismissed", "converted")
AT_ITS_PLACE = (Play.Moment.TEAMMATE_WALL, Play.Moment.FEATURE_GATE)  # shown only where the product asks for them


class Unknown(Exception):
    """There is no such prompt for this person."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the product shows. `url` is a path of the product or an https address."""

    id: int
    play: str
    style: str
    moment: str
    promotional: bool
    headline: str
    body: str
    button: str
    url: str


def due_for(user_key: str, *, moment: str, now: dt.datetime) -> Prompt | None:
    """The one prompt that this person may be shown now, if any. `moment`: where in the product they are ("" anywhere).

    An unknown person is nobody: None.
    """
    user = _person(user_key)
    if user is None:
        return None
    shown = _shown(user, moment=moment, now=now)
    if not shown:
        return None
    views = {view.run_id: view for view in PromptView.objects.filter(user=user, run__in=shown)}
    open_runs = [run for run in shown if not _is_done(views.get(run.pk))]
    promotions = [run for run in open_runs if run.play.promotional]
    if promotions:
        barred = _barred(user, promotions, views, now=now)
        open_runs = [run for run in open_runs if run.pk not in barred]
    if not open_runs:
        return None
    return as_prompt(max(open_runs, key=lambda run: (run.play.priority, -run.play_id, -run.pk)))


def as_prompt(run: PlayRun) -> Prompt:
    """A run as the product shows it."""
    return of_play(run.play, run.pk)


def of_play(play: Play, number: int = 0) -> Prompt:
    """A play's prompt as it would be shown."""
    content = play.content
    return Prompt(
        id=number,
        play=play.slug,
        style="modal" if content.get("style") == "modal" else "banner",
        moment=play.moment,
        promotional=play.promotional,
        headline=str(content.get("headline", "")),
        body=str(content.get("body", "")),
        button=str(content.get("button", "")),
        url=str(content.get("url", "")),
    )


def record(user_key: str, run_id: int, event: str, *, now: dt.datetime) -> bool:
    """Keep that the person saw, clicked, dismissed or converted on a prompt; True the first time of each. Whatever
    they do about it, they saw it. Unknown if it is not theirs."""
    if event not in EVENTS:
        raise Unknown(f"An event is one of {', '.join(EVENTS)}.")
    user = _person(user_key)
    if user is None:
        raise Unknown("There is no such person.")
    run = (
        PlayRun.objects.filter(pk=run_id, status=PlayRun.Status.FIRED, play__action__in=Play.IN_PRODUCT)
        .filter(account__memberships__user=user, account__memberships__valid_to=None)
        .select_related("play")
        .first()
    )
    if run is None:
        raise Unknown("There is no such prompt for this person.")
    return in_one_transaction(lambda: _record(run, user, event, now=now))


def set_rules(*, enabled: bool, cap: int, cap_days: int, by: StaffUser, now: dt.datetime) -> PromptRules:
    """How often one person meets a promotional prompt; audited."""
    access.require(by, "plays.edit")

    def write() -> PromptRules:
        rules = PromptRules.objects.select_for_update().get(pk=1)
        before = str(rules)
        rules.enabled, rules.cap, rules.cap_days = enabled, cap, cap_days
        rules.save()
        if str(rules) != before:
            audit.record(
                action="prompt_rules.changed", obj=rules, by=by, now=now, detail={"from": before, "to": str(rules)}
            )
        return rules

    return in_one_transaction(write)


def _record(run: PlayRun, user: ProductUser, event: str, *, now: dt.datetime) -> bool:
    view, is_new = PromptView.objects.get_or_create(
        run=run,
        user=user,
        defaults={"promotional": run.play.promotional, "first_seen_at": now, "last_seen_at": now},
    )
    if event == "seen":
        if not is_new:
            PromptView.objects.filter(pk=view.pk, last_seen_at__lt=now).update(last_seen_at=now)
        return is_new
    column = f"{event}_at"
    return bool(PromptView.objects.filter(pk=view.pk, **{f"{column}__isnull": True}).update(**{column: now}))


def _person(user_key: str) -> ProductUser | None:
    row = UserKey.objects.filter(key=f"u:{user_key}").select_related("user").first()
    return row.user if row is not None else None


def _shown(user: ProductUser, *, moment: str, now: dt.datetime) -> list[PlayRun]:
    """What the plays show in the person's accounts at this moment; two queries."""
    rows = Membership.objects.filter(user=user, valid_to=None, account__merged_into=None, account__is_internal=False)
    mine = dict(rows.values_list("account_id", "account__parent_id"))
    if not mine:
        return []
    runs = (
        PlayRun.objects.filter(
            Q(qualification=None) | Q(qualification__closed_at=None),
            company_id__in={parent or account for account, parent in mine.items()},
            status=PlayRun.Status.FIRED,
            ended_at=None,
            play__action__in=Play.IN_PRODUCT,
            play__status=Play.Status.LIVE,
        )
        .select_related("play")
        .order_by("pk")[:200]
    )
    return [run for run in runs if run.account_id in mine and _fits(run.play, moment) and plays.is_on(run.play, now)]


def _fits(play: Play, moment: str) -> bool:
    if moment:
        return play.moment == moment
    return play.moment not in AT_ITS_PLACE


def _is_done(view: PromptView | None) -> bool:
    return view is not None and bool(view.clicked_at or view.dismissed_at or view.converted_at)


def _barred(
    user: ProductUser, promotions: Sequence[PlayRun], views: dict[int, PromptView], *, now: dt.datetime
) -> set[int]:
    """Which of these promotions the person does not meet now."""
    if user.is_left_alone:
        return {run.pk for run in promotions}
    barred = {run.pk for run in promotions if run.pk in views and views[run.pk].last_seen_at > now - AGAIN}
    rules = PromptRules.objects.filter(pk=1).first()
    if rules is not None and rules.enabled:
        since = now - dt.timedelta(days=rules.cap_days)
        lately = PromptView.objects.filter(user=user, promotional=True, first_seen_at__gt=since)
        met = set(lately.values_list("run_id", flat=True)[: rules.cap + len(promotions)])
        # one that was met already is no further one
        barred |= {run.pk for run in promotions if run.pk not in met and len(met) >= rules.cap}
    left = {run.company_id for run in promotions if run.pk not in barred}
    mutes = muting.muted(left, now=now) if left else {}
    return barred | {run.pk for run in promotions if run.company_id in mutes}


def as_json(prompt: Prompt) -> dict[str, Any]:
    """What the script reads."""
    return {
        "id": prompt.id,
        "play": prompt.play,
        "style": prompt.style,
        "moment": prompt.moment,
        "promotional": prompt.promotional,
        "headline": prompt.headline,
        "body": prompt.body,
        "button": prompt.button,
        "url": prompt.url,
    }
