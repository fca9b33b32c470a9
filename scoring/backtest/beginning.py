"""Where the data begins: before that there is nobody to flag, so a backtest has nothing to say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from accounts import lake
from plgops.lib import days
from scoring.backtest.score import Backtest

_FIRST = "SELECT MIN(signup_day) FROM accounts_account WHERE merged_into_id IS NULL AND NOT is_internal"


def nothing_before(results: Sequence[Backtest]) -> dt.date | None:
    """The day of the first sign-up, if the whole period lies before it; else None. Raises lake.NoLake.

    The lake is read only where nobody at all was at risk.
    """
    if any(result.at_risk or result.standing for result in results):
        return None
    with lake.connection() as db:
        row = db.execute(_FIRST).fetchone()
    first = row[0] if row else None
    if first is None or first <= max(result.to_day for result in results):
        return None
    return days.date_of(first)
