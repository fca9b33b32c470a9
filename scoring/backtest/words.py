"""Numbers of a backtest as people read them. Pure."""

from __future__ import annotations

from accounts.models import Stage

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
