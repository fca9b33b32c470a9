"""Full evaluation of a whole population on PostgreSQL.

    .venv/bin/python benchmarks/population.py [--accounts 100000] [--keep]

Makes a database of its own (`plgops_population` on `--server`, dropped first) and fills it without ingest: so
many accounts, ten times as many people, and about 23 usage rows for each person (type and day), skewed, so
that a few accounts are large. Then three definitions are published (people who invite and work, teams active
on several days, accounts that fell silent) and the population is evaluated: after the publication, when
every verdict is written; again, when nothing differs; and as of a month ago, which only reads. `--keep`
leaves an existing population as it is (benchmarks/pages.py uses it).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
from ingest import ROOT, manage, one

NAME = "plgops_population"
DEFINITIONS = [
    {
        "slug": "inviting-team",
        "name": "Inviting team",
        "purpose": "pql",
        "rule": {
            "all": [
                {"trait": {"name": "plan", "in": ["free", "trial"]}},
                {
                    "users_who": {
                        "at_least": 3,
                        "rule": {
                            "all": [
                                {
                                    "distinct": {
                                        "event": "Invite Sent",
                                        "of": "invitee_email",
                                        "at_least": 2,
                                        "window": {"last_days": 28},
                                    }
                                },
                                {"count": {"event": "Workflow Completed", "at_least": 5, "window": {"last_days": 28}}},
                            ]
                        },
                    }
                },
                {"not": {"stage": {"reached": "paid"}}},
            ]
        },
    },
    {
        "slug": "active-team",
        "name": "Active team",
        "purpose": "activation",
        "rule": {
            "all": [
                {"users": {"event": "*", "at_least": 12, "window": {"last_days": 28}}},
                {"days": {"event": "*", "at_least": 20, "window": {"last_days": 28}}},
            ]
        },
    },
    {
        "slug": "fell-silent",
        "name": "Fell silent",
        "purpose": "risk",
        "rule": {
            "all": [
                {"count": {"event": "*", "at_least": 50, "window": "ever"}},
                {"recency": {"event": "*", "not_for_days": 14}},
            ]
        },
    },
]
EVENTS = ("Invite Sent", "Workflow Completed", "Project Created", "Report Viewed", "Comment Added", "Export Run")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="postgres://postgres@127.0.0.1:5432", help="PostgreSQL, without a database")
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=10, help="people per account")
    parser.add_argument("--keep", action="store_true", help="use the population that is there")
    options = parser.parse_args()
    url = f"{options.server}/{NAME}"
    environment = {**os.environ, "DATABASE_URL": url, "BROKER_URL": "redis://127.0.0.1:1/0", "LOG_LEVEL": "ERROR"}
    if not options.keep:
        began = time.perf_counter()
        make(options.server, environment, accounts=options.accounts, people=options.accounts * options.people)
        print(f"population made in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    with psycopg.connect(url, autocommit=True) as db:
        sizes = [one(db, f"SELECT count(*) FROM accounts_{t}") for t in ("account", "productuser", "usageday")]
    print(f"{os.cpu_count()} cores; {sizes[0]:,} accounts, {sizes[1]:,} people, {sizes[2]:,} usage rows\n")
    print("| run | definition | qualify | entered | left | s |")
    print("|---|---|---:|---:|---:|---:|")
    if not options.keep:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(DEFINITIONS, file)
            file.flush()
            manage(environment, "define", file.name)
        evaluate(environment, "after publishing")
    evaluate(environment, "again")
    with psycopg.connect(url, autocommit=True) as db:
        past = db.execute("SELECT (current_date - 30)::text").fetchone()
    evaluate(environment, "as of 30 days ago", "--as-of", past[0] if past else "")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\nlargest process: {peak:,.0f} MB")


def evaluate(environment: dict[str, str], name: str, *arguments: str) -> None:
    began = time.perf_counter()
    found = json.loads(manage(environment, "evaluate", "--json", *arguments))
    seconds = time.perf_counter() - began
    for row in found:
        print(
            f"| {name} | {row['slug']} | {row['accounts']:,} | {row.get('entered', 0):,} | {row.get('left', 0):,} |"
            f" {row['seconds']:.1f} |"
        )
    print(f"| {name} | **all, with the command's start** | | | | **{seconds:.1f}** |", flush=True)


def make(server: str, environment: dict[str, str], *, accounts: int, people: int) -> None:
    """The population, in SQL: nothing here is what ingest does, only what it leaves behind."""
    with psycopg.connect(f"{server}/postgres", autocommit=True) as root:
        root.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        root.execute(f"CREATE DATABASE {NAME}")
    manage(environment, "migrate", "--verbosity", "0")
    with psycopg.connect(f"{server}/{NAME}", autocommit=True) as db:
        db.execute("SELECT setseed(0.42)")
        db.execute("SET synchronous_commit = off")
        db.execute("SET maintenance_work_mem = '1GB'")
        for number, name in enumerate(EVENTS, 1):
            db.execute(
                "INSERT INTO accounts_eventtype (id, name, meaning, description, is_activity, metered_property,"
                " distinct_property) VALUES (%s, %s, %s, '', true, '', %s)",
                (number, name, "invite" if number == 1 else "core", "invitee_email" if number == 1 else ""),
            )
        insert(
            db,
            "accounts_account",
            f"SELECT n AS id, 'acct-' || n AS external_id, 'Company ' || n AS name, 'c' || n || '.example' AS domain,"
            f" now() - make_interval(days => 30 + n % 400) AS signed_up_at, now() AS recorded_at,"
            f" (extract(epoch FROM now()) / 86400)::int - 30 - n % 400 AS signup_day,"
            f" now() - make_interval(hours => n % 2000) AS last_seen_at,"
            f" CASE WHEN n % 5 = 0 THEN 'team' WHEN n % 5 = 1 THEN 'trial' ELSE 'free' END AS plan,"
            f" CASE WHEN n % 5 = 0 THEN 10 * (1 + n % 90) ELSE 0 END AS mrr, 1 + n % 200 AS seats,"
            f" false AS is_provisional, false AS is_internal, true AS signup_is_explicit, '{{}}'::jsonb AS traits"
            f" FROM generate_series(1, {accounts}) n",
        )
        insert(
            db,
            "accounts_accountkey",
            "SELECT id, 'g:' || external_id AS key, id AS account_id, id AS home_id, signed_up_at AS first_seen_at"
            " FROM accounts_account",
        )
        insert(
            db,
            "accounts_productuser",
            f"SELECT n AS id, 'user-' || n AS external_id, true AS is_known, 'u' || n || '@c.example' AS email,"
            f" 'Person ' || n AS name, '' AS title, '' AS invited_by_key,"
            f" now() - make_interval(days => 200) AS signed_up_at, now() AS recorded_at,"
            f" (extract(epoch FROM now()) / 86400)::int - 200 AS signup_day, false AS signup_is_explicit,"
            f" '{{}}'::jsonb AS traits FROM generate_series(1, {people}) n",
        )
        # everybody has one account: the first people one each, the others drawn so that some accounts are large
        insert(
            db,
            "accounts_membership",
            f"SELECT n AS id, a AS account_id, n AS user_id, 'g:acct-' || a AS account_key, 'u:user-' || n AS user_key,"
            f" 'group' AS origin, '' AS role, now() - make_interval(days => 200) AS valid_from,"
            f" (extract(epoch FROM now()) / 86400)::int - 200 AS from_day, 9999999 AS to_day"
            f" FROM (SELECT n, CASE WHEN n <= {accounts} THEN n ELSE 1 + floor({accounts} * random() ^ 2)::int END AS a"
            f" FROM generate_series(1, {people}) n) drawn",
        )
        insert(
            db,
            "accounts_traitvalue",
            "SELECT id, id AS account_id, 0 AS user_id, 'g:' || external_id AS key, 'plan' AS name,"
            " to_jsonb(plan) AS value, plan AS text, signed_up_at AS valid_from, now() AS recorded_at,"
            " signup_day AS from_day, 9999999 AS to_day FROM accounts_account",
        )
        insert(
            db,
            "accounts_accountdue",
            "SELECT id, id AS account_id, 'evaluation' AS consumer, 1 AS changed_seq, 1 AS done_seq, 0 AS import_seq,"
            " now() AS changed_at, '' AS lease_token, 0 AS attempts, '' AS last_error FROM accounts_account",
        )
        with Bare(db, "accounts_usageday"):
            db.execute(
                f"""INSERT INTO accounts_usageday
                (account_id, user_id, event_type_id, day, count, sum_value, first_us, last_us)
                SELECT account_id, user_id, 1 + (user_id + g) % {len(EVENTS)}, day, 1 + (user_id * 7 + g) % 5, 0,
                day::bigint * 86400000000, day::bigint * 86400000000 + 3600000000
                FROM (SELECT account_id, user_id, g, last_day - 2 * g AS day FROM (
                    SELECT account_id, user_id, (extract(epoch FROM now()) / 86400)::int - (90 * random() ^ 2)::int
                    AS last_day, (8 + 45 * random() ^ 2)::int AS rows FROM accounts_membership) people,
                    LATERAL generate_series(0, rows - 1) g) used"""
            )
        with Bare(db, "accounts_usagevalue"):
            db.execute(
                """INSERT INTO accounts_usagevalue (account_id, user_id, event_type_id, day, value, count)
                SELECT account_id, user_id, 1, day, 'guest' || user_id || '-' || day || '@c.example', 1
                FROM accounts_usageday WHERE event_type_id = 1 AND user_id % 3 = 0"""
            )
        for row in db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
            db.execute(f"VACUUM ANALYZE {row[0]}")
            for (column,) in db.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_identity = 'YES'", row
            ).fetchall():
                db.execute(
                    f"SELECT setval(pg_get_serial_sequence('{row[0]}', '{column}'),"
                    f" (SELECT coalesce(max({column}), 1) FROM {row[0]}))"
                )
        db.execute("CHECKPOINT")


def insert(db: psycopg.Connection, table: str, select: str) -> None:
    """Insert a query's rows by column name; what it does not name and must have a value is empty."""
    columns = [c.name for c in db.execute(f"SELECT * FROM ({select}) s LIMIT 0").description or ()]
    empty = {
        "character varying": "''",
        "text": "''",
        "boolean": "false",
        "integer": "0",
        "bigint": "0",
        "jsonb": "'{}'",
    }
    missing = db.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s"
        " AND is_nullable = 'NO' AND is_identity = 'NO' AND NOT column_name = ANY(%s)",
        (table, columns),
    ).fetchall()
    names = [*columns, *(name for name, _ in missing)]
    values = [*(f"s.{name}" for name in columns), *(empty[kind] for _, kind in missing)]
    db.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM ({select}) s")


class Bare:
    """A table without its indexes while it is filled."""

    def __init__(self, db: psycopg.Connection, table: str) -> None:
        self.db, self.table = db, table

    def __enter__(self) -> None:
        keys = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype"
        self.unique = self.db.execute(f"{keys} = 'u'", (self.table,)).fetchall()
        self.primary = self.db.execute(f"{keys} = 'p'", (self.table,)).fetchall()
        for name, _ in (*self.unique, *self.primary):
            self.db.execute(f"ALTER TABLE {self.table} DROP CONSTRAINT {name}")
        self.indexes = self.db.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s", (self.table,)
        ).fetchall()
        for name, _ in self.indexes:
            self.db.execute(f"DROP INDEX {name}")

    def __exit__(self, *error: object) -> None:
        for _, definition in self.indexes:
            self.db.execute(definition)
        for name, definition in (*self.primary, *self.unique):
            self.db.execute(f"ALTER TABLE {self.table} ADD CONSTRAINT {name} {definition}")


if __name__ == "__main__":
    if not (ROOT / "manage.py").exists() or Path.cwd() == Path("/"):
        raise SystemExit("run it from the checkout")
    try:
        main()
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from error
