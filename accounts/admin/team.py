"""Who works here, the workspace, what was done by whom, and messages on their way out."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from accounts import throttle
from accounts.admin.saved import SavedWithAudit
from accounts.admin.typed import account_ids
from accounts.models import AuditEntry, BusinessCalendar, LoginAttempts, StaffUser, Workspace
from plgops.lib.desk import LogAdmin


@admin.register(StaffUser)
class StaffUserAdmin(SavedWithAudit, UserAdmin):
    """Who works here, and in which roles. Somebody who leaves is made inactive: what they did stays theirs."""

    list_display = ("username", "first_name", "last_name", "email", "roles", "is_active", "last_login")
    list_filter = ("is_active", "groups")
    search_fields = ("username", "first_name", "last_name", "email")
    ordering = ("username",)
    editable = ("username", "first_name", "last_name", "email", "is_active", "password")
    filter_horizontal = ("groups",)
    addable = True
    fieldsets = (
        (None, {"fields": ("username", "password", "is_active")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Roles", {"fields": ("groups",), "description": "What each role may do is in docs/operations.md."}),
        ("Record", {"fields": ("is_superuser", "last_login", "date_joined")}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "usable_password", "password1", "password2")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("groups")

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Set somebody's password; who did it is written in the same transaction."""
        with transaction.atomic():
            response = super().user_change_password(request, id, form_url)
            person = StaffUser.objects.filter(pk=id).first() if response.status_code == 302 else None
            if person is not None:
                self._record(request, person, "password_set")
        return response

    @admin.display(description="roles")
    def roles(self, person: StaffUser) -> str:
        return ", ".join(sorted(group.name for group in person.groups.all()))


@admin.register(Workspace)
class WorkspaceAdmin(SavedWithAudit):
    """Name and currency. The time zone decides what a day is and is changed offline (docs/operations.md)."""

    list_display = ("name", "time_zone", "currency", "created_at")
    editable = ("name", "currency")


@admin.register(BusinessCalendar)
class BusinessCalendarAdmin(SavedWithAudit):
    list_display = ("name", "time_zone")
    search_fields = ("name",)
    editable = ("name", "time_zone", "hours", "holidays", "overrides")
    addable = True


@admin.register(AuditEntry)
class AuditEntryAdmin(LogAdmin):
    list_display = ("at", "actor_label", "action", "object_label", "account_id")
    ordering = ("-at", "-pk")
    search_help_text = "An account, exactly; or a thing and its number, e.g. handoff 12"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        kind, _, number = search_term.strip().replace(":", " ").replace("#", "").partition(" ")
        if kind and number.strip().isdecimal():
            return queryset.filter(object_type=kind.lower(), object_id=int(number)), False
        if kind:
            return queryset.filter(account_id__in=account_ids(search_term.strip())), False
        return queryset, False


def _attempts_of(word: str) -> list[int]:
    username, _, address = word.rpartition(" ")
    who = throttle.digest(username, address)
    return list(LoginAttempts.objects.filter(digest=who).values_list("pk", flat=True))


@admin.register(LoginAttempts)
class LoginAttemptsAdmin(LogAdmin):
    list_display = ("digest", "attempts", "until")
    found_by = {"pk": _attempts_of}
    search_help_text = "A log-in name and an address, e.g. dana 203.0.113.9"
