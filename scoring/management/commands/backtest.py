"""`manage.py backtest SLUG`: a definition, or a draft of one, against history."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import lake
from plgops.lib import arguments, days
from scoring.backtest import run, sellers
from scoring.backtest.beginning import nothing_before
from scoring.backtest.documents import of_draft, of_version
from scoring.backtest.lacking import Lacking, lacking
from scoring.backtest.plain import plain
from scoring.backtest.score import Backtest
from scoring.models import DefinitionVersion
from scoring.rules.problems import RuleError
from scoring.rules.tree import DefinitionDoc
from scoring.stats import Share


class Command(BaseCommand):
    help = "When each account would have qualified in a past period, point in time, and what came of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = "a definition (its live version), or SLUG@3 for version 3"
        parser.add_argument("slug", metavar="SLUG[@VERSION]", nargs="?", help=what)
        parser.add_argument("--draft", type=Path, metavar="FILE", help="a definition as JSON that is not published")
        parser.add_argument("--against", metavar="SLUG[@VERSION]", help="a second one for the same period")
        parser.add_argument(
            "--from", dest="first", type=arguments.date, metavar="YYYY-MM-DD", help="default: a year ago"
        )
        parser.add_argument("--to", dest="last", type=arguments.date, metavar="YYYY-MM-DD", help="default: yesterday")
        parser.add_argument("--outcome", default="paid", help="a stage, or the name of an event (paid)")
        parser.add_argument("--within", type=int, default=60, help="days in which the outcome must come (60)")
        parser.add_argument("--lacking", action="store_true", help="also say what missed conversions lacked")
        parser.add_argument("--json", action="store_true", help="print an object; with --against, a list of two")

    def handle(self, *args: Any, **options: Any) -> None:
        asked = [_draft(options["draft"])] if options["draft"] else []
        asked += [_version(name) for name in (options["slug"], options["against"]) if name]
        if not 1 <= len(asked) <= 2:
            raise CommandError("Name a definition, or give a file with --draft; one more with --against.")
        within = options["within"]
        if not 1 <= within <= 3650:
            raise CommandError("--within must be 1 to 3650 days.")
        lake.refresh(now=timezone.now())
        until = run.known_until()
        question = run.Question(
            docs=tuple(doc for _, doc in asked),
            from_day=days.day_number(options["first"]) if options["first"] else until - 365,
            to_day=days.day_number(options["last"]) if options["last"] else until,
            outcome=options["outcome"],
            within=within,
        )
        try:
            answer = run.run(question)
        except (run.UnknownOutcome, ValueError) as error:
            raise CommandError(str(error)) from error
        if (first := nothing_before(answer.results)) is not None:
            raise CommandError(f"There is nothing before {first}, the day of the first sign-up.")
        reps = sellers.count()
        told = []
        for (name, doc), result in zip(asked, answer.results, strict=True):
            lacked = lacking(doc, result.missed) if options["lacking"] else None
            head = {"definition": name, "outcome": question.outcome, "seconds": _seconds(answer)}
            told.append(head | plain(result, reps=reps, lacking=lacked))
            if not options["json"]:
                self.stdout.write("\n".join(_lines(name, question.outcome, result, reps, lacked)))
        if options["json"]:
            self.stdout.write(json.dumps(told if len(told) > 1 else told[0], indent=2))


def _version(name: str) -> tuple[str, DefinitionDoc]:
    slug, _, number = name.partition("@")
    rows = DefinitionVersion.objects.filter(definition__slug=slug)
    if number and not number.isdecimal():
        raise CommandError(f"“{name}” is not SLUG@VERSION.")
    version = (rows.filter(number=int(number)) if number else rows.filter(live_for__isnull=False)).first()
    if version is None:
        raise CommandError(f"No definition is called “{name}”.")
    try:
        return f"{slug}@{version.number}", of_version(version)
    except RuleError as error:
        raise CommandError(_problems(error)) from error


def _draft(path: Path) -> tuple[str, DefinitionDoc]:
    try:
        return f"{path.name} (draft)", of_draft(json.loads(path.read_text()))
    except RuleError as error:
        raise CommandError(_problems(error)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CommandError(f"{path} cannot be read as JSON: {error}") from error


def _problems(error: RuleError) -> str:
    return "\n".join(f"{problem.path}: {problem.message}" for problem in error.problems)


def _seconds(answer: run.Answer) -> dict[str, float]:
    return {"reading": round(answer.reading_seconds, 3), "scoring": round(answer.scoring_seconds, 3)}


def _lines(name: str, outcome: str, result: Backtest, reps: int, lacked: Lacking | None) -> list[str]:
    first, last = (days.date_of(day).isoformat() for day in (result.from_day, result.to_day))
    each = f", {result.per_week / reps:.1f} for each of {reps} reps" if reps else ""
    low, middle, high = result.lead_days
    lines = [
        f"{name}, {first} to {last}, {outcome} within {result.within} days:",
        f"  at risk {len(result.at_risk):,} accounts ({len(result.standing):,} qualified before), flagged"
        f" {len(result.flags):,} ({result.per_week:.1f} a week{each})",
        f"  precision {_said(result.precision)}, recall {_said(result.recall)}",
        f"  base rate {_percent(result.base_rate)}, lift {_number(result.lift)}, F1 {_number(result.f1)}",
        f"  lead time {_number(middle)} days (middle half {_number(low)} to {_number(high)});"
        f" open {result.open:,}; missed {len(result.missed):,}",
        f"  worked by sales {_said(result.worked)}, touched by nobody {_said(result.untouched)}",
    ]
    if lacked is not None:
        lines.append(f"  {lacked.of:,} missed were never flagged; of the latest {lacked.asked:,}:")
        lines += [f"    {one.lacked:>5,} lacked ({one.alone:,} only this): {one.english}" for one in lacked.obstacles]
    return lines


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _said(part: Share) -> str:
    interval = f" ({_percent(part.low)} to {_percent(part.high)})" if part.of else ""
    return f"{_percent(part.value)} of {part.of:,}{interval}"
