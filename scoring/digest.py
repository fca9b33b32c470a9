"""What publications and releases changed lately, as one line for those who work the inbox, instead of a flood.

A publication leaves its facts where they belong: episodes that it opened or ended, handoffs that no longer have a
reason, audit rows. This reads them together; what is written is only up to when a person has seen them. Who works the
inbox reads what reached it; what each version let in and out, much of which never does, is for those who publish.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from accounts.models import AuditEntry, StaffUser
from plgops.lib import access
from plgops.lib.paging import Capped
from scoring.models import Definition, DefinitionVersion, Handoff, Qualification

SPAN = dt.timedelta(days=7)
CAP = 1_000  # counts go no further
SCANNED = 5_000  # who entered, left or was withdrawn is looked for among so many, the newest first
MOST = 10  # changes told, and versions
MOST_AUDITED = 500  # audit rows of definitions read
_TOLD = ("definition.published", "definition.archived", "definition.released")


@dataclass(frozen=True, slots=True)
class Published:
    """What one version let in and out by its publication (of an archived definition's last one: also by archiving).

    Each count but `entered` goes to CAP. Who entered is in exactly one of the four behind it.
    """

    number: int
    at: dt.datetime
    by: str
    waiting: int  # for release
    released: int
    kept: int  # needed no release: stays self-serve, or hands nothing over
    ended: int  # the episode is over again
    left: int  # episodes of earlier versions that ended with it

    @property
    def entered(self) -> int:
        """How many episodes the publication opened."""
        return self.waiting + self.released + self.kept + self.ended

    @property
    def parts(self) -> list[str]:
        """Where those who entered are, in words; empty where nobody entered."""
        told = (
            (self.waiting, "waits for release" if self.waiting == 1 else "wait for release"),
            (self.released, "released"),
            (self.kept, "without a handoff"),
            (self.ended, "ended again"),
        )
        return [f"{number if number < CAP else f'{CAP - 1:,}+'} {words}" for number, words in told if number]


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one definition in the last days, as the inbox knows it.

    `at` and `by` are of its newest publication, archiving or release. `released`: waiting accounts that were let
    through; `withdrawn`: unclaimed handoffs whose last reason a publication took, among the newest SCANNED; `yours`:
    open handoffs of the reader that it left without a reason. `versions`: for who may publish, each version of these
    days, the newest first.
    """

    definition: Definition
    at: dt.datetime
    by: str
    released: int = 0
    withdrawn: int = 0
    yours: int = 0
    versions: tuple[Published, ...] = ()

    @property
    def reached(self) -> bool:
        """Whether the inbox noticed."""
        return bool(self.released or self.withdrawn or self.yours)


def lately(*, user: StaffUser, now: dt.datetime, seen: dt.datetime | None = None) -> list[Change]:
    """The changes of the last SPAN, those that took a reason from the reader first, then the newest.

    Those up to `seen` are left out. Four queries (five for who may publish), or one.

    A publication that nothing in the inbox comes of is no news to who works it, and one by which nobody entered or
    left (as of a definition that only nests another one) to nobody.
    """
    since = max(now - SPAN, seen) if seen else now - SPAN
    newest, released = _audited(since)
    if not newest:
        return []
    yours, withdrawn = _yours(user, newest, since), _withdrawn(newest, since)
    versions = _versions(newest, since, now) if access.may(user, "definitions.edit") else {}
    found = [
        Change(
            definition=definition,
            at=newest[pk].at,
            by=newest[pk].actor_label,
            released=released.get(pk, 0),
            withdrawn=withdrawn.get(pk, 0),
            yours=yours.get(pk, 0),
            versions=tuple(versions.get(pk, ())),
        )
        for pk, definition in Definition.objects.in_bulk(list(newest)).items()
    ]
    told = [change for change in found if change.reached or change.versions]
    return sorted(told, key=lambda change: (change.yours > 0, change.at, change.definition.pk), reverse=True)[:MOST]


def dismiss(*, user: StaffUser, until: dt.datetime) -> None:
    """Changes up to `until` are not told to this person again, wherever they log in. It never goes back."""
    earlier = Q(news_seen_at=None) | Q(news_seen_at__lt=until)
    StaffUser.objects.filter(earlier, pk=user.pk).update(news_seen_at=until)


def _audited(since: dt.datetime) -> tuple[dict[int, AuditEntry], dict[int, int]]:
    """By definition: the newest of its publications, archivings and releases; how many were released."""
    rows = AuditEntry.objects.filter(object_type="definition", action__in=_TOLD, at__gt=since)
    newest: dict[int, AuditEntry] = {}
    released: dict[int, int] = defaultdict(int)
    for entry in rows.order_by("-at", "-id")[:MOST_AUDITED]:
        pk = entry.object_id or 0
        newest.setdefault(pk, entry)
        if entry.action == "definition.released":
            released[pk] += int(entry.detail.get("episodes") or 0)
    return newest, released


def _versions(ids: Iterable[int], since: dt.datetime, now: dt.datetime) -> dict[int, list[Published]]:
    """By definition: its versions published (or archived) since then by which somebody entered or left."""
    later = DefinitionVersion.objects.filter(definition=OuterRef("definition"), number__gt=OuterRef("number"))
    archived = Q(definition__live_version=F("pk"), definition__archived_at__gt=since)
    rows = (
        DefinitionVersion.objects.filter(Q(published_at__gt=since) | archived, definition__in=list(ids))
        .select_related("published_by")
        .defer("document", "english", "published_by__password")
        .annotate(
            until=Coalesce(Subquery(later.order_by("number").values("published_at")[:1]), Value(now + SPAN)),
        )
        .annotate(**{name: Capped(some.order_by().values("pk")[:CAP]) for name, some in _episodes(since).items()})
    )
    found: dict[int, list[Published]] = defaultdict(list)
    for one in rows.order_by("-published_at", "-pk")[:MOST]:
        published = Published(
            number=one.number,
            at=one.published_at,
            by=one.published_by.label if one.published_by else "plgops",
            **{name: getattr(one, name) for name in _episodes(since)},
        )
        if published.entered or published.left:
            found[one.definition_id].append(published)
    return found


def _episodes(since: dt.datetime) -> dict[str, QuerySet[Qualification]]:
    """The episodes that a version (the outer query's) opened or ended by its publication, by what became of them."""
    release = Qualification.Release
    newest = Qualification.objects.filter(definition=OuterRef(OuterRef("definition"))).order_by("-opened_at")
    among = Qualification.objects.filter(pk__in=Subquery(newest.values("pk")[:SCANNED]))
    entered = among.filter(version=OuterRef("pk"), cause=Qualification.Cause.PUBLISH, opened_at__gt=since)
    still = entered.filter(closed_at=None)
    left = among.filter(
        close_cause=Qualification.CloseCause.REDEFINED,
        closed_at__gt=since,
        closed_at__gte=OuterRef("published_at"),
        closed_at__lt=OuterRef("until"),
    )
    return {
        "waiting": still.filter(release=release.WAITING),
        "released": still.filter(release=release.RELEASED),
        "kept": still.exclude(release__in=(release.WAITING, release.RELEASED)),
        "ended": entered.exclude(closed_at=None),
        "left": left,
    }


def _withdrawn(ids: Iterable[int], since: dt.datetime) -> dict[int, int]:
    """By definition: handoffs that nobody had claimed and that closed because a publication took their last reason."""
    closed = Handoff.objects.filter(closed_at__gt=since, status=Handoff.Status.WITHDRAWN, outcome_reason="redefined")
    newest = closed.order_by("-closed_at", "id").values("pk")[:SCANNED]
    return _by_definition(Handoff.objects.filter(_lost(ids, since), pk__in=Subquery(newest)))


def _yours(user: StaffUser, ids: Iterable[int], since: dt.datetime) -> dict[int, int]:
    """By definition: the person's open handoffs without any reason left, of which a publication took one."""
    mine = Handoff.objects.filter(_lost(ids, since), owner=user, closed_at=None, rule_lapsed_at__isnull=False)
    return _by_definition(mine)


def _lost(ids: Iterable[int], since: dt.datetime) -> Q:
    """A publication ended one of the handoff's reasons: of the same episode, so one condition."""
    return Q(
        reasons__definition__in=list(ids),
        reasons__close_cause=Qualification.CloseCause.REDEFINED,
        reasons__closed_at__gt=since,
    )


def _by_definition(handoffs: QuerySet[Handoff]) -> dict[int, int]:
    counted = handoffs.order_by().values("reasons__definition").annotate(handoffs=Count("pk", distinct=True))
    return dict(counted.values_list("reasons__definition", "handoffs"))
