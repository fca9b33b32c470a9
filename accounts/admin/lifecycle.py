"""How far accounts have come, what holds them, and what is still to be decided about them."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts import due
from accounts.admin.typed import account_ids, date_text
from accounts.models import AccountDue, Hold, StaffUser, StageEntry
from plgops.lib.desk import LogAdmin, state_filter, tell


@admin.register(StageEntry)
class StageEntryAdmin(LogAdmin):
    list_display = ("account", "stage", "at", "recorded_at", "cause", "reference")
    list_select_related = ("account",)
    list_filter = ("stage",)
    found_by = {"account_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(Hold)
class HoldAdmin(LogAdmin):
    list_display = ("account", "kind", "source", "since", "until")
    list_select_related = ("account",)
    found_by = {"account_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(AccountDue)
class AccountDueAdmin(LogAdmin):
    list_display = ("account", "consumer", "behind", "next_look", "attempts", "last_error")
    list_select_related = ("account",)
    list_filter = (
        state_filter(
            poison=("Pushed back after an error", Q(attempts__gt=0)),
            behind=("Behind", Q(is_behind=True)),
            leased=("In a worker's hands", Q(lease_until__isnull=False)),
        ),
        "consumer",
    )
    found_by = {"account_id": account_ids}
    search_help_text = "An account, exactly"
    actions = ("try_again",)

    def get_list_filter(self, request: HttpRequest) -> Any:
        return self.list_filter[:1]  # the consumers are found by the states' lists: their column has no choices

    @admin.display(description="changes behind")
    def behind(self, row: AccountDue) -> int:
        return row.changed_seq - row.done_seq

    @admin.display(description="next look")
    def next_look(self, row: AccountDue) -> str:
        return date_text(row.due_day)

    @admin.action(description="Try again now what was pushed back")
    def try_again(self, request: HttpRequest, queryset: QuerySet[AccountDue]) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        done = due.retry_now(row_ids=ids, by=cast(StaffUser, request.user), now=timezone.now())
        tell(request, done, "row", "will be tried again by the next sweep")
