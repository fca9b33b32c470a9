"""What a speed policy said about a definition is gone; one for each play, one for everything else."""

from django.db import migrations, models
from django.db.models.functions import Coalesce


class Migration(migrations.Migration):
    dependencies = [("scoring", "0019_policies_to_plays")]

    operations = [
        migrations.RemoveField("speedpolicy", "definition"),
        migrations.AddConstraint(
            "speedpolicy", models.UniqueConstraint(Coalesce("play", 0), name="speed_policy_once")
        ),
    ]
