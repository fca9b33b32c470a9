"""A rule against history: when each account would have qualified, and what came of it.

Point in time: an account qualifies on the first day of the period at whose end the rule held, by the events, traits,
memberships and stages of that day; what was known only later plays no part. `score` is pure; `run` reads the lake.

- An account is *at risk* from its sign-up or the first day of the period, whichever is later, until its outcome; who
  has the outcome before that is left out (of `paid`: who has ever paid before).
- It is *flagged* on the first such day on which the rule held, if that is before the outcome: a rule that begins to
  hold on the day of paying warns nobody.
- A flag is *right* when the outcome comes within N days after it, *wrong* when N days passed without, *open* when the
  data ends before that; open ones are counted and left out of the precision.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from accounts import lake
from accounts.models import EventType, Stage
from plgops.lib import days
from scoring import stats
from scoring.engines import columnar
from scoring.rules.tree import DefinitionDoc
from scoring.stats import Share

NEVER = 10**9


class UnknownOutcome(Exception):
    """Neither a stage nor an event of the catalogue."""


@dataclass(frozen=True, slots=True)
class History:
    """What is known of one account: its sign-up day, the days on which it had the outcome and on which sales
    claimed it (ascending), and the spans [from, to) in which the rule held."""

    account_id: int
    signup_day: int
    outcomes: Sequence[int] = ()
    claims: Sequence[int] = ()
    held: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True)
class Flag:
    """An account that would have been handed over. `outcome_day` is its first outcome afterwards, None so far."""

    account_id: int
    day: int
    outcome_day: int | None
    verdict: str  # right, wrong, open
    worked: bool  # sales claimed it between the flag and the outcome, or within the N days


@dataclass(frozen=True, slots=True)
class Cohort:
    """The accounts at risk that signed up in one month."""

    month: str
    at_risk: int
    precision: Share
    recall: Share


@dataclass(frozen=True, slots=True)
class Backtest:
    """What came of it. Days are day numbers of the workspace, shares carry 95% intervals (Wilson)."""

    from_day: int
    to_day: int
    within: int
    known_until: int  # the last day of the data
    at_risk: int
    standing: int  # left out: the rule held already on the day before the period
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
    missed: tuple[int, ...]  # accounts with an outcome in the period and no flag in time
    per_week: float
    weeks: tuple[tuple[int, int, int], ...]  # first day of the week, flags, of those right
    worked: Share  # precision among flags that sales worked
    untouched: Share  # and among those that nobody did: what the rule alone predicts
    cohorts: tuple[Cohort, ...] = field(default=())


def run(doc: DefinitionDoc, *, from_day: int, to_day: int, outcome: str, within: int, known_until: int) -> Backtest:
    """The rule over a past period, from the current generation of the lake: three reads, whatever is in it.

    `outcome` is a stage or the name of an event. Raises UnknownOutcome, and lake.NoLake.
    """
    held = columnar.history({0: doc}, until_day=known_until)[0]
    return score(
        _histories(held, outcome=outcome, until=known_until),
        from_day=from_day,
        to_day=to_day,
        within=within,
        known_until=known_until,
    )


def _histories(held: Iterable[tuple[int, int, int]], *, outcome: str, until: int) -> Iterable[History]:
    spans: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for account_id, first, end in held:
        spans[account_id].append((first, end))
    with lake.connection() as db:
        signups = db.execute(
            "SELECT id, signup_day FROM accounts_account"
            " WHERE merged_into_id IS NULL AND NOT is_internal AND signup_day <= ?",
            [until],
        ).fetchall()
        if outcome in Stage.values:
            outcomes = _days(db.execute(_STAGE, [outcome, until]).fetchall())
        else:
            kind = EventType.objects.filter(name=outcome).values_list("pk", flat=True).first()
            if kind is None:
                raise UnknownOutcome(f"“{outcome}” is neither a stage ({', '.join(Stage.values)}) nor a known event.")
            outcomes = _days(db.execute(_EVENT, [kind, until]).fetchall())
        claims = _days(db.execute(_STAGE, [Stage.CLAIMED, until]).fetchall())
    for account_id, signup_day in signups:
        yield History(
            account_id,
            signup_day,
            outcomes.get(account_id, ()),
            claims.get(account_id, ()),
            spans.get(account_id, ()),
        )


_STAGE = "SELECT DISTINCT account_id, day FROM accounts_stageentry WHERE stage = ? AND day <= ? ORDER BY 1, 2"
_EVENT = "SELECT DISTINCT account_id, day FROM accounts_usageday WHERE event_type_id = ? AND day <= ? ORDER BY 1, 2"


def _days(rows: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for account_id, day in rows:
        found[account_id].append(day)
    return found


# --- pure ---------------------------------------------------------------------------------------------------


def score(histories: Iterable[History], *, from_day: int, to_day: int, within: int, known_until: int) -> Backtest:
    """What came of a rule's flags; one pass over the accounts. `to_day` is the last day on which one is flagged."""
    if not from_day <= to_day <= known_until:
        raise ValueError("The period ends before it starts, or after the data.")
    flags: list[Flag] = []
    missed: list[int] = []
    at_risk = standing = exposed = in_time = (
        0  # account-days at risk whose next `within` days are known, and those that convert
    )
    months: dict[str, Counter[str]] = defaultdict(Counter)
    for one in histories:
        start = max(from_day, one.signup_day)
        if start > to_day or (one.outcomes and one.outcomes[0] < start):
            continue
        if one.signup_day < from_day and _first_held(one.held, from_day - 1, from_day - 1) is not None:
            standing += 1
            continue
        at_risk += 1
        outcome = one.outcomes[0] if one.outcomes else NEVER
        month = days.date_of(one.signup_day).strftime("%Y-%m")
        months[month]["at risk"] += 1
        last = min(to_day, known_until - within, outcome - 1)
        if last >= start:
            exposed += last - start + 1
            in_time += max(0, last - max(start, outcome - within) + 1)
        flagged_on = _first_held(one.held, start, to_day)
        flag = None
        if flagged_on is not None and flagged_on < outcome:
            flag = _flag(one, flagged_on, outcome, within, known_until)
            flags.append(flag)
            months[month][flag.verdict] += 1
        if outcome <= to_day:
            caught = flag is not None and flag.verdict == "right"
            months[month]["caught" if caught else "missed"] += 1
            if not caught:
                missed.append(one.account_id)
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


