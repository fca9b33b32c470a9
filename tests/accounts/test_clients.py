"""The official Python clients, unchanged, against the live server: what they send arrives."""

from __future__ import annotations

import datetime as dt

import pytest
from customerio.analytics import request as customerio_request
from customerio.analytics.client import Client as CustomerioClient
from django.utils import timezone
from rudderstack.analytics import request as rudder_request
from rudderstack.analytics.client import Client as RudderClient
from segment.analytics import request as segment_request
from segment.analytics.client import Client as SegmentClient

from accounts import sources
from accounts.models import Account, Event, Membership, ProductUser, QuarantinedMessage, Receipt

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

CLIENTS = [SegmentClient, RudderClient, CustomerioClient]


@pytest.fixture
def write_key(transactional_db):
    return sources.create_source(name="Backend", by=None, now=timezone.now())[1]


@pytest.fixture
def problems():
    yield []
    for module in (segment_request, rudder_request, customerio_request):
        module._session.close()  # they keep their connections open, and with them the server's to the database


def connect(client_class, live_server, write_key, problems, **options):
    return client_class(
        write_key,
        host=live_server.url,
        on_error=lambda error, items: problems.append(error),
        max_retries=1,
        **options,
    )


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("client_class", CLIENTS)
def test_client_delivers(live_server, write_key, problems, client_class, zipped):
    client = connect(client_class, live_server, write_key, problems, gzip=zipped)
    at = timezone.now().replace(microsecond=0) - dt.timedelta(days=2)
    client.identify("u1", {"email": "ann@acme.example", "name": "Ann", "plan": "free"}, timestamp=at)
    client.group("u1", "acme", {"name": "Acme", "employees": 60}, timestamp=at)
    client.track("u1", "Invite Sent", {"invitee_email": "bo@acme.example"}, {"groupId": "acme"}, timestamp=at)
    client.track("u1", "Workflow Completed", {"rows": 12.5}, timestamp=at + dt.timedelta(hours=1))
    client.page("u1", "Docs", "Home", {"url": "https://example.test/"})
    client.screen("u1", "Docs", "Home")
    client.flush()
    client.join()

    assert problems == []
    assert QuarantinedMessage.objects.count() == 0
    events = list(Event.objects.order_by("occurred_at").select_related("event_type", "user", "account"))
    assert [(e.event_type.name, e.user.external_id, e.account.external_id, e.occurred_at) for e in events] == [
        ("Invite Sent", "u1", "acme", at),
        ("Workflow Completed", "u1", "acme", at + dt.timedelta(hours=1)),
    ]
    assert events[0].properties == {"invitee_email": "bo@acme.example"}
    assert all(e.message_id and e.sent_at and e.received_at for e in events)
    account = Account.objects.get(external_id="acme")
    assert (account.name, account.employees) == ("Acme", 60)
    user = ProductUser.objects.get(external_id="u1")
    assert (user.email, user.name, user.is_known) == ("ann@acme.example", "Ann", True)
    assert Membership.objects.filter(user=user, account=account).count() == 1


@pytest.mark.parametrize("client_class", CLIENTS)
def test_client_batches_hundreds(live_server, write_key, problems, client_class):
    client = connect(client_class, live_server, write_key, problems)
    for n in range(250):
        client.track(f"u{n % 5}", "Row Added", {"n": n}, {"groupId": "acme"})
    client.flush()
    client.join()
    assert problems == []
    assert (Event.objects.count(), Receipt.objects.count()) == (250, 250)


@pytest.mark.parametrize("client_class", CLIENTS)
def test_client_is_told_of_a_wrong_key_and_does_not_go_on(live_server, problems, client_class, transactional_db):
    client = connect(client_class, live_server, "plg_aaaaaaaa_" + "b" * 32, problems)
    client.track("u1", "Invite Sent")
    client.flush()
    client.join()
    assert len(problems) == 1
    assert "invalid_write_key" in str(problems[0]) or "401" in str(problems[0])
    assert Event.objects.count() == 0
