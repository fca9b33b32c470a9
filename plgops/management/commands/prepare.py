"""Make this installation ready to start: migrate, load the demo company if empty, say how to get in."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, call_command, get_commands

from accounts.models import Source, StaffUser

DEMO_PASSWORD = "plgops-demo"  # noqa: S105  printed on purpose; docs/operations.md says to remove the demo people
SOURCE = "My product"


class Command(BaseCommand):
    help = "Migrate, load the demo company into an empty database, and print the log-ins and a first write key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="Leave an empty database empty.")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        call_command("check", databases=["default"], stdout=self.stdout)
        if not options["no_demo"] and "demo" in get_commands():
            call_command("demo", if_empty=True, stdout=self.stdout)
        self._log_ins()
        if not Source.objects.filter(name=SOURCE).exists() and "create_source" in get_commands():
            self.stdout.write(f"\nA write key for your own product's events (source “{SOURCE}”, shown once):")
            call_command("create_source", SOURCE, stdout=self.stdout)

    def _log_ins(self) -> None:
        """Who can log in: the demo people while they have the demo's password, else how to make the first."""
        people = list(
            StaffUser.objects.filter(email__endswith="@fieldnote.example", is_active=True).order_by("id")[:20]
        )
        if people and people[0].check_password(DEMO_PASSWORD):
            roles = {p.pk: ", ".join(p.groups.values_list("name", flat=True)) for p in people}
            self.stdout.write(f"\nLog-ins (password {DEMO_PASSWORD}):")
            for person in people:
                self.stdout.write(f"  {person.username:<6} {roles[person.pk]}")
        elif not StaffUser.objects.exists():
            self.stdout.write("\nNobody can log in yet: .venv/bin/python manage.py createsuperuser")
