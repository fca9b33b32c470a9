"""One batch on its way into the database: judged for duplicates, resolved, followed, logged and counted.

The steps lock in the order that accounts/ingest.py names, each kind sorted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from accounts import due, event_log, identity, keys, memberships, payload, profiles, traits
from accounts.identity import News
from accounts.keys import GroupKey, Link, PersonKey
from accounts.memberships import LEFT_EVENT, Named, Places
from accounts.models import AccountKey, MembershipFact, Receipt, Source, UserKey
from accounts.payload import Message
from accounts.traits import Said
from plgops.lib import bulk

KIND = MembershipFact.Kind
_RECEIPT = bulk.Table(Receipt._meta.db_table, (("source_id", "bigint"), ("digest", "bytea")))


@dataclass(slots=True)
class Batch:
    """One attempt to store a batch, inside its transaction."""

    source: Source
    now: dt.datetime
    importing: bool
    exclusive: bool
    events: int = 0
    facts: int = 0
    news: News = field(default_factory=News)
    people: dict[str, PersonKey] = field(default_factory=dict)
    groups: dict[str, GroupKey] = field(default_factory=dict)

    def store(self, by_digest: Mapping[bytes, Message]) -> None:
        """Write what is new of these messages, by the digests of their ids, and say which accounts changed.

        NeedsExclusive if keys would have to change that are held shared; CatalogueFull.
        """
        messages = self._judge(by_digest)
        if not messages:
            return
        tracks = [message for message in messages if message.type == "track"]
        self.events, self.facts = len(tracks), len(messages) - len(tracks)
        self._resolve_people(messages)
        self._resolve_accounts(messages)
        named = self._memberships(messages)
        self._traits(messages)
        places = self._follow(named)
        cutoff = _long_ago(self.now)
        touched, recent = event_log.write(
            tracks, source_id=self.source.pk, people=self.people, groups=self.groups, places=places, since=cutoff
        )
        changed = self.news.changed_accounts
        quiet = () if self.importing else self._backfilled(messages, places, touched, recent, cutoff)
        told: dict[str, Any] = {"now": self.now, "importing": self.importing, "quiet": quiet}
        due.mark_changed(changed, active=touched - changed, **told)

    def _judge(self, by_digest: Mapping[bytes, Message]) -> list[Message]:
        """The messages that were never accepted before; their receipts are written."""
        new = bulk.write_returning(
            _RECEIPT,
            [(self.source.pk, digest) for digest in sorted(by_digest)],
            "ON CONFLICT (source_id, digest) DO NOTHING",
            "digest",
        )
        fresh = {bytes(digest) for (digest,) in new}
        return [message for digest, message in by_digest.items() if digest in fresh]

    def _resolve_people(self, messages: Sequence[Message]) -> None:
        first: dict[str, dt.datetime] = {}  # messages attributed to the key
        named: dict[str, dt.datetime] = {}  # any message that names it
        links: dict[str, Link] = {}
        for message in messages:
            at, key = message.occurred_at, message.user_key or message.anonymous_key
            if not key:
                continue
            if key not in first or at < first[key]:
                first[key] = at
            linked: tuple[str, ...] = ()
            if message.type == "alias":
                linked = ("a:" + message.previous_id, "u:" + message.previous_id, message.anonymous_key)
            elif message.user_key and message.anonymous_key:
                linked = (message.anonymous_key,)
            for other in linked:
                if not other or other == key:
                    continue
                link = (at, key)
                if other not in links or link < links[other]:
                    links[other] = link
                if other not in named or at < named[other]:
                    named[other] = at
        for key, at in first.items():
            if key not in named or at < named[key]:
                named[key] = at
        self.people = keys.load_people(named, exclusive=self.exclusive)
        new = [key for key in named if key not in self.people]
        relinked = [
            key
            for key, link in links.items()
            if key in self.people and ((stored := self.people[key].link) is None or link < stored)
        ]
        if new or relinked:
            self._need_exclusive()
            settled = keys.settle(self.people, named, links, now=self.now)
            keys.move_events(settled.moved)
            self.news.fresh_people |= settled.made
            self.news.moved_people |= {pk for _, old, new_owner in settled.moved for pk in (old, new_owner)}
        earlier = {
            key: at for key, at in first.items() if (known := self.people[key].first_seen_at) is None or at < known
        }
        if earlier:
            self._need_exclusive()
            keys.lower_first_seen(UserKey._meta.db_table, earlier)
            self.news.signup_people |= {self.people[key].user_id for key in earlier}

    def _resolve_accounts(self, messages: Sequence[Message]) -> None:
        first: dict[str, dt.datetime] = {}
        names: dict[str, str] = {}
        for message in messages:
            key = message.account_key
            if key and (key not in first or message.occurred_at < first[key]):
                first[key] = message.occurred_at
        if not first:
            return
        self.groups = keys.load_accounts(first, exclusive=self.exclusive)
        new = {key: at for key, at in first.items() if key not in self.groups}
        if new:
            self._need_exclusive()
            self.groups.update(keys.make_accounts(new, names=names, now=self.now))
            made = {self.groups[key].account_id for key in new}
            self.news.signup_accounts |= made
            self.news.changed_accounts |= made
        earlier = {
            key: at for key, at in first.items() if (known := self.groups[key].first_seen_at) is None or at < known
        }
        if earlier:
            self._need_exclusive()
            keys.lower_first_seen(AccountKey._meta.db_table, earlier)
            self.news.signup_accounts |= {self.groups[key].account_id for key in earlier}

    def _memberships(self, messages: Sequence[Message]) -> list[Named]:
        """What these messages say about who is in which account."""
        named = []
        member = KIND.IMPORT.value if self.importing else KIND.MEMBER.value
        for message in messages:
            key = message.user_key or message.anonymous_key
            if not key or not message.account_key:
                continue
            in_log = message.type == "track"
            if in_log and message.event.lower() == LEFT_EVENT:
                named.append(Named(key, message.account_key, KIND.LEFT.value, message.occurred_at))
            else:
                named.append(Named(key, message.account_key, member, message.occurred_at, in_log))
        return named

    def _traits(self, messages: Sequence[Message]) -> None:
        """What these messages say about people and accounts: written down, and who has news."""
        of_people: list[Said] = []
        of_accounts: list[Said] = []
        domain_facts: list[Named] = []
        for message in messages:
            if message.type not in ("identify", "group"):
                continue
            found = traits.normalised(message.traits)
            key = message.user_key or message.anonymous_key
            if message.type == "group":
                of_accounts.append(Said(message.account_key, message.occurred_at, found))
                continue
            of_people.append(Said(key, message.occurred_at, found))
            domain = profiles.domain_of(found)
            if domain:
                fact = Named(key, "d:" + domain, KIND.DOMAIN.value, message.occurred_at)
                domain_facts.append(fact)
        traits.record((one for one in (*of_people, *of_accounts) if one.traits), now=self.now)
        people = {key: row.user_id for key, row in self.people.items()}
        accounts = {key: row.account_id for key, row in self.groups.items()}
        self.news.said_people = traits.news(of_people, people, "user_id")
        self.news.said_accounts = traits.news(of_accounts, accounts, "account_id")
        self._signups(of_people, UserKey._meta.db_table, people, self.news.signup_people)
        self._signups(of_accounts, AccountKey._meta.db_table, accounts, self.news.signup_accounts)
        self._domains(domain_facts)

    def _signups(self, said: Sequence[Said], table: str, ids: Mapping[str, int], news: set[int]) -> None:
        earliest: dict[str, dt.datetime] = {}
        for one in said:
            at = profiles.told_signup(one.traits, now=self.now)
            if at is not None and (one.key not in earliest or at < earliest[one.key]):
                earliest[one.key] = at
        if earliest:
            keys.lower_first_seen(table, earliest, "explicit_signup_at")
            news |= {ids[key] for key in earliest}

    def _domains(self, facts: Sequence[Named]) -> None:
        """E-mail domains told for people: news if the pair is new or told for an earlier time."""
        if not facts:
            return
        known = memberships.known_domains({fact.user_key for fact in facts})
        new = [fact for fact in facts if (at := known.get((fact.user_key, fact.account_key))) is None or fact.at < at]
        memberships.record(new)
        for fact in new:
            at = self.news.domains.get(fact.account_key, fact.at)
            self.news.domains[fact.account_key] = min(at, fact.at)
            self.news.people.add(self.people[fact.user_key].user_id)

    def _follow(self, named: Sequence[Named]) -> dict[int, Places]:
        """Write memberships down, bring what is derived up to date, and return where people's events belong."""
        ids = {row.user_id for row in self.people.values()}
        places = memberships.load(ids)
        memberships.record(named)
        for one in named:
            user_id = self.people[one.user_key].user_id
            if one.kind == KIND.LEFT.value or not places[user_id].covers(one.account_key, one.at):
                self.news.people.add(user_id)
        if not self.news:
            return places
        self._need_exclusive()
        identity.follow(self.news, more=named, now=self.now)
        self.groups = keys.load_accounts(self.groups, exclusive=self.exclusive)
        return memberships.load(ids)

    def _backfilled(
        self,
        messages: Sequence[Message],
        places: Mapping[int, Places],
        touched: set[int],
        recent: set[int],
        cutoff: dt.datetime,
    ) -> set[int]:
        """The accounts of which this batch tells only what happened before `cutoff`: no news for sales.

        Where it has events of an account they decide, since the facts that come with a backfill often name no
        time; else what is said of the account and its people. What just follows (a merge, say) is as live as the
        batch.
        """
        if all(message.occurred_at >= cutoff for message in messages):
            return set()
        if all(message.occurred_at < cutoff for message in messages):
            return touched | self.news.changed_accounts
        old: set[int] = set()
        new: set[int] = set()
        for message in messages:
            if message.type == "track":
                continue
            told = new if message.occurred_at >= cutoff else old
            if message.account_key:
                told.add(self.groups[message.account_key].account_id)
            if key := message.user_key or message.anonymous_key:
                told.update(span.account_id for span in places[self.people[key].user_id].latest)
        return (touched - recent) | (old - new - touched)

    def _need_exclusive(self) -> None:
        if not self.exclusive:
            raise keys.NeedsExclusive


def _long_ago(now: dt.datetime) -> dt.datetime:
    """What happened before this is history when it arrives at `now`; with BACKFILL_DAYS 0 nothing is."""
    days: int = settings.BACKFILL_DAYS
    return now - dt.timedelta(days=days) if 0 < days <= 10_000 else payload.EARLIEST
