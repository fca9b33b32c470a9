"""Typed readers of the environment, used by settings.py only. A value that cannot be read stops the start."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import environ
from django.core.exceptions import ImproperlyConfigured

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def text(name: str, default: str = "") -> str:
    """The variable, or the content of the file that `NAME_FILE` names (for mounted secrets)."""
    file = os.environ.get(f"{name}_FILE")
    if file:
        try:
            return Path(file).read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE names a file that cannot be read: {error}") from error
    return os.environ.get(name) or default


def flag(name: str, default: bool) -> bool:
    """True or False; anything but the usual words is refused, so that a typing error is not a silent False."""
    value = os.environ.get(name)
    if value is None or value == "":
        return default
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")


def number(name: str, default: int, *, least: int = 0) -> int:
    """A whole number, `least` or more."""
    value = os.environ.get(name)
    if value is None or value == "":
        return default
    try:
        found = int(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from error
    if found < least:
        raise ImproperlyConfigured(f"{name} must be at least {least}, not {found}.")
    return found


def words(name: str, default: list[str]) -> list[str]:
    """A comma-separated list."""
    value = os.environ.get(name)
    return default if value is None else [word.strip() for word in value.split(",") if word.strip()]


def level(name: str, default: str) -> str:
    """One of LOG_LEVELS; small letters are taken too."""
    found = text(name, default).upper()
    if found not in LOG_LEVELS:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(LOG_LEVELS)}, not {found!r}.")
    return found


def zone(name: str, default: str) -> str:
    """The name of a time zone of the IANA database."""
    found = text(name, default)
    try:
        ZoneInfo(found)
    except (ValueError, LookupError, OSError) as error:
        raise ImproperlyConfigured(f"{name} must be a time zone such as Europe/Berlin, not {found!r}.") from error
    return found


def database(name: str, default: str) -> dict[str, Any]:
    """Django's settings of the database at this address: SQLite or PostgreSQL. The address is not repeated in the
    refusal, it may hold a password."""
    url = text(name, default)
    scheme, parted, _ = url.partition("://")
    if parted and scheme not in _DATABASES:
        raise ImproperlyConfigured(f"{name} begins with {scheme}://, which plgops does not run on. {_LIKE}")
    try:
        if not parted:
            raise ValueError("no scheme")
        found: dict[str, Any] = environ.Env.db_url_config(url)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} cannot be read. {_LIKE}") from error
    if not found["NAME"]:
        raise ImproperlyConfigured(f"{name} names no database. {_LIKE}")
    return found


_DATABASES = ("postgres", "postgresql", "psql", "pgsql", "sqlite")


def mail(name: str) -> dict[str, Any]:
    """Django's settings of the mail server at this address. The address is not repeated in the refusal."""
    try:
        found: dict[str, Any] = environ.Env.email_url_config(text(name))
    except (ValueError, LookupError, ImproperlyConfigured) as error:
        raise ImproperlyConfigured(f"{name} cannot be read. {_MAIL_LIKE}") from error
    if not found["EMAIL_BACKEND"].endswith(("smtp.EmailBackend", "console.EmailBackend")):
        raise ImproperlyConfigured(f"{name} names no mail server. {_MAIL_LIKE}")
    return {key: value for key, value in found.items() if key.startswith("EMAIL_") and value not in (None, "")}


_MAIL_LIKE = (
    "Write smtp+tls://user:password@host:587, smtp+ssl://user:password@host:465, smtp://host, or consolemail://."
)
_LIKE = "Write postgres://user:password@host:5432/name, or sqlite:////path/to/file."


def secret(name: str, kept_in: Path) -> str:
    """The variable, else a random value made once and kept in the file `kept_in`, readable by its owner only.

    Good for one machine. Several machines need the same value, so they set the variable.
    """
    given = text(name)
    if given:
        return given
    try:
        if not kept_in.exists():
            kept_in.parent.mkdir(parents=True, exist_ok=True)
            draft = kept_in.with_name(f"{kept_in.name}.{secrets.token_hex(4)}")
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(50))
            try:
                os.link(draft, kept_in)  # of two processes that start at once, one wins and both read its value
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return kept_in.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"Set {name}: no value could be kept in {kept_in} ({error}).") from error
