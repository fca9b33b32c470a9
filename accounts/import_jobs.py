"""Imports through the page: an uploaded file waits as a row, and a sweep of the worker brings it in.

Draft (uploaded, columns not confirmed) -> waiting -> running -> done or failed. A running job is leased and the
lease renewed with every batch. It is worked on for a slice of time at most, then its bookmark is stored and whatever
else waits for the worker has its turn; so one worker is enough to import and to evaluate. A worker that dies loses
the lease, and another goes on from the bookmark; what it reads again changes nothing twice. The stored file goes
when the job is over; its rejected rows stay to be fetched.
"""

from __future__ import annotations

import datetime as dt
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from django.core.files.uploadedfile import UploadedFile
from django.db import models, transaction
from django.db.models import F, Q

from accounts import csv_rows, imports
from accounts.models import ImportJob, StaffUser
from accounts.team import audit
from plgops.lib.db import after_commit, lock_free_rows
from plgops.lib.doorbell import ring

logger = logging.getLogger(__name__)

TASK = "accounts.run_imports"
SLICE = dt.timedelta(seconds=5)  # and the rest of a batch: evaluation waits so long where one worker does both
LEASE = dt.timedelta(minutes=2)  # far longer than a batch takes
MAX_ATTEMPTS = 3  # times that an error is tried again; a slice that ends well forgets those before
MAX_CLAIMS = 10  # workers that may die, or be restarted, over one slice
Status = ImportJob.Status


class NotADraft(Exception):
    """The import was started, or discarded, before."""


class LeaseLost(Exception):
    """Another worker has this job; what it writes stands."""


def upload(*, kind: str, file: UploadedFile, by: StaffUser, now: dt.datetime) -> ImportJob:
    """Store a file as a draft. Raises csv_rows.BadFile when it is no table with a header."""
    job = ImportJob(
        kind=kind,
        file=file,
        file_name=Path(file.name or "file.csv").name[:200],
        size=file.size or 0,
        created_at=now,
        created_by=by,
    )
    job.save()
    try:
        _, _, job.mapping = imports.preview(Path(job.file.path), kind)
    except csv_rows.BadFile:
        job.file.delete(save=False)
        job.delete()
        raise
    job.save(update_fields=["mapping"])
    return job


def start(*, job_id: int, mapping: Mapping[str, str], by: StaffUser, now: dt.datetime) -> ImportJob:
    """Confirm what the columns mean and let the worker have it. Raises csv_rows.BadFile, NotADraft."""
    with transaction.atomic():
        job = ImportJob.objects.select_for_update(of=("self",)).get(pk=job_id)
        if job.status != Status.DRAFT:
            raise NotADraft("This import was started before.")
        csv_rows.check_mapping(job.kind, mapping)
        job.mapping = dict(mapping)
        job.status = Status.WAITING
        job.source = imports.source_named(imports.SOURCE, now=now)
        job.save()
        audit.record(action="import.started", obj=job, by=by, now=now, detail={"mapping": job.mapping})
        after_commit(ring, TASK)
    return job


def discard(*, job_id: int, by: StaffUser, now: dt.datetime) -> None:
    """Throw a draft away with its file. Raises NotADraft."""
    with transaction.atomic():
        job = ImportJob.objects.select_for_update(of=("self",)).get(pk=job_id)
        if job.status != Status.DRAFT:
            raise NotADraft("This import was started; it cannot be discarded.")
        audit.record(action="import.discarded", obj=job, by=by, now=now)
        after_commit(job.file.storage.delete, job.file.name)
        job.delete()


