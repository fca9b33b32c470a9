"""What sales sells to a company, as the CRM says: the facts by which revenue is credited to sales."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Deal(models.Model):
    """A deal of a company in the CRM, as it was when it was read last."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        WON = "won", "Won"
        LOST = "lost", "Lost"
        GONE = "gone", "No longer in the CRM"

    external_id = models.CharField(max_length=100, unique=True, help_text="The CRM's own id, e.g. hubspot:123.")
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="deals")
    name = models.CharField(max_length=200)
    stage = models.CharField(max_length=100, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    amount = models.DecimalField(max_digits=14, decimal_places=2, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField(help_text="When it was last looked at in the CRM.")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(status__in=["open", "won", "lost", "gone"]), name="deal_status_known"),
            models.CheckConstraint(
                condition=~Q(status__in=["won", "lost"]) | Q(closed_at__isnull=False), name="deal_ended_has_a_time"
            ),
        ]
        indexes = [
            models.Index(fields=["account", "status"], name="deal_of_account"),
            # those that are open are looked at again, the longest unseen first
            models.Index(fields=["read_at", "id"], name="deal_to_read", condition=Q(status="open")),
        ]

    def __str__(self) -> str:
        return f"{self.external_id} {self.status}"
