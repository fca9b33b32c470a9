"""A company in the inbox, and destinations that listen."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from accounts.models import Destination
from accounts.team import destinations, sealed
from scoring import alert_rules, openings
from scoring.alert_rules import Wanted
from scoring.models import AlertFact, Qualification
from tests.conftest import NOW
from tests.factories import desk

Kind = AlertFact.Kind
ALL_KINDS = tuple(Kind.values)


def definitions():
    desk.event_types()
    desk.plans()
    return desk.staff_definitions(NOW - dt.timedelta(days=90))


def open_handoff(company, definition, *, at=NOW):
    """The company comes into the inbox by this definition."""
    qualification = Qualification.objects.create(
        account=company,
        definition=definition,
        version=definition.live_version,
        opened_at=at,
        since_day=1,
        cause="event",
        evidence={
            "as_of_day": 20_000,
            "conditions": [
                {
                    "path": "/rule/days",
                    "kind": "days",
                    "english": "active on 5 days",
                    "holds": True,
                    "measured": 6,
                    "threshold": 5,
                    "comparison": "at_least",
                    "unit": "days",
                }
            ],
        },
    )
    with transaction.atomic():
        return openings.open_or_join(qualification=qualification, company=company, newest_at=at, now=at)


def wanted(**values) -> Wanted:
    """Everything, at once, without quiet hours or a cap, unless told otherwise."""
    return Wanted(
        **{
            "kinds": ALL_KINDS,
            "scope": "all",
            "definition_ids": (),
            "pace": "immediate",
            "bundle_minutes": 15,
            "digest_hour": 8,
            "quiet": None,
            "time_zone": "UTC",
            "per_account": 0,
            "is_on": True,
        }
        | values
    )


def listener(by, *, owner=None, channel="slack", name="#sales", url="https://hooks.example.com/x", **values):
    """A destination that is switched on."""
    if owner is not None and channel == "email":
        made, _ = destinations.add(owner=owner, channel=channel, name=name, address="", by=by, now=NOW)
    else:
        made = Destination.objects.create(
            owner=owner,
            channel=channel,
            name=name,
            shown="hooks.example.com/…",
            sealed=sealed.seal({"url": url}),
            created_at=NOW,
            created_by=by,
        )
    since = values.pop("since", NOW - dt.timedelta(days=1))
    alert_rules.save(destination_id=made.pk, wanted=wanted(**values), by=by, now=since)
    return made
