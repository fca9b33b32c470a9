"""Why handoffs end as they do: the list that admins keep."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class OutcomeReason(models.Model):
    """A reason that can be chosen when a handoff is closed with an outcome.

    `code` is what handoffs store, so it never changes and no reason is deleted: an archived one is offered no more
    and stays readable.
    """

    outcome = models.CharField(max_length=20)
    code = models.CharField(max_length=40)
    label = models.CharField(max_length=80)
    needs_note = models.BooleanField(default=False, help_text="Whoever chooses it has to say more.")
    is_bad_lead = models.BooleanField(
        default=False, help_text="Of disqualified: whoever was given it in turn is owed another."
    )
    position = models.IntegerField(default=0, help_text="Their order in the menu.")
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["outcome", "code"], name="outcome_reason_once"),
            models.CheckConstraint(
                condition=Q(outcome__in=["won", "lost", "disqualified", "returned"]),
                name="outcome_reason_outcome_known",
            ),
            models.CheckConstraint(condition=~Q(code="") & ~Q(label=""), name="outcome_reason_says_something"),
        ]

    def __str__(self) -> str:
        return f"{self.outcome}: {self.label}"
