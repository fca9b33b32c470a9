"""The outbox: who is told what, packed into messages when due, and sent with nothing open but the network.

`offer` writes one row per destination and fact; the database's constraint judges "exactly one". `pack` puts the due
ones of a destination into a message, in words that whoever wrote the fact gives at that moment: what is over by then is
left out. `send_due` claims messages under a lease, sends them, and notes what came of it. A worker that dies leaves
the lease to run out and the message is sent again under the same id, which tells a receiver that it has seen it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Protocol

from django.conf import settings
from django.db import connection, transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils.module_loading import import_string

from accounts.models import Delivery, Destination, OutgoingMessage, StaffUser
from accounts.team import audit, destinations, mail_turn, sealed
from accounts.team.channels import Gone, Outcome, Retry, Sent, send
from accounts.team.messages import MOST_ITEMS, Content, Item
from plgops.lib import access
from plgops.lib.db import after_commit, lock_free_rows
from plgops.lib.doorbell import ring

logger = logging.getLogger(__name__)
TASK = "accounts.send_deliveries"
Status = OutgoingMessage.Status
LEASE = dt.timedelta(minutes=3)  # longer than a batch can take: two rounds of the longest try there is
BATCH = 16  # messages claimed at once
AT_ONCE = 8  # tried at the same time
MOST_ATTEMPTS = 10  # then it is a dead letter: after about a day
FIRST_WAIT, LONGEST_WAIT = dt.timedelta(seconds=10), dt.timedelta(hours=6)
LONGEST_PAUSE = dt.timedelta(minutes=5)  # of a destination that fails, between two messages
POISON_WAIT, POISON_FOR = dt.timedelta(minutes=5), dt.timedelta(days=1)  # between two tries to word it, and in all
OFF_FOR = dt.timedelta(days=3)  # so long what is due waits for a destination that is switched off
AT_ONCE_WORDED = 200  # facts whose words are asked for together
MOST_PACKED = 200  # deliveries to a program packed in one go
MOST_TOGETHER = 2_000  # deliveries that are due to people at the same moment, and one message: a digest comes once
ONE_EACH = (Destination.Channel.WEBHOOK, Destination.Channel.SIGNED_WEBHOOK)  # programs take one fact at a time
LEFT = "Whose it is works here no more."
Clock = Callable[[], dt.datetime]


class Words(Protocol):
    """What `settings.DELIVERY_WORDS` names for each kind of fact: says facts to one destination, None for what is over
    by now. Reads only; the keys are those that were offered, without the kind before the colon."""

    def __call__(
        self, keys: Sequence[str], destination: Destination, *, now: dt.datetime
    ) -> dict[str, Item | None]: ...


@dataclass(frozen=True, slots=True)
class Offer:
    """One fact for one destination."""

    destination_id: int
    fact: str  # kind:key
    account_id: int | None
    due_at: dt.datetime
    skipped_because: str = ""


@dataclass(frozen=True, slots=True)
class Passed:
    """What one sweep did."""

    claimed: int = 0
    sent: int = 0


def offer(offers: Iterable[Offer], *, now: dt.datetime) -> None:
    """Write what is to be delivered; a destination keeps a fact that it has already. Within a transaction."""
    rows = [
        Delivery(
            destination_id=one.destination_id,
            fact=one.fact,
            account_id=one.account_id,
            created_at=now,
            status=Delivery.Status.SKIPPED if one.skipped_because else Delivery.Status.WAITING,
            due_at=None if one.skipped_because else one.due_at,
            skipped_because=one.skipped_because,
        )
        for one in offers
    ]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
    if any(one.due_at <= now and not one.skipped_because for one in rows if one.due_at):
        after_commit(ring, TASK)


# --- packing ------------------------------------------------------------------------------------------------------


def pack(*, now: dt.datetime, limit: int = 50) -> int:
    """Make messages of what is due, for up to `limit` destinations; how many messages."""
    due = _due(now)
    found = due.order_by("destination_id").values_list("destination_id", flat=True).distinct()[:limit]
    made = 0
    for destination_id in list(found):
        try:
            made += _pack(destination_id, now=now)
        except Exception:  # one that cannot be packed must not keep the others waiting
            logger.exception("packing for destination %s failed", destination_id)
            due.filter(destination_id=destination_id).update(due_at=now + POISON_WAIT)
    return made


def _due(now: dt.datetime) -> QuerySet[Delivery]:
    """What goes into messages now. While a destination is switched off it waits, so that nothing is missing once it is
    on again; up to OFF_FOR, then it is left out."""
    is_off = Q(destination__disabled_at__isnull=False, destination__removed_at=None, due_at__gt=now - OFF_FOR)
    return Delivery.objects.filter(~is_off, status=Delivery.Status.WAITING, due_at__lte=now)


def _pack(destination_id: int, *, now: dt.datetime) -> int:
    waiting = _due(now).filter(destination_id=destination_id)
    destination = Destination.objects.select_related("owner").get(pk=destination_id)
    most = MOST_PACKED if destination.channel in ONE_EACH else MOST_TOGETHER
    found = list(waiting.order_by("due_at", "id")[:most])
    # Worded before anything is locked: it reads evidence. Who else packs meanwhile is found out below.
    left = destination.owner is not None and not access.roles_of(destination.owner)
    said: dict[str, Item | None] = {}
    for start in range(0, len(found) if destination.takes_messages and not left else 0, AT_ONCE_WORDED):
        said |= _words(found[start : start + AT_ONCE_WORDED], destination, now=now)
    made = 0
    with transaction.atomic():
        locked = destinations.locked_if_free(destination_id)
        if locked is None:
            return 0
        still = set(waiting.filter(pk__in=[row.pk for row in found]).values_list("pk", flat=True))
        found = [row for row in found if row.pk in still]
        told: list[tuple[int, Item]] = []
        if left or locked.removed_at is not None:
            _leave_out(found, why=LEFT if left else "Its destination takes nothing.")
        elif locked.disabled_at is not None:  # perhaps while it was worded
            late = [row for row in found if row.due_at is not None and row.due_at <= now - OFF_FOR]
            _leave_out(late, why="Its destination was switched off for too long.")
        else:
            told = [(row.pk, item) for row in found if (item := said.get(row.fact))]
            _leave_out([row for row in found if row.fact in said and not said[row.fact]], why="It was over by then.")
            _put_off([row for row in found if row.fact not in said], now=now)
        groups = [[one] for one in told] if locked.channel in ONE_EACH else [told] if told else []
        for group in groups:
            message = OutgoingMessage.objects.create(
                public_id=destinations.new_id(),
                destination=locked,
                content=_content([item for _, item in group]).stored(),
                created_at=now,
                next_at=now,
            )
            Delivery.objects.filter(pk__in=[pk for pk, _ in group]).update(
                status=Delivery.Status.PACKED, due_at=None, message=message
            )
            made += 1
    return made


def _leave_out(rows: Sequence[Delivery], *, why: str) -> None:
    if rows:
        Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(
            status=Delivery.Status.SKIPPED, due_at=None, skipped_because=why
        )


def _put_off(rows: Sequence[Delivery], *, now: dt.datetime) -> None:
    """What cannot be worded is tried again for a day."""
    late = now - POISON_FOR
    _leave_out([row for row in rows if row.created_at <= late], why="It could not be put into words.")
    again = [row.pk for row in rows if row.created_at > late]
    if again:
        Delivery.objects.filter(pk__in=again).update(due_at=now + POISON_WAIT)


def _words(found: Sequence[Delivery], destination: Destination, *, now: dt.datetime) -> dict[str, Item | None]:
    """What each of these facts says to this destination; one that cannot be worded is missing."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for row in found:
        kind, _, key = row.fact.partition(":")
        by_kind[kind].append(key)
    said: dict[str, Item | None] = {}
    for kind, keys in by_kind.items():
        try:
            said |= _said(kind, keys, destination, now=now)
        except Exception:  # which of them it was: one that cannot be worded must not keep the others waiting
            for key in keys:
                try:
                    said |= _said(kind, [key], destination, now=now)
                except Exception:
                    logger.exception("%s:%s cannot be worded", kind, key)
    return said


