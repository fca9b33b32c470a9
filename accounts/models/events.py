"""WHAT they did: the catalogue, the log, the one judge of duplicates, and the roll-up that rules read."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q


class EventType(models.Model):
    """What an event means. Made on first sight with no meaning; an admin describes it."""

    class Meaning(models.TextChoices):
        NONE = "", "Not described"
        ACTIVITY = "activity", "Ordinary activity"
        SIGNUP = "signup", "Sign-up"
        INVITE = "invite", "Invite"
        CORE = "core", "Core workflow"
        PREMIUM = "premium", "Premium feature"
        BILLING = "billing", "Billing"

    name = models.CharField(max_length=200, unique=True)
    meaning = models.CharField(max_length=20, choices=Meaning.choices, blank=True, default="")
    description = models.CharField(max_length=300, blank=True)
    is_activity = models.BooleanField(default=True, help_text="Counts as activity: part of “*” in a rule.")
    metered_property = models.CharField(max_length=100, blank=True, help_text="Numeric property to sum, e.g. rows.")
    distinct_property = models.CharField(
        max_length=100, blank=True, help_text="Property whose distinct values count, e.g. invitee_email."
    )
    base = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="derived",
        help_text="Derived types: of what.",
    )
    property_filter = models.JSONField(null=True, blank=True, help_text='Derived types: {"name": …, "in": […]}.')
    first_seen_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(base__isnull=True, property_filter__isnull=True)
                | Q(base__isnull=False, property_filter__isnull=False),
                name="event_type_derived_has_base_and_filter",
            ),
            models.CheckConstraint(
                condition=Q(base__isnull=True) | Q(is_activity=False), name="event_type_derived_is_not_raw_activity"
            ),
            models.CheckConstraint(
                condition=Q(meaning__in=["", "activity", "signup", "invite", "core", "premium", "billing"]),
                name="event_type_meaning_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Recount(models.Model):
    """The history of an event type is to be counted again. The row is the queue, and it goes when that is done.

    One that is asked for while another of the same type is under way takes its place, from the start.
    """

    event_type = models.ForeignKey(EventType, on_delete=models.PROTECT, related_name="recounts")
    asked_at = models.DateTimeField()
    after = models.BigIntegerField(default=-1, help_text="People up to this id are done; -1: not begun.")
    retry_at = models.DateTimeField(null=True, blank=True, help_text="When a step that is under way is given up.")
    attempts = models.IntegerField(default=0, help_text="Steps begun since the last one that was done.")
    last_error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(after__gte=-1), name="recount_after_known"),
            models.CheckConstraint(condition=Q(attempts__gte=0), name="recount_attempts_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type_id}, asked {self.asked_at:%Y-%m-%d %H:%M}"


class Event(models.Model):
    """The log: track messages only. Nothing has a foreign key to it, so it can be partitioned by month.

    `user_key` and `account_key` are what the message said and never change; `user` and `account` are what
    they resolve to now. Four times are kept: what the client called the event's time, when it was sent,
    when it reached us, and `occurred_at`, which is the first corrected for clock skew past a threshold.
    The foreign keys are not enforced by the database: the log is insert-only and four checks a row would
    halve ingest.
    """

    source = models.ForeignKey("accounts.Source", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    message_id = models.CharField(max_length=100)
    event_type = models.ForeignKey(EventType, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    user = models.ForeignKey("accounts.ProductUser", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    account = models.ForeignKey(
        "accounts.Account", null=True, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    user_key = models.CharField(max_length=210)
    account_key = models.CharField(max_length=210, blank=True, help_text="Empty: the message named no account.")
    occurred_at = models.DateTimeField()
    original_at = models.DateTimeField(null=True, help_text="The client's own time, uncorrected.")
    sent_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField()
    properties = models.JSONField(default=dict)
    context = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["account", "-occurred_at"], name="event_by_account"),  # timeline, rebuild
            models.Index(fields=["user", "-occurred_at"], name="event_by_user"),  # alias, re-attribution
        ]

    def __str__(self) -> str:
        return f"{self.message_id} at {self.occurred_at:%Y-%m-%d %H:%M:%S}"


class Receipt(models.Model):
    """The one judge of duplicates: a message id of a source was accepted. Kept as long as the log."""

    source = models.ForeignKey("accounts.Source", on_delete=models.PROTECT, db_index=False)
    digest = models.BinaryField(max_length=16, help_text="First 16 bytes of the message id's BLAKE2b.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "digest"], name="receipt_once")]

    def __str__(self) -> str:
        return f"{self.source_id}:{bytes(self.digest).hex()}"


class UsageDay(models.Model):
    """One row per account, person, event type and workspace day. 0 where there is no account.

    Plain integers and no foreign keys: rules run the same SQL over it on every engine. The metered values
    are micro-units; `last_value` is the one of the latest event of the day (ties: the greater value).
    """

    account_id = models.BigIntegerField()
    user_id = models.BigIntegerField()
    event_type_id = models.BigIntegerField()
    day = models.IntegerField()
    count = models.IntegerField()
    sum_value = models.BigIntegerField(default=0)
    max_value = models.BigIntegerField(null=True)
    last_value = models.BigIntegerField(null=True)
    last_value_us = models.BigIntegerField(null=True, help_text="Time of last_value: only events that carry one count.")
    first_us = models.BigIntegerField(help_text="Microseconds since 1970 UTC of the day's first event.")
    last_us = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account_id", "user_id", "event_type_id", "day"], name="usage_day_once"),
            models.CheckConstraint(condition=Q(count__gt=0), name="usage_day_counts_something"),
            models.CheckConstraint(condition=Q(last_us__gte=F("first_us")), name="usage_day_times_in_order"),
        ]
        indexes = [
            models.Index(fields=["account_id", "day"], name="usage_day_by_account"),  # charts, windows
            models.Index(fields=["user_id"], name="usage_day_by_user"),  # re-attribution
        ]

    def __str__(self) -> str:
        return f"{self.account_id}/{self.user_id}/{self.event_type_id}/{self.day}: {self.count}"


class UsageValue(models.Model):
    """One row per distinct value of a type's `distinct_property` and day (normalised, hashed when long)."""

    account_id = models.BigIntegerField()
    user_id = models.BigIntegerField()
    event_type_id = models.BigIntegerField()
    day = models.IntegerField()
    value = models.CharField(max_length=200)
    count = models.IntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "user_id", "event_type_id", "day", "value"], name="usage_value_once"
            ),
            models.CheckConstraint(condition=Q(count__gt=0), name="usage_value_counts_something"),
        ]
        indexes = [models.Index(fields=["user_id"], name="usage_value_by_user")]

    def __str__(self) -> str:
        return f"{self.account_id}/{self.user_id}/{self.event_type_id}/{self.day}: {self.value}"
