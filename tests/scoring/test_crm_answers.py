"""What HubSpot answers besides yes and no: a batch of which some were refused, and companies that were merged there."""

import datetime as dt
from types import SimpleNamespace

import pytest
from hubspot.crm.objects import StandardError

from accounts.models import Account, AccountDue
from scoring.crm import connections, hubspot, push
from scoring.models import CrmConflict, CrmLink
from tests.conftest import NOW
from tests.factories.crm import connected, in_sales, pulled, pushed, there
from tests.hubspot_server import hubspot_server

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
SOON = NOW + dt.timedelta(minutes=1)
LATER = NOW + dt.timedelta(hours=1)


@pytest.fixture
def server(settings):
    with hubspot_server() as world:
        settings.HUBSPOT_URL = world.url
        world.partly = True
        yield world


def said_of(account) -> str:
    return AccountDue.objects.get(account=account, consumer="crm").last_error


def test_of_an_update_that_was_refused_in_part_each_has_its_own_words(server, admin):
    accounts = [in_sales(name) for name in ("Lumen", "Kestrel", "Vela")]
    connected(server, admin)
    server.properties["plgops_plan"]["type"] = "number"
    for account, plan in zip(accounts, ("7", "team", "business"), strict=True):
        Account.objects.filter(pk=account.pk).update(plan=plan)
    push.news.look_again([account.pk for account in accounts], now=SOON)
    server.asked.clear()
    done = pushed(SOON)
    assert (done.written, done.failed, len(server.written)) == (1, 2, 1)
    assert server.companies[there(accounts[0])]["plgops_plan"] == "7"
    assert ["team was not" in said_of(accounts[1]), "business was not" in said_of(accounts[2])] == [True, True]


def test_of_companies_that_were_made_in_part_each_has_its_own_words(server, admin):
    connected(server, admin)
    server.properties["plgops_plan"]["type"] = "number"
    accounts = [in_sales(name, plan=plan) for name, plan in (("Lumen", "7"), ("Kestrel", "team"), ("Vela", "business"))]
    push.news.look_again([account.pk for account in accounts], now=SOON)
    done = pushed(SOON)
    assert (done.written, done.failed) == (1, 2)
    assert [one["name"] for one in server.companies.values()] == ["Lumen"]
    assert ["team was not" in said_of(accounts[1]), "business was not" in said_of(accounts[2])] == [True, True]


def test_words_that_name_none_of_the_batch_are_said_of_each_that_was_not_written():
    foreign = StandardError(status="error", category="OTHER", message="No.", context={"ids": ["9"]})
    named = StandardError(status="error", category="OTHER", message="Not this.", context={"ids": ["1"]})
    answer = SimpleNamespace(results=[], errors=[foreign, named])
    batch = SimpleNamespace(update=lambda *args, **kwargs: answer)
    crm = hubspot.HubSpot(token="t", url="http://127.0.0.1:1")
    vars(crm)["_batch"] = batch
    assert crm.update({"1": {}, "2": {}}).failed == {
        "1": "HubSpot refused it. Not this.",
        "2": "HubSpot refused it. No.",
    }


def test_a_company_that_was_merged_there_is_known_by_its_old_id_and_goes_on_with_the_new(server, admin):
    lumen = in_sales("Lumen", domain="lumen.io")
    connected(server, admin)
    pulled(NOW)
    kept = server.add("companies", name="Lumen Inc.", plgops_account="somebody-elses")  # its key wins there
    new = server.merge("companies", kept, there(lumen))
    connections.switch_off(by=admin, now=SOON)
    connections.switch_on(by=admin, now=SOON)
    CrmLink.objects.update(look=True)
    pushed(SOON)
    assert not CrmConflict.objects.exists()
    assert (there(lumen), CrmLink.objects.get().history_at) == (new, None)
    assert server.companies[new]["plgops_account"] == "lumen"


def test_two_of_ours_that_were_merged_there_are_one_there_and_a_question(server, admin):
    lumen, kestrel = in_sales("Lumen"), in_sales("Kestrel")
    connected(server, admin)
    new = server.merge("companies", there(lumen), there(kestrel))
    CrmLink.objects.update(look=True)
    push.news.look_again([lumen.pk, kestrel.pk], now=SOON)
    for _ in range(4):
        push.push_due(clock=lambda: LATER)
    link = CrmLink.objects.select_related("company").get(crm_id=new)
    said = server.companies[new]
    assert (said["plgops_account"], said["name"]) == (link.company.external_id, link.company.name)
    assert CrmConflict.objects.get().kind == "taken"
    assert not AccountDue.objects.filter(consumer="crm", is_behind=True).exists()
