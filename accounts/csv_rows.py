"""CSV rows as tracking messages: which columns there are, what a cell means, what is wrong with a row.

Files hold one of four kinds of rows:

- accounts: `account_id`, `name`, `created_at`, `plan`, and any other column is a trait of the account;
- users: `user_id`, `account_id`, `email`, `created_at`, `invited_by`, and any other column is a trait;
- events: `event`, `timestamp`, `user_id`, `account_id`, `message_id`, and any other column is a property;
- revenue: `account_id`, `at`, `mrr`, `plan`, `motion`, `subscription_id`: the state of the subscription from
  then on. Other columns are left out and named in the report.

An empty cell says nothing (it does not clear a trait). Whole numbers, decimals, true/false and JSON objects or
lists become values of their type; everything else, also digits with a leading zero, stays text. Times are ISO
8601; one without an offset is in the workspace's zone, a bare date is that day's first instant. No database here.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import orjson

KINDS = ("accounts", "users", "events", "revenue")
COLUMNS: dict[str, tuple[str, ...]] = {
    "accounts": ("account_id", "name", "created_at", "plan"),
    "users": ("user_id", "account_id", "email", "created_at", "invited_by"),
    "events": ("event", "timestamp", "user_id", "account_id", "message_id"),
    "revenue": ("account_id", "at", "mrr", "plan", "motion", "subscription_id"),
}
REQUIRED: dict[str, tuple[str, ...]] = {
    "accounts": ("account_id",),
    "users": ("user_id",),
    "events": ("event", "timestamp", "user_id"),
    "revenue": ("account_id", "at", "mrr"),
}
# What exports call these columns; only offered as a guess that a person confirms.
ALSO_CALLED: dict[str, dict[str, tuple[str, ...]]] = {
    "accounts": {
        "account_id": ("id", "group_id", "company_id", "workspace_id", "organization_id", "org_id", "team_id"),
        "name": ("account_name", "company", "company_name", "workspace", "organization"),
        "created_at": ("created", "signup_date", "signed_up_at", "date_registered", "registered_at"),
    },
    "users": {
        "user_id": ("id", "person_id", "member_id", "student_id"),
        "account_id": ("group_id", "company_id", "workspace_id", "organization_id", "org_id", "team_id"),
        "email": ("email_address", "mail"),
        "created_at": ("created", "signup_date", "signed_up_at", "date_registered", "registered_at"),
        "invited_by": ("inviter", "inviter_id", "invited_by_user_id"),
    },
    "events": {
        "event": ("event_name", "event_type", "name", "action"),
        "timestamp": ("time", "date", "occurred_at", "created_at", "at", "event_time", "datetime"),
        "user_id": ("distinct_id", "person_id", "actor_id"),
        "account_id": ("group_id", "company_id", "workspace_id", "organization_id", "org_id", "team_id"),
        "message_id": ("event_id", "uuid", "insert_id"),
    },
    "revenue": {
        "account_id": ("group_id", "company_id", "customer_id", "workspace_id", "organization_id"),
        "at": ("date", "timestamp", "effective_at", "changed_at", "from"),
        "mrr": ("monthly_recurring_revenue", "amount"),
        "plan": ("plan_name", "product"),
        "subscription_id": ("subscription",),
    },
}
LEFT_OUT = ""  # a mapping's word for: not imported
MAX_CELL = 1_000_000
MAX_LINE = 16_000_000  # characters; a zipped file can hold a line that no memory holds

_WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9]\d*)\.\d+([eE][+-]?\d+)?|-?[1-9]\d*(\.\d+)?[eE][+-]?\d+", re.ASCII)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SURROGATE = re.compile("[\ud800-\udfff]")

csv.field_size_limit(MAX_CELL)


class BadFile(ValueError):
    """The file as a whole cannot be read: no header, a required column missing, a column twice."""


class BadRow(ValueError):
    """One row cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line of the file it begins on, its cells by what they mean, and as it stood."""

    line: int
    cells: dict[str, str]  # known columns, stripped; absent where empty
    extra: dict[str, str]  # traits or properties by name
    raw: list[str]
    error: str = ""  # why it cannot be read, when that is already clear


def normal(name: str) -> str:
    """A column's name as it is compared: `Account ID`, `accountId` and `account_id` are one."""
    return re.sub(r"[\s\-]+", "_", _CAMEL.sub("_", name.strip())).lower()


def exact_mapping(kind: str, header: list[str]) -> dict[str, str]:
    """Column of the file -> known column by its very name, else a trait or property under the file's name."""
    known = COLUMNS[kind]
    other = (lambda name: LEFT_OUT) if kind == "revenue" else str.strip
    return {name: normal(name) if normal(name) in known else other(name) for name in header}


def guessed_mapping(kind: str, header: list[str]) -> dict[str, str]:
    """As `exact_mapping`, with the first column that goes by another usual name for what is still missing."""
    mapping = exact_mapping(kind, header)
    taken = set(mapping.values())
    for column, names in ALSO_CALLED[kind].items():
        if column in taken:
            continue
        found = next((h for n in names for h in header if normal(h) == n and mapping[h] not in COLUMNS[kind]), None)
        if found is not None:
            mapping[found] = column
    return mapping


