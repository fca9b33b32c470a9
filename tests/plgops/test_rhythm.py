"""Counts against their own past."""

import math
import random

import pytest

from plgops.lib import rhythm

TODAY = 20_000


def poisson(mean, draw):
    """Knuth: how many steps until the product of chances falls below e^-mean."""
    limit, product, count = math.exp(-mean), draw.random(), 0
    while product > limit:
        product *= draw.random()
        count += 1
    return count


def test_what_is_usual_follows_the_weekday():
    counts = {day: 100 if day % 7 < 5 else 10 for day in range(TODAY - 56, TODAY)}
    usual = rhythm.usual(counts, first=TODAY - 56, last=TODAY - 1)
    assert usual.expected(TODAY, TODAY + 6) == 520
    assert usual.dispersion == 1.0
    assert {usual.expected(day, day) for day in range(TODAY, TODAY + 7)} == {100, 10}


def test_only_whole_weeks_count_and_too_short_a_past_says_nothing():
    counts = dict.fromkeys(range(TODAY - 30, TODAY), 7)
    assert rhythm.usual(counts, first=TODAY - 30, last=TODAY - 1).means == (7,) * 7
    assert rhythm.usual(counts, first=TODAY - 20, last=TODAY - 1) is None
    assert rhythm.usual(counts, first=TODAY - 21, last=TODAY - 1) is not None


def test_bursts_scatter_more_than_chance():
    one_burst = {TODAY - 3: 1000}
    usual = rhythm.usual(one_burst, first=TODAY - 56, last=TODAY - 1)
    assert usual.dispersion == pytest.approx(1000)  # as if it were one event of a thousand
    assert not rhythm.is_silent(usual.expected(TODAY, TODAY + 13), usual.dispersion)


@pytest.mark.parametrize(("expected", "dispersion", "silent"), [(6.9, 1, False), (7.0, 1, True), (70, 11, False)])
def test_silence_is_less_likely_than_once_in_a_thousand(expected, dispersion, silent):
    assert rhythm.is_silent(expected, dispersion) is silent
    assert (math.exp(-expected / dispersion) < 0.001) is silent


@pytest.mark.parametrize(
    ("count", "expected", "dispersion", "more"),
    [
        (200, 100, 1, True),
        (199, 100, 1, False),  # not twice as many
        (4, 2, 1, False),  # chance does that often
        (9, 2, 1, True),
        (200, 100, 60, False),  # it scatters that much anyway
        (5, 0, 1, False),
        (10**9, 10**8, 1, True),
    ],
)
def test_more_is_twice_as_many_and_no_chance(count, expected, dispersion, more):
    assert rhythm.is_more(count, expected, dispersion) is more


@pytest.mark.parametrize(("count", "mean", "chance"), [(9, 2, 0.000237), (3, 1, 0.080301), (20, 10, 0.003454)])
def test_the_tail_is_that_of_the_poisson_distribution(count, mean, chance):
    """Against the tables: P(X >= count)."""
    assert rhythm._chance_of_at_least(count, mean) == pytest.approx(chance, rel=1e-2)


@pytest.mark.parametrize("a_week", [0.5, 3, 20, 400])
def test_chance_alone_raises_no_alarm(a_week):
    """A thousand quiet and busy days of a steady process: at most one alarm in a hundred looks."""
    draw = random.Random(a_week)
    alarms = 0
    for _ in range(300):
        counts = {day: poisson(a_week / 7, draw) for day in range(TODAY - 59, TODAY)}
        last = max((day for day, count in counts.items() if count), default=TODAY - 1)
        usual = rhythm.usual(counts, first=TODAY - 59, last=last)
        if usual is not None and last < TODAY - 1:
            alarms += rhythm.is_silent(usual.expected(last + 1, TODAY - 1), usual.dispersion)
        usual = rhythm.usual(counts, first=TODAY - 59, last=TODAY - 4)
        if usual is not None:
            recent = sum(counts[day] for day in range(TODAY - 3, TODAY))
            alarms += rhythm.is_more(recent, usual.expected(TODAY - 3, TODAY - 1), usual.dispersion)
    assert alarms <= 6
