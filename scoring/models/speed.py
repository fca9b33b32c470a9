"""How soon somebody must claim and touch a handoff: the policies, one clock per handoff, each step once."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce

from .handoffs import Handoff
from .plays import Play


class SpeedPolicy(models.Model):
    """Targets in business minutes, of what one play hands over or (none) of all that has no policy of its own.

    Empty target: nothing is promised and nothing happens. Re-route and escalate come so many business minutes after
    the target was missed; empty: never.
    """

    play = models.ForeignKey(Play, null=True, blank=True, on_delete=models.CASCADE, related_name="speed_policies")
    is_on = models.BooleanField(default=True)
    claim_minutes = models.PositiveIntegerField(null=True, blank=True)
    touch_minutes = models.PositiveIntegerField(null=True, blank=True)
    warn_percent = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Of the target; empty: never.")
    reroute_after = models.PositiveIntegerField(null=True, blank=True)
    escalate_after = models.PositiveIntegerField(null=True, blank=True)
    calendar = models.ForeignKey(
        "accounts.BusinessCalendar", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    edition = models.IntegerField(default=1)

    class Meta:
        verbose_name_plural = "speed policies"
        constraints = [
            models.UniqueConstraint(Coalesce("play", 0), name="speed_policy_once"),
            models.CheckConstraint(
                condition=Q(warn_percent__isnull=True) | Q(warn_percent__gte=1, warn_percent__lte=99),
                name="speed_policy_warns_before",
            ),
            models.CheckConstraint(
                condition=Q(claim_minutes__isnull=True) | Q(claim_minutes__gte=1), name="speed_policy_claim_positive"
            ),
            models.CheckConstraint(
                condition=Q(touch_minutes__isnull=True) | Q(touch_minutes__gte=1), name="speed_policy_touch_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"speed of {self.play_id or 'everything else'}"


class SpeedClock(models.Model):
    """The promise about one handoff, as its policy was when it came. `next_at` is the queue of the sweep.

    What is promised never changes with the policy. The claim is due from the opening, the first touch from the moment
    at which somebody has it: whoever gets it later has the whole time.
    """

    handoff = models.OneToOneField(Handoff, on_delete=models.CASCADE, related_name="speed")
    policy = models.ForeignKey(SpeedPolicy, null=True, on_delete=models.SET_NULL, related_name="+")
    calendar = models.ForeignKey(
        "accounts.BusinessCalendar", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    claim_minutes = models.PositiveIntegerField(null=True, blank=True)
    touch_minutes = models.PositiveIntegerField(null=True, blank=True)
    warn_percent = models.PositiveSmallIntegerField(null=True, blank=True)
    reroute_after = models.PositiveIntegerField(null=True, blank=True)
    escalate_after = models.PositiveIntegerField(null=True, blank=True)
    started_at = models.DateTimeField()
    next_at = models.DateTimeField(null=True, blank=True, help_text="When something is to be done next.")
    error = models.CharField(max_length=300, blank=True, help_text="Why that failed last; put off.")

    class Meta:
        indexes = [
            models.Index(fields=["next_at"], name="speed_clock_next", condition=Q(next_at__isnull=False)),
            models.Index(fields=["id"], name="speed_clock_failing", condition=~Q(error="")),
        ]

    def __str__(self) -> str:
        return f"speed of handoff {self.handoff_id}"


class SpeedStep(models.Model):
    """Something that was done because a target came near or was missed. Each once per handoff."""

    class Metric(models.TextChoices):
        CLAIM = "claim", "Claim"
        TOUCH = "touch", "First touch"

    class Kind(models.TextChoices):
        WARNED = "warned", "Warned"
        REROUTED = "rerouted", "Given to somebody else"
        ESCALATED = "escalated", "Told the manager"

    handoff = models.ForeignKey(Handoff, on_delete=models.CASCADE, related_name="speed_steps")
    metric = models.CharField(max_length=5, choices=Metric.choices)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    due_at = models.DateTimeField(help_text="When it was to be done.")
    at = models.DateTimeField()
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["handoff", "metric", "kind"], name="speed_step_once"),
            models.CheckConstraint(condition=Q(metric__in=["claim", "touch"]), name="speed_step_metric_known"),
            models.CheckConstraint(
                condition=Q(kind__in=["warned", "rerouted", "escalated"]), name="speed_step_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.handoff_id} {self.metric} {self.kind}"
