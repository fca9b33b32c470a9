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


def share(hits: int, of: int) -> Share:
    """A proportion with the score interval of Wilson (1927), which stays within 0 and 1 and is sound for small
    numbers: (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)."""
    if of == 0:
        return Share(hits, of, None, None, None)
    p, z2 = hits / of, Z95 * Z95
    middle = p + z2 / (2 * of)
    spread = Z95 * math.sqrt(p * (1 - p) / of + z2 / (4 * of * of))
    scale = 1 + z2 / of
    return Share(hits, of, p, max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale))


def f1(precision: float | None, recall: float | None) -> float | None:
    """The harmonic mean of both (van Rijsbergen 1979); None without either, 0 where both are 0."""
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def quantile(values: Sequence[int], part: float) -> float | None:
    """The value below which `part` of the values lie, between neighbours in proportion (Hyndman and Fan's type 7)."""
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * part
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
