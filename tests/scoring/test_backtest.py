"""Backtests: by hand on few accounts, and against a plain day-by-day count on random ones."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from scoring import stats
from scoring.backtest import lists, uncertain
from scoring.backtest.lists import Wanted
from scoring.backtest.score import NEVER, History, Week, score


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
    assert [(m.account_id, m.outcome_day, m.flag_day) for m in result.missed] == [
        (2, 155, 110)
    ]  # flagged, but 45 days before: not within 30
    assert (result.recall.hits, result.recall.of) == (1, 2)
    assert result.lead_days == (15, 15, 15)


def test_a_flag_is_open_until_its_days_are_over_even_if_it_paid_already():
    """Else quick successes would count and slow failures would not."""
    result = run(
        History(1, 90, outcomes=[155], held=[(150, 500)]),  # paid after 5 days, of which 30 are not over on day 170
        History(2, 90, held=[(150, 500)]),
        History(3, 90, outcomes=[130], held=[(120, 500)]),
        until=170,
    )
    assert [flag.verdict for flag in result.flags] == ["open", "open", "right"]
    assert (result.precision.hits, result.precision.of) == (1, 1)
    assert (result.recall.hits, result.recall.of) == (2, 2)  # both were warned of
    assert result.lead_days[1] == 10
    assert [row.account_id for row in lists.rows(result, Wanted("caught"))] == [1, 3]


def test_a_rule_that_holds_from_the_day_of_paying_on_warns_nobody():
    result = run(History(1, 90, outcomes=[125], held=[(125, 500)]))
    assert (result.flags, [m.account_id for m in result.missed]) == ((), [1])


def test_who_paid_before_the_period_or_qualified_before_it_is_left_out():
    result = run(
        History(1, 50, outcomes=[99, 140], held=[(110, 120)]),
        History(2, 50, held=[(90, 130)], outcomes=[140]),
        History(3, 50, held=[(90, 95), (105, 130)]),  # lapsed before: may be flagged again
    )
    assert (list(result.at_risk.account_ids), list(result.standing.account_ids)) == ([3], [2])
    assert [flag.account_id for flag in result.flags] == [3]


def test_who_signs_up_in_the_period_is_at_risk_from_then_on():
    result = run(History(1, 120, held=[(120, 500)]), History(2, 161, held=[(161, 500)]))
    assert [(flag.account_id, flag.day) for flag in result.flags] == [(1, 120)]
    assert len(result.at_risk) == 1


def test_flags_that_sales_worked_are_told_apart():
    result = run(
        History(1, 90, outcomes=[125], held=[(110, 120)], claims=[112]),
        History(2, 90, held=[(110, 120)], claims=[150]),  # claimed after the 30 days
        History(3, 90, outcomes=[125], held=[(110, 120)], claims=[80]),  # claimed 30 days before the flag
        History(4, 90, outcomes=[125], held=[(110, 120)], claims=[79]),  # longer ago than that
        History(5, 90, outcomes=[125], held=[(110, 120)], claims=[126]),  # claimed after it paid
    )
    assert [flag.account_id for flag in result.flags if flag.worked] == [1, 3]
    assert (result.worked.hits, result.worked.of) == (2, 2)
    assert (result.untouched.hits, result.untouched.of) == (2, 3)


def test_weeks_and_months():
    result = run(
        History(1, 90, outcomes=[115], held=[(100, 120)]),
        History(2, 130, held=[(137, 140)]),
        last=140,
    )
    empty = [Week(first, 0, 0, 0) for first in (107, 114, 121, 128)]
    assert result.weeks == (Week(100, 1, 0, 0), *empty, Week(135, 0, 1, 0))
    assert [(c.month, c.at_risk, c.flags) for c in result.cohorts] == [("1970-04", 1, 1), ("1970-05", 1, 1)]
    assert [(c.precision.hits, c.precision.of, c.recall.hits, c.recall.of) for c in result.cohorts] == [
        (1, 1, 1, 1), (0, 1, 0, 0),
    ]  # fmt: skip
    assert result.per_week == pytest.approx(7 * 2 / 41)
    assert result.lift == pytest.approx(0.5 / result.base_rate)


def test_a_customers_outcome_is_possible_from_its_first_payment_on():
    result = run(
        History(1, 80, outcomes=[130], held=[(85, 400)], risk_day=90),  # it held before the period already
        History(2, 80, outcomes=[130], held=[(105, 400)], risk_day=110),  # it held on the day before the payment
        History(3, 80, outcomes=[130], held=[(112, 400)], risk_day=110),
        History(4, 80, held=[(105, 400)], risk_day=161),  # paid after the period
        History(5, 110, outcomes=[130], held=[(110, 400)], risk_day=110),  # signed up with a payment
    )
    assert list(result.standing.account_ids) == [1, 2]
    assert [(flag.account_id, flag.day) for flag in result.flags] == [(3, 112), (5, 110)]
    # at risk 110 to 129: each day's next 30 days hold the outcome
    assert result.base_rate == 1


# --- the accounts behind the numbers ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed():
    return run(
        History(1, 90, outcomes=[125], held=[(110, 120)], claims=[112]),
        History(2, 90, outcomes=[155], held=[(110, 500)]),  # flagged 45 days before
        History(3, 95, held=[(111, 500)]),
        History(4, 90, held=[(159, 500)]),
        History(5, 120, outcomes=[120]),  # paid on the day of its sign-up
        History(6, 121, outcomes=[150], held=[(150, 400)]),
        History(7, 50, held=[(90, 500)]),
        History(8, 90),
        until=188,
    )


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ("at_risk", [1, 2, 3, 4, 5, 6, 8]),
        ("standing", [7]),
        ("flagged", [4, 3, 1, 2]),  # the newest first
        ("judged", [3, 1, 2]),
        ("right", [1]),
        ("wrong", [3, 2]),
        ("open", [4]),
        ("outcomes", [2, 6, 1, 5]),
        ("caught", [1]),
        ("missed", [2, 6, 5]),
        ("early", [2]),
        ("sudden", [5]),
        ("lacking", [6]),
        ("worked", [1]),
        ("worked_right", [1]),
        ("untouched", [3, 2]),
        ("untouched_right", []),
    ],
)
def test_every_number_leads_to_its_accounts(mixed, of, expected):
    assert [row.account_id for row in lists.rows(mixed, Wanted(of))] == expected
    numbers = {
        "at_risk": len(mixed.at_risk), "standing": len(mixed.standing), "flagged": len(mixed.flags),
        "judged": mixed.precision.of, "right": mixed.right, "wrong": mixed.wrong, "open": mixed.open,
        "outcomes": mixed.recall.of, "caught": mixed.recall.hits, "missed": len(mixed.missed),
        "worked": mixed.worked.of, "worked_right": mixed.worked.hits,
        "untouched": mixed.untouched.of, "untouched_right": mixed.untouched.hits,
    }  # fmt: skip
    assert numbers.get(of, len(expected)) == len(expected)


def test_lists_are_narrowed_by_week_month_and_lead_time(mixed):
    def ids(**narrowed):
        return [row.account_id for row in lists.rows(mixed, Wanted("flagged", **narrowed))]

    assert (ids(week=107), ids(week=156), ids(week=100)) == ([3, 1, 2], [4], [])
    assert (ids(month="1970-04"), ids(month="1970-05")) == ([4, 3, 1, 2], [])
    assert (ids(lead=(1, 15)), ids(lead=(16, 60))) == ([1], [2])
    assert [row.account_id for row in lists.rows(mixed, Wanted("at_risk", month="1970-05"))] == [5, 6]


def test_what_only_one_of_two_flags(mixed):
    other = run(History(1, 90, outcomes=[125], held=[(101, 102)]), History(9, 90, held=[(101, 102)]))
    assert [row.account_id for row in lists.rows(mixed, Wanted("only"), other=other)] == [4, 3, 2]
    assert [row.account_id for row in lists.rows(other, Wanted("only"), other=mixed)] == [9]
    assert [row.account_id for row in lists.rows(other, Wanted("both"), other=mixed)] == [1]
    with pytest.raises(ValueError, match="only"):
        lists.rows(mixed, Wanted("only"))


def test_every_list_has_a_title_and_every_title_a_list(mixed):
    for of in lists.TITLES:
        lists.rows(mixed, Wanted(of), other=mixed)
    with pytest.raises(ValueError, match="there is no list"):
        lists.rows(mixed, Wanted("there is no list"))


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


@settings(  # on a busy machine it draws slowly, and shrinking takes minutes
    deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.too_slow]
)
@given(found=st.lists(histories, max_size=6), within=st.integers(1, 50))
def test_everything_by_counting_days(found, within):
    """Another way to the same: each account's days one after the other."""
    result = run(*found, within=within)
    exposed = converted = 0
    flags, at_risk, standing, caught, missed, lead = [], [], [], 0, [], []
    for one in found:
        holds = {day for first, end in one.held for day in range(first, end)}
        outcome = min(one.outcomes, default=NEVER)
        start = max(100, one.signup_day)
        if start > 160 or outcome < start:
            continue
        if one.signup_day < 100 and 99 in holds:
            standing.append(one.account_id)
            continue
        at_risk.append(one.account_id)
        flagged = None
        for day in range(start, 161):
            if day >= outcome:
                break
            if day + within <= 200:
                exposed += 1
                converted += outcome <= day + within
            if day in holds and flagged is None:
                flagged = day
        if flagged is not None:
            known = range(flagged, min(flagged + within, 200) + 1)
            paid = outcome in known
            verdict = "open" if len(known) <= within else "right" if paid else "wrong"
            flags.append((one.account_id, flagged, verdict))
            lead += [outcome - flagged] if verdict == "right" else []
        if outcome <= 160:
            in_time = flagged is not None and outcome - flagged <= within
            caught += in_time
            missed += [] if in_time else [one.account_id]
    assert [(flag.account_id, flag.day, flag.verdict) for flag in result.flags] == flags
    assert (list(result.at_risk.account_ids), list(result.standing.account_ids)) == (at_risk, standing)
    assert result.base_rate == (converted / exposed if exposed else None)
    verdicts = [verdict for _, _, verdict in flags]
    assert (result.right, result.wrong, result.open) == tuple(verdicts.count(v) for v in ("right", "wrong", "open"))
    assert (result.precision.hits, result.precision.of) == (result.right, result.right + result.wrong)
    assert ([one.account_id for one in result.missed], result.recall.hits) == (missed, caught)
    assert result.lead_days[1] == (statistics.median(lead) if lead else None)
    assert sum(week.flags for week in result.weeks) == sum(cohort.flags for cohort in result.cohorts) == len(flags)
    assert result.worked.of + result.untouched.of == result.precision.of


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


