"""The demo company's way in: its history as an import, its last three weeks as they would have come.

Everything goes through the verbs that the API and the pages call. History up to three weeks ago is imported and
the definitions are published then; what follows arrives in steps, with evaluation, sales and support between
them, so that handoffs have waited, been worked and closed for believable lengths of time.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from itertools import islice
from typing import Any

from django.db import transaction

from accounts import billing, sources, stewardship
from accounts.ingest import accept_batch
from accounts.models import Account, AccountKey, AuditEntry, EventType, Plan, PlanLimit, Source, StaffUser, Workspace
from accounts.team import audit
from plgops.demo import beside, desk, earlier, helpdesk, listening, moments, programs, selling
from plgops.demo.catalogue import PLANS, TYPES
from plgops.demo.staff import hire
from plgops.demo.world import Story
from plgops.lib.days import MICRO
from scoring import definitions
from scoring.models import Handoff

SOURCE = "Fieldnote production"
COMPANY, NAMELESS = "Fieldnote", "plgops"  # a workspace that was given a name of its own keeps it
ACCOUNTS, SMALL = 1_500, 60
STEPS = (21, 15, 9, 5, 1, 0)  # days before the end
BATCH = 4_000
Say = Callable[[str], None]


@dataclass(slots=True)
class Later:
    """What an account does after the import: it arrives with the steps."""

    messages: list[dict[str, Any]]
    states: list[billing.State]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What there is now."""

    accounts: int
    people: int
    events: int
    write_key: str  # empty: the source was made by an earlier, interrupted load
    seconds: float


def is_empty() -> bool:
    """Whether nothing has been brought in or set up yet."""
    return not (
        Account.objects.exists() or StaffUser.objects.exists() or Source.objects.filter(kind=Source.Kind.HTTP).exists()
    )


def unfinished() -> AuditEntry | None:
    """The audit row of a load that was interrupted; None if there is none, or it was finished later."""
    last = AuditEntry.objects.filter(action__in=["demo.started", "demo.finished"]).order_by("-pk").first()
    return last if last and last.action == "demo.started" else None


def load(*, seed: int, small: bool, until: dt.datetime, say: Say) -> Loaded:
    """Bring in the whole company, or what is missing of it after an interruption with the same parameters."""
    began = time.monotonic()
    steps = [until - dt.timedelta(days=days) for days in STEPS]
    with transaction.atomic():  # from here on an interrupted load is known as one
        staff = hire()
        Workspace.objects.filter(name=NAMELESS).update(name=COMPANY)
        source, key = _source(by=staff["ada"], now=steps[0], detail={"seed": seed, "small": small, "until": str(until)})
    _describe()
    helpdesk.set_up(staff, now=steps[0])
    counts = {"accounts": 0, "people": 0, "events": 0}
    waiting = _import(
        seed=seed, small=small, until=until, cut=steps[0], source=source, by=staff["ada"], counts=counts, say=say
    )
    for document in _documents():
        definitions.publish(document=document, by=staff["ada"], now=steps[0], reason="First definitions")
    rng = random.Random(seed + 1)  # noqa: S311  a play, not a secret
    team = desk.Desk(staff, rng, small=small)
    played = Handoff.objects.exists()  # by the load that was interrupted
    if not played:
        team.release(now=steps[0])
    moments.set_up(staff, now=steps[0])
    say("Playing the last three weeks …")
    for before, now in zip(steps, steps[1:], strict=False):
        if now >= steps[-2]:  # what comes last comes as it will from now on
            selling.set_up(staff, now=before)
        _arrive(waiting, source=source, upto=now)
        team.evaluate(now=now)
        if not played:
            moments.decide(now=now)
            moments.meet(rng, since=before, now=now)
            moments.guide(staff, rng, now=now)
            team.work(since=before, now=now)
    selling.play(staff, now=until)
    listening.set_up(staff, now=until)
    programs.set_up(staff, now=until)
    helpdesk.assign(now=until)
    helpdesk.play(staff, rng, now=until, many=6 if small else 34)
    team.evaluate(now=until)
    team.tick_off(now=until)
    moments.nearly_there(now=until)
    sources.seen(source, now=until)
    audit.record(action="demo.finished", obj=source, by=None, now=until, detail=counts)
    return Loaded(**counts, write_key=key, seconds=time.monotonic() - began)


def _source(*, by: StaffUser, now: dt.datetime, detail: dict[str, Any]) -> tuple[Source, str]:
    source = Source.objects.filter(name=SOURCE).first()
    key = ""
    if source is None:
        source, key = sources.create_source(name=SOURCE, by=by, now=now)
        audit.record(action="demo.started", obj=source, by=None, now=now, detail=detail)
    return source, key


