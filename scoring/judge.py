"""What is read before an account is settled: verdicts, open episodes, payments, handoffs; reads only.

`judge` runs in one snapshot, so that the evidence of what opens is from the same moment as its verdict.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, OuterRef, Q

from accounts import due
from accounts.models import Account, StageEntry
from accounts.workspace import day_of
from plgops.lib import days
from scoring import openings, plays, since
from scoring.definitions import LiveRule
from scoring.engines import appdb as engine
from scoring.models import Handoff, Purpose, Qualification
from scoring.qualifications import (
    NOTHING,
    QUIET_CAUSES,
    Cause,
    CloseCause,
    Decision,
    Payment,
    Release,
    Step,
    decide,
    may_open_again,
    newest_of,
)
from scoring.rules.tree import DefinitionDoc


@dataclass(slots=True)
class Case:
    """One account in a sweep: what was read of it, and what follows."""

    claimed: due.Claimed
    account: Account
    company: Account
    episodes: dict[int, Qualification]  # open ones by definition
    verdicts: dict[int, engine.Verdict]  # by version
    worth: dict[int, bool]  # by version: the motion rule holds for the account or its company
    payments: list[Payment]
    paid_before: dict[int, dt.datetime]  # by open episode: the newest payment that stood when it was opened
    converted: frozenset[int]  # definitions that an earlier episode converted under
    due_day: int | None
    held_before: frozenset[int] = frozenset()  # versions that held yesterday; asked only where changes are mixed
    steps: dict[int, Decision] = field(default_factory=dict)  # by version
    evidence: dict[int, dict[str, Any]] = field(default_factory=dict)  # by version
    since: dict[int, since.Since] = field(default_factory=dict)  # by version, of what opens
    hand_over: set[int] = field(default_factory=set)  # definitions whose open episode may need a handoff
    review: bool = False  # the company's handoff may no longer fit its reasons, or its owner
    moved: bool = False  # the account is not the company that its open handoff stands on
    wake: list[int] = field(default_factory=list)  # child accounts to judge again

    @property
    def light(self) -> bool:
        """Nothing is to be written but AccountDue and marks of lapsing: settled together with others."""
        if self.hand_over or self.review or self.moved or self.wake:
            return False
        return all(d.step in (Step.NOTHING, Step.START_LAPSING, Step.RECOVER) for d in self.steps.values())

    def is_quiet(self, rules: Sequence[LiveRule]) -> bool:
        """Episodes open, but none that may come with a handoff, and nothing else is to be written: settled together."""
        if self.hand_over or self.review or self.moved or self.wake or self.out:
            return False
        for rule in rules:
            step = self.steps[rule.version_id].step
            if step in (Step.CLOSE, Step.RENEW):
                return False
            if step is Step.OPEN and rule.purpose == Purpose.PQL and self.cause(rule) not in QUIET_CAUSES:
                return False
        return True

    @property
    def out(self) -> str:
        if self.account.merged_into_id:
            return CloseCause.MERGED
        return CloseCause.LAPSED if self.account.is_internal else ""

    def cause(self, rule: LiveRule) -> str:
        """Why an episode opens now.

        Where a live change came after an import's, before anybody looked, the import is the cause if the rule held
        yesterday already, by what is known now; else it is today that made the difference.
        """
        if self.claimed.importing and (not self.claimed.mixed or rule.version_id in self.held_before):
            return Cause.IMPORT
        if self.is_new(rule) and self.account.recorded_at <= rule.published_at:
            return Cause.PUBLISH
        return Cause.EVENT if self.claimed.changed else Cause.TIME

    def is_new(self, rule: LiveRule) -> bool:
        """Whether this account has not been judged by this version yet."""
        return self.claimed.followed_version is None or self.claimed.followed_version < rule.version_id

    def decide(self, rule: LiveRule, episode: Qualification | None, *, today: int) -> Decision:
        verdict = self.verdicts.get(rule.version_id)
        return decide(
            episode=episode,
            holds=verdict is not None and verdict.holds,
            out=self.out,
            redefined=episode is not None and episode.version_id != rule.version_id and self.is_new(rule),
            payments=self.payments,
            paid_before=self.paid_before.get(episode.pk) if episode is not None else None,
            purpose=rule.purpose,
            grace_days=rule.doc.grace_days,
            today=today,
        )


def motion_docs(rules: Sequence[LiveRule]) -> dict[int, DefinitionDoc]:
    """The motion rules as definitions of their own, keyed by minus the version id."""
    return {
        -rule.version_id: DefinitionDoc(
            slug=rule.slug, name=rule.doc.name, purpose="risk", level="account", rule=rule.doc.motion
        )
        for rule in rules
        if rule.doc.motion is not None
    }


def judge(
    claimed: Sequence[due.Claimed], rules: Sequence[LiveRule], desk: plays.Desk, *, now: dt.datetime, today: int
) -> list[Case]:
    """A case for each claimed account, decided; nothing is written and no lock is held. What the plays say about these
    accounts is read into `desk`."""
    accounts = {
        a.pk: a
        for a in Account.objects.filter(pk__in=[c.account_id for c in claimed]).select_related(
            "parent", "merged_into", "merged_into__parent"
        )
    }
    companies = {a.pk: _company(a) for a in accounts.values()}
    asked = sorted({*accounts, *(c.pk for c in companies.values())})
    docs = {rule.version_id: rule.doc for rule in rules} | motion_docs(rules)
    verdicts: dict[int, dict[int, engine.Verdict]] = defaultdict(dict)
    if docs:
        for version_id, found in engine.verdicts(docs, account_ids=asked, as_of_day=today).items():
            for verdict in found:
                verdicts[verdict.account_id][version_id] = verdict
    held_before = _held_before(claimed, rules, today=today)
    episodes: dict[int, dict[int, Qualification]] = defaultdict(dict)
    for q in (
        Qualification.objects.filter(account_id__in=accounts, closed_at=None)
        .select_related("handoff__company")
        .defer("evidence")
    ):
        episodes[q.account_id][q.definition_id] = q
    payments: dict[int, list[Payment]] = defaultdict(list)
    paid = StageEntry.objects.filter(account_id__in=accounts, stage__in=openings.PAID_STAGES)
    for account_id, at, day in paid.values_list("account_id", "at", "day"):
        payments[account_id].append(Payment(at, day))
    paid_before = _paid_before(payments)
    converted: dict[int, set[int]] = defaultdict(set)
    for account_id, definition_id in Qualification.objects.filter(
        account_id__in=payments, close_cause=CloseCause.CONVERTED
    ).values_list("account_id", "definition_id"):
        converted[account_id].add(definition_id)

    cases = []
    for one in claimed:
        account, company = accounts[one.account_id], companies[one.account_id]
        own, firms = verdicts[account.pk], verdicts[company.pk]
        motions = [v for key in docs if key < 0 for v in (own.get(key), firms.get(key)) if v]
        cases.append(
            Case(
                claimed=one,
                account=account,
                company=company,
                episodes=episodes[account.pk],
                verdicts=own,
                worth={
                    rule.version_id: rule.doc.motion is None
                    or any(v is not None and v.holds for v in (own.get(-rule.version_id), firms.get(-rule.version_id)))
                    for rule in rules
                },
                payments=payments[account.pk],
                paid_before=paid_before,
                converted=frozenset(converted[account.pk]),
                due_day=_soonest([own[key].next_day for key in own if key > 0] + [v.next_day for v in motions], today),
                held_before=frozenset(held_before[account.pk]),
            )
        )
    _decide_all(cases, rules, now=now, today=today)
    _look_at_handoffs(cases, rules, desk, now=now, today=today)
    return cases


def _held_before(claimed: Sequence[due.Claimed], rules: Sequence[LiveRule], *, today: int) -> dict[int, set[int]]:
    """By account whose changes are mixed: the versions that held at the end of yesterday."""
    held: dict[int, set[int]] = defaultdict(set)
    mixed = sorted(one.account_id for one in claimed if one.mixed)
    if mixed and rules:
        docs = {rule.version_id: rule.doc for rule in rules}
        for version_id, found in engine.verdicts(docs, account_ids=mixed, as_of_day=today - 1).items():
            for verdict in found:
                if verdict.holds:
                    held[verdict.account_id].add(version_id)
    return held


def _paid_before(account_ids: Collection[int]) -> dict[int, dt.datetime]:
    """Of these accounts' open episodes: the newest payment that stood when each was opened; without one, none."""
    if not account_ids:
        return {}
    rows = Qualification.objects.filter(account_id__in=account_ids, closed_at=None, definition__purpose=Purpose.PQL)
    return {pk: days.from_micros(us) for pk, us in rows.values_list("pk", "evidence__paid_us") if us}


