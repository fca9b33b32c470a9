"""What accounts pay: subscription states in, present state, movements and stages out.

A *state* is a fact: from `at` on, this subscription is on this plan at this MRR. Everything else is derived
from an account's states and made again whenever one arrives, so the order of arrival never matters and a
fact told twice changes nothing:

- `RevenueMovement`: the changes of the account's MRR, summed over its subscriptions. From zero is `new` the
  first time and `reactivation` after that, to zero is `churn`, else `expansion` or `contraction`; states of
  several subscriptions at one instant make one movement.
- the stages paid (new and reactivation), expanded and churned, one per movement instant. An entry that a
  late or corrected fact has made untrue is removed: the ledger says what happened, not what was once believed.
- `Account.plan` and `Account.mrr`, the dated traits of these names (accounts/traits.py), and each
  subscription's present state.

Two states of one subscription at one instant: the greater (MRR, plan, motion) stands. A state with MRR 0 ends
the subscription; a negative MRR, or a moment more than a day ahead of `now`, is refused.

A movement's *motion* is the fact's own word: `sales` is what came of a deal or a quote. Where it has none, it is sales
while a deal of the CRM that was won was open and 30 days longer, sales-touched within 30 days after a touch of the
company by sales, else self-serve (`movements.motion_from`). That somebody claimed the company, or clicked “won”, moves
no credit. `set_motion` decides again after a touch, by the same function.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from django.db import transaction
from django.db.models import Q

from accounts import due, keys, lifecycle, profiles, traits
from accounts.models import (
    Account,
    AccountKey,
    Deal,
    Motion,
    RevenueMovement,
    Source,
    Stage,
    StageEntry,
    Subscription,
    SubscriptionState,
)
from accounts.movements import Point, motion_from, movements, plan_of
from accounts.workspace import day_of
from plgops.lib import bulk
from plgops.lib.days import micros
from plgops.lib.db import retried

CAUSE = "billing"  # the stage entries that are derived here
AHEAD = dt.timedelta(days=1)
CENT = Decimal("0.01")
ZERO = Decimal(0)
MOST = Decimal(10) ** 12  # what the column holds

_ID = ("id", "bigint")
_ACCOUNT = (("plan", "text"), ("mrr", "numeric"))
_SUBSCRIPTION = (*_ACCOUNT, ("started_at", "timestamptz"), ("ended_at", "timestamptz"))

Kind = RevenueMovement.Kind
STAGE_OF = {
    Kind.NEW: Stage.PAID,
    Kind.REACTIVATION: Stage.PAID,
    Kind.EXPANSION: Stage.EXPANDED,
    Kind.CHURN: Stage.CHURNED,
}


class BadState(ValueError):
    """A state that cannot be true: negative or unreadable MRR, a moment in the future, an unknown motion."""


@dataclass(frozen=True, slots=True)
class State:
    """One fact about one subscription. `external_id` is empty where the account has only one."""

    account_id: int
    account_key: str
    at: dt.datetime
    plan: str
    mrr: Decimal
    motion: str = ""
    external_id: str = ""

    def of(self, account_id: int) -> State:
        """The same fact, of the account that its key leads to."""
        return replace(self, account_id=account_id)

    @property
    def subscription_key(self) -> tuple[str, str]:
        return self.account_key, self.external_id


def checked(state: State, *, now: dt.datetime) -> State:
    """The state with its MRR in whole cents, or BadState."""
    if not state.mrr.is_finite() or not ZERO <= state.mrr < MOST:
        raise BadState(f"MRR must be a number from 0 up, not {state.mrr}.")
    if state.at > now + AHEAD:
        raise BadState(f"{state.at:%Y-%m-%d %H:%M} is in the future.")
    if state.motion and state.motion not in Motion.values:
        raise BadState(f"Motion must be one of {', '.join(Motion.values)}, not “{state.motion}”.")
    return replace(state, plan=state.plan[:100], mrr=state.mrr.quantize(CENT))


def record_state(
    *,
    account_id: int,
    account_key: str,
    at: dt.datetime,
    plan: str,
    mrr: Decimal,
    now: dt.datetime,
    external_id: str = "",
    motion: str = "",
    source: Source | None = None,
    importing: bool = False,
) -> bool:
    """Write that from `at` on a subscription is on `plan` at `mrr` (a month, workspace currency).

    True if that was news. BadState if it cannot be true. Own transaction, or part of the caller's.
    """
    state = State(account_id, account_key, at, plan, mrr, motion, external_id)
    return record_states([state], now=now, source=source, importing=importing) == 1


@retried
def record_states(
    states: Sequence[State], *, now: dt.datetime, source: Source | None = None, importing: bool = False
) -> int:
    """Write many states in one transaction; how many were news. BadState before anything is written.

    The accounts are locked in order; each key is resolved again under the lock, so that a merge meanwhile does not
    leave a subscription with the tombstone. After a deadlock all of it is done again, unless the transaction is the
    caller's.
    """
    wanted: dict[tuple[str, str], dict[dt.datetime, State]] = defaultdict(dict)
    for raw in states:
        state = checked(raw, now=now)
        at_once = wanted[state.subscription_key]
        at_once[state.at] = max(at_once.get(state.at, state), state, key=lambda s: (s.mrr, s.plan, s.motion))
    if not wanted:
        return 0
    owners = {s.account_key: s.account_id for s in states}
    held = keys.lock_accounts(owners.values())  # whoever derives traits has the keys alone, and before the accounts
    _lock(owners.values())
    moved = dict(AccountKey.objects.filter(key__in=owners).values_list("key", "account_id"))
    if strangers := set(moved.values()) - set(owners.values()):
        held |= keys.lock_accounts(strangers)
        _lock(strangers)
    owners.update(moved)
    subscriptions = _subscriptions(wanted, owners)
    news = _write_states(subscriptions, wanted, now=now, source=source)
    if news:
        touched = {owners[key] for key, _ in wanted}
        rederive(touched, now=now)
        due.mark_changed(touched, now=now, importing=importing)
        of_touched = {key: row.account_id for key, row in held.items() if row.account_id in touched}
        profiles.project_accounts(traits.derive(of_touched, "account_id", alone=touched))
    return news


def _lock(account_ids: Iterable[int]) -> None:
    rows = Account.objects.select_for_update(no_key=True)  # foreign keys to the account may be checked meanwhile
    list(rows.filter(pk__in=set(account_ids)).order_by("pk").values_list("pk"))


def _subscriptions(
    wanted: Mapping[tuple[str, str], object], owners: Mapping[str, int]
) -> dict[tuple[str, str], Subscription]:
    """The subscriptions of these keys; missing ones are made, and all belong to their keys' present owners."""
    account_keys = {key for key, _ in wanted}
    found = {(s.account_key, s.external_id): s for s in Subscription.objects.filter(account_key__in=account_keys)}
    missing = [
        Subscription(account_id=owners[key], account_key=key, external_id=external_id)
        for key, external_id in sorted(wanted)
        if (key, external_id) not in found
    ]
    for subscription in Subscription.objects.bulk_create(missing):
        found[subscription.account_key, subscription.external_id] = subscription
    strays = [s for s in found.values() if s.account_id != owners[s.account_key]]
    for subscription in strays:
        subscription.account_id = owners[subscription.account_key]
    Subscription.objects.bulk_update(strays, ["account"])
    return found


