"""Episodes: an account qualifies under a definition, from a moment to a moment, with frozen evidence."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from .definitions import Definition, DefinitionVersion


class Qualification(models.Model):
    """One episode. At most one is open per account and definition: the database says so.

    `evidence` is frozen from the same snapshot as the verdict (see scoring/evaluate.py for its form): ids
    and numbers only, no personal data. Episodes never move to another account.
    """

    class Cause(models.TextChoices):
        EVENT = "event", "An event"
        TIME = "time", "Time passed"
        PUBLISH = "publish", "The definition was published"
        IMPORT = "import", "An import"
        MERGE = "merge", "Accounts were merged"
        CORRECTION = "correction", "A correction"

    class CloseCause(models.TextChoices):
        CONVERTED = "converted", "Paid"
        LAPSED = "lapsed", "The rule no longer holds"
        REDEFINED = "redefined", "The definition changed"
        MERGED = "merged", "The account was merged"
        RENEWED = "renewed", "New evidence after its handoff was closed"

    class Release(models.TextChoices):
        LIVE = "live", "Opens a handoff at once"
        WAITING = "waiting", "Waits for an admin's release"
        RELEASED = "released", "Released by an admin"
        SELF_SERVE = "self_serve", "Below the motion rule: stays self-serve"

    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="qualifications")
    definition = models.ForeignKey(Definition, on_delete=models.PROTECT, related_name="qualifications")
    version = models.ForeignKey(DefinitionVersion, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(help_text="When plgops found out.")
    since_at = models.DateTimeField(null=True, blank=True, help_text="When the rule came true.")
    since_day = models.IntegerField(null=True, blank=True)
    cause = models.CharField(max_length=20, choices=Cause.choices)
    release = models.CharField(max_length=20, choices=Release.choices, default=Release.LIVE)
    released_at = models.DateTimeField(null=True, blank=True, help_text="When it was let go; none: as it opened.")
    evidence = models.JSONField(default=dict)
    handoff = models.ForeignKey(
        "scoring.Handoff", null=True, blank=True, on_delete=models.PROTECT, related_name="reasons"
    )
    lapsing_since_day = models.IntegerField(
        null=True, blank=True, help_text="First day on which the rule did not hold; closes after the grace period."
    )
    closed_at = models.DateTimeField(null=True, blank=True)
    close_cause = models.CharField(max_length=20, choices=CloseCause.choices, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "definition"], condition=Q(closed_at__isnull=True), name="qualification_open_once"
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True, close_cause="") | Q(closed_at__isnull=False) & ~Q(close_cause=""),
                name="qualification_closed_with_cause",
            ),
            models.CheckConstraint(
                condition=Q(close_cause__in=["", "converted", "lapsed", "redefined", "merged", "renewed"]),
                name="qualification_close_cause_known",
            ),
            models.CheckConstraint(
                condition=Q(cause__in=["event", "time", "publish", "import", "merge", "correction"]),
                name="qualification_cause_known",
            ),
            models.CheckConstraint(
                condition=Q(release__in=["live", "waiting", "released", "self_serve"]),
                name="qualification_release_known",
            ),
        ]
        indexes = [
            # definition page: who qualifies, newest first; how many wait for release
            models.Index(
                fields=["definition", "-since_at", "id"],
                name="qualification_open_newest",
                condition=Q(closed_at__isnull=True),
            ),
            models.Index(
                fields=["definition"],
                name="qualification_waiting",
                condition=Q(closed_at__isnull=True, release="waiting"),
            ),
            models.Index(fields=["account", "-opened_at"], name="qualification_by_account"),
            # definition list: how many opened in the last days
            models.Index(fields=["definition", "opened_at"], name="qualification_by_opening"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.definition_id} from {self.opened_at:%Y-%m-%d}"
