"""`manage.py create_read_key USERNAME`: a key with which a program reads the API as that member of staff."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import read_keys
from accounts.models import StaffUser


class Command(BaseCommand):
    help = "Print a read key of a member of staff (docs/api.md). It is not stored: copy it now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--days", type=int, default=90, help="how long it is good (default: 90)")

    def handle(self, *args: Any, username: str, days: int, **options: Any) -> None:
        user = StaffUser.objects.filter(username=username, is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active member of staff named {username}.")
        try:
            self.stdout.write(read_keys.create(user=user, days=days, by=None, now=timezone.now()))
        except read_keys.BadLifetime as error:
            raise CommandError(str(error)) from error
