"""The operations desk for this floor's tables. Rows are shown; actions call the verbs that the pages call."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts import due, identity, replay, sources, stewardship, throttle
from accounts.models import (
    Account,
    AccountDue,
    AccountKey,
    AccountMerge,
    AuditEntry,
    BusinessCalendar,
    Delivery,
    Event,
    EventType,
    Hold,
    ImportJob,
    LoginAttempts,
    Membership,
    MembershipFact,
    Plan,
    PlanLimit,
    ProductUser,
    QuarantinedMessage,
    Receipt,
    RevenueMovement,
    Source,
    StaffUser,
    StageEntry,
    Subscription,
    SubscriptionState,
    TraitFact,
    TraitValue,
    UsageDay,
    UsageValue,
    UserKey,
    Workspace,
)
from accounts.team import audit
from plgops.lib import days
from plgops.lib.desk import DeskAdmin, LogAdmin, page_link, state_filter, tell

FOUND = 50  # ids that a typed word may resolve to

admin.site.unregister(Group)  # roles come with the migrations; what they may do is in plgops.lib.access


def account_ids(word: str) -> list[int]:
    """The accounts that a typed word names: an external id, or a key with or without its `g:` or `d:`."""
    keys = [word, f"g:{word}", f"d:{word}"]
    found = set(Account.objects.filter(external_id=word).values_list("pk", flat=True)[:FOUND])
    found |= set(AccountKey.objects.filter(key__in=keys).values_list("account_id", flat=True)[:FOUND])
    return sorted(found)


def person_ids(word: str) -> list[int]:
    """The people that a typed word names: an external id, an e-mail address or a key."""
    keys = [word, f"u:{word}", f"a:{word}"]
    found = set(ProductUser.objects.filter(Q(external_id=word) | Q(email=word)).values_list("pk", flat=True)[:FOUND])
    found |= set(UserKey.objects.filter(key__in=keys).values_list("user_id", flat=True)[:FOUND])
    return sorted(found)


def _date(day: int | None) -> str:
    return "" if day is None else "open" if day >= days.FOREVER else days.date_of(day).isoformat()


class SavedWithAudit(DeskAdmin):
    """The few tables that are changed here: who changed which fields is written in the same transaction."""

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool) -> None:
        super().save_model(request, obj, form, change)
        self._record(request, obj, "changed" if change else "created", fields=sorted(form.changed_data))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._record(request, obj, "deleted")
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:
            self.delete_model(request, obj)

    def _record(self, request: HttpRequest, obj: Model, what: str, **detail: Any) -> None:
        by = cast(StaffUser, request.user)
        audit.record(
            action=f"{obj._meta.model_name}.{what}", obj=obj, by=by, now=timezone.now(), detail={"desk": True, **detail}
        )


# --- who exists ---------------------------------------------------------------------------------------------


@admin.register(Account)
class AccountAdmin(DeskAdmin):
    list_display = ("name", "external_id", "plan", "mrr", "owner", "last_seen_at", "state", "page")
    list_select_related = ("owner",)
    list_filter = (
        state_filter(
            internal=("Internal", Q(is_internal=True)),
            provisional=("Provisional", Q(is_provisional=True)),
            merged=("Merged", Q(merged_into__isnull=False)),
        ),
    )
    search_fields = ("name__istartswith", "external_id__exact", "domain__exact")
    search_help_text = "The start of a name, an external id or a domain"
    sortable_by = ("name", "mrr", "last_seen_at")
    actions = ("make_internal", "make_external", "unmark")

    @admin.action(description="Ours or a test: out of every figure")
    def make_internal(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        self._set_internal(request, queryset, internal=True)

    @admin.action(description="A customer's: into the figures")
    def make_external(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        self._set_internal(request, queryset, internal=False)

    @admin.action(description="Ours or a customer's: as their traits say")
    def unmark(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        self._set_internal(request, queryset, internal=None)

    def _set_internal(self, request: HttpRequest, rows: QuerySet[Account], *, internal: bool | None) -> None:
        by, now, done, refused = cast(StaffUser, request.user), timezone.now(), 0, []
        for account_id in rows.values_list("pk", flat=True):
            try:
                done += stewardship.set_internal(account_id=account_id, internal=internal, by=by, now=now)
            except stewardship.Merged as error:
                refused.append(str(error))
        what = {True: "out of the figures", False: "into the figures", None: "as the traits say"}[internal]
        tell(request, done, "account", what, refused)

    @admin.display(description="state")
    def state(self, account: Account) -> str:
        words = {
            "internal": account.is_internal,
            "said by hand": account.marked_internal is not None,
            "provisional": account.is_provisional,
            "merged": account.merged_into_id,
        }
        return ", ".join(word for word, true in words.items() if true)

    @admin.display(description="page")
    def page(self, account: Account) -> SafeString:
        return page_link(f"/accounts/{account.pk}/", "Open")


@admin.register(ProductUser)
class ProductUserAdmin(LogAdmin):
    list_display = ("external_id", "email", "name", "is_known", "signed_up_at", "last_seen_at")
    found_by = {"pk": person_ids}
    search_help_text = "An external id, an e-mail address or a key, exactly"


@admin.register(AccountKey)
class AccountKeyAdmin(LogAdmin):
    list_display = ("key", "account", "first_seen_at")
    list_select_related = ("account",)
    found_by = {"account_id": account_ids}
    search_help_text = "An account's external id or key, exactly"


@admin.register(UserKey)
class UserKeyAdmin(LogAdmin):
    list_display = ("key", "user", "linked_key", "linked_at")
    list_select_related = ("user",)
    found_by = {"user_id": person_ids}
    search_help_text = "A person's external id, e-mail address or key, exactly"


@admin.register(Membership)
class MembershipAdmin(LogAdmin):
    list_display = ("user", "account", "origin", "role", "valid_from", "valid_to")
    list_select_related = ("user", "account")
    found_by = {"user_id": person_ids, "account_id": account_ids}
    search_help_text = "A person or an account, exactly"


@admin.register(TraitValue)
class TraitValueAdmin(LogAdmin):
    list_display = ("key", "name", "text", "valid_from", "first_day", "last_day")
    found_by = {"account_id": account_ids, "user_id": person_ids}
    search_help_text = "An account or a person, exactly"

    @admin.display(description="from day")
    def first_day(self, value: TraitValue) -> str:
        return _date(value.from_day)

    @admin.display(description="to day")
    def last_day(self, value: TraitValue) -> str:
        return _date(value.to_day)


@admin.register(TraitFact)
class TraitFactAdmin(LogAdmin):
    list_display = ("key", "first_at", "last_at", "recorded_at")
    found_by = {"pk": lambda word: list(TraitFact.objects.filter(key=word).values_list("pk", flat=True)[:FOUND])}
    search_help_text = "A key with its prefix, e.g. g:acme or u:42"


@admin.register(MembershipFact)
class MembershipFactAdmin(LogAdmin):
    list_display = ("user_key", "account_key", "kind", "first_at", "last_at")
    found_by = {
        "pk": lambda word: list(MembershipFact.objects.filter(user_key=word).values_list("pk", flat=True)[:FOUND])
    }
    search_help_text = "A person's key with its prefix, e.g. u:42"


@admin.register(AccountMerge)
class AccountMergeAdmin(DeskAdmin):
    list_display = ("loser", "winner", "cause", "merged_at", "merged_by", "undone_at")
    list_select_related = ("loser", "winner", "merged_by")
    list_filter = (
        state_filter(stands=("Stands", Q(undone_at__isnull=True)), undone=("Taken back", Q(undone_at__isnull=False))),
    )
    search_fields = ("loser__external_id__exact", "winner__external_id__exact")
    search_help_text = "An account's external id, exactly"
    actions = ("take_back",)

    @admin.action(description="Take back these merges")
    def take_back(self, request: HttpRequest, queryset: QuerySet[AccountMerge]) -> None:
        by, now, done, refused = cast(StaffUser, request.user), timezone.now(), 0, []
        for merge in queryset.select_related("loser", "winner"):
            try:
                identity.unmerge_accounts(merge=merge, by=by, now=now)
                done += 1
            except identity.CannotMerge as error:
                refused.append(f"{merge}: {error}")
        tell(request, done, "merge", "taken back", refused)


# --- what they did ------------------------------------------------------------------------------------------


@admin.register(EventType)
class EventTypeAdmin(DeskAdmin):
    list_display = ("name", "meaning", "is_activity", "metered_property", "distinct_property", "last_seen_at", "page")
    list_filter = ("meaning", "is_activity")
    search_fields = ("name",)

    @admin.display(description="page")
    def page(self, event_type: EventType) -> SafeString:
        return page_link("/event-types/", "Describe")


@admin.register(Event)
class EventAdmin(LogAdmin):
    list_display = ("occurred_at", "event_type", "user", "account", "source", "received_at", "message_id")
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
        return _date(row.day)


@admin.register(UsageValue)
class UsageValueAdmin(LogAdmin):
    list_display = ("account_id", "user_id", "event_type_id", "date", "value", "count")
    found_by = {"account_id": account_ids, "user_id": person_ids}
    search_help_text = "An account or a person, exactly"

    @admin.display(description="day")
    def date(self, row: UsageValue) -> str:
        return _date(row.day)


# --- how far, how much --------------------------------------------------------------------------------------


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
    list_display = ("account", "consumer", "behind", "changed_at", "next_look", "attempts", "retry_at", "last_error")
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
        return _date(row.due_day)

    @admin.action(description="Try again now what was pushed back")
    def try_again(self, request: HttpRequest, queryset: QuerySet[AccountDue]) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        done = due.retry_now(row_ids=ids, by=cast(StaffUser, request.user), now=timezone.now())
        tell(request, done, "row", "will be tried again by the next sweep")


@admin.register(Plan)
class PlanAdmin(SavedWithAudit):
    list_display = ("code", "name", "is_paid", "rank")
    search_fields = ("code", "name")
    editable = ("code", "name", "is_paid", "rank")
    ordering = ("rank", "pk")
    addable = True


@admin.register(PlanLimit)
class PlanLimitAdmin(SavedWithAudit):
    list_display = ("plan", "metric", "limit", "since")
    list_select_related = ("plan",)
    autocomplete_fields = ("plan",)
    editable = ("plan", "metric", "limit", "from_day")
    addable = deletable = True

    @admin.display(description="from")
    def since(self, limit: PlanLimit) -> str:
        return _date(limit.from_day)


@admin.register(Subscription)
class SubscriptionAdmin(LogAdmin):
    list_display = ("account", "external_id", "plan", "mrr", "started_at", "ended_at")
    list_select_related = ("account",)
    found_by = {"account_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(SubscriptionState)
class SubscriptionStateAdmin(LogAdmin):
    list_display = ("subscription", "at", "plan", "mrr", "motion", "recorded_at", "source")
    list_select_related = ("subscription", "source")
    found_by = {"subscription__account_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(RevenueMovement)
class RevenueMovementAdmin(LogAdmin):
    list_display = ("account", "at", "kind", "amount", "mrr_after", "plan", "motion")
    list_select_related = ("account",)
    list_filter = ("kind", "motion")
    found_by = {"account_id": account_ids}
    search_help_text = "An account, exactly"


# --- where it comes from ------------------------------------------------------------------------------------


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


# --- the team -----------------------------------------------------------------------------------------------


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
    editable = ("name", "time_zone", "hours", "holidays")
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


@admin.register(Delivery)
class DeliveryAdmin(DeskAdmin):
    list_display = ("fact", "channel", "recipient", "status", "created_at", "next_at", "attempts", "last_error")
    list_filter = ("status",)
    search_fields = ("fact__exact", "recipient__exact")
    search_help_text = "A fact or a recipient, exactly"
