"""What the API answers when it does not do what it was asked: `{"code", "message"}`, and where it is wrong `fields`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404
from rest_framework import exceptions, serializers, status
from rest_framework.response import Response

from plgops.lib.paging import BadCursor

logger = logging.getLogger(__name__)


class Bad(exceptions.APIException):
    """Something asked makes no sense; `fields` says where, by name or by JSON pointer."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_code = "invalid"

    def __init__(self, message: str, *, code: str = "invalid", fields: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(message, code)
        self.fields = fields


class Conflict(exceptions.APIException):
    """Somebody else was faster, or it is not so any more; `more` stands beside code and message."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"

    def __init__(self, message: str, *, code: str = "conflict", more: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, code)
        self.more = more or {}


class TooLarge(exceptions.APIException):
    """The body has more bytes than a write may have."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"


class Wrong(serializers.Serializer[Any]):
    """An error: a code that stays, and words for people."""

    code = serializers.CharField()
    message = serializers.CharField()
    fields_ = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="What is wrong, by parameter, field or JSON pointer.",
    )

    def get_fields(self) -> dict[str, Any]:
        found = super().get_fields()
        found["fields"] = found.pop("fields_")  # the attribute of a serializer has this name already
        return found


def problem(exc: Exception) -> Response:
    """The answer to what an endpoint raised; 500 with a line in the log for what nobody thought of."""
    headers: dict[str, str] = {}
    if isinstance(exc, Http404):
        return _told(404, "not_found", str(exc) or "There is nothing here.")
    if isinstance(exc, RequestDataTooBig):
        exc = TooLarge("The body is too large.")
    if isinstance(exc, exceptions.APIException):
        more: dict[str, Any] = {}
        message, code = str(exc.detail), str(exc.get_codes())
        if isinstance(exc, exceptions.ValidationError):
            return problem(invalid(exc, code="invalid"))
        if isinstance(exc, exceptions.Throttled):
            headers["Retry-After"] = str(int(getattr(exc, "wait", None) or 1) + 1)
            code, message = "rate_limited", "Too many requests with this token; see Retry-After."
        if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
            headers["WWW-Authenticate"] = 'Bearer realm="plgops"'
        if isinstance(exc, exceptions.PermissionDenied):
            code = "forbidden"
        if isinstance(exc, Bad) and exc.fields:
            more["fields"] = exc.fields
        if isinstance(exc, Conflict):
            more |= exc.more
        return _told(exc.status_code, code, message, headers=headers, **more)
    if isinstance(exc, BadCursor):
        return _told(422, "invalid_parameter", f"cursor: {exc}", fields={"cursor": [str(exc)]})
    if isinstance(exc, PermissionDenied):
        return _told(403, "forbidden", str(exc) or "You may not do this.")
    logger.error("the API failed", exc_info=exc)
    return _told(500, "internal_error", "Something broke on our side. Nothing was half done.")


def invalid(error: exceptions.ValidationError, *, code: str) -> Bad:
    """What a shape refused: the first thing wrong as the message, everything as fields."""
    fields = dict(_flat(error.detail))
    name, words = next(iter(fields.items()), ("non_field_errors", ["It is not valid."]))
    return Bad(words[0] if name == "non_field_errors" else f"{name}: {words[0]}", code=code, fields=fields)


def _told(
    status_code: int, code: str, message: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    return Response({"code": code, "message": message, **more}, status=status_code, headers=dict(headers or {}))


def _flat(detail: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """A validation error's tree as fields with dots between the steps."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(detail, list):
        plain = [str(one) for one in detail if not isinstance(one, dict | list)]
        if plain:
            yield path or "non_field_errors", plain
        for number, inner in enumerate(detail):
            if isinstance(inner, dict | list):
                yield from _flat(inner, f"{path}.{number}" if path else str(number))
    else:
        yield path or "non_field_errors", [str(detail)]
