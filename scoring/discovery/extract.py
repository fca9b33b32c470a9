"""What a discovery reads from the usage lake: a handful of statements, whatever is in it.

Everything stays in temporary tables of one DuckDB connection (within the lake's memory limit); what comes out is
counts: of subjects by what they did and whether the outcome came. Only the yardstick takes rows, of a sample.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from accounts.models import EventType, Stage
from scoring import stats
from scoring.discovery.asked import ANY, MIN_SUPPORT, Asked, Condition, Half, Measure, Population
from scoring.rules.values import MAX_LIST

SILENCE = 60  # days without any usage: what at most a hundredth of the rows tell of before them are strays
MOST_TYPES = 200  # event types that are searched: the most common ones
Histogram = dict[int, tuple[int, int, int, int]]  # value -> subjects and outcomes of the search, of the later half


class UnknownOutcome(Exception):
    """Neither a stage nor an event of the catalogue."""


@dataclass(frozen=True, slots=True)
class Types:
    """The catalogue as a search needs it. Billing events and the outcome itself are never behaviours."""

    names: Mapping[int, str]
    billing: tuple[int, ...]  # left out: what is described as billing, and what derives from it
    itself: tuple[int, ...]  # left out: the outcome's own event, what it derives from and what derives from it
    activity: tuple[int, ...]  # what ANY counts; none where it could not be written as a rule
    any_is_all: bool  # whether ANY is what a rule calls “*”: nothing that counts as activity is left out
    undescribed: int  # types that nobody has described: a billing event among them is not known to be one

    @property
    def left_out(self) -> tuple[int, ...]:
        return tuple(sorted({*self.billing, *self.itself}))


def types_for(outcome: str) -> Types:
    """The catalogue for a search for an outcome (one query). Raises UnknownOutcome."""
    rows = list(EventType.objects.order_by("id").values("id", "name", "meaning", "base_id", "is_activity"))
    named = {row["name"]: row for row in rows}
    if outcome not in Stage.values and outcome not in named:
        raise UnknownOutcome(f"“{outcome}” is neither a stage ({', '.join(Stage.values)}) nor a known event.")
    direct = {row["id"] for row in rows if row["meaning"] == EventType.Meaning.BILLING}
    billing = {row["id"] for row in rows if row["id"] in direct or row["base_id"] in direct}
    itself: set[int] = set()
    if outcome not in Stage.values:
        own = {named[outcome]["id"], named[outcome]["base_id"]} - {None}
        itself = {row["id"] for row in rows if row["id"] in own or row["base_id"] in own}
    left_out = billing | itself
    raw = [row["id"] for row in rows if row["is_activity"] and row["base_id"] is None]
    activity = tuple(number for number in raw if number not in left_out)
    any_is_all = len(activity) == len(raw)
    return Types(
        names={row["id"]: row["name"] for row in rows},
        billing=tuple(sorted(billing)),
        itself=tuple(sorted(itself)),
        activity=activity if any_is_all or len(activity) <= MAX_LIST else (),
        any_is_all=any_is_all,
        undescribed=sum(1 for row in rows if not row["meaning"] and row["id"] not in left_out),
    )


class Extract:
    """The early behaviours of everybody at risk, in temporary tables of `db` (a connection of the lake)."""

    def __init__(self, db: duckdb.DuckDBPyConnection, asked: Asked, types: Types, *, until_day: int) -> None:
        """`until_day` is the last day that may be read: yesterday, today is not over."""
        self.db, self.asked, self.types = db, asked, types
        self.population = self._subjects(until_day)
        self.searched: tuple[int, ...] = ()  # event types, the most common first
        self.rare = 0  # types that too few did

    def _one(self, sql: str, params: Mapping[str, Any] | None = None) -> tuple[Any, ...]:
        row = self.db.execute(sql, dict(params or {})).fetchone()
        assert row is not None
        return row

    def _subjects(self, until_day: int) -> Population:
        # after strays and a long silence: one event with a wrong date must not make accounts without any data look idle
        first, last = self._one(
            "SELECT MAX(day) FILTER (before IS NULL OR (day - before > $silence AND earlier * 100 <= every)),"
            " LEAST(MAX(day), $until)"
            " FROM (SELECT day, LAG(day) OVER w AS before, SUM(n) OVER w - n AS earlier, SUM(n) OVER () AS every"
            " FROM (SELECT day, COUNT(*) AS n FROM accounts_usageday GROUP BY day) d"
            " WINDOW w AS (ORDER BY day)) g",
            {"until": until_day, "silence": SILENCE},
        )
        if first is None:
            return Population(until_day, until_day, 0, 0, 0, 0, Half(None, None, 0, 0), Half(None, None, 0, 0))
        names = {name: number for number, name in self.types.names.items()}
        stage = self.asked.outcome in Stage.values
        who = {"outcome": self.asked.outcome if stage else names[self.asked.outcome], "until": last}
        if self.asked.level == "user":
            who["landmark"] = self.asked.first_days
        self.db.execute(f"CREATE TEMP TABLE everybody AS {self._everybody(stage)}", who)
        days = {"landmark": self.asked.first_days, "within": self.asked.within, "from": first, "until": last}
        self.db.execute(
            "CREATE TEMP TABLE told AS SELECT *, CASE WHEN day < $from THEN 'before data'"
            " WHEN day + $landmark + $within - 1 > $until THEN 'too young'"
            " WHEN outcome_day < day + $landmark THEN 'converted before' ELSE 'at risk' END AS state,"
            " CASE WHEN outcome_day < day + $landmark + $within THEN 1 ELSE 0 END AS hit FROM everybody",
            days,
        )
        counted = dict(self.db.execute("SELECT state, COUNT(*) FROM told GROUP BY 1").fetchall())
        cut = self._cut_day()
        self.db.execute(
            "CREATE TEMP TABLE subject AS SELECT ROW_NUMBER() OVER (ORDER BY day, account_id, user_id) AS no,"
            " account_id, user_id, day, CASE WHEN day >= $cut THEN 1 ELSE 0 END AS late, hit"
            " FROM told WHERE state = 'at risk'",
            {"cut": cut},
        )
        return Population(
            known_from=first,
            known_until=last,
            signed_up=sum(counted.values()),
            before_data=counted.get("before data", 0),
            too_young=counted.get("too young", 0),
            converted_before=counted.get("converted before", 0),
            search=self._half(0),
            later=self._half(1),
        )

    def _everybody(self, stage: bool) -> str:
        """Account, person (0: the account itself), sign-up day and the first day of the outcome, as a statement."""
        if stage:
            outcome = "SELECT account_id, 0 AS user_id, MIN(day) AS day FROM accounts_stageentry WHERE stage = $outcome"
        else:
            person = "user_id" if self.asked.level == "user" else "0"
            outcome = (
                f"SELECT account_id, {person} AS user_id, MIN(day) AS day FROM accounts_usageday"
                " WHERE event_type_id = $outcome"
            )
        outcome = f"({outcome} GROUP BY 1, 2)"
        if self.asked.level == "account":
            return (
                "SELECT a.id AS account_id, 0 AS user_id, a.signup_day AS day, o.day AS outcome_day"
                f" FROM accounts_account a LEFT JOIN {outcome} o ON o.account_id = a.id"
                " WHERE a.merged_into_id IS NULL AND NOT a.is_internal AND a.signup_day <= $until"
            )
        same = "" if stage else " AND o.user_id = m.user_id"
        return (  # who joins an account after their own first days did those somewhere else
            "SELECT m.account_id, m.user_id, p.signup_day AS day, o.day AS outcome_day"
            " FROM (SELECT account_id, user_id, MIN(from_day) AS from_day FROM accounts_membership GROUP BY 1, 2) m"
            " JOIN accounts_productuser p ON p.id = m.user_id AND p.merged_into_id IS NULL"
            " JOIN accounts_account a ON a.id = m.account_id AND a.merged_into_id IS NULL AND NOT a.is_internal"
            f" LEFT JOIN {outcome} o ON o.account_id = m.account_id{same}"
            " WHERE p.signup_day <= $until AND m.from_day < p.signup_day + $landmark"
        )

    def _cut_day(self) -> int:
        """The sign-up day with which the later half begins: the one that makes the halves most alike in size."""
        rows = self.db.execute("SELECT day, COUNT(*) FROM told WHERE state = 'at risk' GROUP BY 1 ORDER BY 1")
        per_day = rows.fetchall()
        of, before, best, cut = sum(count for _, count in per_day), 0, None, 0
        for day, count in per_day:
            apart = abs(of - 2 * before)
            if best is None or apart < best:
                best, cut = apart, day
            before += count
        return cut

    def _half(self, late: int) -> Half:
        of, hits, first, last, clusters, squares = self._one(
            "WITH c AS (SELECT account_id, COUNT(*) AS of, SUM(hit) AS hits, MIN(day) AS first, MAX(day) AS last"
            " FROM subject WHERE late = $late GROUP BY 1), t AS (SELECT SUM(hits) / SUM(of) AS share FROM c)"
            " SELECT COALESCE(SUM(of), 0), COALESCE(SUM(hits), 0), MIN(first), MAX(last), COUNT(*),"
            " COALESCE(SUM((hits - of * share) * (hits - of * share)), 0) FROM c, t",
            {"late": late},
        )
        design = stats.design_effect(clusters, int(of), int(hits), squares) if self.asked.level == "user" else 1.0
        return Half(first, last, int(of), int(hits), design)

    def measure(self) -> None:
        """Make the table of behaviours: a row per subject and event type that it did in its first days."""
        person = " AND u.user_id = s.user_id" if self.asked.level == "user" else ""
        left_out = ", ".join(map(str, (-1, *self.types.left_out)))
        self.db.execute(
            "CREATE TEMP TABLE early AS SELECT s.no, u.event_type_id AS type, u.user_id AS person,"
            " u.day - s.day AS age, u.count AS n FROM subject s"
            f" JOIN accounts_usageday u ON u.account_id = s.account_id{person}"
            " AND u.day >= s.day AND u.day < s.day + $landmark"
            f" WHERE u.event_type_id NOT IN ({left_out})",
            {"landmark": self.asked.first_days},
        )
        common = self.db.execute(
            "SELECT type, COUNT(DISTINCT no) AS doing FROM early JOIN subject USING (no) WHERE late = 0"
            " GROUP BY 1 ORDER BY 2 DESC, 1"
        ).fetchall()
        often = [kind for kind, doing in common if doing >= MIN_SUPPORT]
        self.searched, self.rare = tuple(often[:MOST_TYPES]), len(common) - len(often[:MOST_TYPES])
        # any activity of a single type would be that type once more
        several = sum(1 for kind, _ in common if kind in self.types.activity) > 1
        listed, activity = (
            ", ".join(map(str, (-1, *ids))) for ids in (self.searched, self.types.activity if several else ())
        )
        self.db.execute(
            "CREATE TEMP TABLE kept AS"
            f" SELECT no, type, person, age, n FROM early WHERE type IN ({listed})"
            f" UNION ALL SELECT no, {ANY}, person, age, n FROM early WHERE type IN ({activity})"
        )
        self.db.execute("DROP TABLE early")
        of_days, of_people = [], []
        for days in self.asked.windows:
            of_days.append(f"SUM(CASE WHEN age < {days} THEN n ELSE 0 END) AS count_{days}")
            of_days.append(f"SUM(CASE WHEN age < {days} THEN 1 ELSE 0 END) AS days_{days}")
            of_people.append(f"SUM(CASE WHEN age < {days} THEN 1 ELSE 0 END) AS users_{days}")
        self.db.execute(
            "CREATE TEMP TABLE behaviour AS"
            f" WITH d AS (SELECT no, type, {', '.join(of_days)} FROM"
            " (SELECT no, type, age, SUM(n) AS n FROM kept GROUP BY 1, 2, 3) GROUP BY 1, 2),"
            f" p AS (SELECT no, type, {', '.join(of_people)} FROM"
            " (SELECT no, type, person, MIN(age) AS age FROM kept WHERE person > 0 GROUP BY 1, 2, 3) GROUP BY 1, 2)"
            " SELECT d.*, p.* EXCLUDE (no, type), s.late, s.hit"
            " FROM d LEFT JOIN p USING (no, type) JOIN subject s USING (no)"
        )
        self.db.execute("DROP TABLE kept")

    def histograms(self) -> dict[tuple[int, Measure, int], Histogram]:
        """Of each event type, measure and window: how many subjects did how much (from 1), and their outcomes."""
        found: dict[tuple[int, Measure, int], Histogram] = defaultdict(dict)
        parts = [
            f"SELECT type, '{measure}', {days}, LEAST({measure}_{days}, 1000000000)::BIGINT AS v,"
            " SUM(1 - late)::BIGINT, SUM((1 - late) * hit)::BIGINT, SUM(late)::BIGINT, SUM(late * hit)::BIGINT"
            f" FROM behaviour WHERE {measure}_{days} > 0 GROUP BY 1, 4"
            for measure in self.asked.measures
            for days in self.asked.windows
        ]
        rows = self.db.execute(f"{' UNION ALL '.join(parts)} ORDER BY 1, 2, 3, 4")
        while batch := rows.fetchmany(20_000):
            for kind, measure, days, value, *counts in batch:
                found[kind, measure, days][value] = tuple(counts)
        return found

    def together(self, candidates: Sequence[Condition]) -> list[tuple[int, int, int, int, int]]:
        """Which of the candidates (at most 62) hold together, as bits, and how many subjects and outcomes that are
        in the search and in the later half. Subjects of whom none holds are told as 0."""
        cases = [
            f"CASE WHEN type = {c.event} AND {c.measure}_{c.window} >= {c.low} THEN {1 << bit}::BIGINT ELSE 0 END"
            for bit, c in enumerate(candidates)
        ]
        return self.db.execute(
            f"WITH b AS (SELECT no, BIT_OR({' | '.join(cases)}) AS mask FROM behaviour GROUP BY 1)"
            " SELECT COALESCE(b.mask, 0), SUM(1 - s.late)::BIGINT, SUM((1 - s.late) * s.hit)::BIGINT,"
            " SUM(s.late)::BIGINT, SUM(s.late * s.hit)::BIGINT"
            " FROM subject s LEFT JOIN b USING (no) GROUP BY 1 ORDER BY 1"
        ).fetchall()

    def sample(self, kinds: Sequence[int], *, most: int) -> tuple[Any, Any]:
        """Subjects and their behaviours as arrays by column, at most so many of each half, drawn by a hash.

        Subjects: no, late, hit. Behaviours: no, type and the measures of the whole first days.
        """
        self.db.execute(
            "CREATE OR REPLACE TEMP TABLE sampled AS SELECT no, late, hit FROM (SELECT *,"
            " ROW_NUMBER() OVER (PARTITION BY late ORDER BY hash(no), no) AS place FROM subject)"
            " WHERE place <= $most ORDER BY no",
            {"most": most},
        )
        subjects = self.db.execute("SELECT * FROM sampled ORDER BY no").fetchnumpy()
        measured = ", ".join(f"COALESCE({m}_{self.asked.first_days}, 0) AS {m}" for m in self.asked.measures)
        listed = ", ".join(map(str, (-1, *kinds)))
        rows = self.db.execute(
            f"SELECT no, type, {measured} FROM behaviour JOIN sampled USING (no) WHERE type IN ({listed}) ORDER BY 1, 2"
        ).fetchnumpy()
        return subjects, rows
