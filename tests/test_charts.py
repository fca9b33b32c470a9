"""Charts: what a click opens, columns beside each other, intervals, and that nothing of the data gets out as markup."""

import re

import pytest

from plgops.templatetags import charts
from plgops.templatetags.charts import Bar, ColumnChart, Interval


def drawn(*bars, **more):
    chart = ColumnChart(title="A", description="B", bars=bars, labels=[], top=10, ticks=[0, 5], **more)
    return charts.columns(chart)


def test_a_bar_asks_for_what_is_behind_it_but_is_no_stop_of_the_keyboard():
    text = drawn(
        Bar([(5, "f2")], "five", {"href": "/x", "hx-get": "/x?a=1&b=2", "data-open": "behind"}), Bar([], "none")
    )
    assert '<g class="col" hx-get="/x?a=1&amp;b=2" data-open="behind" data-tip="five">' in text
    assert "href" not in text and "tabindex" not in text
    assert '<g class="col" data-tip="none">' in text


def test_columns_stand_beside_each_other_within_their_step():
    bars, beside = [Bar([(4, "f1")], "a"), Bar([(2, "f1")], "b")], [Bar([(3, "f2")], "c"), Bar([(1, "f2")], "d")]
    text = drawn(*bars, beside=beside)
    placed = re.findall(r'<rect class="(f\d)" x="([\d.]+)%" y="([\d.]+)%" width="([\d.]+)%"', text)
    assert placed == [
        ("f1", "5", "60", "20"), ("f2", "25", "70", "20"), ("f1", "55", "80", "20"), ("f2", "75", "90", "20"),
    ]  # fmt: skip


def test_an_interval_on_its_scale():
    text = charts.whisker(Interval(0.25, 0.1, 0.5, top=0.5, mark=0.2, css="c3"))
    assert 'class="whisker c3"' in text and 'cx="50%"' in text
    assert re.findall(r'class="wh-bar" x1="([\d.]+)%" x2="([\d.]+)%"', text) == [
        ("20", "100"),
        ("20", "20"),
        ("100", "100"),
    ]
    assert 'class="wh-mark" x1="40%"' in text
    assert "wh-dot" not in charts.whisker(Interval(None, None, None, top=1))


def test_a_number_opens_what_is_behind_it():
    assert charts.behind("1,234", {}) == '<span class="num">1,234</span>'
    link = charts.behind("<b>", {"href": '/x?"', "hx-get": "/x"})
    assert link == '<a class="link num" href="/x?&quot;" hx-get="/x">&lt;b&gt;</a>'
    button = charts.behind("7", {"form": "draft", "formaction": "/x"})
    assert button == '<button class="link plain num" form="draft" formaction="/x">7</button>'


@pytest.mark.parametrize(("value", "words"), [(None, "–"), (0, "0.0%"), (0.1234, "12.3%"), (1, "100.0%")])
def test_shares_in_percent(value, words):
    assert charts.as_percent(value) == words
