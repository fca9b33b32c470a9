"""Files that admins bring in through the page: each is a row, and the row is the queue."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q


class ImportJob(models.Model):
    """One uploaded file on its way in. A worker that dies loses its lease, and the file is read on from its bookmark.

    Reading rows again changes nothing (message ids come from the rows), so the bookmark may be an old one.
    """

    class Kind(models.TextChoices):
        ACCOUNTS = "accounts", "Accounts"
        USERS = "users", "Users"
        EVENTS = "events", "Events"
        REVENUE = "revenue", "Revenue"

    class Status(models.TextChoices):
        DRAFT = "draft", "Not started"
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    file = models.FileField(upload_to="imports/", max_length=300)
    file_name = models.CharField(max_length=200, help_text="As the browser named it.")
    mapping = models.JSONField(default=dict, blank=True, help_text="Column of the file -> what it means.")
    source = models.ForeignKey("accounts.Source", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.CharField(max_length=32, blank=True)
    attempts = models.IntegerField(default=0)
    size = models.BigIntegerField(default=0, help_text="Bytes of the file.")
    position = models.BigIntegerField(default=0, help_text="Bytes read so far.")
    bookmark = models.JSONField(default=dict, blank=True, help_text="Where the next slice of the import goes on.")
    rows_read = models.IntegerField(default=0)
    rows_new = models.IntegerField(default=0)
    rows_rejected = models.IntegerField(default=0)
    error = models.TextField(blank=True, help_text="Why the file as a whole failed, or the first rejected row.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["accounts", "users", "events", "revenue"]), name="import_job_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["draft", "waiting", "running"], finished_at__isnull=True)
                | Q(status__in=["done", "failed"], finished_at__isnull=False),
                name="import_job_finished_fits_status",
            ),
            models.CheckConstraint(
                condition=Q(status="running", lease_until__isnull=False)
                | ~Q(status="running") & Q(lease_until__isnull=True),
                name="import_job_leased_while_running",
            ),
        ]
        indexes = [
            models.Index(
                fields=["created_at", "id"], name="import_job_to_do", condition=Q(status__in=["waiting", "running"])
            ),
            models.Index(fields=["-created_at", "-id"], name="import_job_newest"),  # the imports page
        ]

    def __str__(self) -> str:
        return f"{self.file_name} ({self.kind})"

    @property
    def percent(self) -> int:
        """How much of the file has been read."""
        return min(100, self.position * 100 // self.size) if self.size else 0

    @property
    def rejected_name(self) -> str:
        """The stored name of the file of rejected rows; the next file of the same name has another."""
        return f"{self.file.name}.{self.pk}.rejected.csv"
