"""Who at Fieldnote hears of what. By e-mail only: without a mail server that is files; nothing leaves the machine."""

from __future__ import annotations

import datetime as dt

from accounts.models import Destination, StaffUser
from accounts.team import destinations
from scoring import alert_rules
from scoring.alert_rules import FOR_PEOPLE, Wanted
from scoring.models import AlertFact, AlertRule

Kind, Scope, Pace = AlertFact.Kind, AlertRule.Scope, AlertRule.Pace
SINCE = dt.timedelta(days=2)  # what happened lately is told at the first sweep, so that there is something to read
REP = (Kind.HANDOFF_OPENED, Kind.HANDOFF_ASSIGNED, Kind.HANDOFF_WOKEN, Kind.SPEED_WARNED, Kind.SPEED_REROUTED)


def set_up(staff: dict[str, StaffUser], *, now: dt.datetime) -> None:
    """Two reps by e-mail, and a digest for the sales desk. Again: nothing."""
    if Destination.objects.exists():
        return
    _listen(staff["dana"], owner=staff["dana"], name="E-mail", kinds=REP, pace=Pace.BUNDLED, now=now - SINCE)
    _listen(staff["theo"], owner=staff["theo"], name="E-mail", kinds=REP, pace=Pace.DIGEST, now=now - SINCE)
    _listen(staff["mara"], owner=None, name="Sales desk", kinds=FOR_PEOPLE, pace=Pace.DIGEST, now=now - SINCE)


def _listen(
    by: StaffUser, *, owner: StaffUser | None, name: str, kinds: tuple[str, ...], pace: str, now: dt.datetime
) -> None:
    made, _ = destinations.add(
        owner=owner,
        channel=Destination.Channel.EMAIL,
        name=name,
        address="" if owner else "sales@fieldnote.example",
        by=by,
        now=now,
    )
    wanted = Wanted(
        kinds=kinds,
        scope=Scope.OPEN if owner else Scope.ALL,
        definition_ids=(),
        pace=pace,
        bundle_minutes=15,
        digest_hour=8,
        quiet=(19, 7),
        time_zone=alert_rules.new_rule(made).time_zone,
        per_account=2,
        is_on=True,
    )
    alert_rules.save(destination_id=made.pk, wanted=wanted, by=by, now=now)
