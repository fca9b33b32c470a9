"""`manage.py demo`: load the demo company."""

from __future__ import annotations

import datetime as dt
from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.utils import timezone

from plgops.demo import load
from plgops.demo.catalogue import PASSWORD, STAFF
from plgops.lib import collector


class Command(BaseCommand):
    help = (
        "Load the demo company Fieldnote: about 1,500 accounts, 9,000 people and 300,000 events over 18 months, "
        "with sales and support at work. Into an empty database only; an interrupted load is finished."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seed", type=int, default=5, help="Another seed, another company (5).")
        parser.add_argument("--small", action="store_true", help="About 60 accounts.")
        parser.add_argument("--if-empty", action="store_true", help="Do nothing, silently, where there is data.")
        parser.add_argument("--today", metavar="YYYY-MM-DD", help="The last day, up to 16:00 UTC (until now).")

    def handle(self, *args: Any, **options: Any) -> None:
        seed, small, until = options["seed"], options["small"], self._until(options["today"])
        if (row := load.unfinished()) is not None:
            seed, small = row.detail["seed"], row.detail["small"]
            until = dt.datetime.fromisoformat(row.detail["until"])
            self.stdout.write("Finishing the demo company that was interrupted …")
        elif not load.is_empty():
            if options["if_empty"]:
                return
            raise CommandError("There is data here already. The demo company goes into an empty database only.")
        else:
            self.stdout.write("Loading the demo company …")
        collector.settle()
        done = load.load(seed=seed, small=small, until=until, say=self._say)
        self.stdout.write(
            f"Fieldnote: {done.accounts:,} accounts, {done.people:,} people, {done.events:,} events, "
            f"in {done.seconds:.0f} seconds."
        )
        self.stdout.write(f"Log-ins (password {PASSWORD}): {', '.join(c.username for c in STAFF)}.")
        if done.write_key:
            self.stdout.write(f"Write key of “{load.SOURCE}”, shown this once: {done.write_key}")

    def _until(self, today: str | None) -> dt.datetime:
        if today is None:
            return timezone.now().replace(microsecond=0)
        try:
            day = dt.date.fromisoformat(today)
        except ValueError as error:
            raise CommandError(f"--today must be a date like 2026-03-01, not {today}.") from error
        return dt.datetime.combine(day, dt.time(16), tzinfo=dt.UTC)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