def _company(account: Account) -> Account:
    """The root account: of the winner where the account was merged away."""
    while account.merged_into is not None:
        account = account.merged_into
    return account.parent or account


def _soonest(given: Sequence[int | None], today: int) -> int | None:
    """The first of these days, tomorrow at the earliest."""
    known = [max(day, today + 1) for day in given if day is not None]
    return min(known, default=None)


def _decide_all(cases: Sequence[Case], rules: Sequence[LiveRule], *, now: dt.datetime, today: int) -> None:
    """Every definition's step, with evidence and beginning of what opens: from the snapshot of the verdict."""
    for rule in rules:
        for case in cases:
            case.steps[rule.version_id] = case.decide(rule, case.episodes.get(rule.definition_id), today=today)
        opening = [case for case in cases if case.steps[rule.version_id].step is Step.OPEN]
        for case, evidence in _explained(rule, opening, today=today):
            if rule.definition_id in case.converted and not may_open_again(
                newest_at=newest_of(evidence), payments=case.payments
            ):
                case.steps[rule.version_id] = NOTHING
            else:
                case.evidence[rule.version_id] = evidence
        opens = [case for case in opening if rule.version_id in case.evidence]
        began = since.of(rule.doc, account_ids=[case.account.pk for case in opens], as_of_day=today, now=now)
        for case in opens:
            if case.account.pk in began:
                case.since[rule.version_id] = began[case.account.pk]
        for case in cases:
            step, episode = case.steps[rule.version_id].step, case.episodes.get(rule.definition_id)
            lapsing = episode.lapsing_since_day if episode is not None else None
            if step is Step.START_LAPSING:
                lapsing = today
            if lapsing is not None and step not in (Step.RECOVER, Step.CLOSE):
                case.due_day = _soonest([case.due_day, lapsing + rule.doc.grace_days], today)


