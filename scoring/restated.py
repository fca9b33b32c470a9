"""PQLs per week, as reported and restated.

*As reported* are the episodes that plgops opened, each in the week in which it found out, under the version that was
live then: what the inbox and every report said. They never change. What a publication or an import opened at once is
told apart: a thousand episodes of one evening say nothing about that week. *Restated* under a version is what the weeks
would have counted had it been live all along, by what is known today: the account enters on the day on which its rule
began to hold, and gaps no longer than the grace period are no gaps, as with episodes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Count
from django.db.models.functions import TruncDate

from accounts import lake, workspace
from plgops.lib import days
from plgops.lib.once import Once
from scoring.backtest.documents import of_version
from scoring.engines import columnar
from scoring.models import Definition, DefinitionVersion, Qualification
from scoring.qualifications import QUIET_CAUSES

WEEKS = 12
KEPT = 20


@dataclass(frozen=True, slots=True)
class Reported:
    """Episodes opened in each of the last WEEKS weeks, the oldest first, by the number of their version; `at_once` by
    publications and imports, which are in none of the weeks."""

    first_days: tuple[int, ...]
    by_version: Mapping[int, tuple[int, ...]]
    at_once: int = 0

    @property
    def totals(self) -> tuple[int, ...]:
        return tuple(sum(counts[week] for counts in self.by_version.values()) for week in range(len(self.first_days)))


@dataclass(frozen=True, slots=True)
class Restated:
    """Accounts that would have entered in each of those weeks; nothing is known after `known_until`."""

    counts: tuple[int, ...]
    known_until: int


_kept: Once[Restated] = Once(KEPT)


def first_days(today: int) -> tuple[int, ...]:
    """The first day of each of the last WEEKS weeks, of which the last one ends today."""
    return tuple(range(today - 7 * WEEKS + 1, today + 1, 7))


def reported(definition: Definition, *, today: int) -> Reported:
    """The episodes of the last weeks: one query over an index range of them."""
    weeks = first_days(today)
    rows = Qualification.objects.filter(
        definition=definition, opened_at__gte=days.start_of(weeks[0], workspace.zone())
    ).order_by()
    counted = (
        rows.annotate(date=TruncDate("opened_at", tzinfo=workspace.zone()))
        .values("date", "version__number", "cause")
        .annotate(episodes=Count("pk"))
    )
    found: dict[int, list[int]] = defaultdict(lambda: [0] * WEEKS)
    at_once = 0
    for row in counted:
        if row["cause"] in QUIET_CAUSES:
            at_once += row["episodes"]
            continue
        week = (days.day_number(row["date"]) - weeks[0]) // 7
        found[row["version__number"]][min(week, WEEKS - 1)] += row["episodes"]
    return Reported(weeks, {number: tuple(found[number]) for number in sorted(found)}, at_once)


def restated(version: DefinitionVersion, *, today: int) -> Restated:
    """The last weeks under one version, from the usage lake; asked once for each of its generations.

    Raises lake.NoLake, and RuleError for a version that this program cannot read.
    """
    generation = lake.standing()
    doc, weeks = of_version(version), first_days(today)

    def ask() -> Restated:
        until = workspace.day_of(generation.built_at) - 1
        # so long before that no gap from there to the first week would be bridged
        since = weeks[0] - max(doc.grace_days, 1) - 1
        held = columnar.history({0: doc}, since_day=since, until_day=until)[0]
        counts = [0] * WEEKS
        for day in entries(held, grace_days=doc.grace_days):
            if weeks[0] <= day <= until:
                counts[(day - weeks[0]) // 7] += 1
        return Restated(tuple(counts), until)

    # definitions are compared by value: two versions that say the same are the same
    return _kept.get((str(generation.path), doc, weeks[0]), ask)


def entries(held: Iterable[tuple[int, int, int]], *, grace_days: int) -> list[int]:
    """The days on which accounts enter, from (account id, from day, to day) in order: the first of each stretch in
    which the rule never fails for `grace_days` days. Pure."""
    found: list[int] = []
    account, ended = None, 0
    for account_id, first, end in held:
        if account_id != account or first - ended >= max(grace_days, 1):
            found.append(first)
        account, ended = account_id, end
    return found
