"""Whose turn it is to talk to the mail server: of one machine's workers one at a time.

A server that takes connections and then says nothing keeps whoever talks to it for minutes. Without turns the beat
would send the next worker to it every few seconds, until none is left to evaluate what happens.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator

from django.conf import settings

LOCK = "mail.lock"  # in settings.VAR_DIR


@contextlib.contextmanager
def taken() -> Iterator[bool]:
    """Whether it is this worker's turn until the end of the block; nobody waits for one."""
    settings.VAR_DIR.mkdir(parents=True, exist_ok=True)  # a machine of workers alone keeps nothing else there
    with (settings.VAR_DIR / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # given back by the system when the process dies
        except BlockingIOError:
            yield False
        else:
            yield True
