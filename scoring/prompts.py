"""Upgrade moments and nudges inside the customer's product: which one is due for a person, and what they did about it.

A prompt is a run of a play that fired (scoring/firing.py) and is not over. At most one is due at a time: the highest
priority among those of the person's accounts. What is promotional waits while a rep works the company or an urgent
ticket is open, is left out for who must not be contacted, is not shown again within AGAIN, and counts for one cap
over all plays; a notice that is not promotional is always due. The first time that a person is given a promotion is
written down under the person's lock, so that two devices that ask at once do not get past the cap. Reads are few and
by index: two where nothing is due.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q

from accounts.models import Membership, ProductUser, StaffUser, UserKey
from accounts.team import audit
from plgops.lib import access
from plgops.lib.db import in_one_transaction
from scoring import muting, plays
from scoring.models import Play, PlayRun, PromptRules, PromptView, Qualification

AGAIN = dt.timedelta(hours=24)  # a promotion that was seen and neither taken nor dismissed is not shown before
EVENTS = ("seen", "clicked", "dismissed", "converted")
_LEFT_ALONE = ("do_not_contact", "contact_refused_at")  # what of a person says whether to leave them alone
NEEDS = "{needs}"  # in the words of a play: what a near miss lacks
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
    user, companies = _at_home(user_key)
    shown = _shown(companies, moment=moment, now=now)
    if user is None or not shown:
        return None
    rules = _rules() if any(run.play.promotional for run in shown) else None
    views = _views(user, rules, among=shown, now=now)
    by_run = {view.run_id: view for view in views}
    open_runs = [run for run in shown if not _is_done(by_run.get(run.pk))]
    if promotions := [run for run in open_runs if run.play.promotional]:
        barred = _barred(user, promotions, by_run, _met(views, rules, now=now), companies, now=now)
        open_runs = [run for run in open_runs if run.pk not in barred]
    for run in sorted(open_runs, key=lambda run: (-run.play.priority, run.play_id, run.pk)):
        if not run.play.promotional or run.pk in by_run or _offer(run, user.pk, rules, now=now):
            return as_prompt(run)
    return None


def offer(run: PlayRun, user_id: int, *, now: dt.datetime) -> bool:
    """Write down that the person is given this promotion; False if the cap is full by now, or they must be left alone.

    Under the person's lock, taken after no other but in a transaction of its own.
    """
    return _offer(run, user_id, _rules(), now=now)


def _offer(run: PlayRun, user_id: int, rules: PromptRules | None, *, now: dt.datetime) -> bool:
    def write() -> bool:
        user = ProductUser.objects.select_for_update(no_key=True).only(*_LEFT_ALONE).get(pk=user_id)
        met = _met(_views(user, rules, among=(), now=now), rules, now=now)
        if user.is_left_alone or (met.is_full and run.pk not in met.runs):
            return False
        # one statement; whose first offer is written already keeps it
        view = PromptView(run=run, user=user, promotional=run.play.promotional, offered_at=now)
        PromptView.objects.bulk_create([view], ignore_conflicts=True)
        return True

    return in_one_transaction(write)


def as_prompt(run: PlayRun) -> Prompt:
    """A run as the product shows it."""
    return of_play(run.play, run.pk, detail=run.detail)


def of_play(play: Play, number: int = 0, *, detail: dict[str, Any]) -> Prompt:
    """A play's prompt as it is shown about a run with this detail: `{needs}` is what a near miss lacks."""
    content = {name: filled(value, detail) for name, value in play.content.items() if isinstance(value, str)}
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


def filled(words: str, detail: dict[str, Any]) -> str:
    """Words of a play, said about a run with this detail."""
    return words.replace(NEEDS, needed(detail))


def needed(detail: dict[str, Any]) -> str:
    """What a near miss lacks and how long there is for it: “1 more time, 4 days left”; "" for what is none."""
    needs, left = str(detail.get("needs") or ""), detail.get("days_left")
    if not needs or not isinstance(left, int):
        return needs
    return f"{needs}, {left} day{'' if left == 1 else 's'} left" if left else f"{needs}, today is the last day"


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
        defaults={
            "promotional": run.play.promotional,
            "offered_at": now,
            "first_seen_at": now,
            "last_seen_at": now,
        },
    )
    first = PromptView.objects.filter(pk=view.pk, first_seen_at=None).update(first_seen_at=now, last_seen_at=now)
    if event == "seen":
        if not (is_new or first):
            PromptView.objects.filter(pk=view.pk, last_seen_at__lt=now).update(last_seen_at=now)
        return bool(is_new or first)
    column = f"{event}_at"
    return bool(PromptView.objects.filter(pk=view.pk, **{f"{column}__isnull": True}).update(**{column: now}))


