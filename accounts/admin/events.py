"""What they did: event types, the log and its receipts, the roll-up."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from accounts.admin.typed import FOUND, account_ids, date_text, person_ids
from accounts.models import Event, EventType, Receipt, Recount, UsageDay, UsageValue
from plgops.lib.desk import DeskAdmin, LogAdmin, page_link


@admin.register(EventType)
class EventTypeAdmin(DeskAdmin):
    list_display = ("name", "meaning", "is_activity", "metered_property", "distinct_property", "last_seen_at", "page")
    list_filter = ("meaning", "is_activity")
    search_fields = ("name",)

    @admin.display(description="page")
    def page(self, event_type: EventType) -> SafeString:
        return page_link("/event-types/", "Describe")


@admin.register(Recount)
class RecountAdmin(DeskAdmin):
    list_display = ("event_type", "asked_at", "after", "attempts", "retry_at", "last_error")
    list_select_related = ("event_type",)


@admin.register(Event)
class EventAdmin(LogAdmin):
    list_display = ("occurred_at", "event_type", "user", "account", "source")
    list_select_related = ("event_type", "user", "account", "source")
    found_by = {"account_id": account_ids, "user_id": person_ids}
    search_help_text = "An account or a person, exactly"


@admin.register(Receipt)
class ReceiptAdmin(LogAdmin):
    list_display = ("pk", "source", "hex")
    list_select_related = ("source",)
    readonly_fields = ("hex",)
    found_by = {
        "pk": lambda word: list(Receipt.objects.filter(digest=_from_hex(word)).values_list("pk", flat=True)[:FOUND])
    }
    search_help_text = "A digest in hex, exactly"

    @admin.display(description="digest")
    def hex(self, receipt: Receipt) -> str:
        return bytes(receipt.digest).hex()


def _from_hex(word: str) -> bytes:
    try:
        return bytes.fromhex(word)
    except ValueError:
        return b""


@admin.register(UsageDay)
class UsageDayAdmin(LogAdmin):
    list_display = ("account_id", "user_id", "event_type_id", "date", "count", "sum_value")
    found_by = {"account_id": account_ids, "user_id": person_ids}
    search_help_text = "An account or a person, exactly"

    @admin.display(description="day")
    def date(self, row: UsageDay) -> str:
        return date_text(row.day)


@admin.register(UsageValue)
class UsageValueAdmin(LogAdmin):
    list_display = ("account_id", "user_id", "event_type_id", "date", "value", "count")
    found_by = {"account_id": account_ids, "user_id": person_ids}
    search_help_text = "An account or a person, exactly"

    @admin.display(description="day")
    def date(self, row: UsageValue) -> str:
        return date_text(row.day)