def _explained(rule: LiveRule, cases: Sequence[Case], *, today: int) -> list[tuple[Case, dict[str, Any]]]:
    """The cases with the evidence of their accounts; asked for together."""
    if not cases:
        return []
    found = engine.evidence_many(rule.doc, account_ids=[case.account.pk for case in cases], as_of_day=today)
    return [(case, found[case.account.pk]) for case in cases]


def _look_at_handoffs(
    cases: Sequence[Case], rules: Sequence[LiveRule], desk: plays.Desk, *, now: dt.datetime, today: int
) -> None:
    """Which cases have to do with a handoff: reasons without one, handoffs that no longer fit."""
    without = [e for case in cases for e in case.episodes.values() if e.handoff_id is None]
    opens = any(d.step is Step.OPEN for case in cases for d in case.steps.values())
    if without or opens:
        companies = {case.company.pk for case in cases}
        plays.look_up(desk, company_ids=companies, episode_ids=[e.pk for e in without], now=now)
    ids = {case.company.pk for case in cases} | {case.account.pk for case in cases}
    misfits, elsewhere = _open_handoffs(ids)
    closed = openings.last_closed(ids)
    waiting_children = _self_serve_children(cases)
    for case in cases:
        case.review = case.company.pk in misfits
        case.moved = case.account.pk != case.company.pk and case.account.pk in elsewhere
        if case.claimed.changed:
            case.wake = [
                child
                for child, definition_id in waiting_children.get(case.account.pk, ())
                for rule in rules
                if rule.definition_id == definition_id and case.worth[rule.version_id]
            ]
    last = {pk: handoff for pk, handoff in closed.items() if pk not in elsewhere}
    for rule in rules:
        if rule.purpose == Purpose.PQL:
            asking = [
                c for c in cases if not c.out and _may_hand_over(c, rule, desk, last.get(c.company.pk), now, today)
            ]
            for case, evidence in _explained(rule, asking, today=today):
                _ask_for_handoff(case, rule, evidence)


