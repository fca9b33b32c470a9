"""The CRM's pages: who may, what they say in each state, how many queries, and that a dry run writes nothing."""

import csv
import datetime as dt
import io

import pytest
from django.utils import timezone

from accounts.models import AccountDue, AuditEntry, Deal
from scoring.crm import connections, pull
from scoring.models import CrmConflict, CrmConnection, CrmLink
from tests.factories.crm import connected, in_sales, owner_there, pushed
from tests.hubspot_server import TOKEN, hubspot_server

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
PAGES = ("/crm/", "/crm/mapping/", "/crm/conflicts/", "/crm/errors/")
POSTS = (
    "/crm/connect/",
    "/crm/switch/",
    "/crm/disconnect/",
    "/crm/dry-run/",
    "/crm/errors/retry/",
    "/crm/conflicts/1/",
)


@pytest.fixture
def server(settings):
    with hubspot_server() as world:
        settings.HUBSPOT_URL = world.url
        yield world


def failing(name: str) -> None:
    account = in_sales(name)
    AccountDue.objects.filter(account=account, consumer="crm").update(
        attempts=2, last_error="HubSpot refused it (400)."
    )


def conflict(name: str) -> None:
    CrmConflict.objects.create(
        company=in_sales(name), kind="value", field="owner", ours="51", theirs="52", found_at=timezone.now()
    )


@pytest.mark.parametrize("who", ["rep", "manager", "viewer", "stranger"])
def test_it_is_for_admins(client_of, request, who):
    browser = client_of(request.getfixturevalue(who))
    for path in (*PAGES, "/crm/companies.csv"):
        assert browser.get(path).status_code == 403, path
    for path in POSTS:
        assert browser.post(path).status_code == 403, path


def test_without_a_connection_it_says_what_to_do(client_of, admin):
    page = client_of(admin).get("/crm/").content.decode()
    assert "crm.objects.companies.write" in page and "Access token" in page
    assert "Switch on" not in page


def test_a_good_token_connects_and_is_never_shown_again(client_of, admin, server, caplog):
    browser = client_of(admin)
    response = browser.post("/crm/connect/", {"token": TOKEN}, follow=True)
    found = CrmConnection.objects.get()
    assert (found.state, found.token_end, found.crm_account, found.connected_by) == ("off", "cdef", "777", admin)
    assert TOKEN not in found.sealed
    said = response.content.decode() + caplog.text + "".join(str(e.detail) for e in AuditEntry.objects.all())
    assert "cdef" in said and TOKEN not in said
    assert TOKEN not in browser.get(f"/admin/scoring/crmconnection/{found.pk}/change/").content.decode()
    assert server.written == [] and server.properties == {}  # nothing is made before it is switched on

    browser.post("/crm/switch/", {"to": "on"})
    assert CrmConnection.objects.get().state == "on"
    assert "plgops_score" in server.properties
    browser.post("/crm/switch/", {"to": "off"})
    browser.post("/crm/disconnect/")
    found = CrmConnection.objects.get()
    assert (found.state, found.sealed, found.token_end) == ("none", "", "")


@pytest.mark.parametrize(
    ("token", "words"), [("", "required"), ("two words", "That is no token"), ("pat-wrong", "does not take the token")]
)
def test_a_bad_token_is_refused_with_a_reason(client_of, admin, server, token, words):
    response = client_of(admin).post("/crm/connect/", {"token": token})
    assert (response.status_code, words in response.content.decode()) == (422, True)
    assert CrmConnection.objects.get().state == "none"


def test_a_token_that_lacks_a_right_says_which(client_of, admin, server):
    server.fail(403, "/owners", body={"message": "This app needs crm.objects.owners.read"})
    response = client_of(admin).post("/crm/connect/", {"token": TOKEN})
    assert "crm.objects.owners.read" in response.content.decode()


def test_a_hubspot_that_does_not_answer_is_said_so(client_of, admin, server):
    server.fail(0)
    response = client_of(admin).post("/crm/connect/", {"token": TOKEN})
    assert "HubSpot did not answer" in response.content.decode()


def test_a_dry_run_says_what_would_be_and_writes_nothing(client_of, admin, rep, other_rep, server):
    owner_there(server, rep, "51")
    owner_there(server, other_rep, "52")
    there = server.add("companies", name="Kestrel", domain="kestrel.com", hubspot_owner_id="52", industry="X")
    in_sales("Lumen", owner=rep, domain="lumen.io")
    in_sales("Kestrel", owner=rep, domain="kestrel.com")
    connections.connect(token=TOKEN, by=admin, now=timezone.now())
    before = (server.companies[there].copy(), CrmLink.objects.count(), list(AccountDue.objects.values_list("done_seq")))
    response = client_of(admin).post("/crm/dry-run/")
    lines = {line.company.name: line for line in response.context["lines"]}
    assert lines["Lumen"].outcome == "create"
    assert [(c.label, c.after) for c in lines["Lumen"].changes if c.label == "Owner"] == [("Owner", rep.label)]
    assert lines["Kestrel"].outcome == "ask"
    assert [(c.before, c.after) for c in lines["Kestrel"].changes if c.asked] == [(other_rep.label, rep.label)]
    assert (server.written, server.properties) == ([], {})
    after = (server.companies[there].copy(), CrmLink.objects.count(), list(AccountDue.objects.values_list("done_seq")))
    assert after == before


