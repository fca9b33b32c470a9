"""Messages on their way out: where to, what about, and what came of it. What people chose to hear is upstairs."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q


class Destination(models.Model):
    """Somewhere messages can go: a person's or a team's. The address of a webhook is a secret, so all are sealed."""

    class Channel(models.TextChoices):
        EMAIL = "email", "E-mail"
        SLACK = "slack", "Slack"
        TEAMS = "teams", "Microsoft Teams"
        WEBHOOK = "webhook", "Webhook"
        SIGNED_WEBHOOK = "signed", "Signed webhook"

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="destinations"
    )  # None: a team's
    name = models.CharField(max_length=100)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    shown = models.CharField(max_length=200, help_text="What may be seen of its address.")
    sealed = models.TextField(blank=True, help_text="Its address and secret, encrypted; empty once it was removed.")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    disabled_at = models.DateTimeField(null=True, blank=True, help_text="When its receiver said that it is gone.")
    disabled_reason = models.CharField(max_length=300, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    failures = models.IntegerField(default=0, help_text="Tries that failed since the last that went through.")
    paused_until = models.DateTimeField(null=True, blank=True, help_text="Nothing is tried before that.")
    last_error = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=Q(owner__isnull=True, removed_at__isnull=True), name="destination_team_name"
            ),
            models.UniqueConstraint(
                fields=["owner", "name"],
                condition=Q(owner__isnull=False, removed_at__isnull=True),
                name="destination_name_of_person",
            ),
            models.CheckConstraint(
                condition=Q(channel__in=["email", "slack", "teams", "webhook", "signed"]),
                name="destination_channel_known",
            ),
            models.CheckConstraint(
                condition=Q(disabled_at__isnull=True, disabled_reason="")
                | Q(disabled_at__isnull=False) & ~Q(disabled_reason=""),
                name="destination_disabled_says_why",
            ),
            models.CheckConstraint(
                condition=Q(removed_at__isnull=True) & ~Q(sealed="") | Q(removed_at__isnull=False, sealed=""),
                name="destination_removed_forgets",
            ),
            models.CheckConstraint(condition=Q(failures__gte=0), name="destination_failures_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_channel_display()})"

    @property
    def takes_messages(self) -> bool:
        """Whether anything may be sent there."""
        return self.disabled_at is None and self.removed_at is None


class OutgoingMessage(models.Model):
    """What goes over the network at once: one alert, or several bundled. Frozen when made; the row is the queue.

    `public_id` stays the same however often it is tried: a receiver that has seen it has the message.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        FAILED = "failed", "Given up"

    public_id = models.CharField(max_length=40, unique=True)
    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, related_name="messages")
    content = models.JSONField(help_text="What is said; each channel has its own way of showing it.")
    is_test = models.BooleanField(default=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    created_at = models.DateTimeField()
    next_at = models.DateTimeField(
        null=True, blank=True, help_text="When it is tried next; while somebody tries it, when their lease ends."
    )
    attempts = models.IntegerField(default=0)
    looked_at = models.DateTimeField(
        null=True, blank=True, help_text="Given up: when somebody put it away; it is kept until then."
    )
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(status="waiting", next_at__isnull=False, sent_at__isnull=True)
                | Q(status="sent", next_at__isnull=True, sent_at__isnull=False)
                | Q(status="failed", next_at__isnull=True, sent_at__isnull=True),
                name="outgoing_times_fit_status",
            ),
            models.CheckConstraint(condition=Q(attempts__gte=0), name="outgoing_attempts_not_negative"),
            models.CheckConstraint(
                condition=Q(looked_at__isnull=True) | Q(status="failed"), name="outgoing_looked_at_when_given_up"
            ),
        ]
        indexes = [
            models.Index(fields=["next_at", "id"], name="outgoing_due", condition=Q(status="waiting")),
            models.Index(fields=["destination", "next_at", "id"], name="outgoing_turn", condition=Q(status="waiting")),
            models.Index(
                fields=["-id"], name="outgoing_given_up", condition=Q(status="failed", looked_at__isnull=True)
            ),
            models.Index(
                fields=["looked_at"], name="outgoing_put_away", condition=Q(status="failed", looked_at__isnull=False)
            ),
            models.Index(fields=["destination", "-id"], name="outgoing_of_destination"),
            models.Index(fields=["sent_at"], name="outgoing_sent", condition=Q(status="sent")),
        ]

    def __str__(self) -> str:
        return f"{self.public_id} {self.status}"


class Delivery(models.Model):
    """The outbox: one row per recipient and fact, never two. When due it is packed into a message, or left out."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        PACKED = "packed", "In a message"
        SKIPPED = "skipped", "Left out"

    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, related_name="deliveries")
    fact = models.CharField(max_length=120, help_text="What it is about: whose words, and which, e.g. alert:12")
    account = models.ForeignKey("accounts.Account", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, blank=True, help_text="When it goes into a message.")
    message = models.ForeignKey(
        OutgoingMessage, null=True, blank=True, on_delete=models.PROTECT, related_name="deliveries"
    )
    skipped_because = models.CharField(max_length=100, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["destination", "fact"], name="delivery_once"),
            models.CheckConstraint(
                condition=Q(status="waiting", due_at__isnull=False, message__isnull=True, skipped_because="")
                | Q(status="packed", due_at__isnull=True, message__isnull=False, skipped_because="")
                | Q(status="skipped", due_at__isnull=True, message__isnull=True) & ~Q(skipped_because=""),
                name="delivery_fits_status",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at", "id"], name="delivery_due", condition=Q(status="waiting")),
            models.Index(fields=["created_at"], name="delivery_left_out", condition=Q(status="skipped")),
            models.Index(fields=["destination", "account", "-created_at"], name="delivery_of_account"),
            models.Index(fields=["destination", "-id"], name="delivery_of_destination"),
        ]

    def __str__(self) -> str:
        return f"{self.fact} to {self.destination_id}"
