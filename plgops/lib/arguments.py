"""What is typed after a command, read: refused in words that say what to type instead."""

from __future__ import annotations

import argparse
import datetime as dt
import re


def date(text: str) -> dt.date:
    """A calendar date, YYYY-MM-DD; for `add_argument(type=…)`. argparse puts the option's name before the words."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise argparse.ArgumentTypeError(f"write the date as YYYY-MM-DD, such as 2026-03-31, not “{text}”")
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"there is no day {text} in the calendar") from error
