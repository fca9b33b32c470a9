"""The imports page: upload, columns, start, progress, rejected rows; and the queue behind it."""

import datetime as dt
import gzip

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.urls import reverse

from accounts import csv_rows, import_jobs, imports
from accounts.models import Account, AuditEntry, Event, ImportJob

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 6, 15, 9, 0, tzinfo=dt.UTC)
EVENTS = b"Event Name,Time,user_id,rows\nRows Synced,2026-01-06,u1,40\nRows Synced,someday,u1,7\n"


_ZIPPED = gzip.compress(b"user_id\n" + b"".join(b"u%d\n" % (n * 7919) for n in range(5_000)))
DAMAGED = _ZIPPED[:40] + b"\xff" * 200 + _ZIPPED[240:]


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


def upload(admin, content=EVENTS, kind="events"):
    return import_jobs.upload(kind=kind, file=SimpleUploadedFile("export.csv", content), by=admin, now=NOW)


def started(admin, **changes):
    job = upload(admin, **changes)
    return import_jobs.start(job_id=job.pk, mapping=job.mapping, by=admin, now=NOW)


def run(at=NOW):
    return import_jobs.run_next(clock=lambda: at)


def test_an_admin_uploads_sees_the_columns_and_starts(client_of, admin):
    client = client_of(admin)
    answer = client.post(reverse("imports"), {"kind": "events", "file": SimpleUploadedFile("export.csv", EVENTS)})
    job = ImportJob.objects.get()
    assert answer.headers["Location"] == reverse("import", args=[job.pk])

    html = client.get(answer.headers["Location"]).content.decode()
    assert '<option value="event" selected>event (needed)</option>' in html
    assert '<option value="rows" selected>Property “rows”</option>' in html
    assert "Rows Synced" in html
    assert html.count(" selected>") == 4 and "Property “user_id”" not in html

    columns = {"column-0": "event", "column-1": "timestamp", "column-2": "user_id", "column-3": ""}
    assert client.post(reverse("import", args=[job.pk]), columns).status_code == 302
    job.refresh_from_db()
    assert (job.status, job.mapping["rows"]) == ("waiting", "")
    assert AuditEntry.objects.get(action="import.started").actor_id == admin.pk


def test_a_worker_brings_it_in_and_the_page_shows_what_became_of_it(client_of, admin, media):
    job = started(admin)
    client = client_of(admin)
    page = reverse("import", args=[job.pk])
    assert (
        'hx-trigger="every 1s"' in client.get(page, headers={"HX-Request": "true", "HX-Target": "job"}).content.decode()
    )

    assert run() == job
    assert run() is None
    job.refresh_from_db()
    assert (job.status, job.rows_read, job.rows_new, job.rows_rejected, job.percent) == ("done", 2, 1, 1, 100)
    assert Event.objects.get().properties == {"rows": 40}
    html = client.get(page).content.decode()
    assert "every 1s" not in html and "line 3: timestamp must be a time" in html
    answer = client.get(reverse("import-rejects", args=[job.pk]))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="export.rejected.csv"'
    assert b"someday" in b"".join(answer.streaming_content)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_uploaded_file_goes_when_the_job_is_over(admin, media):
    job = started(admin)
    assert job.file.storage.exists(job.file.name)
    run()
    assert [path.name for path in (media / "imports").iterdir()] == [f"export.csv.{job.pk}.rejected.csv"]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_corrected_file_of_the_same_name_leaves_the_first_ones_rejected_rows(client_of, admin):
    first = started(admin)
    run()
    second = started(admin, content=EVENTS.replace(b"someday", b"another day"))
    run()
    assert first.file.name == second.file.name
    for job, cell in ((first, b"someday"), (second, b"another day")):
        answer = client_of(admin).get(reverse("import-rejects", args=[job.pk]))
        assert cell in b"".join(answer.streaming_content)


def test_columns_that_cannot_do_are_told_and_nothing_starts(client_of, admin):
    job = upload(admin)
    answer = client_of(admin).post(reverse("import", args=[job.pk]), {"column-0": "event"})
    assert answer.status_code == 422
    assert "needs the column timestamp and user_id" in answer.content.decode()
    job.refresh_from_db()
    assert job.status == "draft"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x1f\x8bnot gzip at all", DAMAGED, b"a,a\n1,2\n"])
def test_a_file_that_is_no_table_is_refused_and_not_kept(client_of, admin, media, content):
    file = SimpleUploadedFile("export.csv", content)
    answer = client_of(admin).post(reverse("imports"), {"kind": "users", "file": file})
    assert answer.status_code == 422
    assert ImportJob.objects.count() == 0
    assert not (media / "imports").exists() or list((media / "imports").iterdir()) == []


def test_a_draft_can_be_discarded_and_a_started_one_cannot(client_of, admin):
    client, draft, job = client_of(admin), upload(admin), started(admin)
    for each in (draft, job):
        assert client.post(reverse("import-discard", args=[each.pk])).status_code == 302
    assert list(ImportJob.objects.all()) == [job]
    with pytest.raises(import_jobs.NotADraft):
        import_jobs.start(job_id=job.pk, mapping=job.mapping, by=admin, now=NOW)


