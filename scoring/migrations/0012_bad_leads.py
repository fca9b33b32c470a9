from django.db import migrations, models


def mark(apps, schema_editor):
    """Reasons for which nobody could have sold anything."""
    reasons = apps.get_model("scoring", "OutcomeReason").objects.filter(outcome="disqualified")
    reasons.filter(code__in=["student", "duplicate", "test_account"]).update(is_bad_lead=True)


class Migration(migrations.Migration):

    dependencies = [
        ("scoring", "0011_outcome_reasons"),
    ]

    operations = [
        migrations.AddField(
            model_name="outcomereason",
            name="is_bad_lead",
            field=models.BooleanField(
                default=False, help_text="Of disqualified: whoever was given it in turn is owed another."
            ),
        ),
        migrations.RunPython(mark, migrations.RunPython.noop),
    ]
