"""What somebody means to do next about an account, and by when."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q


class NextTask(models.Model):
    """The next thing to do about a handoff's company. One is open at a time: that is what makes it the next."""

    handoff = models.ForeignKey("scoring.Handoff", on_delete=models.CASCADE, related_name="tasks")
    text = models.CharField(max_length=200)
    due_at = models.DateTimeField(help_text="The beginning of the workspace's day on which it is due.")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="next_tasks")
    set_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["handoff"], condition=Q(done_at__isnull=True), name="next_task_open_once"),
            models.CheckConstraint(condition=~Q(text=""), name="next_task_says_something"),
            models.CheckConstraint(
                condition=Q(done_at__isnull=True, done_by__isnull=True)
                | Q(done_at__isnull=False, done_by__isnull=False),
                name="next_task_done_by_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "due_at"], name="next_task_of_owner", condition=Q(done_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.text
