"""Why an account qualifies: each condition with what it measured, and the people and days behind it.

Ids and numbers only, no personal data: of people's traits only numbers are told, of an account's also its
texts (its plan, its country). Reads the same tables with the same expressions as the verdict; a caller that
wants both from one snapshot holds one transaction around them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from accounts.models import Account
from scoring.engines import reading
from scoring.engines.behind import look_behind
from scoring.engines.found import PEOPLE, Found, Question
from scoring.engines.telling import alike, known, told
from scoring.rules import compile as compiler
from scoring.rules import tree

TOGETHER = 500  # accounts in one statement; their ids are written into it


def evidence(doc: tree.DefinitionDoc, *, account_id: int, as_of_day: int) -> dict[str, Any]:
    """The evidence of one account under a definition at the end of a day, as a Qualification freezes it.

    `users` are the people who qualify (level user, users_who), else those behind the conditions that hold;
    `newest_us` is the newest event, or stage entry, behind a condition that holds and is not negated.
    Conditions about people carry the values of the best person. An account that is unknown, internal,
    merged or not signed up yet has no conditions.
    """
    return evidence_many(doc, account_ids=[account_id], as_of_day=as_of_day)[account_id]


def evidence_many(
    doc: tree.DefinitionDoc, *, account_ids: Sequence[int], as_of_day: int, measures_only: bool = False
) -> dict[int, dict[str, Any]]:
    """`evidence` of several accounts, by account id: a fixed number of queries for each TOGETHER of them.

    `measures_only`: without the people and days behind conditions about usage, for whoever asks how far they are off.
    """
    found: dict[int, dict[str, Any]] = {}
    for start in range(0, len(account_ids), TOGETHER):
        found |= _explain(doc, account_ids[start : start + TOGETHER], as_of_day, measures_only)
    return found


def _explain(
    doc: tree.DefinitionDoc, account_ids: Sequence[int], as_of_day: int, measures_only: bool
) -> dict[int, dict[str, Any]]:
    explained: dict[int, dict[str, Any]] = {
        account_id: {"as_of_day": as_of_day, "newest_us": None, "users": [], "users_total": 0, "conditions": []}
        for account_id in account_ids
    }
    present = Account.objects.filter(pk__in=account_ids, merged_into=None, is_internal=False)
    signup_days = dict(present.filter(signup_day__lte=as_of_day).values_list("pk", "signup_day"))
    if not signup_days:
        return explained
    question = Question(signup_days, as_of_day, reading.event_types())
    leaves = list(tree.leaves(doc.rule, subject=doc.level))
    found = {pk: [Found(pk, place, leaf) for place, leaf in enumerate(leaves)] for pk in signup_days}
    every = [item for items in found.values() for item in items]
    qualifying = _measure(question, doc, found)
    look_behind(question, every, measures_only=measures_only)
    read = known(question, every)
    same = [alike(question, leaf) for leaf in leaves]
    for account_id, items in found.items():
        people, total = _people_behind(items) if qualifying is None else qualifying[account_id]
        newest = [item.newest_us for item in items if item.counts and item.newest_us is not None]
        explained[account_id] |= {
            "newest_us": max(newest) if newest else None,
            "users": people,
            "users_total": total,
            "conditions": [told(question, item, same[item.place], read) for item in items],
        }
    return explained


def _measure(
    question: Question, doc: tree.DefinitionDoc, found: Mapping[int, Sequence[Found]]
) -> dict[int, tuple[list[int], int]] | None:
    """Fill in every leaf; of a definition of level user, who qualifies and how many, by account."""
    if doc.level == "user":
        return _measure_people(question, doc, doc.rule, found)
    statement = compiler.compile_measures(doc.rule, subject="account", **question.about())
    for row in reading.rows(statement):
        mine = [item for item in found[row[0]] if item.leaf.subject == "account"]
        _fill(mine, row)
    for leaf in tree.leaves(doc.rule, subject="account"):
        if not isinstance(leaf.node, tree.UsersWho):
            continue
        inside = {
            account_id: [item for item in items if item.leaf.path.startswith(f"{leaf.path}/")]
            for account_id, items in found.items()
        }
        people = _measure_people(question, doc, leaf.node.rule, inside)
        for account_id, items in found.items():
            (item,) = (item for item in items if item.leaf.path == leaf.path)
            item.people, item.people_total = people[account_id]
    return None


def _measure_people(
    question: Question, doc: tree.DefinitionDoc, rule: tree.Node, found: Mapping[int, Sequence[Found]]
) -> dict[int, tuple[list[int], int]]:
    """Fill in the leaves of a rule about people; by account the ids of who qualify (the best first), how many."""
    statement = compiler.compile_measures(rule, subject="user", best=PEOPLE, **question.about())
    best: dict[int, list[tuple[Any, ...]]] = {account_id: [] for account_id in found}
    for row in reading.rows(statement):
        best[row[0]].append(row)
    qualify = {account_id: [row[1] for row in rows if row[2]] for account_id, rows in best.items()}
    totals = {account_id: len(people) for account_id, people in qualify.items()}
    crowded = [account_id for account_id, total in totals.items() if total == PEOPLE]
    if crowded:
        nested = replace(doc, rule=rule, level="user", motion=None)
        asked = compiler.compile_people(nested, **{**question.about(), "account_ids": crowded})
        totals |= Counter(account_id for account_id, _ in reading.rows(asked))
    for account_id, items in found.items():
        rows = best[account_id]
        if rows:  # the last column is the person's place
            places = _fill(items, rows[0])
            for item, place in zip(items, places, strict=True):
                item.each = {row[1]: row[place] for row in rows}
        for item in items:
            item.people = list(qualify[account_id] or [row[1] for row in rows[:1]])
            item.people_total = totals[account_id]
    return {account_id: (qualify[account_id], totals[account_id]) for account_id in found}


def _fill(found: Sequence[Found], row: Sequence[Any]) -> list[int]:
    """What a row of the statement says of each leaf: measured, holds, then its extras; where each begins."""
    place, places = 3, []
    for item in found:
        names = tree.extras(item.leaf.node)
        places.append(place)
        item.measured, item.holds = row[place], bool(row[place + 1])
        item.extras = dict(zip(names, row[place + 2 : place + 2 + len(names)], strict=True))
        place += 2 + len(names)
    return places


def _people_behind(found: Sequence[Found]) -> tuple[list[int], int]:
    """The people behind the account's own conditions that hold, and how many there are."""
    reasons = [item for item in found if item.counts and item.leaf.subject == "account"]
    asked = [item for item in reasons if isinstance(item.leaf.node, tree.UsersWho)]
    asked = asked or [item for item in reasons if isinstance(item.leaf.node, tree.UsageCondition)]
    people = list(dict.fromkeys(user_id for item in asked for user_id in item.people))
    if not people:
        return [], 0
    return people[:PEOPLE], max(len(people), *(item.people_total for item in asked))
