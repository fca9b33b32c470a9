"""Due accounts -> verdicts -> episodes, stages and handoffs.

One sweep leases a batch of accounts, judges them by all live definitions in one snapshot without holding a
lock, and then settles each: episodes, stages, handoffs and `done_seq` in one transaction, in which the
lease, the definitions and the account's place must still be what the verdict was made from. Accounts for
which nothing changes, or that qualify without a handoff, are settled together (scoring/together.py). What no
longer stands is given back and comes again; an account that raises is pushed back with its error, alone.

Locks are taken in this order: the accounts of the companies concerned (by id), the handoff, the definitions
(shared), AccountDue, qualifications. Ingest takes accounts before AccountDue too.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from accounts import due
from accounts.models import Account
from accounts.workspace import day_of
from plgops.lib.db import in_one_transaction, snapshot
from scoring import definitions, handoffs, openings, plays
from scoring.definitions import CONSUMER, LiveRule
from scoring.judge import Case, judge
from scoring.models import Definition, Purpose, Qualification
from scoring.qualifications import (
    QUIET_CAUSES,
    CloseCause,
    Decision,
    Opening,
    Release,
    Step,
    apply,
    newest_of,
    newest_payment,
    open_episodes,
)
from scoring.together import Stale, is_same_place, newest, settle_light, settle_quiet, versions

logger = logging.getLogger(__name__)
TOGETHER = 250  # accounts whose locks are held at once
LEASE = dt.timedelta(seconds=60)  # far longer than a batch takes; a dead worker's accounts wait so long


@dataclass(slots=True)
class Swept:
    """What one sweep did. `opened` and `closed` count episodes by definition slug."""

    claimed: int = 0
    failed: int = 0
    stale: int = 0
    opened: Counter[str] = field(default_factory=Counter)
    closed: Counter[str] = field(default_factory=Counter)

    def add(self, other: Swept) -> None:
        self.claimed += other.claimed
        self.failed += other.failed
        self.stale += other.stale
        self.opened += other.opened
        self.closed += other.closed


def evaluate_due(*, now: dt.datetime, limit: int = 500) -> Swept:
    """One sweep over at most `limit` accounts: changed ones first, then time-due ones, then those that a
    publication has not reached yet. Episodes of archived definitions end too."""
    today = day_of(now)
    version = newest(definitions.live_rules())
    claimed = due.claim(consumer=CONSUMER, now=now, today=today, limit=limit, lease=LEASE, version=version)
    swept = Swept(claimed=len(claimed))
    if claimed:
        _evaluate(claimed, now=now, today=today, swept=swept)
    _end_archived(now=now, limit=limit, swept=swept)
    return swept


def _evaluate(claimed: Sequence[due.Claimed], *, now: dt.datetime, today: int, swept: Swept) -> None:
    try:
        with snapshot():
            rules, desk = definitions.live_rules(), plays.desk(now=now)
            cases = judge(claimed, rules, desk, now=now, today=today)
    except Exception as error:  # one bad account must not hold up the others: find it by itself
        if len(claimed) > 1:
            logger.warning("a batch of %s could not be judged (%r); one by one", len(claimed), error)
            for one in claimed:
                _evaluate([one], now=now, today=today, swept=swept)
            return
        _push_back(claimed[0], error, now=now, swept=swept)
        return
    light = [case for case in cases if case.light]
    quiet = [case for case in cases if not case.light and case.is_quiet(rules)]
    if light:
        _settle_light(light, rules, desk, now=now, today=today, swept=swept)
    for start in range(0, len(quiet), TOGETHER):
        _settle_quiet(quiet[start : start + TOGETHER], rules, desk, now=now, today=today, swept=swept)
    together = {case.account.pk for case in (*light, *quiet)}
    for case in cases:
        if case.account.pk not in together:
            _settle_or_push_back(case, rules, desk, now=now, today=today, swept=swept)


# --- settling: short transactions -----------------------------------------------------------------------


def _settle_light(
    cases: Sequence[Case],
    rules: Sequence[LiveRule],
    desk: plays.Desk,
    *,
    now: dt.datetime,
    today: int,
    swept: Swept,
) -> None:
    try:
        in_one_transaction(lambda: settle_light(cases, rules, now=now, today=today))
    except Stale:
        _give_back(cases, swept=swept)
    except Exception as error:  # one bad account must not hold up the others: settle each by itself
        _one_by_one(cases, rules, desk, error, now=now, today=today, swept=swept)


def _settle_quiet(
    cases: Sequence[Case],
    rules: Sequence[LiveRule],
    desk: plays.Desk,
    *,
    now: dt.datetime,
    today: int,
    swept: Swept,
) -> None:
    try:
        opened, stale = in_one_transaction(lambda: settle_quiet(cases, rules, desk, now=now, today=today))
    except Stale:
        _give_back(cases, swept=swept)
    except Exception as error:  # as above
        _one_by_one(cases, rules, desk, error, now=now, today=today, swept=swept)
    else:
        swept.opened += opened
        _give_back(stale, swept=swept)


def _give_back(cases: Sequence[Case], *, swept: Swept) -> None:
    for case in cases:
        due.give_back(case.claimed, consumer=CONSUMER)
        swept.stale += 1


def _one_by_one(
    cases: Sequence[Case],
    rules: Sequence[LiveRule],
    desk: plays.Desk,
    error: Exception,
    *,
    now: dt.datetime,
    today: int,
    swept: Swept,
) -> None:
    logger.warning("%s accounts could not be settled together (%r); one by one", len(cases), error)
    for case in cases:
        _settle_or_push_back(case, rules, desk, now=now, today=today, swept=swept)


def _settle_or_push_back(
    case: Case, rules: Sequence[LiveRule], desk: plays.Desk, *, now: dt.datetime, today: int, swept: Swept
) -> None:
    try:
        swept.add(in_one_transaction(lambda: _settle(case, rules, desk, now=now, today=today)))
    except Stale:
        _give_back([case], swept=swept)
    except Exception as error:  # poison: this account waits, with its error to be seen
        _push_back(case.claimed, error, now=now, swept=swept)


def _settle(case: Case, rules: Sequence[LiveRule], desk: plays.Desk, *, now: dt.datetime, today: int) -> Swept:
    """Write one account's verdict; Stale (and a rollback) if what it was made from has changed."""
    swept = Swept()
    locked = {a.pk: a for a in handoffs.lock_company(case.company.pk, case.account.pk)}
    if not is_same_place(case, locked) or not definitions.still_stand(versions(rules)):
        raise Stale
    account, company = locked[case.account.pk], locked[case.company.pk]
    if not due.finish(case.claimed, consumer=CONSUMER, now=now, due_day=case.due_day, version=newest(rules)):
        raise Stale
    open_now = {q.definition_id: q for q in Qualification.objects.filter(account=account, closed_at=None)}
    for rule in rules:
        step = case.steps[rule.version_id]
        episode = open_now.get(rule.definition_id)
        if step.step in (Step.OPEN, Step.RENEW):
            if (episode is None) != (step.step is Step.OPEN):
                raise Stale
            if episode is not None:
                apply(Decision(Step.CLOSE, CloseCause.RENEWED), episode, now=now, today=today)
                swept.closed[rule.slug] += 1
            paid_at = newest_payment(case.payments)
            began = case.since.get(rule.version_id)
            opening = Opening(account, rule, case.cause(rule), case.evidence[rule.version_id], paid_at, began)
            (open_now[rule.definition_id],) = open_episodes([opening], now=now)
            plays.note_opened(desk, [open_now[rule.definition_id]], now=now)
            swept.opened[rule.slug] += 1
        elif step.step is not Step.NOTHING:
            if episode is None:
                raise Stale
            apply(step, episode, now=now, today=today)
            if step.step is Step.CLOSE:
                swept.closed[rule.slug] += 1
                del open_now[rule.definition_id]
    if case.moved:
        openings.rehome(old_company_id=account.pk, company=company, now=now)
        due.mark_changed([company.pk], now=now, consumers=[CONSUMER])
    for rule in rules:
        episode = open_now.get(rule.definition_id)
        if rule.purpose == Purpose.PQL and episode is not None and rule.version_id in case.evidence:
            _hand_over(case, rule, desk, episode, company=company, now=now)
    if not account.merged_into_id:  # a moved handoff is judged with the winner, which is due
        openings.review(company_id=company.pk, now=now)
    if case.wake:
        due.mark_changed(case.wake, now=now, importing=case.claimed.importing, consumers=[CONSUMER])
    return swept


