"""The frame around every page: navigation by role, counts, errors, the style guide, the policy."""

from __future__ import annotations

import re

import pytest
from django.core.exceptions import SuspiciousOperation
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import resolve

from plgops import views
from plgops.lib import access
from tests.conftest import make_staff

HX = {"HX-Request": "true"}


def nav_links(html: str) -> list[str]:
    side = html.split('<nav class="side"')[1].split("</nav>")[0]
    return re.findall(r'<li><a href="([^"]+)"', side)


@pytest.mark.django_db
@pytest.mark.parametrize("role", access.ROLES)
def test_every_link_of_the_navigation_opens_for_who_sees_it(client_of, role):
    client = client_of(make_staff("somebody", role))
    links = nav_links(client.get("/profile/").content.decode())
    assert {link: client.get(link).status_code for link in links} == dict.fromkeys(links, 200)


def test_navigation_shows_what_one_may_open(client_of, rep, admin):
    seen = nav_links(client_of(rep).get("/profile/").content.decode())
    assert "/inbox/" in seen and "/sources/" not in seen
    assert "/sources/" in nav_links(client_of(admin).get("/profile/").content.decode())


def test_without_a_role_there_is_nothing_to_open(client_of, stranger):
    html = client_of(stranger).get("/profile/").content.decode()
    assert nav_links(html) == []
    assert "No role yet" in html


def test_every_page_of_the_navigation_has_its_own_keys():
    items = [item for group in views.NAV for item in group.items]
    assert len({item.keys for item in items}) == len(items)
    assert set(views.TABBAR) <= {item.name for item in items}
    for item in items:
        assert resolve(item.href)


def test_the_place_is_marked(client_of, rep):
    html = client_of(rep).get("/accounts/").content.decode()
    side = html.split('<nav class="side"')[1].split("</nav>")[0]
    assert re.findall(r'href="([^"]+)"[^>]*aria-current="page"', side) == ["/accounts/"]


def test_the_frame_costs_three_queries(client_of, rep):
    client = client_of(rep)
    with CaptureQueriesContext(connection) as made:
        client.get("/profile/")
    assert len(made) == 3  # session, user, roles


def test_counts_are_one_capped_query_each(client_of, rep):
    client = client_of(rep)
    with CaptureQueriesContext(connection) as made:
        html = client.get("/nav/counts/", headers=HX).content.decode()
    assert len(made) == 5  # session, user, roles, handoffs, tickets
    assert 'id="nav-inbox" hx-swap-oob="true"' in html
    assert all("LIMIT 100" in query["sql"] for query in made.captured_queries[3:])


def test_pages_run_under_the_policy_without_inline_code(client_of, admin):
    for path in ("/profile/", "/kit/", "/accounts/", "/login/", "/nothing/"):
        client = Client() if path == "/login/" else client_of(admin)
        response = client.get(path)
        html = response.content.decode()
        assert "default-src 'self'" in response["Content-Security-Policy"]
        assert "unsafe" not in response["Content-Security-Policy"]
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", html), path


@pytest.mark.parametrize(("path", "status"), [("/nothing/", 404), ("/accounts/?cursor=damaged", 400)])
def test_errors_are_pages_for_people_and_words_for_htmx(client_of, rep, path, status):
    client = client_of(rep)
    page = client.get(path)
    assert page.status_code == status
    assert '<nav class="side"' in page.content.decode() and "<h1>" in page.content.decode()
    toast = client.get(path, headers=HX)
    assert (toast.status_code, toast["Content-Type"]) == (status, "text/plain; charset=utf-8")
    assert "<" not in toast.content.decode()


def test_a_403_says_what_is_missing(client_of, stranger):
    response = client_of(stranger).get("/accounts/")
    assert response.status_code == 403
    assert "does not include this: see accounts, their people and what they did." in response.content.decode()


@pytest.mark.django_db
def test_an_error_for_nobody_offers_the_log_in(client):
    html = client.get("/nothing/").content.decode()
    assert '<nav class="side"' not in html and 'href="/login/"' in html


def test_a_500_needs_nothing_at_all():
    response = views.server_error(RequestFactory().get("/"))  # no session, no user, no database in this test
    assert response.status_code == 500
    assert "Something broke on our side" in response.content.decode()


def test_a_400_shows_why():
    request = RequestFactory().get("/", headers={"Accept": "application/json"})
    response = views.bad_request(request, SuspiciousOperation("The page link is damaged."))
    assert response.content.decode() == "The page link is damaged."


@pytest.mark.django_db
def test_a_missing_token_is_explained(rep):
    client = Client(enforce_csrf_checks=True)
    client.force_login(rep)
    response = client.post("/profile/preferences/", {"theme": "dark"})
    assert response.status_code == 403
    assert "Please send that again" in response.content.decode()
    words = client.post("/profile/preferences/", {"theme": "dark"}, headers=HX)
    assert words["Content-Type"] == "text/plain; charset=utf-8"


def test_the_style_guide_is_for_who_is_signed_in(client, client_of, viewer):
    assert client.get("/kit/").status_code == 302
    assert "Component kit" in client_of(viewer).get("/kit/").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(("role", "words"), [(access.CS, "CS"), (access.SALES_REP, "Sales rep")])
def test_the_frame_names_the_role_as_it_is_written(client_of, role, words):
    page = client_of(make_staff("somebody", role)).get("/")
    assert page.context["shell"]["roles"] == words