def _may_hand_over(
    case: Case, rule: LiveRule, desk: plays.Desk, last: Handoff | None, now: dt.datetime, today: int
) -> bool:
    """Whether an open episode without an open handoff may get one; `last` is the company's last closed one."""
    episode, step = case.episodes.get(rule.definition_id), case.steps[rule.version_id].step
    if episode is None or episode.release == Release.WAITING or step in (Step.CLOSE, Step.START_LAPSING):
        return False
    if episode.lapsing_since_day is not None and step is not Step.RECOVER:
        return False
    if episode.handoff is not None and episode.handoff.closed_at is None:
        return _has_left(case, episode.handoff)
    if not desk.may_ask(episode):
        return False
    worth = case.worth[rule.version_id]
    if not worth and (episode.release == Release.SELF_SERVE or episode.handoff is not None):
        return False
    if worth and last is not None and last.cooldown_until is not None and last.cooldown_until > now:
        case.due_day = _soonest([case.due_day, day_of(last.cooldown_until) + 1], today)
        return episode.release == Release.SELF_SERVE
    return True


def _has_left(case: Case, handoff: Handoff) -> bool:
    """The account belongs to another company by now than the one that the handoff is about.

    A handoff of the account itself, or of a company that was merged, moves with it (`openings.rehome`).
    """
    of_old_company = handoff.company_id not in (case.company.pk, case.account.pk)
    return of_old_company and handoff.company.merged_into_id is None


def _ask_for_handoff(case: Case, rule: LiveRule, evidence: dict[str, Any]) -> None:
    """Hand the episode over; renew it where its company is another one now, or where its handoff was closed and
    there is newer evidence."""
    episode = case.episodes[rule.definition_id]
    if episode.handoff is None:
        case.hand_over.add(rule.definition_id)
        case.evidence[rule.version_id] = evidence
        return
    if episode.handoff.closed_at is None:
        case.steps[rule.version_id] = Decision(Step.RENEW)
        case.evidence[rule.version_id] = evidence
        case.wake.append(episode.handoff.company_id)  # which may have lost its last reason
        return
    newest_at, seen = newest_of(evidence), episode.handoff.evidence_watermark
    if newest_at is not None and (seen is None or newest_at > seen):
        case.steps[rule.version_id] = Decision(Step.RENEW)
        case.evidence[rule.version_id] = evidence


def _open_handoffs(company_ids: set[int]) -> tuple[set[int], set[int]]:
    """Companies whose open handoff no longer fits its reasons, payments or owner, and all that have an open one."""
    reasons = Qualification.objects.filter(handoff=OuterRef("pk"), closed_at=None)
    company = Q(account_id=OuterRef("company_id")) | Q(account__parent_id=OuterRef("company_id"))
    paid = StageEntry.objects.filter(company, stage__in=openings.PAID_STAGES, at__gte=OuterRef("opened_at"))
    misfits, every = set(), set()
    owned: dict[int, int] = {}  # companies with an owner whose handoff nobody has
    for company_id, owner_id, status, touched_at, lapsed_at, paid_at, holds, has_paid in (
        Handoff.objects.filter(company_id__in=company_ids, closed_at=None)
        .annotate(holds=Exists(reasons), has_paid=Exists(paid))
        .values_list(
            *("company_id", "company__owner_id", "status", "first_touch_at", "rule_lapsed_at", "paid_at"),
            *("holds", "has_paid"),
        )
    ):
        every.add(company_id)
        waits = status == Handoff.Status.NEW
        unclaimed = waits and touched_at is None  # else somebody worked it before
        lapses = not holds and (unclaimed or lapsed_at is None)
        returns = holds and not unclaimed and lapsed_at is not None
        pays = has_paid and not unclaimed and paid_at is None
        if lapses or returns or pays:
            misfits.add(company_id)
        elif waits and owner_id is not None:
            owned[company_id] = owner_id
    takers = openings.takers(set(owned.values())) if owned else set()
    misfits |= {company_id for company_id, owner_id in owned.items() if owner_id in takers}
    return misfits, every


def _self_serve_children(cases: Sequence[Case]) -> dict[int, list[tuple[int, int]]]:
    """By root account: (child, definition) of the open self-serve episodes, which the root's facts may lift."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    rows = Qualification.objects.filter(
        account__parent_id__in=[c.account.pk for c in cases if c.claimed.changed],
        closed_at=None,
        release=Release.SELF_SERVE,
    )
    for parent_id, account_id, definition_id in rows.values_list("account__parent_id", "account_id", "definition_id"):
        if parent_id is not None:
            found[parent_id].append((account_id, definition_id))
    return found
