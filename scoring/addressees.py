"""To whom of an account an e-mail may be written: who is there, has an address, wants e-mail, and had not enough of it.

Plays ask before a letter takes a company from sales; scoring/nudge_mail.py asks when it writes the letter, and keeps
the cap of prompts under each person's lock (scoring/prompts.py).
"""

from __future__ import annotations

import datetime as dt

from django.db.models import Count, Exists, F, OuterRef, Q

from accounts.models import ProductUser
from scoring.models import PromptRules, PromptView

LOOKED_AT = 100  # people of an account of whom some had enough promotions already


def of(account_id: int, *, only: int | None = None) -> list[int]:
    """Who may be written to, who was seen last first; `only` this one. One query.

    Not who said under another id with the same address that they want no more; of one mailbox one person.
    """
    no_more = ProductUser.objects.filter(Q(do_not_contact=True) | Q(contact_refused_at__isnull=False))
    people = ProductUser.objects.filter(
        ~Exists(no_more.filter(email=OuterRef("email"))),
        memberships__account=account_id,
        memberships__valid_to=None,
        merged_into=None,
        do_not_contact=False,
        contact_refused_at=None,
    ).exclude(email="")
    if only is not None:
        people = people.filter(pk=only)
    found = people.order_by(F("last_seen_at").desc(nulls_last=True), "pk").values_list("email", "pk")
    first: dict[str, int] = {}  # who has two ids in the product has one mailbox
    for address, pk in found[:LOOKED_AT]:
        first.setdefault(address, pk)
    return list(first.values())


def has_any(account_id: int, *, now: dt.datetime) -> bool:
    """Whether somebody may be written to who has not met as many promotions lately as the cap allows; three queries."""
    people = of(account_id)
    rules = PromptRules.objects.filter(pk=1, enabled=True).first() if people else None
    if rules is None:
        return bool(people)
    since = now - dt.timedelta(days=rules.cap_days)
    lately = PromptView.objects.filter(
        Q(offered_at__gt=since) | Q(last_seen_at__gt=since), user__in=people, promotional=True
    )
    full = lately.order_by().values("user").annotate(met=Count("pk")).filter(met__gte=rules.cap)
    return full.count() < len(people)
