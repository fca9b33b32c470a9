"""Server-side SVG. Shapes stretch in an inner viewBox; text sits in the outer, unscaled svg at percent
positions, so labels keep their size at every width. Colours are classes: one render serves both themes,
forced colours and a policy without inline styles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@dataclass(frozen=True, slots=True)
class Series:
    """One line of an area chart; `name` is its word in the legend, `css` its colour class (c1 to c7)."""

    name: str
    values: Sequence[float]
    css: str = "c1"
    filled: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment worth pointing at: `x` in percent of the width, `y` in the chart's own unit."""

    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class AreaChart:
    """What `{% area %}` draws. `title` and `description` are the chart's name for who cannot see it."""

    title: str
    description: str
    series: Sequence[Series]
    labels: Sequence[tuple[float, str]]  # percent of the width, text
    top: float
    ticks: Sequence[float]
    marks: Sequence[Mark] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """One column: its parts from the bottom up as (value, css class), and what it says on hover and focus."""

    parts: Sequence[tuple[float, str]]
    tip: str
    link: Mapping[str, str] = field(default_factory=dict)  # what a click asks for, as `{% behind %}` takes it


@dataclass(frozen=True, slots=True)
class ColumnChart:
    """What `{% columns %}` draws. `beside` is a second column to the right of each bar, in the same order."""

    title: str
    description: str
    bars: Sequence[Bar]
    labels: Sequence[tuple[float, str]]
    top: float
    ticks: Sequence[float]
    tick_text: Callable[[float], str] = field(default=lambda value: f"{value:,.0f}")
    beside: Sequence[Bar] = ()


@dataclass(frozen=True, slots=True)
class Interval:
    """What `{% whisker %}` draws: a value with its bounds and a mark to hold it against, all of one scale from 0 to
    `top`. Without a value only the scale is drawn."""

    value: float | None
    low: float | None
    high: float | None
    top: float
    mark: float | None = None
    css: str = "c1"


def nice_top(highest: float) -> tuple[float, list[float]]:
    """The upper end of an axis from zero, a little above `highest`, and its round ticks (0, 10, 20 for 23)."""
    if highest <= 0:
        return 1, [0]
    power = 10 ** (len(str(int(highest))) - 1) if highest >= 1 else 1
    step = next(s * power for s in (0.2, 0.5, 1, 2, 5) if highest / (s * power) <= 3.5 or s == 5)
    step = max(step, 1)
    ticks = [0.0]
    while ticks[-1] + step <= highest:
        ticks.append(ticks[-1] + step)
    return max(highest * 1.08, step), ticks


