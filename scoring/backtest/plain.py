"""A backtest as plain data, for files and other programs: days as dates, shares with their bounds, accounts by id."""

from __future__ import annotations

from plgops.lib import days
from scoring.backtest import uncertain
from scoring.backtest.lacking import Lacking
from scoring.backtest.score import Backtest
from scoring.stats import Share

Plain = dict[str, object]


def plain(result: Backtest, *, reps: int, lacking: Lacking | None = None) -> Plain:
    """The result; `reps` are those among whom its flags would be shared out, `lacking` what the missed lacked."""
    certain = uncertain.f1(result)
    told: Plain = {
        "from": _date(result.from_day),
        "to": _date(result.to_day),
        "within": result.within,
        "known_until": _date(result.known_until),
        "at_risk": len(result.at_risk),
        "standing": len(result.standing),
        "flagged": len(result.flags),
        "right": result.right,
        "wrong": result.wrong,
        "open": result.open,
        "precision": _share(result.precision),
        "recall": _share(result.recall),
        "base_rate": result.base_rate,
        "lift": result.lift,
        "f1": result.f1,
        "f1_interval": {"low": certain.low, "high": certain.high},
        "lead_days": dict(zip(("p25", "p50", "p75"), result.lead_days, strict=True)),
        "per_week": result.per_week,
        "reps": reps,
        "per_week_and_rep": result.per_week / reps if reps else None,
        "worked": _share(result.worked),
        "untouched": _share(result.untouched),
        "missed": len(result.missed),
        "weeks": [
            {"from": _date(week.first_day), "right": week.right, "wrong": week.wrong, "open": week.open}
            for week in result.weeks
        ],
        "cohorts": [
            {
                "month": cohort.month,
                "at_risk": cohort.at_risk,
                "flagged": cohort.flags,
                "precision": _share(cohort.precision),
                "recall": _share(cohort.recall),
            }
            for cohort in result.cohorts
        ],
    }
    if lacking is not None:
        told["lacking"] = {
            "asked": lacking.asked,
            "of": lacking.of,
            "conditions": [
                {
                    "path": one.path,
                    "condition": one.english,
                    "lacked": one.lacked,
                    "lacked_only_this": one.alone,
                    "median_short": one.short,
                    "unit": one.unit,
                }
                for one in lacking.obstacles
            ],
        }
    return told


def _date(day: int) -> str:
    return days.date_of(day).isoformat()


def _share(part: Share) -> Plain:
    return {"hits": part.hits, "of": part.of, "value": part.value, "low": part.low, "high": part.high}
