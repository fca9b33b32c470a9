"""Whose turn it is in a pool. Pure: seats and the last turn in, the next turn out.

Every seat has a level, the point of virtual time at which its next turn lies; a turn moves it on by STEP divided by
its share, so that twice the share is twice the turns. The lowest level is next, then the lowest id. Where nobody
comes or goes, equal shares take turns in one fixed order: between two turns of one person everybody else has exactly
one, so that in any stretch of assignments two people's counts differ by at most one.

Whoever could not be given anything for a while (leave, cap, closed hours) or has just joined stands where the round
is: turns that passed meanwhile are not made up for, and nobody is flooded. What does not pass is a turn given back
for a bad lead: it is owed, and taken before the round goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

STEP = 10**12  # of virtual time for a share of 1; shares are at most 10,000


@dataclass(frozen=True, slots=True)
class Seat:
    """A person in a pool. `share` is weight times percent of ramp, more than 0."""

    person: int
    share: int
    level: int = 0
    owed: int = 0

    @property
    def stride(self) -> int:
        return STEP // self.share


@dataclass(frozen=True, slots=True)
class Turn:
    """The last turn of the round: its point of virtual time and whose it was."""

    level: int = 0
    person: int = 0


@dataclass(frozen=True, slots=True)
class Next:
    """Who is next: the seat as it stands after its turn, the pool's last turn, and everybody in order."""

    seat: Seat
    turn: Turn
    order: tuple[int, ...]  # the ids of who could have been given it, whose turn it was first
    was_owed: bool


def next_turn(seats: Iterable[Seat], last: Turn) -> Next | None:
    """Who of these is next after the last turn; None where there is nobody."""
    standing = sorted((_standing(seat, last) for seat in seats), key=lambda seat: (seat.owed == 0, *_key(seat)))
    if not standing:
        return None
    first, order = standing[0], tuple(seat.person for seat in standing)
    if first.owed:
        return Next(replace(first, owed=first.owed - 1), last, order, was_owed=True)
    moved = replace(first, level=first.level + first.stride)
    return Next(moved, Turn(first.level, first.person), order, was_owed=False)


def _standing(seat: Seat, last: Turn) -> Seat:
    """The seat where the round is: a point that has passed becomes the next one, none is further than a stride."""
    if _key(seat) > (last.level, last.person):
        return replace(seat, level=min(seat.level, last.level + seat.stride))
    return replace(seat, level=last.level if seat.person > last.person else last.level + seat.stride)


def _key(seat: Seat) -> tuple[int, int]:
    return seat.level, seat.person
