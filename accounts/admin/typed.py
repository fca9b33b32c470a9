"""What a typed word means to a search, and a stored day to a reader."""

from __future__ import annotations

from django.db.models import Q

from accounts.models import Account, AccountKey, ProductUser, UserKey
from plgops.lib import days

FOUND = 50  # ids that a typed word may resolve to


def account_ids(word: str) -> list[int]:
    """The accounts that a typed word names: an external id, or a key with or without its `g:` or `d:`."""
    keys = [word, f"g:{word}", f"d:{word}"]
    found = set(Account.objects.filter(external_id=word).values_list("pk", flat=True)[:FOUND])
    found |= set(AccountKey.objects.filter(key__in=keys).values_list("account_id", flat=True)[:FOUND])
    return sorted(found)


def person_ids(word: str) -> list[int]:
    """The people that a typed word names: an external id, an e-mail address or a key."""
    keys = [word, f"u:{word}", f"a:{word}"]
    found = set(ProductUser.objects.filter(Q(external_id=word) | Q(email=word)).values_list("pk", flat=True)[:FOUND])
    found |= set(UserKey.objects.filter(key__in=keys).values_list("user_id", flat=True)[:FOUND])
    return sorted(found)


def date_text(day: int | None) -> str:
    """A stored day as a date; nothing and the end of time in words."""
    return "" if day is None else "open" if day >= days.FOREVER else days.date_of(day).isoformat()
