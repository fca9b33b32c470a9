"""How promises are said on a page."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from django import template

register = template.Library()

NEARLY = 0.25  # of the promised time is left


class Promised(Protocol):
    opened_at: dt.datetime
    due_at: dt.datetime | None


@register.filter
def urgency(ticket: Promised, now: dt.datetime) -> str:
    """The tone of a running promise: `bad` once it is broken, `warn` in its last quarter, else `ok`."""
    if ticket.due_at is None:
        return ""
    left = ticket.due_at - now
    if left < dt.timedelta():
        return "bad"
    return "warn" if left < (ticket.due_at - ticket.opened_at) * NEARLY else "ok"


@register.filter
def promise(ticket: Promised, now: dt.datetime) -> str:
    """How long the running promise still holds, or how late it is, in at most two units: 1 h 12 min left."""
    if ticket.due_at is None:
        return ""
    late = ticket.due_at < now
    days, rest = divmod(int(abs(ticket.due_at - now).total_seconds()) // 60, 24 * 60)
    said = f"{days} d {rest // 60} h" if days else minutes(rest) if rest else "under 1 min"
    return f"{said} late" if late else f"{said} left"


@register.filter
def minutes(value: int | None) -> str:
    """A target in minutes as people say it: 30 min, 4 h, 1 h 30 min."""
    if not value:
        return "No promise"
    hours, rest = divmod(value, 60)
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest else "") if part)
