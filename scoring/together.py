"""Settling many accounts in one transaction: those of a batch that need nobody's attention.

*Light* ones change nothing but AccountDue and marks of lapsing. *Quiet* ones also open episodes that come
without a handoff: what a publication or an import makes qualify by the thousand. Everything is checked again
under the same locks, taken in the same order, as when an account is settled by itself (see scoring/evaluate.py).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from accounts import due
from accounts.models import Account
from scoring import definitions, handoffs, plays
from scoring.definitions import CONSUMER, LiveRule
from scoring.judge import Case
from scoring.models import Qualification
from scoring.qualifications import Opening, Step, newest_payment, open_episodes


class Stale(Exception):
    """What the verdict was made from no longer stands; nothing was written."""


def settle_light(cases: Sequence[Case], rules: Sequence[LiveRule], *, now: dt.datetime, today: int) -> None:
    """Finish accounts for which hardly anything changes. A lease that is lost is another worker's."""
    if not definitions.still_stand(versions(rules)):
        raise Stale
    _mark_lapsing(_finished(cases, rules, now=now), rules, today=today)


def settle_quiet(
    cases: Sequence[Case], rules: Sequence[LiveRule], desk: plays.Desk, *, now: dt.datetime, today: int
) -> tuple[Counter[str], list[Case]]:
    """Open the episodes of cases that are quiet: how many by slug, and the cases that no longer stand.

    Stale, and a rollback, if the definitions are others by now.
    """
    companies = {pk for case in cases for pk in (case.company.pk, case.account.pk)}
    locked = {account.pk: account for account in handoffs.lock_company(*companies)}
    if not definitions.still_stand(versions(rules)):
        raise Stale
    open_now: dict[int, dict[int, int]] = defaultdict(dict)  # by account and definition: the episode
    rows = Qualification.objects.filter(account_id__in=[case.account.pk for case in cases], closed_at=None)
    for account_id, definition_id, pk in rows.values_list("account_id", "definition_id", "pk"):
        open_now[account_id][definition_id] = pk
    standing = [case for case in cases if _stands(case, rules, locked, open_now[case.account.pk])]
    ours = _finished(standing, rules, now=now)
    _mark_lapsing(ours, rules, today=today)
    opening = [
        Opening(
            account=locked[case.account.pk],
            rule=rule,
            cause=case.cause(rule),
            evidence=case.evidence[rule.version_id],
            paid_at=newest_payment(case.payments),
            since=case.since.get(rule.version_id),
        )
        for case in ours
        for rule in rules
        if case.steps[rule.version_id].step is Step.OPEN
    ]
    plays.note_opened(desk, open_episodes(opening, now=now), now=now)
    written = {case.account.pk for case in ours}
    return Counter(one.rule.slug for one in opening), [case for case in cases if case.account.pk not in written]


def is_same_place(case: Case, locked: Mapping[int, Account]) -> bool:
    """Whether the account and its company are what and where they were when the case was judged."""
    account, company = locked.get(case.account.pk), locked.get(case.company.pk)
    if account is None or company is None or company.merged_into_id:
        return False
    return _place(account) == _place(case.account)


def versions(rules: Sequence[LiveRule]) -> dict[int, int]:
    """The version of each definition that verdicts were made by."""
    return {rule.definition_id: rule.version_id for rule in rules}


def newest(rules: Sequence[LiveRule]) -> int | None:
    """The newest version that verdicts were made by."""
    return max((rule.version_id for rule in rules), default=None)


def _stands(case: Case, rules: Sequence[LiveRule], locked: Mapping[int, Account], episodes: Mapping[int, int]) -> bool:
    """Whether every step still fits: nothing open where one opens, the same episode open where it goes on."""
    if not is_same_place(case, locked):
        return False
    for rule in rules:
        step, episode = case.steps[rule.version_id].step, episodes.get(rule.definition_id)
        if step is Step.OPEN and episode is not None:
            return False
        if step in (Step.START_LAPSING, Step.RECOVER) and episode != case.episodes[rule.definition_id].pk:
            return False
    return True


def _finished(cases: Sequence[Case], rules: Sequence[LiveRule], *, now: dt.datetime) -> list[Case]:
    """Write `done_seq` and the next due days; the cases whose lease was still ours."""
    done = [(case.claimed, case.due_day) for case in cases]
    finished = due.finish_many(done, consumer=CONSUMER, now=now, version=newest(rules))
    return [case for case in cases if case.account.pk in finished]


def _mark_lapsing(cases: Sequence[Case], rules: Sequence[LiveRule], *, today: int) -> None:
    for step, since in ((Step.START_LAPSING, today), (Step.RECOVER, None)):
        pks = [
            case.episodes[rule.definition_id].pk
            for case in cases
            for rule in rules
            if case.steps[rule.version_id].step is step
        ]
        if pks:
            Qualification.objects.filter(pk__in=pks, closed_at=None).update(lapsing_since_day=since)


def _place(account: Account) -> tuple[int | None, int | None, bool]:
    return account.parent_id, account.merged_into_id, account.is_internal
