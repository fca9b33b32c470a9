"""The app database as engine: the compiled statement over Django's connection (SQLite or PostgreSQL)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scoring.engines import reading
from scoring.engines.explain import evidence, evidence_many
from scoring.rules import compile as compiler
from scoring.rules import tree
from scoring.rules.sql.later import EVERY_DEFINITION

__all__ = ["Verdict", "evidence", "evidence_many", "motion_holds", "qualifying_users", "verdicts"]

# a statement measures at most so many different conditions: engines limit the columns of a table
WIDEST = 200


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a definition holds for an account at the end of a day.

    `next_day` is the first day on which time alone may change that (never too late, perhaps too early);
    `user_ids` the people who qualify, ascending, for definitions of level user (else empty).
    """

    account_id: int
    holds: bool
    next_day: int | None
    user_ids: tuple[int, ...]


def verdicts(
    docs: Mapping[int, tree.DefinitionDoc], *, account_ids: Sequence[int] | None, as_of_day: int
) -> dict[int, list[Verdict]]:
    """The verdicts of several definitions at the end of a day, by the key given in `docs`.

    `account_ids=None` asks about everybody. An account that is not listed does not hold, and time alone
    never changes that; accounts that are unknown, internal or merged are never listed. Lists are in order
    of account id. Two queries for up to WIDEST different conditions, whatever the number of accounts.
    """
    found: dict[int, list[Verdict]] = {key: [] for key in docs}
    if not docs or (account_ids is not None and not account_ids):
        return found
    types = reading.event_types()
    for keys in _batches(docs):
        statement = compiler.compile_verdicts(
            [docs[key] for key in keys],
            types=types,
            as_of_day=as_of_day,
            account_ids=account_ids,
            dialect=reading.dialect(),
        )
        found.update(_fold({key: docs[key] for key in keys}, reading.rows(statement)))
    return found


def qualifying_users(doc: tree.DefinitionDoc, as_of_day: int) -> list[tuple[int, int]]:
    """(account id, user id) of everybody whom a definition of level user holds for, in order; else empty.

    A person in several accounts is judged in each. Account 0: the person has no account on that day, and
    so counts as a user but lifts to no account.
    """
    if doc.level != "user":
        return []
    statement = compiler.compile_people(
        doc, types=reading.event_types(), as_of_day=as_of_day, account_ids=None, dialect=reading.dialect()
    )
    return sorted((account_id, user_id) for account_id, user_id in reading.rows(statement))


def motion_holds(doc: tree.DefinitionDoc, *, account_ids: Sequence[int], as_of_day: int) -> set[int]:
    """Which of the accounts are worth a person by the definition's motion rule; all known ones without a rule."""
    if doc.motion is None:
        return set(account_ids)
    motion = tree.DefinitionDoc(slug=doc.slug, name=doc.name, purpose="risk", level="account", rule=doc.motion)
    found = verdicts({0: motion}, account_ids=account_ids, as_of_day=as_of_day)[0]
    return {verdict.account_id for verdict in found if verdict.holds}


def _fold(docs: Mapping[int, tree.DefinitionDoc], rows: Iterator[tuple[int, ...]]) -> dict[int, list[Verdict]]:
    """Rows of the statement into verdicts."""
    keys = list(docs)
    holds: dict[int, set[int]] = {key: set() for key in keys}
    people: dict[int, dict[int, list[int]]] = {key: {} for key in keys}
    soonest: dict[int, dict[int, int]] = {key: {} for key in keys}
    of_people = [key for key in keys if _asks_people(docs[key])]
    for number, account_id, user_id, is_held, next_day in rows:
        if number >= 0:
            concerned = [keys[number]]
        else:
            concerned = keys if number == EVERY_DEFINITION else of_people
        for key in concerned:
            if next_day is not None:
                known = soonest[key].get(account_id, next_day)
                soonest[key][account_id] = min(known, next_day)
            if user_id:
                people[key].setdefault(account_id, []).append(user_id)
            elif is_held:
                holds[key].add(account_id)
    found: dict[int, list[Verdict]] = {}
    for key, doc in docs.items():
        found[key] = []
        for account_id in sorted(holds[key] | people[key].keys() | soonest[key].keys()):
            user_ids = tuple(sorted(people[key].get(account_id, ())))
            is_held = account_id in holds[key] if doc.level == "account" else len(user_ids) >= doc.users_at_least
            found[key].append(Verdict(account_id, is_held, soonest[key].get(account_id), user_ids))
    return found


def _asks_people(doc: tree.DefinitionDoc) -> bool:
    return any(leaf.subject == "user" for leaf in tree.leaves(doc.rule, subject=doc.level))


def _batches(docs: Mapping[int, tree.DefinitionDoc]) -> Iterator[list[int]]:
    """Keys of definitions that fit into one statement together."""
    batch: list[int] = []
    asked: set[Any] = set()
    for key, doc in docs.items():
        more = compiler.distinct_conditions([doc])
        if batch and len(asked | more) > WIDEST:
            yield batch
            batch, asked = [], set()
        batch.append(key)
        asked |= more
    yield batch
