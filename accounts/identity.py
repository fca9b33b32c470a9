"""Who is who: what follows when keys, memberships or accounts turn out to mean something else.

`follow` brings everything derived up to date for people and accounts about whom something new was said;
`merge_accounts` and `unmerge_accounts` change what accounts' keys mean, and everything follows. A merged
account is a tombstone. Facts keep their keys, so a merge is taken back exactly.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from django.db import connection

from accounts import billing, due, keys, memberships, profiles, traits, usage
from accounts.keys import GroupKey
from accounts.memberships import Named
from accounts.models import (
    Account,
    AccountKey,
    AccountMerge,
    Membership,
    StaffUser,
    StageEntry,
    Subscription,
)
from accounts.team import audit
from plgops.lib import bulk
from plgops.lib.db import in_one_transaction

SUPERSEDED = "superseded"


class CannotMerge(Exception):
    """These two accounts cannot be merged, or this merge cannot be taken back; the text says why."""


@dataclass(slots=True)
class News:
    """About whom something new was said, and what changed: filled by ingest, completed by `follow`."""

    people: set[int] = field(default_factory=set)  # memberships are made again
    moved_people: set[int] = field(default_factory=set)  # keys went from or to them: everything is
    said_people: dict[int, dt.datetime] = field(default_factory=dict)  # traits are made again, from then on
    said_accounts: dict[int, dt.datetime] = field(default_factory=dict)
    told_accounts: set[int] = field(default_factory=set)  # traits are made again, all of them
    signup_people: set[int] = field(default_factory=set)
    signup_accounts: set[int] = field(default_factory=set)
    domains: dict[str, dt.datetime] = field(default_factory=dict)  # new facts about these domain keys, with their times
    fresh_people: set[int] = field(default_factory=set)  # just made: there is no log of theirs yet
    changed_accounts: set[int] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(
            self.people
            or self.moved_people
            or self.said_people
            or self.said_accounts
            or self.told_accounts
            or self.signup_people
            or self.signup_accounts
            or self.domains
        )


def follow(news: News, *, more: Iterable[Named], now: dt.datetime) -> None:
    """Bring memberships, traits, signups, the log's attribution and the roll-up up to date with `news`.

    `more`: track messages of the batch that are not in the log yet. The people's keys are locked. Fills
    `news.changed_accounts` with every account for which anything changed.
    """
    involved = news.people | news.moved_people
    changed = _follow_memberships(news, involved, more, now=now)
    told = news.said_people.keys() | news.moved_people
    if told:
        _follow_traits_of_people(told, since=news.said_people, tombs=news.moved_people)
    told_accounts = news.said_accounts.keys() | news.told_accounts
    if told_accounts:
        since = {pk: at for pk, at in news.said_accounts.items() if pk not in news.told_accounts}
        _follow_traits_of_accounts(told_accounts, since=since)
        news.changed_accounts |= told_accounts
    signed = profiles.refresh_signups_of_people(news.signup_people | news.moved_people | news.fresh_people)
    news.changed_accounts |= profiles.refresh_signups_of_accounts(news.signup_accounts, now=now)
    affected = told | signed | changed
    if affected:
        news.changed_accounts |= set(
            Membership.objects.filter(user_id__in=affected).values_list("account_id", flat=True).distinct()
        )
    reattribute((changed - news.fresh_people) | news.moved_people, moved=news.moved_people, news=news)


def reattribute(user_ids: Collection[int], *, moved: Collection[int], news: News) -> None:
    """Let the log of these people follow, and rebuild the roll-up of those for whom it changed."""
    if not user_ids:
        return
    rebuilt = memberships.attribute(user_ids) | set(moved)
    if not rebuilt:
        return
    places = usage.rebuild(rebuilt)
    usage.set_last_seen(rebuilt, places)
    news.changed_accounts |= places


def _follow_memberships(news: News, involved: set[int], more: Iterable[Named], *, now: dt.datetime) -> set[int]:
    """Memberships of `involved` and what the domains that they speak for mean; whose memberships changed."""
    if not involved and not news.domains:
        return set()
    owners = _owners(involved)
    heard = memberships.hear(owners, more)
    for user_id in involved:
        heard.setdefault(user_id, memberships.Heard({}, {}, {}))
    named = {key for one in heard.values() for key in one.named}
    accounts = {key: row.account_id for key, row in keys.load_accounts(named, exclusive=False).items()}
    changed, left = memberships.derive(heard, accounts, domains=False)
    domains = dict(news.domains)
    for one in heard.values():
        for key, (at, _) in one.domains.items():
            domains[key] = min(domains.get(key, at), at)
    if domains:
        decided = _decide_domains(domains, news, now=now)
        accounts.update({key: row.account_id for key, row in decided.items()})
        lacking = {key for one in heard.values() for key in one.domains} - set(accounts)
        accounts.update({key: row.account_id for key, row in keys.load_accounts(lacking, exclusive=False).items()})
        more_changed, more_left = memberships.derive(heard, accounts, domains=True)
        changed, left = changed | more_changed, left | more_left
    news.changed_accounts |= left  # nobody who is still in them says so
    return changed


def _owners(user_ids: Collection[int]) -> dict[str, int]:
    return {key: row.user_id for key, row in keys.lock_people(user_ids).items()}


def _decide_domains(first_seen: Mapping[str, dt.datetime], news: News, *, now: dt.datetime) -> dict[str, GroupKey]:
    """Whose each domain is: of the earliest group membership in it, else a provisional account's."""
    targets = memberships.first_of_domains(first_seen)
    groups = keys.load_accounts(set(targets.values()), exclusive=False)
    stored = keys.load_accounts(first_seen, exclusive=True)
    new = {key: at for key, at in first_seen.items() if key not in stored}
    made = keys.make_accounts({key: at for key, at in new.items() if key not in targets}, names={}, now=now)
    direct = {
        key: GroupKey(key, groups[targets[key]].account_id, groups[targets[key]].home_id, new[key])
        for key in new
        if key in targets
    }
    if direct:
        keys.write_account_keys(direct.values())
    stored.update(made)
    stored.update(direct)
    news.signup_accounts |= {row.account_id for row in (*made.values(), *direct.values())}
    news.told_accounts |= {row.account_id for row in (*made.values(), *direct.values())}
    lower = {key: at for key, at in first_seen.items() if (known := stored[key].first_seen_at) is None or at < known}
    keys.lower_first_seen(AccountKey._meta.db_table, lower)
    news.signup_accounts |= {stored[key].account_id for key in lower}
    for key in sorted(set(first_seen) - set(new)):
        target = groups[targets[key]] if key in targets else None
        if target is None or target.home_id != stored[key].home_id:
            _hand_over(stored[key], target, news, now=now)
    return keys.load_accounts(first_seen, exclusive=False)


