"""The API's description (OpenAPI 3), the page that shows it, and the answer to addresses that are none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
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

Json = dict[str, Any]


class Schema(Endpoint):
    """GET /api/v1/schema/"""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        """The description of this API, for whoever is somebody here."""
        return Response(description())


class Unknown(Endpoint):
    """Any other address below /api/: JSON, so that a program sees its mistake and not a page."""

    @extend_schema(exclude=True)
    def get(self, request: Request, rest: str) -> Response:
        raise Http404(f"There is no /api/{rest[:100]} here; see docs/api.md for what is.")

    @extend_schema(exclude=True)
    def post(self, request: Request, rest: str) -> Response:
        return self.get(request, rest)


def details(result: Json, generator: SchemaGenerator, **kwargs: Any) -> Json:
    """What the endpoints' code says of themselves: a sentence for the summary, and the scope that each needs."""
    generator._initialise_endpoints()
    views = {(path, method.lower()): view for path, _, method, view in generator._get_paths_and_endpoints()}
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            said = " ".join(operation.get("description", "").split())
            operation["summary"] = said.partition(". ")[0].removesuffix(".")
            operation["x-scope"] = views[path, method].scopes[method.upper()]
    return result


@cache
def description() -> Json:
    """The description, the same for everybody."""
    found: Json = SchemaGenerator().get_schema(public=True)
    return found


# --- as a page --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a field of a body."""

    name: str
    where: str
    kind: str
    required: bool
    words: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked or done."""

    id: str
    method: str
    path: str
    summary: str
    words: str
    scope: str
    fields: tuple[Field, ...]
    answers: tuple[tuple[str, str, str], ...]  # status, tone, words
    example: str


@require_GET
@login_required
def page(request: HttpRequest) -> HttpResponse:
    """What the API can do, as a page."""
    access.require(request.user, "accounts.view")
    return render(request, "api/docs.html", {"groups": _groups(), "per_minute": settings.API_PER_MINUTE})


@cache
def _groups() -> tuple[tuple[str, tuple[Operation, ...]], ...]:
    """The operations by what they are about, in the order of their addresses."""
    groups: dict[str, list[Operation]] = {}
    for path, operations in description()["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append(_operation(path, method.upper(), operation))
    return tuple((name, tuple(found)) for name, found in groups.items())


def _operation(path: str, method: str, operation: Json) -> Operation:
    said = operation["description"].strip()
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    body = _resolved(content.get("schema", {}))
    answers = tuple(
        (status, "ok" if status < "3" else "line", _plain(told)) for status, told in operation["responses"].items()
    )
    write = ' -H "Idempotency-Key: $(uuidgen)"' if method == "POST" and "validate" not in path else ""
    sent = ", ".join(f'"{name}": …' for name in body.get("required", ()))
    data = f" -H 'Content-Type: application/json' -d '{{{sent}}}'" if content else ""
    post = " -X POST" if method == "POST" and not content else ""
    return Operation(
        id=operation["operationId"].replace("_", "-"),
        method=method,
        path=path,
        summary=operation["summary"],
        words=" ".join(said.partition(". ")[2].replace("`", "").split()),
        scope=operation["x-scope"],
        fields=(*_parameters(operation), *_body(body)),
        answers=answers,
        example=f'curl -H "Authorization: Bearer $TOKEN"{write}{data}{post} {settings.SITE_URL}{path}',
    )


def _parameters(operation: Json) -> Iterator[Field]:
    for one in operation.get("parameters", ()):
        kind = _kind(one.get("schema", {}))
        yield Field(one["name"], one["in"], kind, one.get("required", False), _plain(one))


def _body(shape: Json) -> Iterator[Field]:
    needed = shape.get("required", ())
    for name, one in shape.get("properties", {}).items():
        yield Field(name, "body", _kind(one), name in needed, _plain(one))


def _plain(shape: Json) -> str:
    return str(shape.get("description", "")).replace("`", "")


def _kind(shape: Json) -> str:
    """A type in words: its choices where it has some."""
    shape = _resolved(shape)
    if choices := [str(choice) for choice in shape.get("enum", ()) if choice not in (None, "")]:
        return " | ".join(choices)
    return "time" if shape.get("format") == "date-time" else str(shape.get("type", "any"))


def _resolved(shape: Json) -> Json:
    inner = shape.get("$ref") or next((one.get("$ref") for one in shape.get("allOf", ())), None)
    if inner is None:
        return shape
    found: Json = description()["components"]["schemas"][inner.rpartition("/")[2]]
    return found | {name: value for name, value in shape.items() if name not in ("$ref", "allOf")}
