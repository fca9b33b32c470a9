"""The desk's rows of what sales keeps around handoffs."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q

from plgops.lib.desk import DeskAdmin, state_filter
from scoring.models import OutcomeReason


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
