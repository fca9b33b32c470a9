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
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
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


_Saying = tuple[dt.datetime, str, str, Any, dt.datetime]  # when, as text, under which key, the value, recorded
_EVER, _NO_DAY = dt.datetime.min.replace(tzinfo=dt.UTC), -(2**31)  # before all


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


def news(said: Iterable[Said], subjects: Mapping[str, int], column: str) -> dict[int, dt.datetime]:
    """The subjects (ids by key) for whom any of this is more than a repetition of what stands today, and since when."""
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
    changed: dict[int, dt.datetime] = {}
    for subject, several in by_subject.items():
        for one in several:
            if subject in changed and changed[subject] <= one.at:
                continue
            for name, value in one.traits.items():
                text, is_text, since = standing.get((subject, name), ("", True, None))
                known = text == text_of(value)[:LONGEST_TEXT] and is_text == isinstance(value, str)
                if since is None or not known or one.at < since:
                    changed[subject] = one.at
                    break
    return changed


def derive(
    owners: Mapping[str, int],
    column: str,
    *,
    alone: Collection[int] = (),
    since: Mapping[int, dt.datetime] | None = None,
) -> dict[int, Standing]:
    """Make the dated values of these subjects again from what was said under their keys.

    `owners`: every key of each subject; `column`: `account_id` or `user_id`; `alone`: subjects to leave
    without traits (tombstones). `since`: subjects of whom nothing is new but what was said from then on, so that
    what was said before need not be read again, however much that is. Only differences are written.
    """
    subjects = sorted({*owners.values(), *alone})
    paid = _paid(subjects) if column == "account_id" else {}
    began = {
        subject: at
        for subject, at in (since or {}).items()
        if subject not in paid or paid[subject].decide_alone_from(at)
    }
    said = _said(owners, began)
    for subject, bills in paid.items():
        if subject not in began:
            bills.speak(said)
        else:  # they say what they said before
            said.pop((subject, "plan"), None)
            said.pop((subject, "mrr"), None)
    return _store(said, _stored(subjects, column, began), subjects, set(began), column)


def _said(owners: Mapping[str, int], began: Mapping[int, dt.datetime]) -> dict[tuple[int, str], list[_Saying]]:
    """What was said of each subject and name; of those that `began` has, the last of each day since then."""
    asked = []
    for key, subject in sorted(owners.items()):
        at = began.get(subject, _EVER)
        asked.append((key, _NO_DAY if at is _EVER else day_of_micros(micros(at)), at))
    table, told = bulk.table("v", (("key", "text"), ("day", "int"), ("since", "timestamptz")), asked)
    said: dict[tuple[int, str], list[_Saying]] = defaultdict(list)
    for key, first_at, last_at, traits, recorded_at in bulk.fetch(
        f"SELECT f.key, f.first_at, f.last_at, f.traits, f.recorded_at FROM {table}"
        f" JOIN {_F} f ON f.key = v.key AND f.day >= v.day AND f.last_at >= v.since",
        [told],
    ):
        known = traits if isinstance(traits, dict) else orjson.loads(traits)
        recorded = bulk.read_time(recorded_at)
        # within a day the last counts; only subscriptions ask for the first one as well
        for at in {last_at} if owners[key] in began else {first_at, last_at}:
            moment = bulk.read_time(at)
            for name, value in known.items():
                said[owners[key], name].append((moment, text_of(value)[:LONGEST_TEXT], key, value, recorded))  # type: ignore[arg-type]
    return said


@dataclass(slots=True)
class _Paid:
    """What an account's subscriptions say of its plan and mrr."""

    account_id: int
    key: str
    history: list[tuple[dt.datetime, str, Decimal]]
    recorded: dict[dt.datetime, dt.datetime]

    def decide_alone_from(self, at: dt.datetime) -> bool:
        """Whether nothing that a group call says of plan and mrr from `at` on stands."""
        until = [moment for moment, _, _ in self.history[1:]] + [None]
        first = self.history[0][0]
        named = (plan for (_, plan, _), end in zip(self.history, until, strict=True) if end is None or end > at)
        return at >= first and all(named)

    def speak(self, said: dict[tuple[int, str], list[_Saying]]) -> None:
        """From the first state on, the mrr is what the subscriptions say, and so is the plan while one names it."""
        for name in ("plan", "mrr"):
            group = sorted(said[self.account_id, name], key=_order)
            told = said[self.account_id, name] = [one for one in group if one[0] < self.history[0][0]]
            for index, (at, plan, mrr) in enumerate(self.history):
                value: Any = plan if name == "plan" else int(mrr) if mrr == int(mrr) else float(mrr)
                if value == "":  # a subscription without a plan leaves the word to the group calls
                    until = self.history[index + 1][0] if index + 1 < len(self.history) else None
                    value = next((one[3] for one in reversed(group) if one[0] <= at), None)
                    told += [one for one in group if one[0] > at and (until is None or one[0] < until)]
                told.append((at, text_of(value), self.key, value, self.recorded[at]))


