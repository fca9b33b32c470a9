"""Episodes: what a verdict does to an account's open qualification under one definition.

`decide` is pure. The writers need a transaction in which the account's company and AccountDue row are locked.

An episode *converts* by a payment (stage paid or expanded) that is newer than any that stood when it was
opened, and no older than what made its rule true; where the rule no longer holds, a payment of the same day counts too,
since the payment is what ended it. What stood is kept with the evidence (`paid_us`): which of two clocks was
ahead, or when the import began that brought the payment, decides nothing. Only `pql` episodes convert. After a
conversion the same definition opens again only for evidence newer than the last payment.

An episode whose handoff a person has closed stays open while the rule holds. Once the cooldown is over and
there is evidence newer than that closing it is *renewed*: it ends, and one with fresh evidence takes its
place, so that the closed handoff keeps the reasons that it was closed with.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from accounts import lifecycle
from accounts.models import Account
from accounts.workspace import day_of
from plgops.lib import days
from scoring.crm import news
from scoring.definitions import LiveRule
from scoring.models import Purpose, Qualification
from scoring.rules import tree
from scoring.since import Since

Cause = Qualification.Cause
CloseCause = Qualification.CloseCause
Release = Qualification.Release
QUIET_CAUSES = (Cause.PUBLISH, Cause.IMPORT)  # these open no handoff until an admin releases them


class Step(Enum):
    """What to do with an account under a definition."""

    NOTHING = "nothing"
    OPEN = "open"
    START_LAPSING = "start_lapsing"
    RECOVER = "recover"
    CLOSE = "close"
    RENEW = "renew"  # its handoff was closed long enough ago and there is newer evidence: a new episode


@dataclass(frozen=True, slots=True)
class Decision:
    step: Step
    close_cause: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    """The account paid, or paid more."""

    at: dt.datetime
    day: int


NOTHING = Decision(Step.NOTHING)


def decide(
    *,
    episode: Qualification | None,
    holds: bool,
    out: str,
    redefined: bool,
    payments: Iterable[Payment],
    paid_before: dt.datetime | None,
    purpose: str,
    grace_days: int,
    today: int,
) -> Decision:
    """The step for one account and definition.

    `out` is why the account is out of every figure (a close cause), empty if it is not; `redefined`: this is
    the first verdict by the live version, and the open episode is of an older one; `paid_before`: the newest
    payment that stood when the episode was opened.
    """
    if episode is None:
        return Decision(Step.OPEN) if holds and not out else NOTHING
    if out:
        return Decision(Step.CLOSE, out)
    if purpose == Purpose.PQL and any(_converts(episode, p, holds=holds, paid_before=paid_before) for p in payments):
        return Decision(Step.CLOSE, CloseCause.CONVERTED)
    if holds:
        return Decision(Step.RECOVER) if episode.lapsing_since_day is not None else NOTHING
    if redefined:
        return Decision(Step.CLOSE, CloseCause.REDEFINED)
    since = today if episode.lapsing_since_day is None else episode.lapsing_since_day
    if today - since >= grace_days:
        return Decision(Step.CLOSE, CloseCause.LAPSED)
    return Decision(Step.START_LAPSING) if episode.lapsing_since_day is None else NOTHING


def _converts(episode: Qualification, payment: Payment, *, holds: bool, paid_before: dt.datetime | None) -> bool:
    if paid_before is not None and payment.at <= paid_before:
        return False
    if payment.at >= (episode.since_at or episode.opened_at):
        return True
    return not holds and episode.since_day is not None and payment.day >= episode.since_day


def newest_payment(payments: Iterable[Payment]) -> dt.datetime | None:
    return max((p.at for p in payments), default=None)


def may_open_again(*, newest_at: dt.datetime | None, payments: Iterable[Payment]) -> bool:
    """After a conversion: whether there is evidence newer than the last payment."""
    last = newest_payment(payments)
    return last is None or (newest_at is not None and newest_at > last)


def newest_of(evidence: dict[str, Any]) -> dt.datetime | None:
    """The time of the newest event in an evidence; None where no event is behind it (traits, absence)."""
    newest = evidence.get("newest_us")
    return None if newest is None else days.from_micros(newest)


@dataclass(frozen=True, slots=True)
class Opening:
    """An episode that is about to open, with what it freezes: its evidence, the newest payment that stands.

    `since`: when the rule came true; None for one that goes on from a closed one: it begins with its newest evidence.
    """

    account: Account
    rule: LiveRule
    cause: str
    evidence: dict[str, Any]
    paid_at: dt.datetime | None
    since: Since | None = None


def open_episodes(opening: Sequence[Opening], *, now: dt.datetime) -> list[Qualification]:
    """Open episodes with their frozen evidence, and write the stages that the purposes stand for, all together.

    A stage's time is that since when the rule has held. What a publication or an import finds again, because a version
    came back, is in the ledger already.
    """
    episodes = Qualification.objects.bulk_create(_episode(one, now=now) for one in opening)
    stages: dict[str, list[lifecycle.Reached]] = {}  # by cause
    for one, episode in zip(opening, episodes, strict=True):
        stage = tree.stage_written(one.rule.doc)
        if stage:
            stages.setdefault(one.cause, []).append(
                lifecycle.Reached(
                    account_id=one.account.pk,
                    stage=stage,
                    at=episode.since_at or now,
                    reference=f"qualification:{episode.pk}",
                    definition_version_id=one.rule.version_id,
                )
            )
    for cause, entries in stages.items():
        is_quiet = cause in QUIET_CAUSES
        if is_quiet:
            entries = lifecycle.unknown(entries)
        # what follows from this stage is as quiet as its cause
        lifecycle.reach_many(entries, now=now, cause=cause, importing=is_quiet)
    news.look_again({one.account.pk for one in opening}, now=now)
    return episodes


def _episode(one: Opening, *, now: dt.datetime) -> Qualification:
    since_at = one.since.at if one.since is not None else newest_of(one.evidence)
    waits = one.cause in QUIET_CAUSES and one.rule.purpose == Purpose.PQL
    return Qualification(
        account=one.account,
        definition_id=one.rule.definition_id,
        version_id=one.rule.version_id,
        opened_at=now,
        since_at=since_at,
        since_day=one.since.day if one.since is not None else day_of(since_at or now),
        cause=one.cause,
        release=Release.WAITING if waits else Release.LIVE,
        evidence=one.evidence if one.paid_at is None else one.evidence | {"paid_us": days.micros(one.paid_at)},
    )


def apply(decision: Decision, episode: Qualification, *, now: dt.datetime, today: int) -> None:
    """Write a decision about an open episode."""
    if decision.step is Step.START_LAPSING:
        episode.lapsing_since_day = today
        episode.save(update_fields=["lapsing_since_day"])
    elif decision.step is Step.RECOVER:
        episode.lapsing_since_day = None
        episode.save(update_fields=["lapsing_since_day"])
    elif decision.step is Step.CLOSE:
        episode.closed_at, episode.close_cause = now, decision.close_cause
        episode.save(update_fields=["closed_at", "close_cause"])
        news.look_again([episode.account_id], now=now)
