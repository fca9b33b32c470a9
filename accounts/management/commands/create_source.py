"""`manage.py create_source NAME`: a new source; prints its write key, and only that, on standard output."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import sources


class Command(BaseCommand):
    help = "Creates a source and prints its write key, which is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="What sends the facts, e.g. “production backend”.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            source, key = sources.create_source(name=options["name"], by=None, now=timezone.now())
        except (sources.NameTaken, sources.NameMissing) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(key)
        self.stderr.write(
            f"Keep the key of “{source.name}” now: plgops keeps only its hash. It can be revoked any time."
        )
