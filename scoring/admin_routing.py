"""The operations desk for routing and speed: versions of the ladder, pools, people, every assignment and step."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.utils.safestring import SafeString

from accounts.admin import account_ids
from plgops.lib.desk import DeskAdmin, LogAdmin, page_link, state_filter
from scoring.models import (
    Assignment,
    Leave,
    PoolMember,
    RoutingLadder,
    RoutingPool,
    Seller,
    SpeedClock,
    SpeedPolicy,
    SpeedStep,
)


@admin.register(RoutingLadder)
class RoutingLadderAdmin(DeskAdmin):
    list_display = ("number", "published_at", "published_by", "reason")
    list_select_related = ("published_by",)


@admin.register(RoutingPool)
class RoutingPoolAdmin(DeskAdmin):
    list_display = ("name", "retired_at", "edition", "page")

    @admin.display(description="page")
    def page(self, pool: RoutingPool) -> SafeString:
        return page_link(f"/routing/pools/{pool.pk}/", "Open")


@admin.register(PoolMember)
class PoolMemberAdmin(DeskAdmin):
    list_display = ("pool", "person", "weight", "owed", "level")
    list_select_related = ("pool", "person")


@admin.register(Seller)
class SellerAdmin(DeskAdmin):
    list_display = ("person", "calendar", "daily_cap", "open_cap", "ramp_from")
    list_select_related = ("person", "calendar")


@admin.register(Leave)
class LeaveAdmin(DeskAdmin):
    list_display = ("person", "first_day", "last_day", "note")
    list_select_related = ("person",)


@admin.register(Assignment)
class AssignmentAdmin(LogAdmin):
    list_display = ("handoff", "at", "cause", "rule", "person", "pool", "given_back_at", "retry_at")
    list_select_related = ("handoff", "person", "pool")
    list_filter = ("cause", state_filter(waits=("Tried again later", Q(retry_at__isnull=False))))
    found_by = {"handoff__company_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(SpeedPolicy)
class SpeedPolicyAdmin(DeskAdmin):
    list_display = ("play", "is_on", "claim_minutes", "touch_minutes", "warn_percent", "calendar")
    list_select_related = ("play", "calendar")


@admin.register(SpeedClock)
class SpeedClockAdmin(LogAdmin):
    list_display = ("handoff", "started_at", "next_at", "claim_minutes", "touch_minutes")
    list_select_related = ("handoff",)
    list_filter = (state_filter(waits=("Something to do", Q(next_at__isnull=False))),)
    found_by = {"handoff__company_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(SpeedStep)
class SpeedStepAdmin(LogAdmin):
    list_display = ("handoff", "metric", "kind", "due_at", "at")
    list_select_related = ("handoff",)
    list_filter = ("kind", "metric")
    found_by = {"handoff__company_id": account_ids}
    search_help_text = "An account, exactly"
