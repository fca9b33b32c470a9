"""The few tables that are changed in the desk."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import StaffUser
from accounts.team import audit
from plgops.lib.desk import DeskAdmin


class SavedWithAudit(DeskAdmin):
    """A table that is changed here: who changed which fields is written in the same transaction."""

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
