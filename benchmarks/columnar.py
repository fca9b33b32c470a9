"""The usage lake at full size: verdicts and history of six definitions, beside queries written by hand.

    .venv/bin/python benchmarks/columnar.py [--rounds 3] [--lake DIR]

Uses the database that benchmarks/population.py leaves behind (run that first), which it only reads. Builds the lake
into `--lake` (a temporary folder if left out; one that is there is brought up to date), in a process of its own. Then,
for each definition: who holds today (a full recompute), and the first day on which each account ever held (the heart of
a backtest); ours and a DuckDB query that somebody would write for that one question, one after the other on the same
connection settings, `--rounds` times, the fastest of each. CPU seconds are those of this process, all of DuckDB's
threads included, which other work on the machine changes less. Both must give the same accounts and days, or the
program ends with an error. Then all six in one statement, and what is asked incrementally, of PostgreSQL: 500 accounts
and one account under ten definitions. The largest size of this process is told at the end.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ingest import ROOT
from population import DEFINITIONS, NAME

PAIR = {"first_days": 30, "of": "account"}
MONTH = {"last_days": 28}
SIX: dict[str, dict[str, Any]] = {
    "signup-anchored pair": {
        "users_who": {
            "at_least": 1,
            "rule": {
                "all": [
                    {"count": {"event": "Invite Sent", "at_least": 3, "window": PAIR}},
                    {"count": {"event": "Workflow Completed", "at_least": 1, "window": PAIR}},
                ]
            },
        }
    },
    "28-day breadth": {
        "all": [
            {"trait": {"name": "plan", "in": ["free"]}},
            {"users": {"event": "*", "at_least": 3, "window": MONTH}},
            {"count": {"event": "Export Run", "at_least": 5, "window": MONTH}},
        ]
    },
    "score": {
        "score": {
            "signals": [
                {"part": "intent", "points": 5, "cap": 25, "per": {"count": {"event": "Invite Sent", "window": MONTH}}},
                {"part": "usage", "points": 2, "per": {"days": {"event": "*", "window": MONTH}}},
                {"part": "usage", "points": 3, "cap": 30, "per": {"count": {"event": "Export Run", "window": MONTH}}},
                {"part": "fit", "points": 10, "when": {"trait": {"name": "plan", "in": ["team"]}}},
            ],
            "at_least": 60,
        }
    },
    "surge": {"change": {"event": "*", "days": 7, "factor_at_least": 1.5, "at_least": 50}},
    "any 7 days": {
        "users_who": {
            "at_least": 1,
            "rule": {"days": {"event": "*", "at_least": 4, "window": {"any_days": 7}}},
        }
    },
    "sequence": {"sequence": {"steps": ["Project Created", "Invite Sent"], "within_days": 7}},
}
MORE = {"silent": {"recency": {"event": "*", "not_for_days": 14}}}  # with the population's three: ten

# --- by hand: {day} is the day asked about ---------------------------------------------------------------------------

ASKED = "a.merged_into_id IS NULL AND NOT a.is_internal AND a.signup_day <= {day}"
FROM = f"FROM accounts_usageday u JOIN accounts_account a ON a.id = u.account_id WHERE {ASKED} AND u.day <= {{day}}"
ON_PLAN = (
    "EXISTS (FROM accounts_traitvalue t WHERE t.account_id = x.account_id AND t.user_id = 0 AND t.name = 'plan'"
    " AND t.from_day <= {day} AND t.to_day > {day} AND t.text ="
)
WEEK = "WHEN u.day > {day} - 7 THEN u.count"
WEEK_BEFORE = "WHEN u.day > {day} - 14 AND u.day <= {day} - 7 THEN u.count"
STRETCH = "day - LAG(day, 3) OVER (PARTITION BY account_id, user_id ORDER BY day) <= 6"
STEPS = f"""
    SELECT account_id, us, day, step, MAX(CASE WHEN step = 1 THEN day END) OVER (PARTITION BY account_id ORDER BY us)
    AS began FROM (SELECT u.account_id, u.first_us AS us, u.day, 1 AS step {FROM} AND u.event_type_id = 3
    UNION ALL SELECT u.account_id, u.last_us, u.day, 2 {FROM} AND u.event_type_id = 1) r"""
TODAY = {
    "signup-anchored pair": f"""
        SELECT DISTINCT p.account_id FROM (SELECT u.account_id, u.user_id {FROM} AND u.user_id > 0
            AND u.event_type_id IN (1, 2) AND u.day >= a.signup_day AND u.day < a.signup_day + 30
            GROUP BY 1, 2 HAVING SUM(CASE WHEN u.event_type_id = 1 THEN u.count END) >= 3
            AND SUM(CASE WHEN u.event_type_id = 2 THEN u.count END) >= 1) p
        JOIN accounts_membership m USING (account_id, user_id) JOIN accounts_productuser q ON q.id = m.user_id
        WHERE m.from_day <= {{day}} AND m.to_day > {{day}} AND q.signup_day <= {{day}} AND q.merged_into_id IS NULL""",
    "28-day breadth": f"""
        SELECT account_id FROM (SELECT u.account_id,
            COUNT(DISTINCT CASE WHEN u.user_id > 0 THEN u.user_id END) AS users,
            SUM(CASE WHEN u.event_type_id = 6 THEN u.count END) AS exports {FROM} AND u.day > {{day}} - 28 GROUP BY 1) x
        WHERE users >= 3 AND exports >= 5 AND {ON_PLAN} 'free')""",
    "score": f"""
        SELECT account_id FROM (SELECT u.account_id, COUNT(DISTINCT u.day) AS days,
            COALESCE(SUM(CASE WHEN u.event_type_id = 1 THEN u.count END), 0) AS invites,
            COALESCE(SUM(CASE WHEN u.event_type_id = 6 THEN u.count END), 0) AS exports
            {FROM} AND u.day > {{day}} - 28 GROUP BY 1) x
        WHERE LEAST(25, 5 * invites) + 2 * days + LEAST(30, 3 * exports)
            + CASE WHEN {ON_PLAN} 'team') THEN 10 ELSE 0 END >= 60""",
    "surge": f"""
        SELECT u.account_id {FROM} AND u.day > {{day}} - 14 GROUP BY 1
        HAVING SUM(CASE {WEEK} END) >= 50 AND SUM(CASE {WEEK_BEFORE} END) >= 1
            AND SUM(CASE {WEEK} END) * 2 >= SUM(CASE {WEEK_BEFORE} END) * 3""",
    "any 7 days": f"""
        SELECT DISTINCT s.account_id FROM (SELECT DISTINCT account_id, user_id FROM (
            SELECT account_id, user_id, {STRETCH} AS so FROM (SELECT DISTINCT u.account_id, u.user_id, u.day
            {FROM} AND u.user_id > 0)) WHERE so) s
        JOIN accounts_membership m USING (account_id, user_id) JOIN accounts_productuser q ON q.id = m.user_id
        WHERE m.from_day <= {{day}} AND m.to_day > {{day}} AND q.signup_day <= {{day}} AND q.merged_into_id IS NULL""",
    "sequence": f"SELECT DISTINCT account_id FROM ({STEPS}) s WHERE step = 2 AND began > day - 7",
}
SPAN = "SUM({}) OVER (PARTITION BY account_id ORDER BY day) AS {}"


def entering(what: str, rows: str, days: int = 28) -> str:
    """Rows (account_id, day, what, n) of rows (account_id, day, n): added on their day, taken back later."""
    return (
        f"SELECT account_id, day, '{what}' AS what, n FROM ({rows}) UNION ALL"
        f" SELECT account_id, day + {days}, '{what}', -n FROM ({rows})"
    )


def of_event(number: int) -> str:
    return f"SELECT u.account_id, u.day, SUM(u.count) AS n {FROM} AND u.event_type_id = {number} GROUP BY 1, 2"


def plan(name: str) -> str:
    spans = f"accounts_traitvalue t JOIN accounts_account a ON a.id = t.account_id WHERE {ASKED} AND t.user_id = 0"
    is_it = f"t.name = 'plan' AND t.text = '{name}' AND t.to_day > t.from_day"
    return (
        f"SELECT t.account_id, t.from_day AS day, 'plan' AS what, 1 AS n FROM {spans} AND {is_it}"
        f" UNION ALL SELECT t.account_id, t.to_day, 'plan', -1 FROM {spans} AND {is_it}"
    )


def first_days(rows: list[str], sums: tuple[str, ...], so: str) -> str:
    """The first day on which running sums of the rows are as asked, not before the sign-up."""
    apart = ", ".join(f"SUM(CASE WHEN what = '{name}' THEN n ELSE 0 END) AS {name}" for name in sums)
    running = ", ".join(SPAN.format(name, name) for name in sums)
    standing = (
        "SELECT account_id, day, LEAD(day, 1, {day} + 1) OVER (PARTITION BY account_id ORDER BY day) AS until,"
        f" {running} FROM (SELECT account_id, day, {apart} FROM ({' UNION ALL '.join(rows)})"
        " WHERE day <= {day} GROUP BY 1, 2)"
    )
    return (
        "SELECT account_id, MIN(GREATEST(day, signup_day)) FROM (SELECT s.*, a.signup_day FROM"
        f" ({standing}) s JOIN accounts_account a ON a.id = s.account_id WHERE {so})"
        " WHERE until > signup_day GROUP BY 1"
    )


PEOPLE_IN_28_DAYS = f"""
    SELECT account_id, CASE WHEN n = 1 THEN day ELSE LEAST(day + 28, next_day) END AS day, 'users' AS what, n
    FROM (SELECT *, LEAD(day, 1, 99999999) OVER (PARTITION BY account_id, user_id ORDER BY day) AS next_day
        FROM (SELECT DISTINCT u.account_id, u.user_id, u.day {FROM} AND u.user_id > 0)), (VALUES (1), (-1)) t(n)"""
EVERY_DAY = f"SELECT DISTINCT u.account_id, u.day, 1 AS n {FROM}"
EVERYTHING = f"SELECT u.account_id, u.day, SUM(u.count) AS n {FROM} GROUP BY 1, 2"
THERE = """
    JOIN accounts_membership m USING (account_id, user_id) JOIN accounts_productuser q ON q.id = m.user_id
    JOIN accounts_account a ON a.id = account_id WHERE q.merged_into_id IS NULL"""
SINCE = "GREATEST(s.day, m.from_day, q.signup_day, a.signup_day)"
FIRST = {
    "signup-anchored pair": f"""
        SELECT account_id, MIN({SINCE}) FROM (SELECT account_id, user_id, MIN(day) AS day FROM (
            SELECT account_id, user_id, day, SUM(n1) OVER w AS invites, SUM(n2) OVER w AS workflows FROM (
                SELECT u.account_id, u.user_id, u.day, SUM(CASE WHEN u.event_type_id = 1 THEN u.count ELSE 0 END) AS n1,
                SUM(CASE WHEN u.event_type_id = 2 THEN u.count ELSE 0 END) AS n2 {FROM} AND u.user_id > 0
                AND u.event_type_id IN (1, 2) AND u.day >= a.signup_day AND u.day < a.signup_day + 30 GROUP BY 1, 2, 3)
            WINDOW w AS (PARTITION BY account_id, user_id ORDER BY day)) WHERE invites >= 3 AND workflows >= 1
            GROUP BY 1, 2) s {THERE} AND {SINCE} < m.to_day AND {SINCE} <= {{day}} GROUP BY 1""",
    "28-day breadth": first_days(
        [PEOPLE_IN_28_DAYS, entering("exports", of_event(6)), plan("free")],
        ("users", "exports", "plan"),
        "users >= 3 AND exports >= 5 AND plan > 0",
    ),
    "score": first_days(
        [
            entering("invites", of_event(1)),
            entering("days", EVERY_DAY),
            entering("exports", of_event(6)),
            plan("team"),
        ],
        ("invites", "days", "exports", "plan"),
        "LEAST(25, 5 * invites) + 2 * days + LEAST(30, 3 * exports) + CASE WHEN plan > 0 THEN 10 ELSE 0 END >= 60",
    ),
    "surge": first_days(
        [
            entering("week", EVERYTHING, 7),
            entering("week_before", f"SELECT account_id, day + 7 AS day, n FROM ({EVERYTHING})", 7),
        ],
        ("week", "week_before"),
        "week >= 50 AND week_before >= 1 AND week * 2 >= week_before * 3",
    ),
    "any 7 days": f"""
        SELECT account_id, MIN({SINCE}) FROM (SELECT account_id, user_id, MIN(day) AS day FROM (
            SELECT account_id, user_id, day, {STRETCH} AS so FROM (SELECT DISTINCT u.account_id, u.user_id, u.day
            {FROM} AND u.user_id > 0)) WHERE so GROUP BY 1, 2) s {THERE} AND {SINCE} < m.to_day AND {SINCE} <= {{day}}
        GROUP BY 1""",
    "sequence": f"""
        SELECT account_id, GREATEST(MIN(s.day), ANY_VALUE(a.signup_day)) FROM ({STEPS}) s
        JOIN accounts_account a ON a.id = s.account_id WHERE step = 2 AND began > s.day - 7 GROUP BY 1""",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="postgres://postgres@127.0.0.1:5432", help="PostgreSQL, without a database")
    parser.add_argument("--lake", help="the folder of the lake (default: a temporary one)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=[*SIX, "all", "incremental"], help="leave out the others")
    parser.add_argument("--build", action="store_true", help="only build the lake")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lake_folder = options.lake or folder
        os.environ.update(
            DATABASE_URL=f"{options.server}/{NAME}",
            BROKER_URL="redis://127.0.0.1:1/0",
            LOG_LEVEL="ERROR",
            LAKE_DIR=lake_folder,
            DJANGO_SETTINGS_MODULE="plgops.settings",
        )
        sys.path.insert(0, str(ROOT))
        import django

        django.setup()
        if options.build:
            build()
            return
        again = [sys.executable, __file__, "--build", "--server", options.server, "--lake", lake_folder]
        subprocess.run(again, check=True)
        measure(options.rounds, options.only or [*SIX, "all", "incremental"])


def build() -> None:
    from django.utils import timezone

    from accounts import lake

    began = time.perf_counter()
    made = lake.refresh(now=timezone.now())
    size = made.path.stat().st_size / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"lake: {made.accounts:,} accounts, {made.rows:,} usage rows, {size:,.0f} MB;"
        f" {time.perf_counter() - began:.0f} s, {peak:,.0f} MB of memory\n",
        flush=True,
    )


def measure(rounds: int, only: list[str]) -> None:
    import duckdb
    from django.conf import settings
    from django.utils import timezone

    from accounts import lake
    from accounts.workspace import day_of
    from scoring.engines import columnar
    from scoring.rules.parse import parse_definition

    day = day_of(timezone.now())
    docs = {name: parse_definition(document(name, rule)) for name, rule in (SIX | MORE).items()}
    six = {number: docs[name] for number, name in enumerate(SIX)}

    def by_hand(query: str) -> list[tuple[Any, ...]]:
        with lake.connection() as db:
            return db.execute(query.format(day=day)).fetchall()

    def holding(asked: dict[int, Any]) -> dict[int, set[int]]:
        return columnar.holders(asked, as_of_day=day)

    def first(asked: dict[int, Any]) -> dict[int, dict[int, int]]:
        firsts: dict[int, dict[int, int]] = {}
        for key, spans in columnar.history(asked, until_day=day).items():
            firsts[key] = told = {}
            for account_id, from_day, _ in spans:
                told.setdefault(account_id, from_day)
        return firsts

    print(f"{os.cpu_count()} cores, DuckDB {duckdb.__version__}, LAKE_MEMORY {settings.LAKE_MEMORY} MB,", end=" ")
    print(f"load {os.getloadavg()[0]:.1f}; the fastest of {rounds}, seconds\n")
    for title, mine, queries, same in (
        ("who holds today", holding, TODAY, lambda rows: {row[0] for row in rows}),
        ("first day ever", first, FIRST, dict),
    ):
        print(f"| {title} | accounts | ours s | by hand s | ratio | ours CPU s | by hand CPU s | ratio |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        sums = [0.0, 0.0]
        for number, name in enumerate(SIX):
            if name not in only:
                continue
            times: dict[str, list[tuple[float, float]]] = {"ours": [], "by hand": []}
            for _ in range(rounds):
                found = timed(times["ours"], lambda key=number, ask=mine: ask({key: six[key]})[key])
                expected = same(timed(times["by hand"], lambda query=queries[name]: by_hand(query)))
                if found != expected:
                    raise SystemExit(f"{title}, {name}: {len(found):,} accounts, by hand {len(expected):,}")
            (ours, ours_cpu), (hand, hand_cpu) = fastest(times["ours"]), fastest(times["by hand"])
            sums = [sums[0] + ours, sums[1] + ours_cpu]
            print(
                f"| {name} | {len(found):,} | {ours:.2f} | {hand:.2f} | {ours / hand:.2f} |"
                f" {ours_cpu:.2f} | {hand_cpu:.2f} | {ours_cpu / hand_cpu:.2f} |",
                flush=True,
            )
        if {*SIX, "all"} <= {*only}:
            times = {"all": []}
            for _ in range(rounds):
                timed(times["all"], lambda ask=mine: ask(six))
            all_six, cpu = fastest(times["all"])
            print(
                f"| all six at once, beside the sum | | {all_six:.2f} | {sums[0]:.2f} | {all_six / sums[0]:.2f} |"
                f" {cpu:.2f} | {sums[1]:.2f} | {cpu / sums[1]:.2f} |"
            )
        print(flush=True)
    if "incremental" in only:
        incremental(list(docs.values()), day, rounds)
    print(f"largest size of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


def incremental(docs: list[Any], day: int, rounds: int) -> None:
    from accounts.models import Account
    from plgops.lib.db import snapshot
    from scoring.rules.parse import parse_definition

    ten = dict(enumerate([*docs, *(parse_definition(given) for given in DEFINITIONS)]))
    assert len(ten) == 10
    ids = random.Random(7).sample(list(Account.objects.order_by("pk").values_list("pk", flat=True)), 500)
    with snapshot():  # as evaluation reads
        asked_of_postgres(ten, ids, day, rounds)


def asked_of_postgres(ten: dict[int, Any], ids: list[int], day: int, rounds: int) -> None:
    from accounts.models import UsageDay
    from scoring.engines import appdb

    print("| asked of PostgreSQL under ten definitions | usage rows | ms |\n|---|---:|---:|")
    for title, asked in (("500 accounts", ids), ("one account (the middle of 20)", ids[:20])):
        times: list[tuple[float, float]] = []
        if len(asked) == 500:
            for _ in range(rounds):
                timed(times, lambda asked=asked: appdb.verdicts(ten, account_ids=asked, as_of_day=day))
            took, _ = fastest(times)
        else:
            for pk in asked:
                appdb.verdicts(ten, account_ids=[pk], as_of_day=day)
                timed(times, lambda pk=pk: appdb.verdicts(ten, account_ids=[pk], as_of_day=day))
            took = statistics.median(took for took, _ in times)
        rows = UsageDay.objects.filter(account_id__in=asked).count() // (1 if len(asked) == 500 else len(asked))
        print(f"| {title} | {rows:,} | {took * 1000:.0f} |", flush=True)
    print()


def document(name: str, rule: dict[str, Any]) -> dict[str, Any]:
    return {"slug": name.replace(" ", "-"), "name": name, "purpose": "risk", "rule": rule}


def timed(times: list[tuple[float, float]], call: Callable[[], Any]) -> Any:
    """What a call gives; its seconds, and those of a processor, are added to `times`."""
    began, used = time.perf_counter(), time.process_time()
    found = call()
    times.append((time.perf_counter() - began, time.process_time() - used))
    return found


def fastest(times: list[tuple[float, float]]) -> tuple[float, float]:
    """The least seconds and the least CPU seconds, which need not be of one round."""
    return min(took for took, _ in times), min(used for _, used in times)


if __name__ == "__main__":
    if not (ROOT / "manage.py").exists() or Path.cwd() == Path("/"):
        raise SystemExit("run it from the checkout")
    main()
