"""All that a search tried, one line each: kept in the answer as counts, told as CSV with what follows from them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from plgops.lib.csv_cells import harmless
from scoring import stats
from scoring.discovery.asked import ANY, Found
from scoring.discovery.told import ANY_NAME

MOST = 5_000  # conditions that are kept: those with the least p
_COUNTS = ("with_hits", "with_misses", "without_hits", "without_misses")
_HEAD = (
    "event",
    "measure",
    "first_days",
    "at_least",
    "at_most",
    "half",
    "do_it",
    "outcome_with",
    "outcome_without",
    "sensitivity",
    "lift",
    "lift_low",
    "lift_high",
    "odds_ratio",
    "odds_ratio_low",
    "odds_ratio_high",
    "bits",
    "p",
    "q",
    "confirmed",
)


def kept(singles: Sequence[Found], names: Mapping[int, str]) -> dict[str, Any]:
    """Single conditions with the four counts of both halves; where they are more than MOST, those with the least p."""
    chosen = sorted(singles, key=lambda one: one.p)[:MOST]
    events = sorted({one.parts[0].event for one in chosen})
    return {
        "names": {str(event): ANY_NAME if event == ANY else names[event] for event in events},
        "rows": [
            [
                *(one.parts[0].event, one.parts[0].measure, one.parts[0].window, one.parts[0].low, one.parts[0].high),
                *(getattr(half, count) for half in (one.search, one.later) for count in _COUNTS),
                *(one.p, one.q, one.later_p, one.later_q, one.confirmed),
            ]
            for one in chosen
        ],
    }


def csv_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    """A head and two lines for each condition, the earlier half first. Shares are 0 to 1; a name that a spreadsheet
    would take for a formula begins with an apostrophe."""
    grid = answer["grid"]
    people = answer["population"]
    yield _line(_HEAD)
    for event, measure, window, low, high, *rest in grid["rows"]:
        name = grid["names"][str(event)]
        what = [harmless(name), measure, window, low, high]
        p, q, later_p, later_q, confirmed = rest[8:]
        for half, counts, half_p, half_q in (("search", rest[:4], p, q), ("later", rest[4:8], later_p, later_q)):
            table, design = stats.Table(*counts), people[half]["design"]
            word = "earlier" if half == "search" else half
            yield _line([*what, word, *_numbers(table, design), half_p, half_q, "yes" if confirmed else ""])


def _numbers(table: stats.Table, design: float) -> list[Any]:
    others = table.of - table.doing
    lift, odds = stats.lift(table, design=design), stats.odds_ratio(table, design=design)
    return [
        table.doing,
        table.with_hits / table.doing if table.doing else None,
        table.without_hits / others if others else None,
        table.with_hits / table.hits if table.hits else None,
        *(lift.value, lift.low, lift.high),
        *(odds.value, odds.low, odds.high),
        stats.mutual_information(table),
    ]


def _line(cells: Sequence[Any]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in cells])
    return out.getvalue()
