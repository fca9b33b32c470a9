"""What was measured and what was needed, as a person reads it beside each condition."""

import pytest

from scoring import why

SCORE = {
    "kind": "score",
    "threshold": 60,
    "comparison": "at_least",
    "unit": "points",
    "parts": {"fit": 20, "usage": 43.5},
}


@pytest.mark.parametrize(
    ("condition", "measured", "needed"),
    [
        ({"kind": "count", "measured": 5, "threshold": 3, "comparison": "at_least"}, "5 times", "at least 3"),
        ({"kind": "first", "measured": 4, "threshold": None, "comparison": "first"}, "4 days ago", "at the time"),
        ({"kind": "first", "measured": None, "threshold": None, "comparison": "first"}, "", ""),
        (
            {"kind": "trait", "measured": 0, "threshold": 30, "comparison": "changed_within_days"},
            "today",
            "at the time",
        ),
        ({"kind": "trait", "measured": 1500, "threshold": 30, "comparison": "at_least"}, "1,500", ""),
        ({"kind": "value", "measured": 1200.5, "threshold": 0.5, "comparison": "at_least"}, "1,200.5", "at least 0.5"),
        (
            {"kind": "value", "measured": 8, "threshold": 0.8, "comparison": "share_of_limit", "limit": 10},
            "8",
            "at least 80% of 10",
        ),
        (
            {"kind": "value", "measured": 0, "threshold": 1.125, "comparison": "share_of_limit", "limit": None},
            "0",
            "the plan sets no limit",
        ),
        (
            {"kind": "change", "measured": 60, "base": 40, "threshold": 1.5, "comparison": "factor_at_least"},
            "60 times after 40",
            "at least 1.5 times as many",
        ),
        ({"kind": "sequence", "measured": 1, "threshold": 2, "comparison": "steps"}, "1 of 2 steps", ""),
        ({"kind": "definition", "measured": 1, "threshold": None, "comparison": "qualifies"}, "", ""),
        (SCORE | {"measured": 63.5}, "63.5 points", "at least 60"),
    ],
)
def test_measured_and_needed(condition, measured, needed):
    assert (why.measured(condition), why.needed(condition)) == (measured, needed)
