"""`/health/`: whether this installation can serve, and how far behind its work is.

`status` is `down` (503) when the database does not answer, `degraded` when work is not getting done: the
broker does not answer, an account has waited longer than two minutes, or an error keeps accounts, or the
counting of an event type's history, from being done. Degraded still answers 200, since taking ingest out of a
load balancer would lose what it still accepts; a monitor that wants an alarm asks `/health/?require=all` and
gets 503 for it.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Count, Min, Q
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.models import AccountDue, Recount
from plgops.lib import doorbell

logger = logging.getLogger(__name__)

BEHIND_AFTER = dt.timedelta(minutes=2)
POISON_SHOWN = 1000  # counted no further
BROKER_ASKED_EVERY = 5.0  # seconds per process: a monitor must not be able to flood the broker

_lock = threading.Lock()
_broker: tuple[float, bool] = (0.0, False)


def broker_answers() -> bool:
    """Whether the broker takes a connection; asked at most every five seconds, with the doorbell's patience."""
    global _broker
    with _lock:
        asked, answer = _broker
        if asked and time.monotonic() - asked < BROKER_ASKED_EVERY:
            return answer
        try:
            with doorbell.impatient_connection() as link:
                link.default_channel  # noqa: B018  this is what connects
            answer = True
        except Exception as error:  # whatever the broker's client raises
            logger.warning("health: the broker does not answer (%s)", error)
            answer = False
        _broker = (time.monotonic(), answer)
        return answer


def due_state(*, now: dt.datetime) -> dict[str, dict[str, Any]]:
    """Per consumer: seconds that the oldest change has waited, and the accounts pushed back after an error."""
    state: dict[str, dict[str, Any]] = {}
    for consumer in sorted(settings.DUE_CONSUMERS):
        rows = AccountDue.objects.filter(consumer=consumer)
        oldest = rows.filter(is_behind=True).aggregate(oldest=Min("changed_at"))["oldest"]
        state[consumer] = {
            "oldest_due_seconds": max(0, round((now - oldest).total_seconds())) if oldest else 0,
            "poison_accounts": rows.filter(attempts__gt=0)[:POISON_SHOWN].count(),
        }
    return state


def recount_state(*, now: dt.datetime) -> dict[str, int]:
    """Event types whose history is being counted again: how many, since when in seconds, and how many fail at it."""
    found = Recount.objects.aggregate(
        event_types=Count("event_type", distinct=True),
        oldest=Min("asked_at"),
        failing=Count("pk", filter=~Q(last_error="") | Q(attempts__gt=1)),
    )
    oldest = found["oldest"]
    return {
        "event_types": found["event_types"],
        "oldest_seconds": max(0, round((now - oldest).total_seconds())) if oldest else 0,
        "failing": found["failing"],
    }


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        due, recounts = due_state(now=timezone.now()), recount_state(now=timezone.now())
        database = True
    except DatabaseError as error:
        logger.error("health: the database does not answer (%s)", error)
        due, recounts, database = {}, {}, False
    broker = broker_answers()
    behind = any(d["oldest_due_seconds"] > BEHIND_AFTER.total_seconds() or d["poison_accounts"] for d in due.values())
    behind = behind or bool(recounts.get("failing"))
    status = "down" if not database else "degraded" if behind or not broker else "ok"
    answer = {
        "status": status,
        "database": database,
        "broker": broker,
        "due": due,
        "recounts": recounts,
        "doorbell_failures": doorbell.failures,
    }
    alarm = status == "down" or (status == "degraded" and request.GET.get("require") == "all")
    return JsonResponse(answer, status=503 if alarm else 200)
