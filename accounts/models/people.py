"""WHO exists: accounts, the people who use the product, and the keys that lead to them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from plgops.lib.days import FOREVER


class Account(models.Model):
    """A customer's workspace in the product (Segment's `group`).

    A company is a root account with its children: `parent` is at most one level deep (the verb that sets
    it sees to that), so `parent_id or id` is the company everywhere. A merged account stays as a
    tombstone that points to the winner; it has no keys, no usage and is out of every figure.
    """

    external_id = models.CharField(max_length=200, unique=True, help_text="The key it is known by outside.")
    name = models.CharField(max_length=200)
    domain = models.CharField(max_length=200, blank=True)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    merged_into = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="merged")
    is_provisional = models.BooleanField(
        default=False, help_text="Made from an e-mail domain; a group call supersedes it."
    )
    is_internal = models.BooleanField(default=False, help_text="Ours or a test: out of every figure.")
    marked_internal = models.BooleanField(null=True, blank=True, help_text="Said by hand; none: as its traits say.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="owned_accounts"
    )
    # signed_up_at is the explicit createdAt when one was given, else the earliest thing seen
    signed_up_at = models.DateTimeField()
    signup_day = models.IntegerField(help_text="Workspace day of signed_up_at.")
    signup_is_explicit = models.BooleanField(default=False)
    recorded_at = models.DateTimeField(help_text="When plgops first heard of it.")
    last_seen_at = models.DateTimeField(null=True, blank=True, help_text="Newest activity event, to the minute.")
    # Today's values, written with the dated ones in the same transaction, so that lists need no join.
    traits = models.JSONField(default=dict, blank=True)
    plan = models.CharField(max_length=100, blank=True)
    mrr = models.DecimalField(max_digits=14, decimal_places=2, default=0)
    seats = models.IntegerField(null=True, blank=True)
    employees = models.IntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(parent=F("id")), name="account_not_its_own_parent"),
            models.CheckConstraint(condition=~Q(merged_into=F("id")), name="account_not_merged_into_itself"),
            models.CheckConstraint(condition=Q(mrr__gte=0), name="account_mrr_not_negative"),
        ]
        indexes = [
            models.Index(fields=["-last_seen_at", "id"], name="account_by_last_seen"),  # accounts list
            models.Index(fields=["-mrr", "id"], name="account_by_mrr"),  # accounts list
            models.Index(fields=["name", "id"], name="account_by_name"),  # accounts list
            models.Index(fields=["-signed_up_at", "id"], name="account_by_signup"),  # accounts list
            models.Index(fields=["-seats", "id"], name="account_by_seats"),  # accounts list
            models.Index(fields=["plan", "id"], name="account_by_plan"),  # accounts list: sort, filter, its choices
            # equality for identity, prefixes for the search; upper(name) has its index in 0003 (PostgreSQL)
            models.Index(fields=["domain"], name="account_by_domain", opclasses=["varchar_pattern_ops"]),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.external_id})"

    @property
    def company_id(self) -> int:
        """The root account's id: the company that a handoff belongs to."""
        return self.parent_id or self.pk


class AccountKey(models.Model):
    """A key that leads to an account: `g:<groupId>` or `d:<e-mail domain>`. Merge and unmerge repoint it.

    `home` is the account it means by itself, `account` what that one is merged into (itself, if it is not).
    """

    key = models.CharField(max_length=210, unique=True)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="keys")
    home = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="home_keys")
    first_seen_at = models.DateTimeField(null=True, blank=True, help_text="Earliest message that named it.")
    explicit_signup_at = models.DateTimeField(null=True, blank=True, help_text="Earliest createdAt it came with.")

    def __str__(self) -> str:
        return self.key


