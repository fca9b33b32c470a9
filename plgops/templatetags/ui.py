"""Leaf components: the small parts that every page repeats. Plain tags, because they are the fastest.

Everything that comes from data is escaped by `format_html`; only our own markup and the icon files of the
lucide wheel are marked safe.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from decimal import Decimal
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO
from urllib.parse import unquote
from zipfile import ZipFile

from django import template
from django.forms import BoundField, CheckboxInput, Select, Textarea
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

CURRENCY_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


@cache
def _icons() -> ZipFile:
    return ZipFile(BytesIO((files("lucide") / "lucide.zip").read_bytes()))


def icon_names() -> frozenset[str]:
    """Every icon that `{% icon %}` can draw."""
    return frozenset(name.removesuffix(".svg") for name in _icons().namelist() if name.endswith(".svg"))


@cache
def _icon(name: str, size: str) -> SafeString:
    source = _icons().read(f"{name}.svg").decode()
    match = re.search(r"<svg[^>]*>(.*)</svg>", source, re.S)
    if match is None:
        raise ValueError(f"The icon file of {name!r} has no drawing.")
    drawing = re.sub(r"\s+", " ", match.group(1)).strip().replace(" />", "/>").replace("> <", "><")
    return format_html(
        '<svg class="{}" viewBox="0 0 24 24" aria-hidden="true">{}</svg>',
        f"i {size}".strip(),
        mark_safe(drawing),  # noqa: S308 - a file of the wheel, never data
    )


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """A lucide icon; `size` is `sm`, `lg` or nothing. Decorative: real text or an aria-label says it too."""
    return _icon(str(name), str(size))


@register.simple_tag
def font_address() -> str:
    """The font's address as the stylesheet has it, with its brackets as they are.

    `{% static %}` would escape them, and a browser takes the two spellings for two files and loads both.
    """
    return unquote(static("fonts/Geist[wght].ttf"))


@register.simple_tag
def kbd(keys: str) -> SafeString:
    """The keys of a shortcut, split at spaces. Hidden from screen readers: the control itself has a name."""
    return _keys(str(keys))


@lru_cache(200)
def _keys(keys: str) -> SafeString:
    caps = format_html_join("", "<kbd>{}</kbd>", ((key,) for key in keys.split()))
    return format_html('<span class="keys" aria-hidden="true">{}</span>', caps)


@register.simple_tag
def badge(text: object, tone: str = "", icon_name: str = "") -> SafeString:
    """A status in words; `tone` is ok, warn, bad, accent, line or nothing (neutral)."""
    drawing = _icon(icon_name, "") if icon_name else ""
    return format_html('<span class="badge" data-tone="{}">{}{}</span>', tone, drawing, text)


@register.simple_tag
def avatar(name: object, size: str = "sm", kind: str = "person") -> SafeString:
    """Initials on a colour of the name's own; `size` is sm, md or lg, `kind` person or org. Decorative."""
    return _avatar(str(name), str(size), str(kind))


@lru_cache(2000)
def _avatar(name: str, size: str, kind: str) -> SafeString:
    words = [word for word in re.split(r"[\s.@_-]+", name) if word[:1].isalnum()]
    initials = "".join(word[0] for word in words[:2]).upper() or "?"
    hue = sum(map(ord, name)) % 8
    return format_html('<span class="av av-{} av-{} av-h{}" aria-hidden="true">{}</span>', size, kind, hue, initials)


@register.simple_tag
def ago(at: dt.datetime | None, empty: str = "Never") -> SafeString:
    """How long ago, short (`12m ago`), with the exact moment on hover and for machines."""
    if at is None:
        return format_html('<span class="mut">{}</span>', empty)
    local = timezone.localtime(at)
    return format_html(
        '<time class="num" datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        f"{local:%a} {local.day} {local:%b %Y, %H:%M %Z}",
        since(at),
    )


@register.filter
def since(at: dt.datetime) -> str:
    """`just now`, `12m ago`, `3h ago`, `5d ago`, then the date; the future as `in 3h`."""
    seconds = (timezone.now() - at).total_seconds()
    short = span(abs(seconds))
    if abs(seconds) < 60:
        return "just now"
    if abs(seconds) >= 60 * 86_400:
        return day_month(at)
    return f"{short} ago" if seconds > 0 else f"in {short}"


