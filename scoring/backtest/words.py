"""Numbers of a backtest as people read them. Pure."""

from __future__ import annotations

from accounts.models import Stage
from scoring.backtest.uncertain import Between

_PLAIN = {Stage.PAID: "paid", Stage.EXPANDED: "expanded", Stage.CHURNED: "churned", Stage.SIGNED_UP: "signed up"}


def outcome_words(outcome: str) -> str:
    """What was hoped for, as something accounts did: “paid”, “did “Invite Sent””."""
    if outcome in Stage.values:
        return _PLAIN.get(Stage(outcome), f"reached “{Stage(outcome).label.lower()}”")
    return f"did “{outcome}”"


def times(value: float | None) -> str:
    """A factor with one decimal."""
    return "–" if value is None else f"{value:.1f}×"


def plain(value: float | None, places: int = 2) -> str:
    """A number with so many decimals; a dash where there is none."""
    return "–" if value is None else f"{value:,.{places}f}"


def in_days(value: float | None) -> str:
    """A length in days, whole or with a half."""
    if value is None:
        return "–"
    return f"{value:,.0f} day{'' if value == 1 else 's'}" if value == int(value) else f"{value:,.1f} days"


def signed(text: str, value: float) -> str:
    """A difference with the sign of `value`."""
    return f"{'+' if value > 0 else '−' if value < 0 else '±'}{text}"


def points(first: float | None, second: float | None) -> str:
    """The difference of two shares in percentage points."""
    if first is None or second is None:
        return ""
    return signed(f"{abs(100 * (first - second)):.1f} points", round(first - second, 4))


def less(first: float | None, second: float | None, places: int, unit: str = "") -> str:
    """The first number less the second, with its sign; empty where one is missing."""
    if first is None or second is None:
        return ""
    difference = round(first - second, places)
    return signed(f"{abs(difference):,.{places}f}{unit}", difference)


def points_between(apart: Between) -> str:
    """A difference of shares in percentage points, with its interval where it has one."""
    if apart.value is None:
        return ""
    said = points(apart.value, 0.0)
    if apart.low is None or apart.high is None:
        return said
    low, high = (signed(f"{abs(100 * end):.1f}", round(end, 3)) for end in (apart.low, apart.high))
    return f"{said} ({low} to {high})"


def less_between(apart: Between, places: int) -> str:
    """A difference with its interval where it has one."""
    if apart.value is None:
        return ""
    said, *ends = (
        signed(f"{abs(value):,.{places}f}", round(value, places))
        for value in (apart.value, apart.low, apart.high)
        if value is not None
    )
    return f"{said} ({ends[0]} to {ends[1]})" if len(ends) == 2 else said
