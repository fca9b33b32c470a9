"""The printed statement runs elsewhere: on DuckDB over the exported Parquet, on PostgreSQL; the others parse it."""

from __future__ import annotations

import datetime as dt
import io

import duckdb
import pytest
import sqlglot
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.workspace import day_of
from scoring import definitions
from scoring.engines import appdb
from tests.conftest import NOW
from tests.factories.scoring import make_account, make_trait, make_user, publish, use

pytestmark = pytest.mark.django_db
ODD = "it's; DROP TABLE accounts_account --"
EARLIER = NOW - dt.timedelta(days=3)
RULE = {
    "slug": "team",
    "rule": {
        "all": [
            {"trait": {"name": "plan", "in": ["free", ODD]}},
            {"users_who": {"at_least": 1, "rule": {"count": {"event": "Invite Sent", "at_least": 2}}}},
        ]
    },
}


@pytest.fixture
def world():
    publish(NOW, **RULE)
    for number in range(4):
        account = make_account(f"Account {number}")
        make_trait(account, "plan", ODD if number == 1 else "free" if number else "team", at=EARLIER)
        user = make_user(account, "ann")
        if number:
            use(account, "Invite Sent", at=EARLIER, user=user, count=number)
    return {verdict.account_id for verdict in expected() if verdict.holds}


def expected():
    (rule,) = definitions.live_rules()
    return appdb.verdicts({0: rule.doc}, account_ids=None, as_of_day=day_of(NOW))[0]


def printed(*options) -> str:
    call_command("compile_sql", "team", f"--as-of={NOW.date()}", *options, stdout=(out := io.StringIO()))
    return out.getvalue()


def holders(rows) -> set[int]:
    return {row[1] for row in rows if row[3] == 1}


def test_duckdb_over_the_exported_parquet(world, tmp_path):
    call_command("export_lake", str(tmp_path), stdout=io.StringIO())
    with duckdb.connect() as db:
        for file in tmp_path.glob("*.parquet"):
            db.execute(f"CREATE VIEW {file.stem} AS FROM '{file}'")
        assert holders(db.execute(printed()).fetchall()) == world
        spans = db.execute(printed("--history")).fetchall()
    assert {account_id for _, account_id, first, end in spans if first <= day_of(NOW) < end} == world
    assert len(world) == 2


@pytest.mark.postgres
def test_postgres(world):
    with connection.cursor() as cursor:
        cursor.execute(printed("--dialect=postgres").replace("%", "%%"))
        assert holders(cursor.fetchall()) == world


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "spark", "clickhouse"])
def test_texts_are_written_as_the_dialect_quotes_them(world, dialect):
    (parsed,) = sqlglot.parse(printed(f"--dialect={dialect}"), read=dialect)
    assert ODD in {literal.name for literal in parsed.find_all(sqlglot.exp.Literal) if literal.is_string}


def test_an_unknown_definition_is_an_error(db):
    with pytest.raises(CommandError, match="No live definition"):
        call_command("compile_sql", "nope", f"--as-of={dt.date(2026, 1, 1)}")
