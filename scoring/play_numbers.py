"""Reads behind the pages of plays: how often each fired, what became of it, the accounts behind each number, and what a
draft would have done lately."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import Count, Q, QuerySet

from accounts.models import AuditEntry
from plgops.lib.paging import Page, keyset
from scoring import audience, holdout, plays
from scoring.models import Play, PlayArm, PlayRun, PromptView, Qualification

Status = PlayRun.Status
LOOK_BACK_DAYS = 90
MOST_LOOKED_AT = 5_000
# the tabs of a play's accounts: (name, words, which runs)
TABS: tuple[tuple[str, str, Q], ...] = (
    ("all", "All", Q()),
    ("fired", "Fired", Q(status=Status.FIRED)),
    ("converted", "Converted", Q(status=Status.FIRED)),
    ("held_out", "Held out", Q(status=Status.HELD_OUT)),
    ("muted", "Waiting", Q(status__in=PlayRun.WAITING)),
    (
        "not",
        "Not fired",
        Q(status__in=(Status.OUTSIDE, Status.COOLING, Status.OUTRANKED, Status.NOBODY, Status.PASSED, Status.INTERNAL)),
    ),
)


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many runs of a play ended how; `converted` of the fired ones paid within the play's days."""

    fired: int = 0
    converted: int = 0
    held_out: int = 0
    waiting: int = 0
    not_fired: int = 0

    @property
    def all(self) -> int:
        return self.fired + self.held_out + self.waiting + self.not_fired

    def of(self, tab: str) -> int:
        """The number of a tab of TABS."""
        return {
            "all": self.all,
            "fired": self.fired,
            "converted": self.converted,
            "held_out": self.held_out,
            "muted": self.waiting,
            "not": self.not_fired,
        }[tab]


@dataclass(frozen=True, slots=True)
class Listed:
    play: Play
    numbers: Numbers


def listed(*, archived: bool) -> list[Listed]:
    """The plays with their numbers, those in use first; three queries."""
    rows = Play.objects.select_related("definition").order_by("-priority", "name", "pk")
    rows = rows.filter(status=Play.Status.ARCHIVED) if archived else rows.exclude(status=Play.Status.ARCHIVED)
    found = list(rows)
    counted = numbers([play.pk for play in found])
    order = {status: place for place, status in enumerate(("live", "paused", "draft", "archived"))}
    return sorted(
        (Listed(play, counted.get(play.pk, Numbers())) for play in found), key=lambda one: order[one.play.status]
    )


def numbers(play_ids: Sequence[int]) -> dict[int, Numbers]:
    """By play: its numbers, without internal accounts; two queries."""
    rows = PlayRun.objects.filter(_COUNTED, play_id__in=play_ids).order_by()
    by_status: dict[int, Counter[str]] = {}
    for play_id, status, number in rows.values_list("play_id", "status").annotate(number=Count("pk")):
        by_status.setdefault(play_id, Counter())[status] = number
    converted = dict(_converted(rows).values_list("play_id").annotate(number=Count("pk")))
    return {
        play_id: Numbers(
            fired=found[Status.FIRED],
            converted=converted.get(play_id, 0),
            held_out=found[Status.HELD_OUT],
            waiting=found[Status.DUE] + found[Status.MUTED],
            not_fired=sum(found[status] for status in found if status not in _TOLD_APART),
        )
        for play_id, found in by_status.items()
    }


_COUNTED = Q(account__is_internal=False, company__is_internal=False)
_TOLD_APART = (Status.FIRED, Status.HELD_OUT, Status.DUE, Status.MUTED)


def _converted(rows: QuerySet[PlayRun]) -> QuerySet[PlayRun]:
    """Those that fired and whose company paid before its days were over."""
    return rows.filter(holdout.paid("decided_at", "window_ends_at"), status=Status.FIRED)


def runs(play: Play, *, tab: str, cursor: str = "", size: int = 25) -> Page[PlayRun]:
    """The accounts behind a number, the newest first, each with its reason."""
    condition = next((of for name, _, of in TABS if name == tab), Q())
    rows = PlayRun.objects.filter(condition, _COUNTED, play=play)
    if tab == "converted":
        rows = _converted(rows)
    rows = rows.select_related("account", "winner", "task__owner")
    return keyset(rows, by="-created_at", tie="-id", cursor=cursor, size=size)


