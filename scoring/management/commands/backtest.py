"""`manage.py backtest SLUG`: a live definition against history."""

from __future__ import annotations

import datetime as dt
import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import lake
from accounts.workspace import day_of
from plgops.lib import days
from scoring import backtest, definitions
from scoring.rules.history import NoHistory
from scoring.stats import Share


class Command(BaseCommand):
    help = "When each account would have qualified in a past period, point in time, and what came of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", metavar="SLUG", help="a live definition")
        date = dt.date.fromisoformat
        parser.add_argument("--from", dest="first", type=date, metavar="YYYY-MM-DD", help="default: a year ago")
        parser.add_argument("--to", dest="last", type=date, metavar="YYYY-MM-DD", help="default: --within days ago")
        parser.add_argument("--outcome", default="paid", help="a stage, or the name of an event (paid)")
        parser.add_argument("--within", type=int, default=60, help="days in which the outcome must come (60)")
        parser.add_argument("--json", action="store_true", help="print an object")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        known_until = day_of(now) - 1  # today is not over
        within = options["within"]
        if not 1 <= within <= 3650:
            raise CommandError("--within must be 1 to 3650 days.")
        last = days.day_number(options["last"]) if options["last"] else known_until - within
        first = days.day_number(options["first"]) if options["first"] else known_until - 365
        rule = next((rule for rule in definitions.live_rules() if rule.slug == options["slug"]), None)
        if rule is None:
            raise CommandError(f"No live definition is called “{options['slug']}”.")
        if not first <= last <= known_until:
            raise CommandError("The period must end after it starts, and before today.")
        lake.refresh(now=now)
        try:
            result = backtest.run(
                rule.doc,
                from_day=first,
                to_day=last,
                outcome=options["outcome"],
                within=within,
                known_until=known_until,
            )
        except (backtest.UnknownOutcome, NoHistory) as error:
            raise CommandError(str(error)) from error
        told = {"slug": rule.slug, "version": rule.number, "outcome": options["outcome"], **backtest.plain(result)}
        if options["json"]:
            self.stdout.write(json.dumps(told, indent=2))
            return
        lead = result.lead_days[1]
        lines = [
            f"{rule.slug} v{rule.number}, {told['from']} to {told['to']}, {options['outcome']} within {within} days:",
            f"  at risk {result.at_risk:,} accounts ({result.standing:,} qualified before), flagged"
            f" {len(result.flags):,} ({result.per_week:.1f} a week)",
            f"  precision {_said(result.precision)}, recall {_said(result.recall)}",
            f"  base rate {_percent(result.base_rate)}, lift {_number(result.lift)}, F1 {_number(result.f1)}",
            f"  median lead time {_number(lead)} days; open {result.open:,}; missed {len(result.missed):,}",
            f"  worked by sales {_said(result.worked)}, untouched {_said(result.untouched)}",
        ]
        self.stdout.write("\n".join(lines))


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _said(part: Share) -> str:
    interval = f" ({_percent(part.low)} to {_percent(part.high)})" if part.of else ""
    return f"{_percent(part.value)} of {part.of:,}{interval}"
