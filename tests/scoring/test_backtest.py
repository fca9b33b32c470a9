"""Backtests: by hand on few accounts, and against a plain day-by-day count on random ones."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring import stats
from scoring.backtest import NEVER, History, score


def run(*histories, first=100, last=160, within=30, until=200):
    return score(histories, from_day=first, to_day=last, within=within, known_until=until)


def test_a_flag_is_right_wrong_or_open():
    result = run(
        History(1, 90, outcomes=[125], held=[(110, 120)]),  # paid 15 days after
        History(2, 90, outcomes=[155], held=[(110, 500)]),  # paid 45 days after
        History(3, 90, held=[(110, 500)]),  # never paid
        History(4, 90, held=[(159, 500)]),  # 159 + 30 <= 200: known
        History(5, 90, held=[(101, 102)], outcomes=[199]),
        until=188,
    )
    assert [(f.account_id, f.day, f.verdict) for f in result.flags] == [
        (1, 110, "right"), (2, 110, "wrong"), (3, 110, "wrong"), (4, 159, "open"), (5, 101, "wrong"),
    ]  # fmt: skip
    assert (result.precision.hits, result.precision.of) == (1, 4)
    assert result.missed == (2,)  # flagged, but 45 days before: not within 30
    assert (result.recall.hits, result.recall.of) == (1, 2)
    assert result.lead_days == (15, 15, 15)


def test_a_rule_that_holds_from_the_day_of_paying_on_warns_nobody():
    result = run(History(1, 90, outcomes=[125], held=[(125, 500)]))
    assert (result.flags, result.missed) == ((), (1,))


def test_who_paid_before_the_period_or_qualified_before_it_is_left_out():
    result = run(
        History(1, 50, outcomes=[99, 140], held=[(110, 120)]),
        History(2, 50, held=[(90, 130)], outcomes=[140]),
        History(3, 50, held=[(90, 95), (105, 130)]),  # lapsed before: may be flagged again
    )
    assert (result.at_risk, result.standing) == (1, 1)
    assert [flag.account_id for flag in result.flags] == [3]


def test_who_signs_up_in_the_period_is_at_risk_from_then_on():
    result = run(History(1, 120, held=[(120, 500)]), History(2, 161, held=[(161, 500)]))
    assert [(flag.account_id, flag.day) for flag in result.flags] == [(1, 120)]
    assert result.at_risk == 1


def test_flags_that_sales_worked_are_told_apart():
    result = run(
        History(1, 90, outcomes=[125], held=[(110, 120)], claims=[112]),
        History(2, 90, held=[(110, 120)], claims=[150]),  # claimed after the 30 days
        History(3, 90, outcomes=[125], held=[(110, 120)], claims=[105]),  # claimed before the flag
    )
    assert (result.worked.hits, result.worked.of) == (1, 1)
    assert (result.untouched.hits, result.untouched.of) == (1, 2)


def test_weeks_and_months():
    result = run(
        History(1, 90, outcomes=[115], held=[(100, 120)]),
        History(2, 130, held=[(137, 140)]),
        last=140,
    )
    assert result.weeks == ((100, 1, 1), (107, 0, 0), (114, 0, 0), (121, 0, 0), (128, 0, 0), (135, 1, 0))
    assert [(c.month, c.at_risk) for c in result.cohorts] == [("1970-04", 1), ("1970-05", 1)]
    assert result.per_week == pytest.approx(7 * 2 / 41)


def test_a_period_after_the_data_is_refused():
    with pytest.raises(ValueError, match="period"):
        run(last=201)


spans = st.lists(st.tuples(st.integers(90, 205), st.integers(1, 40)), max_size=3).map(
    lambda found: _apart(sorted((first, first + length) for first, length in found))
)


def _apart(found):
    kept = []
    for first, end in found:
        if not kept or first > kept[-1][1]:
            kept.append((first, end))
    return kept


histories = st.builds(
    History,
    account_id=st.integers(1, 9),
    signup_day=st.integers(80, 170),
    outcomes=st.lists(st.integers(95, 200), max_size=2, unique=True).map(sorted),
    claims=st.just([]),
    held=spans,
)


@given(found=st.lists(histories, max_size=6), within=st.integers(1, 50))
def test_base_rate_and_flags_by_counting_days(found, within):
    result = run(*found, within=within)
    exposed = converted = 0
    flags = []
    for one in found:
        holds = {day for first, end in one.held for day in range(first, end)}
        outcome = min(one.outcomes, default=NEVER)
        start = max(100, one.signup_day)
        if start > 160 or outcome < start or (one.signup_day < 100 and 99 in holds):
            continue
        for day in range(start, 161):
            if day < outcome and day + within <= 200:
                exposed += 1
                converted += outcome <= day + within
        first = next((day for day in range(start, 161) if day in holds), None)
        if first is not None and first < outcome:
            flags.append((one.account_id, first))
    assert [(flag.account_id, flag.day) for flag in result.flags] == flags
    assert result.base_rate == (converted / exposed if exposed else None)


def test_intervals_are_wilsons():
    # Newcombe (1998), table I: 81 of 263 and 15 of 148, 0 of 20, 1 of 29
    for hits, of, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = stats.share(hits, of)
        assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert stats.share(0, 0).value is None


def test_quantiles_and_f1():
    assert stats.quantile([1, 2, 3, 4], 0.5) == 2.5
    assert stats.quantile([5], 0.25) == 5
    assert stats.quantile([], 0.5) is None
    assert math.isclose(stats.f1(0.5, 0.25), 1 / 3)
    assert stats.f1(0.0, 0.0) == 0.0
    assert stats.f1(None, 0.2) is None
