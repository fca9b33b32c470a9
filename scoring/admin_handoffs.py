"""The desk's rows of what sales keeps around handoffs."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q

from accounts.admin import account_ids
from plgops.lib.desk import DeskAdmin, LogAdmin, state_filter
from scoring.models import NextTask, OutcomeReason, SavedView


@admin.register(OutcomeReason)
class OutcomeReasonAdmin(DeskAdmin):
    """Shown here; changed on the page Outcome reasons."""

    list_display = ("label", "outcome", "code", "needs_note", "position", "archived_at")
    list_filter = (
        "outcome",
        state_filter(
            offered=("Offered", Q(archived_at__isnull=True)), archived=("Archived", Q(archived_at__isnull=False))
        ),
    )
    ordering = ("outcome", "position", "pk")
    search_fields = ("label",)


@admin.register(NextTask)
class NextTaskAdmin(LogAdmin):
    """What somebody means to do about an account; set and done in the inbox."""

    list_display = ("text", "handoff", "owner", "due_at", "done_at")
    list_select_related = ("handoff", "owner")
    found_by = {"handoff__company_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(SavedView)
class SavedViewAdmin(LogAdmin):
    """Views of the inbox that people keep; saved and removed there."""

    list_display = ("name", "owner", "is_shared", "query", "created_at")
    list_select_related = ("owner",)
    search_fields = ("name",)
