"""Assignments in words: why somebody was given an account, and why somebody else was not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, TextField
from django.db.models.functions import Cast

from accounts.models import StaffUser
from plgops.lib.paging import Page, keyset
from scoring.availability import OBSTACLES
from scoring.models import Assignment

PAGE = 30


@dataclass(frozen=True, slots=True)
class Told:
    """One walk down the ladder, with nothing left to look up."""

    assignment: Assignment
    company: str
    to: str  # empty: the queue
    why: str
    passed: tuple[tuple[str, str, int], ...]  # who, why, on which step (from 1)
    next_up: tuple[str, ...]
    concerns: bool  # the reader was looked at, and did not get it
    mine: str  # why the reader did not get it; empty where they did, or were not looked at

    @property
    def at(self) -> dt.datetime:
        return self.assignment.at


def of_handoff(handoff_id: int, *, reader: StaffUser) -> list[Told]:
    """Every walk of one handoff, the newest first. Two queries."""
    rows = Assignment.objects.filter(handoff=handoff_id).select_related("ladder", "person", "pool", "handoff__company")
    return told(list(rows.order_by("-pk")), reader=reader)


def page(*, person: int | None, cursor: str = "") -> Page[Assignment]:
    """Assignments, the newest first; `person`: those given to them, or for which they were passed over."""
    rows = Assignment.objects.select_related("ladder", "person", "pool", "handoff__company")
    if person is not None:
        passed = Q(skipped_text__contains=f'"id": {person},')
        rows = rows.annotate(skipped_text=Cast("skipped", TextField())).filter(Q(person=person) | passed)
    return keyset(rows, by="-at", cursor=cursor, size=PAGE)


def told(rows: Sequence[Assignment], *, reader: StaffUser) -> list[Told]:
    """These assignments in words. One query."""
    ids = {skip["id"] for row in rows for skip in row.skipped} | {pk for r in rows for pk in r.place.get("order", ())}
    names = {user.pk: user.label for user in StaffUser.objects.filter(pk__in=ids)}
    return [_told(row, names, reader) for row in rows]


def _told(row: Assignment, names: dict[int, str], reader: StaffUser) -> Told:
    passed, seen = [], set()
    for skip in row.skipped:
        if (skip["id"], skip["why"]) not in seen:
            seen.add((skip["id"], skip["why"]))
            passed.append(
                (names.get(skip["id"], "Somebody"), OBSTACLES.get(skip["why"], skip["why"]), skip["step"] + 1)
            )
    order = row.place.get("order", [])
    own = next((skip["why"] for skip in row.skipped if skip["id"] == reader.pk), "")
    mine = ""
    if row.person_id != reader.pk:
        if own:
            mine = f"You were passed over: {OBSTACLES.get(own, own)}."
        elif reader.pk in order:
            turns = order.index(reader.pk)
            mine = f"It was not your turn: {turns} turn{'' if turns == 1 else 's'} to go."
        else:
            mine = "No step before it leads to you." if row.person_id else "No step of the ladder leads to you."
    return Told(
        assignment=row,
        company=row.handoff.company.name,
        to=row.person.label if row.person else "",
        why=_why(row),
        passed=tuple(passed),
        next_up=tuple(names.get(pk, "Somebody") for pk in order[1:4]),
        concerns=bool(mine) and (bool(own) or reader.pk in order),
        mine=mine,
    )


def _why(row: Assignment) -> str:
    if row.person is None:
        return "Nobody on the ladder could take it, so it stays in the queue for everybody."
    name = row.person.first_name or row.person.label
    if row.kind == "owner":
        return f"{name} owns the account, or had it last."
    if row.kind == "named":
        return f"“{row.rule}” names {name} for this account."
    if row.pool is None:
        return f"“{row.rule}” fits this account and leads to {name}."
    turn = "was owed a turn for a bad lead" if row.place.get("owed") else "was next"
    step = f"“{row.rule}” fits and leads to the pool {row.pool.name}" if row.kind == "rule" else f"Pool {row.pool.name}"
    return f"{step}: {name} {turn}."
