"""What changed in the CRM comes here: its people, what was changed on companies that we know, deals, and touches.

One pull at a time, under a lease on the connection that every page renews. A page is written, and how far the CRM is
read, in one transaction: whoever dies reads that page again, and writing it twice changes nothing. Each kind is
read by when it changed there, from a little before where the last pull ended, since a search finds changes late. What
a company did before it was matched is read once, by its associations.
"""

from __future__ import annotations

import datetime as dt
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from django.conf import settings
from django.db import connection as database
from django.db.models import Q

from accounts import deals
from accounts.models import Deal
from plgops.lib.db import in_one_transaction
from scoring.crm import connections, mapping, news, touches
from scoring.crm.mapping import Line
from scoring.crm.provider import ActivityFact, Crm, CrmError, DealFact, Page, Record
from scoring.models import CrmActivity, CrmConnection, CrmLink

logger = logging.getLogger(__name__)

LEASE = dt.timedelta(minutes=3)
TIME = dt.timedelta(minutes=5)  # a pull stops then, and goes on with the next
OVERLAP = dt.timedelta(minutes=5)  # how late a search may find a change
PAGES = 90  # of 100: a search of HubSpot's ends at 10,000
HISTORIES = 20  # companies whose past is asked for at once
AT_ONCE = 1_000  # activities of theirs that are read and written at once, or those of one company
SEEN_AGAIN = dt.timedelta(days=1)  # a deal that nobody changes is looked at so often: it may be deleted
SEEN_AT_ONCE = 100  # deals that one pull looks at again
KINDS = tuple(CrmActivity.Kind.values)
Clock = Callable[[], dt.datetime]
T = TypeVar("T", Record, DealFact, ActivityFact)


class LeaseLost(Exception):
    """Another worker pulls by now."""


class OutOfTime(Exception):
    """There is more to read than one pull has time for: the next one goes on from there, and nothing is wrong."""


@dataclass(slots=True)
class Pulled:
    """What one pull brought: companies that differ, deals, activities, touches counted."""

    companies: int = 0
    deals: int = 0
    activities: int = 0
    touches: int = 0


@dataclass(slots=True)
class _Pull:
    """One pull in a worker's hands."""

    row: CrmConnection
    token: str
    crm: Crm
    clock: Clock
    until: dt.datetime
    lines: Sequence[Line]

    def note(self, write: Callable[[], int], **read_to: str) -> int:
        """`write` in one transaction that also says how far was read, if the lease is still ours."""

        def do() -> int:
            done = write()
            row = CrmConnection.objects.select_for_update().get(pk=self.row.pk)  # last: it is held by nobody else
            if row.pull_token != self.token:
                raise LeaseLost
            row.pull_lease_until, row.read_to = self.clock() + LEASE, {**row.read_to, **read_to}
            row.save(update_fields=["pull_lease_until", "read_to"])
            return done

        return in_one_transaction(do)

    def in_time(self) -> None:
        if self.clock() >= self.until:
            raise OutOfTime


def pull_due(*, clock: Clock) -> Pulled | None:
    """Pull, if a CRM is switched on, it is time, and nobody else does. None: there was nothing to do."""
    now = clock()
    pulled = Pulled(touches=touches.count_due(now=now))  # a meeting whose time has come
    row = _claim(now=now)
    if row is None:
        return pulled if pulled.touches else None
    if database.in_atomic_block:
        raise RuntimeError("The CRM is never asked inside a transaction.")
    mine = CrmConnection.objects.filter(pk=row.pk, pull_token=row.pull_token)
    try:
        crm = connections.open_crm(row)
        pull = _Pull(row, row.pull_token, crm, clock, now + TIME, connections.lines(row))
        _everything(pull, pulled)
    except CrmError as error:
        connections.note_error(error, now=clock())
        mine.update(pull_token="", pull_lease_until=None)
    except OutOfTime:  # still due; the CRM answered all along
        mine.update(pull_token="", pull_lease_until=None)
        connections.note_success(row)
    except LeaseLost:
        logger.info("a pull from the CRM is another worker's by now")
    else:
        ended = clock()
        every = dt.timedelta(seconds=settings.CRM_PULL_SECONDS)
        mine.update(pull_token="", pull_lease_until=None, pulled_at=ended, pull_due_at=ended + every)
        connections.note_success(row)
    return pulled


