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
        parser.add_argument(
            "--reached-by-others", action="store_true", help="Warn of log-ins whose password everybody knows."
        )

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
        else:
            open_to_all = self._open_to_all() if staffed else [person.username for person in STAFF]
            if open_to_all and staffed:  # else the demo company has just said it
                self.stdout.write(f"Log-ins (password {PASSWORD}): {', '.join(open_to_all)}.")
            if open_to_all and options["reached_by_others"]:
                self.stdout.write(
                    "Warning: other machines can reach this address, and everybody knows that password;"
                    " change it in /admin/, or use HOST=127.0.0.1."
                )
        if not Source.objects.filter(kind=Source.Kind.HTTP).exists():
            self.stdout.write(f"Write key of “{SOURCE}”, shown this once:")
            call_command("create_source", SOURCE, stdout=self.stdout)

    def _open_to_all(self) -> list[str]:
        """The demo people who can still log in with the password that everybody knows."""
        names = [person.username for person in STAFF]
        known = StaffUser.objects.filter(username__in=names, is_active=True).order_by("id")
        return [person.username for person in known if person.check_password(PASSWORD)]
