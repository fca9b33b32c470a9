"""Log-in attempts: after too many failures for a name from an address, refuse for a while.

Counted in the cache of this process, so with several server processes the limit is per process. The password
hash itself is slow enough that a few times ten guesses in a quarter of an hour lead nowhere.
"""

from __future__ import annotations

import hashlib

from django.core.cache import cache

LIMIT = 10
WINDOW_SECONDS = 15 * 60


def _key(username: str, address: str) -> str:
    digest = hashlib.sha256(f"{username.strip().lower()}\n{address}".encode()).hexdigest()
    return f"login-failures:{digest}"


def refused(*, username: str, address: str) -> bool:
    """Whether this name from this address has failed too often within the window."""
    return bool(cache.get(_key(username, address), 0) >= LIMIT)


def failed(*, username: str, address: str) -> None:
    """Count one failure; the window starts with the first."""
    key = _key(username, address)
    cache.add(key, 0, WINDOW_SECONDS)
    try:
        cache.incr(key)
    except ValueError:  # it expired between the two
        cache.set(key, 1, WINDOW_SECONDS)


def succeeded(*, username: str, address: str) -> None:
    """Forget the failures."""
    cache.delete(_key(username, address))
