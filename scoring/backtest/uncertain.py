"""How certain F1 and the differences of two versions are: 95% intervals. Pure.

Both versions judge the same accounts, and precision and recall share some, so nothing here is independent. What each
account adds to a figure is taken by linearisation (the delta method; for ratios Woodruff 1971): the variance is the sum
of the squares of what the accounts add, and the correlation of two figures comes from the same accounts.

- F1: the delta method on its logit, so that the interval stays within 0 and 1.
- A difference: from the intervals of the two figures and their correlation (Newcombe 1998, method 10 for shares; for
  any two figures Zou and Donner 2008), which is sound where a plain delta interval is not: near 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scoring.backtest.score import Backtest, Flag
from scoring.stats import Z95, Share

Added = Mapping[int, float]  # account -> what it adds to a figure


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its interval, and what each account adds to its difference from the truth."""

    value: float | None
    low: float | None
    high: float | None
    added: Added


@dataclass(frozen=True, slots=True)
class Between:
    """A difference, or a figure, with its interval; None where it cannot be told."""

    value: float | None
    low: float | None
    high: float | None


def precision(result: Backtest, *, worked: bool | None = None) -> Figure:
    """Precision: of all flags, or of those that sales worked, or did not."""
    judged = (flag for flag in result.flags if flag.verdict != "open" and worked in (None, flag.worked))
    share = {None: result.precision, True: result.worked, False: result.untouched}[worked]
    return _share(share, ((flag.account_id, flag.verdict == "right") for flag in judged))


def recall(result: Backtest) -> Figure:
    """The share of outcomes in the period that were caught."""
    caught = [(flag.account_id, True) for flag in result.flags if _caught(flag, result)]
    return _share(result.recall, [*caught, *((missed.account_id, False) for missed in result.missed)])


def f1(result: Backtest) -> Figure:
    """F1, on the logit scale; without an interval where it is 0 or 1."""
    value = result.f1
    p, r = precision(result), recall(result)
    if value is None or p.value is None or r.value is None or p.value + r.value == 0:
        return Figure(value, None, None, {})
    both = (p.value + r.value) ** 2
    by_p, by_r = 2 * r.value**2 / both, 2 * p.value**2 / both
    added = {
        account: by_p * p.added.get(account, 0.0) + by_r * r.added.get(account, 0.0)
        for account in p.added.keys() | r.added.keys()
    }
    error = math.sqrt(math.fsum(one * one for one in added.values()))
    if not 0 < value < 1 or not error:
        return Figure(value, None, None, added)
    logit, spread = math.log(value / (1 - value)), Z95 * error / (value * (1 - value))
    return Figure(value, _expit(logit - spread), _expit(logit + spread), added)


def less(first: Figure, second: Figure) -> Between:
    """The first figure less the second. Without an interval where one of them has none."""
    if first.value is None or second.value is None:
        return Between(None, None, None)
    value = first.value - second.value
    if None in (first.low, first.high, second.low, second.high):
        return Between(value, None, None)
    assert first.low is not None and first.high is not None and second.low is not None and second.high is not None
    together = _correlation(first.added, second.added)
    down = _apart(first.value - first.low, second.high - second.value, together)
    up = _apart(first.high - first.value, second.value - second.low, together)
    return Between(value, value - down, value + up)


def _apart(one: float, other: float, together: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * together * one * other + other * other))


def _share(share: Share, hits: Iterable[tuple[int, bool]]) -> Figure:
    if share.value is None:
        return Figure(None, None, None, {})
    return Figure(
        share.value, share.low, share.high, {account: (hit - share.value) / share.of for account, hit in hits}
    )


def _caught(flag: Flag, result: Backtest) -> bool:
    return flag.outcome_day is not None and flag.outcome_day <= result.to_day and flag.warned(result.within)


def _correlation(first: Added, second: Added) -> float:
    product = math.fsum(one * second[account] for account, one in first.items() if account in second)
    sizes = (math.fsum(one * one for one in added.values()) for added in (first, second))
    size = math.sqrt(math.prod(sizes))
    return max(-1.0, min(1.0, product / size)) if size else 0.0


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value))
