"""The list of accounts: its filters, order and search, and the small line of each. Bounded; no counts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, Exists, OuterRef

from accounts.models import Account, Stage, StageEntry, UsageDay
from plgops.lib import paging
from plgops.lib.paging import Page

# what the list can be ordered by: parameter value -> column; every one has an index with the id behind it
SORTS = {
    "seen": "-last_seen_at",
    "signup": "-signed_up_at",
    "mrr": "-mrr",
    "seats": "-seats",
    "name": "name",
    "plan": "plan",
}
SEARCH_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """Which accounts of the list; empty values mean all of them."""

    text: str = ""
    plan: str = ""
    owner: str = ""  # "me", "none"
    stage: str = ""
    kind: str = ""  # "paying", "free", "provisional", "internal"
    sort: str = "seen"

    @property
    def is_plain(self) -> bool:
        """Whether nothing is filtered, so that an empty list means an empty workspace."""
        return not (self.text or self.plan or self.owner or self.stage or self.kind)


def account_list(chosen: Filter, *, me: int, cursor: str = "", size: int = paging.SIZE) -> Page[Account]:
    """A page of accounts; owners come along. Merged ones never, internal ones only when asked for."""
    rows = Account.objects.filter(merged_into__isnull=True).select_related("owner")
    rows = rows.filter(is_internal=chosen.kind == "internal")
    if chosen.kind == "paying":
        rows = rows.filter(mrr__gt=0)
    elif chosen.kind == "free":
        rows = rows.filter(mrr=0)
    elif chosen.kind == "provisional":
        rows = rows.filter(is_provisional=True)
    if chosen.plan:
        rows = rows.filter(plan=chosen.plan)
    if chosen.owner == "me":
        rows = rows.filter(owner_id=me)
    elif chosen.owner == "none":
        rows = rows.filter(owner__isnull=True)
    if chosen.stage in Stage.values:
        rows = rows.filter(Exists(StageEntry.objects.filter(account=OuterRef("pk"), stage=chosen.stage)))
    if chosen.text:
        rows = rows.filter(pk__in=search(chosen.text))
    return paging.keyset(rows, by=SORTS.get(chosen.sort, "-last_seen_at"), cursor=cursor, size=size)


def search(text: str, *, limit: int = SEARCH_LIMIT) -> list[int]:
    """Ids of at most `limit` accounts whose name, domain or external id starts with `text`, else whose name holds it.

    The prefixes are three index ranges, so the cost is that of what is found. Only when
    they find nothing are the names read through, which costs about 50 ms for 100,000 accounts.
    """
    wanted = text.strip()
    if not wanted:
        return []
    live = Account.objects.filter(merged_into__isnull=True).order_by().values_list("pk", flat=True)
    domain = wanted.lower().removeprefix("https://").removeprefix("http://").removeprefix("www.").split("/")[0]
    prefixes = [live.filter(name__istartswith=wanted)[:limit], live.filter(external_id__startswith=wanted)[:limit]]
    if domain:
        prefixes.append(live.filter(domain__startswith=domain)[:limit])
    found: set[int] = set()
    for prefix in prefixes:
        found.update(prefix)
    if not found and len(wanted) >= 2:
        found.update(live.filter(name__icontains=wanted)[:limit])
    return sorted(found)[:limit]


def find(text: str, *, limit: int = 6) -> list[Account]:
    """The first accounts for the command palette, most recently seen first."""
    found = Account.objects.filter(pk__in=search(text, limit=50), is_internal=False)
    return list(found.order_by("-last_seen_at", "pk")[:limit])


def plans() -> list[str]:
    """The plans that accounts are on, by hopping through the index from one to the next: no scan."""
    table = Account._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE hop(plan) AS (SELECT MIN(plan) FROM {table}"
            f" UNION ALL SELECT (SELECT MIN(plan) FROM {table} WHERE plan > hop.plan)"
            " FROM hop WHERE hop.plan IS NOT NULL)"
            " SELECT plan FROM hop WHERE plan IS NOT NULL AND plan <> '' LIMIT 50"
        )
        return [row[0] for row in cursor.fetchall()]


def activity(account_ids: Collection[int], *, today: int, span: int = 28) -> dict[int, list[int]]:
    """How many people were active on each of the last `span` days, for many accounts in one query."""
    first = today - span + 1
    series = {account_id: [0] * span for account_id in account_ids}
    rows = (
        UsageDay.objects.filter(account_id__in=list(account_ids), day__gte=first, day__lte=today)
        .values("account_id", "day")
        .annotate(people=Count("user_id", distinct=True))
        .order_by()
    )
    for row in rows:
        series[row["account_id"]][row["day"] - first] = row["people"]
    return series