def _person(user_key: str) -> ProductUser | None:
    row = UserKey.objects.filter(key=f"u:{user_key}").select_related("user").first()
    return row.user if row is not None else None


def _at_home(user_key: str) -> tuple[ProductUser | None, dict[int, int]]:
    """The person, as far as it says whether they are left alone, and the accounts that they are in now, each with its
    company; None who is in none. One query."""
    rows = (
        Membership.objects.filter(user__keys__key=f"u:{user_key}", valid_to=None)
        .filter(account__merged_into=None, account__is_internal=False)
        .select_related("user", "account")
        .only("account__parent_id", *(f"user__{name}" for name in _LEFT_ALONE))
    )
    user, companies = None, {}
    for row in rows:
        user = row.user
        companies[row.account_id] = row.account.parent_id or row.account_id
    return user, companies


def _shown(companies: dict[int, int], *, moment: str, now: dt.datetime) -> list[PlayRun]:
    """What the plays show in these accounts at this moment; one query, none without accounts."""
    return [run for run in running(companies, now=now) if _fits(run.play, moment)] if companies else []


def running(account_ids: Collection[int], *, now: dt.datetime) -> list[PlayRun]:
    """What the plays show in these accounts, wherever in the product; the newest 200, with their plays. One query."""
    made = Qualification.objects.filter(
        account_id=OuterRef("account_id"), definition_id=OuterRef("play__definition_id"), closed_at=None
    )
    runs = (
        PlayRun.objects.filter(
            # what qualified and still does; what was a near miss and still is one
            Q(qualification__isnull=False, qualification__closed_at=None) | Q(qualification=None) & ~Exists(made),
            account_id__in=account_ids,
            status=PlayRun.Status.FIRED,
            ended_at=None,
            shows_until__gt=now,
            play__action__in=Play.IN_PRODUCT,
            play__status=Play.Status.LIVE,
            play__definition__archived_at=None,
        )
        .select_related("play")
        .order_by("-pk")[:200]
    )
    return [run for run in runs if plays.is_on(run.play, now)]


def _fits(play: Play, moment: str) -> bool:
    if moment:
        return play.moment == moment
    return play.moment not in AT_ITS_PLACE


def _is_done(view: PromptView | None) -> bool:
    return view is not None and bool(view.clicked_at or view.dismissed_at or view.converted_at)


@dataclass(frozen=True, slots=True)
class Met:
    """Which promotions the person was given in the days of the cap, and whether that is as many as it allows."""

    runs: frozenset[int]
    is_full: bool


def _rules() -> PromptRules | None:
    """How often one person meets a promotion; None: there is no cap."""
    return PromptRules.objects.filter(pk=1, enabled=True).first()


def _views(
    user: ProductUser, rules: PromptRules | None, *, among: Collection[PlayRun], now: dt.datetime
) -> list[PromptView]:
    """What the person was given of these runs, and every promotion in the days of the cap. One query."""
    wanted = Q(run__in=[run.pk for run in among])
    if rules is not None:
        since = _since(rules, now)
        wanted |= Q(promotional=True) & (Q(offered_at__gt=since) | Q(last_seen_at__gt=since))
    return list(PromptView.objects.filter(wanted, user=user))


def _since(rules: PromptRules, now: dt.datetime) -> dt.datetime:
    return now - dt.timedelta(days=rules.cap_days)


def _met(views: Collection[PromptView], rules: PromptRules | None, *, now: dt.datetime) -> Met:
    if rules is None:
        return Met(frozenset(), is_full=False)
    since = _since(rules, now)
    lately = (view for view in views if view.promotional and max(view.offered_at, view.last_seen_at or since) > since)
    runs = frozenset(view.run_id for view in lately)
    return Met(runs, len(runs) >= rules.cap)


def _barred(
    user: ProductUser,
    promotions: Sequence[PlayRun],
    views: dict[int, PromptView],
    met: Met,
    companies: dict[int, int],
    *,
    now: dt.datetime,
) -> set[int]:
    """Which of these promotions the person does not meet now."""
    if user.is_left_alone:
        return {run.pk for run in promotions}
    barred = set()
    for run in promotions:
        seen_at = views[run.pk].last_seen_at if run.pk in views else None
        if seen_at is not None and seen_at > now - AGAIN:
            barred.add(run.pk)
    if met.is_full:  # one that was met already is no further one
        barred |= {run.pk for run in promotions if run.pk not in met.runs}
    left = {companies[run.account_id] for run in promotions if run.pk not in barred}
    mutes = muting.muted(left, now=now) if left else {}
    return barred | {run.pk for run in promotions if companies[run.account_id] in mutes}


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
