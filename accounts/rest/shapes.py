"""Shapes that endpoints share: pages, what is asked of lists, and how the description says what an endpoint answers."""

from __future__ import annotations

import datetime as dt
from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from accounts.rest.answering import Wrong
from accounts.rest.endpoint import MOST, SIZE

MEANINGS = {
    400: "The body is no JSON.",
    401: "No token, or one that is unknown, revoked or too old.",
    403: "The token lacks the scope, or its owner's role does not include it.",
    404: "There is no such thing.",
    409: "Somebody was faster, or the same request is being worked on.",
    413: "The body is too large.",
    415: "The body is not said to be application/json.",
    422: "Something asked makes no sense; `fields` says what.",
    429: "Too many requests with this token; `Retry-After` says when to ask again.",
}

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="A key of your own, new for each act: the same request sent again with it is done once, and answered "
    "as it was the first time, for 24 hours.",
)


def answers(status: int, shape: Any, what: str, *errors: int, write: bool = False) -> dict[int, Any]:
    """What an endpoint answers: one success, and its errors (those of every endpoint without saying)."""
    wrong = {401, 403, 422, 429, *errors} | ({400, 409, 413, 415} if write else set())
    told: dict[int, Any] = {status: OpenApiResponse(shape, description=what)}
    return told | {code: OpenApiResponse(Wrong, description=MEANINGS[code]) for code in sorted(wrong)}


class Listed(serializers.Serializer[Any]):
    """What every list takes."""

    cursor = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=2000,
        help_text="`next` of the page before; left out: from the start.",
    )
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST, help_text=f"How many to a page (left out: {SIZE})."
    )


class Moment(serializers.DateTimeField):
    """A time with its offset; without one it is UTC."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default_timezone=dt.UTC, **kwargs)

    def to_internal_value(self, value: Any) -> dt.datetime:
        try:
            return super().to_internal_value(value)
        except OverflowError:
            self.fail("invalid", format="YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]")


class Person(serializers.Serializer[Any]):
    """A member of staff."""

    username = serializers.CharField()
    name = serializers.CharField()


class AccountName(serializers.Serializer[Any]):
    """An account in a word."""

    external_id = serializers.CharField()
    name = serializers.CharField()


def person(user: Any) -> dict[str, str] | None:
    """A member of staff as the API tells them; None where there is nobody."""
    return None if user is None else {"username": user.username, "name": user.label}


def moment(at: dt.datetime | None) -> str | None:
    """A time as the API tells it: UTC."""
    return None if at is None else at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
