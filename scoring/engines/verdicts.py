"""What every engine does with definitions: one statement for many of them, and its rows into verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scoring.rules import compile as compiler
from scoring.rules import tree
from scoring.rules.history import compile_history
from scoring.rules.sql.later import EVERY_DEFINITION
from scoring.rules.sql.terms import Dialect, EventTypes, Statement

Rows = Callable[[Statement], Iterable[tuple[Any, ...]]]
Holders = Callable[
    [Statement], Iterable[tuple[int, Iterable[int]]]
]  # several accounts of a definition's number at once

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


def ask(
    docs: Mapping[int, tree.DefinitionDoc],
    *,
    types: EventTypes,
    account_ids: Sequence[int] | None,
    as_of_day: int,
    dialect: Dialect,
    rows: Rows,
) -> dict[int, list[Verdict]]:
    """The verdicts of several definitions at the end of a day, by the key given in `docs`, through `rows`.

    `account_ids=None` asks about everybody. An account that is not listed does not hold, and time alone
    never changes that; accounts that are unknown, internal or merged are never listed. Lists are in order
    of account id. One statement for up to WIDEST different conditions, whatever the number of accounts.
    """
    found: dict[int, list[Verdict]] = {key: [] for key in docs}
    if not docs or (account_ids is not None and not account_ids):
        return found
    for keys in _batches(docs):
        statement = compiler.compile_verdicts(
            [docs[key] for key in keys],
            types=types,
            as_of_day=as_of_day,
            account_ids=account_ids,
            dialect=dialect,
        )
        found.update(_fold({key: docs[key] for key in keys}, rows(statement)))
    return found


def ask_holders(
    docs: Mapping[int, tree.DefinitionDoc],
    *,
    types: EventTypes,
    account_ids: Sequence[int] | None,
    as_of_day: int,
    dialect: Dialect,
    holders: Holders,
) -> dict[int, set[int]]:
    """By the key given in `docs`, the accounts that each definition holds for at the end of a day; as `ask`, and
    faster, for whoever does not ask until when."""
    found: dict[int, set[int]] = {key: set() for key in docs}
    if not docs or (account_ids is not None and not account_ids):
        return found
    for keys in _batches(docs):
        statement = compiler.compile_holders(
            [docs[key] for key in keys], types=types, as_of_day=as_of_day, account_ids=account_ids, dialect=dialect
        )
        for number, accounts in holders(statement):
            found[keys[number]].update(accounts)
    return found


def _fold(docs: Mapping[int, tree.DefinitionDoc], rows: Iterable[tuple[int, ...]]) -> dict[int, list[Verdict]]:
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


def ask_history(
    docs: Mapping[int, tree.DefinitionDoc],
    *,
    types: EventTypes,
    account_ids: Sequence[int] | None,
    until_day: int,
    dialect: Dialect,
    rows: Rows,
    since_day: int | None = None,
) -> dict[int, list[tuple[int, int, int]]]:
    """By the key given in `docs`: (account id, from day, to day) in order, as `compile_history` says."""
    found: dict[int, list[tuple[int, int, int]]] = {key: [] for key in docs}
    if not docs or (account_ids is not None and not account_ids):
        return found
    for keys in _batches(docs):
        statement = compile_history(
            [docs[key] for key in keys],
            types=types,
            until_day=until_day,
            account_ids=account_ids,
            dialect=dialect,
            since_day=since_day,
        )
        for number, account_id, from_day, to_day in rows(statement):
            found[keys[number]].append((account_id, from_day, to_day))
    for intervals in found.values():
        intervals.sort()
    return found
