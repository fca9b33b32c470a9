"""The outbox: destinations, what is delivered to them, and the messages that go over the network."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0010_news_seen"),
    ]

    operations = [
        migrations.DeleteModel(name="Delivery"),  # never used before: nothing is in it
        migrations.CreateModel(
            name="Destination",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("email", "E-mail"),
                            ("slack", "Slack"),
                            ("teams", "Microsoft Teams"),
                            ("webhook", "Webhook"),
                            ("signed", "Signed webhook"),
                        ],
                        max_length=10,
                    ),
                ),
                ("shown", models.CharField(help_text="What may be seen of its address.", max_length=200)),
                (
                    "sealed",
                    models.TextField(
                        blank=True, help_text="Its address and secret, encrypted; empty once it was removed."
                    ),
                ),
                ("created_at", models.DateTimeField()),
                (
                    "disabled_at",
                    models.DateTimeField(blank=True, help_text="When its receiver said that it is gone.", null=True),
                ),
                ("disabled_reason", models.CharField(blank=True, max_length=300)),
                ("removed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "failures",
                    models.IntegerField(default=0, help_text="Tries that failed since the last that went through."),
                ),
                (
                    "paused_until",
                    models.DateTimeField(blank=True, help_text="Nothing is tried before that.", null=True),
                ),
                ("last_error", models.CharField(blank=True, max_length=300)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="destinations",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="OutgoingMessage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.CharField(max_length=40, unique=True)),
                ("content", models.JSONField(help_text="What is said; each channel has its own way of showing it.")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "status",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("sent", "Sent"), ("failed", "Given up")],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("created_at", models.DateTimeField()),
                (
                    "next_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When it is tried next; while somebody tries it, when their lease ends.",
                        null=True,
                    ),
                ),
                ("attempts", models.IntegerField(default=0)),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("last_error", models.CharField(blank=True, max_length=300)),
                (
                    "destination",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="messages", to="accounts.destination"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "fact",
                    models.CharField(
                        help_text="What it is about: whose words, and which, e.g. alert:12", max_length=120
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("packed", "In a message"), ("skipped", "Left out")],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("due_at", models.DateTimeField(blank=True, help_text="When it goes into a message.", null=True)),
                ("skipped_because", models.CharField(blank=True, max_length=100)),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
                (
                    "destination",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deliveries",
                        to="accounts.destination",
                    ),
                ),
                (
                    "message",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deliveries",
                        to="accounts.outgoingmessage",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "deliveries",
            },
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.UniqueConstraint(
                condition=models.Q(("owner__isnull", True), ("removed_at__isnull", True)),
                fields=("name",),
                name="destination_team_name",
            ),
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.UniqueConstraint(
                condition=models.Q(("owner__isnull", False), ("removed_at__isnull", True)),
                fields=("owner", "name"),
                name="destination_name_of_person",
            ),
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.CheckConstraint(
                condition=models.Q(("channel__in", ["email", "slack", "teams", "webhook", "signed"])),
                name="destination_channel_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("disabled_at__isnull", True), ("disabled_reason", "")),
                    models.Q(("disabled_at__isnull", False), models.Q(("disabled_reason", ""), _negated=True)),
                    _connector="OR",
                ),
                name="destination_disabled_says_why",
            ),
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("removed_at__isnull", True), models.Q(("sealed", ""), _negated=True)),
                    models.Q(("removed_at__isnull", False), ("sealed", "")),
                    _connector="OR",
                ),
                name="destination_removed_forgets",
            ),
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.CheckConstraint(
                condition=models.Q(("failures__gte", 0)), name="destination_failures_not_negative"
            ),
        ),
        migrations.AddIndex(
            model_name="outgoingmessage",
            index=models.Index(
                condition=models.Q(("status", "waiting")), fields=["next_at", "id"], name="outgoing_due"
            ),
        ),
        migrations.AddIndex(
            model_name="outgoingmessage",
            index=models.Index(condition=models.Q(("status", "failed")), fields=["-id"], name="outgoing_failed"),
        ),
        migrations.AddIndex(
            model_name="outgoingmessage",
            index=models.Index(fields=["destination", "-id"], name="outgoing_of_destination"),
        ),
        migrations.AddIndex(
            model_name="outgoingmessage",
            index=models.Index(condition=models.Q(("status", "sent")), fields=["sent_at"], name="outgoing_sent"),
        ),
        migrations.AddConstraint(
            model_name="outgoingmessage",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("next_at__isnull", False), ("sent_at__isnull", True), ("status", "waiting")),
                    models.Q(("next_at__isnull", True), ("sent_at__isnull", False), ("status", "sent")),
                    models.Q(("next_at__isnull", True), ("sent_at__isnull", True), ("status", "failed")),
                    _connector="OR",
                ),
                name="outgoing_times_fit_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="outgoingmessage",
            constraint=models.CheckConstraint(
                condition=models.Q(("attempts__gte", 0)), name="outgoing_attempts_not_negative"
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(condition=models.Q(("status", "waiting")), fields=["due_at", "id"], name="delivery_due"),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(fields=["destination", "account", "-created_at"], name="delivery_of_account"),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(fields=["destination", "-id"], name="delivery_of_destination"),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.UniqueConstraint(fields=("destination", "fact"), name="delivery_once"),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("due_at__isnull", False),
                        ("message__isnull", True),
                        ("skipped_because", ""),
                        ("status", "waiting"),
                    ),
                    models.Q(
                        ("due_at__isnull", True),
                        ("message__isnull", False),
                        ("skipped_because", ""),
                        ("status", "packed"),
                    ),
                    models.Q(
                        ("due_at__isnull", True),
                        ("message__isnull", True),
                        ("status", "skipped"),
                        models.Q(("skipped_because", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="delivery_fits_status",
            ),
        ),
    ]
