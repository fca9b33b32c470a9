"""The operations desk for plays, their runs and hold-outs, tasks of customer success, and prompts."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.utils.safestring import SafeString

from accounts.admin.typed import account_ids, person_ids
from plgops.lib.desk import DeskAdmin, LogAdmin, page_link, state_filter
from scoring.models import CsTask, Play, PlayArm, PlayRun, PromptRules, PromptView


@admin.register(Play)
class PlayAdmin(DeskAdmin):
    list_display = ("name", "definition", "action", "status", "priority", "holdout_percent", "live_since", "page")
    list_select_related = ("definition",)
    list_filter = ("status", "action", "trigger")
    search_fields = ("slug", "name")
    exclude = ("salt",)

    @admin.display(description="page")
    def page(self, play: Play) -> SafeString:
        return page_link(f"/plays/{play.slug}/", "Open")


@admin.register(PlayArm)
class PlayArmAdmin(LogAdmin):
    list_display = ("company", "play", "arm", "percent", "drawn_at", "window_ends_at")
    list_select_related = ("company", "play")
    list_filter = ("arm",)
    found_by = {"company_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(PlayRun)
class PlayRunAdmin(LogAdmin):
    list_display = ("account", "play", "status", "reason", "created_at", "due_at", "decided_at")
    list_select_related = ("account", "play")
    list_filter = (
        "status",
        state_filter(
            waiting=("Waits", Q(due_at__isnull=False)), shown=("Shown", Q(status="fired", ended_at__isnull=True))
        ),
    )
    found_by = {"account_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(CsTask)
class CsTaskAdmin(LogAdmin):
    list_display = ("company", "title", "status", "owner", "due_on", "outcome", "closed_at")
    list_select_related = ("company", "owner")
    list_filter = ("status",)
    found_by = {"company_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(PromptRules)
class PromptRulesAdmin(DeskAdmin):
    list_display = ("enabled", "cap", "cap_days")


@admin.register(PromptView)
class PromptViewAdmin(LogAdmin):
    list_display = ("user", "run", "first_seen_at", "last_seen_at", "clicked_at", "dismissed_at", "converted_at")
    list_select_related = ("user", "run")
    found_by = {"user_id": person_ids}
    search_help_text = "A person's external id, e-mail address or key, exactly"
