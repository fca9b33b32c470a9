"""`manage.py import_csv`: accounts, users, events and revenue out of files."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from accounts import csv_rows, imports


class Command(BaseCommand):
    help = (
        "Import CSV files (plain or gzipped) through the same door as the API. Importing a file twice changes nothing. "
        "Rows that cannot be read go to FILE.rejected.csv with their line and the reason."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        for kind in csv_rows.KINDS:
            optional = [c for c in csv_rows.COLUMNS[kind] if c not in csv_rows.REQUIRED[kind]]
            parser.add_argument(
                f"--{kind}",
                metavar="FILE",
                type=Path,
                help=f"Needs the columns {', '.join(csv_rows.REQUIRED[kind])}; knows {', '.join(optional)}.",
            )
        parser.add_argument(
            "--source", default=imports.SOURCE, help=f"Name of the source to file the rows under ({imports.SOURCE})."
        )
        parser.add_argument(
            "--strict",
            action="store_true",
            help="Read everything first; if a single row is wrong, import nothing and exit with 1.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        parts = [imports.Part(kind, options[kind]) for kind in csv_rows.KINDS if options[kind]]
        if not parts:
            raise CommandError("Name at least one file: --accounts, --users, --events or --revenue.")
        for part in parts:
            if not part.path.is_file():
                raise CommandError(f"There is no file {part.path}.")
        started = time.monotonic()
        now = timezone.now()
        try:
            if options["strict"]:
                reports = self._with_bar("Checking", imports.check, parts, now=now)
                if any(report.rejected for report in reports):
                    self._tell(reports, written=False)
                    raise CommandError("Nothing was imported: correct the rows above, or leave out --strict.")
            source = imports.source_named(options["source"], now=now)
            reports = self._with_bar("Importing", imports.load, parts, source=source, now=now)
        except csv_rows.BadFile as problem:
            raise CommandError(str(problem)) from problem
        self._tell(reports, written=True)
        self.stdout.write(f"{time.monotonic() - started:.1f} seconds.")

    def _with_bar(self, label: str, run: Any, parts: list[imports.Part], **options: Any) -> list[imports.Report]:
        """Run over the files with a bar of their bytes; no bar where nobody watches."""
        total = sum(part.path.stat().st_size for part in parts)
        with tqdm(
            desc=label, total=total, unit="B", unit_scale=True, file=sys.stderr, disable=not sys.stderr.isatty()
        ) as bar:
            last = 0

            def progress(position: int, report: imports.Report) -> None:
                nonlocal last
                bar.update(position - last if position >= last else position)
                last = position

            reports: list[imports.Report] = run(parts, progress=progress, **options)
        return reports

    def _tell(self, reports: list[imports.Report], *, written: bool) -> None:
        for report in reports:
            line = f"{report.kind:<9}{report.read:>10,} rows"
            if written:
                line += f"{report.new:>10,} new {report.known:>10,} known already"
            line += f"{report.rejected:>8,} rejected"
            self.stdout.write(line)
            if report.left_out:
                self.stdout.write(f"{'':<9} columns not imported: {', '.join(report.left_out)}")
            if report.rejected:
                self.stdout.write(f"{'':<9} {report.first_reason}")
                self.stdout.write(f"{'':<9} all of them: {report.rejected_path}")
