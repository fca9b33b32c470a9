"""Programs that ask the API: tokens of people, with scopes, over a real client."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts import tokens
from accounts.models import ApiToken
from tests.factories.scoring import make_account, make_user, publish, sweep, use

DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def nobody_asked_before():
    """How often tokens asked is kept by process, tests share one."""
    cache.clear()


@pytest.fixture
def now():
    return timezone.now()


class Program:
    """A program with a token: `get` and `post` answer status and JSON; `last` is the whole response."""

    def __init__(self, key: str, **headers: str) -> None:
        self.client, self.key = Client(), key
        self.headers = {"HTTP_AUTHORIZATION": f"Bearer {key}"} if key else {}
        self.headers |= headers

    def get(self, path: str, **query):
        self.last = self.client.get(f"/api/v1/{path}", query, **self.headers)
        return self.last.status_code, self.last.json()

    def post(self, path: str, body=None, *, key: str = "", **headers):
        more = {"HTTP_IDEMPOTENCY_KEY": key} if key else {}
        self.last = self.client.post(
            f"/api/v1/{path}",
            json.dumps({} if body is None else body),
            content_type="application/json",
            **self.headers,
            **more,
            **headers,
        )
        return self.last.status_code, self.last.json()


def token_of(user, *scopes: str, days: int = 1) -> str:
    """A token of a person, with these scopes (none: all), whether or not their role has them today."""
    offered = tokens.offered
    tokens.offered = lambda _: tokens.SCOPES
    try:
        _, key = tokens.create(
            user=user, name="Test", scopes=scopes or list(tokens.SCOPES), days=days, by=None, now=timezone.now()
        )
    finally:
        tokens.offered = offered
    ApiToken.objects.update(last_used_at=timezone.now())  # the first use of a token is written; no test counts that
    return key


@pytest.fixture
def program():
    """`program(user, *scopes)`: a program of this person, whose token has all scopes if none is named."""
    return lambda user, *scopes: Program(token_of(user, *scopes))


def qualified(name: str, *, now, invites: int = 4):
    """An account that qualifies for TEAM with the next sweep."""
    account = make_account(name, recorded_at=now - 30 * DAY)
    use(account, "Invite Sent", at=now - DAY, count=invites, user=make_user(account, "ann"))
    return account


@pytest.fixture
def world(now, db):
    """Three companies that came to qualify by what they did, each with a handoff."""
    publish(now - 20 * DAY)
    return handed_over("Acme", "Bolt", "Core", now=now)


def handed_over(*names: str, now):
    """Companies with a handoff each: what they did came after the definition was published and had been applied."""
    found = [make_account(name, recorded_at=now - 30 * DAY) for name in names]
    sweep(now - 2 * DAY)
    for account in found:
        use(account, "Invite Sent", at=now - DAY, count=4, user=make_user(account, "ann"))
    sweep(now)
    return found