# --- how certain ----------------------------------------------------------------------------------------------


def random_histories(seed, size, *, early=0.0):
    """Accounts of which some pay; a rule that holds for most payers and some others, `early` of those too early."""
    draw = random.Random(seed)
    for account in range(size):
        pays = draw.random() < 0.2
        held = draw.random() < (0.7 if pays else 0.15)
        day = draw.randrange(100, 150)
        flagged = day - (40 if draw.random() < early else 12)
        yield History(account, 50, outcomes=[day] if pays else [], held=[(max(100, flagged), 400)] if held else [])


def resampled(histories, seed):
    """A sample of the same size with replacement, under ids of their own; and the ids that it came from."""
    draw = random.Random(seed)
    return [replace(draw.choice(histories), account_id=number) for number in range(len(histories))]


def test_the_interval_of_f1_is_as_wide_as_the_bootstrap_says():
    histories = list(random_histories(1, 800))
    found = uncertain.f1(run(*histories))
    again = sorted(run(*resampled(histories, seed)).f1 for seed in range(400))
    low, high = again[10], again[-11]
    assert found.low < found.value < found.high
    assert (found.low, found.high) == (pytest.approx(low, abs=0.015), pytest.approx(high, abs=0.015))


def two_rules(seed, size):
    """The same accounts under two rules, of which the second is a laxer one."""
    first = list(random_histories(seed, size))
    draw = random.Random(-seed)
    second = [one if one.held or draw.random() < 0.9 else replace(one, held=[(120, 400)]) for one in first]
    return first, second


