"""The whole answer to a question, step by step: extract, search, hold against models, tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings

from accounts import lake
from scoring import stats
from scoring.discovery import everything, extract, grid, told, yardstick
from scoring.discovery.asked import MIN_LATER_HITS, MIN_SEARCH_HITS, RATE, Asked, Found, Measure
from scoring.discovery.shape import Bin, Shape, shape

MOST_PAIRS = 5  # that are told
MOST_DOSES = 12
Progress = Callable[[str], None]
Shapes = dict[tuple[int, Measure], tuple[list[Bin], Shape, float]]


def answer_to(asked: Asked, *, until_day: int, progress: Progress = lambda step: None) -> dict[str, Any]:
    """The answer from the current generation of the lake, as plain data (docs/discovery.md says what is in it).

    `until_day` is the last whole day. With too little data `missing` says what is too little, and there are no
    findings. Raises lake.NoLake, UnknownOutcome.
    """
    types = extract.types_for(asked.outcome)
    answer: dict[str, Any] = {
        "asked": {
            "outcome": asked.outcome,
            "first_days": asked.first_days,
            "within": asked.within,
            "level": asked.level,
        }
    }
    with lake.connection() as db:
        progress("Looking for who is at risk")
        early = extract.Extract(db, asked, types, until_day=until_day)
        population = early.population
        answer["population"] = told.population(population)
        answer["missing"] = population.missing()
        if answer["missing"]:
            return answer
        progress("Reading what they did first")
        early.measure()
        histograms = early.histograms()
        progress("Trying every threshold")
        singles = grid.singles(asked, population, histograms)
        shapes = _shapes(asked, early, histograms)
        progress("Trying pairs")
        chosen, possible = grid.candidates(asked, singles)
        pairs = grid.pairs(population, chosen, early.together(chosen), possible) if chosen else []
        progress("Holding it against models")
        models_told = _models(early, asked)
    peaking = {key: one[1].kind == "peaks" and one[2] <= RATE for key, one in shapes.items()}
    best = grid.best_of_each(singles, peaking)
    listed = _in_order([*best, *grid.best_pairs(pairs, most=MOST_PAIRS)])
    rule = grid.best_rule(listed)
    anything = "*" if types.any_is_all else [types.names[number] for number in types.activity]
    answer["types"] = {
        "searched": len(early.searched),
        "rare": early.rare,
        "billing": [types.names[number] for number in types.billing],
        "itself": [types.names[number] for number in types.itself],
        "undescribed": types.undescribed,
    }
    answer["tried"] = {
        "singles": len(singles),
        "pairs": max(possible, len(pairs)),
        "pairs_computed": len(pairs),
        "windows": list(asked.windows),
        "held": sum(one.held for one in (*singles, *pairs)),
        "confirmed": sum(one.confirmed for one in (*singles, *pairs)),
        "rate": RATE,
    }
    answer["findings"] = [told.finding(one, asked, population, names=types.names, anything=anything) for one in listed]
    answer["grid"] = everything.kept(singles, types.names)
    answer["doses"] = _doses(listed, shapes, early, asked)
    answer["best"] = listed.index(rule) if rule else None
    answer["yardstick"] = _held_against(models_told, rule, early)
    return answer


def _shapes(
    asked: Asked, early: extract.Extract, histograms: dict[tuple[int, Measure, int], extract.Histogram]
) -> Shapes:
    """Of each behaviour of the whole first days: its bins, what the curve does, and the corrected p of that."""
    found: dict[tuple[int, Measure], tuple[list[Bin], Shape]] = {}
    for (event, measure, window), values in histograms.items():
        if window == asked.first_days:
            bins = grid.dose_bins(early.population, values)
            found[event, measure] = (bins, shape(bins, design=early.population.search.design))
    q_values = stats.false_discovery([one.p for _, one in found.values()])
    return {key: (*one, q) for (key, one), q in zip(found.items(), q_values, strict=True)}


def _doses(
    listed: list[Found],
    shapes: Shapes,
    early: extract.Extract,
    asked: Asked,
) -> list[dict[str, Any]]:
    doses: list[dict[str, Any]] = []
    for one in listed:
        key = (one.parts[0].event, one.parts[0].measure)
        if len(one.parts) == 1 and key in shapes and len(doses) < MOST_DOSES:
            bins, curve, q = shapes[key]
            doses.append(told.dose(one.parts[0], bins, curve, q, early.types.names, early.population))
    return doses


def _in_order(found: list[Found]) -> list[Found]:
    """What is confirmed first, then what held, then the rest; the most telling in the search first."""
    return sorted(found, key=lambda one: (not one.confirmed, not one.held, -stats.mutual_information(one.search)))


def _models(early: extract.Extract, asked: Asked) -> tuple[yardstick.Matrix, list[yardstick.Measured]] | None:
    table = yardstick.matrix(early, asked)
    seen, unseen = int(table.hit[~table.late].sum()), int(table.hit[table.late].sum())
    if seen < MIN_SEARCH_HITS or unseen < MIN_LATER_HITS or not table.columns:
        return None  # a sample of a very rare outcome
    return table, yardstick.models(table, early.population, threads=settings.LAKE_THREADS)


def _held_against(
    found: tuple[yardstick.Matrix, list[yardstick.Measured]] | None, rule: Found | None, early: extract.Extract
) -> dict[str, Any] | None:
    """The models on the later half, and the best readable rule beside them at the same volume."""
    if found is None:
        return None
    table, measured = found
    hit = table.hit[table.late]
    answer: dict[str, Any] = {
        "rows": [int((~table.late).sum()), int(table.late.sum())],
        "rate": float(hit.mean()),
        "models": [told.model(one) for one in measured],
        "rule": None,
    }
    if rule is not None:
        later = rule.later
        share = later.doing / later.of
        precisions = [one.precision_of(share, hit) for one in measured]
        best = max((p for p in precisions if p), default=None)
        precision = stats.share(later.with_hits, later.doing, design=early.population.later.design)
        answer["rule"] = {
            "area": yardstick.rule_area(later),
            "sensitivity": later.with_hits / later.hits,
            "false_positive": later.with_misses / (later.of - later.hits),
            "volume": share,
            "precision": told.share(precision),
            "model_precision": precisions,
            "reach": precision.value / best if best and precision.value is not None else None,
        }
    return answer
