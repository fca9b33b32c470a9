import datetime as dt

from django.db import migrations, models
from django.db.models import F, Q


def fill(apps, schema_editor):
    """What was shown was given then; what is in the product ends as it would have."""
    view, run = apps.get_model("scoring", "PromptView"), apps.get_model("scoring", "PlayRun")
    view.objects.update(offered_at=F("first_seen_at"))
    shown = run.objects.filter(status="fired", ended_at=None, play__action__in=["prompt", "nudge"])
    shown.update(shows_until=F("decided_at") + dt.timedelta(days=30))


class Migration(migrations.Migration):
    dependencies = [("scoring", "0015_saved_views")]

    operations = [
        migrations.AddField(
            "qualification",
            "released_at",
            models.DateTimeField(blank=True, help_text="When it was let go; none: as it opened.", null=True),
        ),
        migrations.AddField(
            "playrun",
            "shows_until",
            models.DateTimeField(blank=True, help_text="In-product: the end, whoever saw it.", null=True),
        ),
        migrations.AddField("promptview", "offered_at", models.DateTimeField(null=True)),
        migrations.RemoveConstraint("promptview", "prompt_view_in_order"),
        migrations.RemoveIndex("promptview", "prompt_view_by_user"),
        migrations.RemoveIndex("playrun", "play_run_shown"),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AlterField(
            "promptview",
            "offered_at",
            models.DateTimeField(help_text="When the product, or a letter, first had it for the person."),
        ),
        migrations.AlterField("promptview", "first_seen_at", models.DateTimeField(blank=True, null=True)),
        migrations.AlterField("promptview", "last_seen_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddConstraint(
            "promptview",
            models.CheckConstraint(
                condition=Q(first_seen_at__isnull=True, last_seen_at__isnull=True)
                | Q(last_seen_at__gte=F("first_seen_at"), last_seen_at__isnull=False, first_seen_at__isnull=False),
                name="prompt_view_seen_in_order",
            ),
        ),
        migrations.AddIndex(
            "promptview", models.Index(fields=["user", "-offered_at"], name="prompt_view_of_user")
        ),
        migrations.AddIndex(
            "playrun",
            models.Index(
                fields=["account", "play"],
                name="play_run_shown_in",
                condition=Q(status="fired", ended_at__isnull=True),
            ),
        ),
        migrations.AddIndex(
            "playrun",
            models.Index(
                fields=["shows_until"],
                name="play_run_shows_until",
                condition=Q(ended_at__isnull=True, shows_until__isnull=False),
            ),
        ),
    ]
