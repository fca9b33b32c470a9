"""Whose turn it is: the first message that waits for each destination."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0011_outbox'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='outgoingmessage',
            index=models.Index(condition=models.Q(('status', 'waiting')), fields=['destination', 'next_at', 'id'], name='outgoing_turn'),
        ),
    ]
