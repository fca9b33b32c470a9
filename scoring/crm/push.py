"""What changed here goes to the CRM, and nothing else.

AccountDue's consumer `crm` says which accounts may have something to say. A sweep leases them, reads what plgops says
of their companies, drops those of which the CRM says it already, asks it about the rest, and writes the difference. No
transaction is open while the network is used. Each company is noted in one of its own, which ends its lease; whoever
dies before that repeats an update that changes nothing, and finds a company that was made by our key.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import IntegrityError
from django.db import connection as database

from accounts import due
from accounts.models import Account
from accounts.workspace import day_of
from plgops.lib.db import in_one_transaction
from scoring.crm import conflicts, connections, mapping, matching, news, owners, values
from scoring.crm.mapping import Line
from scoring.crm.matching import Case
from scoring.crm.provider import Crm, CrmError, Record, Unreachable
from scoring.models import CrmConnection, CrmLink, Handoff

logger = logging.getLogger(__name__)

CONSUMER = news.CONSUMER
LEASE = dt.timedelta(minutes=5)
TIME = dt.timedelta(minutes=2)  # within which a sweep asks: its lease must outlast its last request
LIMIT = 100
FILL = 1_000  # accounts marked at a time, when all of them are to be looked at
Clock = Callable[[], dt.datetime]


@dataclass(slots=True)
class Pushed:
    """What one sweep did: accounts claimed, and companies written, unchanged, to be decided, and failed."""

    claimed: int = 0
    written: int = 0
    unchanged: int = 0
    asked: int = 0
    failed: int = 0


class _Lost(Exception):
    """The lease is another worker's by now, or a person decided meanwhile."""


def push_due(*, clock: Clock, limit: int = LIMIT) -> Pushed:
    """One sweep. Where no CRM is switched on, what is due is ticked off: switching it on looks at every company."""
    now = clock()
    found = CrmConnection.objects.filter(provider="hubspot").first()
    if found is None or found.state == CrmConnection.State.NONE or found.state == CrmConnection.State.OFF:
        return Pushed(claimed=_tick_off(now=now))
    if found.state != CrmConnection.State.ON or (found.paused_until and found.paused_until > now):
        return Pushed()
    _fill(found, now=now)
    claimed = due.claim(consumer=CONSUMER, now=now, today=day_of(now), limit=limit, lease=LEASE)
    pushed = Pushed(claimed=len(claimed))
    if claimed:
        if database.in_atomic_block:
            raise RuntimeError("The CRM is never asked inside a transaction.")
        _push(claimed, found, clock=clock, until=now + TIME, pushed=pushed)
    return pushed


def _push(
    claimed: Sequence[due.Claimed], found: CrmConnection, *, clock: Clock, until: dt.datetime, pushed: Pushed
) -> None:
    try:
        cases = cases_of(claimed, found, now=clock())
        crm = connections.open_crm(found)
        _send(cases, crm, connections.lines(found), clock=clock, until=until, pushed=pushed)
    except CrmError as error:
        connections.note_error(error, now=clock())
        for one in claimed:  # of those that are noted already the lease has ended
            due.give_back(one, consumer=CONSUMER)
    except Exception as error:  # one bad account must not hold up the others: find it by itself
        if len(claimed) > 1:
            logger.warning("%s accounts could not be pushed together (%r); one by one", len(claimed), error)
            for one in claimed:
                _push([one], found, clock=clock, until=until, pushed=pushed)
            return
        logger.exception("account %s could not be pushed", claimed[0].account_id)
        due.fail(claimed[0], consumer=CONSUMER, now=clock(), error=repr(error))
        pushed.failed += 1
    else:
        connections.note_success(found)


# --- who, and what they say -----------------------------------------------------------------------------------------


def cases_of(claimed: Sequence[due.Claimed], found: CrmConnection, *, now: dt.datetime) -> list[Case]:
    """The companies that have a say, of these accounts; the others are finished.

    A child's news is its company's; what was merged away or became a child leaves its link to the company that it is
    now; internal and test accounts are never told of.
    """
    ids = [one.account_id for one in claimed]
    rows = {account.pk: account for account in Account.objects.select_related("owner").filter(pk__in=ids)}
    moved = _moved(rows.values())
    cases = cases_for([rows[pk] for pk in ids if pk not in moved], found)
    mine = {one.account_id: one for one in claimed}
    for case in cases:
        case.claimed = mine.pop(case.company.pk)
    _finish(list(mine.values()), moved, now=now)
    return cases


