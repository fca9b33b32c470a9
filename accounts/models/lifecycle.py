"""HOW FAR they have come: the stage ledger, and holds."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Stage(models.TextChoices):
    SIGNED_UP = "signed_up", "Signed up"
    ACTIVATED = "activated", "Activated"
    PQL = "pql", "Product-qualified"
    CLAIMED = "claimed", "Claimed by sales"
    CONTACTED = "contacted", "Contacted"
    PAID = "paid", "Paid"
    EXPANDED = "expanded", "Expanded"
    CHURNED = "churned", "Churned"
    RETURNED = "returned", "Returned to self-serve"


class StageEntry(models.Model):
    """The ledger: an account reached a stage. Repeatable; `reference` makes one fact be written once.

    `at` is the moment that made it true (the newest event in the evidence, the payment, the click), never
    the moment of the evaluation; that is `recorded_at`. `origin` is the account it was written for,
    `account` the one it belongs to now (they differ after a merge).
    """

    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="stages")
    origin = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    stage = models.CharField(max_length=20, choices=Stage.choices)
    at = models.DateTimeField()
    day = models.IntegerField()
    recorded_at = models.DateTimeField()
    cause = models.CharField(max_length=40)
    reference = models.CharField(max_length=100, blank=True, help_text="What wrote it; one entry per reference.")
    definition_version_id = models.BigIntegerField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "stage entries"
        constraints = [
            models.UniqueConstraint(fields=["origin", "stage", "reference"], name="stage_entry_once"),
            models.CheckConstraint(condition=Q(stage__in=Stage.values), name="stage_entry_stage_known"),
        ]
        indexes = [
            models.Index(fields=["account", "stage", "day"], name="stage_entry_by_account"),
            models.Index(fields=["stage", "day"], name="stage_entry_by_stage"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.stage} at {self.at:%Y-%m-%d}"


class Hold(models.Model):
    """A reason to leave an account alone for a while, said by another floor (an urgent ticket is open)."""

    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="holds")
    kind = models.CharField(max_length=40)
    source = models.CharField(max_length=100, help_text="Who says so, e.g. ticket:17.")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind", "source"], condition=Q(until__isnull=True), name="hold_open_once"
            ),
            models.CheckConstraint(
                condition=Q(until__isnull=True) | Q(until__gte=models.F("since")), name="hold_ends_after_it_starts"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.kind} ({self.source})"
