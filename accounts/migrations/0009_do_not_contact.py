"""People who are not to be contacted, and what a source's signing secret is made from."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0008_api_tokens")]

    operations = [
        migrations.AddField(
            model_name="productuser",
            name="do_not_contact",
            field=models.BooleanField(
                db_default=False, default=False, help_text="Its trait of this name says so."
            ),
        ),
        migrations.AddField(
            model_name="productuser",
            name="contact_refused_at",
            field=models.DateTimeField(
                blank=True,
                help_text="Said by hand, or by the person: no outreach, whatever the trait says.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="source",
            name="signing_salt",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Its signing secret follows from this and the server's key.",
                max_length=32,
            ),
        ),
    ]