def _hand_over(row: GroupKey, target: GroupKey | None, news: News, *, now: dt.datetime) -> None:
    """Let a domain's key mean another account than it did, if it should."""
    home = Account.objects.select_related("merged_into").get(pk=row.home_id)
    if home.is_provisional:
        merge = AccountMerge.objects.filter(loser=home, undone_at__isnull=True).first()
        if merge is not None and merge.cause != SUPERSEDED:
            return  # somebody decided it by hand
        if merge is None and target is None:
            return
        if merge is None and target is not None and target.account_id == home.pk:
            return  # somebody merged the group's account into this one: they are one already
        if merge is not None and target is not None and row.account_id == target.account_id:
            return
        if merge is not None:
            news.changed_accounts |= _undo(merge, by=None, now=now)
        if target is not None:
            winner = Account.objects.get(pk=target.account_id)
            news.changed_accounts |= _merge(winner=winner, loser=home, by=None, now=now, cause=SUPERSEDED)
        return
    if target is None:  # nobody of this domain is in any group any more: it is provisional again
        AccountKey.objects.filter(key=row.key).delete()
        made = keys.make_accounts({row.key: row.first_seen_at or now}, names={}, now=now)[row.key]
        new_home, new_account = made.home_id, made.account_id
    else:
        new_home, new_account = target.home_id, target.account_id
        AccountKey.objects.filter(key=row.key).update(home_id=new_home, account_id=new_account)
    news.signup_accounts |= {row.account_id, new_account}
    news.told_accounts |= {row.account_id, new_account}
    news.changed_accounts |= _resolve_again([row.account_id, new_account], now=now)


