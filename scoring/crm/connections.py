"""The connection to the CRM: enter a token, switch on and off, map; and what the CRM itself does to it.

The token is sealed in the row, never logged and never shown again. What asks the CRM asks before the transaction.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction

from accounts.models import Deal, StaffUser
from accounts.team import audit, sealed
from plgops.lib import access
from plgops.lib.db import after_commit
from plgops.lib.doorbell import ring
from scoring.crm import mapping
from scoring.crm.hubspot import HubSpot
from scoring.crm.mapping import Line
from scoring.crm.provider import Busy, Crm, CrmError, Owner, TokenRefused
from scoring.models import CrmActivity, CrmConflict, CrmConnection, CrmLink, CrmOwner

State = CrmConnection.State
PROVIDERS: dict[str, type[HubSpot]] = {"hubspot": HubSpot}
CAPABILITY = "crm.manage"
PUSH, PULL = "scoring.crm_push", "scoring.crm_pull"
FIRST_PAUSE, LONGEST_PAUSE = dt.timedelta(seconds=5), dt.timedelta(minutes=15)


class Stale(Exception):
    """Somebody else changed the connection since it was read."""


class Refused(Exception):
    """It cannot be so; the message is for who asked."""


def current() -> CrmConnection:
    """The connection, made on first sight."""
    return CrmConnection.objects.select_related("connected_by").get_or_create(provider="hubspot")[0]


def lines(connection: CrmConnection) -> list[Line]:
    """Its mapping; the standard one before anybody has saved another."""
    if not connection.mapping:
        return mapping.standard(PROVIDERS[connection.provider].own_names)
    return mapping.read(connection.mapping)


def open_crm(connection: CrmConnection) -> Crm:
    """The CRM with the connection's token. Raises TokenRefused where there is none, or it cannot be read."""
    if not connection.sealed:
        raise TokenRefused("There is no token.")
    try:
        token = sealed.unseal(connection.sealed)["token"]
    except sealed.Unreadable as error:
        raise TokenRefused("SECRET_KEY has changed since; enter the token again.") from error
    return PROVIDERS[connection.provider](token=token, url=settings.HUBSPOT_URL)


def connect(*, token: str, by: StaffUser, now: dt.datetime) -> CrmConnection:
    """Take a token: the CRM is asked whether it is good, and for its people. Raises Refused, CrmError.

    A connection that was on and needed a new token is on again. A token of another account of the CRM forgets what
    was known of the one before: ids there mean other companies.
    """
    access.require(by, CAPABILITY)
    token = token.strip()
    if not token or not token.isascii() or any(letter.isspace() for letter in token) or len(token) > 500:
        raise Refused("That is no token: it is one line of letters, digits and dashes.")
    connection = current()
    crm = PROVIDERS[connection.provider](token=token, url=settings.HUBSPOT_URL)
    account, people = crm.check(), crm.owners()
    with transaction.atomic():
        connection = _locked()
        if connection.crm_account and connection.crm_account != account:
            _forget(connection)
        was_on = connection.state in (State.ON, State.REFUSED)
        connection.state = State.ON if was_on else State.OFF
        connection.sealed, connection.token_end = sealed.seal({"token": token}), token[-4:]
        connection.crm_account, connection.connected_at, connection.connected_by = account, now, by
        connection.last_error, connection.failures, connection.paused_until = "", 0, None
        _save(connection)
        keep_owners(people)
        audit.record(action="crm.connected", obj=connection, by=by, now=now, detail={"account": account})
    if was_on:
        _ring()
    return connection


def disconnect(*, by: StaffUser, now: dt.datetime) -> None:
    """Forget the token. What is known of companies stays, for the same account's next token."""
    access.require(by, CAPABILITY)
    with transaction.atomic():
        connection = _locked()
        if connection.state == State.NONE:
            return
        connection.state, connection.sealed, connection.token_end = State.NONE, "", ""
        connection.last_error, connection.failures, connection.paused_until = "", 0, None
        _save(connection)
        audit.record(action="crm.disconnected", obj=connection, by=by, now=now)


