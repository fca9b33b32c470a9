"""What a company did in the CRM before it was matched: read once, each company's own."""

import datetime as dt

import pytest

from scoring.crm import hubspot, pull
from scoring.models import CrmActivity, CrmLink
from tests.conftest import NOW
from tests.factories.crm import DAY, connected, in_sales, owner_there, pulled
from tests.hubspot_server import hubspot_server

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
HOUR = dt.timedelta(hours=1)
LATER = NOW + HOUR


@pytest.fixture
def server(settings):
    with hubspot_server() as world:
        settings.HUBSPOT_URL = world.url
        yield world


def test_a_busy_company_leaves_the_others_their_past(server, admin, monkeypatch):
    monkeypatch.setattr(hubspot, "HISTORY", 3)
    monkeypatch.setattr(pull, "AT_ONCE", 4)
    names = ("Quiet", "Busy", "Silent")
    companies = {name: server.add("companies", name=name, domain=f"{name}.io") for name in names}
    long_ago = NOW - 20 * DAY

    def calls(name: str, count: int) -> list[str]:
        made = []
        for number in range(count):
            at = (long_ago + number * HOUR).isoformat()
            made.append(server.add("calls", long_ago, hs_call_title=f"{name} {number}", hs_timestamp=at))
            server.link("calls", made[-1], companies[name])
        return made

    quiet, busy = calls("Quiet", 2), calls("Busy", 6)
    accounts = {name: in_sales(name, domain=f"{name}.io") for name in names}
    connected(server, admin)
    assert pulled(NOW).activities == 5
    found = {name: set(accounts[name].crm_activities.values_list("crm_id", flat=True)) for name in names}
    assert found == {"Quiet": set(quiet), "Busy": set(busy[-3:]), "Silent": set()}  # each one's newest
    assert not CrmLink.objects.filter(history_at=None).exists()


def test_a_past_that_takes_too_long_goes_on_with_the_companies_that_are_left(server, admin, monkeypatch):
    monkeypatch.setattr(pull, "AT_ONCE", 1)
    names = ("Lumen", "Kestrel", "Vela")
    for name in names:
        company = server.add("companies", name=name, domain=f"{name}.io")
        call = server.add("calls", NOW - DAY, hs_call_title=name, hs_timestamp=(NOW - DAY).isoformat())
        server.link("calls", call, company)
    for name in names:
        in_sales(name, domain=f"{name}.io")
    connected(server, admin)

    def in_time(self):
        if CrmLink.objects.exclude(history_at=None).exists():
            raise pull.OutOfTime

    with monkeypatch.context() as patched:
        patched.setattr(pull._Pull, "in_time", in_time)
        pulled(NOW)
    assert (CrmLink.objects.exclude(history_at=None).count(), CrmActivity.objects.count()) == (1, 1)
    assert pull.pull_due(clock=lambda: NOW).activities == 2
    assert not CrmLink.objects.filter(history_at=None).exists()


def test_what_was_before_the_company_was_matched_is_read_once(server, admin, rep):
    owner_there(server, rep, "51")
    company = server.add("companies", name="Lumen", domain="lumen.io")
    long_ago = NOW - 20 * DAY
    for kind, properties in (("deals", {"dealname": "Old"}), ("calls", {"hs_call_title": "Old"})):
        pk = server.add(
            kind, long_ago, createdate=long_ago.isoformat(), hs_timestamp=long_ago.isoformat(), **properties
        )
        server.link(kind, pk, company)
    in_sales("Lumen", owner=rep, domain="lumen.io")
    connected(server, admin)
    done = pulled(NOW)
    assert (done.deals, done.activities, CrmLink.objects.get().history_at) == (1, 1, NOW)
    server.asked.clear()
    done = pulled(LATER)
    assert (done.deals, done.activities) == (0, 0)
    assert not [a for a in server.asked if a.path.startswith("/crm/v4/associations/companies/")]
