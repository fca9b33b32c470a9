"""What hands over today goes on doing so: each definition of product-qualified leads gets its play, live since it is."""

import secrets

from django.db import migrations


def begin(apps, schema_editor):
    Definition = apps.get_model("scoring", "Definition")
    Play = apps.get_model("scoring", "Play")
    Play.objects.bulk_create(
        [
            Play(
                name=f"{definition.name}: to sales"[:120],
                slug=f"{definition.slug}-to-sales",
                definition=definition,
                trigger="qualifies",
                action="sales_handoff",
                priority=100,
                status="live",
                live_since=definition.created_at,
                salt=secrets.token_hex(16),
                created_at=definition.created_at,
            )
            for definition in Definition.objects.filter(purpose="pql", live_version__isnull=False).order_by("pk")
        ]
    )
    apps.get_model("scoring", "PromptRules").objects.get_or_create(pk=1)


class Migration(migrations.Migration):
    dependencies = [("scoring", "0007_plays")]

    operations = [migrations.RunPython(begin, migrations.RunPython.noop)]
