"""An import is worked on in slices: it goes on where it stopped, and evaluation has its turn in between."""

import datetime as dt
import gzip
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts import import_jobs, imports, tasks
from accounts.ingest import accept_batch
from accounts.models import Account, Event, ImportJob, Source, TraitValue
from scoring.models import Handoff
from tests.conftest import NOW
from tests.factories.scoring import publish, sweep

pytestmark = pytest.mark.django_db
# a BOM, cells over several lines, letters of several bytes, wrong rows, one that is no UTF-8; more than a buffer full
LONG = "Größe\n" * 400
EVENTS = (
    "\ufeffevent;timestamp;user_id;note\n"
    + "".join(f'Rows Synced;2026-01-0{1 + n % 9};u{n};"{LONG}{n}"\n' + ("\n" if n % 4 == 0 else "") for n in range(11))
    + "Rows Synced;someday;u1;\nRows Synced;2026-01-06\n"
).encode() + b"Rows Synced;2026-01-07;u3;\xff\xfe\nRows Synced;2026-01-08;u4;last\nRows Synced;never;u5;\n"
ACCOUNTS = b"account_id,size,created_at\n" + b"".join(
    b"a%d,%d,%s\n" % (n, n, b"2026-01-0%d" % (1 + n) if n % 3 == 0 else b"") for n in range(9)
)


@pytest.fixture(autouse=True)
def small(settings, tmp_path, monkeypatch):
    """Batches of two rows, and each slice is one batch."""
    settings.MEDIA_ROOT = tmp_path / "media"
    monkeypatch.setattr(imports, "BATCH", 2)
    monkeypatch.setattr(import_jobs, "SLICE", dt.timedelta(0))


def started(admin, content: bytes, kind: str = "events") -> ImportJob:
    file = SimpleUploadedFile("export.csv", content)
    job = import_jobs.upload(kind=kind, file=file, by=admin, now=NOW)
    return import_jobs.start(job_id=job.pk, mapping=job.mapping, by=admin, now=NOW)


def rejected(job: ImportJob) -> bytes:
    return Path(job.file.storage.path(job.rejected_name)).read_bytes()


def run_to_the_end(job: ImportJob) -> int:
    """How many slices it took."""
    slices = 0
    while import_jobs.run_next(clock=lambda: NOW) is not None:
        slices += 1
        assert slices < 50
    job.refresh_from_db()
    return slices


@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_in_slices_is_the_file_as_a_whole(admin, tmp_path, zipped):
    whole = tmp_path / "whole.csv"
    whole.write_bytes(EVENTS)
    (checked,) = imports.check([imports.Part("events", whole)], now=NOW)
    job = started(admin, gzip.compress(EVENTS) if zipped else EVENTS)
    assert run_to_the_end(job) == 9  # eight batches; after the last of them nobody knows yet that it was the last
    assert (job.status, job.attempts) == ("done", 1)
    assert (job.rows_read, job.rows_new, job.rows_rejected) == (checked.read, 12, checked.rejected) == (16, 12, 4)
    assert job.error == checked.first_reason
    assert rejected(job) == checked.rejected_path.read_bytes()
    notes = set(Event.objects.values_list("user_key", "properties__note"))
    assert notes == {(f"u:u{n}", f"{LONG}{n}") for n in range(11)} | {("u:u4", "last")}


def test_rows_that_wait_for_the_others_come_in_slices_too(admin):
    job = started(admin, ACCOUNTS, kind="accounts")
    run_to_the_end(job)
    assert (job.status, job.rows_read, job.rows_new) == ("done", 9, 9)
    assert Account.objects.count() == 9
    sizes = dict(TraitValue.objects.filter(name="size").values_list("key", "number"))
    assert sizes == {f"g:a{n}": n * 1_000_000 for n in range(9)}


def test_a_worker_that_dies_in_a_slice_costs_that_slice(admin, monkeypatch):
    job = started(admin, EVENTS)
    for _ in range(7):
        import_jobs.run_next(clock=lambda: NOW)
    job.refresh_from_db()
    assert (job.status, job.rows_read, job.rows_rejected, job.attempts) == ("running", 14, 3, 0)
    load = imports.load_some

    def killed(*args, **kwargs):
        load(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(import_jobs.imports, "load_some", killed)
    with pytest.raises(KeyboardInterrupt):
        import_jobs.run_next(clock=lambda: NOW)
    monkeypatch.setattr(import_jobs.imports, "load_some", load)
    assert import_jobs.run_next(clock=lambda: NOW) is None  # its lease stands
    later = NOW + import_jobs.LEASE
    while import_jobs.run_next(clock=lambda: later) is not None:
        pass
    job.refresh_from_db()
    assert (job.status, job.rows_read, job.rows_new, job.rows_rejected) == ("done", 16, 11, 4)
    assert rejected(job).count(b"\n") == 1 + 4


def test_evaluation_runs_between_the_slices(admin):
    publish(NOW - dt.timedelta(days=1), rule={"count": {"event": "Invite Sent", "at_least": 1, "window": "ever"}})
    source = Source.objects.create(name="app", kind="internal", created_at=NOW)
    rows = "".join(f"Invite Sent,2026-01-0{1 + n},u{n},history-{n}\n" for n in range(6))
    job = started(admin, f"event,timestamp,user_id,account_id\n{rows}".encode())
    seen = []
    for number in range(3):
        import_jobs.run_next(clock=lambda: NOW)
        live = {"type": "track", "event": "Invite Sent", "userId": f"v{number}", "messageId": f"m{number}"}
        accept_batch(source=source, messages=[{**live, "context": {"groupId": f"live-{number}"}}], received_at=NOW)
        swept = sweep(NOW)
        job.refresh_from_db()
        seen.append((job.status, job.rows_read, swept.opened["team-expansion"], Handoff.objects.count()))
    assert seen == [("running", 2, 3, 1), ("running", 4, 3, 2), ("running", 6, 3, 3)]
    assert run_to_the_end(job) == 1


def test_the_task_stops_after_its_slice_and_rings_for_the_next(admin, monkeypatch):
    rung = []
    monkeypatch.setattr(tasks, "ring", rung.append)
    job = started(admin, EVENTS)
    tasks.run_imports()
    job.refresh_from_db()
    assert (job.status, job.rows_read, rung) == ("running", 2, ["accounts.run_imports"])
    monkeypatch.setattr(import_jobs, "SLICE", dt.timedelta(minutes=1))
    tasks.run_imports()
    job.refresh_from_db()
    assert (job.status, job.rows_read, len(rung)) == ("done", 16, 1)


def test_a_job_that_stopped_for_others_is_taken_before_the_next_file(admin):
    first, second = started(admin, EVENTS), started(admin, b"user_id\nu1\n", kind="users")
    assert [import_jobs.run_next(clock=lambda: NOW).pk for _ in range(2)] == [first.pk, first.pk]
    run_to_the_end(second)
    assert set(ImportJob.objects.values_list("status", flat=True)) == {"done"}
