"""Addresses that no page can answer."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse


class NoNulMiddleware:
    """A NUL character in an address is a 400: PostgreSQL has no such text, and each search would be a 500."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        damaged = "%00" in request.META.get("QUERY_STRING", "") or "\x00" in request.path_info
        if damaged and not request.path_info.startswith(("/v1/", "/api/v1/")):  # the APIs answer it in JSON
            raise SuspiciousOperation("The address has a NUL character in it.")
        return self.get_response(request)