def _first_held(held: Sequence[tuple[int, int]], start: int, end: int) -> int | None:
    """The first day from `start` to `end` on which the rule held."""
    found = (max(first, start) for first, until in held if until > start and first <= end)
    return min(found, default=None)


def _flag(one: History, day: int, outcome: int, within: int, known_until: int) -> Flag:
    if outcome <= day + within:
        verdict = "right"
    else:
        verdict = "wrong" if day + within <= known_until else "open"
    ends = min(outcome, day + within)
    worked = any(day <= claimed <= ends for claimed in one.claims)
    return Flag(one.account_id, day, None if outcome == NEVER else outcome, verdict, worked)


def _precision_of(flags: Iterable[Flag], *, worked: bool) -> Share:
    told = Counter(flag.verdict for flag in flags if flag.worked is worked)
    return stats.share(told["right"], told["right"] + told["wrong"])


def _weeks(flags: Iterable[Flag], from_day: int, to_day: int) -> tuple[tuple[int, int, int], ...]:
    every: Counter[int] = Counter()
    right: Counter[int] = Counter()
    for flag in flags:
        week = (flag.day - from_day) // 7
        every[week] += 1
        right[week] += flag.verdict == "right"
    return tuple((from_day + 7 * week, every[week], right[week]) for week in range((to_day - from_day) // 7 + 1))


def _cohort(month: str, told: Mapping[str, int]) -> Cohort:
    return Cohort(
        month=month,
        at_risk=told["at risk"],
        precision=stats.share(told["right"], told["right"] + told["wrong"]),
        recall=stats.share(told["caught"], told["caught"] + told["missed"]),
    )


def plain(result: Backtest) -> dict[str, object]:
    """The result as plain data, days as dates; the accounts by their ids."""

    def date(day: int) -> str:
        return days.date_of(day).isoformat()

    def told(part: Share) -> dict[str, float | int | None]:
        return {"hits": part.hits, "of": part.of, "value": part.value, "low": part.low, "high": part.high}

    return {
        "from": date(result.from_day),
        "to": date(result.to_day),
        "within": result.within,
        "known_until": date(result.known_until),
        "at_risk": result.at_risk,
        "standing": result.standing,
        "flagged": len(result.flags),
        "right": result.right,
        "wrong": result.wrong,
        "open": result.open,
        "precision": told(result.precision),
        "recall": told(result.recall),
        "base_rate": result.base_rate,
        "lift": result.lift,
        "f1": result.f1,
        "lead_days": dict(zip(("p25", "p50", "p75"), result.lead_days, strict=True)),
        "per_week": result.per_week,
        "worked": told(result.worked),
        "untouched": told(result.untouched),
        "missed": len(result.missed),
        "cohorts": [
            {"month": c.month, "at_risk": c.at_risk, "precision": told(c.precision), "recall": told(c.recall)}
            for c in result.cohorts
        ],
    }
