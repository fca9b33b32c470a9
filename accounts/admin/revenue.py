"""Plans, subscriptions and movements of revenue."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin.saved import SavedWithAudit
from accounts.admin.typed import account_ids, date_text
from accounts.models import Plan, PlanLimit, RevenueMovement, Subscription, SubscriptionState
from plgops.lib.desk import LogAdmin


@admin.register(Plan)
class PlanAdmin(SavedWithAudit):
    list_display = ("code", "name", "is_paid", "rank")
    search_fields = ("code", "name")
    editable = ("code", "name", "is_paid", "rank")
    ordering = ("rank", "pk")
    addable = True


@admin.register(PlanLimit)
class PlanLimitAdmin(SavedWithAudit):
    list_display = ("plan", "metric", "limit", "since")
    list_select_related = ("plan",)
    autocomplete_fields = ("plan",)
    editable = ("plan", "metric", "limit", "from_day")
    addable = deletable = True

    @admin.display(description="from")
    def since(self, limit: PlanLimit) -> str:
        return date_text(limit.from_day)


@admin.register(Subscription)
class SubscriptionAdmin(LogAdmin):
    list_display = ("account", "external_id", "plan", "mrr", "started_at", "ended_at")
    list_select_related = ("account",)
    found_by = {"account_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(SubscriptionState)
class SubscriptionStateAdmin(LogAdmin):
    list_display = ("subscription", "at", "plan", "mrr", "motion", "recorded_at", "source")
    list_select_related = ("subscription", "source")
    found_by = {"subscription__account_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(RevenueMovement)
class RevenueMovementAdmin(LogAdmin):
    list_display = ("account", "at", "kind", "amount", "mrr_after", "plan", "motion")
    list_select_related = ("account",)
    list_filter = ("kind", "motion")
    found_by = {"account_id": account_ids}
    search_help_text = "An account, exactly"
