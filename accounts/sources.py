"""Sources: who may send facts. A write key is shown once, kept as a hash and can be revoked.

A source that asks about people from a browser (scoring/prompts.py) also has a signing secret, with which the customer's
backend says which user is asking: the token is the HMAC-SHA256 of the user's id, in hex. The secret follows from a salt
and the server's SECRET_KEY; it is shown once and stored nowhere.

A key reads `plg_<8 characters>_<32 characters>`. The first two parts are its prefix: public, unique, and
how the row is found; the whole key is compared by its SHA-256 in constant time.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
import string
import threading

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts.models import Source, StaffUser
from accounts.team import audit

KNOWN_FOR = dt.timedelta(seconds=3)  # a process may accept a revoked key for this long
SEEN_EVERY = dt.timedelta(minutes=1)  # `last_seen_at` is no finer than this

_ALPHABET = string.ascii_lowercase + string.digits
_KEY = re.compile(r"(plg_[a-z0-9]{8})_[a-z0-9]{32}")
_EXPIRES = re.compile(r"([0-9]{1,12})\.", re.ASCII)
_CACHE_SIZE = 1_000

_lock = threading.Lock()
_known: dict[str, tuple[dt.datetime, Source | None]] = {}  # key's hash -> until when, whose
_seen: dict[str, dt.datetime] = {}  # prefix -> last_seen_at as this process wrote it


class NameTaken(Exception):
    """Another source has this name already."""


class NameMissing(Exception):
    """A source needs a name of 1 to 100 characters."""


class AlreadyRevoked(Exception):
    """The source's key was revoked before."""


class HasNoKey(Exception):
    """Sources for files and for plgops itself have no write key to revoke."""


def create_source(*, name: str, by: StaffUser | None, now: dt.datetime) -> tuple[Source, str]:
    """A new source and its write key, which cannot be read again. Raises NameMissing, NameTaken."""
    name = name.strip()
    if not 0 < len(name) <= 100 or "\x00" in name:
        raise NameMissing("A source needs a name of 1 to 100 characters.")
    prefix = "plg_" + _random(8)
    key = f"{prefix}_{_random(32)}"
    try:
        with transaction.atomic():
            source = Source.objects.create(
                name=name, kind=Source.Kind.HTTP, prefix=prefix, key_hash=_hash(key), created_at=now, created_by=by
            )
            audit.record(action="source.created", obj=source, by=by, now=now, detail={"prefix": prefix})
    except IntegrityError as error:
        if Source.objects.filter(name=name).exists():
            raise NameTaken(f"There is a source named “{name}” already.") from error
        raise
    return source, key


def revoke(*, source_id: int, by: StaffUser, now: dt.datetime) -> Source:
    """Stop a source's key; what it sent stays. Raises Source.DoesNotExist, HasNoKey, AlreadyRevoked.

    Other processes may go on accepting it for as long as `KNOWN_FOR`.
    """
    with transaction.atomic():
        source = Source.objects.get(pk=source_id)
        if source.kind != Source.Kind.HTTP:
            raise HasNoKey(f"{source.name} has no write key.")
        if not Source.objects.filter(pk=source_id, revoked_at__isnull=True).update(revoked_at=now):
            raise AlreadyRevoked(f"The key of {source.name} was revoked before.")
        source.revoked_at = now
        audit.record(action="source.revoked", obj=source, by=by, now=now, detail={"prefix": source.prefix})
    with _lock:
        _known.clear()
    return source


def authenticate(write_key: str, *, now: dt.datetime) -> Source | None:
    """The source whose key this is, unless it was revoked. At most one query per key and `KNOWN_FOR`."""
    match = _KEY.fullmatch(write_key)
    if match is None:
        return None
    key_hash = _hash(write_key)
    kept = _known.get(key_hash)
    if kept is not None and now < kept[0]:
        return kept[1]
    source = Source.objects.filter(prefix=match[1]).first()
    if source is not None and (source.revoked_at or not hmac.compare_digest(source.key_hash, key_hash)):
        source = None
    with _lock:
        if len(_known) >= _CACHE_SIZE:  # somebody is guessing
            _known.clear()
        _known[key_hash] = (now + KNOWN_FOR, source)
    return source


def seen(source: Source, *, now: dt.datetime) -> None:
    """Note that the source was heard of; writes at most once in `SEEN_EVERY` per process."""
    prefix = source.prefix or ""
    before = _seen.get(prefix) or source.last_seen_at
    if before is not None and now - before < SEEN_EVERY:
        return
    _seen[prefix] = now
    Source.objects.filter(Q(last_seen_at__isnull=True) | Q(last_seen_at__lt=now), pk=source.pk).update(last_seen_at=now)


def new_signing_secret(*, source_id: int, by: StaffUser, now: dt.datetime) -> tuple[Source, str]:
    """A new signing secret of a source, which cannot be read again; tokens made with an earlier one are refused.

    Raises Source.DoesNotExist, HasNoKey, AlreadyRevoked. Other processes may know the earlier one for `KNOWN_FOR`.
    """
    with transaction.atomic():
        source = Source.objects.select_for_update().get(pk=source_id)
        if source.kind != Source.Kind.HTTP:
            raise HasNoKey(f"{source.name} has no write key.")
        if source.revoked_at:
            raise AlreadyRevoked(f"The key of {source.name} was revoked before.")
        renewed = bool(source.signing_salt)
        source.signing_salt = secrets.token_hex(16)
        source.save(update_fields=["signing_salt"])
        audit.record(action="source.secret_created", obj=source, by=by, now=now, detail={"replaces_another": renewed})
    with _lock:
        _known.clear()
    return source, _signing_secret(source.signing_salt, settings.SECRET_KEY)


def user_token(secret: str, user_id: str, *, expires: int | None = None) -> str:
    """What a customer's backend makes of its signing secret for a user: proof that the user is who they say.

    `expires`: until when it is good, in seconds since 1970; without it, as long as the secret.
    """
    if expires is None:
        return hmac.new(secret.encode(), user_id.encode(), hashlib.sha256).hexdigest()
    said = f"{expires}\n{user_id}"  # no id of a user has a line break, so neither kind is ever taken for the other
    return f"{expires}.{hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest()}"


def vouches_for(source: Source, user_id: str, token: str, *, now: dt.datetime) -> bool:
    """Whether the token was made for this user with the source's signing secret, and is still good; never without
    a secret."""
    until = _EXPIRES.match(token)
    expires = int(until[1]) if until else None
    if (
        not source.signing_salt
        or not token.isascii()
        or "\n" in user_id
        or (expires is not None and expires <= now.timestamp())
    ):
        return False
    known: tuple[str, ...] = (settings.SECRET_KEY, *map(str, settings.SECRET_KEY_FALLBACKS))
    good = (user_token(_signing_secret(source.signing_salt, key), user_id, expires=expires) for key in known)
    return any(hmac.compare_digest(one, token) for one in good)


def _signing_secret(salt: str, key: str) -> str:
    digest = hmac.new(key.encode(), f"plgops.signing.{salt}".encode(), hashlib.sha256).hexdigest()
    return f"plgs_{digest}"


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