def switch_on(*, by: StaffUser, now: dt.datetime) -> list[str]:
    """Begin to send and to read; the properties that were made in the CRM for it. Raises Refused, CrmError.

    Every company is looked at once, in the background; what the CRM says already is not sent.
    """
    access.require(by, CAPABILITY)
    connection = current()
    if connection.state == State.NONE:
        raise Refused("Connect first.")
    if connection.state == State.REFUSED:
        raise Refused("Enter a new token first.")
    made = open_crm(connection).prepare(mapping.properties(lines(connection)))
    with transaction.atomic():
        connection = _locked()
        if connection.state == State.OFF:
            connection.state, connection.filled_to, connection.pull_due_at = State.ON, 0, now
            _save(connection)
            audit.record(action="crm.switched_on", obj=connection, by=by, now=now, detail={"made": made})
    _ring()
    return made


def switch_off(*, by: StaffUser, now: dt.datetime) -> None:
    """Send and read nothing more."""
    access.require(by, CAPABILITY)
    with transaction.atomic():
        connection = _locked()
        if connection.state == State.ON:
            connection.state = State.OFF
            _save(connection)
            audit.record(action="crm.switched_off", obj=connection, by=by, now=now)


def save_mapping(
    *, wanted: Sequence[Line], audience: str, edition: int, by: StaffUser, now: dt.datetime
) -> CrmConnection:
    """Another mapping, and whom it is about. Where the connection is on, missing properties are made, and every
    company is looked at again. Raises BadMapping, Stale, CrmError."""
    access.require(by, CAPABILITY)
    stored = mapping.stored(wanted)
    connection = current()
    if connection.edition != edition:
        raise Stale
    if connection.state == State.ON:
        open_crm(connection).prepare(mapping.properties(wanted))
    with transaction.atomic():
        connection = _locked()
        if connection.edition != edition:
            raise Stale
        connection.mapping, connection.audience = stored, CrmConnection.Audience(audience)
        if connection.state == State.ON:
            connection.filled_to = 0
        _save(connection)
        audit.record(action="crm.mapped", obj=connection, by=by, now=now, detail={"lines": stored, "of": audience})
    _ring()
    return connection


# --- what the CRM does to it --------------------------------------------------------------------------------------


def note_error(error: CrmError, *, now: dt.datetime) -> None:
    """The CRM did not take the token, was busy, or did not answer: whoever comes next waits, or stops."""
    with transaction.atomic():
        connection = _locked()
        connection.last_error = str(error)[:400]
        if isinstance(error, TokenRefused):
            if connection.state == State.ON:
                connection.state = State.REFUSED
                audit.record(
                    action="crm.refused", obj=connection, by=None, now=now, detail={"why": connection.last_error}
                )
        elif isinstance(error, Busy):
            connection.paused_until = now + error.after
        else:
            connection.paused_until = now + min(FIRST_PAUSE * 2 ** min(connection.failures, 12), LONGEST_PAUSE)
            connection.failures += 1
        connection.save(update_fields=["state", "last_error", "paused_until", "failures"])


def note_success(connection: CrmConnection) -> None:
    """The CRM answered: what it did before is over."""
    if connection.failures or connection.last_error:
        rows = CrmConnection.objects.filter(pk=connection.pk, state=State.ON)
        rows.update(failures=0, last_error="", paused_until=None)
        connection.failures, connection.last_error = 0, ""


def keep_owners(people: Sequence[Owner]) -> int:
    """What is known of the CRM's people is exactly this; how many they are. Needs a transaction."""
    CrmOwner.objects.exclude(crm_id__in=[one.id for one in people]).delete()
    CrmOwner.objects.bulk_create(
        [CrmOwner(crm_id=one.id, email=one.email, name=one.name[:200]) for one in people],
        update_conflicts=True,
        unique_fields=["crm_id"],
        update_fields=["email", "name"],
        batch_size=500,
    )
    return len(people)


def _forget(connection: CrmConnection) -> None:
    CrmLink.objects.all().delete()
    CrmConflict.objects.filter(resolved_at=None).delete()
    CrmActivity.objects.filter(counted_at=None).delete()
    Deal.objects.filter(status=Deal.Status.OPEN).update(status=Deal.Status.GONE)  # what was won stays
    connection.read_to = {}
    if connection.state in (State.ON, State.REFUSED):
        connection.filled_to = 0


def _locked() -> CrmConnection:
    return CrmConnection.objects.select_for_update().get(provider="hubspot")


def _save(connection: CrmConnection) -> None:
    connection.edition += 1
    connection.save()


def _ring() -> None:
    after_commit(ring, PUSH)
    after_commit(ring, PULL)
