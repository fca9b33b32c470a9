"""What there is to tell people, whom it is told, and the claim links that were used."""

from __future__ import annotations

from django.db import models


class AlertFact(models.Model):
    """Something happened that somebody may want to hear of. Written with the change itself; a sweep finds the hearers.

    `key` says which it is among those of its kind (`12:34`), so that the same thing is told once.
    """

    class Kind(models.TextChoices):
        HANDOFF_OPENED = "handoff_opened", "An account came into the inbox"
        HANDOFF_JOINED = "handoff_joined", "An open account got another reason"
        HANDOFF_ASSIGNED = "handoff_assigned", "An account was given to somebody"
        HANDOFF_WOKEN = "handoff_woken", "A snoozed account woke"
        HANDOFF_RETURNED = "handoff_returned", "An account came back"
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
            models.Index(fields=["id"], name="alert_fact_to_tell", condition=models.Q(told_at__isnull=True)),
            models.Index(fields=["account", "-at"], name="alert_fact_of_account"),
            models.Index(fields=["at"], name="alert_fact_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