class ProductUser(models.Model):
    """A person using the customer's product (never called User: that is staff)."""

    external_id = models.CharField(
        max_length=200, unique=True, help_text="userId, or `anon:<anonymousId>` while unknown."
    )
    is_known = models.BooleanField(default=False, help_text="False while only an anonymousId was seen.")
    merged_into = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="merged")
    email = models.CharField(max_length=254, blank=True)
    name = models.CharField(max_length=200, blank=True)
    title = models.CharField(max_length=200, blank=True)
    invited_by_key = models.CharField(max_length=210, blank=True, help_text="External id of the inviter, if told.")
    signed_up_at = models.DateTimeField()
    signup_day = models.IntegerField()
    signup_is_explicit = models.BooleanField(default=False)
    recorded_at = models.DateTimeField()
    last_seen_at = models.DateTimeField(null=True, blank=True)
    traits = models.JSONField(default=dict, blank=True)
    do_not_contact = models.BooleanField(default=False, db_default=False, help_text="Its trait of this name says so.")
    contact_refused_at = models.DateTimeField(
        null=True, blank=True, help_text="Said by hand, or by the person: no outreach, whatever the trait says."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(merged_into=F("id")), name="product_user_not_merged_into_itself"),
        ]
        indexes = [models.Index(fields=["email"], name="product_user_by_email")]

    def __str__(self) -> str:
        return self.external_id

    @property
    def is_left_alone(self) -> bool:
        """Whether no outreach may go to the person."""
        return self.do_not_contact or self.contact_refused_at is not None


class UserKey(models.Model):
    """A key that leads to a person: `u:<userId>` or `a:<anonymousId>`.

    An anonymous key belongs to the known person who identified on it first (`linked_at`, then the key in
    binary order), whatever order the messages arrive in. Two known people are never merged through it.
    """

    key = models.CharField(max_length=210, unique=True)
    user = models.ForeignKey(ProductUser, on_delete=models.PROTECT, related_name="keys")
    linked_at = models.DateTimeField(null=True, blank=True, help_text="Anonymous keys: time of the link that decides.")
    linked_key = models.CharField(
        max_length=210, blank=True, help_text="Anonymous keys: the known key it was linked to."
    )
    first_seen_at = models.DateTimeField(null=True, blank=True, help_text="Earliest message attributed to it.")
    explicit_signup_at = models.DateTimeField(null=True, blank=True, help_text="Earliest createdAt it came with.")

    def __str__(self) -> str:
        return self.key


class Membership(models.Model):
    """A person in an account, dated. `[valid_from, valid_to)`; open end: still a member.

    Facts keep the keys that they came with; `account` and `user` are what those keys resolve to now.
    """

    class Origin(models.TextChoices):
        GROUP = "group", "group call or context"
        DOMAIN = "domain", "e-mail domain"
        IMPORT = "import", "CSV"

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(ProductUser, on_delete=models.PROTECT, related_name="memberships")
    account_key = models.CharField(max_length=210)
    user_key = models.CharField(max_length=210)
    origin = models.CharField(max_length=10, choices=Origin.choices)
    role = models.CharField(max_length=100, blank=True)
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True, blank=True)
    from_day = models.IntegerField()
    to_day = models.IntegerField(default=FOREVER)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account_key", "user_key", "valid_from"], name="membership_once"),
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_to__gte=F("valid_from")),
                name="membership_ends_after_it_starts",
            ),
            models.CheckConstraint(
                condition=Q(origin__in=["group", "domain", "import"]), name="membership_origin_known"
            ),
        ]
        indexes = [
            models.Index(fields=["account", "user"], name="membership_by_account"),
            models.Index(fields=["user", "valid_from"], name="membership_by_user"),
        ]

    def __str__(self) -> str:
        return f"{self.user_key} in {self.account_key} from {self.valid_from:%Y-%m-%d}"


