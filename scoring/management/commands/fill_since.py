"""`manage.py fill_since`: date episodes back to the day on which their rule came true."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from scoring import backdating


class Command(BaseCommand):
    help = "Give every episode, and the stage it wrote, the day since when its rule held. Run it once after upgrading."

    def handle(self, *args: Any, **options: Any) -> None:
        filled = backdating.fill(now=timezone.now())
        self.stdout.write(f"{filled:,} episode{'' if filled == 1 else 's'} dated otherwise than before.")