def _claim(*, now: dt.datetime) -> CrmConnection | None:
    free = Q(pull_lease_until=None) | Q(pull_lease_until__lte=now)
    ready = Q(paused_until=None) | Q(paused_until__lte=now)
    due = CrmConnection.objects.filter(free, ready, state=CrmConnection.State.ON, pull_due_at__lte=now)
    token = secrets.token_hex(8)
    if not due.update(pull_token=token, pull_lease_until=now + LEASE):
        return None
    return CrmConnection.objects.filter(pull_token=token).first()


def _everything(pull: _Pull, pulled: Pulled) -> None:
    people = pull.crm.owners()
    pull.note(lambda: connections.keep_owners(people))
    names = [line.into for line in pull.lines if line.on]
    pulled.companies += _since(
        pull, "companies", lambda at, after: pull.crm.companies_since(at, names, after), _changed
    )
    pulled.deals += _since(pull, "deals", pull.crm.deals_since, _deals)
    for kind in KINDS:
        pulled.activities += _since(pull, kind, partial(pull.crm.activities_since, kind), _activities)
    _histories(pull, pulled)
    _unseen(pull)
    while done := touches.count_due(now=pull.clock()):
        pulled.touches += done


def _since(
    pull: _Pull,
    kind: str,
    read: Callable[[dt.datetime, str], Page[T]],
    write: Callable[[_Pull, Sequence[T]], int],
) -> int:
    """Everything of a kind that changed since it was read last; what `write` made of it.

    Each search begins at the last change that the one before gave. `after` counts rows, and whatever is changed while
    we read leaves its place to the next ones, of which one would be skipped: it is only for changes of one moment.
    """
    told = pull.row.read_to.get(kind)
    newest = dt.datetime.fromisoformat(told) if told else pull.clock()
    since, after, done, pages = newest - OVERLAP, "", 0, 0
    while True:
        pull.in_time()
        page: Page[T] = read(since, after)
        pages += 1
        last = max([since, *(fact.changed_at for fact in page.facts if fact.changed_at)])
        newest = max(newest, last)
        done += pull.note(partial(write, pull, page.facts), **{kind: newest.isoformat()})
        if not page.after:
            return done
        if last > since:
            since, after, pages = last, "", 0
        elif pages < PAGES:
            after = page.after
        else:
            logger.error("more %s than can be read changed in the CRM at one moment, %s", kind, since)
            since, after, pages = since + dt.timedelta(milliseconds=1), "", 0


def _changed(pull: _Pull, records: Sequence[Record]) -> int:
    """Companies that say something else than when we last wrote or looked: the next push decides what of it."""
    ids, keys = [one.id for one in records], [one.properties.get(mapping.KEY, "") for one in records]
    rows = CrmLink.objects.filter(Q(crm_id__in=ids) | Q(company__external_id__in=set(keys) - {""})).exclude(crm_id="")
    links: dict[str, CrmLink] = {}
    by_key: dict[str, CrmLink] = {}
    for link in rows.select_related("company"):
        links[link.crm_id] = by_key[link.company.external_id] = link
    # not known by id, but with our key: what HubSpot made of several that were merged
    found = [by_key[key] for pk, key in zip(ids, keys, strict=True) if pk not in links and key in by_key]
    for record in records:
        if record.id not in links or links[record.id].left_out:
            continue
        link = links[record.id]
        if any(
            not mapping.same(record.properties.get(line.into, ""), link.seen.get(line.into, ""))
            for line in pull.lines
            if line.on
        ):
            found.append(link)
    CrmLink.objects.filter(pk__in=[link.pk for link in found]).update(look=True)
    news.look_again([link.company_id for link in found], now=pull.clock())
    return len(found)


def _deals(pull: _Pull, facts: Sequence[DealFact]) -> int:
    """The deals of companies that we know; one that was and is theirs no longer is gone."""
    told, strangers = _whose(pull, facts)
    deals.gone([_deal_id(pull, fact.id) for fact in strangers], now=pull.clock())
    return deals.record(told, now=pull.clock())


