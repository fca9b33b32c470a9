"""How many accounts a draft would flag in a week, and the threshold at which that is what sales has room for.

An account is flagged in the week in which the rule first held for it, at the end of some day, by what is known now of
that day; with a motion rule, in which both first held together. Later episodes of the same account are not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from duckdb import DuckDBPyConnection

from accounts.models import StaffUser, Stage, StageEntry
from plgops.lib import access
from scoring.engines import asked, columnar, reading
from scoring.preview import Basis, Draft, Estimate
from scoring.rules import describe, stored, tree
from scoring.rules.forced import MET
from scoring.rules.history import compile_history
from scoring.rules.reached import compile_reached
from scoring.rules.sql.terms import Statement

WEEKS = 8
_BELOW, _ABOVE = 3, 4  # steps on a ladder of thresholds below and above the draft's own
_HIGHEST = 50  # steps on the whole ladder, where a threshold is looked for that sales has room for
_STEPS = 5  # a threshold is about so many steps high

_SINGLE = {"points": "point", "events": "event", "values": "value", "people": "person", "days": "day"}

Turned = tree.Score | tree.Count | tree.Distinct | tree.Users | tree.Days | tree.UsersWho | tree.Value


@dataclass(frozen=True, slots=True)
class Lever:
    """A threshold that decides how many qualify: an `at_least` of the rule itself or of its outermost `all`.

    `path` is the JSON pointer of the number in the document; `value` what it is, as the document has it.
    """

    path: str
    english: str
    unit: str
    value: int | float
    node: Turned


@dataclass(frozen=True, slots=True)
class Step:
    """A threshold and the accounts that would have been flagged in a week with it, on average."""

    value: int | float
    per_week: float
    per_rep: float | None
    is_now: bool
    fits: bool  # no more than sales has room for; False where its room is not known


@dataclass(frozen=True, slots=True)
class Room:
    """What sales can work: so many reps, each so many in a week (None: nothing says how many)."""

    reps: int
    each: int | None

    @property
    def per_week(self) -> int | None:
        return None if self.each is None else self.reps * self.each


@dataclass(frozen=True, slots=True)
class Rate:
    """`weeks` are the last WEEKS, seven days each, the oldest first, as (first day, accounts); `pick` the lowest
    threshold from which on sales has room for every one."""

    basis: Basis
    weeks: tuple[tuple[int, Estimate], ...]
    total: Estimate
    room: Room
    lever: Lever | None
    levers: tuple[Lever, ...]
    steps: tuple[Step, ...]
    pick: Step | None

    @property
    def per_week(self) -> float:
        return self.total.value / WEEKS

    @property
    def per_rep(self) -> float | None:
        return self.per_week / self.room.reps if self.room.reps else None

    @property
    def decimals(self) -> int:
        """How exactly a number a week is worth telling."""
        return 1 if self.per_week < 10 else 0

    @property
    def pick_unit(self) -> str:
        """What the picked threshold counts, in the form that goes with it (1 person, 2 people); amounts have none."""
        if self.lever is None or self.pick is None:
            return ""
        several = self.lever.unit
        return _SINGLE.get(several, "") if self.pick.value == 1 else several if several in _SINGLE else ""


def room(*, day: int, reps: int | None = None, each: int | None = None) -> Room:
    """What sales can work: what is given, else the active sales reps, and what was claimed for each of them in a week,
    on average over the last WEEKS (None where that is not about one: too little to go by). At most two queries, which
    read the claims of these weeks."""
    if reps is None:
        reps = StaffUser.objects.filter(is_active=True, groups__name=access.SALES_REP).count()
    if each is None and reps:
        claims = StageEntry.objects.filter(stage=Stage.CLAIMED, day__gt=day - 7 * WEEKS, day__lte=day).count()
        each = round(claims / WEEKS / reps) or None
    return Room(reps, each)


def rate(draft: Draft, base: Basis, *, day: int, given: Room, path: str = "") -> Rate:
    """How many a week, for the draft and for thresholds around the one at `path` (else the first there is).

    One statement over the lake tells both; of everybody of many one for each part of them, which takes seconds. Raises
    lake.NoLake.
    """
    choices = levers(draft.doc) if draft.hands_over else []
    lever = next((one for one in choices if one.path == path), choices[0] if choices else None)
    flagged: Counter[int] = Counter()
    brought: Counter[int] = Counter()
    ladder = [] if lever is None else _ladder(lever)
    types = reading.event_types()

    def statement(ids: Sequence[int] | None) -> Statement:
        about: dict[str, Any] = {"types": types, "until_day": day, "account_ids": ids, "dialect": "duckdb"}
        if lever is None:
            return compile_history([_worth(draft.doc)], **about)
        return _reached(draft.doc, lever, ladder[0], **about)

    with asked.connection(every=base.every, reads=() if base.exact else [statement(None)]) as db:
        for ids in columnar.parts(db, at_once=not base.exact):
            with asked.table(db, "told", [statement(ids)]):
                if lever is None:
                    flagged.update(_flagged(db, day))
                else:
                    own, others = _brought(db, lever, ladder, day)
                    flagged.update(own)
                    brought.update(others)
    steps, pick = ((), None) if lever is None else _shown_steps(lever, ladder, brought, base, given)
    return Rate(
        basis=base,
        weeks=tuple((day - 7 * ago - 6, base.estimate(flagged.get(ago, 0))) for ago in reversed(range(WEEKS))),
        total=base.estimate(sum(flagged.values())),
        room=given,
        lever=lever,
        levers=tuple(choices),
        steps=steps,
        pick=pick,
    )


def _flagged(db: DuckDBPyConnection, day: int) -> dict[int, int]:
    """By the number of weeks ago, the accounts flagged for the first time, by their history."""
    first = "SELECT MIN(from_day) AS first_day FROM told GROUP BY account_id"
    return _by_week(db, f"({first}) f WHERE first_day >= {_since(day)}", day)


def _reached(doc: tree.DefinitionDoc, lever: Lever, lowest: int, *, until_day: int, **about: Any) -> Statement:
    """One row for each account that comes to the lowest threshold of the ladder, on which the lever's own is."""
    own = _bound(lever.node) * _unit(lever)
    at = _at(lever.node, lowest)
    return compile_reached(_rest(doc, lever), at, least=own, since_day=_since(until_day), until_day=until_day, **about)


