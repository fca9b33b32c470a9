"""What a destination hears of, and when: reading it as arithmetic takes it, and saving it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import transaction

from accounts import workspace
from accounts.models import Destination, StaffUser
from accounts.team import audit, destinations
from scoring.alert_times import Timing
from scoring.models import AlertFact, AlertRule, Definition

Kind, Scope, Pace = AlertFact.Kind, AlertRule.Scope, AlertRule.Pace
Channel = Destination.Channel
MACHINES = (Channel.WEBHOOK, Channel.SIGNED_WEBHOOK)
# Each asks somebody to act and comes once by its nature: no cap holds it back.
UNCAPPED = frozenset({Kind.HANDOFF_ASSIGNED, Kind.SPEED_WARNED, Kind.SPEED_REROUTED, Kind.SPEED_ESCALATED})
FOR_PEOPLE = (
    Kind.HANDOFF_OPENED,
    Kind.HANDOFF_ASSIGNED,
    Kind.HANDOFF_JOINED,
    Kind.HANDOFF_WOKEN,
    Kind.HANDOFF_RETURNED,
    Kind.SPEED_WARNED,
    Kind.SPEED_REROUTED,
    Kind.SPEED_ESCALATED,
    Kind.TASK_CREATED,
)
FIRST_KINDS = (Kind.HANDOFF_OPENED, Kind.HANDOFF_ASSIGNED, Kind.HANDOFF_WOKEN, Kind.SPEED_WARNED, Kind.SPEED_ESCALATED)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a form says of a rule, checked for its form only."""

    kinds: Collection[str]
    scope: str
    definition_ids: Collection[int]
    pace: str
    bundle_minutes: int
    digest_hour: int
    quiet: tuple[int, int] | None
    time_zone: str
    per_account: int
    is_on: bool

    @property
    def timing(self) -> Timing:
        """The part that says when."""
        return Timing(self.pace, ZoneInfo(self.time_zone), self.bundle_minutes, self.digest_hour, self.quiet)


def timing(rule: AlertRule) -> Timing:
    """When a rule's destination wants to hear."""
    quiet = None
    if rule.quiet_from is not None and rule.quiet_until is not None:
        quiet = (rule.quiet_from, rule.quiet_until)
    try:
        zone = ZoneInfo(rule.time_zone)
    except (ZoneInfoNotFoundError, ValueError):  # this machine's list of zones is another than when it was saved
        zone = workspace.zone()
    return Timing(rule.pace, zone, rule.bundle_minutes, rule.digest_hour, quiet)


def kinds_for(channel: str) -> tuple[str, ...]:
    """What a channel can hear of: plays speak to programs only."""
    return (*FOR_PEOPLE, Kind.PLAY_WEBHOOK) if channel in MACHINES else FOR_PEOPLE


def new_rule(destination: Destination) -> AlertRule:
    """What a new destination begins with, off and not saved: little for a person, everything for a program."""
    program = destination.channel in MACHINES
    return AlertRule(
        destination=destination,
        kinds=list(kinds_for(destination.channel) if program else FIRST_KINDS),
        scope=Scope.OPEN if destination.owner_id else Scope.ALL,
        per_account=0 if program else 3,
        quiet_from=None if program else 19,
        quiet_until=None if program else 7,
        time_zone=workspace.zone().key,
    )


def save(*, destination_id: int, wanted: Wanted, by: StaffUser, now: dt.datetime) -> AlertRule:
    """Set what a destination hears. What happened before it was switched on is never told.

    Raises Destination.DoesNotExist, destinations.NotAllowed.
    """
    with transaction.atomic():
        destinations.for_change(destination_id, by)
        destination = destinations.locked(destination_id)  # two who save it first, at once: one row
        rule = AlertRule.objects.filter(destination=destination).first() or new_rule(destination)
        allowed = kinds_for(destination.channel)
        rule.kinds = [kind for kind in allowed if kind in wanted.kinds]
        rule.scope = wanted.scope if destination.owner_id else Scope.ALL
        rule.pace = Pace.IMMEDIATE if destination.channel in MACHINES else wanted.pace
        rule.bundle_minutes, rule.digest_hour = wanted.bundle_minutes, wanted.digest_hour
        rule.quiet_from, rule.quiet_until = wanted.quiet or (None, None)
        if destination.channel in MACHINES:
            rule.quiet_from = rule.quiet_until = None
        rule.time_zone, rule.per_account = wanted.time_zone, wanted.per_account
        rule.on_since = (rule.on_since or now) if wanted.is_on else None
        rule.save()
        rule.definitions.set(Definition.objects.filter(pk__in=wanted.definition_ids))
        audit.record(
            action="destination.rule_saved",
            obj=destination,
            by=by,
            now=now,
            detail={"on": wanted.is_on, "kinds": rule.kinds, "scope": rule.scope, "pace": rule.pace},
        )
    return rule
