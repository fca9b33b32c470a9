"""Who exists: accounts, people, their keys, who belongs where, what they are like, merges."""

from __future__ import annotations

from typing import cast

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts import identity, stewardship
from accounts.admin.typed import FOUND, account_ids, date_text, person_ids
from accounts.models import (
    Account,
    AccountKey,
    AccountMerge,
    Membership,
    MembershipFact,
    ProductUser,
    StaffUser,
    TraitFact,
    TraitValue,
    UserKey,
)
from plgops.lib.desk import DeskAdmin, LogAdmin, page_link, state_filter, tell


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
    list_display = ("external_id", "email", "name", "is_known", "signed_up_at", "last_seen_at", "contact")
    found_by = {"pk": person_ids}
    search_help_text = "An external id, an e-mail address or a key, exactly"
    actions = ("refuse_contact", "allow_contact")

    @admin.display(description="contact")
    def contact(self, person: ProductUser) -> str:
        return "Do not contact" if person.is_left_alone else ""

    @admin.action(description="Do not contact: out of all outreach")
    def refuse_contact(self, request: HttpRequest, queryset: QuerySet[ProductUser]) -> None:
        self._set_refused(request, queryset, refused=True)

    @admin.action(description="Take “do not contact” back (a trait that says so stays)")
    def allow_contact(self, request: HttpRequest, queryset: QuerySet[ProductUser]) -> None:
        self._set_refused(request, queryset, refused=False)

    def _set_refused(self, request: HttpRequest, queryset: QuerySet[ProductUser], *, refused: bool) -> None:
        by, now = cast(StaffUser, request.user), timezone.now()
        done = sum(
            stewardship.set_contact_refused(user_id=person.pk, refused=refused, by=by, now=now) for person in queryset
        )
        tell(request, done, "person", "not to be contacted" if refused else "may be contacted")


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
        return date_text(value.from_day)

    @admin.display(description="to day")
    def last_day(self, value: TraitValue) -> str:
        return date_text(value.to_day)


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
