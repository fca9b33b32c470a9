"""`manage.py send_alerts`: do now what the workers' sweeps do, for who has no worker or wants to see it happen."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from accounts.team import deliveries
from scoring import alert_fan_out


class Command(BaseCommand):
    help = "Turn what there is to tell into messages, and send what is due."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--keep-going", action="store_true", help="go on until stopped, looking every 2 seconds")

    def handle(self, *args: Any, **options: Any) -> None:
        """Until nothing is left, or forever."""
        told = sent = tried = 0
        while True:
            facts = alert_fan_out.fan_out(now=timezone.now())
            packed = deliveries.pack(now=timezone.now())
            passed = deliveries.send_due(clock=timezone.now)
            told, sent, tried = told + facts, sent + passed.sent, tried + passed.claimed
            if facts or packed or passed.claimed:
                continue
            if not options["keep_going"]:
                break
            time.sleep(2)
        failed = f", {tried - sent:,} tried again later or given up" if tried > sent else ""
        self.stdout.write(f"{told:,} facts told, {sent:,} messages sent{failed}.")
