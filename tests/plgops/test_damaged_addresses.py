"""Addresses that somebody cut, guessed or made up: told, never an error page of ours."""

from __future__ import annotations

import base64
import json

import pytest

pytestmark = pytest.mark.django_db


def cursor(*position) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/?q=%00x",
        "/accounts/?plan=%00",
        "/palette/?q=a%00b",
        "/event-types/?q=%00",
        "/quarantine/?code=%00",
        "/inbox/?q=%00",
        "/tickets/?q=%00",
        "/kb/?q=%00",
        "/accounts/%00/",
        f"/accounts/?cursor={cursor('-last_seen_at', '', 'abc', 5)}",
        f"/quarantine/?cursor={cursor('-received_at', '', 'abc', 5)}",
        f"/sources/?cursor={cursor('name', '', 'x', 'y')}",
    ],
)
def test_damaged_address_is_told(client_of, admin, path):
    assert client_of(admin).get(path).status_code in (400, 404)


def test_the_api_tells_it_in_json(client):
    answer = client.post("/v1/batch?writeKey=%00", b"{}", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_write_key")
