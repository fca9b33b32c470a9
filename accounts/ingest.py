"""The only way in for messages: a batch is understood, judged for duplicates and written in one transaction.

What a batch does, in the order in which it locks: receipts (the one judge of duplicates), the keys of the
people, the keys of the accounts, what was said about them, the log, the roll-up, the rows of people and
accounts, AccountDue; each in sorted order. A batch that only repeats and counts shares the keys with others;
one that changes what they mean has them alone (and starts again, if it finds that out late). A deadlock, or
a busy SQLite, tries the whole batch again: nothing of it is stored until all of it is.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from django.conf import settings
from django.db import DataError, Error, IntegrityError

from accounts import counting, due, identity, keys, memberships, payload, profiles, quarantine, traits
from accounts.counting import CatalogueFull
from accounts.identity import News
from accounts.keys import GroupKey, Link, PersonKey
from accounts.memberships import LEFT_EVENT, Named, Places
from accounts.models import Account, AccountKey, Event, MembershipFact, ProductUser, Receipt, Source, UserKey
from accounts.payload import Message, Refused
from accounts.quarantine import Bad
from accounts.traits import Said
from accounts.usage import Rollup
from plgops.lib import bulk
from plgops.lib.days import micros
from plgops.lib.db import in_one_transaction, is_passing, is_postgres

logger = logging.getLogger(__name__)

KIND = MembershipFact.Kind
_RECEIPT = bulk.Table(Receipt._meta.db_table, (("source_id", "bigint"), ("digest", "bytea")))
_EVENT = bulk.Table(
    Event._meta.db_table,
    (
        ("source_id", "bigint"),
        ("message_id", "text"),
        ("event_type_id", "bigint"),
        ("user_id", "bigint"),
        ("account_id", "bigint"),
        ("user_key", "text"),
        ("account_key", "text"),
        ("occurred_at", "timestamptz"),
        ("original_at", "timestamptz"),
        ("sent_at", "timestamptz"),
        ("received_at", "timestamptz"),
        ("properties", "jsonb"),
        ("context", "jsonb"),
    ),
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a batch, in messages."""

    received: int
    events: int  # track messages stored
    facts: int  # other messages that were new
    duplicates: int
    quarantined: int
    refused: tuple[Bad, ...] = ()  # those in quarantine, with their places in the batch


def accept_batch(
    *,
    source: Source,
    messages: Sequence[Any],
    received_at: dt.datetime,
    sent_at: dt.datetime | None = None,
    context: Mapping[str, Any] | None = None,
    importing: bool = False,
) -> Accepted:
    """Store a batch of messages as they came; the bad ones go to quarantine, duplicates change nothing.

    Everything is committed when this returns. `context` and `sent_at` are the batch's own. `importing`: the changes
    count as an import's, which opens no handoffs by itself; those of an account of which only old things are told
    (BACKFILL_DAYS) do in any case. A message that is understood and still cannot be stored
    must not keep out the others: the batch is halved until it stands alone, and it goes to quarantine. What raises
    is therefore everybody's trouble (the database is away); then nothing of the half concerned is stored.
    """
    told: dict[str, Any] = {"source": source, "received_at": received_at, "sent_at": sent_at}
    try:
        return _accept_raw(messages=messages, context=context, importing=importing, **told)
    except Exception as error:
        if not messages or not _is_of_one_message(error):
            raise
        if len(messages) == 1:
            logger.warning("a message cannot be stored and goes to quarantine", exc_info=True)
            shared = payload.storable(dict(context)) if context else None
            return accept(messages=[], bad=[Bad(messages[0], *_refusal(error), 0)], context=shared, **told)
    half = len(messages) // 2
    left, right = (
        accept_batch(messages=part, context=context, importing=importing, **told)
        for part in (messages[:half], messages[half:])
    )
    return Accepted(
        received=left.received + right.received,
        events=left.events + right.events,
        facts=left.facts + right.facts,
        duplicates=left.duplicates + right.duplicates,
        quarantined=left.quarantined + right.quarantined,
        refused=(*left.refused, *(replace(bad, index=bad.index + half) for bad in right.refused)),
    )


