"""The operations desk for this floor's tables. Rows are shown; actions call the verbs that the pages call."""

from __future__ import annotations

from typing import cast

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.admin import account_ids
from accounts.models import StaffUser
from plgops.lib.desk import DeskAdmin, LogAdmin, page_link, state_filter, tell
from plgops.templatetags.ui import day_month
from scoring import admin_alerts as admin_alerts
from scoring import admin_crm as admin_crm
from scoring import admin_handoffs as admin_handoffs
from scoring import admin_plays as admin_plays
from scoring import admin_routing as admin_routing
from scoring import definitions, handoffs, openings
from scoring.models import Definition, DefinitionVersion, Discovery, Handoff, HandoffActivity, Qualification


@admin.register(Definition)
class DefinitionAdmin(DeskAdmin):
    list_display = ("name", "slug", "purpose", "level", "live", "archived_at", "last_full_run_at", "page")
    list_select_related = ("live_version",)
    list_filter = (
        "purpose",
        state_filter(
            live=("Live", Q(archived_at__isnull=True, live_version__isnull=False)),
            archived=("Archived", Q(archived_at__isnull=False)),
        ),
    )
    search_fields = ("slug", "name")
    actions = ("release", "archive")

    @admin.display(description="live version", empty_value="-")
    def live(self, definition: Definition) -> str | None:
        return f"v{definition.live_version.number}" if definition.live_version else None

    @admin.display(description="page")
    def page(self, definition: Definition) -> SafeString:
        return page_link(f"/definitions/{definition.slug}/", "Open")

    @admin.action(description="Release all that wait")
    def release(self, request: HttpRequest, queryset: QuerySet[Definition]) -> None:
        by, now, done = cast(StaffUser, request.user), timezone.now(), 0
        for definition in queryset:
            done += openings.release(definition_id=definition.pk, largest=None, by=by, now=now)
        tell(request, done, "episode", "released; the next sweep opens the handoffs")

    @admin.action(description="Archive")
    def archive(self, request: HttpRequest, queryset: QuerySet[Definition]) -> None:
        by, now = cast(StaffUser, request.user), timezone.now()
        rows = list(queryset.filter(archived_at__isnull=True))
        for definition in rows:
            definitions.archive(definition_id=definition.pk, by=by, now=now)
        tell(request, len(rows), "definition", "archived")


@admin.register(DefinitionVersion)
class DefinitionVersionAdmin(DeskAdmin):
    list_display = ("definition", "number", "english", "published_at", "published_by", "reason")
    list_select_related = ("definition", "published_by")
    search_fields = ("definition__slug__exact",)
    search_help_text = "A definition's slug, exactly"


@admin.register(Qualification)
class QualificationAdmin(LogAdmin):
    list_display = ("account", "definition", "opened_at", "why", "way", "ended")
    list_select_related = ("account", "definition")
    list_filter = (
        state_filter(
            open=("Open", Q(closed_at__isnull=True)),
            waiting=("Waits for release", Q(closed_at__isnull=True, release="waiting")),
            lapsing=("Lapsing", Q(closed_at__isnull=True, lapsing_since_day__isnull=False)),
            closed=("Closed", Q(closed_at__isnull=False)),
        ),
    )
    found_by = {"account_id": account_ids}
    search_help_text = "An account, exactly"

    # one word each; the row's own page says them in full
    @admin.display(description="cause")
    def why(self, episode: Qualification) -> str:
        return episode.cause.replace("_", " ")

    @admin.display(description="release")
    def way(self, episode: Qualification) -> str:
        return episode.release.replace("_", " ")

    @admin.display(description="closed")
    def ended(self, episode: Qualification) -> str:
        """When and why; the evidence and every moment are on the row's own page."""
        return f"{day_month(episode.closed_at)}: {episode.get_close_cause_display()}" if episode.closed_at else ""


@admin.register(Handoff)
class HandoffAdmin(LogAdmin):
    list_display = ("company", "status", "owner", "opened_at", "newest_evidence_at", "closed_at", "page")
    list_select_related = ("company", "owner")
    list_filter = ("status",)
    found_by = {"company_id": account_ids}
    search_help_text = "An account, exactly"
    actions = ("give_back",)

    @admin.display(description="page")
    def page(self, handoff: Handoff) -> SafeString:
        return page_link(f"/inbox/{handoff.pk}/", "Open")

    @admin.action(description="Give back to the queue")
    def give_back(self, request: HttpRequest, queryset: QuerySet[Handoff]) -> None:
        by, now, done, refused = cast(StaffUser, request.user), timezone.now(), 0, []
        for handoff in queryset:
            try:
                handoffs.unclaim(handoff_id=handoff.pk, by=by, now=now)
                done += 1
            except handoffs.HandoffError as error:
                refused.append(f"{handoff.company}: {error}")
        tell(request, done, "handoff", "given back", refused)


@admin.register(HandoffActivity)
class HandoffActivityAdmin(LogAdmin):
    list_display = ("handoff", "kind", "at", "by", "text")
    list_select_related = ("handoff", "by")
    found_by = {"handoff__company_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(Discovery)
class DiscoveryAdmin(DeskAdmin):
    list_display = ("outcome", "first_days", "within", "level", "status", "asked_at", "asked_by", "seconds", "attempts")
    list_select_related = ("asked_by",)
    list_filter = ("status", "level")
    search_fields = ("outcome",)
    exclude = ("lease_token", "result")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Discovery]:
        return super().get_queryset(request).defer("result")
