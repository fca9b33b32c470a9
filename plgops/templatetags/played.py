"""Words and numbers on the pages of plays."""

from __future__ import annotations

from django import template

register = template.Library()


@register.filter
def points(value: float) -> str:
    """A difference of two shares in percentage points, with its sign: `+4.2 points`."""
    return f"{value * 100:+.1f} points".replace("-", "−")


@register.filter
def words(name: str) -> str:
    """A field's name as people read it: `holdout_percent` is `hold-out`."""
    told = {
        "holdout_percent": "hold-out",
        "cooldown_days": "rest",
        "convert_days": "days to convert",
        "content": "text",
        "starts_on": "first day",
        "ends_on": "last day",
        "promotional": "whether it is promotional",
        "moment": "where it shows",
    }
    return told.get(name, name.replace("_", " "))


@register.filter
def past(action: str) -> str:
    """What was done, of an audit row's action: `play.paused` is `paused`."""
    return action.rpartition(".")[2].replace("_", " ")
