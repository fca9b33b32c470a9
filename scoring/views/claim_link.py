"""The page behind a claim link: GET shows the account and a button, and only its POST claims.

No log-in is asked for where the link was made for one person: its signature is their word. A link without a recipient
asks who it is first. Never cached, never told to others as a referrer.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.models import StaffUser
from scoring import claim_links, handoffs, reasons
from scoring.models import Handoff

TEMPLATE = "alerts/claim.html"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def claim(request: HttpRequest, token: str) -> HttpResponse:
    """Show what the link offers, or claim it."""
    now = timezone.now()
    try:
        link = claim_links.read(token, now=now)
    except claim_links.NoLink as error:
        return _told(request, "broken", 404, words=str(error))
    except claim_links.Expired as error:
        return _told(request, "expired", 410, words=str(error))
    visitor = request.user if isinstance(request.user, StaffUser) else None
    if link.recipient_id is None and visitor is None:
        return redirect_to_login(request.get_full_path())
    person = visitor if link.recipient_id is None else StaffUser.objects.filter(pk=link.recipient_id).first()
    handoff = Handoff.objects.select_related("company", "owner").filter(pk=link.handoff_id).first()
    if person is None or handoff is None:
        return _told(request, "broken", 404, words="What this link led to is no longer there.")
    if visitor is not None and visitor.pk != person.pk:
        return _told(request, "other", 403, handoff=handoff, person=person)
    if request.method != "POST":
        return _offer(request, link, handoff, person)
    try:
        claim_links.claim(link, by=person, now=now)
    except claim_links.Used:
        return _told(request, "used", 410, handoff=handoff, person=person)
    except handoffs.AlreadyClaimed as error:
        return _told(request, "taken", 409, handoff=error.handoff, person=person)
    except handoffs.HandoffError as error:
        status = 403 if isinstance(error, handoffs.NotAllowed) else 409
        return _told(request, "refused", status, handoff=handoff, person=person, words=str(error))
    return _told(request, "claimed", 200, handoff=handoff, person=person)


def _offer(request: HttpRequest, link: claim_links.Link, handoff: Handoff, person: StaffUser) -> HttpResponse:
    """What there is to claim, or why there is nothing; changes nothing."""
    if handoff.closed_at is not None:
        return _told(request, "closed", 200, handoff=handoff, person=person)
    if handoff.owner_id == person.pk:
        return _told(request, "yours", 200, handoff=handoff, person=person)
    if handoff.owner_id is not None:
        return _told(request, "taken", 200, handoff=handoff, person=person)
    if link.is_used:
        return _told(request, "used", 410, handoff=handoff, person=person)
    found = list(reasons.rows().filter(handoff=handoff, closed_at=None).order_by("-since_at", "-id"))
    return _told(request, "offer", 200, handoff=handoff, person=person, reasons=reasons.explained(found))


def _told(request: HttpRequest, state: str, status: int, **more: Any) -> HttpResponse:
    context = {"state": state, "handoff": None, "person": None, "words": "", "reasons": ()} | more
    response = render(request, TEMPLATE, context, status=status)
    response.headers["Referrer-Policy"] = "same-origin"  # the address is the key; the form's own check needs it here
    response.headers["X-Robots-Tag"] = "noindex"
    return response
