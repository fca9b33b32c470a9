"""The next task of a handoff: one at a time, with a day and somebody who does it.

It belongs to the handoff's owner, or to who sets it where nobody has it any more. It outlives the handoff's end: a
task for after a lost deal is still due. Everything is done under the handoff's lock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from accounts.models import StaffUser
from accounts.team import audit
from accounts.workspace import zone
from plgops.lib import access
from plgops.lib.db import retried
from scoring.handoff_states import NotAllowed, Refused, locked, may
from scoring.models import Handoff, NextTask

LONGEST = dt.timedelta(days=366)


def open_of(handoff_ids: Iterable[int]) -> dict[int, NextTask]:
    """The open task of each of these handoffs that has one, with its owner. One query."""
    rows = NextTask.objects.filter(handoff_id__in=list(handoff_ids), done_at=None).select_related("owner")
    return {task.handoff_id: task for task in rows}


def days_left(task: NextTask, *, now: dt.datetime) -> int:
    """Days until it is due, by the workspace's calendar: 0 today, negative when it is overdue."""
    return (task.due_at.astimezone(zone()).date() - now.astimezone(zone()).date()).days


@retried
def put(*, handoff_id: int, text: str, day: dt.date, by: StaffUser, now: dt.datetime) -> NextTask:
    """Set the next task, or change the open one. By its owner or a manager; Refused for a day that is past."""
    text = text.strip()
    if not text or len(text) > 200:
        raise Refused("Say in a line what is to be done.")
    today = now.astimezone(zone()).date()
    if not today <= day <= today + LONGEST:
        raise Refused("Choose a day from today on, a year ahead at most.")
    handoff = _locked(handoff_id, by)
    due_at = dt.datetime.combine(day, dt.time(), tzinfo=zone()).astimezone(dt.UTC)
    owner = handoff.owner if handoff.owner is not None and handoff.closed_at is None else by
    task = handoff.tasks.filter(done_at=None).first()
    was = {"text": task.text, "due_at": task.due_at.isoformat()} if task else None
    if task is None:
        task = NextTask(handoff=handoff)
    task.text, task.due_at, task.owner, task.set_at = text, due_at, owner, now
    task.save()
    _note(handoff, task, "task_set", by=by, now=now, was=was)
    return task


@retried
def finish(*, handoff_id: int, by: StaffUser, now: dt.datetime) -> NextTask:
    """It is done. By whoever's it is, the handoff's owner or a manager; Refused when none is open."""
    handoff = locked(handoff_id)
    task = handoff.tasks.filter(done_at=None).first()
    if task is None:
        raise Refused("There is nothing to be done any more.")
    if task.owner_id != by.pk and not _may(handoff, by):
        raise NotAllowed("Only who has the task, the account's owner or a sales manager can finish it.")
    task.done_at, task.done_by = now, by
    task.save(update_fields=["done_at", "done_by"])
    _note(handoff, task, "task_done", by=by, now=now)
    return task


def set_as_before(handoff: Handoff, detail: dict[str, Any], now: dt.datetime) -> None:
    """Undo of `put`: the task as it was, or none."""
    task = handoff.tasks.filter(pk=detail["task"], done_at=None).first()
    was = detail.get("was")
    if task is None:
        return
    if not isinstance(was, dict):
        task.delete()
        return
    task.text, task.due_at = was["text"], dt.datetime.fromisoformat(was["due_at"])
    task.save(update_fields=["text", "due_at"])


def open_again(handoff: Handoff, detail: dict[str, Any], now: dt.datetime) -> None:
    """Undo of `finish`, unless there is another one by now."""
    if handoff.tasks.filter(done_at=None).exists():
        raise Refused("There is another task by now.")
    handoff.tasks.filter(pk=detail["task"]).update(done_at=None, done_by=None)


def _locked(handoff_id: int, by: StaffUser) -> Handoff:
    handoff = locked(handoff_id)
    if handoff.status == Handoff.Status.NEW:
        raise Refused("Claim it first.")
    if not _may(handoff, by):
        raise NotAllowed("Only its owner or a sales manager can plan what is next.")
    return handoff


def _may(handoff: Handoff, by: StaffUser) -> bool:
    return may(handoff, by) if handoff.owner_id else access.may(by, "handoffs.manage")


def _note(handoff: Handoff, task: NextTask, what: str, *, by: StaffUser, now: dt.datetime, **detail: object) -> None:
    audit.record(
        action=f"handoff.{what}",
        obj=handoff,
        by=by,
        now=now,
        account_id=handoff.company_id,
        detail={"task": task.pk, "text": task.text, **detail},
    )
