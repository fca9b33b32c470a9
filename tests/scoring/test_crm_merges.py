"""What the CRM knows of accounts that are merged here, or become part of a company: it goes with them."""

import datetime as dt
from decimal import Decimal

import pytest

from accounts import billing, deals, identity, stewardship
from accounts.models import AccountMerge, Deal, RevenueMovement
from scoring.crm import connections, push
from scoring.models import CrmActivity, CrmLink
from tests.conftest import NOW
from tests.factories.crm import DAY, connected, deal_there, in_sales, pulled, pushed, there
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
def lumen(server, admin):
    """A company that is in both."""
    account = in_sales("Lumen", domain="lumen.io", at=NOW - 2 * DAY)
    connected(server, admin)
    pulled(NOW)
    return account


def merged(loser, winner, now: dt.datetime = LATER) -> AccountMerge:
    return identity.merge_accounts(winner=winner, loser=loser, by=None, now=now)


def won_there(server, account) -> str:
    said = {"hs_is_closed": "true", "hs_is_closed_won": "true", "closedate": (LATER + DAY).isoformat()}
    return deal_there(server, account, LATER, **said)


def fact(account, **changes) -> deals.Fact:
    said = {
        "external_id": "hubspot:777:1",
        "account_id": account.pk,
        "name": "Team plan",
        "stage": "Won",
        "status": "won",
        "amount": Decimal(12_000),
        "currency": "EUR",
        "opened_at": NOW - DAY,
        "closed_at": LATER,
    }
    return deals.Fact(**said | changes)


def test_while_the_crm_is_off_a_company_that_is_merged_away_leaves_what_is_known_to_the_winner(server, admin, lumen):
    won_there(server, lumen)
    pulled(LATER)
    crm_id = there(lumen)
    connections.switch_off(by=admin, now=LATER)
    winner = in_sales("Lumen Analytics")
    merged(lumen, winner)
    pushed(LATER)
    assert (CrmLink.objects.get().company, CrmLink.objects.get().crm_id) == (winner, crm_id)
    assert Deal.objects.get().account == winner
    assert push.push_due(clock=lambda: LATER).claimed == 0


def test_a_deal_read_before_a_merge_and_written_after_it_is_the_winners(lumen):
    winner = in_sales("Lumen Analytics")
    billing.record_state(account_id=winner.pk, account_key="g:w", at=NOW, plan="team", mrr=Decimal(470), now=NOW)
    read = fact(lumen)
    merged(lumen, winner)
    pushed(LATER)
    assert deals.record([read], now=LATER) == 1
    assert (Deal.objects.get().account, RevenueMovement.objects.get().motion) == (winner, "sales")
    assert deals.record([read], now=LATER) == 0


def test_a_deal_of_an_account_that_became_part_of_a_company_is_the_companys(lumen, admin):
    root = in_sales("Lumen Group")
    read = fact(lumen)
    stewardship.set_parent(account_id=lumen.pk, parent_id=root.pk, by=admin, now=LATER)
    deals.record([read], now=LATER)
    assert Deal.objects.get().account == root


def test_of_two_that_are_in_the_crm_the_one_merged_away_still_sells_for_the_winner(server, lumen):
    winner = in_sales("Kestrel", domain="kestrel.com")
    pushed(NOW)
    pulled(NOW)
    old = there(lumen)
    billing.record_state(account_id=winner.pk, account_key="g:w", at=LATER, plan="team", mrr=Decimal(470), now=LATER)
    won_there(server, lumen)
    pulled(LATER)
    merge = merged(lumen, winner)
    pushed(LATER)
    assert (Deal.objects.get().account, RevenueMovement.objects.get().motion) == (winner, "sales")
    call = server.add("calls", LATER, hs_call_title="Intro", hs_timestamp=LATER.isoformat())
    server.link("calls", call, old)
    for days in (2, 4):
        pulled(LATER + days * DAY)
    assert (Deal.objects.get().account, Deal.objects.get().status) == (winner, "won")
    assert CrmActivity.objects.get().company == winner

    identity.unmerge_accounts(merge=merge, by=None, now=LATER + 5 * DAY)
    pushed(LATER + 5 * DAY)
    pulled(LATER + 6 * DAY)
    assert there(lumen) == old
    assert Deal.objects.get().account == lumen
    assert RevenueMovement.objects.get().motion == "sales_touched"  # by the call, while the two were one
