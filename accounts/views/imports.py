"""Files brought in by admins: upload, say what the columns mean, watch, fetch what was rejected."""

from __future__ import annotations

import gzip
from pathlib import Path

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import csv_rows, import_jobs, imports
from accounts.models import ImportJob
from accounts.team.requests import StaffRequest
from plgops.lib import access
from plgops.lib.htmx import page
from plgops.lib.paging import keyset

EXTRA = {"accounts": "Trait", "users": "Trait", "events": "Property"}


class UploadForm(forms.Form):
    """A file and what its rows are."""

    kind = forms.ChoiceField(choices=ImportJob.Kind.choices, label="What is in it")
    file = forms.FileField(label="CSV file", help_text="With a header line; plain or gzipped, UTF-8.")


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def import_list(request: StaffRequest) -> HttpResponse:
    """The imports, newest first; a POST takes a file and goes on to its columns."""
    access.require(request.user, "data.import")
    form = UploadForm(request.POST or None, request.FILES or None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                job = import_jobs.upload(
                    kind=form.cleaned_data["kind"],
                    file=form.cleaned_data["file"],
                    by=request.user,
                    now=timezone.now(),
                )
                return redirect("import", job.pk)
            except (csv_rows.BadFile, gzip.BadGzipFile) as problem:
                form.add_error("file", str(problem))
    rows = ImportJob.objects.select_related("created_by")
    context = {
        "form": form,
        "page": keyset(rows, by="-created_at", tie="-id", cursor=request.GET.get("cursor", "")),
        "kinds": [(label, csv_rows.REQUIRED[kind], csv_rows.COLUMNS[kind]) for kind, label in ImportJob.Kind.choices],
    }
    return page(request, "imports/list.html", context, status=status)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def import_page(request: StaffRequest, job_id: int) -> HttpResponse:
    """One import: its columns while it is a draft (a POST starts it), then how far it is."""
    access.require(request.user, "data.import")
    job = get_object_or_404(ImportJob.objects.select_related("created_by", "source"), pk=job_id)
    if job.status != ImportJob.Status.DRAFT:
        if request.method == "POST":
            return redirect("import", job.pk)
        return page(request, "imports/page.html", {"job": job, "has_rejects": _has_rejects(job)}, fragments=("job",))
    try:
        header, sample, _ = imports.preview(Path(job.file.path), job.kind)
    except (csv_rows.BadFile, OSError) as error:
        return page(request, "imports/page.html", {"job": job, "problem": str(error)}, status=422)
    mapping, problem, status = job.mapping, "", 200
    if request.method == "POST":
        mapping = {name: request.POST.get(f"column-{i}", csv_rows.LEFT_OUT)[:200] for i, name in enumerate(header)}
        try:
            import_jobs.start(job_id=job.pk, mapping=mapping, by=request.user, now=timezone.now())
            return redirect("import", job.pk)
        except import_jobs.NotADraft:
            return redirect("import", job.pk)
        except csv_rows.BadFile as error:
            problem, status = str(error), 422
    known = [(name, name in csv_rows.REQUIRED[job.kind]) for name in csv_rows.COLUMNS[job.kind]]
    columns = [
        {
            "field": f"column-{i}",
            "name": name,
            "target": mapping.get(name, csv_rows.LEFT_OUT),
            # a column that goes by a known name means that, or is left out
            "extra": "" if name in csv_rows.COLUMNS[job.kind] else EXTRA.get(job.kind, ""),
            "sample": [row[i] if i < len(row) else "" for row in sample][:4],
        }
        for i, name in enumerate(header)
    ]
    context = {"job": job, "columns": columns, "known": known, "problem": problem}
    return page(request, "imports/page.html", context, status=status)


@login_required
@require_POST
def import_discard(request: StaffRequest, job_id: int) -> HttpResponse:
    access.require(request.user, "data.import")
    try:
        import_jobs.discard(job_id=job_id, by=request.user, now=timezone.now())
    except ImportJob.DoesNotExist as error:
        raise Http404("There is no such import.") from error
    except import_jobs.NotADraft:
        return redirect("import", job_id)
    return redirect("imports")


@login_required
@require_GET
def import_rejects(request: StaffRequest, job_id: int) -> FileResponse:
    """The rejected rows, as a file."""
    access.require(request.user, "data.import")
    job = get_object_or_404(ImportJob, pk=job_id)
    if not _has_rejects(job):
        raise Http404("Nothing was rejected.")
    name = f"{Path(job.file_name).stem}.rejected.csv"
    return FileResponse(default_storage.open(job.rejected_name), as_attachment=True, filename=name)


def _has_rejects(job: ImportJob) -> bool:
    return job.status == ImportJob.Status.DONE and job.rows_rejected > 0 and default_storage.exists(job.rejected_name)
