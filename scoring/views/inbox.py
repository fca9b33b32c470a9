"""The inbox as it is read: the queue beside one handoff. What can be done with it is in inbox_actions.py."""

from __future__ import annotations

import json

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import conditional_page, require_GET

from plgops.lib import htmx
from scoring import company, queue, reasons, why
from scoring.models import Handoff
from scoring.views import inbox_parts as parts

PAGE = "inbox/page.html"


@login_required
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """The queue; the first account is open beside it."""
    user = parts.reader(request)
    filters = queue.Filters.read(request.GET.dict())
    page = queue.page(filters, user=user, cursor=request.GET.get("cursor", ""))
    if htmx.wants(request, "more-rows"):
        return render(request, f"{PAGE}#more_rows", parts.rows(user, filters, page.items, page.next_cursor))
    context = parts.queue(user, filters, page.items, page.next_cursor)
    if htmx.wants(request, "queue"):
        return render(request, f"{PAGE}#queue", context)
    if page.items:
        first = parts.found(page.items[0].pk)
        context |= parts.pane(first, user, filters) | {"selected": first.pk}
    return render(request, PAGE, context | parts.frame(user, filters) | {"pane": "list"})


@login_required
@require_GET
def handoff(request: HttpRequest, handoff_id: int) -> HttpResponse:
    """One handoff: beside its queue, or alone on a phone; its detail pane when htmx asks for that."""
    user = parts.reader(request)
    found = parts.found(handoff_id)
    filters = queue.Filters.read(request.GET.dict(), tab=parts.home_tab(found, user))
    context = parts.pane(found, user, filters) | {"selected": found.pk}
    if htmx.wants(request, "detail"):
        gone = filters.tab == "new" and found.status != Handoff.Status.NEW
        if gone:
            tabs = parts.tabs(user, filters)
            context |= {"tabs": tabs, "unclaimed": tabs[0]["count"]}
        response = render(request, "inbox/pane.html", context | {"gone": gone})
        if gone:
            response["HX-Trigger"] = json.dumps({"row-gone": f"#row-{handoff_id}"})
        return response
    page = queue.page(filters, user=user)
    context |= parts.queue(user, filters, page.items, page.next_cursor) | parts.frame(user, filters)
    return render(request, PAGE, context | {"pane": "detail"})


@login_required
@require_GET
def row(request: HttpRequest, handoff_id: int) -> HttpResponse:
    """What the handoff's line in the queue says, which fetches itself again when something was done with it."""
    user = parts.reader(request)
    found = parts.found(handoff_id)
    filters = queue.Filters.read(request.GET.dict(), tab=parts.home_tab(found, user))
    (line,) = queue.rows_of([found], now=timezone.now(), filters=filters)
    return render(request, f"{PAGE}#row", {"r": line})


@login_required
@require_GET
def use(request: HttpRequest, handoff_id: int) -> HttpResponse:
    """The chart of people active a day, which the detail pane fetches when it is scrolled to."""
    parts.reader(request)
    found = get_object_or_404(Handoff.objects.only("company_id"), pk=handoff_id)
    moments = [moment for q in reasons.of_handoff(found) for moment in why.moments(q.evidence)]
    chart = company.use_chart(company.company(found.company_id), now=timezone.now(), moments=moments)
    return render(request, "inbox/use.html", {"chart": chart})


@login_required
@require_GET
@conditional_page
def news(request: HttpRequest) -> HttpResponse:
    """How many accounts came since the queue was drawn; 204 while none did."""
    user = parts.reader(request)
    filters = queue.Filters.read(request.GET.dict())
    after = request.GET.get("after", "")
    arrived = queue.arrived(filters, user=user, after=int(after) if after.isdecimal() and len(after) < 19 else 0)
    if not arrived:
        return HttpResponse(status=204)
    return render(request, "inbox/news.html", {"arrived": arrived, "f": filters})
