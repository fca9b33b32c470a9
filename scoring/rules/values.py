"""Plain values of a stored definition: objects, numbers, texts, lists, each checked against its limits. Pure."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from plgops.lib import days
from scoring.rules.problems import Problem

MAX_DAYS = 3650
MAX_THRESHOLD = 1_000_000_000
MAX_LIST = 200  # events or values in one condition


def json_kind(value: object) -> str:
    """What a JSON value is, in words for a message."""
    if value is None:
        return "null"
    for kinds, word in (
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "a text"),
        (list, "a list"),
        (dict, "an object"),
    ):
        if isinstance(value, kinds):
            return word
    return "something that is not JSON"


def at(path: str, key: str | int) -> str:
    """The JSON pointer one step further down."""
    text = str(key).replace("~", "~0").replace("/", "~1")
    return f"{path}/{text}"


def quoted(words: tuple[str, ...] | list[str]) -> str:
    """Words for a message, one after another."""
    return ", ".join(f"“{word}”" for word in words)


class Reader:
    """Reads plain values, noting problems with their place instead of stopping at the first."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.conditions = 0  # read so far

    def wrong(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))

    def table(self, value: object, path: str, *, needs: tuple[str, ...], may: tuple[str, ...]) -> dict[str, Any] | None:
        """An object with these keys and no others."""
        if not isinstance(value, dict):
            self.wrong(path, f"expected an object, not {json_kind(value)}")
            return None
        known = needs + may
        for key in value:
            if key not in known:
                self.wrong(at(path, key), f"unknown key; expected one of {quoted(known)}")
        for key in needs:
            if key not in value:
                self.wrong(path, f"“{key}” is missing")
        return value

    def whole(self, value: object, path: str, *, low: int, high: int) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(path, f"expected a whole number from {low} to {high}, not {json_kind(value)}")
            return None
        if not low <= value <= high:
            self.wrong(path, f"expected a whole number from {low} to {high}")
            return None
        return value

    def micro(self, value: object, path: str) -> int | None:
        """A number in micro-units: exact, so at most six decimals."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.wrong(path, f"expected a number, not {json_kind(value)}")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self.wrong(path, "expected a finite number")
            return None
        if abs(value) > MAX_THRESHOLD * 1000:
            self.wrong(path, f"expected a number between -{MAX_THRESHOLD * 1000} and {MAX_THRESHOLD * 1000}")
            return None
        scaled = Decimal(str(value)) * days.MICRO
        if scaled != int(scaled):
            self.wrong(path, "expected at most six decimals")
            return None
        return int(scaled)

    def text(self, value: object, path: str, *, longest: int) -> str | None:
        if not isinstance(value, str):
            self.wrong(path, f"expected a text, not {json_kind(value)}")
            return None
        if not value.strip() or len(value) > longest:
            self.wrong(path, f"expected a text of 1 to {longest} characters")
            return None
        if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            self.wrong(path, "expected a text without null characters and broken surrogates")
            return None
        return value

    def choice(self, value: object, path: str, words: tuple[str, ...]) -> str | None:
        if not isinstance(value, str) or value not in words:
            self.wrong(path, f"expected one of {quoted(words)}")
            return None
        return value

    def items(self, value: object, path: str, *, longest: int = MAX_LIST) -> list[Any] | None:
        if not isinstance(value, list):
            self.wrong(path, f"expected a list, not {json_kind(value)}")
            return None
        if not 1 <= len(value) <= longest:
            self.wrong(path, f"expected a list of 1 to {longest}")
            return None
        return value
