"""Shares with their uncertainty, and what goes with what. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054  # the standard normal's 97.5% point


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`, with its 95% interval; `value` and the bounds are None where there is nothing to divide by."""

    hits: int
    of: int
    value: float | None
    low: float | None
    high: float | None


def share(hits: int, of: int, *, design: float = 1.0) -> Share:
    """A proportion with the score interval of Wilson (1927), which stays within 0 and 1 and is sound for small
    numbers: (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n), n being `of` divided by the design effect."""
    if of == 0:
        return Share(hits, of, None, None, None)
    p, z2, n = hits / of, Z95 * Z95, of / design
    middle = p + z2 / (2 * n)
    spread = Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    return Share(hits, of, p, max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale))


def f1(precision: float | None, recall: float | None) -> float | None:
    """The harmonic mean of both (van Rijsbergen 1979); None without either, 0 where both are 0."""
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def quantile(values: Sequence[float], part: float) -> float | None:
    """The value below which `part` of the values lie, between neighbours in proportion (Hyndman and Fan's type 7)."""
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * part
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


# --- what goes with what: two by two tables ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio with its 95% interval; None where it cannot be told."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Table:
    """Counts of those who do a thing and those who do not, and of how many of each the outcome came."""

    with_hits: int
    with_misses: int
    without_hits: int
    without_misses: int

    @property
    def doing(self) -> int:
        return self.with_hits + self.with_misses

    @property
    def hits(self) -> int:
        return self.with_hits + self.without_hits

    @property
    def of(self) -> int:
        return self.doing + self.without_hits + self.without_misses

    @property
    def goes_with(self) -> bool:
        """Whether those who do it have the outcome more often than all (not: as often or less)."""
        return self.with_hits * self.of > self.hits * self.doing


def lift(table: Table, *, design: float = 1.0) -> Ratio:
    """The share of hits among those who do it, divided by that among all.

    The interval is the delta method's on the logarithm, with the four counts as one multinomial: both shares are of
    the same people, so they are not independent. `design` is the design effect by which the variance is multiplied
    (Kish 1965). Without hits among those who do it the lift is 0 and has no interval.
    """
    a, b, c = table.with_hits, table.with_misses, table.without_hits
    if not table.doing or not table.hits:
        return Ratio(None, None, None)
    if not a:
        return Ratio(0.0, None, None)
    n1, m = a + b, a + c
    value = a * table.of / (n1 * m)
    variance = a * (1 / a - 1 / n1 - 1 / m) ** 2 + b / n1**2 + c / m**2 - 1 / table.of
    spread = math.exp(Z95 * math.sqrt(max(variance, 0.0) * design))
    return Ratio(value, value / spread, value * spread)


def odds_ratio(table: Table, *, design: float = 1.0) -> Ratio:
    """The odds of a hit among those who do it, divided by those among the others, with the interval of Woolf (1955).

    Where a count is 0, a half is added to all four (Haldane 1956, Anscombe 1956).
    """
    cells = [table.with_hits, table.with_misses, table.without_hits, table.without_misses]
    if not table.doing or table.doing == table.of:
        return Ratio(None, None, None)
    a, b, c, d = (cell + 0.5 for cell in cells) if 0 in cells else (float(cell) for cell in cells)
    value = a * d / (b * c)
    spread = math.exp(Z95 * math.sqrt((1 / a + 1 / b + 1 / c + 1 / d) * design))
    return Ratio(value, value / spread, value * spread)


def mutual_information(table: Table) -> float:
    """What doing it or not tells about the outcome, in bits (Shannon 1948): 0 if nothing, at most 1."""
    of = table.of
    rows = (
        (table.doing, table.with_hits, table.with_misses),
        (of - table.doing, table.without_hits, table.without_misses),
    )
    told = 0.0
    for row, hits, misses in rows:
        for cell, column in ((hits, table.hits), (misses, of - table.hits)):
            if cell:
                told += cell / of * math.log2(cell * of / (row * column))
    return max(told, 0.0)


def fisher_p(table: Table) -> float:
    """Fisher's exact test (1922), two-sided: the chance, with these margins, of a table at most as likely as this."""
    of, doing, hits = table.of, table.doing, table.hits
    low, high = max(0, doing + hits - of), min(doing, hits)

    def log_chance(x: int) -> float:
        return (
            _log_choose(hits, x) + _log_choose(of - hits, doing - x) - _log_choose(of, doing)
        )  # hypergeometric, as a logarithm

    # equal chances differ in their last digits when computed
    bound = log_chance(table.with_hits) + 1e-7
    return min(1.0, math.fsum(math.exp(value) for x in range(low, high + 1) if (value := log_chance(x)) <= bound))


def _log_choose(of: int, some: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(some + 1) - math.lgamma(of - some + 1)


def chi_square_p(table: Table, *, design: float = 1.0) -> float:
    """Pearson's chi-square test (1900) of independence, one degree of freedom, without a continuity correction.

    The statistic is divided by the design effect (Rao and Scott 1981). 1 where a margin is empty.
    """
    margins = table.doing * (table.of - table.doing) * table.hits * (table.of - table.hits)
    if not margins:
        return 1.0
    apart = table.with_hits * table.without_misses - table.with_misses * table.without_hits
    return math.erfc(math.sqrt(table.of * apart * apart / margins / design / 2))


def association_p(table: Table, *, design: float = 1.0) -> float:
    """Fisher's exact test where the smallest expected count is below 5 (Cochran 1954), else Pearson's.

    With a design effect always the latter: an exact test knows no clusters.
    """
    smallest = min(table.doing, table.of - table.doing) * min(table.hits, table.of - table.hits)
    if design == 1.0 and smallest < 5 * table.of:
        return fisher_p(table)
    return chi_square_p(table, design=design)


def false_discovery(p_values: Sequence[float], *, tried: int | None = None) -> list[float]:
    """The q-values of Benjamini and Hochberg (1995): the least rate of false discoveries at which each holds.

    `tried` is how many things were tried in all, where only the best were kept; the others count as p = 1.
    """
    of = max(tried or 0, len(p_values))
    order = sorted(range(len(p_values)), key=lambda i: p_values[i], reverse=True)
    found, least = [1.0] * len(p_values), 1.0
    for place, i in enumerate(order):
        rank = len(p_values) - place
        least = min(least, p_values[i] * of / rank)
        found[i] = least
    return found


def design_effect(clusters: int, of: int, hits: int, squares: float) -> float:
    """By how much clusters that share their outcome make a share less certain (Kish 1965); at least 1.

    `squares` is the sum over the clusters of (hits - size x share)².
    """
    if clusters < 2 or not 0 < hits < of:
        return 1.0
    share_of_all = hits / of
    return max(1.0, clusters / (clusters - 1) * squares / (of * share_of_all * (1 - share_of_all)))
