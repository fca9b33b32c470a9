"""The roll-up made again from the log, some people at a time, with ingest running beside.

Each step is a short transaction that locks the keys of its people, which is what ingest takes before it
reads the catalogue and counts: an event is either in the log already, and rebuilt, or counted afterwards.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator
from typing import Any

from accounts import due, keys, usage
from accounts.models import Account, Event, EventType, ProductUser
from plgops.lib.db import retried

STEP = 200  # people in one transaction


def rebuild_usage(
    *, now: dt.datetime, account: Account | None = None, progress: Callable[[int], Any] | None = None
) -> int:
    """Make the roll-up again, of everybody or of the people of one account; how many people that were.

    What comes out different is a change of the accounts concerned. `progress` is told the people done.
    """
    done = 0
    for people in _steps(None if account is None else usage.people_of([account.pk]) | _members(account)):
        _rebuild(people, now=now)
        done += len(people)
        if progress is not None:
            progress(len(people))
    return done


def backfill(event_type: EventType, *, now: dt.datetime) -> None:
    """Count the log again for the people who have events of this type (or of its base, for a derived one).

    To be called outside a transaction, after the change of the type is committed: whoever counts from then
    on counts by it, and what was counted before is made again here.
    """
    base = event_type.base_id or event_type.pk
    people = set(Event.objects.filter(event_type_id=base).values_list("user_id", flat=True).distinct())
    for step in _steps(people):
        _rebuild(step, now=now)


def _members(account: Account) -> set[int]:
    return set(account.memberships.values_list("user_id", flat=True))


def _steps(people: Collection[int] | None) -> Iterator[list[int]]:
    """People in steps; None: everybody, by id."""
    if people is not None:
        ordered = sorted(people)
        for start in range(0, len(ordered), STEP):
            yield ordered[start : start + STEP]
        return
    last = 0
    while True:
        ids = list(ProductUser.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:STEP])
        if not ids:
            return
        yield ids
        last = ids[-1]


@retried
def _rebuild(people: Collection[int], *, now: dt.datetime) -> None:
    keys.lock_people(people)
    changed = usage.rebuild(people)
    usage.set_last_seen(people, changed)
    due.mark_changed(changed, now=now, importing=True)  # old events counted anew are no news for sales
