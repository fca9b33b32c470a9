"""Where messages may go: add, change, remove, switch on again, and one to try it with.

Addresses and secrets are sealed in the row, never logged, and not shown again; `shown` is what may be seen. A person
adds their own; a team's are for who may `alerts.team`.
"""

from __future__ import annotations

import base64
import datetime as dt
import secrets
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, models, transaction

from accounts.models import Destination, OutgoingMessage, StaffUser
from accounts.team import audit, safe_http, sealed
from accounts.team.messages import Content, Item
from plgops.lib import access
from plgops.lib.db import lock_free_rows

Channel = Destination.Channel
PERSONAL = (Channel.EMAIL, Channel.SLACK, Channel.TEAMS)  # a program's webhook is a team's
MOST = 20  # destinations of a person
FORMER_SIGNS = dt.timedelta(
    hours=24
)  # beside a new secret, so that the receiver can change it without missing anything


class Refused(Exception):
    """It cannot be so; the message says why. `field`: of the form, where one is to blame."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class NotAllowed(Refused, PermissionDenied):
    """The user may not do this to this destination."""


def of_person(person: StaffUser) -> models.QuerySet[Destination]:
    """A person's own destinations, the oldest first."""
    return Destination.objects.filter(owner=person, removed_at=None).order_by("id")


def of_teams() -> models.QuerySet[Destination]:
    """The teams' destinations by name."""
    return Destination.objects.filter(owner=None, removed_at=None).order_by("name")


def for_change(destination_id: int, by: StaffUser) -> Destination:
    """The destination if `by` may change it: one's own, a team's with `alerts.team`. Destination.DoesNotExist for
    somebody else's, NotAllowed for a team's."""
    found = Destination.objects.filter(removed_at=None).get(pk=destination_id)
    if found.owner_id is None:
        if not access.may(by, "alerts.team"):
            raise NotAllowed(access.refusal("alerts.team"))
    elif found.owner_id != by.pk:
        raise Destination.DoesNotExist
    elif not access.may(by, "alerts.own"):
        raise NotAllowed(access.refusal("alerts.own"))
    return found


def add(
    *, owner: StaffUser | None, channel: str, name: str, address: str, by: StaffUser, now: dt.datetime
) -> tuple[Destination, str]:
    """A new destination, and the secret of a signed webhook, which cannot be read again (else empty).

    A person's e-mail goes to the address of their log-in, whatever `address` says. Raises Refused, NotAllowed.
    """
    capability = "alerts.team" if owner is None else "alerts.own"
    if not access.may(by, capability) or (owner is not None and owner != by):
        raise NotAllowed(access.refusal(capability))
    if channel not in Channel.values or (owner is not None and channel not in PERSONAL):
        raise Refused("Choose one of the channels.", "channel")
    if owner is not None and of_person(owner).count() >= MOST:
        raise Refused(f"{MOST} destinations are enough for one person.")
    if owner is not None and channel == Channel.EMAIL:
        address = owner.email
        if not address:
            raise Refused("Your log-in has no e-mail address; an admin can add it.", "address")
    name = _name(name or str(Channel(channel).label))
    kept, shown = _address(channel, address)
    secret = ""
    if channel == Channel.SIGNED_WEBHOOK:
        secret = kept["secret"] = _new_secret()
    try:
        with transaction.atomic():
            made = Destination.objects.create(
                owner=owner,
                name=name,
                channel=channel,
                shown=shown,
                sealed=sealed.seal(kept),
                created_at=now,
                created_by=by,
            )
            audit.record(action="destination.added", obj=made, by=by, now=now, detail={"shown": shown})
    except IntegrityError as error:
        raise _taken(name) from error
    return made, secret


def change(
    *, destination_id: int, name: str, address: str, by: StaffUser, now: dt.datetime, new_secret: bool = False
) -> tuple[Destination, str]:
    """Another name; another address where one is given; a new secret where it is asked for, which is returned.

    A destination that was switched off for its old address takes messages again with a new one.
    """
    name = _name(name)
    try:
        with transaction.atomic():
            for_change(destination_id, by)
            found = Destination.objects.select_for_update().get(pk=destination_id)  # two changes at once: both stand
            found.name = name
            changed, secret = {"name"}, ""
            if address.strip() and not (found.owner_id and found.channel == Channel.EMAIL):
                kept, found.shown = _address(found.channel, address)
                if found.channel == Channel.SIGNED_WEBHOOK:
                    new_secret = new_secret or not (kept := {**_kept(found), **kept}).get("secret")
                found.sealed = sealed.seal(kept)
                _works_again(found)
                changed |= {"shown", "sealed", *_STATE}
            if new_secret and found.channel == Channel.SIGNED_WEBHOOK:
                found.sealed, secret = _with_new_secret(found, now)
                changed.add("sealed")
            found.save(update_fields=changed)
            detail = {"shown": found.shown, "address": "sealed" in changed, "secret": bool(secret)}
            audit.record(action="destination.changed", obj=found, by=by, now=now, detail=detail)
    except IntegrityError as error:
        raise _taken(name) from error
    return found, secret


