"""A CRM that is switched on, and companies that sales has."""

from __future__ import annotations

import datetime as dt

from accounts.models import Account, StaffUser
from scoring.crm import connections, pull, push
from scoring.models import CrmConnection, CrmLink, Handoff
from tests.conftest import NOW
from tests.factories.scoring import make_account
from tests.hubspot_server import HubSpotServer

DAY = dt.timedelta(days=1)


def owner_there(server: HubSpotServer, person: StaffUser, crm_id: str) -> None:
    """The person is an owner in HubSpot too."""
    first, _, last = person.label.partition(" ")
    server.owners.append(
        {"id": crm_id, "email": person.email.upper(), "firstName": first, "lastName": last, "archived": False}
    )


def connected(server: HubSpotServer, admin: StaffUser, *, now: dt.datetime = NOW) -> CrmConnection:
    """Connected and switched on; every account has been looked at."""
    connections.connect(token=server.token, by=admin, now=now)
    connections.switch_on(by=admin, now=now)
    while CrmConnection.objects.get().filled_to is not None:
        pushed(now)
    return connections.current()


def pushed(now: dt.datetime = NOW) -> push.Pushed:
    """Push until nothing is due; what all sweeps did."""
    total = push.Pushed()
    while True:
        one = push.push_due(clock=lambda: now)
        for name in ("claimed", "written", "unchanged", "asked", "failed"):
            setattr(total, name, getattr(total, name) + getattr(one, name))
        if not one.claimed:
            return total


def in_sales(name: str, *, owner: StaffUser | None = None, at: dt.datetime = NOW - DAY, **values) -> Account:
    """An account that was handed to sales, new or claimed by its owner."""
    account = make_account(name, owner=owner, **values)
    Handoff.objects.create(
        company=account,
        opened_at=at,
        newest_evidence_at=at,
        status="claimed" if owner else "new",
        owner=owner,
        claimed_at=at if owner else None,
    )
    return account


def pulled(now: dt.datetime) -> pull.Pulled | None:
    """Pull now, whenever it was done last."""
    CrmConnection.objects.update(pull_due_at=now)
    return pull.pull_due(clock=lambda: now)


def there(account: Account) -> str:
    """The id of the company there that is this one."""
    return CrmLink.objects.get(company=account).crm_id


def deal_there(server: HubSpotServer, account: Account, at: dt.datetime, **properties: str) -> str:
    """An open deal of the company, that changed then; its id."""
    said = {
        "dealname": "Team plan",
        "dealstage": "appointmentscheduled",
        "amount": "12000",
        "deal_currency_code": "EUR",
    }
    new = server.add("deals", at, **said | {"createdate": (NOW - DAY).isoformat(), **properties})
    server.link("deals", new, there(account))
    return new
