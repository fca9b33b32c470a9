"""The statistics of a discovery, against known values, scipy, and simulation."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.optimize import isotonic_regression
from sklearn.metrics import roc_auc_score

from scoring import stats
from scoring.discovery import shape, yardstick
from scoring.discovery.asked import ANY, Asked, Condition, Half, Population
from scoring.discovery.shape import Bin, bins, chi_bar_p, chi_square_tail, isotonic
from scoring.discovery.told import LONGEST_TITLE, slug, text, title

CELL = st.integers(0, 60)


def table(a, b, c, d):
    return stats.Table(a, b, c, d)


@given(CELL, CELL, CELL, CELL)
def test_fisher_and_chi_square_are_scipys(a, b, c, d):
    one = table(a, b, c, d)
    if not one.doing * (one.of - one.doing) * one.hits * (one.of - one.hits):
        assert stats.chi_square_p(one) == 1
        return
    assert stats.fisher_p(one) == pytest.approx(scipy_stats.fisher_exact([[a, b], [c, d]])[1], abs=1e-6)
    expected = scipy_stats.chi2_contingency([[a, b], [c, d]], correction=False)[1]
    assert stats.chi_square_p(one) == pytest.approx(expected, abs=1e-9)


def test_the_lady_tasting_tea():
    """Fisher (1935): 3 of 4 cups right has p 0.486, all four 0.029."""
    assert stats.fisher_p(table(3, 1, 1, 3)) == pytest.approx(0.4857, abs=1e-4)
    assert stats.fisher_p(table(4, 0, 0, 4)) == pytest.approx(0.0286, abs=1e-4)


def test_an_exact_test_where_few_are_expected_and_never_with_clusters():
    few = table(3, 17, 10, 400)
    assert stats.association_p(few) == stats.fisher_p(few)
    assert stats.association_p(few, design=2.0) == stats.chi_square_p(few, design=2.0)
    many = table(30, 170, 100, 4000)
    assert stats.association_p(many) == stats.chi_square_p(many)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_q_values_are_benjamini_and_hochbergs(p_values):
    expected = scipy_stats.false_discovery_control(p_values)
    assert stats.false_discovery(p_values) == pytest.approx(list(expected))


def test_things_that_were_tried_and_not_kept_count():
    assert stats.false_discovery([0.01, 0.02]) == pytest.approx([0.02, 0.02])
    assert stats.false_discovery([0.01, 0.02], tried=10) == pytest.approx([0.1, 0.1])
    assert stats.false_discovery([]) == []


def test_lift_odds_and_information_by_hand():
    one = table(30, 70, 20, 180)  # 30% of 100 against 10% of 200; 50 of 300 in all
    lift = stats.lift(one)
    assert lift.value == pytest.approx(0.3 / (50 / 300))
    odds = stats.odds_ratio(one)
    assert odds.value == pytest.approx(30 * 180 / (70 * 20))
    spread = 1.959964 * math.sqrt(1 / 30 + 1 / 70 + 1 / 20 + 1 / 180)
    assert (odds.low, odds.high) == pytest.approx((odds.value / math.exp(spread), odds.value * math.exp(spread)))
    entropy = lambda p: -p * math.log2(p) - (1 - p) * math.log2(1 - p)  # noqa: E731
    assert stats.mutual_information(one) == pytest.approx(entropy(50 / 300) - (entropy(0.3) / 3 + entropy(0.1) * 2 / 3))
    assert stats.mutual_information(table(0, 50, 50, 0)) == pytest.approx(1)  # doing it tells everything


def test_ratios_at_their_edges():
    assert stats.lift(table(0, 10, 5, 10)) == stats.Ratio(0.0, None, None)
    assert stats.lift(table(0, 0, 5, 10)) == stats.Ratio(None, None, None)
    assert stats.odds_ratio(table(5, 5, 0, 0)) == stats.Ratio(None, None, None)
    assert stats.odds_ratio(table(0, 10, 5, 10)).value == pytest.approx(0.5 * 10.5 / (10.5 * 5.5))


def test_the_interval_of_the_lift_covers_the_truth():
    """19 of 20 times, by simulation: 300 subjects, a third do it, 40% against 15%."""
    luck = random.Random(8)
    truth = 0.4 / (0.4 / 3 + 0.15 * 2 / 3)
    covered = 0
    for _ in range(1000):
        cells = [0, 0, 0, 0]
        for _ in range(300):
            doing = luck.random() < 1 / 3
            hit = luck.random() < (0.4 if doing else 0.15)
            cells[(0 if hit else 1) if doing else (2 if hit else 3)] += 1
        lift = stats.lift(table(*cells))
        covered += lift.low <= truth <= lift.high
    assert 930 <= covered <= 970


def test_design_effects_widen_what_is_told():
    """Five people of one account that all pay or none: as many answers as accounts."""
    clusters, size, hits = 100, 5, 30
    share = hits / clusters
    squares = size**2 * (hits * (1 - share) ** 2 + (clusters - hits) * share**2)
    design = stats.design_effect(clusters, clusters * size, hits * size, squares)
    assert design == pytest.approx(5 * 100 / 99)
    assert stats.design_effect(1, 5, 2, 1.0) == stats.design_effect(50, 50, 0, 0.0) == 1
    plain, wide = stats.share(150, 500), stats.share(150, 500, design=5)
    assert (wide.low, wide.high) == pytest.approx((stats.share(30, 100).low, stats.share(30, 100).high))
    assert plain.value == wide.value
    one = table(30, 70, 20, 180)
    assert stats.lift(one, design=4).high > stats.lift(one).high
    assert stats.chi_square_p(one, design=4) > stats.chi_square_p(one)


# --- the shape of a dose --------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 50)), min_size=1, max_size=12))
def test_isotonic_regression_is_scipys(points):
    values, weights = [v for v, _ in points], [float(w) for _, w in points]
    for falling in (False, True):
        other = isotonic_regression(values, weights=weights, increasing=not falling).x
        assert isotonic(values, weights, falling=falling) == pytest.approx(list(other), abs=1e-9)


@pytest.mark.parametrize("freedom", range(1, 12))
@pytest.mark.parametrize("value", [0.0, 0.3, 2.0, 9.5, 40.0])
def test_the_chi_square_tail_is_scipys(value, freedom):
    assert chi_square_tail(value, freedom) == pytest.approx(scipy_stats.chi2.sf(value, freedom), abs=1e-12)


@pytest.mark.parametrize("levels", [3, 5, 8])
def test_the_test_of_monotone_curves_keeps_its_level(levels):
    """Of equal bins with no difference, one in twenty looks uneven at 5%."""
    draws = np.random.default_rng(4).normal(size=(4000, levels))
    found = 0
    for row in draws:
        values = list(row)
        fit = isotonic(values, [1.0] * levels)
        found += chi_bar_p(sum((v - f) ** 2 for v, f in zip(values, fit, strict=True)), levels) <= 0.05
    assert 0.038 <= found / 4000 <= 0.062


def curve(*shares, of=400):
    return [Bin(i, i, of, round(of * share), of, round(of * share)) for i, share in enumerate(shares)]


@pytest.mark.parametrize(
    ("shares", "kind"),
    [
        ((0.05, 0.1, 0.2, 0.3), "rises"),
        ((0.3, 0.2, 0.1, 0.05), "falls"),
        ((0.1, 0.1, 0.1, 0.1), "level"),
        ((0.05, 0.3, 0.3, 0.05), "peaks"),
        ((0.3, 0.05, 0.05, 0.3), "dips"),
        ((0.05, 0.2), "rises"),
    ],
)
def test_what_a_curve_does(shares, kind):
    told = shape.shape(curve(*shares))
    assert told.kind == kind
    if kind == "peaks":
        assert told.peak == (1, 2) and told.p < 0.001


def test_a_slight_dent_is_no_peak_and_clusters_are_heard():
    assert shape.shape(curve(0.10, 0.20, 0.19)).kind == "rises"
    assert shape.shape(curve(0.05, 0.3, 0.2)).kind == "peaks"
    assert shape.shape(curve(0.05, 0.3, 0.2), design=9).kind == "rises"


def test_bins_join_where_few_are_and_count_who_did_nothing():
    values = {1: (50, 5, 40, 4), 2: (30, 3, 20, 2), 4: (25, 5, 10, 1), 7: (12, 2, 5, 1), 60: (3, 1, 1, 0)}
    told = bins(values, (300, 20, 200, 12))
    assert [(b.low, b.high) for b in told] == [(0, 0), (1, 1), (2, 2), (3, None)]
    assert [(b.of, b.hits, b.later_of, b.later_hits) for b in told] == [
        (180, 4, 124, 4), (50, 5, 40, 4), (30, 3, 20, 2), (40, 8, 16, 2),
    ]  # fmt: skip
    everybody = bins({1: (95, 5, 40, 4)}, (100, 5, 50, 5))
    assert [(b.low, b.high, b.of) for b in everybody] == [(0, None, 100)]


# --- the yardstick --------------------------------------------------------------------------------------------


def test_the_area_is_sklearns_and_its_interval_covers_the_truth():
    rng = np.random.default_rng(3)
    truth, covered = scipy_stats.norm.cdf(1 / math.sqrt(2)), 0
    for _ in range(400):
        hit = (rng.random(200) < 0.3).astype(int)
        chance = rng.normal(size=200) + hit
        told = yardstick.auc(chance, hit)
        assert told.value == pytest.approx(roc_auc_score(hit, chance))
        covered += told.low <= truth <= told.high
    assert 365 <= covered <= 395
    assert yardstick.auc(np.array([0.1, 0.2]), np.array([0, 0])) == stats.Ratio(None, None, None)
    assert yardstick.auc(np.array([0.1, 0.1, 0.9, 0.9]), np.array([0, 0, 1, 1])).value == 1


def test_a_rule_is_a_curve_with_one_corner():
    one = table(30, 70, 20, 180)
    did = np.array([1] * 100 + [0] * 200)
    hit = np.array([1] * 30 + [0] * 70 + [1] * 20 + [0] * 180)
    assert yardstick.rule_area(one) == pytest.approx(roc_auc_score(hit, did))
    assert yardstick.rule_area(table(0, 5, 0, 5)) is None


def test_calibration_tells_what_came_of_each_tenth():
    """Chances that are true: 19 of 20 tenths hold theirs in their interval."""
    inside = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        chance = rng.random(10_000) * 0.4
        hit = (rng.random(10_000) < chance).astype(int)
        told = yardstick.measured("Perfect", chance, hit)
        assert len(told.calibration) == 10
        inside += sum(came.low <= predicted <= came.high for predicted, came in told.calibration)
    assert 180 <= inside <= 200
    assert told.brier_skill > 0 and len(told.roc) <= yardstick.POINTS
    assert told.roc[0] == (0, 0) and told.roc[-1] == (1, 1)


def test_precision_at_a_volume_shares_out_ties():
    chance = np.array([0.9, 0.5, 0.5, 0.5, 0.5, 0.1])
    hit = np.array([1, 1, 0, 0, 0, 1])
    told = yardstick.measured("Ties", chance, hit)
    assert [(round(predicted, 1), came.of) for predicted, came in told.calibration] == [(0.1, 1), (0.5, 4), (0.9, 1)]
    assert told.precision_of(1 / 6, hit) == 1
    assert told.precision_of(3 / 6, hit) == pytest.approx((1 + 2 * 0.25) / 3)
    assert told.precision_of(0.01, hit) is None


# --- words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Condition(1, "count", 14, 1), "Invite Sent, first 14 days"),
        (Condition(1, "count", 14, 3), "Invite Sent 3+ times, first 14 days"),
        (Condition(1, "count", 1, 1, 1), "Invite Sent 1 time, first day"),
        (Condition(1, "count", 14, 3, 9), "Invite Sent 3 to 9 times, first 14 days"),
        (Condition(1, "days", 7, 2), "Invite Sent on 2+ days, first 7 days"),
        (Condition(0, "users", 7, 2), "Any activity by 2+ people, first 7 days"),
    ],
)
def test_behaviours_in_words(part, words):
    assert text([part], {1: "Invite Sent"}) == words


def test_pairs_say_their_days_once_where_they_are_the_same():
    names = {1: "Invite Sent", 2: "Export Run"}
    same = [Condition(1, "count", 14, 3), Condition(2, "count", 14, 1)]
    assert text(same, names) == "Invite Sent 3+ times and Export Run, first 14 days"
    other = [Condition(1, "count", 14, 3), Condition(2, "count", 7, 1)]
    assert text(other, names) == "Invite Sent 3+ times, first 14 days and Export Run, first 7 days"


def test_slugs_are_sound_whatever_the_event_is_called():
    assert slug("Invite Sent 3+ times, first 14 days") == "invite-sent-3-times-first-14-days"
    assert slug("Приглашение 招待") == "discovered"
    assert len(slug("very long " * 40)) <= 80 and not slug("very long " * 40).endswith("-")


def part(event="Invite Sent", measure="count", low=1, high=None, number=1):
    return {"event": number, "measure": measure, "low": low, "high": high, "rule": {measure: {"event": event}}}


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        ([part(low=3)], "Early Invite Sent ×3"),
        ([part(low=2, high=4)], "Early Invite Sent ×2 to 4"),
        ([part(low=1, high=1)], "Early Invite Sent ×1"),
        ([part(), part("Report Exported", "days", 2)], "Early Invite Sent and Report Exported on 2 days"),
        ([part(["A", "B"], "days", 5, number=ANY)], "Early activity on 5 days"),
        (
            [part("Workflow Completed", "users", 3), part("Dashboard Published", "days", 4)],
            "Early Workflow Completed and Dashboard Published",
        ),
        ([part("Completed the onboarding checklist"), part("Connected a data warehouse")],
         "Early Completed the onboarding checklist and more"),
        ([part("x" * 90)], f"Early {'x' * 53}…"),
    ],
)  # fmt: skip
def test_a_draft_is_called_what_a_person_would_call_it(parts, name):
    assert title(parts) == name and len(name) <= LONGEST_TITLE


def test_windows_are_all_first_days_and_three_shorter_ones():
    assert Asked("paid", 14, 60).windows == (1, 3, 7, 14)
    assert Asked("paid", 60, 60).windows == (7, 14, 30, 60)
    assert Asked("paid", 1, 60).windows == (1,)
    assert Asked("paid", 14, 60, "user").measures == ("count", "days")


def test_what_is_missing_is_said_with_what_it_takes():
    half = Half(0, 1, 40, 12)
    assert Population(0, 1, 90, 0, 0, 0, half, half).missing() == [
        {"what": "at risk", "have": 80, "need": 100},
        {"what": "outcomes in the earlier half", "have": 12, "need": 20},
    ]
