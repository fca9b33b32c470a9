"""WHAT they pay: plans, subscriptions, the states they went through and the movements derived from them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Motion(models.TextChoices):
    SELF_SERVE = "self_serve", "Self-serve"
    SALES_TOUCHED = "sales_touched", "Sales-touched"
    SALES = "sales", "Sales"


class Plan(models.Model):
    code = models.CharField(max_length=100, unique=True, help_text="As it stands in the data, e.g. team.")
    name = models.CharField(max_length=100)
    is_paid = models.BooleanField(default=True)
    rank = models.IntegerField(default=0, help_text="Order of the plans, cheapest first.")

    def __str__(self) -> str:
        return self.name


class PlanLimit(models.Model):
    """What a plan allows of a metered thing, from a day on (dated, so that history is judged by its own limits)."""

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="limits")
    metric = models.CharField(max_length=100, help_text="Event type or trait that is limited.")
    limit = models.BigIntegerField(help_text="Micro-units.")
    from_day = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "metric", "from_day"], name="plan_limit_once"),
            models.CheckConstraint(condition=Q(limit__gt=0), name="plan_limit_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.plan_id} {self.metric} {self.limit}"


class Subscription(models.Model):
    """What an account pays for. Its present state is that of the newest SubscriptionState."""

    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="subscriptions")
    account_key = models.CharField(max_length=210)
    external_id = models.CharField(max_length=200, blank=True, help_text="Empty: the account's only subscription.")
    plan = models.CharField(max_length=100, blank=True)
    mrr = models.DecimalField(max_digits=14, decimal_places=2, default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account_key", "external_id"], name="subscription_once"),
            models.CheckConstraint(condition=Q(mrr__gte=0), name="subscription_mrr_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.account_key} {self.plan} {self.mrr}"


class SubscriptionState(models.Model):
    """A fact: from `at` on the subscription was on this plan at this MRR. Movements are derived from these."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="states")
    at = models.DateTimeField()
    plan = models.CharField(max_length=100, blank=True)
    mrr = models.DecimalField(max_digits=14, decimal_places=2)
    motion = models.CharField(max_length=20, choices=Motion.choices, blank=True)
    recorded_at = models.DateTimeField()
    source = models.ForeignKey("accounts.Source", null=True, blank=True, on_delete=models.PROTECT)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subscription", "at"], name="subscription_state_once"),
            models.CheckConstraint(condition=Q(mrr__gte=0), name="subscription_state_mrr_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.subscription_id} {self.mrr} from {self.at:%Y-%m-%d}"


class RevenueMovement(models.Model):
    """A change of an account's MRR, derived from its subscriptions' states; never written by hand."""

    class Kind(models.TextChoices):
        NEW = "new", "New"
        EXPANSION = "expansion", "Expansion"
        CONTRACTION = "contraction", "Contraction"
        CHURN = "churn", "Churn"
        REACTIVATION = "reactivation", "Reactivation"

    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="movements")
    at = models.DateTimeField()
    day = models.IntegerField()
    kind = models.CharField(max_length=20, choices=Kind.choices)
    amount = models.DecimalField(max_digits=14, decimal_places=2, help_text="Signed change of MRR.")
    mrr_after = models.DecimalField(max_digits=14, decimal_places=2)
    plan = models.CharField(max_length=100, blank=True)
    motion = models.CharField(max_length=20, choices=Motion.choices, default=Motion.SELF_SERVE)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "at"], name="revenue_movement_once"),
            models.CheckConstraint(
                condition=Q(kind__in=["new", "expansion", "reactivation"], amount__gt=0)
                | Q(kind__in=["contraction", "churn"], amount__lt=0),
                name="revenue_movement_sign_fits_kind",
            ),
        ]
        indexes = [models.Index(fields=["day"], name="revenue_movement_by_day")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.kind} {self.amount}"
