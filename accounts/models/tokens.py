"""What programs act with: API tokens, and the answers that a repeated request gets again."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q


class ApiToken(models.Model):
    """With it a program does through the API what its owner may do, within its scopes. Kept as a hash.

    What it may do at a moment is the narrower of two: its scopes, and the roles that its owner has then.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, help_text="What it is for.")
    prefix = models.CharField(max_length=16, unique=True)
    key_hash = models.CharField(max_length=64, help_text="SHA-256 of the token, hex.")
    scopes = models.JSONField(default=list, help_text="A list of names from accounts/tokens.py.")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        verbose_name = "API token"
        constraints = [
            models.CheckConstraint(condition=~Q(key_hash=""), name="api_token_has_its_hash"),
            models.CheckConstraint(condition=~Q(name=""), name="api_token_has_a_name"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="api_token_ends_after_it_starts"),
            models.CheckConstraint(
                condition=Q(revoked_by__isnull=True) | Q(revoked_at__isnull=False), name="api_token_revoked_has_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"


class IdempotencyKey(models.Model):
    """A write that a program named by a key of its own: what it asked, and what it was answered.

    Without an answer it is at work until `lease_until`; after that whoever asks again may take it over.
    """

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="idempotency_keys")
    key = models.CharField(max_length=200)
    request_hash = models.CharField(max_length=64, help_text="SHA-256 of what was asked, hex.")
    created_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    status = models.SmallIntegerField(null=True, blank=True, help_text="HTTP status of the answer.")
    body = models.JSONField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["token", "key"], name="idempotency_key_once"),
            models.CheckConstraint(
                condition=Q(status__isnull=True, lease_until__isnull=False)
                | Q(status__isnull=False, lease_until__isnull=True),
                name="idempotency_key_works_or_answers",
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_key_oldest")]

    def __str__(self) -> str:
        return f"{self.token_id} {self.key}"
