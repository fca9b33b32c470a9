"""`manage.py evaluate`: who qualifies, for whole populations; today's answer is applied, a past day's only read."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.workspace import day_of
from plgops.lib import arguments, days
from scoring import recompute
from scoring.models import Definition


class Command(BaseCommand):
    help = "Evaluate definitions for everybody. Without --as-of the result is applied; as of a past day it only reads."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--definition", metavar="SLUG", help="only this definition (default: all live ones)")
        parser.add_argument("--as-of", metavar="YYYY-MM-DD", type=arguments.date, help="as of the end of that day")
        parser.add_argument("--list", action="store_true", help="also list who qualifies, by external id")
        parser.add_argument("--json", action="store_true", help="print a JSON list")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        slug, date, with_ids = options["definition"], options["as_of"], options["list"]
        today = days.date_of(day_of(now))
        if date is not None and date > today:
            raise CommandError(f"--as-of {date} is in the future: today is {today}.")
        try:
            if date is None:
                found = recompute.recompute(now=now, slug=slug, with_ids=with_ids)
            else:
                found = recompute.as_of(day=days.day_number(date), now=now, slug=slug, with_ids=with_ids)
        except Definition.DoesNotExist as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps([_plain(p, with_ids, only_read=date is not None) for p in found], indent=2))
            return
        for p in found:
            users = f", {p.users:,} users" if p.users else ""
            changed = "only read, nothing changed" if date else f"{p.entered:,} entered, {p.left:,} left"
            self.stdout.write(
                f"{p.slug} v{p.version} as of {p.as_of}: {p.accounts:,} accounts{users}; {changed} ({p.seconds:.1f} s)"
            )
            for title, ids in (("accounts", p.account_ids), ("users", p.user_ids)):
                if ids:
                    self.stdout.write(f"  {title}: {', '.join(ids)}")
        if not found:
            self.stdout.write("No definition is live. Publish one with: manage.py define FILE.json")


def _plain(population: recompute.Population, with_ids: bool, *, only_read: bool) -> dict[str, Any]:
    row = asdict(population)
    if only_read:  # nobody enters or leaves by a look at the past
        del row["entered"], row["left"]
    row["as_of"] = population.as_of.isoformat()
    if not with_ids:
        del row["user_ids"], row["account_ids"]
    return row
