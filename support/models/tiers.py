"""Tiers: who is helped how."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Route(models.TextChoices):
    BOT = "bot", "Knowledge base and bot first"
    PEOPLE = "people", "People, with an SLA"


class Tier(models.Model):
    """A support tier. The first by `position` whose rule fits an account is the account's tier.

    The rule is over plan and MRR: an account fits when its plan is in `plans` (empty: any plan) and its
    MRR is at least `min_mrr`. Targets are minutes; null: no target.
    """

    name = models.CharField(max_length=60, unique=True)
    position = models.IntegerField(unique=True)
    plans = models.JSONField(default=list, blank=True)
    min_mrr = models.DecimalField(max_digits=14, decimal_places=2, default=0)
    route = models.CharField(max_length=10, choices=Route.choices)
    first_response_minutes = models.IntegerField(null=True, blank=True)
    resolution_minutes = models.IntegerField(null=True, blank=True)
    calendar = models.ForeignKey("accounts.BusinessCalendar", null=True, blank=True, on_delete=models.PROTECT)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(min_mrr__gte=0), name="tier_min_mrr_not_negative"),
            models.CheckConstraint(
                condition=Q(first_response_minutes__isnull=True) | Q(first_response_minutes__gt=0),
                name="tier_first_response_positive",
            ),
            models.CheckConstraint(
                condition=Q(resolution_minutes__isnull=True) | Q(resolution_minutes__gt=0),
                name="tier_resolution_positive",
            ),
            models.CheckConstraint(condition=Q(route__in=["bot", "people"]), name="tier_route_known"),
        ]

    def __str__(self) -> str:
        return self.name


class AccountTier(models.Model):
    """The tier an account is in now, and since when."""

    account = models.OneToOneField("accounts.Account", on_delete=models.PROTECT, related_name="tier")
    tier = models.ForeignKey(Tier, on_delete=models.PROTECT, related_name="accounts")
    since = models.DateTimeField()
    reason = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"{self.account_id} {self.tier_id}"
