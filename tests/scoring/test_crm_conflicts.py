"""Where the two sides differ: listed once, decided by a person, and done by the next push."""

import datetime as dt

import pytest

from scoring.crm import conflicts, connections
from scoring.models import CrmConflict, CrmConnection, CrmLink, Handoff
from tests.conftest import NOW
from tests.factories.crm import connected, in_sales, owner_there, pushed
from tests.hubspot_server import hubspot_server
from tests.scoring.test_crm_pull import pulled, there

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
HOUR = dt.timedelta(hours=1)
LATER = NOW + HOUR


@pytest.fixture
def server(settings):
    with hubspot_server() as world:
        settings.HUBSPOT_URL = world.url
        yield world


@pytest.fixture
def lumen(server, admin, rep, other_rep):
    owner_there(server, rep, "51")
    owner_there(server, other_rep, "52")
    account = in_sales("Lumen", owner=rep, domain="lumen.io")
    connected(server, admin)
    pulled(NOW)
    return account


def clash(server, account) -> CrmConflict:
    """Somebody gives the company to Theo in the CRM."""
    server.change("companies", there(account), LATER, hubspot_owner_id="52")
    pulled(LATER)
    pushed(LATER)
    return CrmConflict.objects.get()


def test_an_owner_changed_there_is_a_question_and_nothing_is_sent(server, lumen, rep):
    found = clash(server, lumen)
    assert (found.company, found.kind, found.field, found.ours, found.theirs) == (lumen, "value", "owner", "51", "52")
    assert server.companies[there(lumen)]["hubspot_owner_id"] == "52"
    pulled(LATER + HOUR)
    pushed(LATER + HOUR)
    assert CrmConflict.objects.count() == 1
    lumen.refresh_from_db()
    assert lumen.owner == rep


def test_ours_is_kept(server, lumen, admin):
    conflicts.resolve(conflict_id=clash(server, lumen).pk, choice="ours", by=admin, now=LATER)
    pushed(LATER)
    assert server.companies[there(lumen)]["hubspot_owner_id"] == "51"
    assert CrmConflict.objects.get().resolution == "ours kept"


def test_theirs_is_taken_with_the_handoff(server, lumen, admin, other_rep):
    conflicts.resolve(conflict_id=clash(server, lumen).pk, choice="theirs", by=admin, now=LATER)
    pushed(LATER)
    lumen.refresh_from_db()
    assert (lumen.owner, Handoff.objects.get().owner) == (other_rep, other_rep)
    assert server.companies[there(lumen)]["hubspot_owner_id"] == "52"
    assert not CrmConflict.objects.filter(resolved_at=None).exists()


def test_an_owner_whom_nobody_here_is_cannot_be_taken(server, lumen, admin):
    server.owners.append({"id": "77", "email": "x@elsewhere.test", "firstName": "X", "lastName": "Y"})
    server.change("companies", there(lumen), LATER, hubspot_owner_id="77")
    pulled(LATER)
    pushed(LATER)
    with pytest.raises(conflicts.Refused, match="Nobody here"):
        conflicts.resolve(conflict_id=CrmConflict.objects.get().pk, choice="theirs", by=admin, now=LATER)
    assert CrmConflict.objects.get().resolved_at is None


def test_put_right_there_it_settles_by_itself(server, lumen, admin):
    found = clash(server, lumen)
    server.change("companies", there(lumen), LATER, hubspot_owner_id="51")
    conflicts.look_again(conflict_id=found.pk, by=admin, now=LATER)
    pushed(LATER)
    assert CrmConflict.objects.get().resolution == conflicts.SETTLED


def test_of_two_who_decide_one_is_told_so(server, lumen, admin):
    found = clash(server, lumen)
    conflicts.resolve(conflict_id=found.pk, choice="ours", by=admin, now=LATER)
    with pytest.raises(conflicts.Refused, match="resolved already: ours kept"):
        conflicts.resolve(conflict_id=found.pk, choice="theirs", by=admin, now=LATER)


