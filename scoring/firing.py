"""Deciding what plays do: one sweep over the runs that are due.

A run was left with its qualification (scoring/plays.py) or its near miss. The sweep takes due ones with all that wait
for the same companies, under the companies' locks, decides them together, the highest priority first, and writes
what was decided with its reason: fired, held out, outside the audience, resting, outranked, nobody to reach. What is
muted waits and is looked at again. No network: a webhook is a fact that scoring/alerts.py delivers.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from django.db.models import Q

from accounts.models import Account, Membership
from accounts.workspace import zone
from plgops.lib.db import in_one_transaction
from scoring import alerts, audience, cs_tasks, handoffs, holdout, muting, plays
from scoring.models import Play, PlayArm, PlayRun, Qualification
from scoring.qualifications import QUIET_CAUSES, Release

logger = logging.getLogger(__name__)
Status = PlayRun.Status
Action = Play.Action
WAITS = dt.timedelta(days=1)  # what waits for a release is looked at again after this; a release looks at once
PUSHED_BACK = dt.timedelta(hours=1)  # what cannot be decided
SHOWN_DAYS = 30  # a prompt that nobody acted on ends


@dataclass(slots=True)
class World:
    """What is known about the companies of a batch."""

    arms: dict[tuple[int, int], str]
    mutes: dict[int, muting.Mute]
    fired: dict[int, list[plays.Fired]]
    left_alone: frozenset[int]  # accounts all of whose people are not to be contacted
    qualified: frozenset[tuple[int, int]]  # (account, definition) with an open episode, of near misses
    now: dt.datetime


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
            except Exception:
                logger.exception("plays about company %s could not be decided", company_id)
                PlayRun.objects.filter(company_id=company_id, due_at__lte=now).update(due_at=now + PUSHED_BACK)
    return done


def end_shown(*, now: dt.datetime, limit: int = 1000) -> int:
    """Take out of the product what is over: the episode closed, the account paid, nobody acted; how many."""
    shown = PlayRun.objects.filter(status=Status.FIRED, ended_at=None)
    over = Q(qualification__closed_at__isnull=False) | Q(decided_at__lt=now - dt.timedelta(days=SHOWN_DAYS))
    over |= ~Q(play__action__in=Play.IN_PRODUCT)
    pks = list(shown.filter(over).order_by("pk").values_list("pk", flat=True)[:limit])
    return PlayRun.objects.filter(pk__in=pks, ended_at=None).update(ended_at=now) if pks else 0


def _decide(company_ids: Sequence[int], *, now: dt.datetime) -> Counter[str]:
    """All that is due about these companies, under their locks."""
    locked = {account.pk: account for account in handoffs.lock_company(*company_ids)}
    rows = PlayRun.objects.select_for_update(of=("self",)).filter(company_id__in=company_ids, due_at__lte=now)
    runs = sorted(
        rows.select_related("play", "qualification", "account", "company"),
        key=lambda run: (-run.play.priority, run.play_id, run.pk),
    )
    if not runs:
        return Counter()
    world = _world(runs, company_ids, now=now)
    tasks, done = [], Counter[str]()
    for run in runs:
        account, company = locked.get(run.account_id, run.account), locked.get(run.company_id, run.company)
        outcome = _outcome(run, account, company, world)
        run.status, run.reason, run.winner = outcome.status, outcome.reason[:300], outcome.by
        run.due_at = outcome.again_at
        run.decided_at = None if outcome.again_at else now
        done[outcome.status] += 1
        if outcome.status == Status.FIRED:
            run.window_ends_at = now + dt.timedelta(days=run.play.convert_days)
            if run.play.action not in Play.IN_PRODUCT:
                run.ended_at = now
            world.fired.setdefault(run.company_id, []).append(plays.Fired(run.play, now))
            if run.play.action == Action.CS_TASK:
                tasks.append(run)
            elif run.play.action == Action.WEBHOOK:
                _call(run, now=now)
    PlayRun.objects.bulk_update(
        runs, ["status", "reason", "winner", "due_at", "decided_at", "window_ends_at", "ended_at"]
    )
    cs_tasks.open_for(tasks, now=now)
    return done


def _world(runs: Sequence[PlayRun], company_ids: Collection[int], *, now: dt.datetime) -> World:
    used = {run.play_id: run.play for run in runs}
    known = list(PlayArm.objects.filter(play__in=used, company_id__in=company_ids))
    to_draw = [(run.play, run.company_id) for run in runs if run.play.holdout_percent and not _out_early(run, now)]
    near = [run for run in runs if run.qualification_id is None]
    open_now: set[tuple[int, int]] = set()
    if near:
        rows = Qualification.objects.filter(account_id__in={run.account_id for run in near}, closed_at=None)
        open_now = set(rows.values_list("account_id", "definition_id"))
    return World(
        arms=holdout.arms(to_draw, known, now=now),
        mutes=muting.muted(company_ids, now=now),
        fired=plays.lately(company_ids, rest=max(play.cooldown_days for play in used.values()), now=now),
        left_alone=_left_alone({run.account_id for run in runs}),
        qualified=frozenset(open_now),
        now=now,
    )


def _left_alone(account_ids: Collection[int]) -> frozenset[int]:
    """Accounts that have people, none of whom is to be contacted; one query."""
    found: dict[int, bool] = {}
    rows = Membership.objects.filter(account_id__in=account_ids, valid_to=None)
    for account_id, refuses in rows.values_list("account_id", "user__do_not_contact"):
        found[account_id] = found.get(account_id, True) and refuses
    return frozenset(account_id for account_id, all_refuse in found.items() if all_refuse)


def _out_early(run: PlayRun, now: dt.datetime) -> str:
    """Why the run is none before anything is drawn: "" if it may fire."""
    if not plays.is_on(run.play, now):
        return "The play does not run at the moment."
    if run.qualification is not None and run.qualification.closed_at is not None:
        return f"No longer qualifies: {run.qualification.get_close_cause_display().lower()}."
    if run.account.merged_into_id:
        return "The account was merged."
    if run.account.is_internal or run.company.is_internal:
        return "An internal or test account."
    return audience.outside(audience.parse(run.play.audience), plays.facts(run.account), plays.facts(run.company))


def _outcome(run: PlayRun, account: Account, company: Account, world: World) -> Outcome:
    play, episode, now = run.play, run.qualification, world.now
    if account.is_internal or company.is_internal:
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
        floods = play.action in (Action.CS_TASK, Action.WEBHOOK)
        if floods and episode.cause in QUIET_CAUSES and episode.release != Release.RELEASED:
            return Outcome(Status.PASSED, "Came by a publication or an import, which sets nothing going.")
    elif (run.account_id, play.definition_id) in world.qualified:
        return Outcome(Status.PASSED, "Qualifies by now.")
    if why := audience.outside(audience.parse(play.audience), plays.facts(account), plays.facts(company)):
        return Outcome(Status.OUTSIDE, why)
    if play.promotional and play.action != Action.WEBHOOK and run.account_id in world.left_alone:
        return Outcome(Status.NOBODY, "Nobody in the account may be contacted.")
    if until := plays.rests_until(play, world.fired.get(run.company_id, ()), now=now):
        return Outcome(Status.COOLING, f"Fired for this company before; rests until {_date(until)}.")
    if world.arms.get((play.pk, run.company_id)) == holdout.Arm.HELD_OUT:
        return Outcome(Status.HELD_OUT, "Drawn into the hold-out.")
    mute = world.mutes.get(run.company_id)
    if mute is not None and play.promotional and play.action in Play.IN_PRODUCT:
        return Outcome(Status.MUTED, mute.why, mute.until)
    other = plays.outranking(play, world.fired.get(run.company_id, ()), now=now)
    if other is not None:
        return Outcome(
            Status.OUTRANKED, f"{other.name} goes first: priority {other.priority}, this {play.priority}.", by=other
        )
    return Outcome(Status.FIRED, _FIRED[play.action])


_FIRED: dict[str, str] = {
    Action.PROMPT: "Shown to whoever of the account comes next.",
    Action.NUDGE: "Shown to whoever of the account comes next.",
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


def _date(at: dt.datetime) -> str:
    local = at.astimezone(zone())
    return f"{local.day} {local:%b %Y}"
