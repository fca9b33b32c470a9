"""Log-in attempts: after too many failures for a name from an address, refuse for a while.

Counted in the database, which all processes share, and before the password is looked at, so that guesses
sent at the same moment are counted too. An IPv6 network is one address: whoever has one has 2^64 of them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress

from django.db.models import F

from accounts.models import LoginAttempts

LIMIT = 10
WINDOW = dt.timedelta(minutes=15)
SWEPT = 2  # expired rows that go with each attempt: more than it can add, so the table stays small


def attempt(*, username: str, address: str, now: dt.datetime) -> bool:
    """Count an attempt; False: this name from this address has failed too often, do not look at the password.

    The window starts with the first attempt, and what is refused does not lengthen it.
    """
    who = digest(username, address)
    _sweep(now=now)
    rows = LoginAttempts.objects.filter(digest=who)
    rows.filter(until__lte=now).update(attempts=0, until=now + WINDOW)
    LoginAttempts.objects.bulk_create(
        [LoginAttempts(digest=who, attempts=0, until=now + WINDOW)], ignore_conflicts=True
    )
    counted = rows.filter(attempts__lt=LIMIT).update(attempts=F("attempts") + 1)
    return bool(counted) or not rows.exists()  # gone: the same person logged in just now, somewhere else


def succeeded(*, username: str, address: str) -> None:
    """Forget the attempts."""
    LoginAttempts.objects.filter(digest=digest(username, address)).delete()


def digest(username: str, address: str) -> str:
    """Neither name nor address is kept: a name that nobody has is often a password in the wrong field."""
    try:
        known = ipaddress.ip_address(address)
        if isinstance(known, ipaddress.IPv6Address):
            # a server that listens on both kinds sees IPv4 as ::ffff:1.2.3.4: all of that is not one network
            address = str(known.ipv4_mapped or ipaddress.ip_network(f"{address}/64", strict=False))
    except ValueError:
        pass  # a socket has no address
    return hashlib.sha256(f"{username.strip().lower()}\n{address}".encode()).hexdigest()


def _sweep(*, now: dt.datetime) -> None:
    """One row at a time, so that two sweeps never hold rows that the other one wants."""
    expired = LoginAttempts.objects.filter(until__lte=now)
    for pk in list(expired.order_by("until", "pk").values_list("pk", flat=True)[:SWEPT]):
        expired.filter(pk=pk).delete()
