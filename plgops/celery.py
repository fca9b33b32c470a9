"""The worker processes: `celery -A plgops worker`, and `celery -A plgops beat`."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_process_init
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from plgops.checks import refuse_wrong_zone
from plgops.lib import collector

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "plgops.settings")
app = Celery("plgops")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_configure.connect
def read_settings(**kwargs: Any) -> None:
    """A setting that cannot be read stops the start with its one line."""
    try:
        settings.SECRET_KEY  # noqa: B018  reads all of them
    except ImproperlyConfigured as error:
        raise SystemExit(f"plgops: {error}") from error  # Celery only logs any other exception


@worker_init.connect
def refuse_to_start(**kwargs: Any) -> None:
    """A worker that would count other days than the database's must not evaluate anything."""
    try:
        refuse_wrong_zone()
    except ImproperlyConfigured as error:
        raise SystemExit(f"plgops: {error}") from error  # Celery only logs any other exception
    connections.close_all()  # the worker forks


@worker_process_init.connect
def settle(**kwargs: Any) -> None:
    """Each process of the pool, before its first task."""
    collector.settle()