def _brought(
    db: DuckDBPyConnection, lever: Lever, ladder: Sequence[int], day: int
) -> tuple[dict[int, int], dict[int, int]]:
    """The accounts flagged for the first time in these weeks: at the lever's own threshold by the number of weeks ago,
    and by threshold all of them."""
    unit = _unit(lever)
    first = "after >= {0} AND (before IS NULL OR before < {0})"
    counts = ", ".join(f"COUNT(*) FILTER ({first.format(bound * unit)})" for bound in ladder)
    (found,) = db.execute(f"SELECT {counts} FROM told").fetchall()
    own = _by_week(db, f"told WHERE {first.format(_bound(lever.node) * unit)}", day)
    return own, dict(zip(ladder, found, strict=True))


def _unit(lever: Lever) -> int:
    """What a statement tells a threshold in: points in 32nds."""
    return 32 if isinstance(lever.node, tree.Score) else 1


def _since(day: int) -> int:
    """The first day of the weeks that end with a day."""
    return day - 7 * WEEKS + 1


def _by_week(db: DuckDBPyConnection, accounts: str, day: int) -> dict[int, int]:
    """How many of the accounts were flagged so many weeks ago, by their `first_day`."""
    return dict(
        db.execute(f"SELECT ({int(day)} - first_day) // 7 AS ago, COUNT(*) FROM {accounts} GROUP BY ago").fetchall()
    )


def _shown_steps(
    lever: Lever, ladder: Sequence[int], brought: Mapping[int, int], base: Basis, given: Room
) -> tuple[tuple[Step, ...], Step | None]:
    """The steps around the lever's own, as far as anybody reaches them, and the lowest that sales has room for.

    A low threshold that everybody passed long ago brings few in a week too, and all of them on the first day: so every
    threshold above the picked one has to fit as well.
    """
    steps = [_step(lever.node, bound, base.estimate(brought[bound]), given) for bound in ladder]
    pick = None
    for place in reversed(range(len(steps))):
        if not steps[place].fits:
            break
        pick = place
    around = [
        place
        for place in range(_BELOW + _ABOVE + 1)
        if ladder[place] <= _bound(lever.node) or brought[ladder[place - 1]]
    ]
    shown = tuple(steps[place] for place in sorted({*around, *([] if pick is None else [pick])}))
    return shown, None if pick is None else steps[pick]


