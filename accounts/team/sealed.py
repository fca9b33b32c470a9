"""Addresses and secrets of destinations, encrypted at rest with a key made of SECRET_KEY.

SECRET_KEY_FALLBACKS are read too, so that the key can be changed: what is written again is sealed with the new one.
"""

from __future__ import annotations

import base64
import json
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class Unreadable(Exception):
    """It was sealed with another SECRET_KEY."""


def seal(values: dict[str, str]) -> str:
    """These values as text that only this installation can read."""
    return _box().encrypt(json.dumps(values).encode()).decode()


def unseal(text: str) -> dict[str, str]:
    """What was sealed. Raises Unreadable."""
    try:
        values: dict[str, str] = json.loads(_box().decrypt(text.encode()))
    except InvalidToken as error:
        raise Unreadable("SECRET_KEY has changed since; enter the address again.") from error
    return values


def _box() -> MultiFernet:
    return _of((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=4)
def _of(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_key(key)) for key in keys])


def _key(secret: str) -> bytes:
    # its own `info`: the same SECRET_KEY signs sessions, and nothing may stand for both
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"plgops destinations").derive(secret.encode())
    return base64.urlsafe_b64encode(derived)
