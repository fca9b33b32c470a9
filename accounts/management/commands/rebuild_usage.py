"""`manage.py rebuild_usage [--account KEY]`: UsageDay and UsageValue made again from the log."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from accounts.models import Account, ProductUser
from accounts.rebuild import rebuild_usage


class Command(BaseCommand):
    help = "Make the usage roll-up again from the log, in short steps; ingest may run beside it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--account", metavar="KEY", help="only the people of this account (its external id)")

    def handle(self, *args: Any, **options: Any) -> None:
        account = None
        if options["account"]:
            account = Account.objects.filter(external_id=options["account"]).first()
            if account is None:
                raise CommandError(f"There is no account “{options['account']}”.")
        total = None if account else ProductUser.objects.count()
        with tqdm(total=total, unit=" people", file=sys.stderr, disable=None) as bar:
            done = rebuild_usage(now=timezone.now(), account=account, progress=bar.update)
        self.stdout.write(f"Made again from the log: the usage of {done:,} people.")
