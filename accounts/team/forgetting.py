"""What was delivered long ago is forgotten; what was given up stays until somebody has looked at it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.models import Delivery, Letter, OutgoingMessage, StaffUser
from accounts.team import audit
from plgops.lib import access
from plgops.lib.db import lock_free_rows

TASK = "accounts.forget_messages"
AT_ONCE = 500  # rows of a sweep's transaction
Status = OutgoingMessage.Status


def put_away(*, message_ids: Sequence[int], by: StaffUser, now: dt.datetime) -> int:
    """Somebody has looked at these dead letters: they leave the list, and are forgotten in time; how many."""
    access.require(by, "alerts.replay")
    done = 0
    with transaction.atomic():
        found = OutgoingMessage.objects.filter(pk__in=message_ids, status=Status.FAILED, looked_at=None)
        for message in lock_free_rows(found).order_by("id"):
            message.looked_at = now
            message.save(update_fields=["looked_at"])
            audit.record(action="message.put_away", obj=message, by=by, now=now)
            done += 1
    return done


def before(now: dt.datetime) -> dt.datetime | None:
    """What is older is forgotten; None: nothing is."""
    days = settings.ALERTS_KEPT_DAYS
    return now - dt.timedelta(days=days) if days else None


def forget(*, now: dt.datetime) -> int:
    """Delete messages, letters and what was left out that are older than they are kept, AT_ONCE of each; how many
    there were.

    Whether a destination had a fact is not asked so late: facts that old are told nobody. Nor is whether a person had
    a letter: what it was about has ended once it was written. Letters that were given up can still be sent again.
    """
    old = before(now)
    if old is None:
        return 0
    sent = OutgoingMessage.objects.filter(status=Status.SENT, sent_at__lte=old).order_by("sent_at", "pk")
    looked_at = Q(looked_at__lte=old) | Q(destination__removed_at__lte=old)
    given_up = OutgoingMessage.objects.filter(looked_at, status=Status.FAILED, created_at__lte=old).order_by("pk")
    left_out = Delivery.objects.filter(status=Delivery.Status.SKIPPED, created_at__lte=old).order_by("created_at", "pk")
    went_out = Q(status=Letter.Status.SENT, sent_at__lte=old)
    letters = Letter.objects.filter(went_out | Q(status=Letter.Status.SKIPPED, created_at__lte=old)).order_by("pk")
    return _messages(sent) + _messages(given_up) + _rows(left_out) + _rows(letters)


def _messages(found: QuerySet[OutgoingMessage]) -> int:
    with transaction.atomic():
        ids = [row.pk for row in lock_free_rows(found.only("pk"))[:AT_ONCE]]
        Delivery.objects.filter(message_id__in=ids).delete()
        OutgoingMessage.objects.filter(pk__in=ids).delete()
    return len(ids)


def _rows(found: QuerySet[Delivery] | QuerySet[Letter]) -> int:
    with transaction.atomic():
        ids = [row.pk for row in lock_free_rows(found.only("pk"))[:AT_ONCE]]
        found.model.objects.filter(pk__in=ids).delete()
    return len(ids)