def cases_for(companies: Sequence[Account], found: CrmConnection) -> list[Case]:
    """Those of these root accounts that the CRM is told of, with what there is to say."""
    ids = [company.pk for company in companies if not company.is_internal]
    links = {link.company_id: link for link in CrmLink.objects.filter(company__in=ids)}
    told = {pk for pk, link in links.items() if link.crm_id or link.domain or link.own}
    if found.audience == CrmConnection.Audience.ALL:
        told.update(ids)
    else:
        told.update(Handoff.objects.filter(company_id__in=ids).values_list("company_id", flat=True))
    telling = [c for c in companies if c.pk in told and not (c.pk in links and links[c.pk].left_out)]
    said = values.of(telling)
    return [Case(c, links.get(c.pk) or CrmLink(company=c), said[c.pk]) for c in telling]


def _finish(done: Sequence[due.Claimed], moved: Mapping[int, int], *, now: dt.datetime) -> None:
    if not done:
        return

    def finish() -> None:
        for old_id in sorted(matching.known_of(moved)):
            matching.rehome(old_id=old_id, now=now)
        news.look_again(moved.values(), now=now)
        due.finish_many([(one, None) for one in done], consumer=CONSUMER, now=now)

    in_one_transaction(finish)


def _moved(accounts: Iterable[Account]) -> dict[int, int]:
    """Those of these accounts that are no company, with what they were merged into or are part of."""
    return {one.pk: at for one in accounts if (at := one.merged_into_id or one.parent_id)}


def _tick_off(*, now: dt.datetime) -> int:
    """Nobody is told of these; what was read of a company that is none any more goes on to the one that it is now."""
    claimed = due.claim(consumer=CONSUMER, now=now, today=day_of(now), limit=500, lease=LEASE)
    accounts = Account.objects.only("merged_into_id", "parent_id").filter(pk__in=[one.account_id for one in claimed])
    _finish(claimed, _moved(accounts), now=now)
    return len(claimed)


def _fill(found: CrmConnection, *, now: dt.datetime) -> None:
    """Mark the next accounts of all that are to be looked at. Of two workers at once, one moves on."""
    begun = found.filled_to
    if begun is None:
        return
    following = Account.objects.filter(pk__gt=begun, parent=None, merged_into=None, is_internal=False)
    ids = list(following.order_by("pk").values_list("pk", flat=True)[:FILL])

    def fill() -> None:
        news.look_again(ids, now=now)
        CrmConnection.objects.filter(pk=found.pk, filled_to=begun).update(filled_to=ids[-1] if ids else None)

    in_one_transaction(fill)


# --- asking and writing -----------------------------------------------------------------------------------------------


def _send(
    cases: Sequence[Case], crm: Crm, lines: Sequence[Line], *, clock: Clock, until: dt.datetime, pushed: Pushed
) -> None:
    def in_time() -> None:
        if clock() >= until:
            raise Unreachable("The CRM answers too slowly.")

    asking = []
    for case in cases:
        link = case.link
        if link.crm_id and not link.look and mapping.is_told(case.ours, link.seen, link.held, lines):
            _note(case, lines, now=clock(), sent=False)
            pushed.unchanged += 1
        else:
            asking.append(case)
    if not asking:
        return
    update, create = [], []
    for case, outcome in matching.match(asking, crm, lines, in_time=in_time):
        if outcome == matching.Outcome.FOUND and case.record is not None:
            case.plan = mapping.plan(case.ours, case.record.properties, case.link.seen, case.link.held, lines)
            if case.record.properties.get(mapping.KEY) != case.company.external_id:
                case.plan.send[mapping.KEY] = case.company.external_id
            update.append(case)
        elif outcome == matching.Outcome.NONE:
            create.append(case)
        else:
            _to_decide(case, outcome, now=clock())
            pushed.asked += 1
    _update(update, crm, lines, clock=clock, in_time=in_time, pushed=pushed)
    _create(create, crm, lines, clock=clock, in_time=in_time, pushed=pushed)