def _whose(pull: _Pull, facts: Sequence[DealFact]) -> tuple[list[deals.Fact], list[DealFact]]:
    """The deals of companies that we know, and the others. Of several companies of ours, it is its main one's."""
    ids = {one for fact in facts for one in fact.company_ids}
    companies = dict(CrmLink.objects.filter(crm_id__in=ids).values_list("crm_id", "company_id"))
    told, strangers = [], []
    for fact in facts:
        ours = [companies[one] for one in fact.company_ids if one in companies]
        if not ours:
            strangers.append(fact)
            continue
        told.append(
            deals.Fact(
                external_id=_deal_id(pull, fact.id),
                account_id=ours[0],
                name=fact.name,
                stage=fact.stage,
                status=fact.status,
                amount=fact.amount,
                currency=fact.currency,
                opened_at=fact.opened_at,
                closed_at=fact.closed_at,
            )
        )
    return told, strangers


def _activities(pull: _Pull, facts: Sequence[ActivityFact]) -> int:
    return touches.keep(facts)


def _histories(pull: _Pull, pulled: Pulled) -> None:
    """Of companies that were matched since: all their deals, and touches.

    Some companies at a time, a busy one by itself: out of time, the next pull goes on with those that are left.
    """
    while True:
        due = CrmLink.objects.filter(history_at=None).exclude(crm_id="").order_by("linked_at", "pk")
        links = list(due[:HISTORIES])
        if not links:
            return
        ids = [link.crm_id for link in links]
        pull.in_time()
        found = pull.crm.deals_of(ids)
        past = {kind: pull.crm.activity_ids_of(kind, ids) for kind in KINDS}
        pulled.deals += pull.note(partial(_deals, pull, found))
        for some in _together(links, {pk: sum(len(of.get(pk, ())) for of in past.values()) for pk in ids}):
            pull.in_time()
            mine = {kind: {one for link in some for one in past[kind].get(link.crm_id, ())} for kind in KINDS}
            done = [fact for kind in KINDS for fact in pull.crm.activities(kind, mine[kind])]

            def write(some: Sequence[CrmLink] = some, done: Sequence[ActivityFact] = done) -> int:
                CrmLink.objects.filter(pk__in=[link.pk for link in some]).update(history_at=pull.clock())
                return touches.keep(done)

            pulled.activities += pull.note(write)


def _together(links: Sequence[CrmLink], activities: Mapping[str, int]) -> list[list[CrmLink]]:
    """The companies in their order, as many at a time as have no more than AT_ONCE activities; at least one."""
    found: list[list[CrmLink]] = []
    room = 0
    for link in links:
        count = activities[link.crm_id]
        if not found or count > room:
            found.append([])
            room = AT_ONCE
        found[-1].append(link)
        room -= count
    return found


def _unseen(pull: _Pull) -> None:
    """Deals that nobody has changed for long, open ones first: those that are no longer there are gone.

    Those that were won too: they credit sales for as long as they are in the CRM. One that nobody changed there, and
    whose company we no longer know, was left behind by a merge here: it stays what it is.
    """
    now = pull.clock()
    mine = Deal.objects.filter(external_id__startswith=_deal_id(pull, ""), read_at__lte=now - SEEN_AGAIN)
    known: list[str] = []
    for status in (Deal.Status.OPEN, Deal.Status.WON):
        rows = mine.filter(status=status).order_by("read_at", "pk").values_list("external_id", flat=True)
        known += rows[: SEEN_AT_ONCE - len(known)]
    if not known:
        return
    pull.in_time()
    there = pull.crm.deals([one.rsplit(":", 1)[1] for one in known])
    left = {_deal_id(pull, fact.id) for fact in there}

    def write() -> int:
        told, strangers = _whose(pull, there)
        sold = {_deal_id(pull, fact.id) for fact in strangers if fact.status == Deal.Status.WON}
        deals.seen(sold, now=pull.clock())
        others = {_deal_id(pull, fact.id) for fact in strangers} - sold
        return deals.record(told, now=pull.clock()) + deals.gone(
            [one for one in known if one not in left or one in others], now=pull.clock()
        )

    pull.note(write)


def _deal_id(pull: _Pull, crm_id: str) -> str:
    return f"{pull.row.provider}:{pull.row.crm_account}:{crm_id}"
