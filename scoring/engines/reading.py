"""What an engine over Django's connection needs: the dialect, the catalogue, and the rows of a statement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connection

from accounts import models
from accounts.models import EventType
from plgops.lib.db import is_postgres
from scoring.rules.sql.terms import Dialect, EventTypes, PlanLimit, Statement


def dialect() -> Dialect:
    """Which SQL the app database speaks."""
    return "postgresql" if is_postgres() else "sqlite"


def event_types() -> EventTypes:
    """The catalogue, as the compiler needs it (one query)."""
    ids: dict[str, int] = {}
    activity: list[int] = []
    collects: dict[int, str] = {}
    rows = EventType.objects.order_by("id").values_list("id", "name", "is_activity", "base_id", "distinct_property")
    for number, name, is_activity, base_id, distinct_property in rows:
        ids[name] = number
        if is_activity and base_id is None:
            activity.append(number)
        if distinct_property:
            collects[number] = distinct_property
    return EventTypes(ids, tuple(activity), collects, plan_limits)


def plan_limits() -> list[PlanLimit]:
    """What every plan allows, from which day on (one query)."""
    rows = models.PlanLimit.objects.values_list("plan__code", "metric", "from_day", "limit")
    return [PlanLimit(*row) for row in rows.order_by("id")]


def rows(statement: Statement) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement.sql, statement.params)
        while batch := cursor.fetchmany(2000):
            yield from batch
