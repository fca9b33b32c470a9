"""The catalogue: an admin says what an event means and which of its properties are measured."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import transaction

from accounts import due
from accounts.models import EventType, StaffUser
from accounts.team import audit

_DESCRIBED = ("meaning", "description", "is_activity", "metered_property", "distinct_property")


class NotRaw(Exception):
    """A derived type is part of another event: it is not activity of its own."""


def describe(
    *,
    event_type_id: int,
    meaning: str,
    description: str,
    is_activity: bool,
    metered_property: str,
    distinct_property: str,
    by: StaffUser,
    now: dt.datetime,
) -> EventType:
    """Write what an event type means. Raises EventType.DoesNotExist, NotRaw.

    Whether it counts as activity is read when rules are evaluated, so changing it makes every account due.
    A measured property counts in the roll-up from the next event on; `manage.py rebuild_usage` applies it
    to the log.
    """
    wanted = {
        "meaning": meaning,
        "description": description.strip(),
        "is_activity": is_activity,
        "metered_property": metered_property.strip(),
        "distinct_property": distinct_property.strip(),
    }
    with transaction.atomic():
        kind = EventType.objects.select_for_update().get(pk=event_type_id)
        if kind.base_id is not None and is_activity:
            raise NotRaw("A derived event is part of another one; only that one counts as activity.")
        changed = {
            name: [getattr(kind, name), wanted[name]] for name in _DESCRIBED if getattr(kind, name) != wanted[name]
        }
        if not changed:
            return kind
        for name, value in wanted.items():
            setattr(kind, name, value)
        kind.save(update_fields=_DESCRIBED)
        audit.record(action="event_type.described", obj=kind, by=by, now=now, detail=changed)
        if "is_activity" in changed:
            for consumer in sorted(settings.DUE_CONSUMERS):
                due.mark_everybody(consumer=consumer, now=now)
    return kind