@register.filter
def span(seconds: float | dt.timedelta) -> str:
    """A length of time in its largest whole unit: `45s`, `12m`, `3h`, `5d`."""
    whole = int(seconds.total_seconds() if isinstance(seconds, dt.timedelta) else seconds)
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if whole >= size:
            return f"{whole // size:,}{unit}"
    return f"{whole}s"


@register.filter
def day_month(at: dt.datetime | dt.date | None) -> str:
    """`5 Mar`, with the year when it is not this one. Aware times in the workspace's zone."""
    if at is None:
        return ""
    date = timezone.localtime(at).date() if isinstance(at, dt.datetime) else at
    return f"{date.day} {date:%b}" if date.year == timezone.localdate().year else f"{date.day} {date:%b %Y}"


@register.filter
def day_word(date: dt.date) -> str:
    """`Today`, `Yesterday`, else the weekday and date."""
    today = timezone.localdate()
    if date == today:
        return "Today"
    if date == today - dt.timedelta(days=1):
        return "Yesterday"
    return f"{date:%A}, {day_month(date)}"


@register.filter
def n(value: object) -> str:
    """A number with thousands separators; whatever is no number as it is."""
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
    return f"{value:,}" if isinstance(value, int | float | Decimal) else str(value)


@register.filter
def rounded(value: float) -> str:
    """A number that was estimated: whole from 10 on, else with one decimal where that says more."""
    return n(round(value)) if value >= 9.95 or round(value, 1) == round(value) else f"{value:.1f}"


@register.filter
def signed(value: float | Decimal) -> str:
    """A change with its sign, so that the direction is never told by colour alone."""
    return f"+{n(value)}" if value > 0 else f"−{n(abs(value))}" if value < 0 else "0"


@register.filter
def money(value: Decimal | float | None, currency: str = "USD") -> str:
    """An amount with its currency; whole units without decimals."""
    if value is None:
        return ""
    amount = Decimal(str(value))
    sign = CURRENCY_SIGNS.get(currency, f"{currency} ")
    digits = n(abs(amount)) if amount == amount.to_integral_value() else f"{abs(amount):,.2f}"
    return f"{'−' if amount < 0 else ''}{sign}{digits}"


@register.filter
def highest(values: Sequence[int]) -> int:
    """The greatest of some numbers, 0 of none."""
    return max(values, default=0)


@register.filter
def capped(value: int, cap: int = 99) -> str:
    """A count that was not counted to its end: `99+` past the cap."""
    return f"{cap}+" if value > cap else str(value)


@register.simple_tag
def field(bound: BoundField, label: str = "", autofocus: bool = False) -> SafeString:
    """A form field with its label, help and errors, tied together for screen readers."""
    widget = bound.field.widget
    shape = "check" if isinstance(widget, CheckboxInput) else "select" if isinstance(widget, Select) else "input"
    attrs: dict[str, str | bool] = {"class": f"{shape} multiline" if isinstance(widget, Textarea) else shape}
    described = []
    if bound.help_text:
        described.append(f"{bound.auto_id}_helptext")
    if bound.errors:
        attrs["aria-invalid"] = "true"
        described.append(f"{bound.auto_id}_error")
    if described:
        attrs["aria-describedby"] = " ".join(described)
    if autofocus:
        attrs["autofocus"] = True
    control = bound.as_widget(attrs=attrs)
    text = label or bound.label
    help_text = (
        format_html('<span class="help" id="{}_helptext">{}</span>', bound.auto_id, bound.help_text)
        if bound.help_text
        else ""
    )
    errors = (
        format_html(
            '<span class="err" id="{}_error">{}<span>{}</span></span>',
            bound.auto_id,
            _icon("circle-alert", "sm"),
            " ".join(str(error) for error in bound.errors),
        )
        if bound.errors
        else ""
    )
    if shape == "check":
        return format_html(
            '<div class="field"><label class="row">{} <span>{}</span></label>{}{}</div>',
            control,
            text,
            help_text,
            errors,
        )
    return format_html(
        '<div class="field"><label for="{}">{}</label>{}{}{}</div>', bound.auto_id, text, control, help_text, errors
    )