def _paid(account_ids: Sequence[int]) -> dict[int, _Paid]:
    """The accounts that have subscriptions."""
    points: dict[int, list[Point]] = defaultdict(list)
    recorded: dict[int, dict[dt.datetime, dt.datetime]] = defaultdict(dict)
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
        recorded[account_id][at] = max(recorded[account_id].get(at, recorded_at), recorded_at)
        keys[account_id] = min(keys.get(account_id, key), key)
    return {pk: _Paid(pk, keys[pk], history(states), recorded[pk]) for pk, states in points.items()}


def _order(said: _Saying) -> tuple[dt.datetime, str, bool, str]:
    at, text, key, value, _ = said
    return at, text, not isinstance(value, str), key


def _changes(name: str, said: list[_Saying], before: _Change | None) -> list[_Change]:
    """What stood at the end of each day, as changes; the first one is what stood `before`, if anything did."""
    said.sort(key=_order)
    changes = [] if before is None else [before]
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


@dataclass(slots=True)
class _Row:
    """A stored change."""

    pk: int
    subject: int
    change: _Change


def _stored(subjects: Sequence[int], column: str, began: Mapping[int, dt.datetime]) -> list[_Row]:
    """What is stored of these subjects; of those that `began` has, what reaches into the day of that or further."""
    asked = [(subject, day_of_micros(micros(began[subject])) if subject in began else _NO_DAY) for subject in subjects]
    table, told = bulk.table("v", (("subject", "bigint"), ("day", "int")), asked)
    found = []
    for pk, subject, key, name, value, text, valid_from, recorded_at, from_day, to_day in bulk.fetch(
        f"SELECT t.id, v.subject, t.key, t.name, t.value, t.text, t.valid_from, t.recorded_at, t.from_day, t.to_day"
        f" FROM {table} JOIN {_VALUE.name} t ON t.{column} = v.subject AND t.to_day >= v.day",
        [told],
    ):
        at, recorded = bulk.read_time(valid_from), bulk.read_time(recorded_at)
        assert at is not None and recorded is not None  # the columns are NOT NULL
        known = None if value is None else orjson.loads(value)
        found.append(_Row(pk, subject, _Change(key, name, known, text, at, recorded, from_day, to_day)))
    return found


def _store(
    said: Mapping[tuple[int, str], list[_Saying]],
    stored: Sequence[_Row],
    subjects: Collection[int],
    began: Collection[int],
    column: str,
) -> dict[int, Standing]:
    """Write what differs from `stored`. Of subjects in `began` only names that were said are looked at, from the
    day on which they were said first; what stood until then stands."""
    first_day = {
        place: day_of_micros(micros(min(one[0] for one in several)))
        for place, several in said.items()
        if place[0] in began and several
    }
    standing = {subject: Standing() for subject in subjects}
    before: dict[tuple[int, str], _Change] = {}
    compared: list[_Row] = []
    for row in stored:
        day = first_day.get((row.subject, row.change.name))
        if row.subject in began and (day is None or row.change.to_day < day):
            if row.change.to_day == FOREVER:
                standing[row.subject].values[row.change.name] = row.change.value
            continue
        compared.append(row)
        if day is not None and row.change.from_day < day:
            before[row.subject, row.change.name] = replace(row.change, to_day=FOREVER)
    wanted = {
        (subject, name, change.from_day): change
        for (subject, name), several in said.items()
        for change in _changes(name, several, before.get((subject, name)))
    }
    gone: list[int] = []
    for row in compared:
        place = (row.subject, row.change.name, row.change.from_day)
        if place in wanted and _is_same(wanted[place], row.change):
            change = wanted.pop(place)
            if change.to_day == FOREVER:
                standing[row.subject].values[change.name] = change.value
        else:
            gone.append(row.pk)
            standing[row.subject].changed = True
    if gone:
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {_VALUE.name} WHERE {bulk.among('id')}", [bulk.many(gone)])
    rows = []
    for (subject, name, _), change in sorted(wanted.items(), key=lambda item: item[0]):
        standing[subject].changed = True
        if change.to_day == FOREVER:
            standing[subject].values[name] = change.value
        value = None if change.value is None else bulk.json_text(change.value)
        ids = (subject, 0) if column == "account_id" else (0, subject)
        rows.append(
            (*ids, change.key, name, value, change.text, metered_of(change.value), change.at, change.recorded_at)
            + (change.from_day, change.to_day)
        )
    bulk.write(_VALUE, rows)
    return standing


def _is_same(one: _Change, other: _Change) -> bool:
    """Whether the same stands from the same day to the same."""
    kinds = isinstance(one.value, str) == isinstance(other.value, str)
    return kinds and (one.text, one.to_day) == (other.text, other.to_day)
