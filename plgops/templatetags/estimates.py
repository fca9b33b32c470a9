"""Charts of estimates, as server-side SVG: intervals on a shared scale, shares by dose, curves in a square.

As in `charts`: shapes that stretch sit in an inner viewBox, everything else at percent positions, and colours are
classes, so that one render serves both themes and a policy without inline styles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
MARGIN = 8  # percent of the width on the left, where the ticks' words are


@dataclass(frozen=True, slots=True)
class Scale:
    """A logarithmic scale of ratios, from `low` to `high`, with its ticks."""

    low: float
    high: float
    ticks: Sequence[float]

    def at(self, value: float) -> float:
        """Where a ratio lies, in percent; what is beyond an end lies at it."""
        inside = min(max(value, self.low), self.high)
        return 100 * math.log(inside / self.low) / math.log(self.high / self.low)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval, `css` its class (`first`: hollow, `second`: filled), `said` what it says in words."""

    value: float | None
    low: float | None
    high: float | None
    css: str
    said: str


@dataclass(frozen=True, slots=True)
class Dose:
    """How a share follows a dose: bins with one estimate for each of the series, all in percent up to `top`."""

    title: str
    labels: Sequence[str]
    series: Sequence[Sequence[Estimate]]
    top: float
    ticks: Sequence[float]
    band: tuple[int, int] | None = None  # the first and last bin that are pointed at


@dataclass(frozen=True, slots=True)
class Curve:
    """A line in a square from 0 to 1 on both sides; `css` its colour class."""

    name: str
    points: Sequence[tuple[float, float]]
    css: str


@dataclass(frozen=True, slots=True)
class Square:
    """Curves, and points with intervals up and down, in a square of which `top` is the upper end of both sides.

    `said` says it all in words; `diagonal` draws the line of chance, or of a perfect forecast.
    """

    title: str
    said: str
    x_name: str
    y_name: str
    curves: Sequence[Curve] = ()
    points: Sequence[tuple[float, Estimate]] = ()  # x, and the estimate of y
    top: float = 1.0


