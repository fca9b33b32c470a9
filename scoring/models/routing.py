"""Who is given an account: the ladder and its pools, what people can take, and every decision with its reasons."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from .handoffs import Handoff


class RoutingLadder(models.Model):
    """A version of the ladder, never changed; the highest number is in force. scoring/ladder.py reads it."""

    number = models.IntegerField(unique=True)
    steps = models.JSONField(default=list, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    published_at = models.DateTimeField()
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(number__gte=1), name="routing_ladder_from_one")]

    def __str__(self) -> str:
        return f"ladder v{self.number}"


class RoutingPool(models.Model):
    """People who take turns. The row is locked while a turn is taken; `edition` rises when an admin changes it."""

    name = models.CharField(max_length=80, unique=True)
    edition = models.IntegerField(default=1)
    retired_at = models.DateTimeField(null=True, blank=True, help_text="Nobody is given anything through it any more.")
    # the round's last turn (scoring/pools.py); an id without a foreign key: it only says where the round is
    turn_level = models.BigIntegerField(default=0)
    turn_person = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class PoolMember(models.Model):
    """Somebody in a pool: their weight, where their next turn lies, and the turns that they are owed."""

    pool = models.ForeignKey(RoutingPool, on_delete=models.CASCADE, related_name="members")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="pool_seats")
    weight = models.PositiveSmallIntegerField(default=1)
    level = models.BigIntegerField(default=0)
    owed = models.PositiveIntegerField(default=0, help_text="Turns given back for bad leads.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pool", "person"], name="pool_member_once"),
            models.CheckConstraint(condition=Q(weight__gte=1, weight__lte=100), name="pool_member_weight"),
            models.CheckConstraint(condition=Q(owed__gte=0), name="pool_member_owed_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} in {self.pool_id}"


class Seller(models.Model):
    """What somebody can take. Without a row: anything, at any hour. Locked while it is counted what they have."""

    person = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="seller")
    calendar = models.ForeignKey(
        "accounts.BusinessCalendar", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    daily_cap = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MaxValueValidator(1000)], help_text="Given to them a day; empty: no limit."
    )
    open_cap = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(10_000)],
        help_text="Open at once, snoozed ones not counted; empty: no limit.",
    )
    ramp_from = models.DateField(null=True, blank=True, help_text="Their first day; nothing before it.")
    ramp = models.JSONField(default=list, blank=True, help_text="Percent of their weight, week by week from that day.")
    edition = models.IntegerField(default=1, validators=[MinValueValidator(1)])

    def __str__(self) -> str:
        return f"seller {self.person_id}"


class Leave(models.Model):
    """Days on which somebody is away, both included."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="leaves")
    first_day = models.DateField()
    last_day = models.DateField()
    note = models.CharField(max_length=100, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(last_day__gte=F("first_day")), name="leave_ends_after_it_began")
        ]
        indexes = [models.Index(fields=["person", "-last_day"], name="leave_of_person")]

    def __str__(self) -> str:
        return f"{self.person_id} {self.first_day} to {self.last_day}"


class Assignment(models.Model):
    """One walk down the ladder: to whom it led and why, who was passed over and why. Never changed but for the turn
    given back and the next try."""

    class Cause(models.TextChoices):
        OPENED = "opened", "It came into the inbox"
        OWNED = "owned", "The account got an owner"
        RETRIED = "retried", "Working hours began"
        REROUTED = "rerouted", "It waited too long"
        LEFT = "left", "Its owner left"

    handoff = models.ForeignKey(Handoff, on_delete=models.CASCADE, related_name="assignments")
    at = models.DateTimeField()
    cause = models.CharField(max_length=10, choices=Cause.choices)
    ladder = models.ForeignKey(RoutingLadder, on_delete=models.PROTECT, related_name="+")
    step = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Counted from 0; none: the queue.")
    kind = models.CharField(max_length=10, blank=True)
    rule = models.CharField(max_length=80, blank=True, help_text="The step as it was called then.")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="assignments"
    )
    pool = models.ForeignKey(RoutingPool, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    place = models.JSONField(default=dict, blank=True, help_text="In the pool: who was next in which order; owed.")
    skipped = models.JSONField(default=list, blank=True, help_text="Who was passed over: id, why, step.")
    given_back_at = models.DateTimeField(null=True, blank=True, help_text="A bad lead: the turn was given back.")
    retry_at = models.DateTimeField(null=True, blank=True, help_text="Queue: when the ladder is tried again.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(person__isnull=True, step__isnull=True) | Q(person__isnull=False, step__isnull=False),
                name="assignment_person_by_a_step",
            ),
            models.CheckConstraint(
                condition=Q(pool__isnull=True) | Q(person__isnull=False), name="assignment_pool_gave_it_to_somebody"
            ),
            models.CheckConstraint(
                condition=Q(given_back_at__isnull=True) | Q(pool__isnull=False), name="assignment_only_turns_go_back"
            ),
            models.CheckConstraint(
                condition=Q(retry_at__isnull=True) | Q(person__isnull=True), name="assignment_retry_of_the_queue"
            ),
        ]
        indexes = [
            models.Index(fields=["handoff", "-id"], name="assignment_of_handoff"),
            models.Index(fields=["person", "-at"], name="assignment_of_person"),
            models.Index(fields=["-at", "-id"], name="assignment_newest"),
            models.Index(fields=["retry_at"], name="assignment_retry", condition=Q(retry_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"handoff {self.handoff_id} to {self.person_id or 'the queue'}"
