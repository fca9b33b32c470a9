"""A handoff sleeps until a moment, and remembers who had the company before."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("scoring", "0005_alert_facts"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="handoff",
            name="snoozed_until",
            field=models.DateTimeField(blank=True, help_text="Asleep until then; kept when it is closed.", null=True),
        ),
        migrations.AddField(
            model_name="handoff",
            name="wakes_on_evidence",
            field=models.BooleanField(default=True, help_text="Stronger evidence wakes it before."),
        ),
        migrations.AddField(
            model_name="handoff",
            name="woken_at",
            field=models.DateTimeField(blank=True, help_text="Woke by itself, and nothing was done since.", null=True),
        ),
        migrations.AddField(
            model_name="handoff",
            name="last_owner",
            field=models.ForeignKey(
                blank=True,
                help_text="Who had the company when its handoff before this one was closed.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="handoff",
            name="last_owner_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name="handoff",
            index=models.Index(fields=["snoozed_until", "id"], name="handoff_wakes", condition=Q(status="snoozed")),
        ),
        migrations.AddConstraint(
            model_name="handoff",
            constraint=models.CheckConstraint(
                condition=Q(snoozed_until__isnull=False) & ~Q(status__in=["new", "claimed", "working"])
                | Q(snoozed_until__isnull=True) & ~Q(status="snoozed"),
                name="handoff_asleep_until",
            ),
        ),
        migrations.AddConstraint(
            model_name="handoff",
            constraint=models.CheckConstraint(
                condition=Q(last_owner__isnull=True, last_owner_until__isnull=True)
                | Q(last_owner__isnull=False, last_owner_until__isnull=False),
                name="handoff_last_owner_and_time",
            ),
        ),
    ]
