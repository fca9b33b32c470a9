"""Pages of a list without counting it: one row more than the page tells whether there is a next one.

`keyset` continues after the last row seen and costs the same on page 1 and page 1,000, as long as an index
holds the order. `offset` is for short or computed lists. Both answer a `Page`; its `next_cursor` goes into
the next request's `?cursor=` as it is.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Generic, TypeVar

from django.core.exceptions import SuspiciousOperation, ValidationError
from django.db.models import IntegerField, Model, Q, QuerySet, Subquery

M = TypeVar("M", bound=Model)
T = TypeVar("T")

SIZE = 50
MAX_OFFSET = 10_000


class Capped(Subquery):
    """How many rows a sliced queryset has, as a value of another query: counted no further than its slice."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


class BadCursor(SuspiciousOperation):
    """The cursor was not made here, or for another order. Django answers 400."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page: its rows, and where the next one starts (empty: this was the last)."""

    items: list[T]
    next_cursor: str = ""

    @property
    def has_next(self) -> bool:
        return bool(self.next_cursor)


def keyset(rows: QuerySet[M], *, by: str = "", tie: str = "id", cursor: str = "", size: int = SIZE) -> Page[M]:
    """The page of `rows` after `cursor`, ordered by `by` and then by `tie`.

    `by` and `tie` are field names, `-` first for descending; `by` may follow a relation (`company__seats`)
    and may be null: rows without a value come last in either direction, ordered by `tie`. `tie` must be
    unique and not null. Two queries at most: the second only where the valued rows end within the page.
    """
    position = _read(cursor, by)
    found: list[M] = []
    if by and (position is None or position[0] is not None):
        valued = rows.filter(**{f"{_name(by)}__isnull": False})
        if position is not None:
            valued = _beyond(valued, _after(by, tie, position))
        found = list(valued.order_by(by, tie)[: size + 1])
    if len(found) <= size:
        rest = rows.filter(**{f"{_name(by)}__isnull": True}) if by and _nullable(rows, by) else rows if not by else None
        if rest is not None:
            if position is not None and (not by or position[0] is None):
                rest = _beyond(rest, Q(**{f"{_name(tie)}__{'lt' if tie.startswith('-') else 'gt'}": position[1]}))
            found += list(rest.order_by(tie)[: size + 1 - len(found)])
    if len(found) <= size:
        return Page(found)
    last = found[size - 1]
    return Page(found[:size], _write(by, _value(last, by) if by else None, _value(last, tie)))


def offset(rows: QuerySet[M] | Sequence[T], *, cursor: str = "", size: int = SIZE) -> Page[Any]:
    """The page of `rows` that starts at `cursor` rows; at most `MAX_OFFSET` deep. `rows` must be in order."""
    try:
        start = int(cursor or 0)
    except ValueError as error:
        raise BadCursor("This page link is damaged.") from error
    if not 0 <= start <= MAX_OFFSET:
        raise BadCursor("This page is too far down; narrow the list instead.")
    found = list(rows[start : start + size + 1])
    return Page(found[:size], str(start + size) if len(found) > size and start + size <= MAX_OFFSET else "")


def _name(field: str) -> str:
    return field.removeprefix("-")


def _nullable(rows: QuerySet[M], by: str) -> bool:
    """Whether the ordering column can be null; anything followed or annotated is taken as nullable."""
    fields = {f.name: f for f in rows.model._meta.concrete_fields}
    field = fields.get(_name(by))
    return field is None or field.null


def _value(row: Model, field: str) -> Any:
    value: Any = row
    for step in _name(field).split("__"):
        value = getattr(value, step) if value is not None else None
    return value


def _beyond(rows: QuerySet[M], condition: Q) -> QuerySet[M]:
    try:
        return rows.filter(condition)
    except (ValueError, TypeError, ValidationError) as error:  # values of other columns
        raise BadCursor("This page link is damaged.") from error


def _after(by: str, tie: str, position: tuple[Any, Any]) -> Q:
    """Strictly after the position. The outer bound repeats the column so that an index range is used."""
    column, unique = _name(by), _name(tie)
    beyond, up_to = ("lt", "lte") if by.startswith("-") else ("gt", "gte")
    next_tie = Q(**{f"{unique}__{'lt' if tie.startswith('-') else 'gt'}": position[1]})
    return Q(**{f"{column}__{up_to}": position[0]}) & (
        Q(**{f"{column}__{beyond}": position[0]}) | (Q(**{column: position[0]}) & next_tie)
    )


def _write(by: str, value: Any, tie: Any) -> str:
    kind = ""
    if isinstance(value, dt.datetime):
        kind, value = "t", value.isoformat()
    elif isinstance(value, Decimal):
        kind, value = "d", str(value)
    text = json.dumps([by, kind, value, tie], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str, by: str) -> tuple[Any, Any] | None:
    if not cursor:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        made_for, kind, value, tie = json.loads(text)
        if kind == "t":
            value = dt.datetime.fromisoformat(value)
            if value.tzinfo is None:
                raise ValueError("no time of ours")
            value = value.astimezone(dt.UTC)  # at the ends of the calendar there is none
        elif kind == "d":
            value = Decimal(value)
        if made_for != by or not isinstance(tie, int | str) or isinstance(value, list | dict):
            raise ValueError("made for another order")
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error, InvalidOperation) as error:
        raise BadCursor("This page link is damaged or was made for another order.") from error
    return value, tie
