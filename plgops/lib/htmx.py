"""One page, named fragments: which part of a template an htmx request gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers


def wants(request: HttpRequest, target: str) -> bool:
    """Whether this is an htmx request that will swap the element with id `target`."""
    htmx = request.htmx  # type: ignore[attr-defined]
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request and htmx.target == target


def page(
    request: HttpRequest, template: str, context: dict[str, Any], *, fragments: tuple[str, ...] = (), status: int = 200
) -> HttpResponse:
    """The whole page, or its fragment when the request's target is one of `fragments`.

    A fragment's name in the template is its element's id. The context must hold only what the user may
    see: what is shown is decided by the view, never by a fragment name that the client picked.
    """
    for fragment in fragments:
        if wants(request, fragment):
            return render(request, f"{template}#{fragment}", context, status=status)
    return render(request, template, context, status=status)


class HtmxResponseMiddleware:
    """Vary on what chose the fragment, and let an expired session leave the page instead of a table cell."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        patch_vary_headers(response, ["HX-Request", "HX-Target"])
        if request.htmx and response.status_code in (301, 302):  # type: ignore[attr-defined]
            target = response.headers["Location"]
            response = HttpResponse(status=204)
            response.headers["HX-Redirect"] = target
        return response