def _f(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


@register.simple_tag
def interval(estimates: Sequence[Estimate], scale: Scale) -> SafeString:
    """Intervals one below the other on a logarithmic scale, for a cell of a table that tells the numbers too."""
    drawn = "".join(
        f'<line class="{"fp-one" if tick == 1 else "fp-grid"}" x1="{_f(scale.at(tick))}%" x2="{_f(scale.at(tick))}%"'
        ' y1="0" y2="100%"/>'
        for tick in scale.ticks
    )
    for place, one in enumerate(estimates):
        if one.value is None:
            continue
        y = _f(100 * (place + 1) / (len(estimates) + 1))
        low, high = one.low if one.low is not None else one.value, one.high if one.high is not None else one.value
        x, x1, x2 = (_f(scale.at(max(value, 1e-9))) for value in (one.value, low, high))
        drawn += (
            f'<g class="fp {escape(one.css)}" data-tip="{escape(one.said)}">'
            f'<line x1="{x1}%" x2="{x2}%" y1="{y}%" y2="{y}%"/><circle cx="{x}%" cy="{y}%" r="3.5"/>'
            f'<rect class="fp-hit" x="{x1}%" y="{_f(100 * (place + 0.5) / (len(estimates) + 1))}%"'
            f' width="{_f(max(scale.at(high) - scale.at(max(low, 1e-9)), 2))}%"'
            f' height="{_f(100 / (len(estimates) + 1))}%"/></g>'
        )
    said = "; ".join(one.said for one in estimates)
    return mark_safe(  # noqa: S308 - numbers and escaped words
        f'<svg class="forest" role="img" aria-label="{escape(said)}">{drawn}</svg>'
    )


@register.simple_tag
def interval_axis(scale: Scale) -> SafeString:
    """The ticks of the scale, for the head of the table."""
    drawn = "".join(
        f'<text x="{_f(scale.at(tick))}%" y="11"'
        f' text-anchor="{"start" if scale.at(tick) < 4 else "end" if scale.at(tick) > 96 else "middle"}">'
        f"{_f(tick)}×</text>"
        for tick in scale.ticks
    )
    return mark_safe(f'<svg class="forest-axis" aria-hidden="true">{drawn}</svg>')  # noqa: S308 - numbers


@register.simple_tag
def dose(chart: Dose) -> SafeString:
    """Shares with their intervals for each bin, the series side by side; bins that are pointed at are shaded."""
    step = (100 - MARGIN) / (len(chart.labels) or 1)
    drawn = ""
    if chart.band is not None:
        first, last = chart.band
        drawn += (
            f'<rect class="dose-band" x="{_f(MARGIN + first * step)}%" width="{_f((last - first + 1) * step)}%" y="0"'
            ' height="100%" rx="4"/>'
        )
    for tick in chart.ticks:
        y = _f(100 - tick * 100 / chart.top)
        drawn += f'<line class="grid{"" if tick else " base"}" x1="0" x2="100%" y1="{y}%" y2="{y}%"/>'
        if tick:
            drawn += f'<text class="tick" x="0" y="{y}%" dy="-4">{_f(tick)}%</text>'
    for place, estimates in enumerate(chart.series):
        for i, one in enumerate(estimates):
            if one.value is None or one.low is None or one.high is None:
                continue
            x = _f(MARGIN + (i + (place + 1) / (len(chart.series) + 1)) * step)
            y, y1, y2 = (_f(100 - min(value, chart.top) * 100 / chart.top) for value in (one.value, one.high, one.low))
            drawn += (
                f'<g class="fp {escape(one.css)}" data-tip="{escape(one.said)}">'
                f'<line x1="{x}%" x2="{x}%" y1="{y1}%" y2="{y2}%"/><circle cx="{x}%" cy="{y}%" r="3.5"/>'
                f'<circle class="fp-hit" cx="{x}%" cy="{y}%" r="9"/></g>'
            )
    labels = "".join(
        f'<text x="{_f(MARGIN + (i + 0.5) * step)}%" y="15" text-anchor="middle">{escape(text)}</text>'
        for i, text in enumerate(chart.labels)
    )
    said = "; ".join(one.said for estimates in chart.series for one in estimates)
    return mark_safe(  # noqa: S308 - numbers and escaped words
        f'<div class="plot"><svg class="chart" role="img" aria-label="{escape(chart.title)}. {escape(said)}">{drawn}'
        f'</svg><svg class="xaxis" aria-hidden="true">{labels}</svg></div>'
    )


@register.simple_tag
def square(chart: Square) -> SafeString:
    """Curves and points in a square: a ROC curve, a calibration."""

    def place(x: float, y: float) -> tuple[str, str]:
        return _f(100 * x / chart.top), _f(100 - 100 * y / chart.top)

    lines = '<path class="chance" d="M0 100L100 0"/>'
    for curve in chart.curves:
        path = "L".join(" ".join(place(x, y)) for x, y in curve.points)
        lines += f'<path class="line {escape(curve.css)}" d="M{path}"/>'
    drawn = ""
    for x_value, one in chart.points:
        if one.value is None:
            continue
        x, y = place(x_value, one.value)
        whisker = ""
        if one.low is not None and one.high is not None:
            (_, y1), (_, y2) = place(x_value, min(one.high, chart.top)), place(x_value, min(one.low, chart.top))
            whisker = f'<line x1="{x}%" x2="{x}%" y1="{y1}%" y2="{y2}%"/>'
        drawn += (
            f'<g class="fp {escape(one.css)}" data-tip="{escape(one.said)}">{whisker}'
            f'<circle cx="{x}%" cy="{y}%" r="4"/><circle class="fp-hit" cx="{x}%" cy="{y}%" r="10"/></g>'
        )
    half, whole = _f(50 * chart.top), _f(100 * chart.top)
    return mark_safe(  # noqa: S308 - numbers and escaped words
        f'<div class="square"><span class="sq-y" aria-hidden="true"><span>{escape(chart.y_name)}</span><b>{whole}%</b>'
        f"<b>{half}%</b><b>0</b></span>"
        f'<svg class="sq" role="img" aria-label="{escape(chart.title)}. {escape(chart.said)}">'
        '<rect class="sq-frame" width="100%" height="100%"/>'
        '<line class="grid" x1="0" x2="100%" y1="50%" y2="50%"/><line class="grid" x1="50%" x2="50%" y1="0" y2="100%"/>'
        '<svg class="inner" width="100%" height="100%" viewBox="0 0 100 100" preserveAspectRatio="none">'
        f"{lines}</svg>{drawn}</svg>"
        f'<span class="sq-x" aria-hidden="true"><b>0</b><b>{half}%</b><b>{whole}%</b></span>'
        f'<span class="sq-n mut t12" aria-hidden="true">{escape(chart.x_name)}</span></div>'
    )