def _write_states(
    subscriptions: Mapping[tuple[str, str], Subscription],
    wanted: Mapping[tuple[str, str], Mapping[dt.datetime, State]],
    *,
    now: dt.datetime,
    source: Source | None,
) -> int:
    ids = [subscriptions[key].pk for key in wanted]
    known = {(s.subscription_id, s.at): s for s in SubscriptionState.objects.filter(subscription_id__in=ids)}
    new, corrected = [], []
    for key, at_once in wanted.items():
        for at, state in at_once.items():
            row = known.get((subscriptions[key].pk, at))
            if row is None:
                new.append(
                    SubscriptionState(
                        subscription=subscriptions[key],
                        at=at,
                        plan=state.plan,
                        mrr=state.mrr,
                        motion=state.motion,
                        recorded_at=now,
                        source=source,
                    )
                )
            elif (row.mrr, row.plan, row.motion) < (state.mrr, state.plan, state.motion):
                row.mrr, row.plan, row.motion, row.recorded_at = state.mrr, state.plan, state.motion, now
                row.source = source
                corrected.append(row)
    SubscriptionState.objects.bulk_create(new, batch_size=500)
    SubscriptionState.objects.bulk_update(corrected, ["mrr", "plan", "motion", "recorded_at", "source"], batch_size=200)
    return len(new) + len(corrected)


