"""Discovery: which early behaviours go with an outcome later; ask, have a worker answer, make drafts of findings.

A question is a row (waiting -> running -> done, refused or failed), and a sweep of the workers answers one at a time
(`scoring.discovery.answer`). A running one is leased and the lease renewed with each step; a worker that dies loses
it, and another answers from the start.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models import Q

from accounts import lake
from accounts.models import StaffUser, Workspace
from accounts.team import audit
from accounts.workspace import day_of
from plgops.lib.db import after_commit, lock_free_rows
from plgops.lib.doorbell import ring
from scoring.discovery import answer as answers
from scoring.discovery import extract, told
from scoring.discovery.asked import Asked, Level
from scoring.discovery.extract import UnknownOutcome
from scoring.models import Discovery

logger = logging.getLogger(__name__)

TASK = "scoring.discover"
LEASE = dt.timedelta(minutes=15)  # longer than any one step; building a large usage lake is the longest
MAX_CLAIMS = 3  # workers that may die over one question
MOST_WAITING = 5
MAX_FIRST_DAYS, MAX_WITHIN = 90, 365
Status = Discovery.Status


class OutOfRange(Exception):
    """Days that no question may ask for."""


class TooMany(Exception):
    """So many questions wait already that another one would wait too long."""


class LeaseLost(Exception):
    """Another worker answers this question."""


def checked(*, outcome: str, first_days: int, within: int, level: str = "account") -> Asked:
    """The parameters, if they can be asked. Raises UnknownOutcome, OutOfRange."""
    if not 1 <= first_days <= MAX_FIRST_DAYS:
        raise OutOfRange(f"The first days are 1 to {MAX_FIRST_DAYS}.")
    if not 1 <= within <= MAX_WITHIN:
        raise OutOfRange(f"The days in which the outcome must come are 1 to {MAX_WITHIN}.")
    checked_level: Level = "user" if level == "user" else "account"
    extract.types_for(outcome)
    return Asked(outcome, first_days, within, checked_level)


# --- questions that wait ------------------------------------------------------------------------------------


def ask(*, asked: Asked, by: StaffUser | None, now: dt.datetime) -> Discovery:
    """Leave a question for the workers; the same one that waits or runs already is not asked twice. Raises TooMany."""
    same = {
        "outcome": asked.outcome,
        "first_days": asked.first_days,
        "within": asked.within,
        "level": asked.level,
    }
    open_ones = Discovery.objects.filter(status__in=[Status.WAITING, Status.RUNNING]).defer("result")
    found = open_ones.filter(**same).first()
    if found is not None:
        return found
    if open_ones.filter(status=Status.WAITING).count() >= MOST_WAITING:
        raise TooMany(f"{MOST_WAITING} questions wait already. Ask again when one of them is answered.")
    try:
        with transaction.atomic():
            row = Discovery.objects.create(**same, asked_at=now, asked_by=by)
            audit.record(action="discovery.asked", obj=row, by=by, now=now, detail=dict(same))
            after_commit(ring, TASK)
    except IntegrityError:  # somebody asked the same at this moment
        found = open_ones.filter(**same).first()
        if found is None:
            raise
        return found
    return row


def run_next(*, clock: Callable[[], dt.datetime]) -> Discovery | None:
    """Answer the question that has waited longest; None when none waits, or one is being answered."""
    row = _claim(now=clock())
    if row is None:
        return None
    if row.attempts > MAX_CLAIMS:
        _finish(row, Status.FAILED, now=clock(), error=f"{MAX_CLAIMS} workers stopped in the middle of it.")
        return row
    began = time.monotonic()

    def progress(step: str) -> None:
        if not _mine(row).update(step=step, lease_until=clock() + LEASE):
            raise LeaseLost

    try:
        if lake.current() is None:
            progress("Building the usage lake")
            lake.refresh(now=clock())
        asked = checked(outcome=row.outcome, first_days=row.first_days, within=row.within, level=row.level)
        answer = answers.answer_to(asked, until_day=day_of(clock()) - 1, progress=progress)
    except LeaseLost:
        logger.warning("discovery %s went to another worker", row.pk)
        return row
    except Exception as error:
        logger.exception("discovery %s", row.pk)
        known = str(error) if isinstance(error, UnknownOutcome) else repr(error)
        _finish(row, Status.FAILED, now=clock(), error=known[:2000])
        return row
    status = Status.REFUSED if answer["missing"] else Status.DONE
    _finish(row, status, now=clock(), result=answer, seconds=round(time.monotonic() - began, 1))
    return row


def _claim(*, now: dt.datetime) -> Discovery | None:
    token = secrets.token_hex(8)
    with transaction.atomic():
        Workspace.objects.select_for_update().get(pk=1)  # one claim after the other
        if Discovery.objects.filter(status=Status.RUNNING, lease_until__gt=now).exists():
            return None  # one at a time: it takes memory, and the other workers have accounts to evaluate
        ready = Discovery.objects.filter(
            Q(status=Status.WAITING) | Q(status=Status.RUNNING, lease_until__lte=now)
        ).order_by("asked_at", "id")
        row = lock_free_rows(ready).first()
        if row is None:
            return None
        row.status, row.started_at = Status.RUNNING, row.started_at or now
        row.lease_until, row.lease_token = now + LEASE, token
        row.attempts += 1
        row.save()
    return row


def _mine(row: Discovery) -> models.QuerySet[Discovery]:
    """The row, as long as the lease is ours."""
    return Discovery.objects.filter(pk=row.pk, status=Status.RUNNING, lease_token=row.lease_token)


def _finish(row: Discovery, status: str, *, now: dt.datetime, **answer: Any) -> None:
    finished = _mine(row).update(status=status, finished_at=now, lease_until=None, lease_token="", step="", **answer)
    if finished:
        logger.info("discovery %s: %s", row.pk, status)


def question(row: Discovery) -> dict[str, Any]:
    """What a run asks, as its answer has it."""
    return {"outcome": row.outcome, "first_days": row.first_days, "within": row.within, "level": row.level}


@dataclass(frozen=True, slots=True)
class Drafted:
    """The draft of a definition that a finding makes, and the question that found it."""

    document: dict[str, Any]
    asked: Discovery


def draft_of(discovery_id: int, index: int) -> Drafted:
    """A finding of a run as the draft of a definition. Raises LookupError where there is none, or where it does not
    hold or goes with *not* having the outcome."""
    row = Discovery.objects.filter(pk=discovery_id, status=Status.DONE).first()
    if row is None:
        raise LookupError("There is no such discovery.")
    findings = row.result["findings"]
    if not 0 <= index < len(findings) or not told.may_be_drafted(findings[index]):
        raise LookupError("There is no such finding.")
    return Drafted(told.document(findings[index], row.result["asked"]), row)


def draft_named(place: str) -> Drafted | None:
    """The draft that an address names as `discovery:3:0` (run, finding); None where it names no discovery.

    Raises LookupError as `draft_of` does.
    """
    kind, _, rest = place.partition(":")
    if kind != "discovery":
        return None
    found = re.fullmatch(r"([0-9]{1,18}):([0-9]{1,4})", rest)
    if found is None:
        raise LookupError("There is no such finding.")
    return draft_of(int(found[1]), int(found[2]))
