"""The programs that act for Fieldnote's people: their tokens. Nobody has their texts, so nobody can use them."""

from __future__ import annotations

import datetime as dt

from accounts import tokens
from accounts.models import ApiToken, StaffUser

DAY = dt.timedelta(days=1)


def set_up(staff: dict[str, StaffUser], *, now: dt.datetime) -> None:
    """Two that are at work, one that was revoked. Again: nothing."""
    if ApiToken.objects.exists():
        return
    ada, dana = staff["ada"], staff["dana"]
    export, claims, old = (
        tokens.create(user=of, name=name, scopes=scopes, days=365, by=of, now=now - days * DAY)[0]
        for of, name, scopes, days in (
            (ada, "Nightly export to the warehouse", ["accounts:read", "qualifications:read"], 20),
            (dana, "Claim from the command line", ["handoffs:read", "handoffs:write"], 12),
            (ada, "Definitions from git", ["definitions:read", "definitions:write"], 30),
        )
    )
    tokens.used(export, now=now - dt.timedelta(hours=7))
    tokens.used(claims, now=now - dt.timedelta(minutes=40))
    tokens.revoke(token_id=old.pk, by=ada, now=now - 9 * DAY)
