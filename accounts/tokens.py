"""API tokens: with one a program does through the API what a member of staff may do, within the token's scopes.

A token reads `plt_<8 characters>_<32 characters>`. The first two parts are its prefix: public, unique, and how the row
is found; the whole token is compared by its SHA-256 in constant time, is shown once and not kept. Each can be revoked
by itself, at once. What it may do follows the person's roles as they are at that moment; it ends with its time, and
rests while its owner is deactivated. Write keys of sources are public in browsers and are no tokens.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.models import ApiToken, StaffUser
from accounts.team import audit
from plgops.lib import access

LONGEST_DAYS = 366
SEEN_EVERY = dt.timedelta(minutes=1)  # `last_used_at` is no finer than this

_ALPHABET = string.ascii_lowercase + string.digits
_KEY = re.compile(r"(plt_[a-z0-9]{8})_[a-z0-9]{32}")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token with it does, in words, and the capability that its owner needs for it."""

    words: str
    capability: str


SCOPES: dict[str, Scope] = {
    "accounts:read": Scope("Read accounts", "accounts.view"),
    "qualifications:read": Scope("Read qualifications and why they are", "accounts.view"),
    "handoffs:read": Scope("Read handoffs", "handoffs.view"),
    "handoffs:write": Scope("Claim and work handoffs", "handoffs.claim"),
    "definitions:read": Scope("Read definitions and who qualifies", "definitions.view"),
    "definitions:write": Scope("Publish and archive definitions", "definitions.edit"),
    "plays:read": Scope("Read plays", "definitions.view"),
    "plays:write": Scope("Make, change, start and stop plays", "plays.edit"),
    "people:write": Scope("Say who is not to be contacted", "people.contact"),
}


class BadToken(ValueError):
    """What was asked for cannot be a token; the message says what is wrong, `field` with which of its parts."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class AlreadyRevoked(Exception):
    """The token was revoked before."""


class NotYours(PermissionDenied):
    """Somebody else's token, and no admin."""


def offered(user: StaffUser) -> dict[str, Scope]:
    """The scopes that a token of `user` can have: those that their roles allow today."""
    return {name: scope for name, scope in SCOPES.items() if access.may(user, scope.capability)}


def create(
    *, user: StaffUser, name: str, scopes: Sequence[str], days: int, by: StaffUser | None, now: dt.datetime
) -> tuple[ApiToken, str]:
    """A token of `user`, good for so many days from now, and its text, which cannot be read again. Raises BadToken."""
    name = name.strip()
    if not 0 < len(name) <= 100 or "\x00" in name:
        raise BadToken("name", "A token needs a name of 1 to 100 characters: what it is for.")
    if not 1 <= days <= LONGEST_DAYS:
        raise BadToken("days", f"A token is good for 1 to {LONGEST_DAYS} days.")
    if not scopes:
        raise BadToken("scopes", "Choose at least one thing that it may do.")
    allowed = offered(user)
    for scope in scopes:
        if scope not in SCOPES:
            raise BadToken("scopes", f"There is no scope “{scope[:50]}”; there are {', '.join(SCOPES)}.")
        if scope not in allowed:
            raise BadToken("scopes", f"{user.label}'s role does not include “{SCOPES[scope].words.lower()}” ({scope}).")
    prefix = "plt_" + _random(8)
    key = f"{prefix}_{_random(32)}"
    kept = [scope for scope in SCOPES if scope in scopes]
    expires_at = now + dt.timedelta(days=days)
    with transaction.atomic():
        token = ApiToken.objects.create(
            user=user,
            name=name,
            prefix=prefix,
            key_hash=_hash(key),
            scopes=kept,
            created_at=now,
            created_by=by,
            expires_at=expires_at,
        )
        detail = {"owner": user.label, "scopes": kept, "until": expires_at.date().isoformat()}
        audit.record(action="apitoken.created", obj=token, by=by, now=now, detail=detail)
    return token, key


def revoke(*, token_id: int, by: StaffUser, now: dt.datetime) -> ApiToken:
    """End a token at once: one's own, or as an admin anybody's.

    Raises ApiToken.DoesNotExist, NotYours, AlreadyRevoked.
    """
    with transaction.atomic():
        token = ApiToken.objects.select_related("user").get(pk=token_id)
        if token.user_id != by.pk and not access.may(by, "tokens.manage"):
            raise NotYours("Only its owner or an admin can revoke a token.")
        mine = ApiToken.objects.filter(pk=token_id, revoked_at__isnull=True)
        if not mine.update(revoked_at=now, revoked_by=by):
            raise AlreadyRevoked(f"The token “{token.name}” was revoked before.")
        token.revoked_at, token.revoked_by = now, by
        audit.record(action="apitoken.revoked", obj=token, by=by, now=now, detail={"owner": token.user.label})
    return token


def authenticate(key: str, *, now: dt.datetime) -> ApiToken | None:
    """The token (its owner comes along) that this text is, if it is good now. One query, none for other texts."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    token = ApiToken.objects.select_related("user").filter(prefix=match[1]).first()
    if token is None or not hmac.compare_digest(token.key_hash, _hash(key)):
        return None
    if token.revoked_at is not None or token.expires_at <= now or not token.user.is_active:
        return None
    return token


def used(token: ApiToken, *, now: dt.datetime) -> None:
    """Note that the token was used; writes at most once in `SEEN_EVERY`."""
    if token.last_used_at is not None and now - token.last_used_at < SEEN_EVERY:
        return
    before = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - SEEN_EVERY)
    ApiToken.objects.filter(before, pk=token.pk).update(last_used_at=now)


def listed(user: StaffUser, *, everybody: bool) -> QuerySet[ApiToken]:
    """One's own tokens, or everybody's (for whoever may manage them), with their owners."""
    rows = ApiToken.objects.select_related("user", "revoked_by")
    return rows if everybody and access.may(user, "tokens.manage") else rows.filter(user=user)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