def _hand_over(
    case: Case, rule: LiveRule, desk: plays.Desk, episode: Qualification, *, company: Account, now: dt.datetime
) -> None:
    """Open or join a handoff for an episode that is live or released, if a play wants it; below the motion rule it
    stays self-serve.

    What a publication or an import lifts over the motion rule waits for an admin, like what they open.
    """
    if episode.handoff_id or episode.release == Release.WAITING:
        return
    if not case.worth[rule.version_id]:
        release: str = Release.SELF_SERVE
    elif episode.release == Release.SELF_SERVE:
        if case.cause(rule) in QUIET_CAUSES:  # a laxer motion rule, an import of sizes: as many as it lifts wait
            release = Release.WAITING
        else:
            release = Release.RELEASED if episode.cause in QUIET_CAUSES else Release.LIVE
    else:
        release = episode.release
    if release != episode.release:
        episode.release = release
        if release == Release.RELEASED:
            episode.released_at = now
        episode.save(update_fields=["release", "released_at"])
    if release not in (Release.SELF_SERVE, Release.WAITING):
        play = plays.handoff_wanted(desk, episode, account=case.account, company=company, now=now)
        if play is None:
            return
        newest_at = newest_of(case.evidence[rule.version_id]) or episode.since_at or episode.opened_at
        if openings.open_or_join(qualification=episode, company=company, newest_at=newest_at, now=now, play=play):
            plays.handed_over(play, episode, company, now=now)