def _step(node: Turned, bound: int, brought: Estimate, given: Room) -> Step:
    per_week = brought.value / WEEKS
    return Step(
        value=_shown(node, bound),
        per_week=per_week,
        per_rep=per_week / given.reps if given.reps else None,
        is_now=bound == _bound(node),
        fits=given.per_week is not None and per_week <= given.per_week,
    )


def levers(doc: tree.DefinitionDoc) -> list[Lever]:
    """The thresholds of a definition that one may turn to have more or fewer: scores first, then in reading order; of
    a definition about people, how many of them it takes."""
    if doc.level == "user":
        people = tree.UsersWho(tree.Compare("at_least", low=doc.users_at_least), doc.rule)
        return [Lever("/account_when/users_at_least", "people who qualify", "people", doc.users_at_least, people)]
    found = [
        Lever(
            path=f"{path}/{tree.kind_of(node)}/at_least",
            english=describe.describe_condition(node, subject=doc.level),
            unit=describe.unit(node),
            value=_shown(node, _bound(node)),
            node=node,
        )
        for path, node in _outermost(doc.rule)
        if _turns(node)
    ]
    return sorted(found, key=lambda lever: not isinstance(lever.node, tree.Score))


def _outermost(rule: tree.Node) -> list[tuple[str, tree.Node]]:
    if not isinstance(rule, tree.All):
        return [("/rule", rule)]
    return [(f"/rule/all/{number}", part) for number, part in enumerate(rule.of)]


def _worth(doc: tree.DefinitionDoc) -> tree.DefinitionDoc:
    """The definition with its motion rule, about accounts: what is handed over."""
    rule = doc.rule
    if doc.level == "user":
        rule = tree.UsersWho(tree.Compare("at_least", low=doc.users_at_least), rule)
    whole = rule if doc.motion is None else tree.All((rule, doc.motion))
    return replace(doc, level="account", users_at_least=1, rule=whole, motion=None)


def _rest(doc: tree.DefinitionDoc, lever: Lever) -> tree.DefinitionDoc:
    """What has to hold beside the lever's condition for an account to be handed over."""
    parts = [] if doc.level == "user" else [part for _, part in _outermost(doc.rule) if part != lever.node]
    parts += [] if doc.motion is None else [doc.motion]
    return replace(doc, level="account", users_at_least=1, rule=tree.All(tuple(parts)) if parts else MET, motion=None)


def _turns(node: tree.Node) -> TypeGuard[Turned]:
    if isinstance(node, tree.Value):
        return isinstance(node.against, tree.Compare) and node.against.op == "at_least" and (node.against.low or 0) > 0
    counted = (tree.Score, tree.Count, tree.Distinct, tree.Users, tree.Days, tree.UsersWho)
    return isinstance(node, counted) and node.compare.op == "at_least"


def _bound(node: Turned) -> int:
    """The threshold as the node has it: whole, of amounts in millionths."""
    compare = node.against if isinstance(node, tree.Value) else node.compare
    assert isinstance(compare, tree.Compare) and compare.low is not None
    return compare.low


def _shown(node: Turned, bound: int) -> int | float:
    return stored.number_json(bound) if isinstance(node, tree.Value) else bound


def _at(node: Turned, bound: int) -> Turned:
    """The condition with another threshold."""
    compare = tree.Compare("at_least", low=bound)
    return replace(node, against=compare) if isinstance(node, tree.Value) else replace(node, compare=compare)


def _ladder(lever: Lever) -> list[int]:
    """Thresholds in even, round steps from a few below the lever's own, which is one of them; all above 0."""
    bound = _bound(lever.node)
    sizes = [times * 10**power for power in range(16) for times in (1, 2, 5)]
    step = min(sizes, key=lambda size: abs(_STEPS * size - bound))
    below = min(_BELOW, (bound - 1) // step)
    return [bound + step * number for number in range(-below, _HIGHEST - below + 1)]