def _f(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


CLOSED = "V100H0Z"  # makes an area of a line


def _path(values: Sequence[float], high: float) -> str:
    """A line from zero to `high` over the whole square of 100."""
    steps = len(values) - 1 or 1
    scale = 100 / (high or 1)
    return "M" + "L".join(f"{_f(i * 100 / steps)} {_f(100 - value * scale)}" for i, value in enumerate(values))


def _named(label: str) -> str:
    return f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'


@register.simple_tag
def sparkline(values: Sequence[float], label: str = "", threshold: float | None = None, tone: str = "") -> SafeString:
    """A small line from zero; `threshold` as a dashed line; without `label` it is decoration."""
    numbers = list(values)
    if not numbers:
        return mark_safe("")
    if len(numbers) == 1:
        numbers *= 2
    high = max([*numbers, threshold or 0]) * 1.05 or 1
    line = ""
    if threshold:
        at = _f(100 - threshold * 100 / high)
        line = f'<path class="sp-thr" d="M0 {at}H100"/>'
    drawn = _path(numbers, high)
    return mark_safe(  # noqa: S308 - numbers and escaped words
        f'<svg class="spark" data-tone="{escape(tone)}" {_named(label)} viewBox="0 0 100 100"'
        f' preserveAspectRatio="none"><path class="sp-area" d="{drawn}{CLOSED}"/>{line}'
        f'<path class="sp-line" d="{drawn}"/></svg>'
    )


@register.simple_tag
def hbar(percent: float, tone: str = "", label: str = "") -> SafeString:
    """A share as a bar; more than all of it is drawn as all of it."""
    width = _f(min(max(percent, 0.4), 100) if percent > 0 else 0)  # a sliver shows that there is some
    return mark_safe(  # noqa: S308 - numbers and escaped words
        f'<svg class="hbar" {_named(label)} data-tone="{escape(tone)}">'
        '<rect class="hb-track" width="100%" height="100%" rx="3"/>'
        f'<rect class="hb-fill" width="{width}%" height="100%" rx="3"/></svg>'
    )


@register.simple_tag
def stack(parts: Sequence[tuple[float, str, str]]) -> SafeString:
    """Parts of a whole as (percent, css class, label), side by side."""
    x = 0.0
    drawn = []
    for percent, css, label in parts:
        drawn.append(
            f'<rect class="{escape(css)}" x="{_f(x)}%" width="{_f(percent)}%" height="100%">'
            f"<title>{escape(label)}</title></rect>"
        )
        x += percent
    return mark_safe(  # noqa: S308 - numbers and escaped words
        f'<svg class="stack" {_named(", ".join(label for _, _, label in parts))}>'
        f'<rect class="hb-track" width="100%" height="100%"/>{"".join(drawn)}</svg>'
    )


def _axis(ticks: Sequence[float], top: float, text: Callable[[float], str]) -> str:
    return _grid(ticks, top) + _ticks(ticks, top, text)


def _grid(ticks: Sequence[float], top: float) -> str:
    return "".join(
        f'<line class="grid{"" if tick else " base"}" x1="0" x2="100%" y1="{y}%" y2="{y}%"/>'
        for tick, y in ((tick, _f(100 - tick * 100 / top)) for tick in ticks)
    )


def _ticks(ticks: Sequence[float], top: float, text: Callable[[float], str]) -> str:
    return "".join(
        f'<text class="tick" x="0" y="{_f(100 - tick * 100 / top)}%" dy="-4">{escape(text(tick))}</text>'
        for tick in ticks
        if tick
    )


def _x_labels(labels: Sequence[tuple[float, str]]) -> str:
    drawn = "".join(
        f'<text x="{_f(at)}%" y="12" text-anchor="{"start" if at <= 1 else "end" if at >= 99 else "middle"}">'
        f"{escape(text)}</text>"
        for at, text in labels
    )
    return f'<svg class="xaxis" aria-hidden="true">{drawn}</svg>'


@register.simple_tag
def area(chart: AreaChart) -> SafeString:
    """Lines from zero, the filled ones with their area; marks are pins that the keyboard reaches."""
    drawn = "".join(
        (f'<path class="area {escape(s.css)}" d="{line}{CLOSED}"/>' if s.filled else "")
        + f'<path class="line {escape(s.css)}" d="{line}"/>'
        for s, line in ((s, _path(s.values, chart.top)) for s in chart.series)
    )
    pins = "".join(
        f'<line class="vmark" x1="{_f(m.x)}%" x2="{_f(m.x)}%" y1="0" y2="100%"/>'
        f'<g class="pin" tabindex="0" role="img" aria-label="{escape(m.label)}" data-tip="{escape(m.label)}">'
        f'<circle class="pin-hit" cx="{_f(m.x)}%" cy="{_f(100 - m.y * 100 / chart.top)}%" r="12"/>'
        f'<circle class="pin-dot" cx="{_f(m.x)}%" cy="{_f(100 - m.y * 100 / chart.top)}%" r="4"/></g>'
        for m in chart.marks
    )
    return mark_safe(  # noqa: S308 - numbers and escaped words
        f'<div class="plot"><svg class="chart" role="group" aria-label="{escape(chart.title)}.'
        f' {escape(chart.description)}">{_axis(chart.ticks, chart.top, lambda v: f"{v:,.0f}")}'
        '<svg class="inner" width="100%" height="100%" viewBox="0 0 100 100" preserveAspectRatio="none"'
        f' aria-hidden="true">{drawn}</svg>{pins}</svg>{_x_labels(chart.labels)}</div>'
    )


@register.simple_tag
def columns(chart: ColumnChart) -> SafeString:
    """Stacked columns from zero, each with its numbers on hover; those with a link open it on a click.

    The keyboard gets to the same through the table that belongs to such a chart.
    """
    count = len(chart.bars) or 1
    step = 100 / count
    width = step * (0.4 if chart.beside else 0.66)
    drawn = [_grid(chart.ticks, chart.top)]
    for i, bar in enumerate(chart.bars):
        if not chart.beside:
            drawn.append(_column(bar, i * step, step, i * step + (step - width) / 2, width, chart.top))
            continue
        drawn.append(_column(bar, i * step, step / 2, i * step + step / 2 - width, width, chart.top))
        drawn.append(_column(chart.beside[i], (i + 0.5) * step, step / 2, (i + 0.5) * step, width, chart.top))
    drawn.append(_ticks(chart.ticks, chart.top, chart.tick_text))  # over the columns, or the first would hide them
    return mark_safe(  # noqa: S308 - numbers and escaped words
        f'<div class="plot"><svg class="chart" {_named(f"{chart.title}. {chart.description}")}>{"".join(drawn)}</svg>'
        f"{_x_labels(chart.labels)}</div>"
    )


def _column(bar: Bar, left: float, room: float, x: float, width: float, top: float) -> str:
    """A bar at `x` within the room that its pointer has, all in percent."""
    y = 100.0
    parts = []
    for value, css in bar.parts:
        height = value * 100 / top
        y -= height
        parts.append(
            f'<rect class="{escape(css)}" x="{_f(x)}%" y="{_f(y)}%" width="{_f(width)}%" height="{_f(height)}%"/>'
        )
    hit = f'<rect class="col-hit" x="{_f(left)}%" y="0" width="{_f(room)}%" height="100%"/>'
    # a plain element: a link in it would be a stop of the keyboard for every bar
    asked = {name: value for name, value in bar.link.items() if name.startswith(("hx-", "data-"))}
    return f'<g class="col"{_attributes(asked)} data-tip="{escape(bar.tip)}">{hit}{"".join(parts)}</g>'


def _attributes(given: Mapping[str, str]) -> str:
    return "".join(f' {escape(name)}="{escape(value)}"' for name, value in given.items())


@register.filter
def as_percent(value: float | None, places: int = 1) -> str:
    """A share from 0 to 1 in percent; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.{places}f}%"


@register.simple_tag
def behind(text: str, link: Mapping[str, str]) -> SafeString:
    """A number that opens what is behind it: a link where `link` has an address (`href`), a button of a form where it
    is posted (`form` and `formaction`), plain text where there is nothing to open."""
    if not link:
        return format_html('<span class="num">{}</span>', text)
    tag, css = ("a", "link num") if "href" in link else ("button", "link plain num")
    return mark_safe(  # noqa: S308 - attributes and words are escaped
        f'<{tag} class="{css}"{_attributes(link)}>{escape(text)}</{tag}>'
    )


@register.simple_tag
def whisker(interval: Interval) -> SafeString:
    """A value as a dot on its interval, on a scale from zero; decoration: the numbers stand beside it."""

    def at(value: float) -> str:
        return _f(min(max(value / (interval.top or 1), 0), 1) * 100)

    drawn = '<line class="wh-track" x1="0" x2="100%" y1="50%" y2="50%"/>'
    if interval.mark is not None:
        drawn += f'<line class="wh-mark" x1="{at(interval.mark)}%" x2="{at(interval.mark)}%" y1="0" y2="100%"/>'
    if interval.value is not None and interval.low is not None and interval.high is not None:
        low, high = at(interval.low), at(interval.high)
        drawn += (
            f'<line class="wh-bar" x1="{low}%" x2="{high}%" y1="50%" y2="50%"/>'
            f'<line class="wh-bar" x1="{low}%" x2="{low}%" y1="25%" y2="75%"/>'
            f'<line class="wh-bar" x1="{high}%" x2="{high}%" y1="25%" y2="75%"/>'
            f'<circle class="wh-dot" cx="{at(interval.value)}%" cy="50%" r="4"/>'
        )
    return mark_safe(  # noqa: S308 - numbers and escaped words
        f'<svg class="whisker {escape(interval.css)}" aria-hidden="true">{drawn}</svg>'
    )


@register.simple_tag
def legend(series: Sequence[Series]) -> SafeString:
    """The words of a chart's colours."""
    return mark_safe(  # noqa: S308 - joined from escaped parts
        "".join(format_html('<span class="key {}">{}</span>', s.css, s.name) for s in series)
    )
