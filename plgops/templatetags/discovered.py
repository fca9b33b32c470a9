"""Numbers of a discovery in few digits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template

register = template.Library()


@register.filter
def percent(value: float | None) -> str:
    """A share in percent: `12%`, below a tenth `8.4%`; a dash where there is none."""
    if value is None:
        return "–"
    return f"{100 * value:.0f}%" if value >= 0.0995 else f"{100 * value:.1f}%"


@register.filter
def times(value: float | None) -> str:
    """A ratio as `1.8×`; a dash where there is none."""
    return "–" if value is None else f"{value:.2f}×" if value < 10 else f"{value:.0f}×"


@register.filter
def chance(p: float | None) -> str:
    """A p- or q-value: three decimals, or that it is smaller."""
    if p is None:
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


@register.filter
def decimals(value: float | None, places: int = 2) -> str:
    """A number with so many decimals; a dash where there is none."""
    return "–" if value is None else f"{value:.{places}f}"


@register.filter
def halves(finding: Mapping[str, Any]) -> list[tuple[str, Any, float | None, float | None]]:
    """A finding's numbers in both halves, each with its name and its p and q."""
    return [
        ("Earlier", finding["search"], finding["p"], finding["q"]),
        ("Later", finding["later"], finding["later_p"], finding["later_q"]),
    ]