def test_a_dry_run_that_fails_says_why(client_of, admin, server):
    connections.connect(token=TOKEN, by=admin, now=timezone.now())
    server.fail(429)
    in_sales("Lumen")
    assert "Too many requests" in client_of(admin).post("/crm/dry-run/").content.decode()


def mapping_form(**changes):
    found = connections.current()
    form = {"audience": found.audience, "edition": found.edition}
    for line in connections.lines(found):
        form |= {f"{line.field}-into": line.into, f"{line.field}-wins": line.wins}
        if line.on:
            form[f"{line.field}-on"] = "on"
    return form | changes


def test_the_mapping_is_saved_and_everybody_is_looked_at_again(client_of, admin, server):
    in_sales("Lumen", plan="team")
    connected(server, admin)
    form = mapping_form(**{"plan-into": "plgops_tariff"})
    del form["mrr-on"]
    assert client_of(admin).post("/crm/mapping/", form).status_code == 302
    pushed(timezone.now())
    assert next(iter(server.companies.values()))["plgops_tariff"] == "team"
    assert {line.field for line in connections.lines(connections.current()) if not line.on} == {"mrr"}


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"plan-into": "Plan!"}, 422, "internal name is small letters"),
        ({"plan-into": "plgops_score"}, 422, "cannot both go into plgops_score"),
        ({"plan-into": "plgops_account"}, 422, "cannot both go into plgops_account"),
        ({"plan-into": ""}, 422, "required"),
        ({"plan-wins": "nobody"}, 422, "Select a valid choice"),
        ({"audience": "nobody"}, 422, "Select a valid choice"),
        ({"edition": 99}, 409, "Somebody else changed the connection"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(client_of, admin, server, changes, status, words):
    connections.current()
    response = client_of(admin).post("/crm/mapping/", mapping_form(**changes))
    assert (response.status_code, words in response.content.decode()) == (status, True)
    assert CrmConnection.objects.get().mapping == []


@pytest.mark.parametrize("item_count", [1, 3])
@pytest.mark.parametrize(
    ("path", "queries"), [("/crm/", 9), ("/crm/mapping/", 8), ("/crm/conflicts/", 10), ("/crm/errors/", 9)]
)
def test_a_page_is_a_fixed_number_of_queries(
    client_of, admin, server, django_assert_num_queries, path, queries, item_count
):
    connected(server, admin)
    for number in range(item_count):
        failing(f"Lumen {number}")
        conflict(f"Kestrel {number}")
    browser = client_of(admin)
    browser.get(path)
    with django_assert_num_queries(queries):
        page = browser.get(path)
    if path == "/crm/errors/":
        assert page.content.decode().count("HubSpot refused it (400).") == item_count
    if path == "/crm/conflicts/":
        assert page.content.decode().count("Keep ours") == item_count


def test_a_conflict_is_decided_and_an_error_is_tried_again(client_of, admin, server):
    connected(server, admin)
    conflict("Kestrel")
    failing("Lumen")
    browser = client_of(admin)
    row = CrmConflict.objects.get()
    said = browser.post(f"/crm/conflicts/{row.pk}/", {"choice": "ours"}, follow=True).content.decode()
    assert "Kestrel: ours kept" in said and "No conflicts" in said
    said = browser.post(f"/crm/conflicts/{row.pk}/", {"choice": "theirs"}, follow=True).content.decode()
    assert "It is resolved already" in said
    assert browser.post("/crm/conflicts/999999/", {"choice": "ours"}).status_code == 404
    due = AccountDue.objects.get(attempts=2)
    AccountDue.objects.filter(pk=due.pk).update(retry_at=timezone.now() + dt.timedelta(hours=1))
    assert "1 tried again" in browser.post("/crm/errors/retry/", {"row": [due.pk, "x"]}, follow=True).content.decode()
    due.refresh_from_db()
    assert due.retry_at is None


def test_states_of_the_connection_are_told(client_of, admin, server):
    connected(server, admin)
    browser = client_of(admin)
    in_sales("Lumen")
    server.fail(429, headers={"Retry-After": "3000"})
    pushed(timezone.now())
    assert "Too many requests (429)" in browser.get("/crm/").content.decode()
    CrmConnection.objects.update(paused_until=None)
    server.token = "another"
    pushed(timezone.now())
    assert "It needs a new token" in browser.get("/crm/").content.decode()


def test_the_file_says_what_is_mapped(client_of, admin, server):
    in_sales("=Lumen", plan="team", domain="lumen.io")
    in_sales("Ours", is_internal=True)
    connected(server, admin)
    text = b"".join(client_of(admin).get("/crm/companies.csv").streaming_content).decode()
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["name"], row["plgops_plan"], row["hs_object_id"]) == ("'=Lumen", "team", CrmLink.objects.get().crm_id)
    assert row["plgops_account"] == "'=lumen"


def test_the_accounts_page_shows_open_deals_and_the_last_touch(client_of, viewer, admin, server):
    account = in_sales("Lumen", domain="lumen.io")
    connected(server, admin)
    deal = server.add("deals", timezone.now(), dealname="Team plan", amount="1200", deal_currency_code="EUR")
    server.link("deals", deal, CrmLink.objects.get().crm_id)
    CrmConnection.objects.update(pull_due_at=timezone.now())
    pull.pull_due(clock=timezone.now)
    assert Deal.objects.get().status == "open"
    page = client_of(viewer).get(f"/accounts/{account.pk}/panels/sales/").content.decode()
    assert "Team plan" in page and "1,200" in page