def check_mapping(kind: str, mapping: Mapping[str, str]) -> None:
    """BadFile unless every required column is there and none is named twice."""
    targets = [target for target in mapping.values() if target != LEFT_OUT]
    missing = [column for column in REQUIRED[kind] if column not in targets]
    if missing:
        raise BadFile(f"A file of {kind} needs the column {' and '.join(missing)}; there are {', '.join(mapping)}.")
    twice = sorted({target for target in targets if targets.count(target) > 1})
    if twice:
        raise BadFile(f"Two columns are called {' and '.join(twice)}.")


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, io.TextIOWrapper]]:
    """The file on disk (its position tells progress) and its text: unzipped if it is gzip, without a BOM."""
    with path.open("rb") as disk:
        zipped = disk.read(2) == b"\x1f\x8b"
        disk.seek(0)
        plain: Any = gzip.GzipFile(fileobj=disk) if zipped else disk
        text = io.TextIOWrapper(plain, encoding="utf-8-sig", errors="surrogateescape", newline="")
        try:
            yield disk, text
        finally:
            text.detach()


def header_of(text: io.TextIOWrapper) -> tuple[list[str], Any]:
    """The header's names and the csv.reader of what follows; comma, semicolon or tab, whichever the header has most."""
    try:
        first = next(_lines(text), "")
    except (OSError, EOFError, zlib.error) as error:
        raise BadFile(f"The file cannot be read: {error}.") from error
    reader = csv.reader(chain([first], _lines(text)), delimiter=max(",;\t", key=first.count))
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise BadFile(f"The header line cannot be read: {error}.") from error
    if not any(header):
        raise BadFile("The file has no header line.")
    if "" in header or len(set(header)) < len(header):
        raise BadFile("Every column needs a name of its own in the header line.")
    if any(_SURROGATE.search(name) for name in header):
        raise BadFile("The header line is not UTF-8 text.")
    return header, reader


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise BadFile(f"The file has a line of more than {MAX_LINE} characters.")
        yield line


def rows(reader: Any, header: list[str], mapping: Mapping[str, str], kind: str, *, passed: int = 0) -> Iterator[Row]:
    """Every row, in order, with the line that it begins on; blank lines are passed over.

    `passed`: how many lines of the file were passed over that the reader has not seen.
    """
    known = COLUMNS[kind]
    targets = [mapping.get(name, LEFT_OUT) for name in header]
    while True:
        line = passed + reader.line_num + 1
        try:
            raw = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, {}, {}, [], f"The row cannot be read: {error}.")
            continue
        except (OSError, EOFError, zlib.error) as error:
            raise BadFile(f"The file ends in the middle: {error}.") from error
        if not any(raw):
            continue
        if len(raw) != len(header):
            yield Row(line, {}, {}, raw, f"The row has {len(raw)} fields; the header has {len(header)}.")
            continue
        cells: dict[str, str] = {}
        extra: dict[str, str] = {}
        for target, value in zip(targets, raw, strict=True):
            text = value.strip()
            if text and target != LEFT_OUT:
                (cells if target in known else extra)[target] = text
        readable = not any(_SURROGATE.search(value) for value in raw)
        yield Row(line, cells, extra, raw, "" if readable else "The row is not UTF-8 text.")


def typed(text: str) -> Any:
    """What a cell means: a whole number, a decimal, true or false, a JSON object or list, else the text."""
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text[0] in "{[":
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
    return text


def moment(text: str, zone: ZoneInfo, column: str) -> dt.datetime:
    """The instant that a cell names, in UTC."""
    try:
        value = dt.datetime.fromisoformat(text)
        return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise BadRow(f"{column} must be a time like 2026-03-01 or 2026-03-01T09:30:00Z, not “{text[:80]}”.") from None


def derived_id(kind: str, row: Row) -> str:
    """The row's message id: from what it says and nothing else, so that the same row is the same message.

    Two identical rows are one message, whichever files they stand in.
    """
    content = orjson.dumps([kind, row.cells, row.extra], option=orjson.OPT_SORT_KEYS)
    return f"csv:{hashlib.blake2b(content, digest_size=16).hexdigest()}"


def message(kind: str, row: Row, zone: ZoneInfo, *, created: dt.datetime | None = None) -> dict[str, Any]:
    """The tracking message that a row says; BadRow if it cannot be one.

    `created` stands in for `created_at` where the row has none: the moment from which its traits are true.
    """
    cells = row.cells
    for column in REQUIRED[kind]:
        if column not in cells:
            raise BadRow(f"{column} is empty.")
    traits = {name: typed(value) for name, value in row.extra.items()}
    if kind == "events":
        said: dict[str, Any] = {
            "type": "track",
            "event": cells["event"],
            "userId": cells["user_id"],
            "timestamp": moment(cells["timestamp"], zone, "timestamp").isoformat(),
            "properties": traits,
        }
        if "account_id" in cells:
            said["context"] = {"groupId": cells["account_id"]}
    elif kind == "revenue":
        said = {
            "type": "group",
            "groupId": cells["account_id"],
            "timestamp": moment(cells["at"], zone, "at").isoformat(),
            # the plan is a dated trait as well, so that rules know it as of any day; not that of an add-on
            "traits": {"plan": cells["plan"]} if "plan" in cells and "subscription_id" not in cells else {},
        }
    else:
        told = moment(cells["created_at"], zone, "created_at") if "created_at" in cells else None
        if told:
            traits["createdAt"] = told.isoformat()
        traits |= {name: cells[name] for name in ("name", "plan", "email", "invited_by") if name in cells}
        since = told or created
        said = {"timestamp": since.isoformat() if since else None, "traits": traits}
        if kind == "accounts":
            said |= {"type": "group", "groupId": cells["account_id"]}
        else:
            said |= {"type": "identify", "userId": cells["user_id"]}
            if "account_id" in cells:
                said["context"] = {"groupId": cells["account_id"]}
    said["messageId"] = cells.get("message_id") or derived_id(kind, row)
    return said


def amount(text: str) -> Decimal:
    """An MRR as exact money; BadRow if it is no plain number."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise BadRow(f"mrr must be a plain number like 49 or 1250.50, not “{text[:80]}”.") from None
