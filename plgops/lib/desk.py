"""The operations desk: Django's admin, with this house's rules.

Who may enter is decided by plgops.lib.access and not by Django's per-model permissions. Rows are shown, not
edited: what changes state is an action that calls the same verb as the pages. No list counts a table, scans
for its filters, or sorts a log by a column without an index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import BinaryField, Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from plgops.lib import access

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _Paginator = Paginator[Any]
else:
    _ModelAdmin, _Paginator = admin.ModelAdmin, Paginator

COUNTED_TO = 1000


class Desk(admin.AdminSite):
    """The site: one capability opens all of it, and the pages' own log-in form leads to it."""

    site_header = site_title = "Operations desk"
    index_title = "Every table"
    site_url = "/"

    def has_permission(self, request: HttpRequest) -> bool:
        return access.may(request.user, "workspace.admin")

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.user.is_authenticated:
            raise PermissionDenied("The operations desk is for admins.")
        return redirect_to_login(request.GET.get("next", reverse("admin:index")))


class CappedPaginator(_Paginator):
    """Counts a list no further than its first thousand rows; who wants another row searches for it."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        return rows[: COUNTED_TO + 1].count() if isinstance(rows, QuerySet) else len(rows)


class DeskAdmin(_ModelAdmin):
    """A table on the desk. Read-only unless `editable` names the fields that may be changed here."""

    editable: ClassVar[tuple[str, ...]] = ()
    addable = False
    deletable = False
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each facet is a count
    list_per_page = 50
    list_max_show_all = 50
    ordering = cast("tuple[str, ...]", ("-pk",))

    def _may(self, request: HttpRequest) -> bool:
        return access.may(request.user, "workspace.admin")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(self.editable) and self._may(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.addable and self._may(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.deletable and self._may(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        given = tuple(super().get_readonly_fields(request, obj))
        if obj is None:
            return given
        hidden = self.get_exclude(request, obj) or ()
        fields = (field.name for field in self.model._meta.fields if not isinstance(field, BinaryField))
        return given + tuple(
            name for name in fields if name not in self.editable and name not in given and name not in hidden
        )

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        if not self.deletable:
            actions.pop("delete_selected", None)
        return actions


class StateFilter(admin.SimpleListFilter):
    """A filter whose choices are written down, so that no list asks a table for its distinct values."""

    title = "state"
    parameter_name = "state"
    states: ClassVar[dict[str, tuple[str, Q]]] = {}  # value -> what is said, which rows

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, said) for value, (said, _) in self.states.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.states.get(self.value() or "")
        return queryset.filter(chosen[1]) if chosen else queryset


def state_filter(**states: tuple[str, Q]) -> type[StateFilter]:
    """A StateFilter of these states: `waiting=("Waiting", Q(...))`."""
    return type("StatesFilter", (StateFilter,), {"states": states})


class LogAdmin(DeskAdmin):
    """A table that grows with the events: in the order of its key, and found by its owners only.

    `found_by` maps a column of the table to the lookup that resolves a typed word to that column's ids, so
    that a search is two index look-ups and never a join over the log.
    """

    sortable_by = ()
    found_by: ClassVar[dict[str, Callable[[str], list[int]]]] = {}
    search_fields = ("pk",)  # shows the box; get_search_results does not use it

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        word = search_term.strip()
        if not word:
            return queryset, False
        for column, ids_of in self.found_by.items():
            ids = ids_of(word)
            if ids:
                return queryset.filter(**{f"{column}__in": ids}), False
        return queryset.none(), False


def page_link(path: str, text: str) -> SafeString:
    """A link from the desk to the page of the same thing."""
    return format_html('<a href="{}">{}</a>', path, text)


def tell(request: HttpRequest, done: int, noun: str, what: str, refused: Sequence[str] = ()) -> None:
    """Say how many rows an action changed (`2 write keys revoked.`), and why it left others (the first five)."""
    if done or not refused:
        level = messages.SUCCESS if done else messages.INFO
        messages.add_message(request, level, f"{done} {noun}{'' if done == 1 else 's'} {what}.")
    for reason in refused[:5]:
        messages.warning(request, reason)
    if len(refused) > 5:
        messages.warning(request, f"…and {len(refused) - 5} more.")
