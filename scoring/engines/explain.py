"""Why an account qualifies: each condition with what it measured, and the people and days behind it.

Ids and numbers only, no personal data: of people's traits only numbers are told, of an account's also its
texts (its plan, its country). Reads the same tables with the same expressions as the verdict; a caller that
wants both from one snapshot holds one transaction around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from accounts.models import Account
from scoring.engines import reading
from scoring.engines.behind import look_behind
from scoring.engines.found import PEOPLE, Found, Question
from scoring.engines.telling import account_traits, told
from scoring.rules import compile as compiler
from scoring.rules import tree


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
    signup_day = (
        Account.objects.filter(pk=account_id, merged_into=None, is_internal=False, signup_day__lte=as_of_day)
        .values_list("signup_day", flat=True)
        .first()
    )
    if signup_day is None:
        return nothing
    question = Question(account_id, signup_day, as_of_day, reading.event_types())
    found = [Found(leaf) for leaf in tree.leaves(doc.rule, subject=doc.level)]
    qualifying = _measure(question, doc, found)
    look_behind(question, found)
    traits = account_traits(question, found)
    people, total = _people_behind(found) if qualifying is None else qualifying
    newest = [item.newest_us for item in found if item.counts and item.newest_us is not None]
    return nothing | {
        "newest_us": max(newest) if newest else None,
        "users": people,
        "users_total": total,
        "conditions": [told(question, item, traits) for item in found],
    }


def _measure(question: Question, doc: tree.DefinitionDoc, found: Sequence[Found]) -> tuple[list[int], int] | None:
    """Fill in every leaf; of a definition of level user, who qualifies and how many."""
    if doc.level == "user":
        return _measure_people(question, doc, doc.rule, found)
    mine = [item for item in found if item.leaf.subject == "account"]
    statement = compiler.compile_measures(doc.rule, subject="account", **question.about_accounts())
    for row in reading.rows(statement):
        for item, measured, is_held in zip(mine, row[3::2], row[4::2], strict=True):
            item.measured, item.holds = measured, bool(is_held)
    for item in mine:
        if isinstance(item.leaf.node, tree.UsersWho):
            inside = [other for other in found if other.leaf.path.startswith(f"{item.leaf.path}/")]
            item.people, item.people_total = _measure_people(question, doc, item.leaf.node.rule, inside)
    return None


def _measure_people(
    question: Question, doc: tree.DefinitionDoc, rule: tree.Node, found: Sequence[Found]
) -> tuple[list[int], int]:
    """Fill in the leaves of a rule about people; the ids of who qualifies (the best first) and how many."""
    statement = compiler.compile_measures(rule, subject="user", best=PEOPLE, **question.about_accounts())
    best = list(reading.rows(statement))
    qualify = [row[1] for row in best if row[2]]
    total = len(qualify)
    if total == PEOPLE:
        nested = replace(doc, rule=rule, level="user", motion=None)
        asked = compiler.compile_people(nested, **question.about_accounts())
        total = sum(1 for _ in reading.rows(asked))
    if best:
        for item, measured, is_held in zip(found, best[0][3::2], best[0][4::2], strict=True):
            item.measured, item.holds = measured, bool(is_held)
    for item in found:
        item.people = qualify or [row[1] for row in best[:1]]
        item.people_total = total
    return qualify, total


def _people_behind(found: Sequence[Found]) -> tuple[list[int], int]:
    """The people behind the account's own conditions that hold, and how many there are."""
    reasons = [item for item in found if item.counts and item.leaf.subject == "account"]
    asked = [item for item in reasons if isinstance(item.leaf.node, tree.UsersWho)]
    asked = asked or [item for item in reasons if isinstance(item.leaf.node, tree.UsageCondition)]
    people = list(dict.fromkeys(user_id for item in asked for user_id in item.people))
    if not people:
        return [], 0
    return people[:PEOPLE], max(len(people), *(item.people_total for item in asked))
