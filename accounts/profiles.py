"""What stands on the rows of accounts and people, made from their keys and their traits of today."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping
from typing import Any

from accounts import domains, lifecycle
from accounts.models import Account, AccountKey, ProductUser, UserKey
from accounts.payload import read_time
from accounts.traits import Standing
from accounts.workspace import day_of
from plgops.lib import bulk
from plgops.lib.days import minute_of

_NUMBER = re.compile(r"\d{1,9}")


def told_signup(traits: Mapping[str, Any], *, now: dt.datetime) -> dt.datetime | None:
    """The createdAt that came with traits (their names made uniform); None if there is none or it cannot be."""
    at = read_time(traits.get("created_at"))
    if at is None or at.year < 1971 or at > now + dt.timedelta(days=1):
        return None
    return at


def domain_of(traits: Mapping[str, Any]) -> str:
    """The company's domain that a person's e-mail speaks for; empty if there is none."""
    email = traits.get("email")
    return domains.of_company(email) if isinstance(email, str) else ""


def text(value: Any, longest: int) -> str:
    """A trait as a short text for a column."""
    return str(value).strip()[:longest] if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def whole(value: Any) -> int | None:
    """A trait as a whole number; ranges like 51-200 and other texts are none."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= 2_000_000_000 else None


def told(value: Any) -> bool:
    """A trait as yes or no."""
    return value is True or value == 1 or (isinstance(value, str) and value.strip().lower() in {"true", "yes", "1"})


def _signups(table: str, column: str, ids: Collection[int]) -> dict[int, tuple[dt.datetime, bool]]:
    """When each signed up, by its keys: the earliest explicit time, else the earliest message."""
    found: dict[int, tuple[dt.datetime, bool]] = {}
    for pk, explicit, first, linked in bulk.fetch(
        f"SELECT {column}, MIN(explicit_signup_at), MIN(first_seen_at),"
        f" {'MIN(linked_at)' if column == 'user_id' else 'NULL'}"
        f" FROM {table} WHERE {bulk.among(column)} GROUP BY {column}",
        [bulk.many(sorted(ids))],
    ):
        at = bulk.read_time(explicit) or bulk.read_time(first) or bulk.read_time(linked)
        if at is not None:
            found[pk] = (at, explicit is not None)
    return found


def refresh_signups_of_people(user_ids: Collection[int]) -> set[int]:
    """Bring the signup of these people up to date; whose changed."""
    return _refresh_signups(ProductUser._meta.db_table, UserKey._meta.db_table, "user_id", user_ids)


def refresh_signups_of_accounts(account_ids: Collection[int], *, now: dt.datetime) -> set[int]:
    """Bring the signup of these accounts up to date, and their stage signed_up; whose changed."""
    changed = _refresh_signups(Account._meta.db_table, AccountKey._meta.db_table, "account_id", account_ids)
    _reach_signed_up(account_ids, now=now)
    return changed


def _refresh_signups(table: str, keys: str, column: str, ids: Collection[int]) -> set[int]:
    if not ids:
        return set()
    signups = _signups(keys, column, ids)
    rows = []
    for pk, signed_up_at, explicit in bulk.fetch(
        f"SELECT id, signed_up_at, signup_is_explicit FROM {table} WHERE {bulk.among('id')}",
        [bulk.many(sorted(ids))],
    ):
        at, is_explicit = signups.get(pk, (bulk.read_time(signed_up_at), bool(explicit)))
        if at is not None and (at, is_explicit) != (bulk.read_time(signed_up_at), bool(explicit)):
            rows.append((pk, at, day_of(at), is_explicit))
    bulk.update(
        table,
        ("id", "bigint"),
        [("signed_up_at", "timestamptz"), ("signup_day", "int"), ("signup_is_explicit", "boolean")],
        sorted(rows),
    )
    return {row[0] for row in rows}


