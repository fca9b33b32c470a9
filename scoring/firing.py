"""Deciding what plays do: one sweep over the runs that are due.

A run was left with its qualification (scoring/plays.py) or its near miss. The sweep takes due ones with all that wait
for the same companies, under the companies' locks, decides them together, the highest priority first, and writes
what was decided with its reason: fired, held out, outside the audience, resting, outranked, nobody to reach. What is
muted waits and is looked at again. A run follows its account into another company. No network: a webhook is a fact that
scoring/alerts.py delivers.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from django.db.models import Q

from accounts import identity
from accounts.models import AccountMerge
from accounts.workspace import zone
from plgops.lib import days
from plgops.lib.db import in_one_transaction
from scoring import alerts, audience, cs_tasks, handoffs, holdout, muting, plays
from scoring.models import Handoff, Play, PlayArm, PlayRun, Qualification
from scoring.qualifications import QUIET_CAUSES, Release, newest_of

logger = logging.getLogger(__name__)
Status = PlayRun.Status
Action = Play.Action
WAITS = dt.timedelta(days=1)  # what waits for a release is looked at again after this; a release looks at once
PUSHED_BACK = dt.timedelta(hours=1)  # what cannot be decided
SHOWN_DAYS = 30  # a prompt that nobody acted on ends


@dataclass(slots=True)
class World:
    """What is known about the companies of a batch."""

    mutes: dict[int, muting.Mute]
    fired: dict[int, list[plays.Fired]]  # by company, also what fired for accounts that were merged into it
    with_sales: frozenset[int]  # companies with an open handoff
    left_alone: frozenset[int]  # accounts all of whose people are not to be contacted
    qualified: frozenset[tuple[int, int]]  # (account, definition) with an open episode, of near misses
    told_before: frozenset[int]  # runs about what fired before a merge, or before it was undone
    now: dt.datetime
    arms: dict[tuple[int, int], str] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """What was decided about one run."""

    status: str
    reason: str
    again_at: dt.datetime | None = None
    by: Play | None = None


@dataclass(slots=True)
class Decided:
    """What one sweep decided, by status."""

    by_status: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return sum(self.by_status.values())


def decide_due(*, now: dt.datetime, limit: int = 200) -> Decided:
    """Decide at most about `limit` runs that are due; several may sweep at once."""
    due = PlayRun.objects.filter(due_at__lte=now).order_by("due_at", "pk")
    companies = sorted(set(due.values_list("company_id", flat=True)[:limit]))
    done = Decided()
    if not companies:
        return done
    try:
        done.by_status += in_one_transaction(lambda: _decide(companies, now=now))
    except Exception as error:  # one company must not hold up the others
        logger.warning("plays about %s companies could not be decided (%r); one by one", len(companies), error)
        for company_id in companies:
            try:
                done.by_status += in_one_transaction(lambda pk=company_id: _decide([pk], now=now))  # type: ignore[misc]
            except Exception as error:
                logger.exception("plays about company %s could not be decided", company_id)
                failed = PlayRun.objects.filter(company_id=company_id, due_at__lte=now)
                failed.update(due_at=now + PUSHED_BACK, error=repr(error)[:300])
    return done


def end_shown(*, now: dt.datetime, limit: int = 1000) -> int:
    """Close the books on what is in the product for too long; how many. It is not shown from that moment on anyway,
    as is what no longer qualifies or whose play was stopped (scoring/prompts.py)."""
    over = PlayRun.objects.filter(shows_until__lte=now, ended_at=None)
    pks = list(over.order_by("shows_until").values_list("pk", flat=True)[:limit])
    return PlayRun.objects.filter(pk__in=pks, ended_at=None).update(ended_at=now) if pks else 0


def _decide(company_ids: Sequence[int], *, now: dt.datetime) -> Counter[str]:
    """All that is due about these companies, under their locks."""
    locked = {account.pk: account for account in handoffs.lock_company(*company_ids)}
    rows = PlayRun.objects.select_for_update(of=("self",)).filter(company_id__in=company_ids, due_at__lte=now)
    runs = sorted(
        rows.select_related("play", "qualification", "account", "company"),
        key=lambda run: (-run.play.priority, run.play_id, run.pk),
    )
    for run in runs:
        run.account, run.company = locked.get(run.account_id, run.account), locked.get(run.company_id, run.company)
    runs = _without_moved(runs)
    if not runs:
        return Counter()
    world = _world(runs, company_ids, now=now)
    tasks, done = [], Counter[str]()
    for run in runs:
        outcome = _outcome(run, world)
        run.status, run.reason, run.winner = outcome.status, outcome.reason[:300], outcome.by
        run.due_at, run.error = outcome.again_at, ""
        run.decided_at = None if outcome.again_at else now
        done[outcome.status] += 1
        if outcome.status == Status.FIRED:
            run.window_ends_at = now + dt.timedelta(days=run.play.convert_days)
            if run.play.action in Play.IN_PRODUCT:
                run.shows_until = _shows_until(run, now)
            elif run.play.action != Action.EMAIL_NUDGE:  # scoring/nudge_mail.py ends it once its letters are written
                run.ended_at = now
            world.fired.setdefault(run.company_id, []).append(plays.Fired(run.play, now))
            if run.play.action == Action.CS_TASK:
                tasks.append(run)
            elif run.play.action == Action.WEBHOOK:
                _call(run, now=now)
    PlayRun.objects.bulk_update(
        runs,
        ["status", "reason", "winner", "due_at", "decided_at", "window_ends_at", "shows_until", "ended_at", "error"],
    )
    cs_tasks.open_for(tasks, now=now)
    plays.give_back([run for run in runs if run.status != Status.FIRED], now=now)
    return done


def _without_moved(runs: Sequence[PlayRun]) -> list[PlayRun]:
    """Those whose account is in the company that is locked; the others follow it, for the next sweep."""
    stay = []
    for run in runs:
        if run.account.merged_into_id is None and run.account.company_id != run.company_id:
            PlayRun.objects.filter(pk=run.pk).update(company_id=run.account.company_id)
        else:
            stay.append(run)
    return stay


def _shows_until(run: PlayRun, now: dt.datetime) -> dt.datetime:
    """When the product stops showing it: after SHOWN_DAYS, or once what is missing cannot come any more."""
    until, left = now + dt.timedelta(days=SHOWN_DAYS), run.detail.get("days_left")
    if run.near_day is None or not isinstance(left, int):
        return until
    return min(until, max(now, days.start_of(run.near_day + left + 1, zone())))


def _world(runs: Sequence[PlayRun], company_ids: Collection[int], *, now: dt.datetime) -> World:
    used = {run.play_id: run.play for run in runs}
    near = [run for run in runs if run.qualification_id is None]
    open_now: set[tuple[int, int]] = set()
    if near:
        rows = Qualification.objects.filter(account_id__in={run.account_id for run in near}, closed_at=None)
        open_now = set(rows.values_list("account_id", "definition_id"))
    tombs = identity.merged_into({*company_ids, *(run.account_id for run in runs)})
    fired = plays.lately({*company_ids, *tombs}, rest=max(play.cooldown_days for play in used.values()), now=now)
    for tomb, survivor in tombs.items():
        fired.setdefault(survivor, []).extend(fired.pop(tomb, ()))
    handed = Handoff.objects.filter(company_id__in=company_ids, closed_at=None)
    world = World(
        mutes=muting.muted(company_ids, now=now),
        fired=fired,
        with_sales=frozenset(handed.values_list("company_id", flat=True)),
        left_alone=plays.left_alone({run.account_id for run in runs}),
        qualified=frozenset(open_now),
        told_before=_told_before(runs, tombs),
        now=now,
    )
    known = list(PlayArm.objects.filter(play__in=used, company_id__in=company_ids))
    to_draw = [(run.play, run.company_id) for run in runs if run.play.holdout_percent and _undrawn(run, world) is None]
    world.arms = holdout.arms(to_draw, known, now=now)
    return world


def _told_before(runs: Sequence[PlayRun], tombs: dict[int, int]) -> frozenset[int]:
    """Runs of tasks and webhooks that would repeat what was done for the same reason before accounts were merged, or
    before a merge was undone: nothing new has happened since. What is shown in the product just goes on."""
    once = [run for run in runs if run.qualification and run.play.action not in Play.IN_PRODUCT]
    if not once:
        return frozenset()
    family = {run.account_id: {run.account_id} for run in once}
    for tomb, survivor in tombs.items():
        if survivor in family:
            family[survivor].add(tomb)
    before = PlayRun.objects.filter(
        Q(qualification__close_cause=Qualification.CloseCause.MERGED)
        | Q(qualification__closed_at=None, account__merged_into__isnull=False),
        play__in={run.play_id for run in once},
        account_id__in={pk for pks in family.values() for pk in pks},
        status=Status.FIRED,
    )
    fired = set(before.values_list("play_id", "account_id"))
    if not fired:
        return frozenset()
    rows = AccountMerge.objects.filter(loser_id__in={account_id for _, account_id in fired}).order_by("merged_at", "pk")
    changed = {
        loser_id: undone or at for loser_id, at, undone in rows.values_list("loser_id", "merged_at", "undone_at")
    }
    again = set()
    for run in once:
        newest = newest_of(run.qualification.evidence) if run.qualification else None
        for pk in family[run.account_id]:
            if (run.play_id, pk) in fired and pk in changed and (newest is None or newest <= changed[pk]):
                again.add(run.pk)
    return frozenset(again)


def _undrawn(run: PlayRun, world: World) -> Outcome | None:
    """What is decided before anybody is drawn into a hold-out: who would not be treated anyway is not compared."""
    play, episode, account, now = run.play, run.qualification, run.account, world.now
    if account.is_internal or run.company.is_internal:
        return Outcome(Status.INTERNAL, "An internal or test account.")
    if not plays.is_on(play, now):
        return Outcome(Status.PASSED, "The play does not run at the moment.")
    if account.merged_into_id:
        return Outcome(Status.PASSED, "The account was merged.")
    if episode is not None:
        if episode.closed_at is not None:
            return Outcome(Status.PASSED, f"No longer qualifies: {episode.get_close_cause_display().lower()}.")
        if episode.release == Release.WAITING:
            return Outcome(Status.MUTED, "Waits for an admin's release.", now + WAITS)
        floods = play.action not in Play.IN_PRODUCT
        if floods and episode.cause in QUIET_CAUSES and episode.release != Release.RELEASED:
            return Outcome(Status.PASSED, "Came by a publication or an import, which sets nothing going.")
    elif (run.account_id, play.definition_id) in world.qualified:
        return Outcome(Status.PASSED, "Qualifies by now.")
    if why := audience.outside(audience.parse(play.audience), plays.facts(account), plays.facts(run.company)):
        return Outcome(Status.OUTSIDE, why)
    if play.promotional and play.action != Action.WEBHOOK and run.account_id in world.left_alone:
        return Outcome(Status.NOBODY, "Nobody in the account may be contacted.")
    if until := plays.rests_until(play, world.fired.get(run.company_id, ()), now=now):
        return Outcome(Status.COOLING, f"Fired for this company before; rests until {plays.day_words(until)}.")
    if run.pk in world.told_before:
        return Outcome(Status.PASSED, "Fired before the accounts were merged, and nothing is new since.")
    return None


def _outcome(run: PlayRun, world: World) -> Outcome:
    decided = _undrawn(run, world)
    if decided is not None:
        return decided
    play, now = run.play, world.now
    if world.arms.get((play.pk, run.company_id)) == holdout.Arm.HELD_OUT:
        return Outcome(Status.HELD_OUT, "Drawn into the hold-out.")
    mute = world.mutes.get(run.company_id)
    if mute is not None and play.promotional and play.action in Play.OUTREACH:
        return Outcome(Status.MUTED, mute.why, mute.until)
    other = plays.outranking(
        play, world.fired.get(run.company_id, ()), with_sales=run.company_id in world.with_sales, now=now
    )
    if other is not None:
        return Outcome(
            Status.OUTRANKED, f"{other.name} goes first: priority {other.priority}, this {play.priority}.", by=other
        )
    return Outcome(Status.FIRED, _FIRED[play.action])


_FIRED: dict[str, str] = {
    Action.PROMPT: "Shown to whoever of the account comes next.",
    Action.NUDGE: "Shown to whoever of the account comes next.",
    Action.EMAIL_NUDGE: "Written to who of the account was seen last.",
    Action.CS_TASK: "A task was opened.",
    Action.WEBHOOK: "The webhook is called.",
}


def _call(run: PlayRun, *, now: dt.datetime) -> None:
    alerts.tell(
        "play_webhook",
        handoff=None,
        account_id=run.account_id,
        now=now,
        detail={
            "play": run.play.slug,
            "play_name": run.play.name,
            "account": run.account.external_id,
            "qualification": run.qualification_id,
            **run.detail,
        },
        key=f"play:{run.play_id}:run:{run.pk}",
    )
