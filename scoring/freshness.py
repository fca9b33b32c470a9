"""How far evaluation has come: up to which moment everything that was known is in the verdicts. One bounded query.

What is evaluated is an account, by all live definitions at once, so the moment is the same for all of them; what
differs is how many accounts a publication has still to reach.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import OuterRef, Subquery

from accounts.models import AccountDue
from accounts.workspace import day_of, zone
from plgops.lib import days
from plgops.lib.paging import Capped
from scoring.definitions import CONSUMER
from scoring.models import Definition

CAP = 10_000  # accounts that a version has still to reach are counted to here
ERRORS_CAP = 100


@dataclass(frozen=True, slots=True)
class Line:
    """How fresh one definition is: `to_follow` accounts have still to be judged by its live version, `number`."""

    slug: str
    name: str
    number: int
    to_follow: int


@dataclass(frozen=True, slots=True)
class Freshness:
    """`up_to`: everything that came before it is evaluated (UTC). `seconds`: how long ago that is; 0: nothing waits.

    `to_follow`: by definition id, the accounts that its live version has still to be applied to, counted to CAP;
    `failing`: accounts that an error keeps from being evaluated, left out of `up_to`.
    """

    up_to: dt.datetime
    seconds: int
    failing: int
    to_follow: Mapping[int, int] = field(default_factory=dict)

    @property
    def is_behind(self) -> bool:
        """Whether it is more than a sweep or two behind."""
        return self.seconds > 10

    @property
    def most_to_follow(self) -> int:
        """Of the newest version of all: what the others wait for is in it."""
        return max(self.to_follow.values(), default=0)


def of(definition_ids: Sequence[int] | None, *, now: dt.datetime) -> Freshness:
    """The freshness of these definitions (None: of all that are live). One query, whatever their number.

    Reads the first entry of two indexes over what is due, and at most 2 CAP entries for each definition.
    """
    rows = AccountDue.objects.filter(consumer=CONSUMER)
    changed = rows.filter(is_behind=True, attempts=0).order_by("changed_at").values("changed_at")[:1]
    by_time = rows.filter(due_day__lte=day_of(now), attempts=0).order_by("due_day").values("due_day")[:1]
    # two ranges of one index: asked for together, all of it would be read
    never = rows.filter(followed_version__isnull=True).order_by().values("pk")[:CAP]
    older = rows.filter(followed_version__lt=OuterRef("live_version_id")).order_by().values("pk")[:CAP]
    wanted = Definition.objects.filter(live_version__isnull=False, archived_at=None)
    if definition_ids is not None:
        wanted = wanted.filter(pk__in=definition_ids)
    found = list(
        wanted.annotate(
            oldest=Subquery(changed),
            oldest_day=Subquery(by_time),
            failing=Capped(rows.filter(attempts__gt=0).order_by().values("pk")[:ERRORS_CAP]),
            never=Capped(never),
            older=Capped(older),
        )
        .order_by("pk")
        .values_list("oldest", "oldest_day", "failing", "pk", "never", "older")
    )
    if not found:  # nothing is live, so nothing can be behind
        return Freshness(up_to=now, seconds=0, failing=0)
    oldest, oldest_day, failing = found[0][:3]
    waiting = [at for at in (oldest, None if oldest_day is None else days.start_of(oldest_day, zone())) if at]
    up_to = min([now, *waiting])
    return Freshness(
        up_to=up_to,
        seconds=max(0, int((now - up_to).total_seconds())),
        failing=failing,
        to_follow={pk: min(CAP, never + older) for *_, pk, never, older in found},
    )


def lines(fresh: Freshness) -> list[Line]:
    """The definitions that `fresh` knows of, those with most accounts to follow first, then by name. One query."""
    rows = Definition.objects.filter(pk__in=fresh.to_follow).order_by("name", "pk")
    found = [
        Line(slug, name, number, fresh.to_follow[pk])
        for pk, slug, name, number in rows.values_list("pk", "slug", "name", "live_version__number")
    ]
    return sorted(found, key=lambda line: -line.to_follow)
