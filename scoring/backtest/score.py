"""What came of a rule's flags: pure, one pass over what is known of each account.

- An account is *at risk* from its sign-up or the first day of the period, whichever is later, until its outcome; who
  has the outcome before that is left out (of `paid`: who has ever paid before). Where the outcome is one of customers,
  from its first payment on.
- It is *flagged* on the first such day on which the rule held, if that is before the outcome: a rule that begins to
  hold on the day of paying warns nobody. On whom it held already on the day before is *standing*, and left out.
- A flag is *right* when the outcome came within N days after it, *wrong* when N days passed without, *open* while the
  data ends before that. Open ones are counted and left out of the precision, also those that had the outcome already:
  else quick successes would count and slow failures would not.
- An outcome in the period is *caught* when its flag came at most N days before, else *missed*.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from plgops.lib import days
from scoring import stats
from scoring.stats import Share

NEVER = 10**9


@dataclass(frozen=True, slots=True)
class History:
    """What is known of one account: its sign-up day, the days on which it had the outcome and on which sales
    claimed it or its company (ascending), and the spans [from, to) in which the rule held. `risk_day` is the first
    on which the outcome was possible (None: the sign-up)."""

    account_id: int
    signup_day: int
    outcomes: Sequence[int] = ()
    claims: Sequence[int] = ()
    held: Sequence[tuple[int, int]] = ()
    risk_day: int | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """An account that would have been handed over. `outcome_day` is its first outcome afterwards, None so far."""

    account_id: int
    signup_day: int
    day: int
    outcome_day: int | None
    verdict: str  # right, wrong, open
    worked: bool  # sales claimed it, or its company, at most N days before the flag, or later up to how it ended

    def warned(self, within: int) -> bool:
        """Whether its outcome came, at most so many days after it."""
        return self.outcome_day is not None and self.outcome_day - self.day <= within


@dataclass(frozen=True, slots=True)
class Missed:
    """An account whose outcome nobody was warned of; `flag_day` is that of a flag more than N days before."""

    account_id: int
    signup_day: int
    outcome_day: int
    flag_day: int | None


@dataclass(frozen=True, slots=True)
class Week:
    """The flags of seven days (the last week may have fewer)."""

    first_day: int
    right: int
    wrong: int
    open: int

    @property
    def flags(self) -> int:
        return self.right + self.wrong + self.open


@dataclass(frozen=True, slots=True)
class Cohort:
    """The accounts at risk that signed up in one month."""

    month: str  # YYYY-MM
    at_risk: int
    flags: int
    precision: Share
    recall: Share


@dataclass(frozen=True, slots=True)
class Roster:
    """Accounts with their sign-up days, column by column: a hundred thousand take 2 MB."""

    account_ids: array[int]
    signup_days: array[int]

    def __len__(self) -> int:
        return len(self.account_ids)


@dataclass(frozen=True, slots=True)
class Backtest:
    """What came of it. Days are day numbers of the workspace, shares carry 95% intervals (Wilson)."""

    from_day: int
    to_day: int
    within: int
    known_until: int  # the last day of the data
    at_risk: Roster
    standing: Roster  # left out: the rule held already on the day before
    flags: tuple[Flag, ...]
    right: int
    wrong: int
    open: int
    precision: Share
    recall: Share  # of the outcomes in the period, those flagged at most `within` days before
    base_rate: float | None  # the chance that an account at risk, on any day of the period, has its outcome within N
    lift: float | None  # precision / base rate
    f1: float | None
    lead_days: tuple[float | None, float | None, float | None]  # quartiles of outcome day - flag day, of right flags
    missed: tuple[Missed, ...]
    per_week: float
    weeks: tuple[Week, ...]
    worked: Share  # precision among flags that sales worked
    untouched: Share  # and among those that nobody did: what the rule alone predicts
    cohorts: tuple[Cohort, ...] = field(default=())


def score(histories: Iterable[History], *, from_day: int, to_day: int, within: int, known_until: int) -> Backtest:
    """What came of a rule's flags; one pass over the accounts. `to_day` is the last day on which one is flagged."""
    refuse_period(from_day, to_day, known_until)
    flags: list[Flag] = []
    missed: list[Missed] = []
    at_risk, standing = _roster(), _roster()
    exposed = in_time = 0  # account-days at risk whose next `within` days are known, and those that convert
    months: dict[str, Counter[str]] = defaultdict(Counter)
    for one in histories:
        start = max(from_day, one.signup_day if one.risk_day is None else one.risk_day)
        if start > to_day or (one.outcomes and one.outcomes[0] < start):
            continue
        if one.held and start > one.signup_day and _first_held(one.held, start - 1, start - 1) is not None:
            _enlist(standing, one)
            continue
        _enlist(at_risk, one)
        outcome = one.outcomes[0] if one.outcomes else NEVER
        month = months[month_of(one.signup_day)]
        month["at risk"] += 1
        last = min(to_day, known_until - within, outcome - 1)
        if last >= start:
            exposed += last - start + 1
            in_time += max(0, last - max(start, outcome - within) + 1)
        flagged_on = _first_held(one.held, start, to_day) if one.held else None
        flag = None
        if flagged_on is not None and flagged_on < outcome:
            flag = _flag(one, flagged_on, outcome, within, known_until)
            flags.append(flag)
            month[flag.verdict] += 1
        if outcome <= to_day:
            caught = flag is not None and flag.warned(within)
            month["caught" if caught else "missed"] += 1
            if not caught:
                missed.append(Missed(one.account_id, one.signup_day, outcome, flag.day if flag else None))
    verdicts = Counter(flag.verdict for flag in flags)
    precision = stats.share(verdicts["right"], verdicts["right"] + verdicts["wrong"])
    caught_in_all = sum(month["caught"] for month in months.values())
    recall = stats.share(caught_in_all, caught_in_all + len(missed))
    base_rate = in_time / exposed if exposed else None
    lead = [flag.outcome_day - flag.day for flag in flags if flag.verdict == "right" and flag.outcome_day is not None]
    return Backtest(
        from_day=from_day,
        to_day=to_day,
        within=within,
        known_until=known_until,
        at_risk=at_risk,
        standing=standing,
        flags=tuple(flags),
        right=verdicts["right"],
        wrong=verdicts["wrong"],
        open=verdicts["open"],
        precision=precision,
        recall=recall,
        base_rate=base_rate,
        lift=precision.value / base_rate if precision.value is not None and base_rate else None,
        f1=stats.f1(precision.value, recall.value),
        lead_days=(stats.quantile(lead, 0.25), stats.quantile(lead, 0.5), stats.quantile(lead, 0.75)),
        missed=tuple(missed),
        per_week=7 * len(flags) / (to_day - from_day + 1),
        weeks=_weeks(flags, from_day, to_day),
        worked=_precision_of(flags, worked=True),
        untouched=_precision_of(flags, worked=False),
        cohorts=tuple(_cohort(month, told) for month, told in sorted(months.items())),
    )


