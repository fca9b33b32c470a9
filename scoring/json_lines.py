"""JSON texts for people: written with short parts on one line, and where in a text a path points. Pure.

`locate(text)` reads the text once and gives the place of every value by its JSON pointer (RFC 6901).
It accepts what `json.loads` accepts; a text that is no JSON raises `json.JSONDecodeError`, whose `lineno`
and `colno` say where.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

_SPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"[^\s,\]}]+")


@dataclass(frozen=True, slots=True)
class Place:
    """A line and a column of a text, both from 1; the column counts characters."""

    line: int
    column: int


def pretty(document: object) -> str:
    """A document as JSON for people: short objects on one line, as in the guide to the language."""
    return _pretty(document, 0)


def _pretty(value: object, depth: int) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or (len(flat) + 2 * depth <= 88 and depth > 0):
        return flat
    pad, end = "  " * (depth + 1), "  " * depth
    if isinstance(value, list):
        inner = [_pretty(item, depth + 1) for item in value]
        return "[\n" + ",\n".join(pad + item for item in inner) + f"\n{end}]"
    pairs = [f"{json.dumps(k, ensure_ascii=False)}: {_pretty(v, depth + 1)}" for k, v in value.items()]
    return "{\n" + ",\n".join(pad + pair for pair in pairs) + f"\n{end}}}"


def locate(text: str) -> dict[str, Place]:
    """The place of every value in `text` by its JSON pointer; a member's place is that of its key."""
    json.loads(text)  # says precisely what is wrong with a text that is no JSON; below, the text is sound
    starts = [0] + [i + 1 for i, character in enumerate(text) if character == "\n"]
    places: dict[str, Place] = {}
    line = 0

    def mark(pointer: str, at: int) -> None:
        nonlocal line
        while line + 1 < len(starts) and starts[line + 1] <= at:
            line += 1
        places[pointer] = Place(line + 1, at - starts[line] + 1)

    def skip(at: int) -> int:
        found = _SPACE.match(text, at)
        return found.end() if found else at

    def value(at: int, pointer: str) -> int:
        """Read the value that starts at `at`; gives the index behind it."""
        if text[at] == '"':
            return _string(text, at)[1]
        if text[at] not in "{[":
            found = _SCALAR.match(text, at)
            return found.end() if found else at + 1
        closing = "}" if text[at] == "{" else "]"
        at, number = skip(at + 1), 0
        while text[at] != closing:
            if closing == "}":
                key, behind = _string(text, at)
                child = f"{pointer}/{escape(key)}"
                mark(child, at)
                at = skip(skip(behind) + 1)
            else:
                child = f"{pointer}/{number}"
                mark(child, at)
                number += 1
            at = skip(value(at, child))
            if text[at] == ",":
                at = skip(at + 1)
        return at + 1

    begin = skip(0)
    mark("", begin)
    value(begin, "")
    return places


def place_of(places: dict[str, Place], pointer: str) -> Place:
    """Where `pointer` is, or its nearest ancestor that stands in the text (a missing key is its object's fault)."""
    while pointer and pointer not in places:
        pointer = pointer.rpartition("/")[0]
    return places.get(pointer, Place(1, 1))


def escape(key: str) -> str:
    """A key as one step of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def _string(text: str, at: int) -> tuple[str, int]:
    """The string literal that starts at `at`, and the index behind it."""
    key, behind = json.decoder.scanstring(text, at + 1)  # type: ignore[attr-defined]
    return key, behind
