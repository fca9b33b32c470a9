"""What people met inside the product: which prompt, what they did about it, and how often anybody may meet one."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from .plays import PlayRun


class PromptRules(models.Model):
    """How often one person meets a promotional prompt, over all plays. One row."""

    enabled = models.BooleanField(default=True)
    cap = models.PositiveSmallIntegerField(default=2, help_text="Promotional prompts that one person meets…")
    cap_days = models.PositiveSmallIntegerField(default=7, help_text="…within so many days.")

    class Meta:
        verbose_name_plural = "prompt rules"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="prompt_rules_are_one"),
            models.CheckConstraint(
                condition=Q(cap__gte=1, cap__lte=50, cap_days__gte=1, cap_days__lte=90), name="prompt_rules_in_range"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.cap} in {self.cap_days} days" if self.enabled else "no cap"


class PromptView(models.Model):
    """One person and one prompt: when it was handed out and seen, and what came of it. The first of each kind is kept.

    What is handed out counts for the cap from then on, whether or not a browser says that it was seen.
    """

    run = models.ForeignKey(PlayRun, on_delete=models.CASCADE, related_name="views")
    user = models.ForeignKey("accounts.ProductUser", on_delete=models.PROTECT, related_name="prompt_views")
    promotional = models.BooleanField(help_text="As the play was then: counts for the cap.")
    offered_at = models.DateTimeField(help_text="When the product, or a letter, first had it for the person.")
    first_seen_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    clicked_at = models.DateTimeField(null=True, blank=True)
    dismissed_at = models.DateTimeField(null=True, blank=True)
    converted_at = models.DateTimeField(null=True, blank=True, help_text="The product said so.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "user"], name="prompt_view_once"),
            models.CheckConstraint(
                condition=Q(first_seen_at__isnull=True, last_seen_at__isnull=True)
                | Q(last_seen_at__gte=F("first_seen_at"), last_seen_at__isnull=False, first_seen_at__isnull=False),
                name="prompt_view_seen_in_order",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-offered_at"], name="prompt_view_of_user"),
            # the timeline of an account: of its runs the few views that were answered
            models.Index(
                fields=["run", "clicked_at"], name="prompt_view_clicked", condition=Q(clicked_at__isnull=False)
            ),
            models.Index(
                fields=["run", "converted_at"], name="prompt_view_converted", condition=Q(converted_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.user_id}"
