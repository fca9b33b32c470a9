"""The door for browsers of the customer's users: `/v1/prompts…` (docs/plays.md).

Plain Django, like the door for facts: every answer is JSON, with a code and a message where it is an error, and may be
read by any page (CORS). Who asks is said by a write key, which any page may show, and by a token that the customer's
backend made for this user; without both nothing is said about anybody.
"""

from __future__ import annotations

import hashlib
import logging
from functools import cache
from typing import Any

import orjson
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from accounts import sources
from scoring import prompts
from scoring.models import Play

logger = logging.getLogger(__name__)
MAX_BODY = 4_000  # bytes; an event has a few hundred
MAX_USER = 200
SCRIPT = settings.BASE_DIR / "static" / "prompts" / "prompts.js"
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type, x-write-key, x-user-token",
    "Access-Control-Max-Age": "86400",
    "Cache-Control": "no-store",
}


class Problem(Exception):
    """A request that is answered with an error: HTTP status, stable code, words for a developer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@csrf_exempt
def due(request: HttpRequest) -> HttpResponse:
    """GET /v1/prompts?user=…[&moment=…]: the one prompt that is due, or null."""
    return _answer(request, "GET", _due)


@csrf_exempt
def event(request: HttpRequest) -> HttpResponse:
    """POST /v1/prompts/events: `{"user", "prompt", "event"}`; again changes nothing."""
    return _answer(request, "POST", _event)


def script(request: HttpRequest) -> HttpResponse:
    """GET /v1/prompts.js: what shows them."""
    if request.method not in ("GET", "HEAD"):
        return _json({"success": False, "code": "method_not_allowed", "message": "This is read with GET."}, 405)
    body, tag = _script()
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Cache-Control": "public, max-age=3600",
        "ETag": tag,
        "X-Content-Type-Options": "nosniff",
    }
    if request.headers.get("If-None-Match") == tag:
        return HttpResponse(status=304, headers=headers)
    return HttpResponse(body, content_type="text/javascript; charset=utf-8", headers=headers)


@cache
def _script() -> tuple[bytes, str]:
    body = SCRIPT.read_bytes()
    return body, f'"{hashlib.sha256(body).hexdigest()[:20]}"'


def _answer(request: HttpRequest, method: str, work: Any) -> HttpResponse:
    if request.method == "OPTIONS":
        return HttpResponse(status=204, headers=_CORS)
    try:
        if request.method != method:
            raise Problem(405, "method_not_allowed", f"This is asked with {method}.")
        return _json(work(request), 200)
    except Problem as problem:
        return _json({"success": False, "code": problem.code, "message": problem.message}, problem.status)
    except (OperationalError, InterfaceError) as error:
        logger.warning("a prompt could not be answered: %s", error)
        return _json({"success": False, "code": "unavailable", "message": "Ask again later."}, 503)
    except Exception:
        logger.exception("a prompt could not be answered")
        return _json({"success": False, "code": "internal_error", "message": "Something broke on our side."}, 500)


def _due(request: HttpRequest) -> dict[str, Any]:
    user = request.GET.get("user", "")
    _vouched(request, user, {})
    moment = request.GET.get("moment", "")
    if moment not in Play.Moment.values:
        known = ", ".join(filter(None, Play.Moment.values))
        raise Problem(400, "unknown_moment", f"A moment is one of {known}.")
    prompt = prompts.due_for(user, moment=moment, now=timezone.now())
    return {"prompt": prompts.as_json(prompt) if prompt is not None else None}


def _event(request: HttpRequest) -> dict[str, Any]:
    try:
        body = request.body
    except UnreadablePostError as error:
        raise Problem(400, "invalid_request", "The body ended too early.") from error
    if len(body) > MAX_BODY:
        raise Problem(413, "payload_too_large", f"An event has at most {MAX_BODY} bytes.")
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "invalid_request", "The body must be a JSON object.") from error
    if not isinstance(told, dict):
        raise Problem(400, "invalid_request", "The body must be a JSON object.")
    user, number, kind = told.get("user"), told.get("prompt"), told.get("event")
    if not isinstance(user, str):
        raise Problem(400, "invalid_request", "“user” is the id of the user who met the prompt.")
    _vouched(request, user, told)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**63:
        raise Problem(400, "invalid_request", "“prompt” is the id that the prompt came with.")
    if kind not in prompts.EVENTS:
        raise Problem(400, "unknown_event", f"An event is one of {', '.join(prompts.EVENTS)}.")
    try:
        first = prompts.record(user, number, kind, now=timezone.now())
    except prompts.Unknown as error:
        raise Problem(404, "unknown_prompt", str(error)) from error
    return {"success": True, "first": first}


def _vouched(request: HttpRequest, user: str, body: dict[str, Any]) -> None:
    """Problem 401 unless a source that stands vouches for this user. A body may say so too: that needs no preflight."""
    scheme, _, bearer = request.headers.get("Authorization", "").strip().partition(" ")
    key = bearer.strip() if scheme.lower() == "bearer" else request.headers.get("X-Write-Key", "")
    key = key or str(body.get("writeKey", "")) or request.GET.get("writeKey", "")
    now = timezone.now()
    source = sources.authenticate(key, now=now)
    if source is None:
        raise Problem(401, "invalid_write_key", "No write key, or one that is unknown or revoked.")
    token = request.headers.get("X-User-Token", "") or str(body.get("token", ""))
    if not user or len(user) > MAX_USER or "\x00" in user or not sources.vouches_for(source, user, token, now=now):
        raise Problem(
            401, "invalid_user_token", "No token for this user that the source’s signing secret made, or old."
        )


def _json(value: dict[str, Any], status: int) -> HttpResponse:
    return HttpResponse(orjson.dumps(value), status=status, content_type="application/json", headers=_CORS)