def _said(kind: str, keys: Sequence[str], destination: Destination, *, now: dt.datetime) -> dict[str, Item | None]:
    speak: Words = import_string(settings.DELIVERY_WORDS[kind])
    return {f"{kind}:{key}": item for key, item in speak(keys, destination, now=now).items()}


def _content(items: Sequence[Item]) -> Content:
    """One message of these: a title that a phone shows, and in a bundle the lines of an account beside each other."""
    together: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        together[item.subject].append(item)
    ordered = [item for group in together.values() for item in group]
    first = ordered[0]
    if len(ordered) == 1:
        title = f"{first.subject} {first.headline}"
    else:
        names = list(together)
        title = f"{len(ordered):,} alerts: {', '.join(names[:3])}"
        if len(names) > 3:
            title += f" and {len(names) - 3:,} more"
        elif len(names) == 1:
            title = f"{len(ordered):,} alerts about {names[0]}"
    told = ordered[:MOST_ITEMS]
    return Content(title, told, more=len(ordered) - len(told), settings_url=f"{settings.SITE_URL}/alerts/")


# --- sending ------------------------------------------------------------------------------------------------------


def send_due(*, clock: Clock, limit: int = BATCH, lease: dt.timedelta = LEASE) -> Passed:
    """Claim messages that are due, send them, and note what came of each.

    Nothing is locked and no transaction is open while the network is used: refused otherwise. E-mail waits while
    another worker of this machine talks to the mail server.
    """
    with contextlib.ExitStack() as turn:
        claimed = _claim(now=clock(), limit=limit, lease=lease, mail=turn.enter_context(mail_turn.taken()))
        if all(message.destination.channel != Destination.Channel.EMAIL for message in claimed):
            turn.close()  # slow webhooks keep nobody from the mail server
        return _sent(claimed, clock=clock)


