"""Traits: what is said about people and accounts, and which value stands on which day.

`TraitFact` is the log of what was said, by key; `TraitValue` is derived from it: at the end of a day stands
what was said last until then (at one instant: the greater text in binary order, and of `"5"` and `5` the number).
A row of TraitValue is a
change that lasted to the end of a day, over `[from_day, to_day)`, so the order of arrival never matters.

camelCase and snake_case are one name, kept as snake_case. Objects are opened one level (`company.plan`),
lists and deeper objects kept as canonical JSON. An explicit null is a value: no value from then on (SQL
NULL). A null is stored with the text `null`.

An account that has a subscription says its plan and mrr through that: from its first state on, what group
calls say of the mrr, and of the plan while a subscription names one, is kept in the log but does not stand.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db import connection

from accounts.counting import text_of
from accounts.models import SubscriptionState, TraitFact, TraitValue
from accounts.movements import Point, history
from accounts.usage import day_of_micros, metered_of
from plgops.lib import bulk
from plgops.lib.days import FOREVER, micros

LONGEST_NAME, LONGEST_TEXT = 100, 500

_FACT = bulk.Table(
    TraitFact._meta.db_table,
    (
        ("key", "text"),
        ("day", "int"),
        ("digest", "bytea"),
        ("first_at", "timestamptz"),
        ("last_at", "timestamptz"),
        ("traits", "jsonb"),
        ("recorded_at", "timestamptz"),
    ),
)
_F = _FACT.name
_ADD_FACT = (
    "ON CONFLICT (key, day, digest) DO UPDATE SET"
    f" first_at = CASE WHEN excluded.first_at < {_F}.first_at THEN excluded.first_at ELSE {_F}.first_at END,"
    f" last_at = CASE WHEN excluded.last_at > {_F}.last_at THEN excluded.last_at ELSE {_F}.last_at END"
)
_VALUE = bulk.Table(
    TraitValue._meta.db_table,
    (
        ("account_id", "bigint"),
        ("user_id", "bigint"),
        ("key", "text"),
        ("name", "text"),
        ("value", "jsonb"),
        ("text", "text"),
        ("number", "bigint"),
        ("valid_from", "timestamptz"),
        ("recorded_at", "timestamptz"),
        ("from_day", "int"),
        ("to_day", "int"),
    ),
)
_IS_TEXT = "SUBSTR(CAST(value AS text), 1, 1) = '\"'"  # a JSON string, where its text alone may be a number's too
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\s\-]+")


def snake_case(name: str) -> str:
    """`firstName`, `First Name` and `first_name` are the same trait."""
    return _WORDS.sub("_", name.strip()).lower()[:LONGEST_NAME]


def normalised(traits: Mapping[str, Any]) -> dict[str, Any]:
    """Names made uniform and objects opened one level; of two spellings the later in binary order stands."""
    found: dict[str, Any] = {}
    for name in sorted(traits):
        value = traits[name]
        if isinstance(value, dict):
            for inner in sorted(value):
                found[f"{snake_case(name)}.{snake_case(inner)}"[:LONGEST_NAME]] = value[inner]
        elif plain := snake_case(name):
            found[plain] = value
    return found


@dataclass(slots=True)
class Said:
    """Traits of one key said at a moment."""

    key: str
    at: dt.datetime
    traits: dict[str, Any]


@dataclass(slots=True)
class _Change:
    """One value from a day on."""

    key: str
    name: str
    value: Any
    text: str
    at: dt.datetime
    recorded_at: dt.datetime
    from_day: int
    to_day: int = FOREVER


@dataclass(slots=True)
class Standing:
    """Today's traits of one subject, and whether anything about them changed."""

    values: dict[str, Any] = field(default_factory=dict)
    changed: bool = False


def record(said: Iterable[Said], *, now: dt.datetime) -> None:
    """Write down what was said, once per key, day and content."""
    rows: dict[tuple[str, int, bytes], list[Any]] = {}
    for one in said:
        text = orjson.dumps(one.traits, option=orjson.OPT_SORT_KEYS)
        digest = hashlib.blake2b(text, digest_size=16).digest()
        key = (one.key, day_of_micros(micros(one.at)), digest)
        row = rows.get(key)
        if row is None:
            rows[key] = [one.at, one.at, text.decode(), now]
        else:
            row[0], row[1] = min(row[0], one.at), max(row[1], one.at)
    bulk.write(_FACT, [(*key, *rows[key]) for key in sorted(rows)], _ADD_FACT)


def news(said: Iterable[Said], subjects: Mapping[str, int], column: str) -> set[int]:
    """The subjects (ids by key) for whom any of this is more than a repetition of what stands today."""
    by_subject: dict[int, list[Said]] = defaultdict(list)
    for one in said:
        if one.traits:
            by_subject[subjects[one.key]].append(one)
    standing: dict[tuple[int, str], tuple[str, bool, dt.datetime | None]] = {}
    if by_subject:
        for subject, name, text, is_text, valid_from in bulk.fetch(
            f"SELECT {column}, name, text, {_IS_TEXT}, valid_from FROM {_VALUE.name}"
            f" WHERE {bulk.among(column)} AND to_day = %s",
            [bulk.many(sorted(by_subject)), FOREVER],
        ):
            standing[subject, name] = (text, bool(is_text), bulk.read_time(valid_from))
    changed = set()
    for subject, several in by_subject.items():
        for one in several:
            for name, value in one.traits.items():
                text, is_text, since = standing.get((subject, name), ("", True, None))
                known = text == text_of(value)[:LONGEST_TEXT] and is_text == isinstance(value, str)
                if since is None or not known or one.at < since:
                    changed.add(subject)
    return changed


