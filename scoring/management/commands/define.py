"""`manage.py define FILE.json`: publish definitions from a file; all of them or, with the problems listed, none."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from scoring import definitions
from scoring.json_lines import Place, locate
from scoring.models import DefinitionVersion
from scoring.rules.parse import parse_definition
from scoring.rules.problems import Problem, RuleError
from scoring.rules.schema import json_schema


class Command(BaseCommand):
    help = "Publish definitions from a JSON file (one, or a list; “-” reads standard input)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE.json", nargs="?")
        parser.add_argument("--schema", action="store_true", help="print the JSON Schema of a definition instead")
        parser.add_argument("--reason", default="", help="why, kept with the version")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["schema"]:
            if options["file"] is not None:
                raise CommandError("--schema takes no FILE: it prints the schema and publishes nothing.")
            self.stdout.write(json.dumps(json_schema(), indent=1, ensure_ascii=False))
            return
        name, now = options["file"], timezone.now()
        if name is None:
            raise CommandError("Which FILE.json? “-” reads standard input.")
        try:
            text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{name} cannot be read: {error}") from error
        try:
            content = json.loads(text)
            places = locate(text)
        except json.JSONDecodeError as error:
            raise CommandError(f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
        except RecursionError as error:
            raise CommandError(f"{name}: nested too deeply.") from error
        documents = content if isinstance(content, list) else [content]
        if not documents:
            raise CommandError(f"{name}: the list is empty; nothing to publish.")
        starts = [f"/{i}" for i in range(len(documents))] if isinstance(content, list) else [""]
        found: list[str] = []
        for document, start in zip(documents, starts, strict=True):
            try:
                parse_definition(document)
            except RuleError as error:
                found += _said(error.problems, name, start, places)
        published: list[DefinitionVersion] = []
        if not found:
            try:
                with transaction.atomic():
                    for document in documents:
                        published.append(
                            definitions.publish(document=document, by=None, now=now, reason=options["reason"])
                        )
            except RuleError as error:  # sound by itself, but not beside the others
                found = _said(error.problems, name, starts[len(published)], places)
        if found:
            raise CommandError("\n".join([*found, "Nothing was published."]))
        for version in published:
            new = version.published_at == now
            said = version.english if new else "unchanged, so nothing was published"
            self.stdout.write(f"{version.definition.slug} v{version.number}: {said}")


def _said(problems: list[Problem], name: str, start: str, places: dict[str, Place]) -> list[str]:
    """Each problem with the line where it stands: `file:line:column: path: what was expected`."""
    lines = []
    for problem in problems:
        pointer = start + problem.path
        while pointer not in places and "/" in pointer:
            pointer = pointer.rpartition("/")[0]
        place = places.get(pointer, Place(1, 1))
        lines.append(f"{name}:{place.line}:{place.column}: {start + problem.path or '/'}: {problem.message}")
    return lines
