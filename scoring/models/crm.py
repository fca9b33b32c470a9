"""The CRM: the connection to it, what we know of companies there, and where the two sides differ."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q


class CrmConnection(models.Model):
    """The one connection to a CRM. Without a token there is none; the row stays, with its mapping."""

    class State(models.TextChoices):
        NONE = "none", "Not connected"
        OFF = "off", "Switched off"
        ON = "on", "On"
        REFUSED = "refused", "Needs a new token"

    class Audience(models.TextChoices):
        SALES = "sales", "Companies that were ever handed to sales"
        ALL = "all", "All companies"

    provider = models.CharField(max_length=20, unique=True, default="hubspot")
    state = models.CharField(max_length=10, choices=State.choices, default=State.NONE)
    sealed = models.TextField(blank=True, help_text="The token, encrypted.")
    token_end = models.CharField(max_length=4, blank=True, help_text="The token's last characters, to know it by.")
    crm_account = models.CharField(max_length=40, blank=True, help_text="Which account there the token opens.")
    audience = models.CharField(max_length=10, choices=Audience.choices, default=Audience.SALES)
    mapping = models.JSONField(default=list, blank=True)
    edition = models.IntegerField(default=0, help_text="Raised by every change that a person makes.")
    connected_at = models.DateTimeField(null=True, blank=True)
    connected_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    filled_to = models.BigIntegerField(
        null=True, blank=True, help_text="While all companies are being looked at: the last one that is marked."
    )
    last_error = models.CharField(max_length=400, blank=True)
    failures = models.IntegerField(default=0, help_text="Failures in a row of the CRM itself.")
    paused_until = models.DateTimeField(null=True, blank=True, help_text="Nothing is asked before that.")
    pushed_at = models.DateTimeField(null=True, blank=True, help_text="When something was last written there.")
    pulled_at = models.DateTimeField(null=True, blank=True, help_text="When the last pull was through.")
    pull_due_at = models.DateTimeField(null=True, blank=True)
    pull_token = models.CharField(max_length=32, blank=True)
    pull_lease_until = models.DateTimeField(null=True, blank=True)
    read_to = models.JSONField(default=dict, blank=True, help_text="By kind: up to which change it was read.")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=["none", "off", "on", "refused"]), name="crm_state_known"),
            models.CheckConstraint(condition=Q(audience__in=["sales", "all"]), name="crm_audience_known"),
            models.CheckConstraint(
                condition=Q(state="none", sealed="", token_end="") | ~Q(state="none") & ~Q(sealed=""),
                name="crm_connected_has_token",
            ),
            models.CheckConstraint(condition=Q(failures__gte=0), name="crm_failures_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.state}"


class CrmLink(models.Model):
    """A company here and there: which one it is in the CRM, and what stood there when we last wrote or looked."""

    class Matched(models.TextChoices):
        KEY = "key", "Carried our key"
        DOMAIN = "domain", "By domain"
        MADE = "made", "Made by plgops"
        HAND = "hand", "By hand"

    company = models.OneToOneField("accounts.Account", on_delete=models.CASCADE, related_name="crm_link")
    crm_id = models.CharField(max_length=40, blank=True, help_text="Empty while it is not matched.")
    matched = models.CharField(max_length=10, choices=Matched.choices, blank=True)
    domain = models.CharField(
        max_length=200, blank=True, help_text="Taken before a company is made there: two of ours make no two of one."
    )
    own = models.BooleanField(default=False, help_text="Somebody decided: a company of its own, whatever the domain.")
    left_out = models.BooleanField(default=False, help_text="Somebody decided: not in the CRM.")
    seen = models.JSONField(default=dict, blank=True, help_text="By property: what stood there last.")
    held = models.JSONField(default=dict, blank=True, help_text="By field: ours and theirs of which theirs stands.")
    look = models.BooleanField(
        default=False, help_text="Somebody changed it there: to be looked at, whatever was seen."
    )
    linked_at = models.DateTimeField(null=True, blank=True)
    pushed_at = models.DateTimeField(null=True, blank=True)
    history_at = models.DateTimeField(null=True, blank=True, help_text="When its earlier deals and touches were read.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["crm_id"], condition=~Q(crm_id=""), name="crm_link_once_there"),
            models.UniqueConstraint(fields=["domain"], condition=~Q(domain=""), name="crm_link_domain_once"),
            models.CheckConstraint(
                condition=Q(crm_id="", matched="", linked_at__isnull=True)
                | ~Q(crm_id="") & Q(matched__in=["key", "domain", "made", "hand"], linked_at__isnull=False),
                name="crm_link_says_how",
            ),
        ]
        indexes = [
            models.Index(
                fields=["linked_at", "id"],
                name="crm_link_history_due",
                condition=Q(history_at__isnull=True) & ~Q(crm_id=""),
            )
        ]

    def __str__(self) -> str:
        return f"{self.company_id} is {self.crm_id or 'not matched'}"


class CrmOwner(models.Model):
    """Somebody in the CRM whom companies can belong to; by the e-mail address one of our staff, or nobody."""

    crm_id = models.CharField(max_length=40, unique=True)
    email = models.CharField(max_length=254, blank=True)
    name = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [models.Index(fields=["email"], name="crm_owner_by_email")]

    def __str__(self) -> str:
        return f"{self.crm_id} {self.email}"


class CrmActivity(models.Model):
    """An e-mail, call or meeting in the CRM, once per company of it; a touch of sales when its time has come."""

    class Kind(models.TextChoices):
        EMAILED = "emailed", "E-mailed"
        CALLED = "called", "Called"
        MET = "met", "Met"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    crm_id = models.CharField(max_length=40)
    company = models.ForeignKey("accounts.Account", on_delete=models.CASCADE, related_name="crm_activities")
    at = models.DateTimeField()
    owner_id = models.CharField(max_length=40, blank=True, help_text="The CRM's id of whose it is.")
    subject = models.CharField(max_length=200, blank=True)
    counted_at = models.DateTimeField(null=True, blank=True, help_text="When it became a touch.")

    class Meta:
        verbose_name_plural = "CRM activities"
        constraints = [
            models.UniqueConstraint(fields=["kind", "crm_id", "company"], name="crm_activity_once"),
            models.CheckConstraint(condition=Q(kind__in=["emailed", "called", "met"]), name="crm_activity_kind_known"),
        ]
        indexes = [
            models.Index(fields=["at", "id"], name="crm_activity_to_count", condition=Q(counted_at__isnull=True)),
            models.Index(fields=["company", "-at"], name="crm_activity_of_company"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.crm_id} of {self.company_id}"


class CrmConflict(models.Model):
    """Where the two sides differ and a person decides. At most one is open per company, kind and field."""

    class Kind(models.TextChoices):
        VALUE = "value", "Changed in the CRM"
        SEVERAL = "several", "Several companies with its domain"
        TAKEN = "taken", "The company there belongs to another account"
        GONE = "gone", "No longer in the CRM"

    company = models.ForeignKey("accounts.Account", on_delete=models.CASCADE, related_name="crm_conflicts")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    field = models.CharField(max_length=30, blank=True)
    property = models.CharField(max_length=100, blank=True)
    ours = models.TextField(blank=True)
    theirs = models.TextField(blank=True)
    candidates = models.JSONField(default=list, blank=True, help_text="Of several: id and name of each there.")
    found_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    resolution = models.CharField(max_length=60, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["company", "kind", "field"],
                condition=Q(resolved_at__isnull=True),
                name="crm_conflict_open_once",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["value", "several", "taken", "gone"]), name="crm_conflict_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=True, resolution="") | Q(resolved_at__isnull=False) & ~Q(resolution=""),
                name="crm_conflict_resolved_says_how",
            ),
        ]
        indexes = [
            models.Index(fields=["-found_at", "id"], name="crm_conflict_open", condition=Q(resolved_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.company_id} {self.kind} {self.field}".rstrip()
