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
from support import kb
from support.models import AccountTier, Article, Ticket, TicketMessage, Tier


@admin.register(Tier)
class TierAdmin(DeskAdmin):
    list_display = ("position", "name", "route", "plans", "min_mrr", "first_response_minutes", "resolution_minutes")
    list_display_links = ("name",)
    ordering = ("position", "pk")


@admin.register(AccountTier)
class AccountTierAdmin(LogAdmin):
    list_display = ("account", "tier", "since", "reason")
    list_select_related = ("account", "tier")
    found_by = {"account_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(Ticket)
class TicketAdmin(LogAdmin):
    list_display = ("pk", "subject", "account", "tier", "status", "priority", "assignee", "due_at", "page")
    list_select_related = ("account", "tier", "assignee")
    list_filter = (
        state_filter(unsolved=("Not solved", ~Q(status="solved")), solved=("Solved", Q(status="solved"))),
        "priority",
    )
    found_by = {"account_id": account_ids}
    search_help_text = "An account, exactly"

    @admin.display(description="page")
    def page(self, ticket: Ticket) -> SafeString:
        return page_link(f"/tickets/{ticket.pk}/", "Open")


@admin.register(TicketMessage)
class TicketMessageAdmin(LogAdmin):
    list_display = ("ticket", "kind", "at", "by")
    list_select_related = ("ticket", "by")
    found_by = {"ticket__account_id": account_ids}
    search_help_text = "An account, exactly"


@admin.register(Article)
class ArticleAdmin(DeskAdmin):
    list_display = ("title", "slug", "status", "updated_at", "updated_by")
    list_select_related = ("updated_by",)
    list_filter = ("status",)
    search_fields = ("title", "slug")
    actions = ("publish", "withdraw")

    @admin.action(description="Publish")
    def publish(self, request: HttpRequest, queryset: QuerySet[Article]) -> None:
        self._set(request, queryset.filter(status=Article.Status.DRAFT), published=True)

    @admin.action(description="Take back to draft")
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Article]) -> None:
        self._set(request, queryset.filter(status=Article.Status.PUBLISHED), published=False)

    def _set(self, request: HttpRequest, rows: QuerySet[Article], *, published: bool) -> None:
        by, now = cast(StaffUser, request.user), timezone.now()
        ids = list(rows.values_list("pk", flat=True))
        for article_id in ids:
            kb.set_published(article_id=article_id, published=published, by=by, now=now)
        tell(request, len(ids), "article", "published" if published else "taken back to draft")
