"""Whole populations: count who qualifies, as of today or any past day, and apply what differs.

`recompute` first works off what is behind, then asks the engine about everybody and compares the answer with
the open episodes. Incremental evaluation should have left nothing to find; where something differs (a usage
table made again by hand), the accounts are marked changed and judged like any other, by the one path that
writes episodes. `as_of` only reads.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from accounts import due
from accounts.models import Account, AccountDue, ProductUser
from accounts.workspace import day_of
from plgops.lib import days
from plgops.lib.db import snapshot
from scoring import definitions
from scoring.definitions import CONSUMER, LiveRule
from scoring.engines import appdb as engine
from scoring.evaluate import Swept, evaluate_due
from scoring.models import Definition, Qualification

MARK_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Population:
    """Who qualifies under a definition at the end of a day. The ids are external ones, sorted.

    `users` are the people whom a definition of level user holds for; at level account nobody is asked, so 0.
    """

    slug: str
    version: int
    as_of: dt.date
    users: int
    accounts: int
    entered: int  # episodes opened by this run
    left: int  # episodes closed by this run
    seconds: float
    user_ids: tuple[str, ...] = ()
    account_ids: tuple[str, ...] = ()


def as_of(*, day: int, slug: str | None = None, with_ids: bool = False) -> list[Population]:
    """Who qualifies at the end of `day`, by occurred time, with that day's traits. Reads only.

    Definition.DoesNotExist if `slug` is not live.
    """
    out = []
    for rule in _rules(slug):
        began = time.perf_counter()
        with snapshot():
            holders, people = _ask(rule, day)
        out.append(_population(rule, day, holders, people, Swept(), time.perf_counter() - began, with_ids))
    return out


def recompute(*, now: dt.datetime, slug: str | None = None, with_ids: bool = False) -> list[Population]:
    """Judge everybody, apply what differs, and say who qualifies today.

    What is behind is worked off for all definitions; `slug` only chooses what is compared and told.
    """
    today = day_of(now)
    rules = _rules(slug)
    began = time.perf_counter()
    swept = _drain(now=now)
    behind_took = time.perf_counter() - began
    out = []
    for rule in rules:
        began = time.perf_counter()
        with snapshot():
            holders, people = _ask(rule, today)
            differing = _differing(rule, holders)
        if differing:
            for start in range(0, len(differing), MARK_CHUNK):
                part = differing[start : start + MARK_CHUNK]
                due.mark_changed(part, now=now, importing=True, consumers=[CONSUMER])  # a correction: quietly
            swept.add(_drain(now=now))
        Definition.objects.filter(pk=rule.definition_id).update(last_full_run_at=now)
        took = time.perf_counter() - began + (behind_took if rule is rules[0] else 0.0)
        out.append((rule, holders, people, took))
    return [_population(rule, today, holders, people, swept, took, with_ids) for rule, holders, people, took in out]


def _rules(slug: str | None) -> list[LiveRule]:
    rules = [rule for rule in definitions.live_rules() if slug is None or rule.slug == slug]
    if slug is not None and not rules:
        raise Definition.DoesNotExist(f"No live definition is called “{slug}”.")
    return rules


def _drain(*, now: dt.datetime) -> Swept:
    total = Swept()
    while (swept := evaluate_due(now=now)).claimed:
        total.add(swept)
    total.add(swept)
    return total


def _ask(rule: LiveRule, day: int) -> tuple[set[int], set[int]]:
    """The accounts and the people that qualify at the end of `day`."""
    found = engine.verdicts({rule.version_id: rule.doc}, account_ids=None, as_of_day=day)[rule.version_id]
    people = {user_id for _, user_id in engine.qualifying_users(rule.doc, as_of_day=day)}
    return {verdict.account_id for verdict in found if verdict.holds}, people


def _differing(rule: LiveRule, holders: Collection[int]) -> list[int]:
    """Accounts whose open episode does not say what the engine says; those that are behind anyway left out."""
    open_now = dict(
        Qualification.objects.filter(definition_id=rule.definition_id, closed_at=None).values_list(
            "account_id", "lapsing_since_day"
        )
    )
    holding = {account_id for account_id, lapsing in open_now.items() if lapsing is None}
    wrong = sorted(set(holders) ^ holding)
    behind = set(AccountDue.objects.filter(consumer=CONSUMER, is_behind=True).values_list("account_id", flat=True))
    return [account_id for account_id in wrong if account_id not in behind]


def _population(
    rule: LiveRule,
    day: int,
    holders: Collection[int],
    people: Collection[int],
    swept: Swept,
    seconds: float,
    with_ids: bool,
) -> Population:
    return Population(
        slug=rule.slug,
        version=rule.number,
        as_of=days.date_of(day),
        users=len(people),
        accounts=len(holders),
        entered=Counter(swept.opened)[rule.slug],
        left=Counter(swept.closed)[rule.slug],
        seconds=round(seconds, 3),
        user_ids=_external(ProductUser, people) if with_ids else (),
        account_ids=_external(Account, holders) if with_ids else (),
    )


def _external(model: type[Account] | type[ProductUser], ids: Collection[int]) -> tuple[str, ...]:
    found: list[str] = []
    wanted: Sequence[int] = sorted(ids)
    for start in range(0, len(wanted), MARK_CHUNK):
        chunk = model.objects.filter(pk__in=wanted[start : start + MARK_CHUNK])
        found += chunk.values_list("external_id", flat=True)
    return tuple(sorted(found))
