"""Lines of the log, as people and collectors read them."""

from __future__ import annotations

import copy
import logging
import re

_KEYS = re.compile(r"(/claim/)[^/\s]+")  # addresses that are keys by themselves; Django names what it refused


class Line(logging.Formatter):
    """A record as a line; a traceback only for what went wrong here.

    Django logs a refused request (403, 400 …) with the exception by which a view refused it. Nothing is broken then, so
    it stays one line. A claim link that was refused may still be good: the log never has it.
    """

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info and 400 <= getattr(record, "status_code", 500) < 500:
            record = copy.copy(record)  # other handlers see it whole
            record.exc_info = record.exc_text = None
        return _KEYS.sub(r"\1…", super().format(record))