def _describe() -> None:
    """The catalogue of events and the plans, before the first event: from then on values are counted."""
    for kind in TYPES:
        EventType.objects.get_or_create(
            name=kind.name,
            defaults={
                "meaning": kind.meaning,
                "description": kind.description,
                "is_activity": kind.is_activity,
                "metered_property": kind.metered,
                "distinct_property": kind.distinct,
            },
        )
    for rank, told in enumerate(PLANS):
        plan, _ = Plan.objects.get_or_create(
            code=told.code, defaults={"name": told.name, "is_paid": told.is_paid, "rank": rank}
        )
        if told.rows:
            PlanLimit.objects.get_or_create(plan=plan, metric="Rows Synced", defaults={"limit": told.rows * MICRO})


def _documents() -> list[Any]:
    folder = files("plgops.demo") / "definitions"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json"))
    return [json.loads((folder / name).read_text()) for name in names]


def _import(
    *,
    seed: int,
    small: bool,
    until: dt.datetime,
    cut: dt.datetime,
    source: Source,
    by: StaffUser,
    counts: dict[str, int],
    say: Say,
) -> list[Later]:
    """Everything up to `cut`; what comes after is returned."""
    waiting: list[Later] = []
    stories: list[Story] = []
    began: dict[str, dt.datetime] = {}
    last = cut.isoformat()

    def messages() -> Iterator[dict[str, Any]]:
        for story in beside.stories(seed=seed, until=until, accounts=SMALL if small else ACCOUNTS):
            counts["accounts"] += bool(story.messages)
            counts["people"] += sum(message["type"] == "identify" for message in story.messages)
            counts["events"] += sum(message["type"] == "track" for message in story.messages)
            past = [message for message in story.messages if message["timestamp"] <= last]
            rest = story.messages[len(past) :]
            if past:
                began[story.group_id] = dt.datetime.fromisoformat(past[0]["timestamp"])
            states = list(_states(story))
            if rest or any(state.at > cut for state in states):
                waiting.append(Later(rest, [state for state in states if state.at > cut]))
            story.messages = []
            stories.append(story)
            if counts["accounts"] % 250 == 0:
                say(f"{counts['accounts']:>6,} accounts, {counts['events']:>8,} events")
            yield from past

    told = messages()
    while batch := list(islice(told, BATCH)):
        accept_batch(source=source, messages=batch, received_at=cut, importing=True)
    _pay((s for story in stories for s in _states(story) if s.at <= cut), source=source, now=cut, importing=True)
    _companies(stories, by=by, now=cut)
    rng = random.Random(seed + 2)  # noqa: S311  a play, not a secret
    earlier.tell(earlier.claims(stories, began, cut=cut, rng=rng), now=cut)
    return waiting


def _states(story: Story) -> Iterator[billing.State]:
    for at, plan, mrr, motion in story.states:
        yield billing.State(
            account_id=0,
            account_key=f"g:{story.group_id}",
            at=dt.datetime.fromtimestamp(at, dt.UTC),
            plan=plan,
            mrr=Decimal(mrr),
            motion=motion,
        )


def _pay(states: Iterable[billing.State], *, source: Source, now: dt.datetime, importing: bool) -> None:
    told = list(states)
    owners = dict(AccountKey.objects.filter(key__in={s.account_key for s in told}).values_list("key", "account_id"))
    billing.record_states([s.of(owners[s.account_key]) for s in told], now=now, source=source, importing=importing)


def _companies(stories: list[Story], *, by: StaffUser, now: dt.datetime) -> None:
    """Second workspaces join their company, and Fieldnote's own is left out of every figure."""
    ids = dict(Account.objects.values_list("external_id", "pk"))
    for story in stories:
        if story.parent in ids and story.group_id in ids:
            stewardship.set_parent(account_id=ids[story.group_id], parent_id=ids[story.parent], by=by, now=now)
        if story.internal and story.group_id in ids:
            stewardship.set_internal(account_id=ids[story.group_id], internal=True, by=by, now=now)


def _arrive(waiting: list[Later], *, source: Source, upto: dt.datetime) -> None:
    """What happened until `upto`, as it would have come in."""
    last = upto.isoformat()
    due: list[dict[str, Any]] = []
    states: list[billing.State] = []
    for later in waiting:
        now = [message for message in later.messages if message["timestamp"] <= last]
        due += now
        later.messages = later.messages[len(now) :]
        states += [state for state in later.states if state.at <= upto]
        later.states = [state for state in later.states if state.at > upto]
    due.sort(key=lambda message: message["timestamp"])
    rest = iter(due)
    while batch := list(islice(rest, BATCH)):
        accept_batch(source=source, messages=batch, received_at=upto)
    _pay(states, source=source, now=upto, importing=False)
