"""The reasons of outcomes become rows that admins keep; they begin as what could be chosen so far."""

from django.db import migrations, models
from django.db.models import Q

FIRST = {
    "lost": {
        "no_budget": "No budget",
        "timing": "Bad timing",
        "no_need": "No need",
        "competitor": "Chose a competitor",
        "no_response": "Never answered",
        "other": "Other",
    },
    "disqualified": {
        "bad_fit": "Not a fit",
        "student": "Student or hobby",
        "competitor": "A competitor looking around",
        "duplicate": "Duplicate of another account",
        "test_account": "Test account",
        "already_customer": "Already a customer",
        "other": "Other",
    },
    "returned": {
        "too_early": "Too early",
        "prefers_self_serve": "Prefers to help themselves",
        "too_small": "Too small for a person",
        "other": "Other",
    },
}


def seed(apps, schema_editor):
    reason = apps.get_model("scoring", "OutcomeReason")
    reason.objects.bulk_create(
        reason(outcome=outcome, code=code, label=label, needs_note=code == "other", position=position)
        for outcome, reasons in FIRST.items()
        for position, (code, label) in enumerate(reasons.items(), start=1)
    )


class Migration(migrations.Migration):
    dependencies = [("scoring", "0010_alert_rules")]

    operations = [
        migrations.CreateModel(
            name="OutcomeReason",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("outcome", models.CharField(max_length=20)),
                ("code", models.CharField(max_length=40)),
                ("label", models.CharField(max_length=80)),
                ("needs_note", models.BooleanField(default=False, help_text="Whoever chooses it has to say more.")),
                ("position", models.IntegerField(default=0, help_text="Their order in the menu.")),
                ("archived_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["outcome", "code"], name="outcome_reason_once"),
                    models.CheckConstraint(
                        condition=Q(outcome__in=["won", "lost", "disqualified", "returned"]),
                        name="outcome_reason_outcome_known",
                    ),
                    models.CheckConstraint(condition=~Q(code="") & ~Q(label=""), name="outcome_reason_says_something"),
                ]
            },
        ),
        migrations.RunPython(seed, migrations.RunPython.noop),
    ]
