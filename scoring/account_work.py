"""What sales has done and will do about an account's company: for the account's page, over all of its handoffs."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import F

from accounts.models import Account, StaffUser
from scoring import next_tasks, outcome_reasons
from scoring.handoff_states import allowed
from scoring.models import Handoff, HandoffActivity, NextTask

Status = Handoff.Status
MOST = 5  # touches and notes, the newest


@dataclass(frozen=True, slots=True)
class Work:
    """A company's last handoff with what is next, what was said lately, and what its reader may add."""

    handoff: Handoff
    task: NextTask | None
    task_days: int  # until it is due; negative: overdue
    activities: tuple[HandoffActivity, ...]
    more: bool  # there are older ones
    returned_for: str  # of one that was returned to self-serve: why, in words
    may_note: bool
    may_plan: bool
    may_finish: bool

    @property
    def is_returned(self) -> bool:
        """Whether sales gave the company back to the product, and it has not come to them again."""
        return self.handoff.status == Status.RETURNED


def of_account(account: Account, *, reader: StaffUser, now: dt.datetime) -> Work | None:
    """How sales' work on the account's company stands; None where sales never had it. Four queries at most.

    It is about the open handoff, else the one that was closed last; a task of an earlier one is shown where that has
    none: it is still due.
    """
    rows = Handoff.objects.filter(company_id=account.company_id).exclude(status=Status.WITHDRAWN)
    rows = rows.select_related("company", "owner", "closed_by")
    handoff = rows.order_by(F("closed_at").desc(nulls_first=True), "-pk").first()
    if handoff is None:
        return None
    tasks = NextTask.objects.filter(handoff__company_id=account.company_id, done_at=None).select_related("owner")
    found = list(tasks.order_by("due_at", "pk")[:MOST])
    task = next((one for one in found if one.handoff_id == handoff.pk), found[0] if found else None)
    said = HandoffActivity.objects.filter(handoff__company_id=account.company_id).select_related("by")
    activities = list(said.order_by("-at", "-pk")[: MOST + 1])
    verbs = allowed(handoff, reader)
    own_task = task is None or task.handoff_id == handoff.pk
    return Work(
        handoff=handoff,
        task=task,
        task_days=next_tasks.days_left(task, now=now) if task else 0,
        activities=tuple(activities[:MOST]),
        more=len(activities) > MOST,
        returned_for=outcome_reasons.label_of(handoff) if handoff.status == Status.RETURNED else "",
        may_note="note" in verbs,
        may_plan=own_task and bool(verbs & {"note", "reopen"}),
        may_finish=task is not None and (task.owner_id == reader.pk or (own_task and bool(verbs & {"note", "reopen"}))),
    )
