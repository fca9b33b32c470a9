"""The inbox's saved views: a name for filters, one's own or shared by who manages handoffs.

A view is only an address: what it shows is read when it is opened, by whoever opens it and with what they may see.
"""

from __future__ import annotations

import datetime as dt

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from accounts.models import StaffUser
from accounts.team import audit
from plgops.lib import access
from scoring.handoff_states import NotAllowed, Refused
from scoring.models import SavedView
from scoring.queue import Filters

MOST = 50  # of one person
LONGEST = SavedView._meta.get_field("name").max_length or 60


def of(user: StaffUser) -> QuerySet[SavedView]:
    """The views that this person can open: their own and the shared ones, by name."""
    return SavedView.objects.filter(Q(owner=user) | Q(is_shared=True)).select_related("owner").order_by("name", "pk")


def query_of(filters: Filters) -> str:
    """What of the filters a view keeps: all but which view they began with."""
    return filters.url(view=None).removeprefix("?")


def may_change(view: SavedView, by: StaffUser) -> bool:
    """Whether `by` may change or remove it: their own, and what is shared if they manage handoffs."""
    return view.owner_id == by.pk or (view.is_shared and access.may(by, "handoffs.manage"))


def save(*, name: str, filters: Filters, shared: bool, by: StaffUser, now: dt.datetime) -> SavedView:
    """Keep the filters under a new name. Refused without one, with one that the person has, or beyond MOST."""
    name = name.strip()
    if not name:
        raise Refused("Give the view a name.")
    if len(name) > LONGEST:
        raise Refused(f"A name has at most {LONGEST} characters.")
    if shared and not access.may(by, "handoffs.manage"):
        raise NotAllowed(access.refusal("handoffs.manage"))
    if SavedView.objects.filter(owner=by).count() >= MOST:
        raise Refused(f"You have {MOST} views; remove one first.")
    try:
        with transaction.atomic():
            view = SavedView.objects.create(
                owner=by, name=name, query=query_of(filters), is_shared=shared, created_at=now
            )
            audit.record(action="saved_view.saved", obj=view, by=by, now=now, detail={"shared": shared})
    except IntegrityError:
        raise Refused(f"You have a view called {name} already; update that one.") from None
    return view


def update(*, view_id: int, filters: Filters, by: StaffUser, now: dt.datetime) -> SavedView:
    """Let a view keep these filters instead."""
    with transaction.atomic():
        view = _locked(view_id, by)
        view.query = query_of(filters)
        view.save(update_fields=["query"])
        audit.record(action="saved_view.updated", obj=view, by=by, now=now)
    return view


def remove(*, view_id: int, by: StaffUser, now: dt.datetime) -> None:
    """Remove a view. What it showed stays where it is."""
    with transaction.atomic():
        view = _locked(view_id, by)
        audit.record(action="saved_view.removed", obj=view, by=by, now=now)
        view.delete()


def _locked(view_id: int, by: StaffUser) -> SavedView:
    """The view, locked; SavedView.DoesNotExist for who may not see it, NotAllowed for who may not change it."""
    view = SavedView.objects.filter(Q(owner=by) | Q(is_shared=True)).select_for_update().get(pk=view_id)
    if not may_change(view, by):
        raise NotAllowed("Only its owner or a sales manager can change it.")
    return view
