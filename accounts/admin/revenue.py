"""Plans, subscriptions and movements of revenue."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone

from accounts import due
from accounts.admin.saved import SavedWithAudit
from accounts.admin.typed import account_ids, date_text
from accounts.models import Deal, Plan, PlanLimit, RevenueMovement, Subscription, SubscriptionState
from plgops.lib.desk import LogAdmin


class PlanDesk(SavedWithAudit):
    """Rules ask for shares of what plans allow: a change here may change anybody's verdict, quietly, as an import."""

    def _record(self, request: HttpRequest, obj: Model, what: str, **detail: Any) -> None:
        super()._record(request, obj, what, **detail)
        if isinstance(obj, PlanLimit) or "code" in detail.get("fields", ()):
            for consumer in sorted(settings.DUE_CONSUMERS):
                due.mark_everybody(consumer=consumer, now=timezone.now(), importing=True)


@admin.register(Plan)
class PlanAdmin(PlanDesk):
    list_display = ("code", "name", "is_paid", "rank")
    search_fields = ("code", "name")
    editable = ("code", "name", "is_paid", "rank")
    ordering = ("rank", "pk")
    addable = True


@admin.register(PlanLimit)
class PlanLimitAdmin(PlanDesk):
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


@admin.register(Deal)
class DealAdmin(LogAdmin):
    list_display = ("account", "name", "status", "stage", "amount", "currency", "opened_at", "closed_at", "read_at")
    list_select_related = ("account",)
    list_filter = ("status",)
    found_by = {"account_id": account_ids}
    search_help_text = "An account, exactly"