def run_next(*, clock: Callable[[], dt.datetime]) -> ImportJob | None:
    """Bring in the job that has waited longest, to its end or for a slice; None when nothing waits.

    `clock` says what time it is, because a job may take long and its lease must be renewed.
    """
    job = _claim(now=clock())
    if job is None:
        return None
    if job.attempts > MAX_CLAIMS:
        _finish(job, Status.FAILED, now=clock(), error=f"{MAX_CLAIMS} workers stopped in the middle of this file.")
        return job
    try:
        report, bookmark = _run(job, clock=clock)
    except LeaseLost:
        logger.warning("import %s went to another worker", job.pk)
        return job
    except (csv_rows.BadFile, FileNotFoundError) as problem:
        _finish(job, Status.FAILED, now=clock(), error=str(problem))
        return job
    except Exception as error:
        logger.exception("import %s", job.pk)
        if job.attempts < MAX_ATTEMPTS:
            _mine(job).update(status=Status.WAITING, lease_until=None, lease_token="", error=repr(error)[:2000])
        else:
            _finish(job, Status.FAILED, now=clock(), error=repr(error)[:2000])
        return job
    if bookmark is None:
        _finish(job, Status.DONE, now=clock(), error=report.first_reason, report=report)
    else:
        _lay_down(job, bookmark, now=clock())
    return job


def _claim(*, now: dt.datetime) -> ImportJob | None:
    token = secrets.token_hex(8)
    with transaction.atomic():
        if ImportJob.objects.filter(status=Status.RUNNING, lease_until__gt=now).exists():
            return None  # one at a time: the other workers have accounts to evaluate
        ready = ImportJob.objects.filter(
            Q(status=Status.WAITING) | Q(status=Status.RUNNING, lease_until__lte=now)
        ).order_by("created_at", "id")
        job = lock_free_rows(ready).first()
        if job is None:
            return None
        job.status = Status.RUNNING
        job.started_at = job.started_at or now
        job.lease_until, job.lease_token = now + LEASE, token
        job.attempts += 1
        done = imports.Bookmark(**job.bookmark)
        job.rows_read, job.rows_new, job.rows_rejected = done.read, done.new, done.rejected
        job.save()
    return job


def _run(job: ImportJob, *, clock: Callable[[], dt.datetime]) -> tuple[imports.Report, imports.Bookmark | None]:
    if job.source is None:
        raise csv_rows.BadFile("The import has no source.")
    path = Path(job.file.path)
    part = imports.Part(job.kind, path, job.mapping, Path(job.file.storage.path(job.rejected_name)))

    def progress(position: int, report: imports.Report) -> None:
        kept = _mine(job).update(
            position=position,
            rows_read=report.read,
            rows_new=report.new,
            rows_rejected=report.rejected,
            lease_until=clock() + LEASE,
        )
        if not kept:
            raise LeaseLost

    began = clock()
    return imports.load_some(
        part,
        source=job.source,
        now=began,
        bookmark=imports.Bookmark(**job.bookmark),
        enough=lambda: clock() - began >= SLICE,
        progress=progress,
    )


def _lay_down(job: ImportJob, bookmark: imports.Bookmark, *, now: dt.datetime) -> None:
    """End the lease with the slice: whoever comes next goes on from the bookmark. Nothing has gone wrong so far."""
    _mine(job).update(bookmark=asdict(bookmark), lease_until=now, lease_token="", attempts=0, error="")


def _finish(job: ImportJob, status: str, *, now: dt.datetime, error: str, report: imports.Report | None = None) -> None:
    with transaction.atomic():
        counts = {}
        if report:
            counts = {"rows_read": report.read, "rows_new": report.new, "rows_rejected": report.rejected}
        finished = _mine(job).update(
            status=status,
            finished_at=now,
            lease_until=None,
            lease_token="",
            position=F("size"),
            error=error,
            **counts,
        )
        if not finished:
            return
        audit.record(action=f"import.{status}", obj=job, by=job.created_by, now=now, detail={**counts, "error": error})
        after_commit(job.file.storage.delete, job.file.name)


def _mine(job: ImportJob) -> models.QuerySet[ImportJob]:
    """The row, as long as the lease is ours."""
    return ImportJob.objects.filter(pk=job.pk, status=Status.RUNNING, lease_token=job.lease_token)
