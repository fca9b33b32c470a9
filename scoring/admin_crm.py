"""The operations desk for the CRM: the connection, companies here and there, their people, touches, and conflicts."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q

from accounts.admin import account_ids
from plgops.lib.desk import DeskAdmin, LogAdmin, state_filter
from scoring.models import CrmActivity, CrmConflict, CrmConnection, CrmLink, CrmOwner


@admin.register(CrmConnection)
class CrmConnectionAdmin(DeskAdmin):
    list_display = ("provider", "state", "token_end", "crm_account", "pushed_at", "pulled_at", "paused_until")
    exclude = ("sealed",)


@admin.register(CrmLink)
class CrmLinkAdmin(LogAdmin):
    list_display = ("company", "crm_id", "matched", "linked_at", "pushed_at", "left_out", "look")
    list_select_related = ("company",)
    found_by = {"company_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(CrmOwner)
class CrmOwnerAdmin(DeskAdmin):
    list_display = ("crm_id", "email", "name")


@admin.register(CrmActivity)
class CrmActivityAdmin(LogAdmin):
    list_display = ("company", "kind", "crm_id", "at", "counted_at", "subject")
    list_select_related = ("company",)
    list_filter = ("kind", state_filter(waits=("To be counted", Q(counted_at__isnull=True))))
    found_by = {"company_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(CrmConflict)
class CrmConflictAdmin(LogAdmin):
    list_display = ("company", "kind", "field", "found_at", "resolved_at", "resolved_by", "resolution")
    list_select_related = ("company", "resolved_by")
    list_filter = ("kind", state_filter(open=("Open", Q(resolved_at__isnull=True))))
    found_by = {"company_id": account_ids}
    search_help_text = "An account, exactly"
