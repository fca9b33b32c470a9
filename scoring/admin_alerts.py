"""The operations desk for alerts: what there was to tell, who hears of it, and claim links that were used."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q

from accounts.admin import account_ids
from plgops.lib.desk import DeskAdmin, LogAdmin, state_filter
from scoring.models import AlertFact, AlertRule, ClaimLinkUse


@admin.register(AlertFact)
class AlertFactAdmin(LogAdmin):
    list_display = ("kind", "account", "at", "told_at", "key")
    list_select_related = ("account",)
    list_filter = (
        "kind",
        state_filter(
            to_tell=("To be told", Q(told_at__isnull=True)),
            told=("Told", Q(told_at__isnull=False)),
        ),
    )
    found_by = {"account_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(AlertRule)
class AlertRuleAdmin(DeskAdmin):
    list_display = ("destination", "on_since", "scope", "pace", "quiet_from", "quiet_until", "time_zone", "per_account")
    list_select_related = ("destination",)
    list_filter = ("pace", "scope")


@admin.register(ClaimLinkUse)
class ClaimLinkUseAdmin(LogAdmin):
    list_display = ("handoff", "used_by", "used_at")
    list_select_related = ("handoff", "used_by")
    found_by = {"handoff__company_id": account_ids}
    search_help_text = "An account, exactly"
