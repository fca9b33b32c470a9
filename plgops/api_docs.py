"""The API's description (OpenAPI 3), the page that shows it, and the answer to addresses that are none."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rest.endpoint import Endpoint
from plgops.lib import access


def summaries(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """The first sentence of what an operation does stands beside its address."""
    for operations in result["paths"].values():
        for operation in operations.values():
            said = " ".join(operation.get("description", "").split())
            operation.setdefault("summary", said.partition(". ")[0].removesuffix("."))
    return result


class Schema(Endpoint):
    """GET /api/v1/schema/"""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        """The description of this API, for whoever is somebody here."""
        return Response(SchemaGenerator().get_schema(public=True))


class Unknown(Endpoint):
    """Any other address below /api/: JSON, so that a program sees its mistake and not a page."""

    @extend_schema(exclude=True)
    def get(self, request: Request, rest: str) -> Response:
        raise Http404(f"There is no /api/{rest[:100]} here; see docs/api.md for what is.")

    @extend_schema(exclude=True)
    def post(self, request: Request, rest: str) -> Response:
        return self.get(request, rest)


@require_GET
@login_required
def page(request: HttpRequest) -> HttpResponse:
    """What the API can do, as a page."""
    access.require(request.user, "accounts.view")
    return render(request, "api/docs.html")
