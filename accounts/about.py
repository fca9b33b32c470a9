"""What is known about one account: its facts, its people, its company, its figures.

Plain values, bounded, in a number of queries that never grows with the rows. Every function that takes
`account_ids` reads them together: a company is its root account and its children.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Count, Exists, Max, OuterRef, Q, Sum

from accounts.models import Account, AccountMerge, EventType, Membership, Plan, ProductUser, TraitValue, UsageDay
from plgops.lib import days, paging
from plgops.lib.paging import Page


@dataclass(frozen=True, slots=True)
class TraitFact:
    """One trait as it stands today, and since when; `since` None: from the start."""

    name: str
    text: str
    since: dt.datetime | None


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What is known about an account, for a list of facts beside whatever is done with it."""

    account: Account
    plan: str
    owner: str
    seats_used: int | None
    traits: list[TraitFact]

    @property
    def seats_percent(self) -> float:
        return self.seats_used * 100 / self.account.seats if self.account.seats and self.seats_used else 0


SHOWN_AS_FACTS = frozenset(
    {"plan", "mrr", "seats", "employees", "name", "domain", "website", "createdAt", "created_at"}
)
MOST_TRAITS = 40


def facts(account: Account) -> AccountFacts:
    """Facts of an account, with its traits and since when they stand. `account.owner` should be at hand."""
    rows = TraitValue.objects.filter(account_id=account.pk, to_day=days.FOREVER).order_by("name", "-valid_from")
    traits = [
        TraitFact(row.name, row.text, row.valid_from if row.valid_from > account.signed_up_at else None)
        for row in rows[:MOST_TRAITS]
        if row.name not in SHOWN_AS_FACTS
    ]
    plan = Plan.objects.filter(code=account.plan).values_list("name", flat=True).first() if account.plan else ""
    used = account.traits.get("seats_used") if isinstance(account.traits, dict) else None
    return AccountFacts(
        account=account,
        plan=plan or account.plan,
        owner=account.owner.label if account.owner else "",
        seats_used=used if isinstance(used, int) else None,
        traits=traits,
    )


# --- people -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Contact:
    """A person of an account: who they are and how much they did in the last 28 days."""

    id: int
    external_id: str
    name: str  # the e-mail address or the id when no name is known
    email: str
    title: str
    role: str
    is_known: bool
    is_member: bool  # False: was one, and left
    signed_up_at: dt.datetime
    last_seen_at: dt.datetime | None
    events: int
    active_days: int
    per_day: list[int]


CONTACT_SPAN = 28
CHAMPION_DAYS = 6  # of the span: below that nobody is called a champion


def contacts(account_ids: Collection[int], limit: int, *, today: int) -> list[Contact]:
    """The people of these accounts, most recently seen first; at most `limit`. Three queries."""
    return people(account_ids, today=today, size=limit).items


def people(account_ids: Collection[int], *, today: int, cursor: str = "", size: int = paging.SIZE) -> Page[Contact]:
    """A page of the people of these accounts, most recently seen first. Members of today before nobody else."""
    belongs = Membership.objects.filter(user=OuterRef("pk"), account_id__in=list(account_ids))
    page = paging.keyset(
        ProductUser.objects.filter(Exists(belongs), merged_into__isnull=True),
        by="-last_seen_at",
        cursor=cursor,
        size=size,
    )
    return Page(_contacts(page.items, account_ids, today=today), page.next_cursor)


def with_champion(found: list[Contact], first: Champion, account_ids: Collection[int], *, today: int) -> list[Contact]:
    """The contacts with the champion before all others, who is read where they are not among them (three queries)."""
    theirs = [contact for contact in found if contact.id == first.user_id]
    if not theirs:
        theirs = _contacts(ProductUser.objects.filter(pk=first.user_id), account_ids, today=today)
    return theirs + [contact for contact in found if contact.id != first.user_id]


