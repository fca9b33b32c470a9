"""The only way in for messages: a batch is understood, judged for duplicates and written in one transaction.

What a batch does (accounts/batch.py), in the order in which it locks: receipts (the one judge of duplicates),
the keys of the people, the keys of the accounts, what was said about them, the log, the roll-up, the rows of
people and accounts, AccountDue; each in sorted order. A batch that only repeats and counts shares the keys with
others; one that changes what they mean has them alone (and starts again, if it finds that out late). A deadlock,
or a busy SQLite, tries the whole batch again: nothing of it is stored until all of it is.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from django.conf import settings
from django.db import DataError, Error, IntegrityError

from accounts import keys, payload, quarantine
from accounts.batch import Batch
from accounts.counting import CatalogueFull
from accounts.models import Source
from accounts.payload import Message, Refused
from accounts.quarantine import Bad
from plgops.lib.days import micros
from plgops.lib.db import in_one_transaction, is_passing, is_postgres

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a batch, in messages."""

    received: int
    events: int  # track messages stored
    facts: int  # other messages that were new
    duplicates: int
    quarantined: int
    refused: tuple[Bad, ...] = ()  # those in quarantine, with their places in the batch


def accept_batch(
    *,
    source: Source,
    messages: Sequence[Any],
    received_at: dt.datetime,
    sent_at: dt.datetime | None = None,
    context: Mapping[str, Any] | None = None,
    importing: bool = False,
) -> Accepted:
    """Store a batch of messages as they came; the bad ones go to quarantine, duplicates change nothing.

    Everything is committed when this returns. `context` and `sent_at` are the batch's own. `importing`: the changes
    count as an import's, which opens no handoffs by itself; those of an account of which only old things are told
    (BACKFILL_DAYS) do in any case. A message that is understood and still cannot be stored
    must not keep out the others: the batch is halved until it stands alone, and it goes to quarantine. What raises
    is therefore everybody's trouble (the database is away); then nothing of the half concerned is stored.
    """
    told: dict[str, Any] = {"source": source, "received_at": received_at, "sent_at": sent_at}
    try:
        return _accept_raw(messages=messages, context=context, importing=importing, **told)
    except Exception as error:
        if not messages or not _is_of_one_message(error):
            raise
        if len(messages) == 1:
            logger.warning("a message cannot be stored and goes to quarantine", exc_info=True)
            shared = payload.storable(dict(context)) if context else None
            return accept(messages=[], bad=[Bad(messages[0], *_refusal(error), 0)], context=shared, **told)
    half = len(messages) // 2
    left, right = (
        accept_batch(messages=part, context=context, importing=importing, **told)
        for part in (messages[:half], messages[half:])
    )
    return Accepted(
        received=left.received + right.received,
        events=left.events + right.events,
        facts=left.facts + right.facts,
        duplicates=left.duplicates + right.duplicates,
        quarantined=left.quarantined + right.quarantined,
        refused=(*left.refused, *(replace(bad, index=bad.index + half) for bad in right.refused)),
    )


def accept_one(*, source: Source, message: Message, received_at: dt.datetime) -> tuple[str, str] | None:
    """Store one message that is understood. Else nothing is stored, and this is why not: a code and a reason."""
    try:
        accept(source=source, messages=[message], received_at=received_at)
    except Exception as error:
        if isinstance(error, CatalogueFull) or _is_of_one_message(error):
            return _refusal(error)
        raise
    return None


def _refusal(error: Exception) -> tuple[str, str]:
    """The code and the reason with which a message goes to quarantine."""
    if isinstance(error, CatalogueFull):
        return error.code, str(error)
    return "not_storable", f"It cannot be stored: {str(error).partition(chr(10))[0] or type(error).__name__}."


_BY_VALUES = ("22", "23", "54")  # SQLSTATE classes: data, constraints, limits of the program


def _is_of_one_message(error: Exception) -> bool:
    """Whether it is what a message says that cannot be stored, and not the database that is away or busy."""
    if isinstance(error, Error):
        state = getattr(error.__cause__, "sqlstate", None) or ""
        by_values = isinstance(error, DataError | IntegrityError) or state[:2] in _BY_VALUES
        return by_values and not is_passing(error)
    return isinstance(error, ValueError | TypeError | LookupError | ArithmeticError | RecursionError)


def _accept_raw(
    *,
    source: Source,
    messages: Sequence[Any],
    received_at: dt.datetime,
    sent_at: dt.datetime | None,
    context: Mapping[str, Any] | None,
    importing: bool,
) -> Accepted:
    parsed: dict[int, Message] = {}  # by place in the batch
    bad: list[Bad] = []
    shared = payload.storable(dict(context)) if context else None
    for index, raw in enumerate(messages):
        try:
            parsed[index] = payload.parse(
                raw,
                received_at=received_at,
                sent_at=sent_at,
                context=shared,
                skew_seconds=settings.INGEST_SKEW_SECONDS,
                max_message_bytes=settings.INGEST_MAX_MESSAGE,
            )
        except Refused as refused:
            bad.append(Bad(raw, refused.code, refused.reason, index))
    while True:
        try:
            return accept(
                source=source,
                messages=list(parsed.values()),
                bad=sorted(bad, key=lambda one: one.index),
                received_at=received_at,
                sent_at=sent_at,
                context=shared,
                importing=importing,
            )
        except CatalogueFull as full:  # the whole batch was taken back; again, without those
            for index in [index for index, message in parsed.items() if message.event in full.names]:
                del parsed[index]
                bad.append(Bad(messages[index], *_refusal(full), index))


def accept(
    *,
    source: Source,
    messages: Sequence[Message],
    received_at: dt.datetime,
    bad: Sequence[Bad] = (),
    sent_at: dt.datetime | None = None,
    context: Mapping[str, Any] | None = None,
    importing: bool = False,
) -> Accepted:
    """As `accept_batch`, for messages that are understood already. Raises CatalogueFull, and what cannot be stored."""
    by_digest: dict[bytes, Message] = {}
    for message in messages:
        if not message.message_id:
            message = replace(message, message_id=_derived_id(message))
        by_digest.setdefault(hashlib.blake2b(message.message_id.encode(), digest_size=16).digest(), message)
    changing = not is_postgres() or any(message.type in _CHANGING for message in messages)

    again = False

    def attempt(exclusive: bool) -> Batch:
        nonlocal again
        if exclusive:
            keys.enter(alone=again)
            again = True  # whoever comes here twice was in others' way
        batch = Batch(source, received_at, importing, exclusive)
        if bad:
            quarantine.store(source=source, messages=bad, received_at=received_at, sent_at=sent_at, context=context)
        if by_digest:
            batch.store(by_digest)
        return batch

    try:
        batch = in_one_transaction(lambda: attempt(changing))
    except keys.NeedsExclusive:
        batch = in_one_transaction(lambda: attempt(True))
    return Accepted(
        received=len(messages) + len(bad),
        events=batch.events,
        facts=batch.facts,
        duplicates=len(messages) - batch.events - batch.facts,
        quarantined=len(bad),
        refused=tuple(bad),
    )


_CHANGING = frozenset({"identify", "group", "alias"})


def _derived_id(message: Message) -> str:
    """An id for a message without one: from its content, if that names its time; else it is one of a kind."""
    if message.original_at is None:
        return uuid.uuid4().hex
    said = [
        message.type,
        message.user_key,
        message.anonymous_key,
        message.account_key,
        message.previous_id,
        message.event,
        micros(message.original_at),
        message.properties,
        message.traits,
    ]
    return "content:" + hashlib.blake2b(orjson.dumps(said, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
