"""List plays with what they did, as text or JSON."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from scoring import play_numbers


class Command(BaseCommand):
    help = "List the plays with how often each fired, and what became of the others."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--archived", action="store_true", help="those that were archived instead")
        parser.add_argument("--json", action="store_true", help="as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = [
            {
                "slug": one.play.slug,
                "name": one.play.name,
                "definition": one.play.definition.slug,
                "trigger": one.play.trigger,
                "action": one.play.action,
                "status": one.play.status,
                "priority": one.play.priority,
                "holdout_percent": one.play.holdout_percent,
                "fired": one.numbers.fired,
                "converted": one.numbers.converted,
                "held_out": one.numbers.held_out,
                "waiting": one.numbers.waiting,
                "not_fired": one.numbers.not_fired,
            }
            for one in play_numbers.listed(archived=options["archived"])
        ]
        if options["json"]:
            self.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False))
            return
        for row in rows:
            self.stdout.write(
                f"{row['slug']:<44} {row['action']:<14} {row['status']:<9} fired {row['fired']:>6,}"
                f"  converted {row['converted']:>6,}  held out {row['held_out']:>6,}"
                f"  waiting {row['waiting']:>6,}  not fired {row['not_fired']:>6,}"
            )
