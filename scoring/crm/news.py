"""That there may be news of an account for the CRM: raised where it changes, in the transaction of the change.

The consumer `crm` of AccountDue, like those of evaluation and tiers. Facts that come in and stages raise it by
themselves; what only sales sees (a handoff's state or owner, a reason that ends) is raised here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from accounts import due

CONSUMER = "crm"


def look_again(account_ids: Iterable[int], *, now: dt.datetime) -> None:
    """These accounts may have something new to say. Nothing is sent where they have not."""
    due.mark_changed(account_ids, now=now, consumers=[CONSUMER])
