"""Event types whose history is to be counted again: a table of its own, empty at first."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0005_login_attempts'),
    ]

    operations = [
        migrations.CreateModel(
            name='Recount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('asked_at', models.DateTimeField()),
                ('after', models.BigIntegerField(default=-1, help_text='People up to this id are done; -1: not begun.')),
                ('retry_at', models.DateTimeField(blank=True, help_text='When a step that is under way is given up.', null=True)),
                ('attempts', models.IntegerField(default=0, help_text='Steps begun since the last one that was done.')),
                ('last_error', models.TextField(blank=True)),
                ('event_type', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='recounts', to='accounts.eventtype')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('after__gte', -1)), name='recount_after_known'), models.CheckConstraint(condition=models.Q(('attempts__gte', 0)), name='recount_attempts_not_negative')],
            },
        ),
    ]
