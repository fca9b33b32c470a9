"""Runs of the discovery: each is a row, and the row is the queue."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from scoring.models.definitions import Level


class Discovery(models.Model):
    """One question to history: which early behaviours go with an outcome later. A worker that dies loses its lease,
    and another one answers it from the start; nothing is written before the answer is whole."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        REFUSED = "refused", "Too little data"
        FAILED = "failed", "Failed"

    outcome = models.CharField(max_length=200, help_text="A stage, or the name of an event.")
    first_days = models.IntegerField(help_text="Behaviour of so many days from the sign-up day on.")
    within = models.IntegerField(help_text="The outcome within so many days after those.")
    level = models.CharField(max_length=10, choices=Level.choices, default=Level.ACCOUNT)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    asked_at = models.DateTimeField()
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True, help_text="What the answer took.")
    step = models.CharField(max_length=60, blank=True, help_text="What the worker is at.")
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.CharField(max_length=32, blank=True)
    attempts = models.IntegerField(default=0)
    result = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "discoveries"
        constraints = [
            models.CheckConstraint(condition=Q(level__in=["account", "user"]), name="discovery_level_known"),
            models.CheckConstraint(
                condition=Q(first_days__gte=1, first_days__lte=90, within__gte=1, within__lte=365),
                name="discovery_days_in_range",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["waiting", "running"], finished_at__isnull=True)
                | Q(status__in=["done", "refused", "failed"], finished_at__isnull=False),
                name="discovery_finished_fits_status",
            ),
            models.CheckConstraint(
                condition=Q(status="running", lease_until__isnull=False)
                | ~Q(status="running") & Q(lease_until__isnull=True),
                name="discovery_leased_while_running",
            ),
            models.UniqueConstraint(
                fields=["outcome", "first_days", "within", "level"],
                condition=Q(status__in=["waiting", "running"]),
                name="discovery_asked_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["asked_at", "id"], name="discovery_to_do", condition=Q(status__in=["waiting", "running"])
            ),
            models.Index(fields=["-asked_at", "-id"], name="discovery_newest"),  # the page of runs
        ]

    def __str__(self) -> str:
        return f"{self.outcome} after {self.first_days} days, within {self.within} ({self.level})"
