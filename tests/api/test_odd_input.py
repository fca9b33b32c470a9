"""What no client sends by intention: damaged cursors, numbers that are none, names that nobody has. Never a 5xx."""

from __future__ import annotations

import base64
import json

import pytest

from scoring.models import Handoff
from tests.factories.scoring import document

pytestmark = pytest.mark.django_db
LISTS = (
    "accounts/",
    "accounts/acme/qualifications/",
    "qualifications/",
    "definitions/",
    "definitions/team-expansion/versions/",
    "definitions/team-expansion/qualifiers/",
    "handoffs/",
    "plays/",
)


def cursor(*parts) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


CURSORS = {
    "deep": base64.urlsafe_b64encode(b"[" * 1400).decode().rstrip("="),
    "year one": cursor("", "t", "0001-01-01T00:00:00+14:00", 1),
    "year one, by time": cursor("-opened_at", "t", "0001-01-01T00:00:00+14:00", 1),
    "year one, by evidence": cursor("-since_at", "t", "0001-01-01T00:00:00+14:00", 1),
    "end of time": cursor("-opened_at", "t", "9999-12-31T23:59:59-14:00", 1),
    "naive": cursor("-opened_at", "t", "2026-06-15T09:00:00", 1),
    "a number for a time": cursor("-opened_at", "", 5, 1),
    "a word for a time": cursor("-since_at", "", "soon", 1),
    "infinite": cursor("-since_at", "d", "Infinity", 1),
    "not a number": cursor("-opened_at", "d", "NaN", 1),
    "huge": cursor("", "", None, 10**30),
    "huge, by time": cursor("-opened_at", "t", "2026-06-15T09:00:00+00:00", 10**30),
    "huge of a word": cursor("", "", None, "9" * 4400),
    "surrogate": cursor("", "", None, "\ud800"),
    "nul": cursor("", "", None, "\x00"),
    "yes": cursor("", "", None, True),
    "nothing": cursor("-opened_at", "", None, 1),
    "too short": cursor(""),
    "no list": base64.urlsafe_b64encode(b"5").decode(),
}


@pytest.mark.parametrize("damaged", CURSORS.values(), ids=CURSORS)
@pytest.mark.parametrize("path", LISTS)
def test_a_damaged_cursor_is_refused_or_a_page(world, program, admin, path, damaged):
    status, said = program(admin).get(path, cursor=damaged)
    assert status in (200, 422), said
    if status == 422:
        assert said["code"] == "invalid_parameter" and "cursor" in said["fields"]


@pytest.mark.parametrize("odd", ["1e999", "-1e999", "9" * 5000, "9" * 4000, '"\\u0000"', '"\\ud800"', "1.5e300"])
@pytest.mark.parametrize("place", ["rule", "slug", "name", "at_least", "beside"])
def test_a_value_that_is_none_is_refused_with_its_place(program, admin, world, odd, place):
    wanted = document()
    if place == "at_least":
        wanted["rule"] = {"count": {"event": "Invite Sent", "at_least": "ODD", "window": "ever"}}
    else:
        wanted[place] = "ODD"
    text = json.dumps({"document": wanted}).replace('"ODD"', odd)
    robot = program(admin)
    for path, key in (("definitions/validate/", ""), ("definitions/", ""), ("definitions/", "one")):
        headers = robot.headers | ({"HTTP_IDEMPOTENCY_KEY": key} if key else {})
        found = robot.client.post(f"/api/v1/{path}", text, content_type="application/json", **headers)
        assert found.status_code in (200, 400, 422), found.content
        assert found.json().get("valid", False) is False


@pytest.mark.parametrize("odd", ["\x00", "\ud800", "a" * 10_000, "9" * 30])
def test_names_that_nobody_has(world, program, admin, odd):
    robot, handoff = program(admin), Handoff.objects.first()
    quoted = odd.encode("utf-8", "surrogatepass")
    for query in ("owner", "definition", "account", "plan", "state", "updated_since", "limit", "cursor"):
        for path in LISTS:
            robot.last = robot.client.get(f"/api/v1/{path}", {query: quoted}, **robot.headers)
            assert robot.last.status_code in (200, 422), (path, query, robot.last.content)
    status, _ = robot.post(f"handoffs/{handoff.pk}/assign/", {"owner": odd})
    assert status in (400, 422)
    status, _ = robot.post(f"handoffs/{handoff.pk}/close/", {"outcome": "lost", "reason": odd})
    assert status in (400, 422)


@pytest.mark.parametrize("until", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z"])
def test_times_at_the_ends_of_the_calendar(world, program, admin, until):
    robot, handoff = program(admin), Handoff.objects.first()
    robot.post(f"handoffs/{handoff.pk}/claim/")
    assert robot.post(f"handoffs/{handoff.pk}/snooze/", {"until": until})[0] == 422
    for path in ("handoffs/", "qualifications/", "definitions/"):
        assert robot.get(path, updated_since=until)[0] in (200, 422)
    assert robot.get("accounts/", seen_since=until)[0] in (200, 422)
