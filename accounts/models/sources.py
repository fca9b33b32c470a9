"""Where facts come from: sources with their write keys, and the messages that were not understood."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q


class Source(models.Model):
    """A sender of facts. Its write key is shown once and kept as a hash; the prefix finds it again."""

    class Kind(models.TextChoices):
        HTTP = "http", "Write key"
        FILE = "file", "Files"
        INTERNAL = "internal", "plgops itself"

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.HTTP)
    prefix = models.CharField(max_length=16, unique=True, null=True, blank=True)
    key_hash = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the write key, hex.")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True, blank=True)
    signing_salt = models.CharField(
        max_length=32, blank=True, default="", help_text="Its signing secret follows from this and the server's key."
    )
    last_seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="http", prefix__isnull=False) & ~Q(key_hash="")
                | Q(prefix__isnull=True, key_hash="") & ~Q(kind="http"),
                name="source_key_goes_with_http",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class QuarantinedMessage(models.Model):
    """A message that could not be accepted, with the reason, as it came. It can be replayed."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="quarantine")
    digest = models.BinaryField(max_length=16, help_text="Of the message as it came: a resend is not a second row.")
    message_id = models.CharField(max_length=200, blank=True)
    type = models.CharField(max_length=20, blank=True)
    code = models.CharField(max_length=40)
    reason = models.CharField(max_length=500)
    payload = models.JSONField()
    sent_at = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField()
    times_seen = models.IntegerField(default=1)
    replayed_at = models.DateTimeField(null=True, blank=True, help_text="Accepted on replay.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "digest"], name="quarantined_message_once")]
        indexes = [models.Index(fields=["-received_at", "id"], name="quarantine_newest")]

    def __str__(self) -> str:
        return f"{self.code}: {self.message_id or self.pk}"