def _follow_traits_of_people(user_ids: set[int], *, since: Mapping[int, dt.datetime], tombs: Collection[int]) -> None:
    owners = _owners(user_ids)
    since = {pk: at for pk, at in since.items() if pk not in tombs}
    standing = traits.derive(owners, "user_id", alone=user_ids, since=since)
    profiles.project_people({pk: one for pk, one in standing.items() if one.changed or pk in tombs})


def _follow_traits_of_accounts(account_ids: Collection[int], *, since: Mapping[int, dt.datetime] | None = None) -> None:
    owners = {key: row.account_id for key, row in keys.lock_accounts(account_ids).items()}
    profiles.project_accounts(traits.derive(owners, "account_id", alone=account_ids, since=since))


def merge_accounts(
    *, winner: Account, loser: Account, by: StaffUser | None, now: dt.datetime, cause: str = "manual"
) -> AccountMerge:
    """Let everything of `loser` belong to `winner`; the loser stays as a tombstone. CannotMerge says why not."""

    def merge() -> AccountMerge:
        _lock_accounts([winner.pk, loser.pk])
        due.mark_changed(_merge(winner=winner, loser=loser, by=by, now=now, cause=cause), now=now)
        return AccountMerge.objects.get(loser=loser, undone_at__isnull=True)

    return in_one_transaction(merge)


def unmerge_accounts(*, merge: AccountMerge, by: StaffUser | None, now: dt.datetime) -> None:
    """Take a merge back: what came with the loser's keys is the loser's again. CannotMerge if it was taken back."""

    def undo() -> None:
        _lock_accounts([merge.winner_id, merge.loser_id])
        due.mark_changed(_undo(merge, by=by, now=now), now=now)

    in_one_transaction(undo)


def _lock_accounts(account_ids: Iterable[int]) -> None:
    """Everybody who has a key to these accounts, then the keys of the accounts: in the order that ingest takes."""
    ids = sorted(set(account_ids))
    people = set(Membership.objects.filter(account_id__in=ids).values_list("user_id", flat=True))
    people |= usage.people_of(ids)
    keys.lock_people(people)
    keys.lock_accounts(ids)


def _merge(*, winner: Account, loser: Account, by: StaffUser | None, now: dt.datetime, cause: str) -> set[int]:
    # the rows too, in order: nobody gives the loser a child while it becomes a tombstone
    rows = Account.objects.select_for_update(no_key=True).filter(pk__in=[winner.pk, loser.pk])
    list(rows.order_by("pk").values_list("pk"))
    winner.refresh_from_db()
    loser.refresh_from_db()
    if winner.pk == loser.pk:
        raise CannotMerge("An account cannot be merged into itself.")
    if winner.merged_into_id is not None or loser.merged_into_id is not None:
        raise CannotMerge("One of the two is merged into another account already.")
    if winner.parent_id == loser.pk:
        raise CannotMerge("An account cannot be merged into one of its own children.")
    moved = sorted(AccountKey.objects.filter(account=loser).values_list("key", flat=True))
    # children go with their company; a child's own children do not exist (one level)
    children = sorted(Account.objects.filter(parent=loser).values_list("pk", flat=True))
    merge = AccountMerge.objects.create(
        loser=loser,
        winner=winner,
        account_keys=moved,
        child_ids=children,
        cause=cause,
        merged_at=now,
        merged_by=by,
    )
    loser.merged_into = winner
    loser.save(update_fields=["merged_into"])
    Account.objects.filter(pk__in=children).update(parent=winner.company_id)
    audit.record(
        action="account.merged",
        obj=loser,
        by=by,
        now=now,
        account_id=winner.pk,
        detail={"into": winner.external_id, "keys": moved, "cause": cause, "merge": merge.pk},
    )
    return _resolve_again([winner.pk, loser.pk], now=now)


