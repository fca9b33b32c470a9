"""What is behind: one narrow row per account and consumer. The fact row is the queue."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q


class AccountDue(models.Model):
    """How far a consumer (evaluation, tiers) has followed an account's changes.

    `changed_seq` grows by one with every change of this account, in the change's own transaction; a global
    watermark would miss whoever commits late. The consumer reads it before it reads anything else and
    writes it to `done_seq` in the commit of its verdict.
    """

    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="due", db_index=False)
    consumer = models.CharField(max_length=20)
    changed_seq = models.BigIntegerField(default=1)
    done_seq = models.BigIntegerField(default=0)
    import_seq = models.BigIntegerField(default=0, help_text="The last changed_seq that an import raised.")
    changed_at = models.DateTimeField(null=True, blank=True, help_text="Oldest change that is not done yet.")
    due_day = models.IntegerField(
        null=True, blank=True, help_text="First day on which time alone may change the verdict."
    )
    followed_version = models.BigIntegerField(
        null=True, blank=True, help_text="Newest rule version that the consumer has applied to this account."
    )
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.CharField(max_length=32, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)
    attempts = models.IntegerField(default=0)
    last_error = models.TextField(blank=True)
    # The index below asks this and not the sequences: then a change of an account that is behind already touches
    # no index, and PostgreSQL updates the row in its page (measured: four times cheaper for ingest).
    is_behind = models.GeneratedField(
        expression=Q(changed_seq__gt=F("done_seq")),  # type: ignore[arg-type]  # Django takes a Q, its stubs do not
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        verbose_name_plural = "due accounts"
        constraints = [
            models.UniqueConstraint(fields=["account", "consumer"], name="account_due_once"),
            models.CheckConstraint(condition=Q(done_seq__lte=F("changed_seq")), name="account_due_never_ahead"),
            models.CheckConstraint(condition=Q(attempts__gte=0), name="account_due_attempts_not_negative"),
        ]
        indexes = [
            models.Index(
                fields=["consumer", "changed_at"],
                name="account_due_changed",
                condition=Q(is_behind=True),
            ),
            models.Index(
                fields=["consumer", "due_day"], name="account_due_by_time", condition=Q(due_day__isnull=False)
            ),
            models.Index(fields=["consumer", "followed_version"], name="account_due_by_version"),  # a publication
            models.Index(fields=["consumer"], name="account_due_poisoned", condition=Q(attempts__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.consumer} {self.done_seq}/{self.changed_seq}"
