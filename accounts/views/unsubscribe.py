"""The way out of every letter: GET shows a button and changes nothing, POST takes the person out of all outreach.

The address is the key, for ever, so that no log-in and no cookie is asked for: mail programs post to it by themselves
when somebody presses their button (RFC 8058), and mail scanners that only follow links change nothing.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from accounts import letters
from accounts.models import ProductUser

TEMPLATE = "unsubscribe.html"


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ask, or do it."""
    state, status = "ask", 200
    try:
        letters.whose_link(token)
        if request.method == "POST":
            letters.unsubscribe(token, now=timezone.now())
            state = "done"
    except (letters.NoLink, ProductUser.DoesNotExist):
        state, status = "broken", 404
    response = render(request, TEMPLATE, {"state": state}, status=status)
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
