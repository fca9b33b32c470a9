"""The app database as engine: the compiled statement over Django's connection (SQLite or PostgreSQL)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scoring.engines import reading
from scoring.engines.explain import evidence, evidence_many
from scoring.engines.verdicts import Verdict, ask, ask_history, ask_holders
from scoring.rules import compile as compiler
from scoring.rules import tree

__all__ = ["Verdict", "evidence", "evidence_many", "history", "holders", "motion_holds", "qualifying_users", "verdicts"]


def verdicts(
    docs: Mapping[int, tree.DefinitionDoc],
    *,
    account_ids: Sequence[int] | None,
    as_of_day: int,
) -> dict[int, list[Verdict]]:
    """The verdicts of several definitions at the end of a day, as `verdicts.ask` says. Two queries, as a rule."""
    if not docs or (account_ids is not None and not account_ids):
        return {key: [] for key in docs}
    return ask(
        docs,
        types=reading.event_types(),
        account_ids=account_ids,
        as_of_day=as_of_day,
        dialect=reading.dialect(),
        rows=reading.rows,
    )


def holders(
    docs: Mapping[int, tree.DefinitionDoc], *, account_ids: Sequence[int] | None, as_of_day: int
) -> dict[int, set[int]]:
    """The accounts that each definition holds for at the end of a day, as `verdicts.ask_holders` says."""
    if not docs:
        return {}
    return ask_holders(
        docs,
        types=reading.event_types(),
        account_ids=account_ids,
        as_of_day=as_of_day,
        dialect=reading.dialect(),
        holders=lambda statement: ((number, (account_id,)) for number, account_id in reading.rows(statement)),
    )


def history(
    docs: Mapping[int, tree.DefinitionDoc],
    *,
    account_ids: Sequence[int] | None,
    until_day: int,
    since_day: int | None = None,
) -> dict[int, list[tuple[int, int, int]]]:
    """On which days each account held, as `verdicts.ask_history` says."""
    if not docs:
        return {}
    return ask_history(
        docs,
        types=reading.event_types(),
        account_ids=account_ids,
        until_day=until_day,
        dialect=reading.dialect(),
        rows=reading.rows,
        since_day=since_day,
    )


def qualifying_users(
    doc: tree.DefinitionDoc, as_of_day: int, *, account_ids: Sequence[int] | None = None
) -> list[tuple[int, int]]:
    """(account id, user id) of everybody whom a definition of level user holds for, in order; else empty.

    A person in several accounts is judged in each. Account 0: the person has no account on that day, and
    so counts as a user but lifts to no account. `account_ids` leaves out the people of other accounts; with
    an empty list only people without one are told.
    """
    if doc.level != "user":
        return []
    statement = compiler.compile_people(
        doc,
        types=reading.event_types(),
        as_of_day=as_of_day,
        account_ids=account_ids,
        dialect=reading.dialect(),
        loners=True,
    )
    return sorted((account_id, user_id) for account_id, user_id in reading.rows(statement))


def motion_holds(doc: tree.DefinitionDoc, *, account_ids: Sequence[int], as_of_day: int) -> set[int]:
    """Which of the accounts are worth a person by the definition's motion rule; all known ones without a rule."""
    if doc.motion is None:
        return set(account_ids)
    motion = tree.DefinitionDoc(slug=doc.slug, name=doc.name, purpose="risk", level="account", rule=doc.motion)
    found = verdicts({0: motion}, account_ids=account_ids, as_of_day=as_of_day)[0]
    return {verdict.account_id for verdict in found if verdict.holds}