@transaction.atomic
def rederive(account_ids: Iterable[int], *, now: dt.datetime) -> None:
    """Make everything derived from these accounts' subscriptions again. The caller marks the accounts changed.

    For the verbs here and for merge and unmerge, after they have repointed the subscriptions. A tombstone
    without subscriptions loses what it had.
    """
    ids = set(account_ids)
    _lock(ids)
    subscriptions: dict[int, list[Subscription]] = defaultdict(list)
    points: dict[int, list[Point]] = defaultdict(list)
    for subscription in Subscription.objects.filter(account_id__in=ids).order_by("pk").prefetch_related("states"):
        subscriptions[subscription.account_id].append(subscription)
        key = (subscription.account_key, subscription.external_id)
        points[subscription.account_id] += [
            Point(key, s.at, s.plan, s.mrr, s.motion) for s in subscription.states.all()
        ]
    accounts = list(Account.objects.filter(pk__in=ids).order_by("pk"))
    touches, won = _touches(accounts), _won(accounts)
    wanted: list[RevenueMovement] = []
    for account in accounts:
        for m in movements(points[account.pk]):
            wanted.append(
                RevenueMovement(
                    account=account,
                    at=m.at,
                    day=day_of(m.at),
                    kind=m.kind,
                    amount=m.amount,
                    mrr_after=m.mrr_after,
                    plan=m.plan,
                    motion=_motion(m.motion, m.amount, m.at, touches[account.company_id], won[account.company_id]),
                )
            )
    _write_movements(ids, wanted)
    lifecycle.settle(
        account_ids=ids,
        cause=CAUSE,
        entries=[
            lifecycle.Reached(m.account_id, STAGE_OF[Kind(m.kind)], m.at, f"mrr:{micros(m.at)}")
            for m in wanted
            if Kind(m.kind) in STAGE_OF
        ],
        now=now,
    )
    _write_present(accounts, subscriptions, points)


def _motion(
    spoken: str,
    amount: Decimal,
    at: dt.datetime,
    touches: Sequence[dt.datetime],
    won: Sequence[tuple[dt.datetime, dt.datetime]],
) -> str:
    """The fact's own word, else what deals and touches say of growth; sales sells nothing when MRR shrinks."""
    if spoken:
        return spoken
    return motion_from(touches, at, won) if amount > 0 else Motion.SELF_SERVE


def _won(accounts: Sequence[Account]) -> dict[int, list[tuple[dt.datetime, dt.datetime]]]:
    """Per company: from when to when each deal was open that was won."""
    found: dict[int, list[tuple[dt.datetime, dt.datetime]]] = defaultdict(list)
    rows = Deal.objects.filter(
        account_id__in={account.company_id for account in accounts}, status=Deal.Status.WON, closed_at__isnull=False
    ).values_list("account_id", "opened_at", "closed_at")
    for account_id, opened_at, closed_at in rows:
        if closed_at is not None:
            found[account_id].append((opened_at, closed_at))
    return found