class TraitValue(models.Model):
    """One value of one trait from a moment on, of an account or of a person (the other id is 0).

    `[from_day, to_day)` are the days at whose *end* this value stands, so that "as of day D" is a plain
    comparison; a value replaced within its day has an empty interval. At equal `valid_from` the greater
    `text` in binary order stands, so that the order of arrival never matters.
    """

    account_id = models.BigIntegerField(default=0)
    user_id = models.BigIntegerField(default=0)
    key = models.CharField(max_length=210, help_text="The account or user key that it came with.")
    name = models.CharField(max_length=100)
    value = models.JSONField(null=True)
    text = models.CharField(
        max_length=500, help_text="Canonical text: strings as they are, true/false, numbers, else JSON."
    )
    number = models.BigIntegerField(null=True, help_text="Micro-units, when the value is a number.")
    valid_from = models.DateTimeField()
    recorded_at = models.DateTimeField()
    from_day = models.IntegerField()
    to_day = models.IntegerField(default=FOREVER)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "user_id", "name", "valid_from", "text", "key"], name="trait_value_once"
            ),
            models.CheckConstraint(
                condition=(Q(account_id=0) & Q(user_id__gt=0)) | (Q(account_id__gt=0) & Q(user_id=0)),
                name="trait_value_has_one_subject",
            ),
        ]
        indexes = [
            models.Index(fields=["account_id", "name", "from_day"], name="trait_value_by_account"),
            models.Index(fields=["user_id", "name", "from_day"], name="trait_value_by_user"),
        ]

    def __str__(self) -> str:
        return f"{self.key} {self.name}={self.text} from {self.valid_from:%Y-%m-%d}"


class TraitFact(models.Model):
    """The log of trait statements, by the key they came with: what TraitValue is derived from.

    One row per key, workspace day and content, with the first and last time it was said on that day, so
    that a client that says the same thing on every page adds nothing. `digest` is the content's BLAKE2b-16.
    """

    key = models.CharField(max_length=210)
    day = models.IntegerField()
    digest = models.BinaryField(max_length=16)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    traits = models.JSONField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "day", "digest"], name="trait_fact_once"),
            models.CheckConstraint(condition=Q(last_at__gte=F("first_at")), name="trait_fact_times_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.key} on day {self.day}"


class MembershipFact(models.Model):
    """The log of what was said about a person in an account, by keys: what Membership is derived from.

    One row per pair, kind and workspace day with the first and last time. Track messages that name an
    account are in Event already and have no row here. `domain` says that the person's e-mail is in it.
    """

    class Kind(models.TextChoices):
        MEMBER = "member", "named together"
        IMPORT = "import", "CSV"
        LEFT = "left", "removed"
        DOMAIN = "domain", "e-mail domain"

    user_key = models.CharField(max_length=210)
    account_key = models.CharField(max_length=210)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    day = models.IntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user_key", "account_key", "kind", "day"], name="membership_fact_once"),
            models.CheckConstraint(condition=Q(last_at__gte=F("first_at")), name="membership_fact_times_in_order"),
            models.CheckConstraint(
                condition=Q(kind__in=["member", "import", "left", "domain"]), name="membership_fact_kind_known"
            ),
        ]
        indexes = [
            # whose e-mail is in a domain
            models.Index(fields=["account_key"], name="membership_fact_by_domain", condition=Q(kind="domain"))
        ]

    def __str__(self) -> str:
        return f"{self.user_key} {self.kind} {self.account_key} on day {self.day}"


class AccountMerge(models.Model):
    """One merge of two accounts, with the keys that moved, so that it can be taken back exactly."""

    loser = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="merges_lost")
    winner = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="merges_won")
    account_keys = models.JSONField(help_text="The keys that pointed to the loser.")
    child_ids = models.JSONField(default=list, help_text="The loser's children, which went to the winner's company.")
    cause = models.CharField(max_length=20, default="manual")
    merged_at = models.DateTimeField()
    merged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["loser"], condition=Q(undone_at__isnull=True), name="account_merged_once"),
            models.CheckConstraint(condition=~Q(loser=F("winner")), name="account_merge_of_two"),
        ]

    def __str__(self) -> str:
        return f"{self.loser_id} into {self.winner_id}"
