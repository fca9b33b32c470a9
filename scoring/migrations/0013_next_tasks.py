"""What somebody means to do next about an account, and by when."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("scoring", "0012_bad_leads"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="NextTask",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("text", models.CharField(max_length=200)),
                (
                    "due_at",
                    models.DateTimeField(help_text="The beginning of the workspace's day on which it is due."),
                ),
                ("set_at", models.DateTimeField()),
                ("done_at", models.DateTimeField(blank=True, null=True)),
                (
                    "done_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "handoff",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="tasks", to="scoring.handoff"
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="next_tasks",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=Q(done_at__isnull=True), fields=["owner", "due_at"], name="next_task_of_owner"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=Q(done_at__isnull=True), fields=["handoff"], name="next_task_open_once"
                    ),
                    models.CheckConstraint(condition=~Q(text=""), name="next_task_says_something"),
                    models.CheckConstraint(
                        condition=Q(done_at__isnull=True, done_by__isnull=True)
                        | Q(done_at__isnull=False, done_by__isnull=False),
                        name="next_task_done_by_somebody",
                    ),
                ],
            },
        ),
    ]
