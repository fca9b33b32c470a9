"""Make this installation ready to start: migrate, load the demo company if empty, say how to get in."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, call_command

from accounts.models import Source, StaffUser
from plgops.demo.catalogue import PASSWORD, STAFF

SOURCE = "My product"


class Command(BaseCommand):
    help = "Migrate, load the demo company into an empty database, and print the log-ins and a first write key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="Leave an empty database empty.")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        call_command("check", databases=["default"], verbosity=0)
        staffed = StaffUser.objects.exists()
        if not options["no_demo"]:
            call_command("demo", if_empty=True, stdout=self.stdout)
        if not StaffUser.objects.exists():
            self.stdout.write(
                "Nobody can log in yet: with the same variables set, type .venv/bin/python manage.py createsuperuser"
            )
        elif staffed:  # else the demo company has just said it
            self._log_ins()
        if not Source.objects.filter(kind=Source.Kind.HTTP).exists():
            self.stdout.write(f"Write key of “{SOURCE}”, shown this once:")
            call_command("create_source", SOURCE, stdout=self.stdout)

    def _log_ins(self) -> None:
        """The demo people who can still log in with the password that everybody knows."""
        names = [person.username for person in STAFF]
        known = StaffUser.objects.filter(username__in=names, is_active=True).order_by("id")
        open_to_all = [person.username for person in known if person.check_password(PASSWORD)]
        if open_to_all:
            self.stdout.write(f"Log-ins (password {PASSWORD}): {', '.join(open_to_all)}.")
