"""Where it comes from: write keys, what was not understood, imported files."""

from __future__ import annotations

from typing import cast

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts import replay, sources
from accounts.models import ImportJob, QuarantinedMessage, Source, StaffUser
from plgops.lib.desk import DeskAdmin, state_filter, tell


@admin.register(Source)
class SourceAdmin(DeskAdmin):
    list_display = ("name", "kind", "prefix", "created_at", "created_by", "last_seen_at", "revoked_at")
    list_select_related = ("created_by",)
    list_filter = ("kind",)
    search_fields = ("name", "prefix")
    exclude = ("key_hash",)
    actions = ("revoke",)

    @admin.action(description="Revoke the write keys")
    def revoke(self, request: HttpRequest, queryset: QuerySet[Source]) -> None:
        done, refused = 0, []
        for source in queryset:
            try:
                sources.revoke(source_id=source.pk, by=cast(StaffUser, request.user), now=timezone.now())
                done += 1
            except (sources.AlreadyRevoked, sources.HasNoKey) as error:
                refused.append(str(error))
        tell(request, done, "write key", "revoked", refused)


@admin.register(QuarantinedMessage)
class QuarantinedMessageAdmin(DeskAdmin):
    list_display = ("received_at", "source", "type", "code", "reason", "times_seen", "replayed_at")
    list_select_related = ("source",)
    list_filter = (
        state_filter(
            waiting=("Waiting", Q(replayed_at__isnull=True)), replayed=("Accepted", Q(replayed_at__isnull=False))
        ),
    )
    search_fields = ("message_id__exact", "code__exact")
    search_help_text = "A message id or a code, exactly"
    ordering = ("-received_at", "pk")
    sortable_by = ()
    actions = ("replay",)

    @admin.action(description="Replay")
    def replay(self, request: HttpRequest, queryset: QuerySet[QuarantinedMessage]) -> None:
        by, now, done, refused = cast(StaffUser, request.user), timezone.now(), 0, []
        for message in queryset:
            try:
                result = replay.replay(quarantined_id=message.pk, by=by, now=now)
            except replay.AlreadyReplayed as error:
                refused.append(f"{message.message_id or message.pk}: {error}")
                continue
            done += result.accepted
            if not result.accepted:
                refused.append(f"{message.message_id or message.pk}: {result.reason}")
        tell(request, done, "message", "accepted", refused)


@admin.register(ImportJob)
class ImportJobAdmin(DeskAdmin):
    list_display = ("file_name", "kind", "status", "created_at", "created_by", "rows_read", "rows_new", "rows_rejected")
    list_select_related = ("created_by",)
    list_filter = ("kind", "status")
    search_fields = ("file_name",)