def accept_one(*, source: Source, message: Message, received_at: dt.datetime) -> tuple[str, str] | None:
    """Store one message that is understood. Else nothing is stored, and this is why not: a code and a reason."""
    try:
        accept(source=source, messages=[message], received_at=received_at)
    except Exception as error:
        if isinstance(error, CatalogueFull) or _is_of_one_message(error):
            return _refusal(error)
        raise
    return None


def _refusal(error: Exception) -> tuple[str, str]:
    """The code and the reason with which a message goes to quarantine."""
    if isinstance(error, CatalogueFull):
        return error.code, str(error)
    return "not_storable", f"It cannot be stored: {str(error).partition(chr(10))[0] or type(error).__name__}."


_BY_VALUES = ("22", "23", "54")  # SQLSTATE classes: data, constraints, limits of the program


def _is_of_one_message(error: Exception) -> bool:
    """Whether it is what a message says that cannot be stored, and not the database that is away or busy."""
    if isinstance(error, Error):
        state = getattr(error.__cause__, "sqlstate", None) or ""
        by_values = isinstance(error, DataError | IntegrityError) or state[:2] in _BY_VALUES
        return by_values and not is_passing(error)
    return isinstance(error, ValueError | TypeError | LookupError | ArithmeticError | RecursionError)


def _accept_raw(
    *,
    source: Source,
    messages: Sequence[Any],
    received_at: dt.datetime,
    sent_at: dt.datetime | None,
    context: Mapping[str, Any] | None,
    importing: bool,
) -> Accepted:
    parsed: dict[int, Message] = {}  # by place in the batch
    bad: list[Bad] = []
    shared = payload.storable(dict(context)) if context else None
    for index, raw in enumerate(messages):
        try:
            parsed[index] = payload.parse(
                raw,
                received_at=received_at,
                sent_at=sent_at,
                context=shared,
                skew_seconds=settings.INGEST_SKEW_SECONDS,
                max_message_bytes=settings.INGEST_MAX_MESSAGE,
            )
        except Refused as refused:
            bad.append(Bad(raw, refused.code, refused.reason, index))
    while True:
        try:
            return accept(
                source=source,
                messages=list(parsed.values()),
                bad=sorted(bad, key=lambda one: one.index),
                received_at=received_at,
                sent_at=sent_at,
                context=shared,
                importing=importing,
            )
        except CatalogueFull as full:  # the whole batch was taken back; again, without those
            for index in [index for index, message in parsed.items() if message.event in full.names]:
                del parsed[index]
                bad.append(Bad(messages[index], *_refusal(full), index))


def accept(
    *,
    source: Source,
    messages: Sequence[Message],
    received_at: dt.datetime,
    bad: Sequence[Bad] = (),
    sent_at: dt.datetime | None = None,
    context: Mapping[str, Any] | None = None,
    importing: bool = False,
) -> Accepted:
    """As `accept_batch`, for messages that are understood already. Raises CatalogueFull, and what cannot be stored."""
    by_digest: dict[bytes, Message] = {}
    for message in messages:
        if not message.message_id:
            message = replace(message, message_id=_derived_id(message))
        by_digest.setdefault(hashlib.blake2b(message.message_id.encode(), digest_size=16).digest(), message)
    changing = not is_postgres() or any(message.type in _CHANGING for message in messages)

    again = False

    def attempt(exclusive: bool) -> _Batch:
        nonlocal again
        if exclusive:
            keys.enter(alone=again)
            again = True  # whoever comes here twice was in others' way
        batch = _Batch(source, received_at, importing, exclusive)
        if bad:
            quarantine.store(source=source, messages=bad, received_at=received_at, sent_at=sent_at, context=context)
        if by_digest:
            batch.store(by_digest)
        return batch

    try:
        batch = in_one_transaction(lambda: attempt(changing))
    except keys.NeedsExclusive:
        batch = in_one_transaction(lambda: attempt(True))
    return Accepted(
        received=len(messages) + len(bad),
        events=batch.events,
        facts=batch.facts,
        duplicates=len(messages) - batch.events - batch.facts,
        quarantined=len(bad),
        refused=tuple(bad),
    )