def _reach_signed_up(account_ids: Collection[int], *, now: dt.datetime) -> None:
    signups: dict[int, dt.datetime] = {}
    tombs = []
    for pk, merged_into, signed_up_at in bulk.fetch(
        f"SELECT id, merged_into_id, signed_up_at FROM {Account._meta.db_table} WHERE {bulk.among('id')} ORDER BY id",
        [bulk.many(sorted(account_ids))],
    ):
        at = bulk.read_time(signed_up_at)
        assert at is not None  # the column is NOT NULL
        if merged_into is None:
            signups[pk] = at
        else:
            tombs.append(pk)
    lifecycle.sign_up(signups, tombs=tombs, now=now)


def project_people(standing: Mapping[int, Standing]) -> None:
    """Write today's traits of people onto their rows."""
    rows = []
    for pk, one in sorted(standing.items()):
        values = one.values
        full = text(values.get("name"), 200)
        if not full:
            full = f"{text(values.get('first_name'), 100)} {text(values.get('last_name'), 99)}".strip()
        rows.append(
            (
                pk,
                text(values.get("email"), 254).lower(),
                full,
                text(values.get("title"), 200),
                text(values.get("invited_by"), 210),
                bulk.json_text(values),
                told(values.get("do_not_contact")),
            )
        )
    bulk.update(
        ProductUser._meta.db_table,
        ("id", "bigint"),
        [
            ("email", "text"),
            ("name", "text"),
            ("title", "text"),
            ("invited_by_key", "text"),
            ("traits", "jsonb"),
            ("do_not_contact", "boolean"),
        ],
        rows,
    )


def told_internal(traits: Mapping[str, Any]) -> bool:
    """Whether an account's traits say that it is ours or a test."""
    return told(traits.get("is_internal")) or told(traits.get("is_test"))


def project_accounts(standing: Mapping[int, Standing]) -> None:
    """Write today's traits of accounts onto their rows; whether they are internal only where nobody said it by hand."""
    if not standing:
        return
    ids = sorted(standing)
    own_domain = dict(
        bulk.fetch(
            f"SELECT account_id, MIN(key) FROM {AccountKey._meta.db_table}"
            f" WHERE key LIKE 'd:%%' AND {bulk.among('account_id')} GROUP BY account_id",
            [bulk.many(ids)],
        )
    )
    rows = []
    for pk, external_id, provisional in bulk.fetch(
        f"SELECT id, external_id, is_provisional FROM {Account._meta.db_table} WHERE {bulk.among('id')}",
        [bulk.many(ids)],
    ):
        values = standing[pk].values
        domain = domains.of_website(text(values.get("domain"), 200)) or domains.of_website(
            text(values.get("website"), 200)
        )
        if not domain and pk in own_domain:
            domain = own_domain[pk][2:]
        bare = external_id.removeprefix("domain:") if provisional else external_id
        rows.append(
            (
                pk,
                text(values.get("name"), 200) or bare,
                domain,
                text(values.get("plan"), 100),
                whole(values.get("seats")),
                whole(values.get("employees")),
                bulk.json_text(values),
            )
        )
    bulk.update(
        Account._meta.db_table,
        ("id", "bigint"),
        [
            ("name", "text"),
            ("domain", "text"),
            ("plan", "text"),
            ("seats", "int"),
            ("employees", "int"),
            ("traits", "jsonb"),
        ],
        sorted(rows),
    )
    # decided by the row as it stands, which is locked now: somebody may just have marked it
    bulk.update(
        Account._meta.db_table,
        ("id", "bigint"),
        [("is_internal", "boolean")],
        [(pk, told_internal(standing[pk].values)) for pk, *_ in sorted(rows)],
        "t.marked_internal IS NULL AND t.is_internal <> v.is_internal",
    )


def seen(table: str, times: Mapping[int, dt.datetime]) -> None:
    """Raise the newest activity of people or accounts to the minute; never lowers it.

    To the minute, because lists are sorted by it: each change writes every index of the row, and a busy
    account would pay that with each batch.
    """
    bulk.update(
        table,
        ("id", "bigint"),
        [("last_seen_at", "timestamptz")],
        sorted((pk, minute_of(at)) for pk, at in times.items()),
        "t.last_seen_at IS NULL OR t.last_seen_at < v.last_seen_at",
    )
