"""Log-in attempts, counted where all processes see them."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_room_in_pages'),
    ]

    operations = [
        migrations.CreateModel(
            name='LoginAttempts',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('attempts', models.IntegerField(default=0)),
                ('until', models.DateTimeField()),
            ],
            options={
                'verbose_name_plural': 'log-in attempts',
                'indexes': [models.Index(fields=['until'], name='login_attempts_expired')],
                'constraints': [models.CheckConstraint(condition=models.Q(('attempts__gte', 0)), name='login_attempts_not_negative')],
            },
        ),
    ]
