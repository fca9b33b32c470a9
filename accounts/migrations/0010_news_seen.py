from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_do_not_contact"),
    ]

    operations = [
        migrations.AddField(
            model_name="staffuser",
            name="news_seen_at",
            field=models.DateTimeField(
                blank=True, help_text="What changed up to then was dismissed in the inbox, on any machine.", null=True
            ),
        ),
    ]