def _touches(accounts: Sequence[Account]) -> dict[int, list[dt.datetime]]:
    """Per company: when sales was in touch, on whichever of its accounts that stands."""
    companies = {account.company_id for account in accounts}
    found: dict[int, list[dt.datetime]] = defaultdict(list)
    rows = StageEntry.objects.filter(
        Q(account_id__in=companies) | Q(account__parent_id__in=companies), stage=Stage.CONTACTED
    ).values_list("account_id", "account__parent_id", "at")
    for account_id, parent_id, at in rows:
        found[parent_id or account_id].append(at)
    return found


def _write_movements(account_ids: set[int], wanted: Sequence[RevenueMovement]) -> None:
    """Insert, change and delete until the table says what `wanted` says; what already stands is left alone."""
    fields = ("day", "kind", "amount", "mrr_after", "plan", "motion")
    known = {(m.account_id, m.at): m for m in RevenueMovement.objects.filter(account_id__in=account_ids)}
    new, changed = [], []
    for movement in wanted:
        row = known.pop((movement.account_id, movement.at), None)
        if row is None:
            new.append(movement)
        elif any(getattr(row, field) != getattr(movement, field) for field in fields):
            movement.pk = row.pk
            changed.append(movement)
    RevenueMovement.objects.filter(pk__in=[m.pk for m in known.values()]).delete()
    RevenueMovement.objects.bulk_update(changed, fields, batch_size=100)
    RevenueMovement.objects.bulk_create(new, batch_size=500)


def _write_present(
    accounts: Sequence[Account],
    subscriptions: Mapping[int, Sequence[Subscription]],
    points: Mapping[int, Sequence[Point]],
) -> None:
    """What accounts and subscriptions are at now; rows that say so already are left alone."""
    of_accounts, of_subscriptions = [], []
    for account in accounts:
        by_key: dict[tuple[str, str], list[Point]] = defaultdict(list)
        for point in sorted(points.get(account.pk, ()), key=lambda p: p.at):
            by_key[point.subscription].append(point)
        for subscription in subscriptions.get(account.pk, ()):
            now = _present(by_key[subscription.account_key, subscription.external_id])
            if now != (subscription.plan, subscription.mrr, subscription.started_at, subscription.ended_at):
                of_subscriptions.append((subscription.pk, *now))
        newest = [states[-1] for states in by_key.values() if states]
        plan = plan_of(newest) or account.plan  # where no subscription names one, what group calls say stands
        mrr = sum((p.mrr for p in newest), ZERO)
        if (plan, mrr) != (account.plan, account.mrr):
            of_accounts.append((account.pk, plan, mrr))
    bulk.update(Subscription._meta.db_table, _ID, _SUBSCRIPTION, of_subscriptions)
    bulk.update(Account._meta.db_table, _ID, _ACCOUNT, of_accounts)


def _present(states: Sequence[Point]) -> tuple[str, Decimal, dt.datetime | None, dt.datetime | None]:
    """Of one subscription: plan and MRR now, the first paid moment, and since when it is no longer paid."""
    if not states:
        return "", ZERO, None, None
    paid = [p.at for p in states if p.mrr > 0]
    ended = [p.at for p in states if paid and p.at > paid[-1]]
    return states[-1].plan, states[-1].mrr, paid[0] if paid else None, ended[0] if ended else None


@transaction.atomic
def set_motion(*, company_id: int, now: dt.datetime) -> None:
    """Decide the motion of a company's movements again: sales was in touch with it, or was not after all.

    Facts that name their motion keep it.
    """
    ids = Account.objects.filter(Q(pk=company_id) | Q(parent_id=company_id)).values_list("pk", flat=True)
    paying = set(Subscription.objects.filter(account_id__in=ids).values_list("account_id", flat=True))
    if paying:
        rederive(paying, now=now)
        due.mark_changed(paying, now=now)
