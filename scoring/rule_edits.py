"""What a definition could ask so that accounts which people end for a reason would not have come: one more condition.

From the handoffs of a definition that were ended for the reason, and those that were won, each with the traits that
stood on the day it was opened: a trait that many of the first and few of the second have. It is a count over what
happened, not a promise; a backtest of the edited rule looks at everybody.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import F

from accounts.models import TraitValue
from accounts.workspace import day_of
from plgops.lib import days
from scoring.models import Definition, Handoff, Qualification
from scoring.models.definitions import Level
from scoring.rules.describe import describe_rule
from scoring.rules.parse import parse_definition
from scoring.rules.problems import RuleError

MOST = 2_000  # handoffs looked at, the newest
FEWEST = 3  # ended for the reason: below that nothing is proposed
CLEARER = 0.2  # the share kept out must be greater than the share of wins lost by so much
SHOWN = 3  # proposals for a definition
LONGEST = 80  # characters of a text that may be a condition

Condition = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Edit:
    """A condition to add, with what it would have done: kept out of those ended so, and of those that were won."""

    condition: Condition
    english: str
    keeps_out: int
    of: int
    loses: int
    wins: int

    @property
    def gain(self) -> float:
        """The share kept out, less the share of wins lost."""
        return self.keeps_out / self.of - (self.loses / self.wins if self.wins else 0)


@dataclass(frozen=True, slots=True)
class Proposed:
    """What is proposed for one definition, the clearest first; `of` handoffs were ended so, `wins` were won."""

    definition: Definition
    edits: list[Edit]
    of: int
    wins: int


def proposals(*, outcome: str, code: str, since: dt.datetime) -> list[Proposed]:
    """For each live definition that found such handoffs: the conditions that would have kept most of them out.

    Five queries. Definitions with fewer than FEWEST of them, and such for which nothing sets them apart, have none.
    """
    ended = Handoff.objects.filter(closed_at__gte=since, company__is_internal=False).order_by("-closed_at", "-pk")
    bad = _opened(ended.filter(status=outcome, outcome_reason=code)[:MOST])
    if len(bad) < FEWEST:
        return []
    good = _opened(ended.filter(status=Handoff.Status.WON)[:MOST])
    opened = bad | good
    found_by = _definitions(opened)
    traits = _traits({(account, opened[pk]) for its in found_by.values() for pk, of in its.items() for account in of})
    told = []
    rows = Definition.objects.filter(
        pk__in=found_by, level=Level.ACCOUNT, archived_at=None, live_version__isnull=False
    )  # in a rule about people a trait would be a person's
    for definition in rows.select_related("live_version").order_by("name", "pk"):
        its = {pk: [traits[account, opened[pk]] for account in of] for pk, of in found_by[definition.pk].items()}
        ours = [standings for pk, standings in its.items() if pk in bad]
        wins = [standings for pk, standings in its.items() if pk in good]
        edits = sorted(_edits(ours, wins), key=lambda edit: (-edit.gain, edit.loses, edit.english))[:SHOWN]
        if edits:
            told.append(Proposed(definition, edits, len(ours), len(wins)))
    return told


def document(definition: Definition, condition: Condition) -> dict[str, Any]:
    """The live version's document with one condition more. Raises RuleError where that is no rule."""
    if definition.live_version is None:
        raise RuleError([])
    live = definition.live_version.document
    rule = live["rule"]
    parts = rule["all"] if set(rule) == {"all"} else [rule]
    edited = live | {"rule": {"all": [*parts, condition]}}
    parse_definition(edited)
    return edited


Opened = tuple[int, int]  # an account that was a reason, and the workspace day on which the handoff was opened
Standing = dict[str, TraitValue]  # by name


def _opened(rows: Iterable[Handoff]) -> dict[int, int]:
    return {row.pk: day_of(row.opened_at) for row in rows}


def _definitions(handoff_ids: Collection[int]) -> dict[int, dict[int, set[int]]]:
    """The handoffs that each definition is a reason of, with the accounts it found: a company may have several."""
    found: dict[int, dict[int, set[int]]] = {}
    reasons = Qualification.objects.filter(handoff_id__in=handoff_ids).order_by()
    for definition_id, handoff_id, account_id in reasons.values_list("definition_id", "handoff_id", "account_id"):
        if handoff_id is not None:
            found.setdefault(definition_id, {}).setdefault(handoff_id, set()).add(account_id)
    return found


def _traits(asked: Collection[Opened]) -> dict[Opened, Standing]:
    """The traits of each account at the end of the day; one query."""
    spans: dict[int, list[TraitValue]] = {}
    rows = TraitValue.objects.filter(account_id__in={account for account, _ in asked}, to_day__gt=F("from_day"))
    for row in rows.order_by("valid_from", "text"):
        spans.setdefault(row.account_id, []).append(row)
    return {
        (account, day): {row.name: row for row in spans.get(account, ()) if row.from_day <= day < row.to_day}
        for account, day in asked
    }


def _edits(bad: list[list[Standing]], good: list[list[Standing]]) -> Iterator[Edit]:
    """A handoff stays out where the condition keeps out every account that was a reason of it."""
    if len(bad) < FEWEST:
        return
    for condition, keeps in _conditions([standing for standings in bad for standing in standings]):
        out = sum(not any(map(keeps, standings)) for standings in bad)
        lost = sum(not any(map(keeps, standings)) for standings in good)
        edit = Edit(condition, "", out, len(bad), lost, len(good))
        if out >= FEWEST and edit.gain >= CLEARER:
            yield Edit(condition, _english(condition), out, len(bad), lost, len(good))


def _conditions(bad: list[Standing]) -> Iterator[tuple[Condition, Callable[[Standing], bool]]]:
    """What could be asked: that a trait is not one of the texts that they have, or that a number is greater."""
    texts = {(name, row.text) for standing in bad for name, row in standing.items() if isinstance(row.value, str)}
    for name, text in sorted(texts):
        if 0 < len(text) <= LONGEST:

            def is_another(standing: Standing, name: str = name, text: str = text) -> bool:
                return name not in standing or standing[name].text != text

            yield {"not": {"trait": {"name": name, "in": [text]}}}, is_another
    numbers: dict[str, set[int]] = {}
    for standing in bad:
        for name, row in standing.items():
            if row.number is not None and row.number % days.MICRO == 0:
                numbers.setdefault(name, set()).add(row.number // days.MICRO)
    for name, values in sorted(numbers.items()):
        for value in sorted(values):

            def is_more(standing: Standing, name: str = name, value: int = value) -> bool:
                row = standing.get(name)
                return row is not None and row.number is not None and row.number >= (value + 1) * days.MICRO

            yield {"trait": {"name": name, "at_least": value + 1}}, is_more


def _english(condition: Condition) -> str:
    document = {"slug": "one", "name": "One", "purpose": "pql", "level": "account", "rule": condition}
    return describe_rule(parse_definition(document).rule)
