"""Pages that belong to no app: home."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def shell(request: HttpRequest) -> dict[str, Any]:
    """What every page's frame needs."""
    return {}


@login_required
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "home.html", {})
