"""Letters: e-mails to people who use the customer's product. Who decides that one is due is upstairs."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Letter(models.Model):
    """One e-mail to one person about one fact, never two. The row is the queue.

    Nothing of it is kept but this: its words are given at every try by whose fact it is, and its address is the
    person's at that moment. `public_id` stays the same however often it is tried.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        FAILED = "failed", "Given up"
        SKIPPED = "skipped", "Left out"

    public_id = models.CharField(max_length=40, unique=True)
    user = models.ForeignKey("accounts.ProductUser", on_delete=models.PROTECT, related_name="letters")
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    fact = models.CharField(max_length=120, help_text="What it is about: whose words, and which, e.g. nudge:12")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    created_at = models.DateTimeField()
    next_at = models.DateTimeField(
        null=True, blank=True, help_text="When it is tried next; while somebody tries it, when their lease ends."
    )
    attempts = models.IntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    why = models.CharField(max_length=300, blank=True, help_text="The last error, or why it was left out.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "fact"], name="letter_once"),
            models.CheckConstraint(
                condition=Q(status="waiting", next_at__isnull=False, sent_at__isnull=True)
                | Q(status="sent", next_at__isnull=True, sent_at__isnull=False)
                | Q(status__in=["failed", "skipped"], next_at__isnull=True, sent_at__isnull=True) & ~Q(why=""),
                name="letter_times_fit_status",
            ),
            models.CheckConstraint(condition=Q(attempts__gte=0), name="letter_attempts_not_negative"),
        ]
        indexes = [models.Index(fields=["next_at", "id"], name="letter_due", condition=Q(status="waiting"))]

    def __str__(self) -> str:
        return f"{self.public_id} {self.status}"
