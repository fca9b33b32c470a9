"""What an episode's beginning means by now; no change of the table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("scoring", "0002_discovery"),
    ]

    operations = [
        migrations.AlterField(
            model_name="qualification",
            name="since_at",
            field=models.DateTimeField(blank=True, help_text="When the rule came true.", null=True),
        ),
    ]
