"""A speed policy can be of a play."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Coalesce

class Migration(migrations.Migration):
    dependencies = [("scoring", "0017_due_first")]

    operations = [
        migrations.RemoveConstraint("speedpolicy", "speed_policy_once"),
        migrations.AddField(
            "speedpolicy",
            "play",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="speed_policies",
                to="scoring.play",
            ),
        ),
    ]