@pytest.mark.parametrize("figure", [uncertain.precision, uncertain.recall, uncertain.f1])
def test_a_difference_of_two_versions_is_as_certain_as_the_bootstrap_says(figure):
    first, second = two_rules(3, 800)
    found = uncertain.less(figure(run(*first)), figure(run(*second)))
    pairs = list(zip(first, second, strict=True))
    again = []
    for seed in range(400):
        draw = random.Random(seed)
        drawn = [draw.choice(pairs) for _ in pairs]
        one, other = (
            run(*(replace(pair[side], account_id=number) for number, pair in enumerate(drawn))) for side in (0, 1)
        )
        again.append(figure(one).value - figure(other).value)
    again.sort()
    assert (found.low, found.high) == (pytest.approx(again[10], abs=0.02), pytest.approx(again[-11], abs=0.02))


def test_what_cannot_be_told_has_no_interval():
    nobody = run(History(1, 90, outcomes=[125]))
    assert (uncertain.f1(nobody).value, uncertain.less(uncertain.f1(nobody), uncertain.f1(nobody)).value) == (
        None,
        None,
    )
    perfect = run(History(1, 90, outcomes=[125], held=[(110, 500)]))
    assert (uncertain.f1(perfect).value, uncertain.f1(perfect).low) == (1.0, None)
    same = uncertain.less(uncertain.precision(perfect), uncertain.precision(perfect))
    assert same.value == 0 and same.low < 0 < same.high