def _update(
    cases: Sequence[Case],
    crm: Crm,
    lines: Sequence[Line],
    *,
    clock: Clock,
    in_time: Callable[[], None],
    pushed: Pushed,
) -> None:
    changes = {case.record.id: case.plan.send for case in cases if case.record and case.plan.send}
    written = None
    if changes:
        in_time()
        written = crm.update(changes)
    for case in cases:
        crm_id = case.record.id if case.record else ""
        if written is not None and crm_id in written.failed:
            _fail(case, written.failed[crm_id], now=clock(), pushed=pushed)
            continue
        pushed.asked += bool(case.plan.clashes)
        pushed.written += bool(case.plan.send)
        pushed.unchanged += not (case.plan.send or case.plan.clashes)
        _note(case, lines, now=clock(), sent=bool(case.plan.send))


def _create(
    cases: Sequence[Case],
    crm: Crm,
    lines: Sequence[Line],
    *,
    clock: Clock,
    in_time: Callable[[], None],
    pushed: Pushed,
) -> None:
    ready = []
    for case in cases:
        if matching.take_domain(case):
            ready.append(case)
        else:  # another company of ours is about to be that one there
            _to_decide(case, matching.Outcome.TAKEN, now=clock())
            pushed.asked += 1
    if not ready:
        return
    for case in ready:
        case.plan = mapping.plan(case.ours, {}, {}, {}, lines)
    in_time()
    written = crm.create({case.company.external_id: case.plan.send for case in ready})
    for case in ready:
        key = case.company.external_id
        if key in written.failed:
            _fail(case, written.failed[key], now=clock(), pushed=pushed)
            continue
        case.record = Record(written.done[key], {mapping.KEY: key})
        case.link.matched = CrmLink.Matched.MADE
        pushed.written += 1
        _note(case, lines, now=clock(), sent=True)


def _to_decide(case: Case, outcome: matching.Outcome, *, now: dt.datetime) -> None:
    """It waits for a person; nothing is due before they decide, or something changes."""

    def note() -> None:
        conflicts.found_match(case.company, outcome.value, candidates=case.candidates, now=now)
        due.finish(_mine(case), consumer=CONSUMER, now=now, due_day=None)

    in_one_transaction(note)


def _fail(case: Case, why: str, *, now: dt.datetime, pushed: Pushed) -> None:
    """The CRM does not want these values: pushed back alone, with its words to be seen."""
    due.fail(_mine(case), consumer=CONSUMER, now=now, error=why)
    pushed.failed += 1


def _note(case: Case, lines: Sequence[Line], *, now: dt.datetime, sent: bool) -> None:
    """Write down what the CRM says now, and end the lease; where that is another worker's, nothing is written."""

    def note() -> None:
        link, record = case.link, case.record
        owner = owners.staff(case.plan.take) if case.plan.take else None
        if owner is not None:  # takes the locks that come first
            owners.give(company_id=case.company.pk, owner=owner, by=None, now=now)
        if record is not None:
            stands = CrmLink.objects.select_for_update().filter(company=case.company).first()
            if stands is not None and _known(stands) != before:
                raise _Lost  # somebody decided meanwhile: looked at again
            asked = {clash.property for clash in case.plan.clashes}
            known = {line.into for line in lines if line.on} - asked
            there = {**record.properties, **case.plan.send}
            link.seen = {name: link.seen[name] for name in sorted(asked) if name in link.seen} | {
                name: there[name] for name in sorted(known) if there.get(name)
            }
            if link.crm_id != record.id:  # new, or merged there into another: what that one did is not read yet
                link.linked_at, link.history_at = now, None
            link.crm_id, link.look = record.id, False
            link.pushed_at = now if sent else link.pushed_at
            link.save()
            conflicts.matched(link.company_id, now=now)
            conflicts.found_values(link, case.plan.clashes, now=now, among={line.field for line in lines})
        if not due.finish(_mine(case), consumer=CONSUMER, now=now, due_day=None):
            raise _Lost
        if sent:
            CrmConnection.objects.filter(provider="hubspot").update(pushed_at=now)

    before = _known(case.link)
    try:
        in_one_transaction(note)
    except (_Lost, IntegrityError):  # or somebody matched another of ours to the same one there
        due.give_back(_mine(case), consumer=CONSUMER)


def _known(link: CrmLink) -> tuple[object, ...]:
    """What a person's decision changes on a link."""
    return link.crm_id, link.seen, link.held, link.own, link.left_out


def _mine(case: Case) -> due.Claimed:
    if case.claimed is None:
        raise ValueError("Nobody has claimed it.")
    return case.claimed
