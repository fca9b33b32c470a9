"""Every endpoint, every role, every scope: who gets through, and that nothing is left out of this page."""

import pytest
from django.contrib.auth.models import Group

from accounts.tokens import SCOPES
from plgops.api_urls import urlpatterns
from plgops.lib import access
from scoring.models import Handoff
from tests.api.conftest import Program, token_of
from tests.conftest import make_staff

pytestmark = pytest.mark.django_db

EVERYBODY = set(access.ROLES)
SALES = {access.SALES_REP, access.SALES_MANAGER, access.ADMIN}
ADMINS = {access.ADMIN}
# name of the address, method -> an address of it, the scope it needs, the roles that may
ENDPOINTS = {
    ("api_accounts", "GET"): ("accounts/", "accounts:read", EVERYBODY),
    ("api_account", "GET"): ("accounts/acme/", "accounts:read", EVERYBODY),
    ("api_account_reasons", "GET"): ("accounts/acme/qualifications/", "qualifications:read", EVERYBODY),
    ("api_qualifications", "GET"): ("qualifications/", "qualifications:read", EVERYBODY),
    ("api_qualification", "GET"): ("qualifications/1/", "qualifications:read", EVERYBODY),
    ("api_definitions", "GET"): ("definitions/", "definitions:read", EVERYBODY),
    ("api_definitions", "POST"): ("definitions/", "definitions:write", ADMINS),
    ("api_definitions_validate", "POST"): ("definitions/validate/", "definitions:read", EVERYBODY),
    ("api_definition", "GET"): ("definitions/team-expansion/", "definitions:read", EVERYBODY),
    ("api_definition_qualifiers", "GET"): ("definitions/team-expansion/qualifiers/", "definitions:read", EVERYBODY),
    ("api_definition_versions", "GET"): ("definitions/team-expansion/versions/", "definitions:read", EVERYBODY),
    ("api_definition_versions", "POST"): ("definitions/team-expansion/versions/", "definitions:write", ADMINS),
    ("api_definition_version", "GET"): ("definitions/team-expansion/versions/1/", "definitions:read", EVERYBODY),
    ("api_handoffs", "GET"): ("handoffs/", "handoffs:read", EVERYBODY),
    ("api_handoff", "GET"): ("handoffs/1/", "handoffs:read", EVERYBODY),
    ("api_plays", "GET"): ("plays/", "plays:read", EVERYBODY),
    ("api_play", "GET"): ("plays/one/", "plays:read", EVERYBODY),
    ("api_plays", "POST"): ("plays/", "plays:write", ADMINS),
    ("api_person", "GET"): ("people/acme-ann/", "accounts:read", EVERYBODY),
    ("api_person_contact", "POST"): ("people/acme-ann/contact/", "people:write", ADMINS),
    ("api_definition_archive", "POST"): ("definitions/team-expansion/archive/", "definitions:write", ADMINS),
    **{
        (f"api_play_{verb}", "POST"): (f"plays/one/{verb}/", "plays:write", ADMINS)
        for verb in ("change", "start", "pause", "archive", "restore")
    },
    **{
        (f"api_handoff_{verb}", "POST"): (f"handoffs/1/{verb}/", "handoffs:write", SALES)
        for verb in ("claim", "unclaim", "assign", "touch", "note", "close", "snooze", "wake", "reopen")
    },
}
OPEN = {"api_docs", "api_schema", "api_unknown"}  # a page; what is for everybody who is somebody


def test_no_endpoint_is_left_out():
    found = set()
    for entry in urlpatterns:
        if entry.name in OPEN:
            continue
        methods = [
            name for name in ("get", "post", "put", "patch", "delete") if hasattr(entry.callback.view_class, name)
        ]
        found |= {(entry.name, name.upper()) for name in methods}
        assert {name.upper() for name in methods} == set(entry.callback.view_class.scopes), entry.name
    assert found == set(ENDPOINTS)


def asked(asking, endpoint, method):
    path = ENDPOINTS[endpoint, method][0]
    return (asking.get(path) if method == "GET" else asking.post(path))[0]


@pytest.mark.parametrize(("endpoint", "method"), ENDPOINTS, ids=lambda value: value)
def test_roles_and_scopes(endpoint, method):
    """Past the door a thing may be missing (404) or wrong (422); before it, it is 401 or 403."""
    _, scope, roles = ENDPOINTS[endpoint, method]
    assert asked(Program(""), endpoint, method) == 401
    person = make_staff("one", None)
    with_it, without = Program(token_of(person, scope)), Program(token_of(person, *({*SCOPES} - {scope})))
    passed = set()
    for role in (None, *access.ROLES):
        person.groups.set([Group.objects.get(name=role)] if role else [])
        assert asked(without, endpoint, method) == 403
        status = asked(with_it, endpoint, method)
        assert status in (200, 403, 404, 422)
        passed |= {role} if status != 403 else set()
    assert passed == roles


@pytest.mark.parametrize(("endpoint", "method"), ENDPOINTS, ids=lambda value: value)
def test_a_session_reads_and_never_writes(client_of, admin, endpoint, method):
    browser, path = client_of(admin), f"/api/v1/{ENDPOINTS[endpoint, method][0]}"
    if method == "GET":
        assert browser.get(path).status_code in (200, 404)
    else:
        assert browser.post(path, {}, content_type="application/json").status_code == 403


def test_what_is_somebody_elses_stays_theirs(world, program, rep, other_rep, manager):
    """The object decides too: a rep works their own handoffs, a manager anybody's."""
    mine, theirs, managing = (program(user, "handoffs:write") for user in (rep, other_rep, manager))
    pk = Handoff.objects.get(company__external_id="acme").pk
    mine.post(f"handoffs/{pk}/claim/")
    for verb, body in (
        ("unclaim", {}),
        ("note", {"text": "x"}),
        ("touch", {"kind": "met"}),
        ("close", {"outcome": "won"}),
    ):
        assert theirs.post(f"handoffs/{pk}/{verb}/", body)[0] == 403, verb
    assert managing.post(f"handoffs/{pk}/note/", {"text": "x"})[0] == 200


def test_the_description_is_for_everybody_who_is_somebody(stranger, client):
    asking = Program(token_of(stranger, "accounts:read"))
    assert (asking.get("schema/")[0], client.get("/api/v1/schema/").status_code) == (200, 401)
    assert client.get("/api/docs/").status_code == 302
    client.force_login(stranger)
    assert client.get("/api/docs/").status_code == 403