def _sent(claimed: Sequence[OutgoingMessage], *, clock: Clock) -> Passed:
    if not claimed:
        return Passed()
    if connection.in_atomic_block:
        raise RuntimeError("Messages are never sent inside a transaction.")
    sent = 0
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:  # only the network is in the threads
        tries = {pool.submit(_try, message, clock): message for message in claimed}
        for tried in as_completed(tries):  # noted as they come: what is known must not wait for who is slow
            try:
                sent += _note(tries[tried], tried.result(), now=clock())
            except Exception:  # its lease ends and it is tried again; the others are noted
                logger.exception("%s could not be noted", tries[tried].public_id)
    return Passed(claimed=len(claimed), sent=sent)


def backoff(attempts: int) -> dt.timedelta:
    """How long to wait after so many tries: doubling twice a try, up to LONGEST_WAIT, and never the same for two."""
    wait = min(FIRST_WAIT * 4 ** (attempts - 1), LONGEST_WAIT)
    return wait * random.uniform(0.75, 1.25)  # noqa: S311 - no secret


def _claim(*, now: dt.datetime, limit: int, lease: dt.timedelta, mail: bool = True) -> list[OutgoingMessage]:
    """Messages that are this worker's until the lease ends: the first of each destination, who waited longest first.

    One destination with thousands of them has a turn like any other. `mail`: e-mail too.
    """
    with transaction.atomic():
        waiting = OutgoingMessage.objects.filter(status=Status.WAITING, next_at__lte=now)
        first = waiting.filter(destination=OuterRef("pk")).order_by("next_at", "id")
        free = Q(paused_until=None) | Q(paused_until__lte=now)
        turns = Destination.objects.filter(free).annotate(
            since=Subquery(first.values("next_at")[:1]), first=Subquery(first.values("pk")[:1])
        )
        if not mail:
            turns = turns.exclude(channel=Destination.Channel.EMAIL)
        ids = list(turns.filter(since__isnull=False).order_by("since", "pk").values_list("first", flat=True)[:limit])
        rows = lock_free_rows(waiting.filter(pk__in=ids).select_related("destination__owner")).order_by("next_at", "id")
        claimed = []
        for row in rows:
            if row.attempts >= MOST_ATTEMPTS:  # each of its workers died of it, or was stopped
                row.status, row.next_at = Status.FAILED, None
                row.last_error = "Its last try was never finished: it may be what stops a worker."
                row.save(update_fields=["status", "next_at", "last_error"])
                continue
            row.attempts += 1  # what was claimed and never noted is counted too
            row.next_at = now + lease
            claimed.append(row)
        OutgoingMessage.objects.bulk_update(claimed, ["attempts", "next_at"])
    return claimed


