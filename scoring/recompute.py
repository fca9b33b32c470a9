"""Whole populations: count who qualifies, as of today or any past day, and apply what differs.

`recompute` first works off what is behind, then asks the usage lake about everybody and compares the answer with
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

from accounts import due, lake
from accounts.models import Account, AccountDue, ProductUser
from accounts.workspace import day_of
from plgops.lib import days
from scoring import definitions
from scoring.definitions import CONSUMER, LiveRule
from scoring.engines import appdb, columnar
from scoring.evaluate import Swept, evaluate_due
from scoring.follow import follow
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
    seconds: float  # of the run, which answers for all definitions at once
    user_ids: tuple[str, ...] = ()
    account_ids: tuple[str, ...] = ()


def as_of(*, day: int, now: dt.datetime, slug: str | None = None, with_ids: bool = False) -> list[Population]:
    """Who qualifies at the end of `day`, by occurred time, with that day's traits. Reads only.

    One pass over the usage lake, brought up to date first. Definition.DoesNotExist if `slug` is not live.
    """
    rules = _rules(slug)
    began = time.perf_counter()
    lake.refresh(now=now)
    asked = _ask(rules, day)
    took = time.perf_counter() - began
    return [_population(rule, day, *asked[rule.version_id], Swept(), took, with_ids) for rule in rules]


def recompute(*, now: dt.datetime, slug: str | None = None, with_ids: bool = False) -> list[Population]:
    """Judge everybody, apply what differs, and say who qualifies today.

    What is behind is worked off for all definitions; `slug` only chooses what is compared and told. One pass over
    the usage lake answers for all of them; it is believed about accounts that have not changed since its snapshot,
    the others are behind and judged by themselves.
    """
    today = day_of(now)
    rules = _rules(slug)
    began = time.perf_counter()
    swept = _drain(now=now)
    lake.refresh(now=now)
    asked = _ask(rules, today)
    differing = {pk for rule in rules for pk in _differing(rule, asked[rule.version_id][0])}
    wrong = sorted(differing - _changed_since())
    for start in range(0, len(wrong), MARK_CHUNK):
        part = wrong[start : start + MARK_CHUNK]
        due.mark_changed(part, now=now, importing=True, consumers=[CONSUMER])  # a correction: quietly
    if wrong:
        swept.add(_drain(now=now))
    Definition.objects.filter(pk__in=[rule.definition_id for rule in rules]).update(last_full_run_at=now)
    took = time.perf_counter() - began
    return [_population(rule, today, *asked[rule.version_id], swept, took, with_ids) for rule in rules]


def _rules(slug: str | None) -> list[LiveRule]:
    rules = [rule for rule in definitions.live_rules() if slug is None or rule.slug == slug]
    if slug is not None and not rules:
        raise Definition.DoesNotExist(f"No live definition is called “{slug}”.")
    return rules


def _drain(*, now: dt.datetime) -> Swept:
    total = Swept()
    follow(now=now)
    while (swept := evaluate_due(now=now)).claimed:
        total.add(swept)
    total.add(swept)
    return total


def _ask(rules: Sequence[LiveRule], day: int) -> dict[int, tuple[set[int], set[int]]]:
    """By version: the accounts and the people that qualify at the end of `day`."""
    found = columnar.holders({rule.version_id: rule.doc for rule in rules}, as_of_day=day)
    asked = {}
    for rule in rules:
        people = {user_id for _, user_id in columnar.qualifying_users(rule.doc, as_of_day=day)}
        # people without an account are not in the lake
        people |= {user_id for _, user_id in appdb.qualifying_users(rule.doc, as_of_day=day, account_ids=())}
        asked[rule.version_id] = (found[rule.version_id], people)
    return asked


def _differing(rule: LiveRule, holders: Collection[int]) -> set[int]:
    """Accounts whose open episode does not say what the engine says."""
    open_now = dict(
        Qualification.objects.filter(definition_id=rule.definition_id, closed_at=None).values_list(
            "account_id", "lapsing_since_day"
        )
    )
    holding = {account_id for account_id, lapsing in open_now.items() if lapsing is None}
    return set(holders) ^ holding


def _changed_since() -> set[int]:
    """Accounts that changed since the lake's snapshot, or are behind anyway."""
    with lake.connection() as db:
        built = dict(db.execute(f"SELECT account_id, seq FROM {lake.SEQUENCES}").fetchall())
    rows = AccountDue.objects.filter(consumer=CONSUMER).values_list("account_id", "changed_seq", "is_behind")
    return {pk for pk, seq, is_behind in rows.iterator(chunk_size=10_000) if is_behind or built.get(pk) != seq}


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
