"""Who asks the API: an API token or the session of a log-in, and how often a minute."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from accounts import tokens
from accounts.models import ApiToken, StaffUser


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


class TokenScheme(OpenApiAuthenticationExtension):
    """How the description of the API says it."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "An API token: plt_…, made on the page API tokens."}


class PerToken(SimpleRateThrottle):
    """At most API_PER_MINUTE requests a minute of a token (or of a person's session), counted in each web process."""

    scope = "api"

    def get_rate(self) -> str | None:
        return f"{settings.API_PER_MINUTE}/min" if settings.API_PER_MINUTE else None

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        who = request.auth.prefix if isinstance(request.auth, ApiToken) else f"session-{request.user.pk}"
        return f"api-rate-{who}"
