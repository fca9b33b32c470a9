from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0007_import_bookmarks"),
    ]

    operations = [
        migrations.AddField(
            model_name="businesscalendar",
            name="overrides",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text='Dates with hours of their own: {"2026-12-24": [["09:00", "12:00"]]}; [] is closed.',
            ),
        ),
    ]
