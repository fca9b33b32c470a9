"""What missed conversions lacked: which conditions stood in the way on the day before the outcome, and by how much.

The engine is asked about that day, for at most ASKED accounts, those with the newest outcomes. A condition stands in
the way if the rule would need it to be otherwise: of an `all` the parts that fail, of an `any` all of them, under a
`not` what holds. Of people, those of the best person are told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from scoring.backtest.lists import why_missed
from scoring.backtest.score import Missed
from scoring.engines import appdb
from scoring.rules import describe, tree

ASKED = 200


@dataclass(frozen=True, slots=True)
class Lack:
    """A condition that stood in an account's way. `short` is how far it was off, in `unit`; None where that is no
    distance (a trait's text) or not known (never seen)."""

    path: str
    english: str
    measured: Any
    short: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A condition over all accounts asked about: how many lacked it, how many nothing else, and by how much in the
    middle (the median of those for which it is known)."""

    path: str
    english: str
    unit: str
    lacked: int
    alone: int
    short: float | None


@dataclass(frozen=True, slots=True)
class Lacking:
    """The accounts asked about, newest outcomes first, with what each lacked; and the conditions, the most lacked
    first. `of` is how many were never flagged in all."""

    of: int
    by_account: Mapping[int, tuple[Lack, ...]]
    obstacles: tuple[Obstacle, ...]

    @property
    def asked(self) -> int:
        return len(self.by_account)

    def stands(self, path: str, account_id: int, *, alone: bool = False) -> bool:
        """Whether the condition at `path` stood in the account's way; `alone`: and no other one did."""
        lacks = self.by_account.get(account_id, ())
        return any(one.path == path for one in lacks) and not (alone and len(lacks) > 1)


def lacking(doc: tree.DefinitionDoc, missed: Sequence[Missed]) -> Lacking:
    """What the accounts lacked that were never flagged before their outcome. About seven short queries for each
    different day before an outcome."""
    never = [one for one in missed if why_missed(one) == "lacking"]
    newest = sorted(never, key=lambda one: (-one.outcome_day, one.account_id))[:ASKED]
    on: dict[int, list[int]] = defaultdict(list)
    for one in newest:
        on[one.outcome_day - 1].append(one.account_id)
    evidence: dict[int, Mapping[str, Any]] = {}
    for day, account_ids in on.items():
        evidence |= appdb.evidence_many(doc, account_ids=account_ids, as_of_day=day, measures_only=True)
    by_account = {one.account_id: lacks(doc, evidence[one.account_id]) for one in newest}
    return Lacking(len(never), by_account, _obstacles(by_account))


def _obstacles(by_account: Mapping[int, Sequence[Lack]]) -> tuple[Obstacle, ...]:
    found: dict[str, list[Lack]] = defaultdict(list)
    alone: dict[str, int] = defaultdict(int)
    for told in by_account.values():
        for lack in told:
            found[lack.path].append(lack)
            alone[lack.path] += len(told) == 1
    summed = []
    for path, told in found.items():
        short = [lack.short for lack in told if lack.short is not None]
        middle = median(short) if short else None
        summed.append(Obstacle(path, told[0].english, told[0].unit, len(told), alone[path], middle))
    return tuple(sorted(summed, key=lambda one: (-one.lacked, -one.alone, one.path)))


# --- pure ---------------------------------------------------------------------------------------------------


def lacks(doc: tree.DefinitionDoc, evidence: Mapping[str, Any]) -> tuple[Lack, ...]:
    """The conditions that stood in the way, from evidence of the day; empty where there is none of it."""
    by_path = {condition["path"]: condition for condition in evidence["conditions"]}
    if not by_path:
        return ()
    holds = {path: bool(condition["holds"]) for path, condition in by_path.items()}
    paths = list(_in_the_way(doc.rule, "/rule", holds, wanted=True))
    if doc.level == "user" and not paths:  # somebody qualifies, but not enough people
        short = doc.users_at_least - evidence["users_total"]
        many = describe.describe_condition(
            tree.UsersWho(tree.Compare("at_least", low=doc.users_at_least), doc.rule), subject="account"
        )
        return (Lack("/rule", many, evidence["users_total"], short, "people"),) if short > 0 else ()
    leaves = {leaf.path: leaf for leaf in tree.leaves(doc.rule, subject=doc.level)}
    return tuple(_lack(leaves[path], by_path[path]) for path in paths)


def _truth(rule: tree.Node, path: str, holds: Mapping[str, bool]) -> bool:
    match rule:
        case tree.All() | tree.Any_() | tree.AtLeast():
            held = sum(_truth(part, place, holds) for part, place in _parts(rule, path))
            needed = len(rule.of) if isinstance(rule, tree.All) else rule.k if isinstance(rule, tree.AtLeast) else 1
            return held >= needed
        case tree.Not(of=part):
            return not _truth(part, f"{path}/not", holds)
    return holds[f"{path}/{tree.kind_of(rule)}"]


def _parts(rule: tree.All | tree.Any_ | tree.AtLeast, path: str) -> list[tuple[tree.Node, str]]:
    key = "all" if isinstance(rule, tree.All) else "any" if isinstance(rule, tree.Any_) else "of"
    return [(part, f"{path}/{key}/{number}") for number, part in enumerate(rule.of)]


def _in_the_way(rule: tree.Node, path: str, holds: Mapping[str, bool], *, wanted: bool) -> Iterator[str]:
    """The conditions that keep a rule from being `wanted`, in reading order; none where it is."""
    if _truth(rule, path, holds) is wanted:
        return
    match rule:
        case tree.All() | tree.Any_() | tree.AtLeast():
            for part, place in _parts(rule, path):
                yield from _in_the_way(part, place, holds, wanted=wanted)
        case tree.Not(of=part):
            yield from _in_the_way(part, f"{path}/not", holds, wanted=not wanted)
        case tree.UsersWho(rule=inner):
            of_the_best = list(_in_the_way(inner, f"{path}/users_who/rule", holds, wanted=wanted)) if wanted else []
            yield from of_the_best or [f"{path}/users_who"]
        case tree.Nested(rule=inner) if inner is not None:
            yield from _in_the_way(inner, f"{path}/definition/rule", holds, wanted=wanted)
        case _:
            yield f"{path}/{tree.kind_of(rule)}"


def _lack(leaf: tree.Leaf, condition: Mapping[str, Any]) -> Lack:
    asked = tree.Not(leaf.node) if leaf.negated else leaf.node
    english = describe.describe_rule(asked, subject=leaf.subject)
    short = None if condition["holds"] else _short(condition)
    return Lack(leaf.path, english, condition["measured"], short, condition["unit"])


def _short(condition: Mapping[str, Any]) -> float | None:
    """How far what was measured is from what was asked, always positive; None where that cannot be said."""
    measured, threshold = condition["measured"], condition["threshold"]
    comparison = condition["comparison"]
    if comparison == "share_of_limit" and condition.get("limit") is not None:
        threshold = threshold * condition["limit"]
    if not _is_number(measured):
        return None
    if comparison == "between" and all(_is_number(bound) for bound in threshold):
        return float(max(threshold[0] - measured, measured - threshold[1]))
    if not _is_number(threshold):
        return None
    match comparison:
        case "at_least" | "not_for_days" | "share_of_limit" | "steps":
            return float(threshold - measured)
        case "at_most":
            return float(measured - threshold)
        case "exactly":
            return float(abs(threshold - measured))
        case "within_days" | "changed_within_days":  # the last of N days is N - 1 days ago
            return float(measured - threshold + 1)
        case "factor_at_least":
            return max(threshold * condition["base"] - measured, 0.0) or None
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
