"""By when an open handoff must be claimed or first touched, for the inbox."""

from typing import Any

from django.db import migrations, models
from django.utils import timezone


def look_again(apps: Any, schema_editor: Any) -> None:
    """The sweep reckons the clocks of what is open and untouched again, and writes the new column."""
    clocks = apps.get_model("scoring", "SpeedClock").objects
    clocks.filter(handoff__closed_at=None, handoff__first_touch_at=None).update(next_at=timezone.now())


class Migration(migrations.Migration):
    dependencies = [("scoring", "0016_leavers"), ("scoring", "0016_plays_later")]

    operations = [
        migrations.AddField(
            "handoff",
            "due_at",
            models.DateTimeField(
                blank=True,
                help_text="When it must be claimed, or first touched, by its clock (scoring/speed.py).",
                null=True,
            ),
        ),
        migrations.AddIndex(
            "handoff",
            models.Index(condition=models.Q(("status", "new")), fields=["due_at", "id"], name="handoff_new_due"),
        ),
        migrations.AddIndex(
            "handoff",
            models.Index(
                condition=models.Q(("closed_at__isnull", True)),
                fields=["owner", "due_at", "id"],
                name="handoff_mine_due",
            ),
        ),
        migrations.RunPython(look_again, migrations.RunPython.noop),
    ]
