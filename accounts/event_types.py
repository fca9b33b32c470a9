"""The catalogue: an admin says what an event means and which of its properties are measured."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts import due, rebuild
from accounts.models import EventType, StaffUser
from accounts.team import audit
from plgops.lib.db import retried

_DESCRIBED = ("meaning", "description", "is_activity", "metered_property", "distinct_property")


class CannotDerive(Exception):
    """There is no such derived event to be made; the text says why."""


class NotRaw(Exception):
    """A derived type is part of another event: it is not activity of its own."""


@retried
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

    Whether it counts as activity is read when rules are evaluated, so changing it makes every account due. Whoever
    qualifies by a new meaning or a new count waits for a release, as after an import.
    A property that is measured anew is counted from the next event on; the events before are counted again by it
    in the background (accounts/rebuild.py).
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
                due.mark_everybody(consumer=consumer, now=now, importing=True)
        if changed.keys() & {"metered_property", "distinct_property"}:
            rebuild.ask(kind, now=now)
    return kind


@retried
def derive(
    *, name: str, base: EventType, property_name: str, values: Collection[Any], by: StaffUser | None, now: dt.datetime
) -> EventType:
    """Make a type that counts the events of `base` whose property is one of `values`, from the first event on.

    Raises NotRaw, CannotDerive. As for `describe`, the events before are counted in the background.
    """
    if base.base_id is not None:
        raise NotRaw("A derived event is derived from what is sent, not from another derived one.")
    if not name.strip() or not property_name.strip() or not values:
        raise CannotDerive("A derived event needs a name, a property and at least one value.")
    with transaction.atomic():
        if EventType.objects.filter(name=name.strip()).exists():
            raise CannotDerive(f"There is an event “{name.strip()}” already.")
        kind = EventType.objects.create(
            name=name.strip(),
            base=base,
            property_filter={"name": property_name.strip(), "in": list(values)},
            is_activity=False,
            meaning=base.meaning,
            metered_property=base.metered_property,
            distinct_property=base.distinct_property,
        )
        detail = {"base": base.name, "property": property_name.strip(), "values": list(values)}
        audit.record(action="event_type.derived", obj=kind, by=by, now=now, detail=detail)
        rebuild.ask(kind, now=now)
    return kind
