"""Plays: what a definition's qualification does, who was held out of it, and what became of each qualification."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from .definitions import Definition
from .qualifications import Qualification


class Play(models.Model):
    """What happens when an account qualifies under a definition, or nearly does. Verbs are in scoring/plays.py.

    Definition, trigger and action never change after it was made; the rest may, and never acts again on what a run
    was decided about before.
    """

    class Trigger(models.TextChoices):
        QUALIFIES = "qualifies", "An account qualifies"
        NEAR_MISS = "near_miss", "An account is one condition short"

    class Action(models.TextChoices):
        SALES_HANDOFF = "sales_handoff", "Hand the company to sales"
        PROMPT = "prompt", "Show an upgrade prompt in the product"
        NUDGE = "nudge", "Nudge people in the product"
        EMAIL_NUDGE = "email_nudge", "Nudge people by e-mail"
        CS_TASK = "cs_task", "Give customer success a task"
        WEBHOOK = "webhook", "Call a webhook only"

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        LIVE = "live", "Live"
        PAUSED = "paused", "Paused"
        ARCHIVED = "archived", "Archived"

    class Moment(models.TextChoices):
        ANY = "", "Any page"
        LIMIT_REACHED = "limit_reached", "A limit is reached"
        TEAMMATE_WALL = "teammate_wall", "One more teammate than the plan has seats"
        TRIAL_ENDING = "trial_ending", "The trial is about to end"
        FEATURE_GATE = "feature_gate", "A feature of a higher plan is opened"

    # what a person of the customer meets: of several of these, one at a time
    FACING = (Action.SALES_HANDOFF, Action.PROMPT, Action.NUDGE, Action.EMAIL_NUDGE, Action.CS_TASK)
    IN_PRODUCT = (Action.PROMPT, Action.NUDGE)
    OUTREACH = (*IN_PRODUCT, Action.EMAIL_NUDGE)  # waits while somebody talks to the company

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=100, unique=True)
    definition = models.ForeignKey(Definition, on_delete=models.PROTECT, related_name="plays")
    trigger = models.CharField(max_length=10, choices=Trigger.choices, default=Trigger.QUALIFIES)
    action = models.CharField(max_length=20, choices=Action.choices)
    moment = models.CharField(max_length=20, choices=Moment.choices, blank=True, default=Moment.ANY)
    audience = models.TextField(blank=True, help_text="One condition about the account a line; none: everybody.")
    holdout_percent = models.PositiveSmallIntegerField(default=0)
    cooldown_days = models.PositiveSmallIntegerField(default=0, help_text="Not again for the same company before.")
    priority = models.PositiveSmallIntegerField(default=50, help_text="The highest wins where several apply at once.")
    convert_days = models.PositiveSmallIntegerField(default=30, help_text="Paid within so many days: a conversion.")
    starts_on = models.DateField(null=True, blank=True)
    ends_on = models.DateField(null=True, blank=True, help_text="The last day.")
    promotional = models.BooleanField(default=True, help_text="Muted while a rep works the account or a ticket burns.")
    content = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    live_since = models.DateTimeField(null=True, blank=True)
    near_due_at = models.DateTimeField(null=True, blank=True, help_text="When near misses are asked for next.")
    salt = models.CharField(max_length=32, help_text="Who is held out follows from this and the company's id.")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(action__in=["sales_handoff", "prompt", "nudge", "email_nudge", "cs_task", "webhook"]),
                name="play_action_known",
            ),
            models.CheckConstraint(
                condition=Q(trigger="qualifies")
                | Q(trigger="near_miss", action__in=["nudge", "email_nudge", "cs_task", "webhook"]),
                name="play_trigger_fits_action",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["draft", "paused", "archived"]) | Q(status="live", live_since__isnull=False),
                name="play_live_since_when",
            ),
            models.CheckConstraint(condition=Q(holdout_percent__lte=90), name="play_holdout_at_most_90"),
            models.CheckConstraint(condition=Q(priority__lte=1000), name="play_priority_at_most_1000"),
            models.CheckConstraint(
                condition=Q(convert_days__gte=1, convert_days__lte=365), name="play_converts_within_a_year"
            ),
            models.CheckConstraint(
                condition=Q(starts_on__isnull=True) | Q(ends_on__isnull=True) | Q(ends_on__gte=F("starts_on")),
                name="play_ends_after_it_starts",
            ),
            models.CheckConstraint(
                condition=Q(moment__in=["", "limit_reached", "teammate_wall", "trial_ending", "feature_gate"]),
                name="play_moment_known",
            ),
            models.CheckConstraint(condition=~Q(salt=""), name="play_has_salt"),
        ]
        indexes = [
            models.Index(fields=["near_due_at"], name="play_near_due", condition=Q(near_due_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.slug


class PlayArm(models.Model):
    """Whether a company is treated by a play or held out: drawn once, when it first came into question, and kept.

    What a company does in `[drawn_at, window_ends_at)` is what the two arms are compared by.
    """

    class Arm(models.TextChoices):
        TREATED = "treated", "Treated"
        HELD_OUT = "held_out", "Held out"

    play = models.ForeignKey(Play, on_delete=models.CASCADE, related_name="arms")
    company = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="play_arms")
    arm = models.CharField(max_length=10, choices=Arm.choices)
    percent = models.PositiveSmallIntegerField(help_text="The hold-out in force at the draw.")
    drawn_at = models.DateTimeField()
    window_ends_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["play", "company"], name="play_arm_once"),
            models.CheckConstraint(condition=Q(arm__in=["treated", "held_out"]), name="play_arm_known"),
            models.CheckConstraint(condition=Q(window_ends_at__gt=F("drawn_at")), name="play_arm_window_in_order"),
            models.CheckConstraint(condition=Q(percent__gt=0) | Q(arm="treated"), name="play_arm_without_holdout"),
        ]
        indexes = [models.Index(fields=["play", "percent", "arm"], name="play_arm_compared")]

    def __str__(self) -> str:
        return f"{self.play_id} {self.company_id} {self.arm}"


class PlayRun(models.Model):
    """One play and one qualification (or one near miss of a day): waiting to be decided, or what was decided and why.

    A row is made with the qualification and decided once; `due_at` is the queue.
    """

    class Status(models.TextChoices):
        DUE = "due", "Waits to be decided"
        MUTED = "muted", "Muted: waits"
        FIRED = "fired", "Fired"
        HELD_OUT = "held_out", "Held out"
        OUTSIDE = "outside", "Outside the audience"
        COOLING = "cooling", "Within the cooldown"
        OUTRANKED = "outranked", "Outranked by another play"
        NOBODY = "nobody", "Nobody to reach"
        PASSED = "passed", "No longer true in time"
        INTERNAL = "internal", "An internal or test account"

    WAITING = (Status.DUE, Status.MUTED)

    play = models.ForeignKey(Play, on_delete=models.PROTECT, related_name="runs")
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="play_runs")
    company = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    qualification = models.ForeignKey(
        Qualification, null=True, blank=True, on_delete=models.PROTECT, related_name="play_runs"
    )
    near_day = models.IntegerField(null=True, blank=True, help_text="The workspace day of the near miss.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DUE)
    reason = models.CharField(max_length=300, blank=True, help_text="Why so, in words.")
    winner = models.ForeignKey(Play, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, blank=True, help_text="When it is decided, or looked at again.")
    decided_at = models.DateTimeField(null=True, blank=True)
    window_ends_at = models.DateTimeField(null=True, blank=True, help_text="Paid before: credited to the play.")
    shows_until = models.DateTimeField(null=True, blank=True, help_text="In-product: the end, whoever saw it.")
    ended_at = models.DateTimeField(null=True, blank=True, help_text="In-product: not shown any more.")
    detail = models.JSONField(default=dict, blank=True)
    error = models.CharField(max_length=300, blank=True, help_text="Why it could not be decided last; put off.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["play", "qualification"], name="play_run_once"),
            models.UniqueConstraint(
                fields=["play", "account", "near_day"],
                condition=Q(qualification__isnull=True),
                name="play_run_near_once",
            ),
            models.CheckConstraint(
                condition=Q(qualification__isnull=True, near_day__isnull=False)
                | Q(qualification__isnull=False, near_day__isnull=True),
                name="play_run_of_one_cause",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["due", "muted"], due_at__isnull=False, decided_at__isnull=True)
                | Q(
                    status__in=[
                        "fired",
                        "held_out",
                        "outside",
                        "cooling",
                        "outranked",
                        "nobody",
                        "passed",
                        "internal",
                    ],
                    due_at__isnull=True,
                    decided_at__isnull=False,
                ),
                name="play_run_waits_or_is_decided",
            ),
            models.CheckConstraint(
                condition=Q(status="fired", window_ends_at__isnull=False)
                | ~Q(status="fired") & Q(window_ends_at__isnull=True),
                name="play_run_fired_has_window",
            ),
            models.CheckConstraint(
                condition=Q(winner__isnull=True) | Q(status="outranked"), name="play_run_outranked_by_a_winner"
            ),
        ]
        indexes = [
            models.Index(fields=["id"], name="play_run_failing", condition=~Q(error="")),
            models.Index(fields=["due_at"], name="play_run_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["play", "status", "-created_at"], name="play_run_by_play"),
            # what the product may show in this account now, and which of it is over; cooldowns and who was first today
            models.Index(
                fields=["account", "play"],
                name="play_run_shown_in",
                condition=Q(status="fired", ended_at__isnull=True),
            ),
            # by e-mail: what fired and is still to be written
            models.Index(
                fields=["id"],
                name="play_run_to_write",
                condition=Q(status="fired", ended_at__isnull=True, shows_until__isnull=True),
            ),
            models.Index(
                fields=["shows_until"],
                name="play_run_shows_until",
                condition=Q(ended_at__isnull=True, shows_until__isnull=False),
            ),
            models.Index(fields=["company", "-decided_at"], name="play_run_fired", condition=Q(status="fired")),
        ]

    def __str__(self) -> str:
        return f"{self.play_id} {self.account_id} {self.status}"


class CsTask(models.Model):
    """Something that customer success does about an account, because of a play."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        DONE = "done", "Done"
        DISMISSED = "dismissed", "Dismissed"

    class Outcome(models.TextChoices):
        HELPED = "helped", "Helped them on"
        CALL_BOOKED = "call_booked", "A call is booked"
        NO_ANSWER = "no_answer", "No answer"
        NOT_NEEDED = "not_needed", "Not needed any more"
        WRONG_PERSON = "wrong_person", "Wrong person or account"
        OTHER = "other", "Other"

    run = models.OneToOneField(PlayRun, on_delete=models.PROTECT, related_name="task")
    company = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="cs_tasks")
    title = models.CharField(max_length=200)
    detail = models.TextField(blank=True)
    due_on = models.DateField()
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="cs_tasks"
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    outcome = models.CharField(max_length=20, choices=Outcome.choices, blank=True)
    note = models.TextField(blank=True)
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        verbose_name = "CS task"
        constraints = [
            models.CheckConstraint(
                condition=Q(status="open", closed_at__isnull=True, closed_by__isnull=True, outcome="")
                | Q(status__in=["done", "dismissed"], closed_at__isnull=False, closed_by__isnull=False)
                & ~Q(outcome=""),
                name="cs_task_closed_fits_status",
            ),
            models.CheckConstraint(
                condition=Q(
                    outcome__in=["", "helped", "call_booked", "no_answer", "not_needed", "wrong_person", "other"]
                ),
                name="cs_task_outcome_known",
            ),
            models.CheckConstraint(condition=~Q(title=""), name="cs_task_says_what"),
        ]
        indexes = [
            models.Index(fields=["due_on", "id"], name="cs_task_open", condition=Q(status="open")),
            models.Index(fields=["-closed_at", "id"], name="cs_task_closed", condition=Q(closed_at__isnull=False)),
            models.Index(fields=["company", "-created_at"], name="cs_task_by_company"),
        ]

    def __str__(self) -> str:
        return self.title
