"""`manage.py export_lake DIR`: what rules read, as Parquet, for another engine."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.utils import timezone

from accounts import lake


class Command(BaseCommand):
    help = "Bring the usage lake up to date and write its tables as Parquet files, sorted by account, into a folder."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="Made if it is missing; files are replaced.")

    def handle(self, *args: Any, **options: Any) -> None:
        lake.refresh(now=timezone.now())
        try:
            files = lake.export(options["folder"])
        except OSError as error:
            raise CommandError(f"Nothing can be written into {options['folder']}: {error}") from error
        for path in files:
            self.stdout.write(f"{path}  {path.stat().st_size:,} bytes")
