"""How the outcome follows the dose: bins with their shares, and whether more is always better. Pure.

A straight answer for most behaviours is "the more, the likelier". Where it is not (a few invites go with paying, and
fifty with a spammer), a threshold hides it. So each behaviour's bins are held against the best monotone curve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from scoring.discovery.asked import MIN_SUPPORT

EDGES = (0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000)  # where a bin begins, before small ones are joined
Kind = Literal["rises", "falls", "peaks", "dips", "level"]


@dataclass(frozen=True, slots=True)
class Bin:
    """Subjects who did so much (`high` None: or more), and the outcomes among them, in both halves."""

    low: int
    high: int | None
    of: int
    hits: int
    later_of: int
    later_hits: int


@dataclass(frozen=True, slots=True)
class Shape:
    """What the curve over the bins does. `p`: how likely bins as uneven as these are under the best curve that only
    rises, or only falls (the likelier of the two). `peak`: the bins [first, last] with the highest share."""

    kind: Kind
    p: float
    peak: tuple[int, int]


def bins(
    values: Mapping[int, tuple[int, int, int, int]], totals: tuple[int, int, int, int], *, least: int = MIN_SUPPORT
) -> list[Bin]:
    """Bins over how much was done, from nothing upwards; each with at least so many subjects of the search.

    `values`: how much -> subjects and outcomes of the search, then of the later half; `totals`: the same of everybody,
    so that those who did nothing are told too.
    """
    did = [sum(counts[i] for counts in values.values()) for i in range(4)]
    told = {0: [total - some for total, some in zip(totals, did, strict=True)]}
    for value, counts in values.items():
        start = max(edge for edge in EDGES if edge <= value)
        so_far = told.setdefault(start, [0, 0, 0, 0])
        for i, count in enumerate(counts):
            so_far[i] += count
    joined: list[tuple[int, list[int]]] = []
    for start in sorted(told, reverse=True):  # small ones join their neighbour below: far out there are few
        if joined and (joined[-1][1][0] < least):
            _, above = joined.pop()
            joined.append((start, [a + b for a, b in zip(told[start], above, strict=True)]))
        else:
            joined.append((start, told[start]))
    joined.reverse()
    if len(joined) > 1 and joined[0][1][0] < least:
        (start, lowest), (_, above) = joined[:2]
        joined[:2] = [(start, [a + b for a, b in zip(lowest, above, strict=True)])]
    ends = [start - 1 for start, _ in joined[1:]]
    return [Bin(start, end, *counts) for (start, counts), end in zip(joined, [*ends, None], strict=True)]


def shape(of: Sequence[Bin], *, design: float = 1.0, level: float = 0.05) -> Shape:
    """What the curve does, by likelihood ratios against the best monotone curves (Robertson, Wright and Dykstra 1988).

    `peaks` and `dips` are only kinds; whether they are to be believed says `p`, corrected by the caller.
    """
    weights = [float(b.of) for b in of]
    shares = [b.hits / b.of if b.of else 0.0 for b in of]
    best = max(range(len(of)), key=lambda i: shares[i], default=0)
    if len(of) < 2:
        return Shape("level", 1.0, (0, 0))
    free = _log_likelihood(of, shares)
    up, down = isotonic(shares, weights), isotonic(shares, weights, falling=True)
    gain_up, gain_down = (2 * (free - _log_likelihood(of, fit)) / design for fit in (up, down))
    p = chi_bar_p(min(gain_up, gain_down), len(of))
    flat = sum(b.hits for b in of) / sum(weights)
    even = chi_square_tail(2 * (free - _log_likelihood(of, [flat] * len(of))) / design, len(of) - 1)
    umbrella, first, last = _umbrella(of, shares, weights)
    cup, _, _ = _umbrella(of, [-s for s in shares], weights)
    if even > level:
        kind: Kind = "level"
    elif p > level or len(of) < 3:
        kind = "rises" if gain_up <= gain_down else "falls"
    else:
        kind = "peaks" if umbrella <= cup else "dips"
    return Shape(kind, p, (first, last) if kind == "peaks" else (best, best))


def isotonic(values: Sequence[float], weights: Sequence[float], *, falling: bool = False) -> list[float]:
    """The closest curve that never falls (or never rises), by weighted squares: pooling of adjacent violators (Ayer
    et al. 1955). For shares weighted by their subjects it is the likeliest one as well."""
    sign = -1.0 if falling else 1.0
    blocks: list[list[float]] = []  # mean, weight, how many
    for value, weight in zip(values, weights, strict=True):
        blocks.append([sign * value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, heavy, many = blocks.pop()
            before = blocks[-1]
            together = before[1] + heavy
            before[0] = (before[0] * before[1] + mean * heavy) / together if together else before[0]
            before[1], before[2] = together, before[2] + many
    return [sign * mean for mean, _, many in blocks for _ in range(int(many))]


def _umbrella(of: Sequence[Bin], values: Sequence[float], weights: Sequence[float]) -> tuple[float, int, int]:
    """The squares that the best curve rising to a peak and falling after it leaves, and the first and last bin of
    its highest level."""
    found: tuple[float, list[float]] | None = None
    for top in range(len(of)):
        fit = isotonic(values[: top + 1], weights[: top + 1])
        fit += isotonic(values[top + 1 :], weights[top + 1 :], falling=True)
        left = math.fsum(w * (v - f) ** 2 for v, f, w in zip(values, fit, weights, strict=True))
        if found is None or left < found[0] - 1e-12:
            found = (left, fit)
    assert found is not None
    left, fit = found
    highest = [i for i, value in enumerate(fit) if value >= max(fit) - 1e-12]
    return left, highest[0], highest[-1]


def _log_likelihood(of: Sequence[Bin], shares: Sequence[float]) -> float:
    told = 0.0
    for b, p in zip(of, shares, strict=True):
        # a share of 0 or 1 is only fitted where there is nothing, or nothing else
        told += b.hits * math.log(p) if b.hits else 0.0
        told += (b.of - b.hits) * math.log1p(-p) if b.of > b.hits else 0.0
    return told


def chi_bar_p(gain: float, levels: int) -> float:
    """How likely a likelihood ratio at least this large is when the truth is monotone over so many bins.

    A mixture of chi-square tails whose weights count the levels that pooling leaves, for bins of equal size and the
    hardest truth, no difference at all (Robertson, Wright and Dykstra 1988, theorem 2.3.1; for bins of unequal size
    it is close).
    """
    if gain <= 1e-9:
        return 1.0
    weights = _pooled(levels)
    return math.fsum(weights[left] * chi_square_tail(gain, levels - left) for left in range(1, levels))


@cache
def _pooled(levels: int) -> tuple[float, ...]:
    """The chance that pooling `levels` equal bins leaves 0, 1, … levels: Stirling numbers of the first kind, shared
    out by the factorial."""
    row = [1.0]
    for bins_so_far in range(levels):  # the recurrence, divided by the factorial as it goes
        fewer = [0.0, *row]
        row = [(a + bins_so_far * b) / (bins_so_far + 1) for a, b in zip(fewer, [*row, 0.0], strict=True)]
    return tuple(row)


def chi_square_tail(value: float, freedom: int) -> float:
    """The chance that a chi-square variable is at least this large; with no degree of freedom it is always 0."""
    if freedom == 0:
        return 1.0 if value <= 0 else 0.0
    half = max(value, 0.0) / 2
    if freedom % 2:
        told, term, steps = math.erfc(math.sqrt(half)), math.sqrt(half / math.pi) * 2, range(3, freedom + 1, 2)
        total = told
        for k in steps:
            total += term * math.exp(-half)
            term *= half / (k / 2)
        return min(1.0, total)
    term = total = 1.0
    for k in range(1, freedom // 2):
        term *= half / k
        total += term
    return min(1.0, total * math.exp(-half))
