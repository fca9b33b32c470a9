"""The API that reads: why accounts qualify, as JSON (docs/api.md). Session or API token; nothing is changed here."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from django.utils.cache import patch_cache_control
from rest_framework import exceptions, status
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import tokens
from accounts.models import Account, ApiToken, StaffUser
from accounts.workspace import day_of
from plgops.lib import access
from plgops.lib.paging import BadCursor, keyset
from scoring import reasons
from scoring.models import Definition, Qualification
from scoring.serializers import as_json

SIZE = 25
STATES = ("open", "closed", "all")


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer plt_…`. Without such a header another way may speak for the reader."""

    def authenticate(self, request: Request) -> tuple[StaffUser, ApiToken] | None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        now = timezone.now()
        token = tokens.authenticate(key.strip(), now=now)
        if token is None:
            raise exceptions.AuthenticationFailed("This API token is unknown, revoked or too old.")
        tokens.used(token, now=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="plgops"'


class Bad(exceptions.APIException):
    """A parameter that makes no sense."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_code = "invalid_parameter"


class Reading(APIView):
    """What all of them share: who may ask, and errors as `{"code", "message"}`."""

    authentication_classes = (TokenAuthentication, SessionAuthentication)
    permission_classes = ()
    capability = ""
    scope = "qualifications:read"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not isinstance(request.user, StaffUser):
            raise exceptions.NotAuthenticated("Send an API token as bearer, or the session of a log-in.")
        if isinstance(request.auth, ApiToken) and self.scope not in request.auth.scopes:
            raise PermissionDenied(f"This token does not have the scope {self.scope}.")
        access.require(request.user, self.capability)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, BadCursor):
            exc = Bad(str(exc))
        response = super().handle_exception(exc)
        codes = {Http404: "not_found", PermissionDenied: "forbidden"}
        code = next((code for kind, code in codes.items() if isinstance(exc, kind)), None)
        if isinstance(exc, exceptions.APIException):
            code = code or str(exc.get_codes())
        words = str(exc) or str(getattr(exc, "detail", ""))
        response.data = {"code": code, "message": words}
        return response

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        patch_cache_control(response, private=True, no_store=True)
        return response


class AccountQualifications(Reading):
    """GET /api/v1/accounts/<external id>/qualifications/: why an account qualifies, or did."""

    capability = "accounts.view"

    def get(self, request: Request, external_id: str) -> Response:
        account = Account.objects.select_related("merged_into").filter(external_id=external_id).first()
        if account is None:
            raise Http404(f"There is no account with the id “{external_id[:200]}”.")
        rows = reasons.rows().filter(account=account)
        state = request.query_params.get("state", "open")
        if state not in STATES:
            raise Bad(f"state: expected one of {', '.join(STATES)}")
        if state != "all":
            rows = rows.filter(closed_at__isnull=state == "open")
        merged = account.merged_into
        about = {
            "external_id": account.external_id,
            "name": account.name,
            "merged_into": merged.external_id if merged else None,
        }
        return Response({"account": about, **_page(request, rows, by="-opened_at")})


class DefinitionQualifiers(Reading):
    """GET /api/v1/definitions/<slug>/qualifiers/: who qualifies now, the newest evidence first."""

    capability = "definitions.view"

    def get(self, request: Request, slug: str) -> Response:
        definition = Definition.objects.select_related("live_version").filter(slug=slug).first()
        if definition is None:
            raise Http404(f"There is no definition “{slug}”.")
        rows = reasons.rows().filter(definition=definition, closed_at=None)
        live = definition.live_version
        about = {
            "slug": definition.slug,
            "name": definition.name,
            "live_version": live.number if live and definition.archived_at is None else None,
        }
        return Response({"definition": about, **_page(request, rows, by="-since_at")})


class Unknown(Reading):
    """Any other address below /api/: JSON, so that a program sees its mistake and not a page."""

    capability = "accounts.view"

    def get(self, request: Request, rest: str) -> Response:
        raise Http404(f"There is no /api/{rest[:100]} here; see docs/api.md for what is.")


def _page(request: Request, rows: QuerySet[Qualification], *, by: str) -> dict[str, Any]:
    """A page of explanations; `?today=1` measures today too, `?cursor=` goes on after the page before."""
    today = request.query_params.get("today", "0")
    if today not in ("0", "1"):
        raise Bad("today: expected 0 or 1")
    page = keyset(rows, by=by, cursor=request.query_params.get("cursor", ""), size=SIZE)
    asked = day_of(timezone.now()) if today == "1" else None
    explained = reasons.explained(page.items, today=asked)
    return {"qualifications": [as_json(one) for one in explained], "next": page.next_cursor or None}
