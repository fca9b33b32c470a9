"""How plays talk to a company now: what its people meet in the product, and what customer success has to do."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from accounts import about
from accounts.models import Account
from scoring import muting, prompts
from scoring.models import CsTask, Play, PlayRun

MOST = 20  # tasks counted; the page says that there are more


@dataclass(frozen=True, slots=True)
class Shown:
    """A prompt or nudge that the company's people meet, and why it waits now; "" where it does not."""

    run: PlayRun
    headline: str
    waits: str

    @property
    def is_nudge(self) -> bool:
        return self.run.play.action == Play.Action.NUDGE


@dataclass(frozen=True, slots=True)
class Out:
    """What a company meets, that of the highest priority first, and the open tasks about it, the most urgent first."""

    shown: tuple[Shown, ...]
    tasks: tuple[CsTask, ...]
    more_tasks: bool


def of_account(account: Account, *, now: dt.datetime) -> Out:
    """How plays talk to an account's company. Three queries, up to four more where something promotional is shown."""
    company_id = account.company_id
    runs = prompts.running(about.company_ids(company_id), now=now)
    runs.sort(key=lambda run: (-run.play.priority, run.play_id, run.pk))
    promotes = any(run.play.promotional for run in runs)
    mute = muting.muted({company_id}, now=now).get(company_id) if promotes else None
    tasks = CsTask.objects.filter(company_id=company_id, status=CsTask.Status.OPEN).select_related("owner")
    found = list(tasks.order_by("due_on", "pk")[: MOST + 1])
    shown = [
        Shown(
            run=run,
            headline=prompts.of_play(run.play, detail=run.detail).headline or run.play.name,
            waits=mute.why if mute and run.play.promotional else "",
        )
        for run in runs
    ]
    return Out(tuple(shown), tuple(found[:MOST]), len(found) > MOST)
