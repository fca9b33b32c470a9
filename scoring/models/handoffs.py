"""The sales side of an account: one open handoff per company, and what was done about it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q


class Handoff(models.Model):
    """A company is in sales' hands. Qualifications attach as reasons; at most one is open per company.

    Transitions are a table in scoring/handoffs.py; every change leaves an audit row.
    """

    class Status(models.TextChoices):
        NEW = "new", "New"
        CLAIMED = "claimed", "Claimed"
        WORKING = "working", "Working"
        SNOOZED = "snoozed", "Snoozed"
        WON = "won", "Won"
        LOST = "lost", "Lost"
        DISQUALIFIED = "disqualified", "Disqualified"
        RETURNED = "returned", "Returned to self-serve"
        WITHDRAWN = "withdrawn", "Withdrawn before anybody claimed it"

    OPEN = ("new", "claimed", "working", "snoozed")

    company = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="handoffs")
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.NEW)
    opened_at = models.DateTimeField()
    newest_evidence_at = models.DateTimeField(
        help_text="Newest event behind any of its reasons; the inbox sorts by it."
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="handoffs"
    )
    claimed_at = models.DateTimeField(null=True, blank=True)
    assigned = models.BooleanField(default=False, help_text="Went to an existing owner; nobody clicked Claim.")
    first_touch_at = models.DateTimeField(null=True, blank=True)
    snoozed_until = models.DateTimeField(null=True, blank=True, help_text="Asleep until then; kept when it is closed.")
    wakes_on_evidence = models.BooleanField(default=True, help_text="Stronger evidence wakes it before.")
    woken_at = models.DateTimeField(null=True, blank=True, help_text="Woke by itself, and nothing was done since.")
    due_at = models.DateTimeField(
        null=True, blank=True, help_text="When it must be claimed, or first touched, by its clock (scoring/speed.py)."
    )
    last_owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Who had the company when its handoff before this one was closed.",
    )
    last_owner_until = models.DateTimeField(null=True, blank=True)
    rule_lapsed_at = models.DateTimeField(null=True, blank=True, help_text="No reason holds any more.")
    paid_at = models.DateTimeField(
        null=True, blank=True, help_text="The account paid while this was open: confirm the outcome."
    )
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    outcome_reason = models.CharField(max_length=40, blank=True)
    outcome_note = models.TextField(blank=True)
    cooldown_until = models.DateTimeField(null=True, blank=True, help_text="Not opened again before this.")
    evidence_watermark = models.DateTimeField(
        null=True, blank=True, help_text="Only evidence newer than this opens it again."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["company"], condition=Q(closed_at__isnull=True), name="handoff_open_once"),
            models.CheckConstraint(
                condition=Q(status__in=["new", "claimed", "working", "snoozed"], closed_at__isnull=True)
                | Q(status__in=["won", "lost", "disqualified", "returned", "withdrawn"], closed_at__isnull=False),
                name="handoff_closed_fits_status",
            ),
            models.CheckConstraint(
                condition=Q(owner__isnull=True, claimed_at__isnull=True)
                | Q(owner__isnull=False, claimed_at__isnull=False),
                name="handoff_owner_and_time",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["claimed", "working", "snoozed"]) | Q(owner__isnull=False),
                name="handoff_claimed_has_owner",
            ),
            models.CheckConstraint(
                condition=Q(snoozed_until__isnull=False) & ~Q(status__in=["new", "claimed", "working"])
                | Q(snoozed_until__isnull=True) & ~Q(status="snoozed"),
                name="handoff_asleep_until",
            ),
            models.CheckConstraint(
                condition=Q(last_owner__isnull=True, last_owner_until__isnull=True)
                | Q(last_owner__isnull=False, last_owner_until__isnull=False),
                name="handoff_last_owner_and_time",
            ),
            models.CheckConstraint(condition=~Q(status="new") | Q(owner__isnull=True), name="handoff_new_has_none"),
        ]
        indexes = [
            models.Index(fields=["-newest_evidence_at", "id"], name="handoff_new_newest", condition=Q(status="new")),
            models.Index(fields=["opened_at", "id"], name="handoff_new_waiting", condition=Q(status="new")),
            models.Index(
                fields=["owner", "-newest_evidence_at", "id"], name="handoff_mine", condition=Q(closed_at__isnull=True)
            ),
            # the inbox by what is due first; what has no deadline comes after it, by id
            models.Index(fields=["due_at", "id"], name="handoff_new_due", condition=Q(status="new")),
            models.Index(
                fields=["owner", "due_at", "id"], name="handoff_mine_due", condition=Q(closed_at__isnull=True)
            ),
            models.Index(fields=["snoozed_until", "id"], name="handoff_wakes", condition=Q(status="snoozed")),
            # the sales team's page: what was claimed in a period
            models.Index(fields=["claimed_at"], name="handoff_claimed", condition=Q(claimed_at__isnull=False)),
            models.Index(fields=["-closed_at", "id"], name="handoff_done", condition=Q(closed_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.company_id} {self.status}"


class HandoffActivity(models.Model):
    """A touch or a note on a handoff."""

    class Kind(models.TextChoices):
        NOTE = "note", "Note"
        EMAILED = "emailed", "E-mailed"
        CALLED = "called", "Called"
        MET = "met", "Met"

    handoff = models.ForeignKey(Handoff, on_delete=models.CASCADE, related_name="activities")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    at = models.DateTimeField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["note", "emailed", "called", "met"]), name="handoff_activity_kind_known"
            ),
            models.CheckConstraint(condition=~Q(kind="note", text=""), name="handoff_note_says_something"),
        ]
        indexes = [models.Index(fields=["handoff", "-at"], name="handoff_activity_newest")]

    def __str__(self) -> str:
        return f"{self.handoff_id} {self.kind}"
