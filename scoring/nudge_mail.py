"""Nudges by e-mail: to whom of an account a play writes once it has fired, and in which words.

A run that fired waits for its letters: they are written in a transaction of their own, each under its person's lock,
since they count for the same cap as prompts in the product. accounts/letters.py sends them, and asks here for the words
at every try: a nudge whose reason is over by then is left out, and waits while a rep works the company or an urgent
ticket is open.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence

from accounts import letters
from accounts.workspace import day_of
from plgops.lib.db import in_one_transaction, lock_free_rows
from scoring import addressees, muting, plays, prompts
from scoring.models import Play, PlayRun, Qualification

logger = logging.getLogger(__name__)
KIND = "nudge"  # of these letters: settings.LETTER_WORDS
PEOPLE = 3  # of an account, unless the play says otherwise: those who were seen last
MOST_PEOPLE = 20
Status = PlayRun.Status


def write_due(*, now: dt.datetime, limit: int = 100) -> int:
    """Write the letters of runs that fired; how many runs. Several may do so at once."""
    waiting = PlayRun.objects.filter(
        status=Status.FIRED, ended_at=None, shows_until=None, play__action=Play.Action.EMAIL_NUDGE
    )
    done = 0
    for pk in list(waiting.order_by("pk").values_list("pk", flat=True)[:limit]):
        try:
            done += in_one_transaction(lambda pk=pk: _write(pk, now=now))  # type: ignore[misc]
        except Exception:  # one that cannot be written must not keep the others waiting
            logger.exception("the letters of run %s", pk)
    return done


def words(keys: Sequence[str], *, now: dt.datetime) -> dict[str, letters.Words | dt.datetime | None]:
    """What these runs say now; until when they wait; None for what is over."""
    rows = PlayRun.objects.filter(pk__in=[int(key) for key in keys], status=Status.FIRED)
    runs = list(rows.select_related("play__definition", "qualification", "account", "account__parent"))
    near = {run.account_id for run in runs if run.qualification_id is None}
    made = Qualification.objects.filter(account_id__in=near, closed_at=None)
    qualified = set(made.values_list("account_id", "definition_id")) if near else set()
    mutes = muting.muted({run.account.company_id for run in runs}, now=now)
    said: dict[str, letters.Words | dt.datetime | None] = dict.fromkeys(keys)
    for run in runs:
        if _is_over(run, qualified, now=now):
            continue
        mute = mutes.get(run.account.company_id) if run.play.promotional else None
        # the rep may be done, or the ticket closed, long before the mute would lapse by itself
        said[str(run.pk)] = min(mute.until, now + muting.AGAIN) if mute else of_play(run.play, _today(run, now))
    return said


def _today(run: PlayRun, now: dt.datetime) -> dict[str, object]:
    """A run's detail with the days that are left today: it was made on an earlier one."""
    left = _days_left(run, now)
    return run.detail if left is None else {**run.detail, "days_left": left}


def _days_left(run: PlayRun, now: dt.datetime) -> int | None:
    """For what a near miss lacks, after today; negative: it cannot come any more. None: no limit."""
    left = run.detail.get("days_left")
    return run.near_day + left - day_of(now) if run.near_day is not None and isinstance(left, int) else None


def of_play(play: Play, detail: dict[str, object]) -> letters.Words:
    """A play's letter, as it is sent about a run with this detail."""
    prompt = prompts.of_play(play, detail=detail)
    return letters.Words(prompt.headline, prompt.body, prompt.button, prompt.url)


def _is_over(run: PlayRun, qualified: set[tuple[int, int]], *, now: dt.datetime) -> bool:
    account, company = run.account, run.account.parent or run.account
    if account.merged_into_id or account.is_internal or company.is_internal:
        return True
    if not plays.is_on(run.play, now) or run.play.definition.archived_at is not None:
        return True
    if run.qualification is not None:
        return run.qualification.closed_at is not None
    left = _days_left(run, now)
    return (left is not None and left < 0) or (run.account_id, run.play.definition_id) in qualified


def _write(run_id: int, *, now: dt.datetime) -> int:
    rows = PlayRun.objects.filter(pk=run_id, status=Status.FIRED, ended_at=None)
    run = lock_free_rows(rows.select_related("play")).first()
    if run is None:
        return 0  # somebody else is at it, or was
    most = run.play.content.get("people")
    wanted = most if isinstance(most, int) and 1 <= most <= MOST_PEOPLE else PEOPLE
    chosen: list[int] = []
    for user_id in addressees.of(run.account_id, only=run.detail.get("user") or None):  # who is closest, of a near miss
        if len(chosen) == wanted:
            break
        if prompts.offer(run, user_id, now=now):
            chosen.append(user_id)
    letters.write([letters.New(user_id, run.account_id, f"{KIND}:{run.pk}") for user_id in chosen], now=now)
    run.ended_at = now
    if chosen:
        run.reason = f"Written to {len(chosen)} {'person' if len(chosen) == 1 else 'people'}."
    else:
        run.status, run.window_ends_at = Status.NOBODY, None
        run.reason = "Nobody with an e-mail address may be written to, or all of them had enough lately."
    run.save(update_fields=["status", "reason", "ended_at", "window_ends_at"])
    if not chosen:
        plays.give_back([run], now=now)
    return 1