def _long_ago(now: dt.datetime) -> dt.datetime:
    """What happened before this is history when it arrives at `now`; with BACKFILL_DAYS 0 nothing is."""
    days: int = settings.BACKFILL_DAYS
    return now - dt.timedelta(days=days) if 0 < days <= 10_000 else payload.EARLIEST


_CHANGING = frozenset({"identify", "group", "alias"})


def _derived_id(message: Message) -> str:
    """An id for a message without one: from its content, if that names its time; else it is one of a kind."""
    if message.original_at is None:
        return uuid.uuid4().hex
    said = [
        message.type,
        message.user_key,
        message.anonymous_key,
        message.account_key,
        message.previous_id,
        message.event,
        micros(message.original_at),
        message.properties,
        message.traits,
    ]
    return "content:" + hashlib.blake2b(orjson.dumps(said, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


@dataclass(slots=True)
class _Batch:
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
        touched, recent = self._log(tracks, places, cutoff)
        changed = self.news.changed_accounts
        quiet = () if self.importing else self._backfilled(messages, places, touched, recent, cutoff)
        told: dict[str, Any] = {"now": self.now, "importing": self.importing, "quiet": quiet}
        due.mark_changed(changed, **told)
        due.mark_changed(touched - changed, **told, consumers=settings.DUE_ON_EVENTS)

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

    def _log(
        self, tracks: Sequence[Message], places: Mapping[int, Places], cutoff: dt.datetime
    ) -> tuple[set[int], set[int]]:
        """Write the log and count it; the accounts that have new events, and those that have one since `cutoff`."""
        touched: set[int] = set()
        recent: set[int] = set()
        if not tracks:
            return touched, recent
        sight: dict[str, tuple[dt.datetime, dt.datetime]] = {}
        for message in tracks:
            at = message.occurred_at
            span = sight.get(message.event)
            sight[message.event] = (min(span[0], at), max(span[1], at)) if span else (at, at)
        types = counting.on_sight(sight)
        rollup = Rollup()
        rows = []
        contexts: dict[int, str] = {}
        people_seen: dict[int, dt.datetime] = {}
        accounts_seen: dict[int, dt.datetime] = {}
        source_id, dumps = self.source.pk, bulk.json_text
        for message in tracks:
            key, at = message.user_key or message.anonymous_key, message.occurred_at
            user_id = self.people[key].user_id
            if message.account_key:
                account_id = self.groups[message.account_key].account_id
            else:
                account_id = places[user_id].account_at(at)
            counted = types[message.event]
            rollup.add(account_id, user_id, counted, micros(at), message.properties)
            context = contexts.get(id(message.context))
            if context is None:
                context = contexts[id(message.context)] = dumps(message.context)
            rows.append(
                (
                    source_id,
                    message.message_id,
                    counted.id,
                    user_id,
                    account_id or None,
                    key,
                    message.account_key,
                    at,
                    message.original_at,
                    message.sent_at,
                    message.received_at,
                    dumps(message.properties),
                    context,
                )
            )
            touched.add(account_id)
            if at >= cutoff:
                recent.add(account_id)
            if counted.is_activity:
                if user_id not in people_seen or at > people_seen[user_id]:
                    people_seen[user_id] = at
                if account_id and (account_id not in accounts_seen or at > accounts_seen[account_id]):
                    accounts_seen[account_id] = at
        bulk.write(_EVENT, rows)
        rollup.write()
        profiles.seen(ProductUser._meta.db_table, people_seen)
        profiles.seen(Account._meta.db_table, accounts_seen)
        return touched, recent

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
