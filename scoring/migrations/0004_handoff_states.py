"""The states of a handoff get the names that sales uses: new, claimed, working, snoozed and their outcomes."""

from django.db import migrations, models
from django.db.models import Q

RENAMED = {"unclaimed": "new", "contacted": "working", "dismissed": "disqualified"}
OPEN = ["new", "claimed", "working", "snoozed"]
CLOSED = ["won", "lost", "disqualified", "returned", "withdrawn"]


def rename(apps, schema_editor):
    _rename(apps, RENAMED)


def rename_back(apps, schema_editor):
    """A snoozed one is claimed for who goes back."""
    _rename(apps, {new: old for old, new in RENAMED.items()} | {"snoozed": "claimed"})


def _rename(apps, names):
    handoffs = apps.get_model("scoring", "Handoff").objects
    for before, after in names.items():
        handoffs.filter(status=before).update(status=after)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_import_bookmarks"),
        ("scoring", "0003_since"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="handoff", name="handoff_closed_fits_status"),
        migrations.RemoveConstraint(model_name="handoff", name="handoff_claimed_has_owner"),
        migrations.RemoveConstraint(model_name="handoff", name="handoff_unclaimed_has_none"),
        migrations.RemoveIndex(model_name="handoff", name="handoff_unclaimed_newest"),
        migrations.RemoveIndex(model_name="handoff", name="handoff_unclaimed_waiting"),
        migrations.AlterField(
            model_name="handoff",
            name="status",
            field=models.CharField(
                choices=[
                    ("new", "New"),
                    ("claimed", "Claimed"),
                    ("working", "Working"),
                    ("snoozed", "Snoozed"),
                    ("won", "Won"),
                    ("lost", "Lost"),
                    ("disqualified", "Disqualified"),
                    ("returned", "Returned to self-serve"),
                    ("withdrawn", "Withdrawn before anybody claimed it"),
                ],
                default="new",
                max_length=20,
            ),
        ),
        migrations.RunPython(rename, rename_back),
        migrations.AddIndex(
            model_name="handoff",
            index=models.Index(
                fields=["-newest_evidence_at", "id"], name="handoff_new_newest", condition=Q(status="new")
            ),
        ),
        migrations.AddIndex(
            model_name="handoff",
            index=models.Index(fields=["opened_at", "id"], name="handoff_new_waiting", condition=Q(status="new")),
        ),
        migrations.AddConstraint(
            model_name="handoff",
            constraint=models.CheckConstraint(
                condition=Q(status__in=OPEN, closed_at__isnull=True) | Q(status__in=CLOSED, closed_at__isnull=False),
                name="handoff_closed_fits_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="handoff",
            constraint=models.CheckConstraint(
                condition=~Q(status__in=["claimed", "working", "snoozed"]) | Q(owner__isnull=False),
                name="handoff_claimed_has_owner",
            ),
        ),
        migrations.AddConstraint(
            model_name="handoff",
            constraint=models.CheckConstraint(
                condition=~Q(status="new") | Q(owner__isnull=True), name="handoff_new_has_none"
            ),
        ),
    ]
