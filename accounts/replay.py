"""Quarantined messages, fed through ingest again: after a rule was relaxed or a mistake of ours repaired."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from django.conf import settings
from django.db import transaction

from accounts import ingest, payload
from accounts.models import QuarantinedMessage, StaffUser
from accounts.team import audit

REPLAYED_AT_ONCE = 200


class AlreadyReplayed(Exception):
    """The message was accepted on an earlier replay."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a replay: accepted, or what is still wrong with the message."""

    accepted: bool
    code: str = ""
    reason: str = ""


def replay(*, quarantined_id: int, by: StaffUser, now: dt.datetime) -> Replayed:
    """Feed the message through ingest again, with the times at which it came the first time.

    It is idempotent: ingest takes a message once, and the row is marked once, with one audit row. What is
    still wrong is written to the row. Raises QuarantinedMessage.DoesNotExist, AlreadyReplayed.
    """
    row = QuarantinedMessage.objects.select_related("source").get(pk=quarantined_id)
    if row.replayed_at is not None:
        raise AlreadyReplayed("This message was accepted before.")
    try:
        message = payload.parse(
            row.payload,
            received_at=row.received_at,
            sent_at=row.sent_at,
            context=None,
            skew_seconds=settings.INGEST_SKEW_SECONDS,
            max_message_bytes=settings.INGEST_MAX_MESSAGE,
        )
    except payload.Refused as refused:
        QuarantinedMessage.objects.filter(pk=row.pk).update(code=refused.code, reason=refused.reason)
        return Replayed(False, refused.code, refused.reason)
    if not message.message_id and message.original_at is None:
        # ingest could not tell it from another one: it gets the row's id, so that two replays at once are one message
        message = replace(message, message_id=f"quarantine:{row.pk}")
    wrong = ingest.accept_one(source=row.source, message=message, received_at=row.received_at)
    if wrong is not None:
        code, reason = wrong[0], payload.storable(wrong[1])[:500]
        QuarantinedMessage.objects.filter(pk=row.pk).update(code=code, reason=reason)
        return Replayed(False, code, reason)
    with transaction.atomic():
        if not QuarantinedMessage.objects.filter(pk=row.pk, replayed_at__isnull=True).update(replayed_at=now):
            raise AlreadyReplayed("This message was accepted before.")
        audit.record(action="quarantine.replayed", obj=row, by=by, now=now, detail={"code": row.code})
    return Replayed(True)


def replay_waiting(*, code: str, source_id: int | None, by: StaffUser, now: dt.datetime) -> tuple[int, int]:
    """Replay the newest waiting messages, at most `REPLAYED_AT_ONCE`; (accepted, still wrong)."""
    rows = QuarantinedMessage.objects.filter(replayed_at__isnull=True)
    if code:
        rows = rows.filter(code=code)
    if source_id is not None:
        rows = rows.filter(source_id=source_id)
    accepted = wrong = 0
    for pk in list(rows.order_by("-received_at", "id").values_list("pk", flat=True)[:REPLAYED_AT_ONCE]):
        try:
            if replay(quarantined_id=pk, by=by, now=now).accepted:
                accepted += 1
            else:
                wrong += 1
        except AlreadyReplayed:  # somebody else was quicker; accepted all the same
            accepted += 1
    return accepted, wrong
