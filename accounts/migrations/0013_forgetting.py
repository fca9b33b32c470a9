"""Messages that were given up are looked at; what is old is found to be forgotten."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0012_outgoing_turns'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='outgoingmessage',
            name='outgoing_failed',
        ),
        migrations.AddField(
            model_name='outgoingmessage',
            name='looked_at',
            field=models.DateTimeField(blank=True, help_text='Given up: when somebody put it away; it is kept until then.', null=True),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('status', 'skipped')), fields=['created_at'], name='delivery_left_out'),
        ),
        migrations.AddIndex(
            model_name='outgoingmessage',
            index=models.Index(condition=models.Q(('looked_at__isnull', True), ('status', 'failed')), fields=['-id'], name='outgoing_given_up'),
        ),
        migrations.AddIndex(
            model_name='outgoingmessage',
            index=models.Index(condition=models.Q(('looked_at__isnull', False), ('status', 'failed')), fields=['looked_at'], name='outgoing_put_away'),
        ),
        migrations.AddConstraint(
            model_name='outgoingmessage',
            constraint=models.CheckConstraint(condition=models.Q(('looked_at__isnull', True), ('status', 'failed'), _connector='OR'), name='outgoing_looked_at_when_given_up'),
        ),
    ]
