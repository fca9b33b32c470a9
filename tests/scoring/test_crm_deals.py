"""Deals of the CRM: whose they are, what they credit, and that they go when they are deleted there."""

import datetime as dt
from decimal import Decimal

import pytest

from accounts import billing
from accounts.models import Deal, RevenueMovement
from scoring.models import CrmLink
from tests.conftest import NOW
from tests.factories.crm import DAY, connected, deal_there, in_sales, owner_there, pulled, pushed, there
from tests.hubspot_server import hubspot_server

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
HOUR = dt.timedelta(hours=1)
LATER = NOW + HOUR


@pytest.fixture
def server(settings):
    with hubspot_server() as world:
        settings.HUBSPOT_URL = world.url
        yield world


@pytest.fixture
def lumen(server, admin, rep):
    """A company that Dana works, in both; read once, so that what comes now is news."""
    owner_there(server, rep, "51")
    account = in_sales("Lumen", owner=rep, domain="lumen.io", at=NOW - 2 * DAY)
    connected(server, admin)
    pulled(NOW)
    return account


def won_there(server, account, closed_at: dt.datetime) -> str:
    said = {"hs_is_closed": "true", "hs_is_closed_won": "true", "closedate": closed_at.isoformat()}
    return deal_there(server, account, LATER, **said)


def test_an_open_deal_comes_and_follows_what_happens_to_it(server, lumen):
    pk = deal_there(server, lumen, LATER)
    assert pulled(LATER).deals == 1
    found = Deal.objects.get()
    assert (found.account, found.name, found.stage, found.status) == (
        lumen,
        "Team plan",
        "Appointment scheduled",
        "open",
    )
    assert (found.amount, found.currency, found.opened_at) == (Decimal("12000.00"), "EUR", NOW - DAY)
    assert pulled(LATER).deals == 0  # read again, for the overlap: nothing is new

    server.change("deals", pk, LATER + HOUR, hs_is_closed="true", hs_is_closed_won="false", closedate=LATER.isoformat())
    assert pulled(LATER + HOUR).deals == 1
    found.refresh_from_db()
    assert (found.status, found.closed_at) == ("lost", LATER)


def test_a_deal_that_was_deleted_there_is_gone_after_a_day(server, lumen):
    pk = deal_there(server, lumen, LATER)
    pulled(LATER)
    del server.objects["deals"][pk]
    pulled(LATER + HOUR)
    assert Deal.objects.get().status == "open"
    pulled(LATER + 25 * HOUR)
    assert Deal.objects.get().status == "gone"


def test_a_deal_that_was_won_and_deleted_there_takes_its_credit_with_it(server, lumen):
    pk = deal_there(
        server, lumen, LATER, hs_is_closed="true", hs_is_closed_won="true", closedate=(LATER + DAY).isoformat()
    )
    bought = {"account_id": lumen.pk, "account_key": "g:lumen", "plan": "team", "now": LATER}
    billing.record_state(at=LATER, mrr=Decimal(470), **bought)
    pulled(LATER)
    assert RevenueMovement.objects.get().motion == "sales"
    pulled(LATER + 25 * HOUR)  # looked at again, and still there
    assert (Deal.objects.get().status, RevenueMovement.objects.get().motion) == ("won", "sales")
    del server.objects["deals"][pk]
    pulled(LATER + 26 * HOUR)
    assert Deal.objects.get().status == "won"
    pulled(LATER + 50 * HOUR)
    assert (Deal.objects.get().status, RevenueMovement.objects.get().motion) == ("gone", "self_serve")


def test_a_deal_that_was_won_by_a_company_whose_match_was_lost_here_stays_won(server, lumen):
    won_there(server, lumen, LATER)
    server.add("deals", LATER + HOUR, dealname="Somebody's", createdate=NOW.isoformat())  # read to here, and no further
    pulled(LATER + HOUR)
    CrmLink.objects.all().delete()
    pulled(LATER + 25 * HOUR)
    found = Deal.objects.get()
    assert (found.status, found.read_at) == ("won", LATER + 25 * HOUR)  # looked at: the next pull asks of others


def test_a_deal_of_two_of_ours_is_that_ones_which_hubspot_calls_primary(server, admin, lumen):
    kestrel = in_sales("Kestrel", domain="kestrel.com")
    pushed(NOW)
    pk = deal_there(server, lumen, LATER)
    server.link("deals", pk, there(kestrel), primary=True)
    assert int(there(lumen)) < int(there(kestrel))  # the order in which HubSpot tells them
    pulled(LATER)
    assert Deal.objects.get().account == kestrel


def test_a_deal_whose_primary_company_is_not_ours_is_the_others(server, lumen):
    pk = deal_there(server, lumen, LATER)
    server.link("deals", pk, server.add("companies", name="An agency"), primary=True)
    pulled(LATER)
    assert Deal.objects.get().account == lumen


def test_a_deal_of_a_company_that_is_not_ours_is_left_there(server, lumen):
    other = server.add("companies", name="Strangers")
    new = server.add("deals", LATER, dealname="Theirs", createdate=NOW.isoformat())
    server.link("deals", new, other)
    assert (pulled(LATER).deals, Deal.objects.count()) == (0, 0)


def test_what_is_bought_while_a_deal_that_was_won_is_open_is_credited_to_sales(server, lumen):
    pk = deal_there(server, lumen, LATER)
    bought = {"account_id": lumen.pk, "account_key": "g:lumen", "plan": "team", "now": NOW + 2 * DAY}
    billing.record_state(at=LATER, mrr=Decimal(470), **bought)
    pulled(LATER)
    assert RevenueMovement.objects.get().motion == "self_serve"  # an open deal sells nothing yet
    end = LATER + DAY
    server.change("deals", pk, end, hs_is_closed="true", hs_is_closed_won="true", closedate=end.isoformat())
    pulled(end)
    assert RevenueMovement.objects.get().motion == "sales"
    server.change("deals", pk, end + HOUR, hs_is_closed_won="false")
    pulled(end + HOUR)
    assert RevenueMovement.objects.get().motion == "self_serve"


def test_companies_that_were_merged_there_are_one_here_with_their_deals(server, lumen):
    pk = deal_there(server, lumen, LATER)
    end = LATER.isoformat()
    server.change("deals", pk, hs_is_closed="true", hs_is_closed_won="true", closedate=end)
    pulled(LATER)
    old = there(lumen)
    properties = server.objects["companies"].pop(old)["properties"]
    merged = server.add("companies", LATER + HOUR, **properties)
    server.links = set()
    server.link("deals", pk, merged)
    server.change("deals", pk, LATER + HOUR)
    pulled(LATER + HOUR)
    pushed(LATER + HOUR)
    assert there(lumen) == merged
    pulled(LATER + 2 * HOUR)
    assert Deal.objects.get().status == "won"
