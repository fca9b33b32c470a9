"""The roll-up made again from the log, some people at a time, with ingest running beside.

Each step is a short transaction that locks the keys of its people, which is what ingest takes before it
reads the catalogue and counts: an event is either in the log already, and rebuilt, or counted afterwards.

When what a type counts has changed, its history is counted again in the background: the change leaves a row
in Recount, a sweep takes it a step further at a time, and the row keeps how far it has come.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from accounts import due, keys, usage
from accounts.models import Account, EventType, ProductUser, Recount
from plgops.lib.db import after_commit, in_one_transaction, lock_free_rows, retried
from plgops.lib.doorbell import ring

logger = logging.getLogger(__name__)

TASK = "accounts.recount"
STEP = 200  # people in one transaction
STEP_EVENTS = 20_000  # and events, roughly: ingest waits that long for these people
MAX_BACKOFF = dt.timedelta(hours=1)


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


def ask(event_type: EventType, *, now: dt.datetime) -> None:
    """Let the history of this type be counted again. To be called in the transaction that changes what it counts."""
    Recount.objects.create(event_type=event_type, asked_at=now)
    after_commit(ring, TASK)


def recount_next(*, now: dt.datetime) -> bool:
    """Take one recount that is due a step further; False when none is, or others have them all.

    A step that fails comes again later, with its error to be seen, after a time that doubles up to an hour.
    """
    recount_id = in_one_transaction(lambda: _take(now=now))
    if recount_id is None:
        return False
    try:
        in_one_transaction(lambda: _step(recount_id, now=now))
    except Exception as error:
        logger.exception("recount %s", recount_id)
        Recount.objects.filter(pk=recount_id).update(last_error=repr(error)[:2000])
    return True


def _take(*, now: dt.datetime) -> int | None:
    """Begin a step: committed before it, so that one that kills its worker is pushed back like one that raises."""
    ready = Recount.objects.filter(Q(retry_at__isnull=True) | Q(retry_at__lte=now))
    row = lock_free_rows(ready.order_by("pk")).first()
    if row is None:
        return None
    row.retry_at = now + min(dt.timedelta(seconds=10 * 2 ** min(row.attempts, 10)), MAX_BACKOFF)
    row.attempts += 1
    row.save(update_fields=["retry_at", "attempts"])
    return row.pk


def _step(recount_id: int, *, now: dt.datetime) -> None:
    row = Recount.objects.select_for_update().filter(pk=recount_id).first()
    if row is None:
        return  # it took so long that somebody else began the step as well, and was first
    if Recount.objects.filter(event_type_id=row.event_type_id, pk__gt=row.pk).exists():
        row.delete()  # what it counts has changed again
        return
    if row.after < 0:
        # Batches that are under way may count by what stood before. Of people who are known this waits for them at
        # their keys, below; people who are just being made have none yet that could be seen.
        keys.enter(alone=True)
        row.after = 0
    else:
        people = list(ProductUser.objects.filter(pk__gt=row.after).order_by("pk").values_list("pk", flat=True)[:STEP])
        if not people:
            row.delete()
            return
        row.after = _count_again(people, row.event_type, now=now)
    row.attempts, row.retry_at, row.last_error = 0, None, ""
    row.save()


def _count_again(people: list[int], event_type: EventType, *, now: dt.datetime) -> int:
    """Make the roll-up again of those who have events of this type; up to which of these people that went."""
    keys.lock_people(people)
    chosen: list[int] = []
    events = 0
    for user_id, many in usage.sizes(people, event_type_id=event_type.base_id or event_type.pk):
        if chosen and events + many > STEP_EVENTS:
            _make_again(chosen, now=now)
            return chosen[-1]
        chosen.append(user_id)
        events += many
    if chosen:
        _make_again(chosen, now=now)
    return people[-1]


@dataclass(frozen=True, slots=True)
class Counting:
    """How far the recount of an event type has come."""

    percent: int  # of people, by their ids
    asked_at: dt.datetime
    error: str  # of the last step, if it was not done


def under_way(event_type: EventType) -> Counting | None:
    """The recount of this type that is not done yet; None when its history is counted."""
    row = Recount.objects.filter(event_type=event_type).order_by("-pk").first()
    if row is None:
        return None
    newest = ProductUser.objects.order_by("-pk").values_list("pk", flat=True).first() or 1
    error = row.last_error or ("A worker stopped in the middle." if row.attempts > 1 else "")
    return Counting(min(99, max(0, row.after) * 100 // newest), row.asked_at, error)


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
    _make_again(people, now=now)


def _make_again(people: Collection[int], *, now: dt.datetime) -> None:
    """The roll-up of these people, whose keys are locked."""
    changed = usage.rebuild(people)
    usage.set_last_seen(people, changed)
    due.mark_changed(changed, now=now, importing=True)  # old events counted anew are no news for sales