def refuse_period(from_day: int, to_day: int, known_until: int) -> None:
    """ValueError if the period ends before it starts, or after the data."""
    if not from_day <= to_day <= known_until:
        raise ValueError("The period ends before it starts, or after the data.")


def _roster() -> Roster:
    return Roster(array("q"), array("i"))


def _enlist(roster: Roster, one: History) -> None:
    roster.account_ids.append(one.account_id)
    roster.signup_days.append(one.signup_day)


@lru_cache(maxsize=20_000)
def month_of(day: int) -> str:
    """The month of a day, YYYY-MM."""
    return days.date_of(day).strftime("%Y-%m")


def _first_held(held: Sequence[tuple[int, int]], start: int, end: int) -> int | None:
    """The first day from `start` to `end` on which the rule held."""
    found = (max(first, start) for first, until in held if until > start and first <= end)
    return min(found, default=None)


def _flag(one: History, day: int, outcome: int, within: int, known_until: int) -> Flag:
    is_over = day + within <= known_until
    verdict = "open" if not is_over else "right" if outcome <= day + within else "wrong"
    ends = min(outcome, day + within)
    worked = any(day - within <= claimed <= ends for claimed in one.claims)
    return Flag(one.account_id, one.signup_day, day, None if outcome == NEVER else outcome, verdict, worked)


def _precision_of(flags: Iterable[Flag], *, worked: bool) -> Share:
    told = Counter(flag.verdict for flag in flags if flag.worked is worked)
    return stats.share(told["right"], told["right"] + told["wrong"])


def week_of(day: int, from_day: int) -> int:
    """The first day of the week of the period that a day lies in; weeks begin with the period."""
    return day - (day - from_day) % 7


def _weeks(flags: Iterable[Flag], from_day: int, to_day: int) -> tuple[Week, ...]:
    told: dict[int, Counter[str]] = defaultdict(Counter)
    for flag in flags:
        told[week_of(flag.day, from_day)][flag.verdict] += 1
    return tuple(
        Week(first, told[first]["right"], told[first]["wrong"], told[first]["open"])
        for first in range(from_day, to_day + 1, 7)
    )


def _cohort(month: str, told: Mapping[str, int]) -> Cohort:
    return Cohort(
        month=month,
        at_risk=told["at risk"],
        flags=told["right"] + told["wrong"] + told["open"],
        precision=stats.share(told["right"], told["right"] + told["wrong"]),
        recall=stats.share(told["caught"], told["caught"] + told["missed"]),
    )
