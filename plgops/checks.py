"""Misconfiguration, told with a hint: Django system checks, and the one that stops a start.

`manage.py check` runs the plain ones, `check --deploy` those of production too, `check --database default`
the one that asks the database. The web and the worker process call `refuse_wrong_zone` when they start.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.http.request import validate_host

# memory:// is Celery's own, for tests; the file and SQL transports of Celery lose messages
LEAST_KEPT = 30  # days
BROKER_SCHEMES = ("redis", "rediss", "redis+socket", "amqp", "amqps", "pyamqp", "memory")


@register(Tags.urls)
def site_url(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """SITE_URL must be an address, and one that this installation answers to."""
    parts = urlsplit(settings.SITE_URL)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return [
            Error(
                f"SITE_URL is not an address: {settings.SITE_URL!r}.",
                hint="Set it to what people type, for example https://plgops.example.com",
                id="plgops.E001",
            )
        ]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if not validate_host(host, settings.ALLOWED_HOSTS):
        return [
            Warning(
                f"SITE_URL's host {host} is not in ALLOWED_HOSTS: its pages would answer 400.",
                hint=f"Set ALLOWED_HOSTS={host}",
                id="plgops.W002",
            )
        ]
    return []


@register()
def alerts_kept(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The forecast of alerts looks back four weeks: what happened in them must be there."""
    if settings.ALERTS_KEPT_DAYS == 0 or settings.ALERTS_KEPT_DAYS >= LEAST_KEPT:
        return []
    return [
        Error(
            f"ALERTS_KEPT_DAYS is {settings.ALERTS_KEPT_DAYS}: the forecast of alerts looks back four weeks.",
            hint=f"Set it to {LEAST_KEPT} or more, or to 0 to keep alerts for ever.",
            id="plgops.E010",
        )
    ]


@register()
def broker_url(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """BROKER_URL must name a broker that keeps what it is given."""
    scheme = settings.BROKER_URL.partition("://")[0]
    if scheme in BROKER_SCHEMES:
        return []
    return [
        Error(
            f"BROKER_URL begins with {scheme}://, which plgops does not run on.",
            hint="Use redis://, rediss://, redis+socket:// or amqp:// (RabbitMQ).",
            id="plgops.E003",
        )
    ]


@register(Tags.security, deploy=True)
def secret_key_is_shared(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """In production the key comes from the environment: every process on every machine needs the same one."""
    if settings.SECRET_KEY_IS_SET:
        return []
    return [
        Error(
            "SECRET_KEY is not set; each machine would make a key of its own and log everybody out.",
            hint="Set SECRET_KEY, or SECRET_KEY_FILE to a file that holds it.",
            id="plgops.E004",
        )
    ]


@register(Tags.staticfiles, deploy=True)
def static_files_are_collected(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """With hashed names every page needs the manifest that collectstatic writes."""
    if not settings.STATIC_HASHED:
        return [
            Warning(
                "STATIC_HASHED is off: browsers ask for every style sheet and script again.",
                hint="Run manage.py collectstatic with STATIC_HASHED=true, and set it for the web process.",
                id="plgops.W005",
            )
        ]
    if (Path(settings.STATIC_ROOT) / "staticfiles.json").exists():
        return []
    return [
        Error(
            "STATIC_HASHED is on, but the static files were not collected: every page would fail.",
            hint="Run manage.py collectstatic --noinput with STATIC_HASHED=true.",
            id="plgops.E006",
        )
    ]


@register(deploy=True)
def database_for_production(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """SQLite has one writer and lives on one machine."""
    if not settings.DATABASES[DEFAULT_DB_ALIAS]["ENGINE"].endswith("sqlite3"):
        return []
    return [
        Warning(
            "The database is SQLite: one machine, one writer at a time.",
            hint="Set DATABASE_URL=postgres://… (PostgreSQL 15 or newer).",
            id="plgops.W007",
        )
    ]


@register(Tags.security, deploy=True)
def proxies_are_counted(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Behind a proxy every request has the proxy's address, unless it is told how many there are."""
    if settings.TRUSTED_PROXIES < 0:
        return [
            Error(
                f"TRUSTED_PROXIES is {settings.TRUSTED_PROXIES}; it counts the proxies in front.",
                hint="Set it to 0, or to how many proxies a request goes through.",
                id="plgops.E009",
            )
        ]
    if settings.SECURE_PROXY_SSL_HEADER is None or settings.TRUSTED_PROXIES:
        return []
    return [
        Warning(
            "BEHIND_TLS_PROXY is on, but TRUSTED_PROXIES is 0: log-in attempts of everybody count as from one address.",
            hint="Set TRUSTED_PROXIES to how many proxies a request goes through, most often 1.",
            id="plgops.W010",
        )
    ]


@register(Tags.database)
def workspace_zone(app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Days are stored as integers in the workspace's zone, so the zone cannot be changed by a variable."""
    if not databases or DEFAULT_DB_ALIAS not in databases:
        return []
    if (
        apps.get_model("accounts", "Workspace")._meta.db_table
        not in connections[DEFAULT_DB_ALIAS].introspection.table_names()
    ):
        return []  # before the first migration, which stores the zone
    stored = stored_zone()
    if stored in (None, settings.TIME_ZONE):
        return []
    return [
        Error(
            f"PLGOPS_TIME_ZONE is {settings.TIME_ZONE}, but this workspace's days were counted in {stored}.",
            hint=f"Set PLGOPS_TIME_ZONE={stored}. Changing the zone is an offline rebuild: docs/operations.md.",
            id="plgops.E008",
        )
    ]


def stored_zone() -> str | None:
    """The time zone that the first migration stored; None before it ran."""
    workspace = apps.get_model("accounts", "Workspace")
    zone: str | None = workspace._default_manager.values_list("time_zone", flat=True).first()
    return zone


def refuse_wrong_zone() -> None:
    """Stop a web or worker process whose days would not be those in the database."""
    try:
        stored = stored_zone()
    except DatabaseError as error:
        raise ImproperlyConfigured(f"The database is not ready ({error}). Run manage.py migrate first.") from error
    if stored != settings.TIME_ZONE:
        raise ImproperlyConfigured(
            f"PLGOPS_TIME_ZONE is {settings.TIME_ZONE}, but this workspace's days were counted in {stored}. "
            f"Set PLGOPS_TIME_ZONE={stored}; changing the zone is an offline rebuild (docs/operations.md)."
        )
