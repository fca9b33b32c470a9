"""Tickets and what was said on them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from .tiers import Route, Tier


class Ticket(models.Model):
    """Somebody needs help. `due_at` is the next promise that runs (first response, then resolution)."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        WAITING = "waiting", "Waiting for the customer"
        SOLVED = "solved", "Solved"

    class Priority(models.TextChoices):
        LOW = "low", "Low"
        NORMAL = "normal", "Normal"
        HIGH = "high", "High"
        URGENT = "urgent", "Urgent"

    account = models.ForeignKey(
        "accounts.Account", null=True, blank=True, on_delete=models.PROTECT, related_name="tickets"
    )
    user = models.ForeignKey(
        "accounts.ProductUser", null=True, blank=True, on_delete=models.PROTECT, related_name="tickets"
    )
    requester_email = models.CharField(max_length=254, blank=True)
    subject = models.CharField(max_length=200)
    tier = models.ForeignKey(Tier, null=True, blank=True, on_delete=models.PROTECT, related_name="tickets")
    route = models.CharField(max_length=10, choices=Route.choices)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    priority = models.CharField(max_length=10, choices=Priority.choices, default=Priority.NORMAL)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="tickets"
    )
    opened_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    first_response_due_at = models.DateTimeField(null=True, blank=True)
    resolution_due_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    first_response_at = models.DateTimeField(null=True, blank=True)
    solved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(status__in=["open", "waiting", "solved"]), name="ticket_status_known"),
            models.CheckConstraint(
                condition=Q(priority__in=["low", "normal", "high", "urgent"]), name="ticket_priority_known"
            ),
            models.CheckConstraint(
                condition=Q(status="solved", solved_at__isnull=False) | ~Q(status="solved") & Q(solved_at__isnull=True),
                name="ticket_solved_has_its_time",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at", "id"], name="ticket_open_by_due", condition=~Q(status="solved")),
            models.Index(fields=["account", "-opened_at"], name="ticket_by_account"),
            models.Index(fields=["-solved_at", "id"], name="ticket_solved", condition=Q(status="solved")),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.subject}"


class TicketMessage(models.Model):
    """One message of a ticket: from the customer, from staff, or an internal note."""

    class Kind(models.TextChoices):
        CUSTOMER = "customer", "Customer"
        REPLY = "reply", "Reply"
        NOTE = "note", "Internal note"

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="messages")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    at = models.DateTimeField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    body = models.TextField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="customer", by__isnull=True) | Q(kind__in=["reply", "note"], by__isnull=False),
                name="ticket_message_author_fits_kind",
            ),
            models.CheckConstraint(condition=~Q(body=""), name="ticket_message_says_something"),
        ]
        indexes = [models.Index(fields=["ticket", "at"], name="ticket_message_in_order")]

    def __str__(self) -> str:
        return f"{self.ticket_id} {self.kind} at {self.at:%Y-%m-%d %H:%M}"