def history(play: Play) -> list[AuditEntry]:
    """Who changed it, the newest first."""
    rows = AuditEntry.objects.filter(object_type="play", object_id=play.pk, action__startswith="play.")
    return list(rows.order_by("-at", "-pk")[:12])


@dataclass(frozen=True, slots=True)
class Met:
    """What people did about a prompt: how many people were given it, saw it, clicked, dismissed, and converted as the
    product says."""

    given: int
    seen: int
    clicked: int
    dismissed: int
    converted: int


def met(play: Play) -> Met:
    """One query; without internal accounts."""
    rows = PromptView.objects.filter(run__play=play, run__account__is_internal=False, run__company__is_internal=False)
    found = rows.aggregate(
        given=Count("pk"),
        seen=Count("first_seen_at"),
        clicked=Count("clicked_at"),
        dismissed=Count("dismissed_at"),
        converted=Count("converted_at"),
    )
    return Met(**found)


@dataclass(slots=True)
class Would:
    """What a play like this would have done about what qualified in the last LOOK_BACK_DAYS."""

    qualified: int = 0
    fires: int = 0
    held_out: int = 0
    outside: int = 0
    resting: int = 0
    capped: bool = False
    reasons: Counter[str] = field(default_factory=Counter)  # why outside, as it is asked for

    @property
    def per_week(self) -> float:
        return self.fires * 7 / LOOK_BACK_DAYS

    @property
    def why_outside(self) -> list[tuple[str, int]]:
        """Which conditions left how many outside, the most first."""
        return self.reasons.most_common()


def would_fire(play: Play, *, now: dt.datetime) -> Would:
    """By what qualified since then under the definition, with the accounts as they are today; nothing is stored.

    Not foretold: what would have been muted or outranked. At most MOST_LOOKED_AT episodes, the newest. Two queries,
    or three with a hold-out.
    """
    since = now - dt.timedelta(days=LOOK_BACK_DAYS)
    rows = (
        Qualification.objects.filter(
            Q(account__parent=None) | Q(account__parent__is_internal=False),
            definition=play.definition_id,
            opened_at__gte=since,
            account__merged_into=None,
            account__is_internal=False,
        )
        .select_related("account", "account__parent")
        .defer("evidence")
        .order_by("-opened_at", "-pk")
    )
    found = list(rows[: MOST_LOOKED_AT + 1])
    would = Would(qualified=min(len(found), MOST_LOOKED_AT), capped=len(found) > MOST_LOOKED_AT)
    known = {}
    if play.pk and play.holdout_percent:
        companies = {episode.account.company_id for episode in found}
        known = dict(PlayArm.objects.filter(play_id=play.pk, company__in=companies).values_list("company_id", "arm"))
    asked = audience.parse(play.audience)
    last: dict[int, dt.datetime] = {}
    for episode in reversed(found[:MOST_LOOKED_AT]):
        company = episode.account.parent or episode.account
        why = audience.outside(asked, plays.facts(episode.account), plays.facts(company))
        before = last.get(company.pk)
        if why:
            would.outside += 1
            would.reasons[why.partition(". It is")[0].removeprefix("Asked for: ")] += 1
        elif before is not None and episode.opened_at < before + dt.timedelta(days=play.cooldown_days):
            would.resting += 1
        elif (
            known.get(company.pk) or holdout.drawn(salt=play.salt, company_id=company.pk, percent=play.holdout_percent)
        ) == holdout.Arm.HELD_OUT:
            would.held_out += 1
        else:
            would.fires += 1
            last[company.pk] = episode.opened_at
    return would


def in_use(definition_id: int) -> list[Play]:
    """The plays of a definition that are not archived, as its page tells them."""
    rows = Play.objects.filter(definition=definition_id).exclude(status=Play.Status.ARCHIVED)
    return list(rows.order_by("-priority", "pk"))
