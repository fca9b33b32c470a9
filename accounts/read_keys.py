"""Read keys: with one a program reads through the API what a member of staff may see, and changes nothing.

A key is not stored. It is a signed statement: who, until when, and a fingerprint of the password. So it ends when its
time is over, the person changes the password or leaves, or SECRET_KEY is replaced; what it may read follows the
person's roles as they are at that moment. Write keys of sources are public in browsers and never read.
"""

from __future__ import annotations

import datetime as dt
import hmac

from django.core import signing
from django.db import transaction
from django.utils.crypto import salted_hmac

from accounts.models import StaffUser
from accounts.team import audit
from plgops.lib import days as day_arithmetic

PREFIX = "plr_"
SALT = "accounts.read_keys"
LONGEST_DAYS = 366


class BadLifetime(Exception):
    """A key lives from one day to LONGEST_DAYS."""


def create(*, user: StaffUser, days: int, by: StaffUser | None, now: dt.datetime) -> str:
    """A read key of `user` that is good for so many days from now. Raises BadLifetime."""
    if not 1 <= days <= LONGEST_DAYS:
        raise BadLifetime(f"A read key lives 1 to {LONGEST_DAYS} days.")
    until = now + dt.timedelta(days=days)
    told = {"u": user.pk, "t": day_arithmetic.micros(until) // 1_000_000, "p": _fingerprint(user)}
    with transaction.atomic():
        audit.record(action="staffuser.read_key", obj=user, by=by, now=now, detail={"until": until.date().isoformat()})
    return PREFIX + _signer().sign_object(told)


def reader(key: str, *, now: dt.datetime) -> StaffUser | None:
    """Whose key this is, if it is good now. One query where the signature is ours."""
    if not key.startswith(PREFIX):
        return None
    try:
        told = _signer().unsign_object(key.removeprefix(PREFIX))
    except (signing.BadSignature, ValueError):
        return None
    if told["t"] <= now.timestamp():
        return None
    user = StaffUser.objects.filter(pk=told["u"], is_active=True).first()
    return user if user is not None and hmac.compare_digest(told["p"], _fingerprint(user)) else None


def _signer() -> signing.Signer:
    return signing.Signer(salt=SALT, sep=".")  # the default colon may not stand in a bearer token


def _fingerprint(user: StaffUser) -> str:
    return salted_hmac(SALT, user.password, algorithm="sha256").hexdigest()[:32]