def derive(owners: Mapping[str, int], column: str, *, alone: Collection[int] = ()) -> dict[int, Standing]:
    """Make the dated values of these subjects again from what was said under their keys.

    `owners`: every key of each subject; `column`: `account_id` or `user_id`; `alone`: subjects to leave
    without traits (tombstones). Only differences are written.
    """
    wanted: dict[int, dict[tuple[str, int], _Change]] = {subject: {} for subject in {*owners.values(), *alone}}
    said: dict[tuple[int, str], list[tuple[dt.datetime, str, str, Any, dt.datetime]]] = defaultdict(list)
    for key, first_at, last_at, traits, recorded_at in bulk.fetch(
        f"SELECT key, first_at, last_at, traits, recorded_at FROM {_F} WHERE {bulk.among('key')}",
        [bulk.many(sorted(owners))],
    ):
        known = traits if isinstance(traits, dict) else orjson.loads(traits)
        recorded = bulk.read_time(recorded_at)
        for at in {first_at, last_at}:
            moment = bulk.read_time(at)
            for name, value in known.items():
                said[owners[key], name].append((moment, text_of(value)[:LONGEST_TEXT], key, value, recorded))  # type: ignore[arg-type]
    if column == "account_id":
        _let_billing_say(said, sorted(wanted))
    for (subject, name), several in said.items():
        for change in _changes(name, several):
            wanted[subject][name, change.from_day] = change
    return _store(wanted, column)


def _let_billing_say(
    said: dict[tuple[int, str], list[tuple[dt.datetime, str, str, Any, dt.datetime]]], account_ids: list[int]
) -> None:
    """From an account's first subscription state on, its mrr is what its subscriptions say, and so is its plan
    while one of them names it."""
    points: dict[int, list[Point]] = defaultdict(list)
    recorded: dict[tuple[int, dt.datetime], dt.datetime] = {}
    keys: dict[int, str] = {}
    for account_id, key, external_id, at, plan, mrr, recorded_at in SubscriptionState.objects.filter(
        subscription__account_id__in=account_ids
    ).values_list(
        "subscription__account_id",
        "subscription__account_key",
        "subscription__external_id",
        "at",
        "plan",
        "mrr",
        "recorded_at",
    ):
        points[account_id].append(Point((key, external_id), at, plan, mrr, ""))
        recorded[account_id, at] = max(recorded.get((account_id, at), recorded_at), recorded_at)
        keys[account_id] = min(keys.get(account_id, key), key)
    for account_id, states in points.items():
        paid = history(states)
        for name in ("plan", "mrr"):
            group = sorted(said[account_id, name], key=_order)
            told = said[account_id, name] = [one for one in group if one[0] < paid[0][0]]
            for index, (at, plan, mrr) in enumerate(paid):
                value: Any = plan if name == "plan" else int(mrr) if mrr == int(mrr) else float(mrr)
                if value == "":  # a subscription without a plan leaves the word to the group calls
                    until = paid[index + 1][0] if index + 1 < len(paid) else None
                    value = next((one[3] for one in reversed(group) if one[0] <= at), None)
                    told += [one for one in group if one[0] > at and (until is None or one[0] < until)]
                told.append((at, text_of(value), keys[account_id], value, recorded[account_id, at]))


def _order(said: tuple[dt.datetime, str, str, Any, dt.datetime]) -> tuple[dt.datetime, str, bool, str]:
    at, text, key, value, _ = said
    return at, text, not isinstance(value, str), key


def _changes(name: str, said: list[tuple[dt.datetime, str, str, Any, dt.datetime]]) -> list[_Change]:
    """What stood at the end of each day, as changes."""
    said.sort(key=_order)
    changes: list[_Change] = []
    for index, (at, text, key, value, recorded_at) in enumerate(said):
        day = day_of_micros(micros(at))
        if index + 1 < len(said) and day_of_micros(micros(said[index + 1][0])) == day:
            continue  # replaced before the day ended
        if changes and changes[-1].text == text and isinstance(changes[-1].value, str) == isinstance(value, str):
            continue
        if changes:
            changes[-1].to_day = day
        changes.append(_Change(key, name, value, text, at, recorded_at, day))
    return changes


def _store(wanted: dict[int, dict[tuple[str, int], _Change]], column: str) -> dict[int, Standing]:
    standing = {subject: Standing() for subject in wanted}
    gone: list[int] = []
    for pk, subject, name, from_day, to_day, text, is_text in bulk.fetch(
        f"SELECT id, {column}, name, from_day, to_day, text, {_IS_TEXT} FROM {_VALUE.name} WHERE {bulk.among(column)}",
        [bulk.many(sorted(wanted))],
    ):
        change = wanted[subject].get((name, from_day))
        now = (text, bool(is_text), to_day)
        if change is not None and (change.text, isinstance(change.value, str), change.to_day) == now:
            if to_day == FOREVER:
                standing[subject].values[name] = change.value
            del wanted[subject][name, from_day]
        else:
            gone.append(pk)
            standing[subject].changed = True
    if gone:
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {_VALUE.name} WHERE {bulk.among('id')}", [bulk.many(gone)])
    rows = []
    for subject in sorted(wanted):
        for (name, _), change in sorted(wanted[subject].items()):
            standing[subject].changed = True
            if change.to_day == FOREVER:
                standing[subject].values[name] = change.value
            number = metered_of(change.value)
            stored = None if change.value is None else bulk.json_text(change.value)
            ids = (subject, 0) if column == "account_id" else (0, subject)
            rows.append(
                (*ids, change.key, name, stored, change.text, number, change.at, change.recorded_at)
                + (change.from_day, change.to_day)
            )
    bulk.write(_VALUE, rows)
    return standing
