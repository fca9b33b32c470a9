"""What this floor adds to an account's timeline: touches and notes in their words, prompts and what people did about
them, and tasks of customer success. Each is found by an index over its account or company."""

from __future__ import annotations

from django.db.models import QuerySet

from accounts.timeline import Said, Strand
from scoring import prompts
from scoring.models import CsTask, HandoffActivity, Play, PlayRun, PromptView

_TOUCH_ICONS = {"emailed": "mail", "called": "phone", "met": "handshake", "note": "pencil-line"}


def _activities(account_id: int) -> QuerySet[HandoffActivity]:
    return HandoffActivity.objects.filter(handoff__company_id=account_id).select_related("by")


def _activity(row: HandoffActivity) -> Said:
    what = "wrote a note" if row.kind == HandoffActivity.Kind.NOTE else f"{row.get_kind_display().lower()} them"
    return Said(_TOUCH_ICONS[row.kind], row.by.label, what, row.text[:300])


def _tasks(account_id: int) -> QuerySet[CsTask]:
    return CsTask.objects.filter(company_id=account_id).select_related("run__play")


def _task(row: CsTask) -> Said:
    return Said("list-checks", row.run.play.name, "gave customer success a task", row.title)


def _prompts(account_id: int) -> QuerySet[PlayRun]:
    rows = PlayRun.objects.filter(account_id=account_id, status=PlayRun.Status.FIRED, play__action__in=Play.IN_PRODUCT)
    return rows.select_related("play")


def _prompt(row: PlayRun) -> Said:
    what = "began a nudge in the product" if row.play.action == Play.Action.NUDGE else "began a prompt in the product"
    return Said("app-window", row.play.name, what, prompts.of_play(row.play, detail=row.detail).headline)


def _views(account_id: int) -> QuerySet[PromptView]:
    return PromptView.objects.filter(run__account_id=account_id).select_related("run__play", "user")


def _answer(row: PromptView, what: str) -> Said:
    person = row.user.name or row.user.email or row.user.external_id
    headline = prompts.of_play(row.run.play, detail=row.run.detail).headline
    return Said("mouse-pointer-click", person, what, headline, stands_out=True)


STRANDS = (
    Strand(_activities, "at", _activity, instead_of=("handoff.touched", "handoff.noted")),
    Strand(_tasks, "created_at", _task),
    Strand(_prompts, "decided_at", _prompt),
    Strand(
        lambda account_id: _views(account_id).filter(clicked_at__isnull=False),
        "clicked_at",
        lambda row: _answer(row, "clicked on the prompt"),
    ),
    Strand(
        lambda account_id: _views(account_id).filter(converted_at__isnull=False),
        "converted_at",
        lambda row: _answer(row, "did what the prompt asked for"),
    ),
)
