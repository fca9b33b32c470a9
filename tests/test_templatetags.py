"""The leaf components: what they write, that they escape, and that every icon named in a template exists."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine
from django import forms
from django.template import Context, Template

from plgops.templatetags import charts, ui

ROOT = Path(__file__).resolve().parents[1]
NOW = dt.datetime(2026, 6, 15, 9, 0, tzinfo=dt.UTC)
HOSTILE = '<script>"&'


def named_icons() -> dict[str, str]:
    """Icon name -> where it is used, of every template and of the names that code gives."""
    found = {}
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text()
        for name in re.findall(r"""{%\s*icon\s+["']([\w-]+)["']""", text):
            found[name] = str(path.relative_to(ROOT))
        for tag in re.findall(r"""{%\s*badge\s+(.*?)%}""", text):
            words = re.findall(r"""["']([^"']*)["']""", tag)
            if len(words) >= 3 or (len(words) == 2 and not tag.strip().startswith(('"', "'"))):
                found[words[-1]] = str(path.relative_to(ROOT))
    return found


def test_every_icon_in_a_template_exists():
    found = named_icons()
    assert len(found) > 30
    names = ui.icon_names()
    assert {name: where for name, where in found.items() if name and name not in names} == {}


def test_every_icon_named_in_code_exists():
    from accounts.history import ICONS, MOVEMENT_LOOKS, STAGE_ICONS
    from plgops.views import NAV

    named = {item.icon for group in NAV for item in group.items}
    named |= {*ICONS.values(), *STAGE_ICONS.values(), *(icon for _, icon in MOVEMENT_LOOKS.values())}
    assert named - ui.icon_names() == set()


def test_icon_is_hidden_from_screen_readers():
    assert ui.icon("x", "sm").startswith('<svg class="i sm" viewBox="0 0 24 24" aria-hidden="true"><path')


def test_an_unknown_icon_stops_the_template():
    with pytest.raises(KeyError):
        ui.icon("no-such-icon")


@pytest.mark.parametrize(
    "html",
    [
        ui.badge(HOSTILE, HOSTILE),
        ui.avatar(HOSTILE, HOSTILE, HOSTILE),
        ui.kbd(HOSTILE),
        charts.sparkline([1, 2], HOSTILE, None, HOSTILE),
        charts.hbar(5, HOSTILE, HOSTILE),
        charts.stack([(50, HOSTILE, HOSTILE)]),
        charts.legend([charts.Series(HOSTILE, [], css=HOSTILE)]),
        charts.area(
            charts.AreaChart(
                title=HOSTILE,
                description=HOSTILE,
                series=[charts.Series(HOSTILE, [1, 2], css=HOSTILE)],
                labels=[(0, HOSTILE)],
                top=2,
                ticks=[0, 1],
                marks=[charts.Mark(x=50, y=1, label=HOSTILE)],
            )
        ),
        charts.columns(
            charts.ColumnChart(
                title=HOSTILE,
                description=HOSTILE,
                bars=[charts.Bar([(1, HOSTILE)], HOSTILE)],
                labels=[(0, HOSTILE)],
                top=2,
                ticks=[0, 1],
                tick_text=lambda value: HOSTILE,
            )
        ),
    ],
)
def test_what_comes_from_data_is_escaped(html):
    assert "<script>" not in html
    assert html.count('"') % 2 == 0
    assert 'style="' not in html


@pytest.mark.parametrize(
    ("name", "initials"),
    [("Priya Raman", "PR"), ("dana@fieldnote.test", "DF"), ("Harbor & Pine", "HP"), ("", "?"), ("Ōkami", "Ō")],
)
def test_avatar_shows_initials(name, initials):
    assert f">{initials}</span>" in ui.avatar(name)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "just now"), (720, "12m ago"), (3 * 3600, "3h ago"), (5 * 86_400, "5d ago"), (-7200, "in 2h")],
)
def test_since_is_short(seconds, words):
    with time_machine.travel(NOW, tick=False):
        assert ui.since(NOW - dt.timedelta(seconds=seconds)) == words


def test_since_names_the_date_when_it_is_long_ago():
    with time_machine.travel(NOW, tick=False):
        assert ui.since(NOW - dt.timedelta(days=70)) == "6 Apr"
        assert ui.since(NOW - dt.timedelta(days=400)) == "11 May 2025"


def test_ago_keeps_the_exact_moment():
    with time_machine.travel(NOW, tick=False):
        html = ui.ago(NOW - dt.timedelta(minutes=12))
    assert 'datetime="2026-06-15T08:48:00+00:00"' in html
    assert html.endswith(">12m ago</time>")
    assert ui.ago(None, "Not yet") == '<span class="mut">Not yet</span>'


@pytest.mark.parametrize(
    ("days_ago", "words"), [(0, "Today"), (1, "Yesterday"), (3, "Friday, 12 Jun"), (300, "Tuesday, 19 Aug 2025")]
)
def test_day_word(days_ago, words):
    with time_machine.travel(NOW, tick=False):
        assert ui.day_word(NOW.date() - dt.timedelta(days=days_ago)) == words


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [
        (Decimal("1175.00"), "USD", "$1,175"),
        (Decimal("1249.5"), "EUR", "€1,249.50"),
        (Decimal("-5"), "USD", "−$5"),
        (3, "CHF", "CHF 3"),
        (None, "USD", ""),
    ],
)
def test_money(amount, currency, words):
    assert ui.money(amount, currency) == words


def test_numbers():
    assert [ui.n(1234567), ui.n(Decimal("2.00")), ui.n("many")] == ["1,234,567", "2", "many"]
    assert [ui.signed(42), ui.signed(-7), ui.signed(0)] == ["+42", "−7", "0"]
    assert [ui.capped(99), ui.capped(100)] == ["99", "99+"]
    assert [ui.span(45), ui.span(dt.timedelta(hours=50)), ui.span(5400)] == ["45s", "2d", "1h"]


class SomeForm(forms.Form):
    size = forms.IntegerField(max_value=100, help_text="In percent.")
    sure = forms.BooleanField(required=False)


def test_field_ties_label_help_and_error_to_the_control():
    form = SomeForm({"size": "185"})
    html = ui.field(form["size"], "Size")
    assert '<label for="id_size">Size</label>' in html
    assert 'aria-describedby="id_size_helptext id_size_error"' in html
    assert 'aria-invalid="true"' in html
    assert 'id="id_size_error"' in html and "less than or equal to 100" in html


def test_field_without_trouble_says_nothing():
    html = ui.field(SomeForm()["sure"])
    assert "aria-invalid" not in html and "aria-describedby" not in html
    assert '<label class="row">' in html


@pytest.mark.parametrize(
    ("highest", "ticks"), [(0, [0]), (1, [0, 1]), (3, [0, 1, 2, 3]), (23, [0, 10, 20]), (1400, [0, 500, 1000])]
)
def test_axis_is_round_and_holds_the_highest(highest, ticks):
    top, found = charts.nice_top(highest)
    assert found == ticks
    assert top >= highest


def test_sparkline_of_nothing_and_of_one():
    assert charts.sparkline([]) == ""
    assert "M0 4.76L100 4.76" in charts.sparkline([3])


def test_hbar_never_leaves_its_track():
    assert 'width="100%" height="100%" rx="3"/></svg>' in charts.hbar(250)


def test_tags_need_no_load():
    assert Template('{% badge "Yours" "accent" %}').render(Context()) == (
        '<span class="badge" data-tone="accent">Yours</span>'
    )