def test_a_value_of_theirs_stands_until_either_side_changes(server, lumen, admin):
    found = connections.current()
    wanted = [
        line if line.field != "plan" else type(line)(line.field, line.into, "ask") for line in connections.lines(found)
    ]
    connections.save_mapping(wanted=wanted, audience="sales", edition=found.edition, by=admin, now=NOW)
    lumen.plan = "team"
    lumen.save(update_fields=["plan"])
    pushed(NOW)
    assert server.companies[there(lumen)]["plgops_plan"] == "team"
    server.change("companies", there(lumen), LATER, plgops_plan="special")
    pulled(LATER)
    pushed(LATER)
    conflicts.resolve(conflict_id=CrmConflict.objects.get().pk, choice="theirs", by=admin, now=LATER)
    pushed(LATER)
    assert server.companies[there(lumen)]["plgops_plan"] == "special"
    lumen.plan = "business"
    lumen.save(update_fields=["plan"])
    conflicts.news.look_again([lumen.pk], now=LATER)
    pushed(LATER)
    assert server.companies[there(lumen)]["plgops_plan"] == "business"


def test_several_with_the_domain_are_a_question_and_one_is_chosen(server, admin):
    first = server.add("companies", name="Lumen Inc.", domain="lumen.io")
    second = server.add("companies", name="Lumen GmbH", domain="lumen.io")
    in_sales("Lumen", domain="lumen.io")
    connected(server, admin)
    found = CrmConflict.objects.get()
    assert found.kind == "several"
    assert found.candidates == [{"id": first, "name": "Lumen Inc."}, {"id": second, "name": "Lumen GmbH"}]
    with pytest.raises(conflicts.Refused):
        conflicts.resolve(conflict_id=found.pk, choice="4711", by=admin, now=LATER)
    conflicts.resolve(conflict_id=found.pk, choice=second, by=admin, now=LATER)
    pushed(LATER)
    assert server.companies[second]["plgops_account"] == "lumen"
    assert "plgops_account" not in server.companies[first]
    assert len(server.companies) == 2


def test_one_that_was_deleted_there_is_not_made_again_before_somebody_says_so(server, lumen, admin):
    del server.objects["companies"][there(lumen)]
    lumen.plan = "business"
    lumen.save(update_fields=["plan"])
    conflicts.news.look_again([lumen.pk], now=LATER)
    pushed(LATER)
    found = CrmConflict.objects.get()
    assert (found.kind, server.companies) == ("gone", {})
    conflicts.resolve(conflict_id=found.pk, choice="own", by=admin, now=LATER)
    pushed(LATER)
    assert [company["plgops_plan"] for company in server.companies.values()] == ["business"]


def test_one_that_was_merged_there_is_found_by_our_key(server, lumen):
    old = there(lumen)
    row = server.objects["companies"].pop(old)
    new = server.add("companies", **row["properties"])
    lumen.plan = "business"
    lumen.save(update_fields=["plan"])
    conflicts.news.look_again([lumen.pk], now=LATER)
    pushed(LATER)
    assert (CrmLink.objects.get().crm_id, server.companies[new]["plgops_plan"]) == (new, "business")
    assert (CrmConflict.objects.count(), len(server.companies)) == (0, 1)


def test_left_out_is_told_nothing_more(server, lumen, admin):
    del server.objects["companies"][there(lumen)]
    lumen.plan = "business"
    lumen.save(update_fields=["plan"])
    conflicts.news.look_again([lumen.pk], now=LATER)
    pushed(LATER)
    conflicts.resolve(conflict_id=CrmConflict.objects.get().pk, choice="leave", by=admin, now=LATER)
    server.asked.clear()
    pushed(LATER)
    assert (server.asked, server.companies) == ([], {})


def test_a_decision_while_the_crm_is_asked_is_not_lost(server, lumen, admin):
    found = clash(server, lumen)

    def decide(method, path, body):
        if path.endswith("/companies/batch/read") and CrmConflict.objects.filter(resolved_at=None).exists():
            conflicts.resolve(conflict_id=found.pk, choice="ours", by=admin, now=LATER)

    CrmLink.objects.update(look=True)
    conflicts.news.look_again([lumen.pk], now=LATER)
    server.before = decide
    pushed(LATER)
    pushed(LATER)
    assert server.companies[there(lumen)]["hubspot_owner_id"] == "51"
    assert not CrmConflict.objects.filter(resolved_at=None).exists()


def test_only_admins_decide(server, lumen, manager):
    found = clash(server, lumen)
    with pytest.raises(Exception, match="Your role does not include this"):
        conflicts.resolve(conflict_id=found.pk, choice="ours", by=manager, now=LATER)
    assert CrmConnection.objects.get().state == "on"