def test_a_worker_that_died_is_followed_by_another_and_nothing_doubles(admin, monkeypatch):
    job = started(admin)
    load = imports.load_some

    def killed(*args, **kwargs):
        load(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(import_jobs.imports, "load_some", killed)
    with pytest.raises(KeyboardInterrupt):
        run()
    monkeypatch.undo()
    assert (ImportJob.objects.get().status, Event.objects.count()) == ("running", 1)
    assert run() is None  # its lease still stands

    assert run(NOW + import_jobs.LEASE) == job
    job.refresh_from_db()
    assert (job.status, job.rows_read, job.rows_new, job.attempts, Event.objects.count()) == ("done", 2, 0, 2, 1)


def test_a_job_that_keeps_failing_is_given_up_with_its_error(admin, monkeypatch):
    job = started(admin)

    def broken(*args, **kwargs):
        raise RuntimeError("disk on fire")

    monkeypatch.setattr(import_jobs.imports, "load_some", broken)
    for _ in range(import_jobs.MAX_ATTEMPTS):
        run()
    job.refresh_from_db()
    assert (job.status, job.attempts, job.error) == ("failed", 3, "RuntimeError('disk on fire')")
    assert run() is None


def test_who_lost_the_lease_stops_and_the_other_ones_numbers_stand(admin, monkeypatch):
    job = started(admin)
    load = imports.load_some

    def overtaken(*args, **kwargs):
        ImportJob.objects.update(lease_token="somebody else", rows_new=99)
        return load(*args, **kwargs)

    monkeypatch.setattr(import_jobs.imports, "load_some", overtaken)
    run()
    job.refresh_from_db()
    assert (job.status, job.lease_token, job.rows_new) == ("running", "somebody else", 99)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("imports", "get"),
        ("imports", "post"),
        ("import", "get"),
        ("import", "post"),
        ("import-discard", "post"),
        ("import-rejects", "get"),
    ],
)
def test_only_admins_get_in(client_of, admin, manager, name, method):
    job = started(admin)
    url = reverse(name, args=[] if name == "imports" else [job.pk])
    assert getattr(client_of(manager), method)(url).status_code == 403
    job.refresh_from_db()
    assert job.status == "waiting"


def test_there_are_no_rejected_rows_to_fetch_before_the_end(client_of, admin):
    job = started(admin)
    assert client_of(admin).get(reverse("import-rejects", args=[job.pk])).status_code == 404


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_asks_the_same_number_of_questions(client_of, admin, django_assert_num_queries, rows):
    for _ in range(rows):
        upload(admin)
    client = client_of(admin)
    client.get(reverse("imports"))
    # session, user, roles, the page of imports with who uploaded them
    with django_assert_num_queries(4):
        html = client.get(reverse("imports")).content.decode()
    assert html.count("export.csv") == rows


def test_the_empty_list_says_what_to_do(client_of, admin):
    assert "Nothing was brought in yet" in client_of(admin).get(reverse("imports")).content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "pictures"},
        {"status": "done"},
        {"status": "waiting", "finished_at": NOW},
        {"status": "running"},
        {"status": "waiting", "lease_until": NOW},
    ],
)
def test_the_database_refuses_jobs_that_cannot_be(wrong):
    with pytest.raises(IntegrityError), transaction.atomic():
        ImportJob.objects.create(**{"kind": "users", "file": "x.csv", "file_name": "x.csv", "created_at": NOW} | wrong)


def test_one_worker_at_a_time_imports_and_the_others_stay_free(admin):
    first, second = started(admin), started(admin, content=b"user_id\nu1\n", kind="users")
    assert import_jobs._claim(now=NOW) == first
    assert import_jobs._claim(now=NOW) is None
    ImportJob.objects.filter(pk=first.pk).update(status="done", finished_at=NOW, lease_until=None)
    assert import_jobs._claim(now=NOW) == second


def test_a_file_that_ends_every_worker_is_given_up(admin, monkeypatch):
    job = started(admin)

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(import_jobs.imports, "load_some", killed)
    for n in range(import_jobs.MAX_CLAIMS):
        with pytest.raises(KeyboardInterrupt):
            run(NOW + n * import_jobs.LEASE)
    assert run(NOW + import_jobs.MAX_CLAIMS * import_jobs.LEASE) == job
    job.refresh_from_db()
    assert (job.status, job.error) == ("failed", "10 workers stopped in the middle of this file.")


def test_the_mapping_of_the_page_is_what_comes_in(admin):
    job = upload(admin, b"Team,Founded\nacme,2026-01-05\n", kind="accounts")
    with pytest.raises(csv_rows.BadFile):
        import_jobs.start(job_id=job.pk, mapping={"Team": "Team", "Founded": ""}, by=admin, now=NOW)
    import_jobs.start(job_id=job.pk, mapping={"Team": "account_id", "Founded": "created_at"}, by=admin, now=NOW)
    run()
    assert Account.objects.get().signed_up_at.date().isoformat() == "2026-01-05"
