"""The menu of saved views over the inbox, and what can be done with them. Each change leads back to the queue."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from plgops.lib import access
from scoring import saved_views
from scoring.handoff_states import NotAllowed, Refused
from scoring.models import SavedView
from scoring.queue import Filters
from scoring.views import inbox_parts as parts


@login_required
@require_GET
def menu(request: HttpRequest) -> HttpResponse:
    """The views that this person can open, and what can be done with the filters of the address."""
    user = parts.reader(request)
    filters = Filters.read(request.GET.dict())
    views = list(saved_views.of(user))
    here = saved_views.query_of(filters)
    current = next((view for view in views if view.pk == filters.view), None)
    if current is None:
        current = next((view for view in views if view.query == here), None)
    context = {
        "f": filters,
        "views": views,
        "current": current,
        "is_changed": current is not None and current.query != here,
        "may_change": current is not None and saved_views.may_change(current, user),
        "may_share": access.may(user, "handoffs.manage"),
        "inbox": reverse("inbox"),
        "me": user.pk,
        "longest": saved_views.LONGEST,
        "same": filters.url(view=current.pk) if current else "",
    }
    return render(request, "inbox/views.html", context)


@login_required
@require_POST
def act(request: HttpRequest, verb: str) -> HttpResponse:
    """Save the filters of the address under a name, let the view keep them, or remove it."""
    user = parts.reader(request)
    filters, now = Filters.read(request.GET.dict()), timezone.now()
    try:
        if verb == "save":
            shared = request.POST.get("shared") == "1"
            view = saved_views.save(
                name=request.POST.get("name", "").replace("\x00", ""), filters=filters, shared=shared, by=user, now=now
            )
            messages.success(request, f"Saved as {view.name}.")
        elif verb == "update":
            view = saved_views.update(view_id=filters.view or 0, filters=filters, by=user, now=now)
            messages.success(request, f"{view.name} shows this from now on.")
        elif verb == "remove":
            saved_views.remove(view_id=filters.view or 0, by=user, now=now)
            messages.success(request, "The view is removed.")
            return redirect(reverse("inbox") + filters.url(view=None))
        else:
            raise Http404("There is no such thing to do.")
    except SavedView.DoesNotExist:
        raise Http404("There is no such view.") from None
    except (NotAllowed, Refused) as error:
        messages.error(request, error.message)
        return redirect(reverse("inbox") + filters.url())
    return redirect(reverse("inbox") + filters.url(view=view.pk))
