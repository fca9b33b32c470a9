"""A rule against history, read from the usage lake: when each account would have qualified, and what came of it.

Point in time: an account qualifies on the first day of the period at whose end the rule held, by the events, traits,
memberships and stages of that day; what was known only later plays no part. `score` says what that was worth.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from accounts import lake
from accounts.models import EventType, Stage
from accounts.workspace import day_of
from scoring.backtest.score import Backtest, History, refuse_period, score
from scoring.engines import columnar
from scoring.rules.tree import DefinitionDoc

# What only a customer can do, and may do again: at risk from the first payment on, whatever happened before.
OF_CUSTOMERS = (Stage.EXPANDED, Stage.CHURNED)


class UnknownOutcome(Exception):
    """Neither a stage nor an event of the catalogue."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of one or two definitions: which days flag, and what should come of it.

    Days are day numbers of the workspace, both included. `outcome` is a stage or the name of an event, `within` the
    days in which it must come. Compared by value: the same question has the same answer on the same data.
    """

    docs: tuple[DefinitionDoc, ...]
    from_day: int
    to_day: int
    outcome: str
    within: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The results of a question in the order of its definitions, and what they were computed from."""

    results: tuple[Backtest, ...]
    generation: int  # of the usage lake
    known_until: int  # the last whole day in it
    built_at: dt.datetime
    accounts: int  # that were there by the end of the period, without internal and merged ones
    reading_seconds: float  # the statement and the facts beside it
    scoring_seconds: float

    @property
    def seconds(self) -> float:
        return self.reading_seconds + self.scoring_seconds


def known_until() -> int:
    """The last whole day that the usage lake knows. Raises lake.NoLake."""
    return _last_day(lake.standing())


def run(question: Question) -> Answer:
    """The definitions over a past period, from the current generation of the lake: one statement for all of them and
    three reads, whatever is in it.

    Raises UnknownOutcome, lake.NoLake, and ValueError if the period ends before it starts or after the data.
    """
    generation = lake.standing()
    until = _last_day(generation)
    refuse_period(question.from_day, question.to_day, until)
    began = time.perf_counter()
    facts = _facts(question, until=until)
    # nobody is flagged later; on the day before the period somebody may be standing
    docs, before = dict(enumerate(question.docs)), question.from_day - 1
    held = columnar.history(docs, since_day=before, until_day=question.to_day)
    read = time.perf_counter()
    if lake.current() != generation:
        return run(question)  # a new one appeared meanwhile: not half of each
    results = tuple(
        score(
            _histories(facts, held[number]),
            from_day=question.from_day,
            to_day=question.to_day,
            within=question.within,
            known_until=until,
        )
        for number in range(len(question.docs))
    )
    return Answer(
        results=results,
        generation=generation.number,
        known_until=until,
        built_at=generation.built_at,
        accounts=len(facts.accounts),
        reading_seconds=read - began,
        scoring_seconds=time.perf_counter() - read,
    )


def check_outcome(outcome: str) -> None:
    """UnknownOutcome unless it is a stage or the name of an event."""
    _event_of(outcome)


def _last_day(generation: lake.Generation) -> int:
    return day_of(generation.built_at) - 1  # that day was not over


@dataclass(frozen=True, slots=True)
class _Facts:
    accounts: Sequence[tuple[int, int | None, int]]  # id, parent, sign-up day
    outcomes: Mapping[int, Sequence[int]]
    claims: Mapping[int, Sequence[int]]
    paid: Mapping[int, Sequence[int]] | None  # set: at risk from the first payment on


_ACCOUNTS = (
    "SELECT id, parent_id, signup_day FROM accounts_account"
    " WHERE merged_into_id IS NULL AND NOT is_internal AND signup_day <= ? ORDER BY id"
)
_STAGE = "SELECT DISTINCT account_id, day FROM accounts_stageentry WHERE stage = ? AND day <= ? ORDER BY 1, 2"
_EVENT = "SELECT DISTINCT account_id, day FROM accounts_usageday WHERE event_type_id = ? AND day <= ? ORDER BY 1, 2"


def _facts(question: Question, *, until: int) -> _Facts:
    event = _event_of(question.outcome)
    query, key = (_STAGE, question.outcome) if event is None else (_EVENT, event)
    again = event is None and question.outcome in OF_CUSTOMERS
    with lake.connection() as db:
        outcomes = _days(db.execute(query, [key, until]).fetchall(), since=question.from_day if again else 0)
        return _Facts(
            accounts=db.execute(_ACCOUNTS, [question.to_day]).fetchall(),
            outcomes=outcomes,
            claims=_days(db.execute(_STAGE, [Stage.CLAIMED, until]).fetchall()),
            paid=_days(db.execute(_STAGE, [Stage.PAID, until]).fetchall()) if again else None,
        )


def _event_of(outcome: str) -> int | None:
    """The event type's id; None for a stage."""
    if outcome in Stage.values:
        return None
    kind = EventType.objects.filter(name=outcome).values_list("pk", flat=True).first()
    if kind is None:
        raise UnknownOutcome(f"“{outcome}” is neither a stage ({', '.join(Stage.values)}) nor a known event.")
    return kind


def _days(rows: Iterable[tuple[int, int]], *, since: int = 0) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for account_id, day in rows:
        if day >= since:
            found[account_id].append(day)
    return found


def _histories(facts: _Facts, held: Iterable[tuple[int, int, int]]) -> Iterator[History]:
    spans: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for account_id, first, end in held:
        spans[account_id].append((first, end))
    for account_id, parent_id, signup_day in facts.accounts:
        risk_day = signup_day
        if facts.paid is not None:
            payments = facts.paid.get(account_id)
            if not payments:
                continue
            risk_day = max(signup_day, payments[0])
        claims = facts.claims.get(account_id, ())
        if parent_id is not None and parent_id in facts.claims:  # sales work the company
            claims = (*claims, *facts.claims[parent_id])
        outcomes = facts.outcomes.get(account_id, ())
        yield History(account_id, signup_day, outcomes, claims, spans.get(account_id, ()), risk_day)
