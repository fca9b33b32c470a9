"""`manage.py compile_sql SLUG`: the statement of a live definition, for another engine."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import sqlglot
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from sqlglot import exp

from accounts.workspace import day_of
from plgops.lib import arguments, days
from scoring import definitions
from scoring.engines import reading
from scoring.rules.compile import compile_verdicts
from scoring.rules.history import compile_history

DIALECTS = ("duckdb", "postgres", "spark", "clickhouse")


class Command(BaseCommand):
    help = (
        "Print the statement that judges everybody by a live definition, with its texts written in, for the tables "
        "that `export_lake` writes. Rows: definition, account_id, user_id, holds, next_day."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", metavar="SLUG", help="a live definition")
        parser.add_argument("--dialect", choices=DIALECTS, default="duckdb", help="whose SQL (duckdb)")
        parser.add_argument("--as-of", metavar="YYYY-MM-DD", type=arguments.date, help="the day (today)")
        parser.add_argument(
            "--history", action="store_true", help="on which days it held: definition, account_id, from_day, to_day"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        rule = next((rule for rule in definitions.live_rules() if rule.slug == options["slug"]), None)
        if rule is None:
            raise CommandError(f"No live definition is called “{options['slug']}”.")
        day = days.day_number(options["as_of"]) if options["as_of"] else day_of(timezone.now())
        about: dict[str, Any] = {"types": reading.event_types(), "account_ids": None, "dialect": "duckdb"}
        if options["history"]:
            statement = compile_history([rule.doc], until_day=day, **about)
        else:
            statement = compile_verdicts([rule.doc], as_of_day=day, **about)
        parsed = sqlglot.parse_one(
            statement.sql % {name: f"${name}" for name in statement.params}, read="duckdb"
        ).transform(_written, dict(statement.params))
        self.stdout.write(f"-- {rule.slug} v{rule.number} as of {days.date_of(day)}")
        if options["dialect"] == "clickhouse":
            self.stdout.write("-- needs: SET join_use_nulls = 1")
        self.stdout.write(parsed.sql(dialect=options["dialect"], pretty=True) + ";")


def _written(node: exp.Expression, texts: dict[str, str]) -> exp.Expression:
    """A bound text as a literal, quoted by the dialect."""
    return exp.Literal.string(texts[node.name]) if isinstance(node, exp.Parameter | exp.Placeholder) else node
