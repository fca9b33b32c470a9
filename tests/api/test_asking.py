"""Who may ask the API, how often, and how it says what is wrong."""

import datetime as dt

import pytest
from django.test import Client
from django.test.client import FakePayload
from django.utils import timezone

from accounts import sources, tokens
from accounts.models import ApiToken
from accounts.rest.endpoint import MAX_BODY
from tests.api.conftest import Program, token_of

pytestmark = pytest.mark.django_db
ACCOUNTS = "accounts/"


@pytest.fixture
def reader(program, viewer):
    return program(viewer)


def test_who_is_nobody_is_told_so(world, client):
    for headers in ({}, {"HTTP_AUTHORIZATION": "Basic YTpi"}):
        response = client.get("/api/v1/accounts/", **headers)
        assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
        assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_token_that_is_none_revoked_too_old_or_of_nobody_any_more(world, rep, now):
    _, write_key = sources.create_source(name="Website", by=None, now=now)
    key = token_of(rep)
    for wrong in ("plt_wrong", key + "x", write_key, "plr_eyJ1Ijox.x", "", "plt_ß"):
        assert Program(wrong or " ").get(ACCOUNTS)[1]["code"] == "authentication_failed"
    asking = Program(key)
    assert asking.get(ACCOUNTS)[0] == 200
    ApiToken.objects.update(created_at=now - dt.timedelta(days=1), expires_at=now)
    assert asking.get(ACCOUNTS)[0] == 401
    ApiToken.objects.update(expires_at=now + dt.timedelta(days=1))
    rep.is_active = False
    rep.save()
    assert asking.get(ACCOUNTS)[0] == 401
    rep.is_active = True
    rep.save()
    tokens.revoke(token_id=ApiToken.objects.get().pk, by=rep, now=now)
    assert asking.get(ACCOUNTS)[0] == 401


def test_its_scope_and_its_owners_role_are_both_needed(world, program, rep, stranger):
    status, told = program(rep, "handoffs:read").get(ACCOUNTS)
    assert (status, told["code"]) == (403, "forbidden") and "accounts:read" in told["message"]
    status, told = program(stranger, "accounts:read").get(ACCOUNTS)
    assert (status, told["code"]) == (403, "forbidden") and "role" in told["message"]


def test_a_role_that_is_taken_away_takes_the_tokens_power(world, program, rep):
    asking = program(rep, "handoffs:write", "handoffs:read")
    handoff = asking.get("handoffs/")[1]["handoffs"][0]["id"]
    rep.groups.clear()
    assert asking.post(f"handoffs/{handoff}/claim/")[0] == 403


def test_the_use_of_a_token_is_noted(world, reader):
    ApiToken.objects.update(last_used_at=None)
    reader.get(ACCOUNTS)
    assert timezone.now() - ApiToken.objects.get().last_used_at < dt.timedelta(minutes=1)


def test_a_session_reads_and_does_not_write(world, client_of, admin):
    browser = client_of(admin)
    for end in ("", "/"):
        assert browser.get(f"/api/v1/accounts{end}").status_code == 200
    response = browser.post("/api/v1/definitions/", {}, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert "API token" in response.json()["message"]


def test_a_session_from_another_site_writes_nothing_either(world, admin):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(admin)
    assert browser.post("/api/v1/definitions/", {}, content_type="application/json").status_code == 403


def test_so_often_a_minute_and_no_more(world, program, rep, viewer, settings):
    settings.API_PER_MINUTE = 2
    asking, other = program(rep), program(viewer)
    assert [asking.get(ACCOUNTS)[0] for _ in range(3)] == [200, 200, 429]
    assert asking.get(ACCOUNTS)[1]["code"] == "rate_limited"
    assert 1 <= int(asking.last["Retry-After"]) <= 61
    assert other.get(ACCOUNTS)[0] == 200
    settings.API_PER_MINUTE = 0
    assert asking.get(ACCOUNTS)[0] == 200


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("accounts/nobody/qualifications/", {}, 404, "not_found"),
        ("accounts/nobody/", {}, 404, "not_found"),
        ("definitions/nothing/qualifiers/", {}, 404, "not_found"),
        ("definitions/nothing/", {}, 404, "not_found"),
        ("handoffs/12345/", {}, 404, "not_found"),
        ("handoffs/123456789012345678/", {}, 404, "not_found"),
        ("handoffs/1234567890123456789012/", {}, 404, "not_found"),
        ("nothing/", {}, 404, "not_found"),
        ("accounts/a%00b/", {}, 404, "not_found"),
        ("accounts/a%0Ab/", {}, 404, "not_found"),
        ("definitions/a%0Ab/versions/", {}, 404, "not_found"),
        ("accounts/acme/qualifications/", {"state": "maybe"}, 422, "invalid_parameter"),
        ("accounts/acme/qualifications/", {"today": "yes"}, 422, "invalid_parameter"),
        ("accounts/", {"plan": "a\x00b"}, 422, "invalid_parameter"),
        ("accounts/", {"limit": "0"}, 422, "invalid_parameter"),
        ("accounts/", {"limit": "101"}, 422, "invalid_parameter"),
        ("accounts/", {"seen_since": "soon"}, 422, "invalid_parameter"),
        ("accounts/", {"seen_since": "0001-01-01T00:00:00+14:00"}, 422, "invalid_parameter"),
        ("accounts/", {"cursor": "damaged"}, 422, "invalid_parameter"),
        ("definitions/team-expansion/qualifiers/", {"cursor": "WyIiLCIiLDEsIngiXQ"}, 422, "invalid_parameter"),
    ],
)
def test_what_makes_no_sense_is_said_in_json(world, reader, path, query, status, code):
    found = reader.get(path, **query)
    assert (found[0], found[1]["code"]) == (status, code)
    assert found[1]["message"] and (status == 404 or len(found[1]["fields"]) == 1)


def test_another_method_is_told_which_there_are(world, reader):
    assert reader.post("accounts/")[0] == 405
    assert "GET" in reader.last["Allow"]
    assert reader.client.delete("/api/v1/accounts/", **reader.headers).json()["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"a": ' + b"9" * 5000 + b"}", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"a=1", "application/x-www-form-urlencoded", 415),
        (b'"' + b"x" * MAX_BODY + b'"', "application/json", 413),
    ],
)
def test_a_body_that_is_none(world, program, admin, body, kind, status):
    asking = program(admin)
    response = asking.client.post("/api/v1/definitions/", body, content_type=kind, **asking.headers)
    assert response.status_code == status and {"code", "message"} <= response.json().keys()


def test_a_body_is_utf_8_whatever_it_says(world, program, admin):
    asking = program(admin)
    sent = {"CONTENT_TYPE": "application/json; charset=nonsense", "REQUEST_METHOD": "POST"}
    body = '{"document": {"slug": "straße"}}'.encode()
    sent |= {"PATH_INFO": "/api/v1/definitions/validate/", "wsgi.input": FakePayload(body), "CONTENT_LENGTH": len(body)}
    problems = asking.client.request(**sent, **asking.headers).json()["problems"]
    assert "/slug" in {problem["path"] for problem in problems}


def test_what_nobody_thought_of_is_json_too(world, reader, monkeypatch, caplog):
    monkeypatch.setattr("accounts.rest.accounts.told", lambda account: 1 / 0)
    assert reader.get("accounts/acme/")[1]["code"] == "internal_error"
    assert reader.last.status_code == 500 and "ZeroDivisionError" in caplog.text


def test_every_answer_is_the_askers_alone(world, reader):
    reader.get(ACCOUNTS)
    assert {"no-store", "private"} <= set(reader.last["Cache-Control"].split(", "))
