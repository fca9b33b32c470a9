"""Whether a count falls out of its own rhythm: as many as usual, far more, or none at all. Pure.

What is usual is told by the same weekdays of the weeks before. Events come in bursts, so their counts scatter more than
chance alone would have them: the *dispersion* (Pearson's statistic over its degrees of freedom, never below 1) says how
much more, and a count is judged as if it were that many times smaller. This is the quasi-Poisson model of outbreak
detection (Farrington et al. 1996, A statistical algorithm for the early detection of outbreaks of infectious disease,
J. R. Statist. Soc. A 159, 547-563), with weekdays in place of seasons.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WEEK = 7
WEEKS = 8  # of the past
FEWEST_WEEKS = 3  # with less past nothing is said
SURPRISE = 0.001  # what chance does less often than this is no chance
TIMES = 2.0  # from so many times as many as usual it counts as more


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual: the mean of each place of the cycle (day 0 of the integers is a Thursday), and the dispersion."""

    means: tuple[float, ...]
    dispersion: float

    def expected(self, first: int, last: int) -> float:
        """How many are usual from the first day to the last, both included."""
        return sum(self.means[day % len(self.means)] for day in range(first, last + 1))


def usual(counts: Mapping[int, int], *, first: int, last: int, cycle: int = WEEK) -> Usual | None:
    """What was usual in the days (or weeks, with a `cycle` of 1) from first to last; None: too short to say.

    `counts` by day; one that is missing is 0. At most WEEKS rounds of the cycle are looked at, the newest.
    """
    rounds = min(WEEKS, (last - first + 1) // cycle)
    if rounds < FEWEST_WEEKS:
        return None
    groups: list[list[int]] = [[] for _ in range(cycle)]
    for day in range(last - rounds * cycle + 1, last + 1):
        groups[day % cycle].append(counts.get(day, 0))
    means = tuple(sum(group) / rounds for group in groups)
    return Usual(means, _dispersion(groups, means))


def _dispersion(groups: Sequence[Sequence[int]], means: Sequence[float]) -> float:
    """Pearson's statistic over its degrees of freedom, at least 1: less scatter than chance is chance."""
    pearson, freedom = 0.0, 0
    for group, mean in zip(groups, means, strict=True):
        if mean > 0:
            pearson += sum((count - mean) ** 2 for count in group) / mean
            freedom += len(group) - 1
    return max(1.0, pearson / freedom) if freedom else 1.0


def is_silent(expected: float, dispersion: float) -> bool:
    """Whether nothing at all, where so many were expected, is more than chance."""
    return math.exp(-expected / dispersion) < SURPRISE


def is_more(count: int, expected: float, dispersion: float) -> bool:
    """Whether so many are at least TIMES as many as expected, and more than chance."""
    if expected <= 0 or count < TIMES * expected:
        return False
    return _chance_of_at_least(math.floor(count / dispersion), expected / dispersion) < SURPRISE


def _chance_of_at_least(count: int, mean: float) -> float:
    """How often a Poisson count of this mean reaches `count`, which is beyond the mean: the tail, summed up."""
    if count <= mean:
        return 1.0
    term = math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
    total = 0.0
    while term > total * 1e-12:
        total += term
        count += 1
        term *= mean / count
    return total
