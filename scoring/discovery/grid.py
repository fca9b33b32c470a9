"""The search: every event type, measure, window and threshold, and pairs of them, against the outcome.

Pure but for numpy, which counts pairs. What was tried is counted before the outcome is looked at: a thing counts
when enough subjects of the search do it and enough do not. Two families are corrected each on its own: single
conditions (thresholds and bands), and pairs. Of the pairs only those of the best conditions are computed; all that
could have been formed count.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from scoring import stats
from scoring.discovery.asked import ANY, MIN_SUPPORT, Asked, Condition, Found, Half, Measure, Population
from scoring.discovery.extract import Histogram
from scoring.discovery.shape import Bin, bins

# thresholds beyond ten: what people would name
LADDER = (*range(1, 11), 12, 15, 20, 25, 30, 40, 50, 75, *(f * 10**e for e in range(2, 9) for f in (1, 2, 3, 5)))
MOST_CANDIDATES = 60  # conditions whose pairs are computed; they are bits of one number
EACH = 3  # of one event and measure


def singles(
    asked: Asked, population: Population, histograms: Mapping[tuple[int, Measure, int], Histogram]
) -> list[Found]:
    """Every threshold of every behaviour, and of the whole first days every band of doses too."""
    found = []
    for (event, measure, window), values in histograms.items():
        tried = _thresholds(values, measure)
        if window == asked.first_days:
            tried += _bands(dose_bins(population, values))
        for low, high in tried:
            condition = Condition(event, measure, window, low, high)
            counts = [sum(c[i] for value, c in values.items() if condition.holds(value)) for i in range(4)]
            if MIN_SUPPORT <= counts[0] <= population.search.of - MIN_SUPPORT:
                found.append(_found((condition,), population, counts))
    return _corrected(found, population)


def _thresholds(values: Histogram, measure: Measure) -> list[tuple[int, int | None]]:
    """The thresholds that split the subjects differently. Doing it on 1 day, or by 1 person, is doing it once."""
    top = max(values, default=0)
    steps = [low for low in LADDER if low <= top and (low > 1 or measure == "count")]
    reached = sorted(values)
    apart: dict[int, int] = {}  # the smallest value that reaches it -> the lowest threshold that says the same
    for low in steps:
        apart.setdefault(next(value for value in reached if value >= low), low)
    return [(low, None) for low in sorted(apart.values())]


def _bands(of: Sequence[Bin]) -> list[tuple[int, int | None]]:
    """From one bin to another, the lowest (nothing) and the highest (a threshold says that) left out."""
    inner = of[1:-1]
    return [(inner[i].low, inner[j].high) for i in range(len(inner)) for j in range(i, len(inner))]


def dose_bins(population: Population, values: Histogram) -> list[Bin]:
    """The bins of a behaviour, from nothing upwards."""
    search, later = population.search, population.later
    return bins(values, (search.of, search.hits, later.of, later.hits))


def _found(parts: tuple[Condition, ...], population: Population, counts: Sequence[int]) -> Found:
    search, later = population.search, population.later
    table = search.table(counts[0], counts[1])
    return Found(parts, table, later.table(counts[2], counts[3]), stats.association_p(table, design=search.design))


def _corrected(found: Sequence[Found], population: Population, *, tried: int | None = None) -> list[Found]:
    """With q-values; and what holds is asked again of the later half, corrected for how much that is."""
    q_values = stats.false_discovery([one.p for one in found], tried=tried)
    told = [replace(one, q=q) for one, q in zip(found, q_values, strict=True)]
    again = [
        (i, stats.association_p(one.later, design=population.later.design)) for i, one in enumerate(told) if one.held
    ]
    later = stats.false_discovery([p for _, p in again])
    for (i, p), q in zip(again, later, strict=True):
        told[i] = replace(told[i], later_p=p, later_q=q)
    return told


# --- pairs --------------------------------------------------------------------------------------------------


def candidates(asked: Asked, found: Sequence[Found]) -> tuple[list[Condition], int]:
    """The conditions whose pairs are worth computing, and how many pairs of different events there are in all.

    Thresholds of the whole first days that go with the outcome; the best three of each event and measure.
    """
    whole = [one for one in found if one.parts[0].window == asked.first_days and one.parts[0].high is None]
    per_event = Counter(one.parts[0].event for one in whole)
    tried = (len(whole) ** 2 - sum(count**2 for count in per_event.values())) // 2
    best: list[Condition] = []
    taken: Counter[tuple[int, str]] = Counter()
    for one in sorted(whole, key=lambda one: (one.p, one.parts[0].event, one.parts[0].measure, one.parts[0].low)):
        (part,) = one.parts
        if one.search.goes_with and taken[part.event, part.measure] < EACH:
            taken[part.event, part.measure] += 1
            best.append(part)
    return best[:MOST_CANDIDATES], tried


def pairs(
    population: Population, chosen: Sequence[Condition], together: Sequence[tuple[int, int, int, int, int]], tried: int
) -> list[Found]:
    """Pairs of conditions about different events in which each part adds to the other.

    `together` says how many subjects meet which of the conditions (as bits), in both halves. A pair's p is the
    greatest of three: that the pair goes with the outcome, and that each part does so among those who meet the other
    (the intersection-union test of Berger 1982): a pair that only repeats its better part does not hold.
    """
    import numpy as np  # noqa: PLC0415 - only runs of a discovery need it

    masks = np.array([row[0] for row in together], dtype=np.int64)
    counts = np.array([row[1:] for row in together], dtype=np.float64)
    bits = ((masks[:, None] >> np.arange(len(chosen))) & 1).astype(np.float64)
    both = [np.rint((bits * counts[:, [i]]).T @ bits).astype(int).tolist() for i in range(4)]
    found = []
    for i, first in enumerate(chosen):
        for j in range(i):
            if chosen[j].event == first.event:
                continue
            cell = [both[k][i][j] for k in range(4)]
            if not MIN_SUPPORT <= cell[0] <= population.search.of - MIN_SUPPORT:
                continue
            one = _found((chosen[j], first), population, cell)
            if not one.search.goes_with:
                continue
            adds = [_adds(cell, [both[k][part][part] for k in range(2)], population.search) for part in (i, j)]
            found.append(replace(one, p=max(one.p, *adds)))
    return _corrected(found, population, tried=max(tried, len(found)))


def _adds(cell: Sequence[int], alone: Sequence[int], half: Half) -> float:
    """How likely it is by chance that, among those who meet one part, those who meet both do so much better."""
    only, only_hits = alone[0] - cell[0], alone[1] - cell[1]
    table = stats.Table(cell[1], cell[0] - cell[1], only_hits, only - only_hits)
    return stats.association_p(table, design=half.design) if only and table.goes_with else 1.0


# --- what is worth telling ----------------------------------------------------------------------------------


def best_of_each(found: Sequence[Found], peaking: Mapping[tuple[int, Measure], bool]) -> list[Found]:
    """Of each event the condition that tells most about the outcome, those that hold first; a band only where the
    dose was found to peak."""
    groups: dict[int, list[Found]] = defaultdict(list)
    for one in found:
        (part,) = one.parts
        if part.high is None or peaking.get((part.event, part.measure), False):
            groups[part.event].append(one)
    return sorted((min(group, key=_rank) for group in groups.values()), key=_rank)


def best_pairs(found: Sequence[Found], *, most: int) -> list[Found]:
    """The pairs that hold and tell most, one for two events."""
    told: dict[frozenset[int], Found] = {}
    for one in sorted((one for one in found if one.held), key=_rank):
        told.setdefault(frozenset(part.event for part in one.parts), one)
    return list(told.values())[:most]


def best_rule(found: Sequence[Found]) -> Found | None:
    """The readable rule that tells most about the outcome in the search, of those that hold and go with it; where
    nothing holds, the best that was tried. None where nothing was."""
    towards = [one for one in found if one.search.goes_with]
    return min(towards, key=_rank, default=None)


def _rank(one: Found) -> tuple[object, ...]:
    first = one.parts[0]
    widest = sum(part.window for part in one.parts)
    # any activity repeats what the events say: it comes after them where it is as good
    return (not one.held, -stats.mutual_information(one.search), first.event == ANY, -widest, first.low, str(one.parts))
