"""Tasks of customer success: opened by plays, taken, done or dismissed by people, and opened again by them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import transaction

from accounts.models import StaffUser
from accounts.team import audit
from accounts.workspace import zone
from plgops.lib import access
from scoring import alerts, prompts
from scoring.models import AlertFact, CsTask, PlayRun

DUE_DAYS = 3
Status = CsTask.Status


class Refused(Exception):
    """What was asked for cannot be done; the message is for people."""


def open_for(runs: Sequence[PlayRun], *, now: dt.datetime) -> None:
    """One task for each of these runs, in the transaction that fires them, and a fact for who wants to hear of it.

    Two statements.
    """
    today = now.astimezone(zone()).date()
    tasks = [
        CsTask(
            run=run,
            company_id=run.company_id,
            title=_title(run),
            detail=prompts.filled(str(run.play.content.get("body", "")), run.detail),
            due_on=today + dt.timedelta(days=_days(run)),
            created_at=now,
        )
        for run in runs
    ]
    CsTask.objects.bulk_create(tasks, ignore_conflicts=True)
    told = [alerts.Told(task.company_id, {"title": task.title}, f"run:{task.run_id}") for task in tasks]
    alerts.tell_many(AlertFact.Kind.TASK_CREATED, told, now=now)


def take(*, task_id: int, by: StaffUser, now: dt.datetime) -> CsTask:
    """Make an open task one's own, whoever has it; Refused once it is closed."""
    access.require(by, "plays.tasks")
    with transaction.atomic():
        task = _locked(task_id)
        if task.owner_id != by.pk:
            before = task.owner.label if task.owner else ""
            task.owner = by
            task.save(update_fields=["owner"])
            audit.record(
                action="cs_task.taken", obj=task, by=by, now=now, account_id=task.company_id, detail={"from": before}
            )
    return task


def close(*, task_id: int, status: str, outcome: str, by: StaffUser, now: dt.datetime, note: str = "") -> CsTask:
    """Done or dismissed, with an outcome of CsTask.Outcome; “other” needs a note. Who closes it owns it."""
    access.require(by, "plays.tasks")
    if status not in (Status.DONE, Status.DISMISSED):
        raise Refused("A task is done or dismissed.")
    if outcome not in CsTask.Outcome.values:
        raise Refused("Choose what came of it.")
    if outcome == CsTask.Outcome.OTHER and not note.strip():
        raise Refused("Say in the note what came of it.")
    with transaction.atomic():
        task = _locked(task_id)
        task.status, task.outcome, task.note = status, outcome, note.strip()
        task.owner, task.closed_by, task.closed_at = task.owner or by, by, now
        task.save(update_fields=["status", "outcome", "note", "owner", "closed_by", "closed_at"])
        audit.record(
            action=f"cs_task.{status}",
            obj=task,
            by=by,
            now=now,
            account_id=task.company_id,
            detail={"outcome": outcome},
        )
    return task


def reopen(*, task_id: int, by: StaffUser, now: dt.datetime) -> CsTask:
    """Take back that a task was done or dismissed: it is open as before, with whoever had it. What was said about it
    stays in the audit row."""
    access.require(by, "plays.tasks")
    with transaction.atomic():
        task = CsTask.objects.select_for_update().get(pk=task_id)
        if task.status == Status.OPEN:
            raise Refused("It is open already.")
        before = {"status": task.status, "outcome": task.outcome, "note": task.note}
        task.status, task.outcome, task.note = Status.OPEN, "", ""
        task.closed_by, task.closed_at = None, None
        task.save(update_fields=["status", "outcome", "note", "closed_by", "closed_at"])
        audit.record(action="cs_task.reopened", obj=task, by=by, now=now, account_id=task.company_id, detail=before)
    return task


def _locked(task_id: int) -> CsTask:
    task = CsTask.objects.select_for_update().get(pk=task_id)
    if task.status != Status.OPEN:
        raise Refused(f"It is {task.get_status_display().lower()} already.")
    return task


def _title(run: PlayRun) -> str:
    wanted = str(run.play.content.get("headline") or run.play.name)
    needs, said = prompts.needed(run.detail), prompts.filled(wanted, run.detail)
    return (f"{wanted}: needs {needs}" if needs and said == wanted else said)[:200]


def _days(run: PlayRun) -> int:
    """Days until it is due: as the play says, and no later than what is missing can still come."""
    days = run.play.content.get("due_days")
    wanted = days if isinstance(days, int) and 0 <= days <= 90 else DUE_DAYS
    left = run.detail.get("days_left")
    return min(wanted, left) if isinstance(left, int) else wanted
