"""Ring a consumer's doorbell: a task by name, at most once a second, never in anybody's way.

The rows in the database are the queue and the beat sweeps them every second. The doorbell only makes a
sweep come sooner; losing it costs a second, never work. So a broker that is down is logged and left alone
for a while, and is never an error or a wait for the request that rang.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from celery import current_app

logger = logging.getLogger(__name__)

AT_MOST_EVERY = 1.0  # seconds, per process and task
TIMEOUT = 0.5  # seconds
AFTER_FAILURE = 10.0  # seconds in which a broker that did not answer is not asked again

_lock = threading.Lock()
_not_before: dict[str, float] = {}
failures = 0  # since the process started; shown by the health page


def impatient_connection() -> Any:
    """A connection to the broker that gives up soon; the worker's patience would hang a request."""
    connection = current_app.connection_for_write()
    connection.connect_timeout = TIMEOUT
    connection.transport_options = (connection.transport_options or {}) | {
        "max_retries": 0,
        "connect_retries_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "socket_timeout": TIMEOUT,
    }
    return connection


def ring(task_name: str) -> None:
    """Send the task `task_name` unless it was sent within the last second. Never raises, never retries."""
    global failures
    now = time.monotonic()
    with _lock:
        if now < _not_before.get(task_name, 0.0):
            return
        _not_before[task_name] = now + AT_MOST_EVERY
    try:
        with impatient_connection() as connection:
            current_app.send_task(task_name, connection=connection, expires=5, retry=False, ignore_result=True)
    except Exception as error:  # whatever the broker's client raises: the sweep does the work anyway
        with _lock:
            failures += 1
            _not_before[task_name] = now + AFTER_FAILURE
        logger.warning("the broker did not take %s (%s); the sweep will find the work", task_name, error)