def _undo(merge: AccountMerge, *, by: StaffUser | None, now: dt.datetime) -> set[int]:
    merge.refresh_from_db()
    if merge.undone_at is not None:
        raise CannotMerge("This merge was taken back already.")
    merge.undone_at, merge.undone_by = now, by
    merge.save(update_fields=["undone_at", "undone_by"])
    loser = merge.loser
    Account.objects.filter(pk=loser.pk).update(merged_into=None)
    Account.objects.filter(pk__in=merge.child_ids, parent=merge.winner.company_id).update(parent=loser)
    audit.record(
        action="account.unmerged",
        obj=loser,
        by=by,
        now=now,
        account_id=loser.pk,
        detail={"from": merge.winner.external_id, "keys": merge.account_keys, "merge": merge.pk},
    )
    return _resolve_again([merge.winner_id, loser.pk], now=now)


def survivors(account_ids: Iterable[int]) -> dict[int, int]:
    """Where each account leads in the end: itself, or the one that its chain of merges ends at."""
    into: dict[int, int | None] = {}
    asked = set(account_ids)
    wanted = set(asked)
    while wanted:
        into.update(Account.objects.filter(pk__in=wanted).values_list("pk", "merged_into_id"))
        wanted = {pk for pk in into.values() if pk is not None} - into.keys()
    found = {}
    for pk in asked:
        end = pk
        while (after := into.get(end)) is not None:
            end = after
        found[pk] = end
    return found


def merged_into(account_ids: Iterable[int]) -> dict[int, int]:
    """The tombstones that lead to these accounts, however many merges away; each with the one of these it leads to."""
    found: dict[int, int] = {}
    leads_to = {pk: pk for pk in account_ids}
    while leads_to:
        rows = Account.objects.filter(merged_into__in=leads_to).values_list("pk", "merged_into_id")
        leads_to = {pk: leads_to[into] for pk, into in rows if into is not None and pk not in found}
        found |= leads_to
    return found


def _resolve_again(account_ids: Iterable[int], *, now: dt.datetime) -> set[int]:
    """Let the keys of these accounts, and all that came with them, mean what they mean now; the accounts concerned."""
    involved = set(account_ids)
    involved |= set(survivors(involved).values())
    rows = list(AccountKey.objects.filter(account_id__in=involved).order_by("key"))
    roots = survivors(row.home_id for row in rows)
    moved = {row.key: (row.account_id, roots[row.home_id]) for row in rows if row.account_id != roots[row.home_id]}
    people = set(Membership.objects.filter(account_key__in=moved).values_list("user_id", flat=True))
    rebuilt = {pk for key, (old, _) in moved.items() for (pk,) in bulk.fetch(_PEOPLE_OF_KEY, [old, key])}
    keys.lock_people(people | rebuilt)  # those who came meanwhile: nobody counts for them by what stood before
    for key, (old, new) in moved.items():
        AccountKey.objects.filter(key=key).update(account_id=new)
        Membership.objects.filter(account_key=key).update(account_id=new)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE accounts_event SET account_id = %s WHERE account_id = %s AND account_key = %s", [new, old, key]
            )
        Subscription.objects.filter(account_key=key).update(account_id=new)
        involved |= {old, new}
    entries = list(StageEntry.objects.filter(account_id__in=involved))
    roots = survivors(entry.origin_id for entry in entries)
    for entry in entries:
        if entry.account_id != roots[entry.origin_id]:
            StageEntry.objects.filter(pk=entry.pk).update(account_id=roots[entry.origin_id])
    news = News(told_accounts=involved)
    _follow_traits_of_accounts(involved)
    profiles.refresh_signups_of_accounts(involved, now=now)
    reattribute(people | rebuilt, moved=rebuilt, news=news)
    billing.rederive(involved, now=now)
    return involved | news.changed_accounts


_PEOPLE_OF_KEY = "SELECT DISTINCT user_id FROM accounts_event WHERE account_id = %s AND account_key = %s"
