"""`manage.py create_token USERNAME`: a token with which a program uses the API as that member of staff."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import tokens
from accounts.models import StaffUser


class Command(BaseCommand):
    help = "Print an API token of a member of staff (docs/api.md). Only its hash is kept: copy it now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="Made on the command line", help="what it is for")
        parser.add_argument(
            "--scope",
            action="append",
            metavar="SCOPE",
            help=f"what it may do, again for more (default: all that only reads): {', '.join(tokens.SCOPES)}",
        )
        parser.add_argument("--days", type=int, default=90, help="how long it is good (default: 90)")

    def handle(self, *args: Any, username: str, name: str, scope: list[str] | None, days: int, **options: Any) -> None:
        user = StaffUser.objects.filter(username=username, is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active member of staff named {username}.")
        scopes = scope or [one for one in tokens.offered(user) if one.endswith(":read")]
        try:
            _, key = tokens.create(user=user, name=name, scopes=scopes, days=days, by=None, now=timezone.now())
        except tokens.BadToken as error:
            raise CommandError(str(error)) from error
        self.stdout.write(key)
