"""How many accounts a draft would flag in a week, and the threshold at which that is what sales has room for.

An account is flagged in the week in which the rule first held for it, at the end of some day, by what is known now of
that day; with a motion rule, in which both first held together. Later episodes of the same account are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeGuard

from accounts.models import StaffUser, Stage, StageEntry
from plgops.lib import access
from scoring.engines import asked, reading
from scoring.preview import Basis, Draft, Estimate
from scoring.rules import describe, stored, tree
from scoring.rules.history import compile_history

WEEKS = 8
_BELOW, _ABOVE = 3, 4  # steps on a ladder of thresholds below and above the draft's own
_STEPS = 5  # a threshold is about so many steps high

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
    """`weeks` are the last WEEKS, seven days each, the oldest first, as (first day, accounts)."""

    basis: Basis
    weeks: tuple[tuple[int, Estimate], ...]
    total: Estimate
    room: Room
    lever: Lever | None
    levers: tuple[Lever, ...]
    steps: tuple[Step, ...]

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
    def unit(self) -> str:
        """What the thresholds count."""
        return self.lever.unit if self.lever is not None else ""

    @property
    def pick(self) -> Step | None:
        """The lowest threshold that sales has room for."""
        return next((step for step in self.steps if step.fits), None)


def room(*, day: int, reps: int | None = None, each: int | None = None) -> Room:
    """What sales can work: what is given, else the active sales reps, and what was claimed for each of them in a week,
    on average over the last WEEKS. At most two queries, which read the claims of these weeks."""
    if reps is None:
        reps = StaffUser.objects.filter(is_active=True, groups__name=access.SALES_REP).count()
    if each is None and reps:
        claims = StageEntry.objects.filter(stage=Stage.CLAIMED, day__gt=day - 7 * WEEKS, day__lte=day).count()
        each = round(claims / WEEKS / reps) or (1 if claims else None)
    return Room(reps, each)


def rate(draft: Draft, base: Basis, *, day: int, given: Room, path: str = "") -> Rate:
    """How many a week, for the draft and for thresholds around the one at `path` (else the first there is).

    One statement over the lake, for all thresholds. Raises lake.NoLake.
    """
    choices = levers(draft.doc)
    lever = next((one for one in choices if one.path == path), choices[0] if choices and draft.hands_over else None)
    ladder = _ladder(lever) if lever is not None else []
    docs = [draft.doc, *(_with(draft.doc, lever.node, value) for value in ladder if lever is not None)]
    statement = compile_history(
        [_worth(doc) for doc in docs],
        types=reading.event_types(),
        until_day=day,
        account_ids=base.ids,
        dialect="duckdb",
    )
    with asked.table(statement, "held") as db:
        rows = db.execute(
            "SELECT definition, (? - first_day) // 7 AS weeks_ago, COUNT(*) FROM"
            " (SELECT definition, account_id, MIN(from_day) AS first_day FROM held GROUP BY definition, account_id) f"
            " WHERE first_day > ? GROUP BY definition, weeks_ago",
            [day, day - 7 * WEEKS],
        ).fetchall()
    flagged = {(number, weeks_ago): count for number, weeks_ago, count in rows}
    totals = [sum(flagged.get((number, ago), 0) for ago in range(WEEKS)) for number in range(len(docs))]
    most = given.per_week
    per_week = [base.estimate(total).value / WEEKS for total in totals]
    return Rate(
        basis=base,
        weeks=tuple((day - 7 * ago - 6, base.estimate(flagged.get((0, ago), 0))) for ago in reversed(range(WEEKS))),
        total=base.estimate(totals[0]),
        room=given,
        lever=lever,
        levers=tuple(choices),
        steps=tuple(
            Step(
                _shown(lever.node, value),
                a_week,
                a_week / given.reps if given.reps else None,
                value == _bound(lever.node),
                most is not None and a_week <= most,
            )
            for value, a_week in zip(ladder, per_week[1:], strict=True)
            if lever is not None
        ),
    )


def levers(doc: tree.DefinitionDoc) -> list[Lever]:
    """The thresholds of a definition that one may turn to have more or fewer: scores first, then in reading order."""
    outermost = (
        [(f"/rule/all/{number}", part) for number, part in enumerate(doc.rule.of)]
        if isinstance(doc.rule, tree.All)
        else [("/rule", doc.rule)]
    )
    found = [
        Lever(
            path=f"{path}/{tree.kind_of(node)}/at_least",
            english=describe.describe_condition(node, subject=doc.level),
            unit=describe.unit(node),
            value=_shown(node, _bound(node)),
            node=node,
        )
        for path, node in outermost
        if _turns(node)
    ]
    return sorted(found, key=lambda lever: not isinstance(lever.node, tree.Score))


def _worth(doc: tree.DefinitionDoc) -> tree.DefinitionDoc:
    """The definition with its motion rule: what is handed over."""
    if doc.motion is None:
        return doc
    rule = doc.rule
    if doc.level == "user":
        rule = tree.UsersWho(tree.Compare("at_least", low=doc.users_at_least), rule)
    return replace(doc, level="account", users_at_least=1, rule=tree.All((rule, doc.motion)), motion=None)


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


def _with(doc: tree.DefinitionDoc, node: Turned, bound: int) -> tree.DefinitionDoc:
    """The definition with another threshold in that condition of its outermost `all`."""
    compare = tree.Compare("at_least", low=bound)
    turned = replace(node, against=compare) if isinstance(node, tree.Value) else replace(node, compare=compare)
    if not isinstance(doc.rule, tree.All):
        return replace(doc, rule=turned)
    return replace(doc, rule=tree.All(tuple(turned if part == node else part for part in doc.rule.of)))


def _ladder(lever: Lever) -> list[int]:
    """Thresholds in even, round steps around the lever's own, which is one of them; all above 0."""
    bound = _bound(lever.node)
    sizes = [times * 10**power for power in range(16) for times in (1, 2, 5)]
    step = min(sizes, key=lambda size: abs(_STEPS * size - bound))
    below = min(_BELOW, (bound - 1) // step)
    return [bound + step * number for number in range(-below, _BELOW + _ABOVE - below + 1)]
