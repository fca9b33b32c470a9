"""The speed policies of a definition become those of the plays by which it hands over."""

from typing import Any

from django.db import migrations

COPIED = ("is_on", "claim_minutes", "touch_minutes", "warn_percent", "reroute_after", "escalate_after", "calendar_id")


def to_plays(apps: Any, schema_editor: Any) -> None:
    """A definition with several such plays had one policy for all; without any, nothing was handed over."""
    policies, plays = apps.get_model("scoring", "SpeedPolicy").objects, apps.get_model("scoring", "Play").objects
    for policy in policies.filter(definition__isnull=False):
        first, *others = plays.filter(definition=policy.definition_id, action="sales_handoff").order_by("pk") or [None]
        if first is None:
            policy.delete()
            continue
        policies.filter(pk=policy.pk).update(play=first)
        for play in others:
            policies.create(play=play, **{name: getattr(policy, name) for name in COPIED})


class Migration(migrations.Migration):
    dependencies = [("scoring", "0018_speed_per_play")]

    operations = [migrations.RunPython(to_plays, migrations.RunPython.noop)]
