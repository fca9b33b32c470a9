"""The sources page: a key is shown once, and revoked by those who may."""

from __future__ import annotations

import re

import pytest

from accounts import sources
from accounts.models import Source
from tests.conftest import NOW

pytestmark = pytest.mark.django_db


def test_key_is_shown_once_and_works(client_of, admin):
    browser = client_of(admin)
    answer = browser.post("/sources/", {"name": "Backend"})
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    key = re.search(r"plg_[a-z0-9]{8}_[a-z0-9]{32}", answer.content.decode())[0]
    assert sources.authenticate(key, now=NOW).created_by == admin
    again = browser.get("/sources/").content.decode()
    assert key not in again and key[:12] + "_…" in again


@pytest.mark.parametrize(("name", "words"), [("Backend", "already"), ("", "required"), ("x" * 101, "at most 100")])
def test_wrong_name_is_told_beside_the_field(client_of, admin, name, words):
    sources.create_source(name="Backend", by=admin, now=NOW)
    answer = client_of(admin).post("/sources/", {"name": name})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert Source.objects.filter(kind="http").count() == 1


def test_revoke_stops_the_key(client_of, admin):
    source, key = sources.create_source(name="Backend", by=admin, now=NOW)
    answer = client_of(admin).post(f"/sources/{source.pk}/revoke/", follow=True)
    assert "is revoked" in answer.content.decode()
    assert "Revoked" in answer.content.decode()
    assert sources.authenticate(key, now=NOW) is None
    again = client_of(admin).post(f"/sources/{source.pk}/revoke/", follow=True)
    assert "was revoked before" in again.content.decode()
    assert client_of(admin).post("/sources/999999/revoke/").status_code == 404


@pytest.mark.parametrize("role", ["rep", "viewer", "stranger"])
def test_only_those_who_may_see_sources(client_of, request, role):
    browser = client_of(request.getfixturevalue(role))
    assert browser.get("/sources/").status_code == 403
    assert browser.post("/sources/", {"name": "Mine"}).status_code == 403
    assert browser.post("/sources/1/revoke/").status_code == 403
    assert Source.objects.filter(name="Mine").count() == 0


def test_anybody_else_logs_in_first(client, db):
    assert client.get("/sources/").status_code == 302


@pytest.mark.parametrize("rows", [1, 3])
def test_list_costs_the_same_for_any_number_of_rows(client_of, admin, rows, django_assert_num_queries):
    browser = client_of(admin)
    for n in range(rows):
        sources.create_source(name=f"Source {n}", by=admin, now=NOW)
    with django_assert_num_queries(4):  # session, user, roles, sources
        body = browser.get("/sources/").content.decode()
    assert body.count('aria-label="Revoke the key of') == rows
    assert body.count("Waiting for its first event") == 2 * rows  # a column, and on a phone a line under the name
