"""Why an account qualifies: each condition with what it measured, and the people and days behind it.

Ids and numbers only, no personal data: of people's traits only numbers are told, of an account's also its
texts (its plan, its country). Reads the same tables with the same expressions as the verdict; a caller that
wants both from one snapshot holds one transaction around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from accounts.models import Account, ProductUser, StageEntry, TraitValue
from plgops.lib import days
from scoring.engines import reading
from scoring.rules import compile as compiler
from scoring.rules import describe, stored, tree, windows
from scoring.rules.compile import EventTypes

PEOPLE = 10
DAYS = 31


@dataclass(slots=True)
class _Found:
    """A leaf with what was measured, and whom it is about."""

    leaf: tree.Leaf
    measured: Any = None
    holds: bool = False
    people: list[int] = field(default_factory=list)  # who qualify by the nested rule, the best first
    people_total: int = 0
    window: windows.Window = field(default_factory=windows.Ever)
    days: list[int] = field(default_factory=list)
    days_total: int = 0
    newest_us: int | None = None

    @property
    def counts(self) -> bool:
        """Whether it is a reason: it holds and no `not` is above it."""
        return self.holds and not self.leaf.negated


def evidence(doc: tree.DefinitionDoc, *, account_id: int, as_of_day: int) -> dict[str, Any]:
    """The evidence of one account under a definition at the end of a day, as a Qualification freezes it.

    `users` are the people who qualify (level user, users_who), else those behind the conditions that hold;
    `newest_us` is the newest event, or stage entry, behind a condition that holds and is not negated.
    Conditions about people carry the values of the best person. An account that is unknown, internal,
    merged or not signed up yet has no conditions.
    """
    nothing: dict[str, Any] = {
        "as_of_day": as_of_day,
        "newest_us": None,
        "users": [],
        "users_total": 0,
        "conditions": [],
    }
    account = (
        Account.objects.filter(pk=account_id, merged_into=None, is_internal=False, signup_day__lte=as_of_day)
        .values_list("signup_day", flat=True)
        .first()
    )
    if account is None:
        return nothing
    explainer = _Explainer(doc, account_id, account, as_of_day)
    found = explainer.measure()
    explainer.look_behind(found)
    reasons = [item for item in found if item.counts]
    people, total = explainer.people_of(found)
    newest = [item.newest_us for item in reasons if item.newest_us is not None]
    return nothing | {
        "newest_us": max(newest) if newest else None,
        "users": people,
        "users_total": total,
        "conditions": [explainer.told(item) for item in found],
    }


class _Explainer:
    def __init__(self, doc: tree.DefinitionDoc, account_id: int, signup_day: int, as_of_day: int) -> None:
        self.doc = doc
        self.account_id = account_id
        self.signup_day = signup_day
        self.day = as_of_day
        self.types: EventTypes = reading.event_types()
        self.qualifying: tuple[list[int], int] = ([], 0)  # of a definition of level user
        self.everybody: tuple[list[int], int] = ([], 0)  # behind the account's own conditions
        self.traits: dict[str, tuple[str, int | None]] = {}

    # --- measured

    def measure(self) -> list[_Found]:
        found = [_Found(leaf) for leaf in tree.leaves(self.doc.rule, subject=self.doc.level)]
        if self.doc.level == "user":
            self.qualifying = self._measure_people(self.doc.rule, found)
            return found
        mine = [item for item in found if item.leaf.subject == "account"]
        statement = compiler.compile_measures(self.doc.rule, subject="account", **self._asked())
        for row in reading.rows(statement):
            for item, measured, is_held in zip(mine, row[3::2], row[4::2], strict=True):
                item.measured, item.holds = measured, bool(is_held)
        for item in mine:
            if isinstance(item.leaf.node, tree.UsersWho):
                inside = [other for other in found if other.leaf.path.startswith(f"{item.leaf.path}/")]
                item.people, item.people_total = self._measure_people(item.leaf.node.rule, inside)
        return found

    def _measure_people(self, rule: tree.Node, found: Sequence[_Found]) -> tuple[list[int], int]:
        """Fill in the leaves of a rule about people; the ids of who qualifies (the best first) and how many."""
        statement = compiler.compile_measures(rule, subject="user", best=PEOPLE, **self._asked())
        best = list(reading.rows(statement))
        qualify = [row[1] for row in best if row[2]]
        total = len(qualify)
        if total == PEOPLE:
            nested = replace(self.doc, rule=rule, level="user", motion=None)
            asked = compiler.compile_people(nested, **self._asked())
            total = sum(1 for _ in reading.rows(asked))
        if best:
            for item, measured, is_held in zip(found, best[0][3::2], best[0][4::2], strict=True):
                item.measured, item.holds = measured, bool(is_held)
        for item in found:
            item.people = qualify or [row[1] for row in best[:1]]
            item.people_total = total
        return qualify, total

    def _asked(self) -> dict[str, Any]:
        return {
            "types": self.types,
            "as_of_day": self.day,
            "account_ids": [self.account_id],
            "dialect": reading.dialect(),
        }

    # --- behind it

    def look_behind(self, found: list[_Found]) -> None:
        usage = [item for item in found if isinstance(item.leaf.node, tree.UsageCondition)]
        self._windows(usage)
        asked = [(self._bound(item), item.people[:1] if item.leaf.subject == "user" else []) for item in usage]
        if asked:
            self._behind(usage, asked)
        self._stages([item for item in found if isinstance(item.leaf.node, tree.StageReached | tree.StageSince)])
        traits = [item.leaf.node for item in found if isinstance(item.leaf.node, tree.Trait)]
        if any(trait.of == "account" for trait in traits):
            stands = TraitValue.objects.filter(
                account_id=self.account_id,
                name__in={trait.name for trait in traits},
                from_day__lte=self.day,
                to_day__gt=self.day,
            )
            for name, text, number in stands.order_by("id").values_list("name", "text", "number"):
                self.traits[name] = (text, number)

    def _windows(self, usage: list[_Found]) -> None:
        """The days that each condition looked at."""
        for item in usage:
            node = item.leaf.node
            if isinstance(node, tree.Recency):
                if node.within_days is not None:
                    item.window = windows.LastDays(node.within_days)
                elif item.measured is not None:
                    item.window = windows.Dates(item.measured, item.measured)  # the day last seen
            else:
                item.window = node.window  # type: ignore[union-attr]
        sliding = [item for item in usage if isinstance(item.window, windows.AnyDays)]
        if sliding:
            asked = [
                (item.leaf.node, item.people[0] if item.people and item.leaf.subject == "user" else 0)
                for item in sliding
            ]
            statement = compiler.compile_stretches(
                asked, types=self.types, as_of_day=self.day, account_id=self.account_id, dialect=reading.dialect()
            )
            for place, last, _ in reading.rows(statement):
                window = sliding[place].window
                if isinstance(window, windows.AnyDays):
                    sliding[place].window = windows.Dates(last - window.days + 1, last)

    def _bound(self, item: _Found, window: windows.Window | None = None) -> tree.Condition:
        """The condition over the days that it looked at (or over another window)."""
        node, window = item.leaf.node, window or item.window
        if isinstance(node, tree.Count | tree.Distinct | tree.Users | tree.Days):
            return replace(node, window=window)
        events = node.events if isinstance(node, tree.Recency) else ()
        return tree.Count(events, tree.Compare("at_least", low=1), window)

    def _behind(self, usage: list[_Found], asked: list[tuple[tree.Condition, list[int]]]) -> None:
        statement = compiler.compile_behind(
            asked,
            types=self.types,
            as_of_day=self.day,
            account_id=self.account_id,
            dialect=reading.dialect(),
            people=PEOPLE,
            days=DAYS,
        )
        for place, what, number, size, newest in reading.rows(statement):
            item = usage[place]
            of_account = item.leaf.subject == "account"
            if what == 0:
                item.newest_us, item.days_total = newest, size
                if of_account:
                    item.people_total = number
            elif what == 1 and of_account:
                item.people.append(number)
            elif what == 2:
                item.days.append(number)
        self._newest_of_others(usage)

    def _newest_of_others(self, usage: list[_Found]) -> None:
        """Conditions about people: the days are the best person's, the newest event that of all who qualify."""
        several = [item for item in usage if item.leaf.subject == "user" and len(item.people) > 1]
        asked = [(self._bound(item, self._own(item)), item.people) for item in several]
        if not asked:
            return
        statement = compiler.compile_behind(
            asked,
            types=self.types,
            as_of_day=self.day,
            account_id=self.account_id,
            dialect=reading.dialect(),
            people=1,
            days=1,
        )
        for place, what, _, _, newest in reading.rows(statement):
            if what == 0:
                several[place].newest_us = newest

    def _own(self, item: _Found) -> windows.Window:
        """The window as the rule has it, where it differs from person to person; sliding ones stay the best's."""
        window = getattr(item.leaf.node, "window", None)
        return window if isinstance(window, windows.FirstDays) else item.window

    def _stages(self, found: list[_Found]) -> None:
        """Measured in days since then; the entry's time is the newest fact behind a stage that was reached."""
        for item in found:
            if item.measured is not None:
                item.days, item.days_total = [item.measured], 1
                item.measured = self.day - item.measured
        asked = [item for item in found if isinstance(item.leaf.node, tree.StageReached) and item.days]
        if not asked:
            return
        entries = StageEntry.objects.filter(
            account_id=self.account_id, stage__in={_stage(item) for item in asked}, day__lte=self.day
        )
        for stage, day, at in entries.order_by("at", "id").values_list("stage", "day", "at"):
            for item in asked:
                if _stage(item) == stage and item.days == [day]:
                    item.newest_us = days.micros(at)

    def people_of(self, found: list[_Found]) -> tuple[list[int], int]:
        """The people of the whole evidence, and how many there are."""
        if self.doc.level == "user":
            return self.qualifying
        reasons = [item for item in found if item.counts and item.leaf.subject == "account"]
        asked = [item for item in reasons if isinstance(item.leaf.node, tree.UsersWho)]
        asked = asked or [item for item in reasons if isinstance(item.leaf.node, tree.UsageCondition)]
        people = list(dict.fromkeys(user_id for item in asked for user_id in item.people))
        if not people:
            return [], 0
        return people[:PEOPLE], max(len(people), *(item.people_total for item in asked))

    # --- told

    def told(self, item: _Found) -> dict[str, Any]:
        """One condition as evidence holds it."""
        node = item.leaf.node
        comparison, threshold = asked_for(node)
        told = {
            "path": item.leaf.path,
            "kind": tree.kind_of(node),
            "english": describe.describe_condition(node, subject=item.leaf.subject),
            "holds": item.holds,
            "measured": self._told_measure(item),
            "threshold": threshold,
            "comparison": comparison,
            "unit": describe.unit(node),
            "event_type_ids": list(compiler.ids_of(node, self.types)),
            "window": self._told_window(item),
            "people": item.people[:PEOPLE],
            "people_total": item.people_total,
            "days": sorted(item.days),
            "days_total": item.days_total,
            "newest_us": item.newest_us,
        }
        return told | {"negated": True} if item.leaf.negated else told

    def _told_measure(self, item: _Found) -> Any:
        node = item.leaf.node
        if isinstance(node, tree.Recency):
            return None if item.measured is None else self.day - item.measured
        if not isinstance(node, tree.Trait):
            return item.measured
        if node.of == "account" and node.name in self.traits:
            text, number = self.traits[node.name]
            return text if number is None else stored.number_json(number)
        if node.op in ("at_least", "at_most", "between") and item.measured is not None:
            return stored.number_json(item.measured)
        return None

    def _told_window(self, item: _Found) -> dict[str, int | None] | None:
        window = item.window
        if isinstance(item.leaf.node, tree.StageReached):
            window = item.leaf.node.window
        elif isinstance(item.leaf.node, tree.Recency):
            length = item.leaf.node.within_days or item.leaf.node.not_for_days or 0
            window = windows.LastDays(length)
        match window:
            case windows.LastDays(length):
                return {"from_day": self.day - length + 1, "to_day": self.day}
            case windows.Dates(start, end):
                return {"from_day": start, "to_day": self.day if end is None else end}
            case windows.FirstDays(length, of):
                start_day = self.signup_day if of == "account" else self._signup_of(item.people[:1])
                return None if start_day is None else {"from_day": start_day, "to_day": start_day + length - 1}
        return None

    def _signup_of(self, people: list[int]) -> int | None:
        return ProductUser.objects.filter(pk__in=people).values_list("signup_day", flat=True).first()


def asked_for(node: tree.Condition | tree.UsersWho) -> tuple[str, Any]:
    """The comparison of a condition and its threshold, as evidence shows them."""
    match node:
        case tree.Recency(_, within_days, not_for_days):
            return ("within_days", within_days) if within_days is not None else ("not_for_days", not_for_days)
        case tree.StageReached():
            return "reached", None
        case tree.StageSince(_, low, high):
            if low is not None and high is not None:
                return "between", [low, high]
            return ("at_least", low) if low is not None else ("at_most", high)
        case tree.Trait():
            ((comparison, threshold),) = (
                (key, value)
                for key, value in stored.rule_json(node, subject=node.of)["trait"].items()
                if key not in ("name", "of")
            )
            return comparison, threshold
    ((comparison, threshold),) = stored.compare_json(node.compare).items()
    return comparison, threshold


def _stage(item: _Found) -> str:
    node = item.leaf.node
    return node.stage if isinstance(node, tree.StageReached | tree.StageSince) else ""
