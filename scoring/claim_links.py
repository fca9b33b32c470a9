"""Claim straight from a message: a signed link, good once and for a week.

The link names the handoff, for whom it is, and until when; nobody can change it. It stands for its recipient, who need
not be logged in; a link in a team's channel stands for nobody, and asks who it is. Looking at it changes nothing: mail
scanners and chat programs follow every link. Only the button does.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import IntegrityError, transaction
from django.urls import reverse

from accounts.models import StaffUser
from plgops.lib.db import retried
from scoring import handoffs
from scoring.models import ClaimLinkUse, Handoff

GOOD_FOR = dt.timedelta(days=7)
_SALT = "plgops.claim"


class NoLink(Exception):
    """The link is none of ours, or damaged."""


class Expired(Exception):
    """The link is older than a week."""


class Used(Exception):
    """The link was used before."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a link says. `recipient_id` None: whoever is logged in."""

    handoff_id: int
    recipient_id: int | None
    fact_id: int
    expires_at: dt.datetime
    digest: str

    @property
    def is_used(self) -> bool:
        """Whether somebody claimed with it; one query."""
        return ClaimLinkUse.objects.filter(digest=self.digest).exists()


def address(*, handoff_id: int, recipient_id: int | None, fact_id: int, at: dt.datetime) -> str:
    """The full address of a link about a fact of this moment. The same arguments give the same link."""
    expires = int((at + GOOD_FOR).timestamp())
    token = _signer().sign_object({"h": handoff_id, "r": recipient_id, "f": fact_id, "e": expires})
    return settings.SITE_URL + reverse("claim_link", args=[token])


def read(token: str, *, now: dt.datetime) -> Link:
    """What the link says. Raises NoLink, Expired."""
    try:
        said = _signer().unsign_object(token)
        link = Link(
            handoff_id=said["h"],
            recipient_id=said["r"],
            fact_id=said["f"],
            expires_at=dt.datetime.fromtimestamp(said["e"], dt.UTC),
            digest=hashlib.sha256(token.encode()).hexdigest(),
        )
    except (BadSignature, KeyError, TypeError, ValueError) as error:
        raise NoLink("This is no claim link, or a part of it is missing.") from error
    if link.expires_at <= now:
        raise Expired("This link was good for a week and is over.")
    return link


@retried
def claim(link: Link, *, by: StaffUser, now: dt.datetime) -> Handoff:
    """Claim for `by`, the link's recipient, or whoever is logged in where it has none; the link is used then.

    Raises Used, and what `handoffs.claim` raises: the link stays good for who was not first.
    """
    if link.recipient_id is not None and link.recipient_id != by.pk:
        raise handoffs.NotAllowed("This link was sent to somebody else.")
    if link.expires_at <= now:
        raise Expired("This link was good for a week and is over.")
    try:
        with transaction.atomic():
            ClaimLinkUse.objects.create(digest=link.digest, handoff_id=link.handoff_id, used_at=now, used_by=by)
    except IntegrityError as error:
        raise Used("This link was used already.") from error
    return handoffs.claim(handoff_id=link.handoff_id, by=by, now=now)


def _signer() -> Signer:
    return Signer(salt=_SALT)
