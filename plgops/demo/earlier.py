"""What Fieldnote's sales people did before plgops: claims out of their old list, which backtests tell apart."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence

from django.db import transaction

from accounts import lifecycle
from accounts.models import Account, Stage
from plgops.demo.world import DAY, Story

CAUSE = "import"
HALF = 0.5
LARGE = 50  # employees: whom sales looked for


def claims(
    stories: Sequence[Story], began: Mapping[str, dt.datetime], *, cut: dt.datetime, rng: random.Random
) -> dict[str, dt.datetime]:
    """Which accounts sales worked before `cut`, and from when: group id -> time (UTC). `began`: when each signed up.

    All that sales won, some weeks before they paid, and half of the companies of some size soon after their sign-up.
    Whom they worked says nothing about what the accounts did: sales went by size.
    """
    found: dict[str, dt.datetime] = {}
    for story in stories:
        if story.group_id not in began or story.internal:
            continue
        first = int(began[story.group_id].timestamp())
        paid, motion = next(((at, motion) for at, _, _, motion in story.states), (None, ""))
        chosen, after = rng.random() < HALF, rng.randrange(1, 45) * DAY
        if paid is not None and motion == "sales":
            found[story.group_id] = dt.datetime.fromtimestamp(max(first + 60, paid - after), dt.UTC)
        elif chosen and story.employees >= LARGE and (paid is None or first + after < paid):
            found[story.group_id] = dt.datetime.fromtimestamp(first + after, dt.UTC)
    return {group: at for group, at in found.items() if at < cut}


def tell(found: dict[str, dt.datetime], *, now: dt.datetime) -> None:
    """Write the claims into the ledger, as an import of that list does."""
    ids = dict(Account.objects.filter(external_id__in=found).values_list("external_id", "pk"))
    entries = [
        lifecycle.Reached(ids[group], Stage.CLAIMED, at, "before plgops") for group, at in found.items() if group in ids
    ]
    with transaction.atomic():
        lifecycle.reach_many(entries, now=now, cause=CAUSE, importing=True)