def _contacts(users: Iterable[ProductUser], account_ids: Collection[int], *, today: int) -> list[Contact]:
    """These people of the accounts, in this order, with their last weeks."""
    ids, users = list(account_ids), list(users)
    user_ids = [user.pk for user in users]
    memberships: dict[int, Membership] = {}
    for membership in Membership.objects.filter(account_id__in=ids, user_id__in=user_ids).order_by("valid_from", "pk"):
        memberships[membership.user_id] = membership  # the newest one stands
    first = today - CONTACT_SPAN + 1
    per_day: dict[int, list[int]] = {user_id: [0] * CONTACT_SPAN for user_id in user_ids}
    rows = (
        UsageDay.objects.filter(account_id__in=ids, user_id__in=user_ids, day__gte=first, day__lte=today)
        .values("user_id", "day")
        .annotate(events=Sum("count"))
        .order_by()
    )
    for row in rows:
        per_day[row["user_id"]][row["day"] - first] = row["events"]
    return [
        Contact(
            id=user.pk,
            external_id=user.external_id,
            name=user.name or user.email or user.external_id,
            email=user.email,
            title=user.title,
            role=memberships[user.pk].role,
            is_known=user.is_known,
            is_member=memberships[user.pk].valid_to is None,
            signed_up_at=user.signed_up_at,
            last_seen_at=user.last_seen_at,
            events=sum(per_day[user.pk]),
            active_days=sum(1 for count in per_day[user.pk] if count),
            per_day=per_day[user.pk],
        )
        for user in users
    ]


@dataclass(frozen=True, slots=True)
class Champion:
    """Who uses the product most and brings it to others; `why` in words."""

    user_id: int
    active_days: int
    invites: int
    core: int

    @property
    def why(self) -> str:
        parts = [f"active on {self.active_days} of {CONTACT_SPAN} days"]
        parts += [f"invited {self.invites:,}"] if self.invites else []
        parts += [f"did core work {self.core:,} times"] if self.core else []
        return ", ".join(parts)


def champion(account_ids: Collection[int], *, today: int) -> Champion | None:
    """The present member active on most of the last 28 days, of those who invited somebody or did core work in them.

    Nobody below CHAMPION_DAYS active days; of equals who invited more, then who was there first. One query.
    """
    belongs = Membership.objects.filter(user_id=OuterRef("user_id"), account_id__in=list(account_ids), valid_to=None)
    invites, core = (
        Sum("count", filter=Q(event_type_id__in=EventType.objects.filter(meaning=meaning).values("pk")), default=0)
        for meaning in (EventType.Meaning.INVITE, EventType.Meaning.CORE)
    )
    row = (
        UsageDay.objects.filter(account_id__in=list(account_ids), day__gt=today - CONTACT_SPAN, day__lte=today)
        .filter(Exists(belongs))
        .values("user_id")
        .annotate(active=Count("day", distinct=True), invites=invites, core=core)
        .filter(Q(invites__gt=0) | Q(core__gt=0), active__gte=CHAMPION_DAYS)
        .order_by("-active", "-invites", "user_id")
        .first()
    )
    return Champion(row["user_id"], row["active"], row["invites"], row["core"]) if row else None


# --- its company, its figures --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Family:
    """Where the account stands among others: its company, and what was merged into it."""

    parent: Account | None
    children: list[Account]
    merges: list[AccountMerge]

    @property
    def exists(self) -> bool:
        return bool(self.parent or self.children or self.merges)


def family(account: Account) -> Family:
    """Parent (should be at hand), children and standing merges. Two queries."""
    children = Account.objects.filter(parent=account, merged_into__isnull=True).order_by("name", "pk")[:20]
    merges = (
        AccountMerge.objects.filter(winner=account, undone_at__isnull=True)
        .select_related("loser", "merged_by")
        .order_by("-merged_at", "-pk")[:20]
    )
    return Family(account.parent, list(children), list(merges))


def company_ids(root_id: int) -> list[int]:
    """The ids of a company's live accounts: its root and the root's children."""
    together = Account.objects.filter(Q(pk=root_id) | Q(parent_id=root_id), merged_into__isnull=True)
    return list(together.order_by("pk").values_list("pk", flat=True))


def winner_of(account: Account) -> Account:
    """Where a merged account's links lead: the last winner of the chain (the account itself if not merged)."""
    seen = {account.pk}
    while account.merged_into_id is not None and account.merged_into_id not in seen:
        seen.add(account.merged_into_id)
        account = Account.objects.get(pk=account.merged_into_id)
    return account


@dataclass(frozen=True, slots=True)
class Totals:
    """The figures above the page."""

    people: int
    active_7: int
    events_28: int
    newest_day: int | None


def totals(account_ids: Collection[int], *, today: int) -> Totals:
    """People and events of the last four weeks. One query, through the index of the days."""
    recent = UsageDay.objects.filter(account_id__in=list(account_ids), day__gt=today - 28, day__lte=today)
    found = recent.aggregate(
        people=Count("user_id", distinct=True),
        active_7=Count("user_id", distinct=True, filter=Q(day__gt=today - 7)),
        events=Sum("count"),
        newest=Max("day"),
    )
    return Totals(found["people"], found["active_7"], found["events"] or 0, found["newest"])
