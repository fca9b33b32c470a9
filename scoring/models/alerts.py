"""What there is to tell people, whom it is told, and the claim links that were used."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q


class AlertFact(models.Model):
    """Something happened that somebody may want to hear of. Written with the change itself; a sweep finds the hearers.

    `key` says which it is among those of its kind (`12:34`), so that the same thing is told once.
    """

    class Kind(models.TextChoices):
        HANDOFF_OPENED = "handoff_opened", "An account came into the inbox"
        HANDOFF_JOINED = "handoff_joined", "An open account got another reason"
        HANDOFF_ASSIGNED = "handoff_assigned", "An account was given to somebody"
        HANDOFF_WOKEN = "handoff_woken", "A snoozed account woke"
        HANDOFF_RETURNED = "handoff_returned", "An account was returned to self-serve"
        SPEED_WARNED = "speed_warned", "An account is about to wait too long"
        SPEED_REROUTED = "speed_rerouted", "An account waited too long and went to somebody else"
        SPEED_ESCALATED = "speed_escalated", "An account waited too long for anybody"
        PLAY_WEBHOOK = "play_webhook", "A play sends its qualification to a webhook"
        TASK_CREATED = "task_created", "A play made a task"

    kind = models.CharField(max_length=20, choices=Kind.choices)
    key = models.CharField(max_length=120)
    account = models.ForeignKey("accounts.Account", on_delete=models.CASCADE, related_name="+")
    handoff = models.ForeignKey(
        "scoring.Handoff", null=True, blank=True, on_delete=models.CASCADE, related_name="alert_facts"
    )
    at = models.DateTimeField()
    detail = models.JSONField(default=dict, blank=True, help_text="Plain JSON: ids and words that the alert needs.")
    told_at = models.DateTimeField(null=True, blank=True, help_text="When its deliveries were written, if any.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="alert_fact_once")]
        indexes = [
            models.Index(fields=["id"], name="alert_fact_to_tell", condition=Q(told_at__isnull=True)),
            models.Index(fields=["account", "-at"], name="alert_fact_of_account"),
            models.Index(fields=["at"], name="alert_fact_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class AlertRule(models.Model):
    """What one destination hears of, and when. Of a person's or a team's destination (accounts)."""

    class Scope(models.TextChoices):
        OWN = "own", "Mine only"
        OPEN = "open", "Mine, and those that nobody has"
        ALL = "all", "All"

    class Pace(models.TextChoices):
        IMMEDIATE = "immediate", "At once"
        BUNDLED = "bundled", "Bundled"
        DIGEST = "digest", "Once a day"

    destination = models.OneToOneField("accounts.Destination", on_delete=models.CASCADE, related_name="alert_rule")
    on_since = models.DateTimeField(null=True, blank=True, help_text="What happened before is not told; empty: off.")
    kinds = models.JSONField(default=list, help_text="Of AlertFact.Kind.")
    scope = models.CharField(max_length=4, choices=Scope.choices, default=Scope.OWN)
    definitions = models.ManyToManyField("scoring.Definition", blank=True, related_name="+")  # none: all
    pace = models.CharField(max_length=9, choices=Pace.choices, default=Pace.IMMEDIATE)
    bundle_minutes = models.PositiveSmallIntegerField(default=15)
    digest_hour = models.PositiveSmallIntegerField(default=8)
    quiet_from = models.PositiveSmallIntegerField(null=True, blank=True)
    quiet_until = models.PositiveSmallIntegerField(null=True, blank=True)
    time_zone = models.CharField(max_length=64)
    per_account = models.PositiveSmallIntegerField(default=3, help_text="Alerts about an account in 24 hours; 0: any.")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(scope__in=["own", "open", "all"]), name="alert_rule_scope_known"),
            models.CheckConstraint(
                condition=Q(pace__in=["immediate", "bundled", "digest"]), name="alert_rule_pace_known"
            ),
            models.CheckConstraint(
                condition=Q(bundle_minutes__gte=5, bundle_minutes__lte=240), name="alert_rule_bundle_minutes"
            ),
            models.CheckConstraint(condition=Q(digest_hour__lte=23), name="alert_rule_digest_hour"),
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False, quiet_from__lte=23, quiet_until__lte=23)
                & ~Q(quiet_from=models.F("quiet_until")),
                name="alert_rule_quiet_hours",
            ),
        ]

    def __str__(self) -> str:
        return f"alerts of destination {self.destination_id}"


class ClaimLinkUse(models.Model):
    """A claim link that was used; it works once. Only a digest of it is kept."""

    digest = models.CharField(max_length=64, unique=True)
    handoff = models.ForeignKey("scoring.Handoff", on_delete=models.CASCADE, related_name="+")
    used_at = models.DateTimeField()
    used_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"{self.handoff_id} at {self.used_at:%Y-%m-%d %H:%M}"
