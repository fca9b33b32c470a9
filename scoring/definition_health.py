"""Definitions that no longer behave as they did: silent, flooding, or asking for events that do not come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field

from django.db.models import OuterRef, Q, QuerySet

from accounts.models import EventType
from plgops.lib import rhythm
from plgops.lib.paging import Capped
from scoring import definitions
from scoring.models import Definition, Qualification
from scoring.rules import tree

CAP = 2_000  # episodes of a week are counted to here
MOST = 200  # definitions looked at
WEEK = dt.timedelta(days=7)
# what a publication or an import opens comes all at once and says nothing about the rhythm
LIVE_CAUSES = (Qualification.Cause.EVENT, Qualification.Cause.TIME)


@dataclass(frozen=True, slots=True)
class Suspect:
    """A definition to look at. `opened` in the last seven days, where `expected` are usual."""

    definition: Definition
    opened: int
    expected: float
    is_silent: bool = False
    is_flooding: bool = False
    silent_events: tuple[str, ...] = field(default_factory=tuple)
    unknown_events: tuple[str, ...] = field(default_factory=tuple)


def suspects(*, now: dt.datetime, silent_events: Collection[str] = ()) -> list[Suspect]:
    """The live definitions to look at, by name; `silent_events`: names of event types that stopped. Three queries.

    Weeks are seven days back from now. Each number reads that week's episodes of the definition, through an index,
    until CAP are counted; where that does not reach far enough to tell twice as many, nothing is said.
    """
    asked = {rule.definition_id: tree.event_names(rule.doc) for rule in definitions.live_rules()}
    names = set().union(*asked.values()) - set(tree.ANY_EVENT)
    known = set(EventType.objects.filter(name__in=names).values_list("name", flat=True)) if names else set()
    found = []
    for definition in _counted(now):
        events = asked.get(definition.pk, frozenset())
        opened, expected, silent, flooding = _rhythm(definition, now)
        suspect = Suspect(
            definition=definition,
            opened=opened,
            expected=expected,
            is_silent=silent,
            is_flooding=flooding,
            silent_events=tuple(sorted(events & set(silent_events))),
            unknown_events=tuple(sorted(events - known - set(tree.ANY_EVENT))),
        )
        if silent or flooding or suspect.silent_events or suspect.unknown_events:
            found.append(suspect)
    return found


def _counted(now: dt.datetime) -> QuerySet[Definition]:
    """The live definitions with the episodes that opened in each of the last weeks, week 0 the newest."""
    weeks = {f"week_{back}": Capped(_opened(now, back).values("pk")[:CAP]) for back in range(rhythm.WEEKS + 1)}
    live = Definition.objects.filter(archived_at=None, live_version__isnull=False)
    return live.annotate(**weeks).order_by("name", "pk")[:MOST]


def _opened(now: dt.datetime, back: int) -> QuerySet[Qualification]:
    since = now - (back + 1) * WEEK
    opened = Q(opened_at__gt=since, opened_at__lte=since + WEEK)
    return Qualification.objects.filter(opened, definition=OuterRef("pk"), cause__in=LIVE_CAUSES).order_by()


def _rhythm(definition: Definition, now: dt.datetime) -> tuple[int, float, bool, bool]:
    """(opened this week, usual, silent, flooding) by the weeks before, as far back as the definition exists."""
    opened = getattr(definition, "week_0")  # noqa: B009  annotated
    weeks = min(rhythm.WEEKS, (now - definition.created_at) // WEEK - 1)
    # week 0 is the newest: as days of a cycle of one, the past ends at -1
    counts = {-back: getattr(definition, f"week_{back}") for back in range(1, weeks + 1)}
    usual = rhythm.usual(counts, first=-weeks, last=-1, cycle=1)
    if usual is None:
        return opened, 0.0, False, False
    expected = usual.expected(0, 0)
    silent = opened == 0 and rhythm.is_silent(expected, usual.dispersion)
    return opened, expected, silent, rhythm.is_more(opened, expected, usual.dispersion)
