"""What programs act with: API tokens, and the answers kept for writes that are sent again."""

from __future__ import annotations

from typing import cast

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts import tokens
from accounts.models import ApiToken, IdempotencyKey, StaffUser
from plgops.lib.desk import DeskAdmin, state_filter, tell


@admin.register(ApiToken)
class ApiTokenAdmin(DeskAdmin):
    list_display = ("name", "user", "prefix", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("user",)
    list_filter = (
        state_filter(good=("Not revoked", Q(revoked_at__isnull=True)), gone=("Revoked", Q(revoked_at__isnull=False))),
    )
    search_fields = ("name", "prefix", "user__username__exact")
    exclude = ("key_hash",)
    actions = ("revoke",)

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        done, refused = 0, []
        for token in queryset:
            try:
                tokens.revoke(token_id=token.pk, by=cast(StaffUser, request.user), now=timezone.now())
                done += 1
            except tokens.AlreadyRevoked as error:
                refused.append(str(error))
        tell(request, done, "token", "revoked", refused)


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(DeskAdmin):
    list_display = ("created_at", "token", "key", "status", "lease_until")
    list_select_related = ("token",)
    search_fields = ("key__exact", "token__prefix__exact")
    ordering = ("-created_at", "pk")
    sortable_by = ()
