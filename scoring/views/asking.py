"""Questions to history from a request: so many at once, each only so long, and in words why there is no answer."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

from accounts import lake
from plgops.lib.db import TooSlow, statements_within

logger = logging.getLogger(__name__)

AT_ONCE = 2  # questions of one web process; its other threads go on serving pages
WAIT = 5.0  # seconds for one's turn
PATIENCE = 20.0  # seconds for an answer that somebody waits for while editing
PATIENCE_WITH_HISTORY = 60.0  # and for one that a large company's whole history is read for
_turns = threading.BoundedSemaphore(AT_ONCE)


class Busy(lake.CannotAnswer):
    """Other questions are being answered."""


@contextlib.contextmanager
def question(*, patience: float = PATIENCE) -> Iterator[None]:
    """Ask the usage lake, and where it has to be the app database, inside. Whatever keeps it from an answer is a
    lake.CannotAnswer: `why` says it in words."""
    if not _turns.acquire(timeout=WAIT):
        raise Busy("Other questions are being answered.")
    try:
        with lake.patience(patience), statements_within(patience):
            yield
    except TooSlow as error:
        raise lake.TooLong("The question took too long.") from error
    finally:
        _turns.release()


def passes(error: lake.CannotAnswer) -> bool:
    """Whether the same question is worth asking again in a few seconds."""
    return isinstance(error, lake.NoLake | Busy)


def why(error: lake.CannotAnswer) -> str:
    """What keeps a question from its answer."""
    match error:
        case lake.NoLake():
            return "The usage data is being prepared. That takes about a minute after the first start."
        case lake.TooLong():
            return "This took too long and was stopped. Ask for fewer conditions, or for fewer days."
        case Busy():
            return "Other questions are being answered at the moment. Try again in a few seconds."
    logger.error("the usage lake could not answer", exc_info=error)
    return "The usage data cannot be read at the moment."