def _end_archived(*, now: dt.datetime, limit: int, swept: Swept) -> None:
    """Close open episodes of archived definitions as redefined, an account at a time."""
    archived = list(Definition.objects.filter(archived_at__isnull=False).values_list("pk", flat=True))
    if not archived:
        return
    rows = Qualification.objects.filter(definition_id__in=archived, closed_at=None)
    for pk, account_id in list(rows.values_list("pk", "account_id")[:limit]):
        try:
            swept.closed.update(in_one_transaction(functools.partial(_end_one, pk, account_id, now=now)))
        except Exception:  # its account comes again with the next sweep, and the others are not held up
            logger.exception("episode %s of an archived definition could not be ended", pk)


def _end_one(episode_id: int, account_id: int, *, now: dt.datetime) -> list[str]:
    """Close it under its company's lock, if it still is to be; the slug of its definition then."""
    account = Account.objects.select_related("parent").get(pk=account_id)
    handoffs.lock_company(account.company_id, account.pk)
    episode = (
        Qualification.objects.select_related("definition")
        .filter(pk=episode_id, closed_at=None, definition__archived_at__isnull=False)
        .first()
    )
    if episode is None:
        return []
    apply(Decision(Step.CLOSE, CloseCause.REDEFINED), episode, now=now, today=day_of(now))
    openings.review(company_id=account.company_id, now=now)
    return [episode.definition.slug]


def _push_back(claimed: due.Claimed, error: Exception, *, now: dt.datetime, swept: Swept) -> None:
    logger.error("account %s could not be evaluated: %r", claimed.account_id, error, exc_info=error)
    due.fail(claimed, consumer=CONSUMER, now=now, error=repr(error))
    swept.failed += 1
