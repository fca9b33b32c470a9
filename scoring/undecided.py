"""What could not be decided and was put off for an hour: plays and promises of speed, each with its error."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from scoring.models import PlayRun, SpeedClock

SHOWN = 10
CAP = 100


@dataclass(frozen=True, slots=True)
class Undecided:
    """One play or promise about an account, why it failed last, and when it is tried again."""

    account_id: int
    account: str
    what: str
    error: str
    again_at: dt.datetime | None


def rows() -> list[Undecided]:
    """The newest of each kind, at most SHOWN of it. Two queries."""
    runs = PlayRun.objects.exclude(error="").select_related("play", "account").order_by("-pk")[:SHOWN]
    clocks = SpeedClock.objects.exclude(error="").select_related("handoff__company").order_by("-pk")[:SHOWN]
    return [
        *(Undecided(run.account_id, run.account.name, run.play.name, run.error, run.due_at) for run in runs),
        *(Undecided(c.handoff.company_id, c.handoff.company.name, "Speed to lead", c.error, c.next_at) for c in clocks),
    ]


def count() -> int:
    """How many there are, of each kind no further than CAP. Two queries."""
    return sum(model.objects.exclude(error="").values("pk")[:CAP].count() for model in (PlayRun, SpeedClock))
