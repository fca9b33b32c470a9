"""Definitions and their immutable versions."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q


class Purpose(models.TextChoices):
    ACTIVATION = "activation", "Activation"
    PQL = "pql", "Product-qualified lead"
    EXPANSION = "expansion", "Expansion"
    RISK = "risk", "Risk"


class Level(models.TextChoices):
    ACCOUNT = "account", "Account"
    USER = "user", "User"


class Definition(models.Model):
    """A named rule. What it says is in its versions; the live one decides."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    purpose = models.CharField(max_length=20, choices=Purpose.choices)
    level = models.CharField(max_length=10, choices=Level.choices, default=Level.ACCOUNT)
    live_version = models.ForeignKey(
        "DefinitionVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="live_for"
    )
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True, blank=True)
    # Counts as of the last full recompute or sweep, so that a list never counts a population.
    last_full_run_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(purpose__in=Purpose.values), name="definition_purpose_known"),
            models.CheckConstraint(condition=Q(level__in=Level.values), name="definition_level_known"),
        ]

    def __str__(self) -> str:
        return self.slug


class DefinitionVersion(models.Model):
    """One published text of a definition; never changed afterwards. `document` is the stored form, whole."""

    definition = models.ForeignKey(Definition, on_delete=models.PROTECT, related_name="versions")
    number = models.IntegerField()
    document = models.JSONField()
    english = models.TextField(help_text="The rule in words, as it read when it was published.")
    reason = models.CharField(max_length=300, blank=True)
    published_at = models.DateTimeField()
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["definition", "number"], name="definition_version_once"),
            models.CheckConstraint(condition=Q(number__gte=1), name="definition_version_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.definition_id} v{self.number}"