def _try(message: OutgoingMessage, clock: Clock) -> Outcome:
    """One try, in a thread without a database connection."""
    now, destination = clock(), message.destination
    if destination.owner is not None and not destination.owner.is_active:
        return Gone(LEFT)
    if not destination.takes_messages:
        return Retry("Its destination takes nothing.")
    try:
        address = sealed.unseal(destination.sealed)
    except sealed.Unreadable as error:
        return Retry(f"Its address cannot be read: {error}")  # one wrong deploy must not switch off every destination
    try:
        return send(destination.channel, address, message.content, message_id=message.public_id, now=now)
    except Exception as error:
        # what the libraries did not foresee must not cost the others of the batch their turn; an address is never told
        logger.error("sending %s failed: %s", message.public_id, type(error).__name__)
        return Retry(f"It could not be sent ({type(error).__name__}).")


def _note(message: OutgoingMessage, outcome: Outcome, *, now: dt.datetime) -> int:
    """Write down what came of a try, if it is still ours; 1 for a message that has arrived."""
    with transaction.atomic():
        destination = destinations.locked(message.destination_id)
        ours = OutgoingMessage.objects.filter(pk=message.pk, status=Status.WAITING, attempts=message.attempts)
        if isinstance(outcome, Sent):
            # also where it was given up while it was on its way: it is there, and must not be sent again by hand
            arrived = OutgoingMessage.objects.filter(pk=message.pk, attempts=message.attempts)
            done = arrived.exclude(status=Status.SENT).update(
                status=Status.SENT, next_at=None, sent_at=now, last_error="", looked_at=None
            )
            if done and (destination.failures or destination.last_error):
                destination.failures, destination.paused_until, destination.last_error = 0, None, ""
                destination.save(update_fields=["failures", "paused_until", "last_error"])
            return done
        why = one_line(outcome.why)[:300]
        if isinstance(outcome, Gone):
            if ours.update(status=Status.FAILED, next_at=None, last_error=why) and destination.takes_messages:
                destinations.switch_off(destination, why=why, now=now)
            return 0
        if message.attempts >= MOST_ATTEMPTS:
            noted = ours.update(status=Status.FAILED, next_at=None, last_error=why)
        else:
            wait = max(backoff(message.attempts), outcome.after or dt.timedelta(0))
            noted = ours.update(next_at=now + wait, last_error=why)
        if noted:
            pause = min(FIRST_WAIT * 2 ** min(destination.failures, 8), LONGEST_PAUSE)
            destination.failures += 1
            destination.paused_until = now + max(pause, outcome.after or dt.timedelta(0))
            destination.last_error = why
            destination.save(update_fields=["failures", "paused_until", "last_error"])
    return 0


def one_line(words: str) -> str:
    """What a receiver said, as one line that any database keeps and no terminal obeys."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())


# --- dead letters -------------------------------------------------------------------------------------------------


def replay(*, message_ids: Sequence[int], by: StaffUser, now: dt.datetime) -> int:
    """Send what was given up once more, under the ids it had; how many. Not where nothing is taken."""
    access.require(by, "alerts.replay")
    done = 0
    with transaction.atomic():
        found = OutgoingMessage.objects.filter(
            pk__in=message_ids,
            status=Status.FAILED,
            destination__disabled_at=None,
            destination__removed_at=None,
        )
        for message in lock_free_rows(found).order_by("id"):
            message.status, message.next_at, message.attempts, message.looked_at = Status.WAITING, now, 0, None
            message.save(update_fields=["status", "next_at", "attempts", "looked_at"])
            audit.record(action="message.replayed", obj=message, by=by, now=now)
            done += 1
    if done:
        after_commit(ring, TASK)
    return done
