"""The people and things every desk shares: staff, the workspace, calendars, audit."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from plgops.lib.business_time import BadCalendar, Calendar


class StaffUser(AbstractUser):
    """Somebody who works in plgops. Roles are groups; what a role may do is in plgops.lib.access."""

    class Theme(models.TextChoices):
        AUTO = "auto", "As the system"
        LIGHT = "light", "Light"
        DARK = "dark", "Dark"

    class Density(models.TextChoices):
        NORMAL = "normal", "Comfortable"
        COMPACT = "compact", "Compact"

    theme = models.CharField(max_length=5, choices=Theme.choices, default=Theme.AUTO)
    density = models.CharField(max_length=7, choices=Density.choices, default=Density.NORMAL)
    single_key_shortcuts = models.BooleanField(default=True, help_text="WCAG 2.1.4: single keys can be turned off.")
    news_seen_at = models.DateTimeField(
        null=True, blank=True, help_text="What changed up to then was dismissed in the inbox, on any machine."
    )

    @property
    def label(self) -> str:
        """The name to show: full name, else the log-in."""
        return self.get_full_name() or self.username


class LoginAttempts(models.Model):
    """Log-in attempts with one name from one address since the last success; see accounts/throttle.py.

    Neither is stored: `digest` is of both. The row means nothing after `until`.
    """

    digest = models.CharField(max_length=64, unique=True)
    attempts = models.IntegerField(default=0)
    until = models.DateTimeField()

    class Meta:
        verbose_name_plural = "log-in attempts"
        constraints = [models.CheckConstraint(condition=Q(attempts__gte=0), name="login_attempts_not_negative")]
        indexes = [models.Index(fields=["until"], name="login_attempts_expired")]

    def __str__(self) -> str:
        return f"{self.attempts} until {self.until:%Y-%m-%d %H:%M}"


class Workspace(models.Model):
    """This installation. One row; the time zone decides what a day is and is fixed by the first migration."""

    name = models.CharField(max_length=100)
    time_zone = models.CharField(max_length=64)
    currency = models.CharField(max_length=3, default="USD")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="workspace_is_one")]

    def __str__(self) -> str:
        return self.name


class BusinessCalendar(models.Model):
    """Open hours and holidays; pure arithmetic over it is in plgops.lib.business_time."""

    name = models.CharField(max_length=100, unique=True)
    time_zone = models.CharField(max_length=64)
    hours = models.JSONField(default=dict, help_text='{"mon": [["09:00", "17:00"]], …}; 24:00 ends a day.')
    holidays = models.JSONField(default=list, blank=True, help_text="Closed dates, YYYY-MM-DD.")
    overrides = models.JSONField(
        default=dict,
        blank=True,
        help_text='Dates with hours of their own: {"2026-12-24": [["09:00", "12:00"]]}; [] is closed.',
    )

    def clean(self) -> None:
        """A calendar that can never be reckoned with is not stored."""
        try:
            Calendar(self.time_zone, self.hours, self.holidays, self.overrides)
        except BadCalendar as error:
            raise ValidationError(str(error)) from error
        except (AttributeError, TypeError) as error:
            raise ValidationError("Hours are lists of spans by day, holidays a list of dates.") from error

    def __str__(self) -> str:
        return self.name


class AuditEntry(models.Model):
    """Who did what, when. No foreign keys: history never blocks a deletion and outlives it."""

    at = models.DateTimeField()
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_label = models.CharField(max_length=200, help_text="The staff user's name then, or “plgops”.")
    action = models.CharField(max_length=60, help_text="noun.verb, e.g. handoff.claimed")
    object_type = models.CharField(max_length=40)
    object_id = models.BigIntegerField(null=True, blank=True)
    object_label = models.CharField(max_length=300, blank=True)
    account_id = models.BigIntegerField(null=True, blank=True)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_newest"),
            models.Index(fields=["account_id", "-at"], name="audit_by_account"),
            models.Index(fields=["object_type", "object_id", "-at"], name="audit_by_object"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor_label} {self.action} {self.object_label}"
