"""An endpoint of the API: what a token must be good for, reading parameters and bodies, pages, writes done once."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, cast

from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.cache import patch_cache_control
from rest_framework import exceptions, serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import idempotency, tokens
from accounts.models import ApiToken, StaffUser
from accounts.rest import answering
from accounts.rest.asking import PerToken, TokenAuthentication
from plgops.lib import access
from plgops.lib.paging import Page, keyset

M = TypeVar("M", bound=Model)
SIZE = 25  # rows of a page
MOST = 100  # rows that a page may be asked for
MAX_BODY = 1_000_000  # bytes of a write
READING = ("GET", "HEAD")


class Json(JSONParser):
    """JSON in UTF-8, whatever the request says, that can be stored and told again."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            text = stream.read().decode("utf-8")
            value = json.loads(text, parse_constant=_no_number)
            if "\\ud" in text.lower():
                json.dumps(value, ensure_ascii=False).encode()
        except RecursionError as error:
            raise exceptions.ParseError("The JSON is nested too deeply.") from error
        except UnicodeEncodeError as error:
            raise exceptions.ParseError("There is half of a surrogate pair in it.") from error
        except ValueError as error:
            raise exceptions.ParseError(f"This is no JSON: {str(error)[:200]}") from error
        return value


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


class AlwaysJson(BaseContentNegotiation):
    """There is one form of answer, whatever the request would rather have."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return next((p for p in parsers if (request.content_type or "").split(";")[0].strip() == p.media_type), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class Endpoint(APIView):
    """Who may ask is asked twice: the token's scope, and its owner's capability (plgops.lib.access).

    `scopes` says what each method needs; a session has every scope for reading and none for writing, because it has no
    token under which a write is done once.
    """

    authentication_classes = (TokenAuthentication, SessionAuthentication)
    permission_classes = ()
    throttle_classes = (PerToken,)
    parser_classes = (Json,)
    content_negotiation_class = AlwaysJson
    http_method_names: ClassVar[list[str]] = ["get", "head", "post"]  # type: ignore[misc]
    scopes: ClassVar[Mapping[str, str]] = {}

    @property
    def user(self) -> StaffUser:
        """Who asks; only after the permissions were checked."""
        return cast(StaffUser, self.request.user)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if any("\x00" in str(part) for part in kwargs.values()):
            raise exceptions.NotFound("There is nothing of this name here.")
        damaged = [name for name, value in request.query_params.items() if "\x00" in name or "\x00" in str(value)]
        if damaged:
            words = "A NUL character cannot be asked for."
            raise answering.Bad(words, code="invalid_parameter", fields={damaged[0].replace("\x00", ""): [words]})
        length = str(request.META.get("CONTENT_LENGTH") or "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            raise answering.TooLarge(f"A body may have {MAX_BODY} bytes.")

    def check_permissions(self, request: Request) -> None:
        """The scope, then the person. Who is nobody is told so before anything else."""
        if not isinstance(request.user, StaffUser):
            raise exceptions.NotAuthenticated("Send an API token as bearer, or the session of a log-in.")
        method = request.method or ""
        scope = self.scopes.get("GET" if method == "HEAD" else method)
        if scope is None:
            return
        if isinstance(request.auth, ApiToken):
            if scope not in request.auth.scopes:
                raise exceptions.PermissionDenied(f"This token does not have the scope {scope}.")
        elif method not in READING:
            raise exceptions.PermissionDenied(f"Writing takes an API token with the scope {scope}; a session reads.")
        access.require(request.user, tokens.SCOPES[scope].capability)

    def handle_exception(self, exc: Exception) -> Response:
        response = answering.problem(exc)
        response.exception = True
        return response

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        patch_cache_control(response, private=True, no_store=True)
        return response

    # --- reading what was asked ---------------------------------------------------------------------------------

    def asked(self, shape: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The query parameters, read by their shape; 422 for what makes no sense."""
        return _read(shape, self.request.query_params, "invalid_parameter")

    def told(self, shape: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The body, read by its shape; 422 for what makes no sense, 400 where it is no JSON."""
        body = self.request.data
        if not isinstance(body, Mapping):
            raise answering.Bad("The body must be a JSON object.")
        return _read(shape, body, "invalid")

    def page(self, rows: QuerySet[M], *, by: str = "", tie: str = "id", asked: Mapping[str, Any]) -> Page[M]:
        """A page of rows in an order that stays, after the cursor that was asked for."""
        return keyset(rows, by=by, tie=tie, cursor=asked.get("cursor", ""), size=asked.get("limit") or SIZE)

    # --- writing ------------------------------------------------------------------------------------------------

    def write(self, act: Callable[[dt.datetime], tuple[int, Any]], *, of: Any = None) -> Response:
        """Do `act` (given the time, it answers status and JSON); under an Idempotency-Key at most once.

        `of` is what the body asks, if it is not the body as it came.
        """
        now, request = timezone.now(), self.request
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            status, body = act(now)
            return Response(body, status=status)
        if len(key) > idempotency.LONGEST or not key.isascii() or not key.isprintable():
            words = f"Expected 1 to {idempotency.LONGEST} printable ASCII characters."
            raise answering.Bad(f"Idempotency-Key: {words}", fields={"Idempotency-Key": [words]})
        what = [request.method, request.path.rstrip("/"), request.headers.get("If-Match", ""), of or request.data]
        try:
            answer = idempotency.once(
                token=cast(ApiToken, request.auth),
                key=key,
                request_hash=idempotency.asked(*what),
                now=now,
                act=lambda: act(now),
            )
        except idempotency.AtWork as error:
            raise answering.Conflict(
                "This request is being worked on; ask again in a moment.", code="at_work"
            ) from error
        except idempotency.OtherRequest as error:
            words = "This key was used for another request."
            raise answering.Bad(words, code="key_reused", fields={"Idempotency-Key": [words]}) from error
        headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
        return Response(answer.body, status=answer.status, headers=headers)


def _read(shape: type[serializers.Serializer[Any]], given: Any, code: str) -> dict[str, Any]:
    reader = shape(data=given)
    try:
        reader.is_valid(raise_exception=True)
    except exceptions.ValidationError as error:
        raise answering.invalid(error, code=code) from error
    return dict(reader.validated_data)
