"""Messages on their way out. Addresses are sealed and never shown here."""

from __future__ import annotations

from typing import cast

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts import letters
from accounts.admin.typed import account_ids, person_ids
from accounts.models import Delivery, Destination, Letter, OutgoingMessage, StaffUser
from accounts.team import deliveries
from plgops.lib.desk import DeskAdmin, LogAdmin, state_filter, tell


@admin.register(Destination)
class DestinationAdmin(DeskAdmin):
    list_display = ("name", "channel", "owner", "shown", "disabled_at", "removed_at", "failures", "last_error")
    list_select_related = ("owner",)
    list_filter = (
        "channel",
        state_filter(
            on=("On", Q(disabled_at__isnull=True, removed_at__isnull=True)),
            off=("Switched off", Q(disabled_at__isnull=False, removed_at__isnull=True)),
            removed=("Removed", Q(removed_at__isnull=False)),
        ),
    )
    search_fields = ("name",)
    exclude = ("sealed",)


@admin.register(OutgoingMessage)
class OutgoingMessageAdmin(DeskAdmin):
    list_display = ("public_id", "destination", "status", "created_at", "next_at", "attempts", "sent_at", "last_error")
    list_select_related = ("destination",)
    list_filter = ("status",)
    search_fields = ("public_id__exact",)
    search_help_text = "A message's id, exactly"
    exclude = ("content",)  # claim links are signed for whom they were sent to
    actions = ("replay",)

    @admin.action(description="Send again what was given up")
    def replay(self, request: HttpRequest, queryset: QuerySet[OutgoingMessage]) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        done = deliveries.replay(message_ids=ids, by=cast(StaffUser, request.user), now=timezone.now())
        tell(request, done, "message", "waits again; the next sweep sends it")


@admin.register(Delivery)
class DeliveryAdmin(LogAdmin):
    list_display = ("fact", "destination", "account", "status", "created_at", "due_at", "skipped_because")
    list_select_related = ("destination", "account")
    list_filter = ("status",)
    found_by = {"account_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(Letter)
class LetterAdmin(LogAdmin):
    list_display = ("user", "fact", "status", "created_at", "next_at", "attempts", "sent_at", "why")
    list_select_related = ("user",)
    list_filter = ("status",)
    found_by = {"user_id": person_ids}
    search_help_text = "A person's external id, e-mail address or key, exactly"
    actions = ("replay",)

    @admin.action(description="Send again what was given up")
    def replay(self, request: HttpRequest, queryset: QuerySet[Letter]) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        done = letters.replay(letter_ids=ids, by=cast(StaffUser, request.user), now=timezone.now())
        tell(request, done, "letter", "waits again; the next sweep sends it")
