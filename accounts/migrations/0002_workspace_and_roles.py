"""The workspace row (its time zone decides what a day is) and the roles."""

from django.conf import settings
from django.db import migrations
from django.utils import timezone

from plgops.lib.access import ROLES


def fill(apps, schema_editor):
    apps.get_model("accounts", "Workspace").objects.create(
        id=1, name=settings.WORKSPACE_NAME, time_zone=settings.TIME_ZONE, created_at=timezone.now()
    )
    group = apps.get_model("auth", "Group")
    for role in ROLES:
        group.objects.get_or_create(name=role)
    # plgops' own facts (support's events, derived entries) come from a source of their own
    apps.get_model("accounts", "Source").objects.create(name="plgops", kind="internal", created_at=timezone.now())


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