def _with_new_secret(found: Destination, now: dt.datetime) -> tuple[str, str]:
    """The seal with a new secret, and that secret. The former signs beside it until FORMER_SIGNS is over."""
    kept = _kept(found)
    if "url" not in kept:
        raise Refused("Its address can no longer be read; enter it again.", "address")
    former = kept.get("secret")
    kept = {"url": kept["url"], "secret": _new_secret()}
    if former:
        kept |= {"former": former, "former_until": (now + FORMER_SIGNS).isoformat()}
    return sealed.seal(kept), kept["secret"]


def remove(*, destination_id: int, by: StaffUser, now: dt.datetime) -> Destination:
    """Forget it: the address is erased, what waits for it is given up, what was sent stays on record."""
    with transaction.atomic():
        found = for_change(destination_id, by)
        found = Destination.objects.select_for_update().get(pk=found.pk)
        found.removed_at, found.sealed = now, ""
        found.save(update_fields=["removed_at", "sealed"])
        give_up_waiting(found, why="Its destination was removed.")
        audit.record(action="destination.removed", obj=found, by=by, now=now)
    return found


def enable(*, destination_id: int, by: StaffUser, now: dt.datetime) -> Destination:
    """Try again with one that was switched off, or paused after failures."""
    with transaction.atomic():
        found = for_change(destination_id, by)
        found = Destination.objects.select_for_update().get(pk=found.pk)
        _works_again(found)
        found.save(update_fields=_STATE)
        audit.record(action="destination.enabled", obj=found, by=by, now=now)
    return found


def try_it(*, destination_id: int, by: StaffUser, now: dt.datetime) -> OutgoingMessage:
    """A message to try it with; the sweep sends it like any other, at once."""
    found = for_change(destination_id, by)
    if not found.takes_messages:
        raise Refused("It is switched off: switch it on first.")
    words = f"{by.label} asked for this, to see whether plgops reaches {found.name}."
    item = Item(
        kind="alert_test", at=now.isoformat(), subject="A test", headline="from plgops", why=[words], url=_site("/")
    )
    content = Content(title="A test from plgops", items=[item])
    return OutgoingMessage.objects.create(
        public_id=new_id(),
        destination=found,
        content=content.stored(),
        is_test=True,
        created_at=now,
        next_at=now,
    )


# --- what deliveries share; the caller has the destination's row locked ----------------------------------------


def locked(destination_id: int) -> Destination:
    """The row, locked; needs a transaction."""
    return Destination.objects.select_for_update(no_key=True).get(pk=destination_id)


def locked_if_free(destination_id: int) -> Destination | None:
    """The row, locked, unless somebody else has it."""
    return lock_free_rows(Destination.objects.filter(pk=destination_id)).first()


def switch_off(destination: Destination, *, why: str, now: dt.datetime) -> None:
    """Its receiver is gone: nothing is tried any more, and what waits is given up, to be replayed by hand."""
    destination.disabled_at, destination.disabled_reason = now, why[:300]
    destination.last_error = why[:300]
    destination.save(update_fields=["disabled_at", "disabled_reason", "last_error"])
    give_up_waiting(destination, why="Its destination was switched off.")
    audit.record(action="destination.switched_off", obj=destination, by=None, now=now, detail={"why": why[:300]})


def give_up_waiting(destination: Destination, *, why: str) -> int:
    """Every message that waits for it; how many."""
    waiting = destination.messages.filter(status=OutgoingMessage.Status.WAITING)
    return waiting.update(status=OutgoingMessage.Status.FAILED, next_at=None, last_error=why)


def new_id() -> str:
    """An id for a message; a receiver remembers it to know one that comes again."""
    return f"msg_{secrets.token_hex(16)}"


_STATE = ("disabled_at", "disabled_reason", "failures", "paused_until", "last_error")


def _works_again(found: Destination) -> None:
    found.disabled_at, found.disabled_reason = None, ""
    found.failures, found.paused_until, found.last_error = 0, None, ""


def _kept(found: Destination) -> dict[str, str]:
    try:
        return sealed.unseal(found.sealed)
    except sealed.Unreadable:
        return {}


def _name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= 100 or "\x00" in name:
        raise Refused("A destination needs a name of 1 to 100 characters.", "name")
    return name


def _address(channel: str, address: str) -> tuple[dict[str, str], str]:
    """What is sealed of it, and what may be shown."""
    address = address.strip()
    if len(address) > 2_000:
        raise Refused("The address is longer than 2,000 characters.", "address")
    if channel == Channel.EMAIL:
        try:
            validate_email(address)
        except ValidationError as error:
            raise Refused("That is not an e-mail address.", "address") from error
        return {"address": address}, address[:200]
    try:
        url = safe_http.check_url(address, private=settings.ALLOW_PRIVATE_WEBHOOKS)
    except safe_http.Refused as error:
        raise Refused(str(error), "address") from error
    # the path of an incoming webhook is its password: only the host is shown
    return {"url": url}, f"{urlsplit(url).netloc}/…"[:200]


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _taken(name: str) -> Refused:
    return Refused(f"There is a destination named “{name}” already.", "name")


def _site(path: str) -> str:
    return f"{settings.SITE_URL}{path}"
