"""Who works at Fieldnote: one log-in for each role."""

from __future__ import annotations

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.db import transaction

from accounts.models import StaffUser
from plgops.demo.catalogue import PASSWORD, STAFF
from plgops.lib import access


@transaction.atomic
def hire() -> dict[str, StaffUser]:
    """The staff, by user name; made where they are missing."""
    password = make_password(PASSWORD)  # slow on purpose, so once for all of them
    people: dict[str, StaffUser] = {}
    for colleague in STAFF:
        admin = colleague.role == access.ADMIN
        person, created = StaffUser.objects.get_or_create(
            username=colleague.username,
            defaults={
                "email": f"{colleague.username}@fieldnote.example",
                "first_name": colleague.first,
                "last_name": colleague.last,
                "password": password,
                "is_staff": admin,
                "is_superuser": admin,
            },
        )
        if created:
            person.groups.add(Group.objects.get(name=colleague.role))
        people[colleague.username] = person
    return people
