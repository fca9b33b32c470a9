"""How the sales team does: what waits, how fast it is taken, what comes of it, by person, definition, version and play.

Everything is about handoffs. What is *now* is counted by the database over what is open; what happened in a period is
read once, a row for each handoff that was claimed or closed in it, and added up here. Nothing grows with the number of
accounts, only with the work that was done. Times are business hours (`_Hours`). Internal and
test accounts are out of every number.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet

from accounts.models import StaffUser
from accounts.team import calendars
from accounts.workspace import zone
from plgops.lib.business_time import Calendar, elapsed
from scoring import stats
from scoring.models import Assignment, Definition, Handoff, Leave, Play, PlayRun, Qualification, RoutingPool
from scoring.speed import Pause, pauses_of

Status = Handoff.Status
PERIODS = {"30": "30 days", "90": "90 days", "365": "A year"}
WAYS = {"person": "Person", "definition": "Definition", "version": "Version", "play": "Play"}
OUTCOMES = (Status.WON, Status.LOST, Status.DISQUALIFIED, Status.RETURNED)  # what people say of it at the end
UNTOUCHED_DAYS = 3
NOBODY = "0"


@dataclass(frozen=True, slots=True)
class Counted:
    """A number; `what` names the list of the handoffs behind it (`rows_of`)."""

    what: str
    words: str
    count: int


@dataclass(frozen=True, slots=True)
class Now:
    """What waits unclaimed, by how long, and what is stuck."""

    waiting: list[Counted]
    oldest_at: dt.datetime | None
    stuck: list[Counted]

    @property
    def total(self) -> int:
        return sum(age.count for age in self.waiting)


@dataclass(slots=True)
class Line:
    """One person, definition or version: what they have open, what they did in the period, what came of it."""

    key: str
    label: str
    link: str = ""
    open: int = 0
    claimed: int = 0
    hours_to_claim: list[float] = field(default_factory=list)
    hours_to_touch: list[float] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))

    @property
    def closed(self) -> int:
        """How many people ended in any way."""
        return sum(self.outcomes.values())

    @property
    def won(self) -> stats.Share:
        """Won, of what people ended in any way, with Wilson's interval (stats.share)."""
        return stats.share(self.outcomes[Status.WON], self.closed)

    @property
    def to_claim(self) -> float | None:
        """Median business hours from the inbox to the claim; what went to an owner by itself is left out."""
        return stats.quantile(self.hours_to_claim, 0.5)

    @property
    def to_touch(self) -> float | None:
        """Median business hours from the claim to the first touch, of those that were touched."""
        return stats.quantile(self.hours_to_touch, 0.5)


@dataclass(frozen=True, slots=True)
class OfRule:
    """How often a version of a definition was behind something."""

    slug: str
    name: str
    number: int
    count: int


@dataclass(frozen=True, slots=True)
class Reason:
    """How often people ended a handoff for this reason; `versions`: of which rules, the most frequent first."""

    outcome: str
    code: str
    count: int
    versions: list[OfRule]


def _counted() -> QuerySet[Handoff]:
    """All that any number here is about."""
    return Handoff.objects.filter(company__is_internal=False)


def now_numbers(now: dt.datetime) -> Now:
    """What waits and what is stuck at this moment. Two queries."""
    waiting = {what: _waiting(first, last, now) for what, _, first, last in AGES}
    counts = (
        _counted()
        .filter(status=Status.NEW)
        .aggregate(
            oldest=Min("opened_at"), **{what: Count("pk", filter=condition) for what, condition in waiting.items()}
        )
    )
    stuck = {what: condition(now) for what, (_, condition) in STUCK.items()}
    found = (
        _counted()
        .filter(closed_at=None)
        .aggregate(**{what: Count("pk", filter=condition) for what, condition in stuck.items()})
    )
    return Now(
        waiting=[Counted(what, words, counts[what]) for what, words, _, _ in AGES],
        oldest_at=counts["oldest"],
        stuck=[Counted(what, words, found[what]) for what, (words, _) in STUCK.items()],
    )


# how long something has waited unclaimed: its name, in words, from and to before so many days
AGES = (
    ("fresh", "Under a day", 0, 1),
    ("days", "1 to 3 days", 1, 3),
    ("week", "3 to 7 days", 3, 7),
    ("old", "Over 7 days", 7, None),
)


def _waiting(first: int, last: int | None, now: dt.datetime) -> Q:
    condition = Q(opened_at__lte=now - dt.timedelta(days=first)) if first else Q()
    return condition & Q(opened_at__gt=now - dt.timedelta(days=last)) if last else condition


def _untouched(now: dt.datetime) -> Q:
    return Q(status=Status.CLAIMED, claimed_at__lte=now - dt.timedelta(days=UNTOUCHED_DAYS))


def _paid(now: dt.datetime) -> Q:
    return Q(paid_at__isnull=False)


def _lapsed(now: dt.datetime) -> Q:
    return Q(rule_lapsed_at__isnull=False, paid_at__isnull=True)


def _away(now: dt.datetime) -> Q:
    today = now.astimezone(zone()).date()
    leave = Leave.objects.filter(person=OuterRef("owner"), first_day__lte=today, last_day__gte=today)
    return Q(status__in=(Status.CLAIMED, Status.WORKING)) & Q(Exists(leave))


STUCK = {
    "untouched": (f"Claimed {UNTOUCHED_DAYS} days ago or more, no touch", _untouched),
    "paid": ("They paid; the outcome is missing", _paid),
    "lapsed": ("No reason holds any more", _lapsed),
    "away": ("Its owner is on leave", _away),
}


def lines(*, by: str, since: dt.datetime) -> list[Line]:
    """The team by one of WAYS over what was claimed or closed since then, who did most first. Six queries.

    A handoff with several reasons counts under each of their definitions and versions.
    """
    rows = {row["id"]: row for row in [*_claimed(since).values(*_COLUMNS), *_closed(since).values(*_COLUMNS)]}
    if by == "person":
        told, keys = _by_person(rows)
    elif by == "play":
        told, keys = _by_play(since)
    else:
        told, keys = _by_rule(since, with_version=by == "version")
    hours = _Hours.of(rows)
    for pk, row in rows.items():
        for key in keys.get(pk, ()):
            _add(told[key], row, since, hours)
    return sorted(told.values(), key=lambda line: (-line.closed - line.claimed, -line.open, line.label))


_COLUMNS = (
    *("id", "owner_id", "status", "assigned", "opened_at", "claimed_at", "first_touch_at", "closed_at"),
    *("speed__id", "speed__calendar_id"),
)


@dataclass(frozen=True, slots=True)
class _Hours:
    """Business hours: of a handoff's own promise, where it has one, else of the first calendar; around the clock
    where there is none. Time asleep is left out."""

    calendars: Mapping[int, Calendar]
    pauses: Mapping[int, Sequence[Pause]]

    @classmethod
    def of(cls, rows: Mapping[int, Any]) -> _Hours:
        """For these handoffs. Two queries."""
        return cls(calendars.kept(), pauses_of(list(rows)))

    def between(self, row: Mapping[str, Any], start: dt.datetime, end: dt.datetime) -> float:
        usual = next(iter(self.calendars.values()), None)
        calendar = usual if row["speed__id"] is None else self.calendars.get(row["speed__calendar_id"] or 0)
        return elapsed(start, end, calendar, self.pauses[row["id"]]) / 3600


def _claimed(since: dt.datetime) -> QuerySet[Handoff]:
    return _counted().filter(claimed_at__gte=since)


def _closed(since: dt.datetime) -> QuerySet[Handoff]:
    return _counted().filter(closed_at__gte=since).exclude(status=Status.WITHDRAWN)


def _worked(since: dt.datetime) -> QuerySet[Handoff, Any]:
    """What was claimed or closed since then, for another query to ask about."""
    closed = Q(closed_at__gte=since) & ~Q(status=Status.WITHDRAWN)
    return _counted().filter(Q(claimed_at__gte=since) | closed).values("pk")


def _by_person(rows: Mapping[int, Mapping[str, Any]]) -> tuple[dict[str, Line], dict[int, set[str]]]:
    """A line for each owner, and under which line each handoff counts."""
    mine = _counted().filter(closed_at=None, owner__isnull=False)
    open_of = dict(mine.values_list("owner_id").annotate(Count("pk")).order_by())
    ids = {row["owner_id"] for row in rows.values()} | set(open_of)
    told = {
        str(person.pk): Line(str(person.pk), person.label) for person in StaffUser.objects.filter(pk__in=ids - {None})
    }
    for pk, count in open_of.items():
        told[str(pk)].open = count
    if None in ids:
        told[NOBODY] = Line(NOBODY, "Nobody had claimed it")
    return told, {pk: {str(row["owner_id"] or NOBODY)} for pk, row in rows.items()}


def _by_rule(since: dt.datetime, *, with_version: bool) -> tuple[dict[str, Line], dict[int, set[str]]]:
    """A line for each definition, or version of one, that is a reason; and under which lines each handoff counts."""
    reasons = Qualification.objects.filter(handoff__company__is_internal=False).order_by()
    columns = ("definition__slug", "definition__name", *(["version__number"] if with_version else []))
    told: dict[str, Line] = {}
    keys: dict[int, set[str]] = {}

    def line(rule: tuple[Any, ...]) -> Line:
        slug, name, *number = rule
        key, label = (f"{slug}:{number[0]}", f"{name} v{number[0]}") if number else (slug, name)
        return told.setdefault(key, Line(key, label, f"/definitions/{slug}/"))

    for pk, *rule in reasons.filter(handoff__in=_worked(since)).values_list("handoff_id", *columns):
        keys.setdefault(pk, set()).add(line(tuple(rule)).key)
    opened = reasons.filter(handoff__closed_at=None).values_list(*columns)
    for *rule, count in opened.annotate(Count("handoff_id", distinct=True)):
        line(tuple(rule)).open = count
    return told, keys


def _by_play(since: dt.datetime) -> tuple[dict[str, Line], dict[int, set[str]]]:
    """A line for each play that handed over; and under which lines each handoff counts."""
    handed = _handed().order_by()
    columns = ("play_id", "play__slug", "play__name")
    told: dict[str, Line] = {}
    keys: dict[int, set[str]] = {}

    def line(pk: int, slug: str, name: str) -> Line:
        return told.setdefault(str(pk), Line(str(pk), name, f"/plays/{slug}/"))

    of_these = handed.filter(qualification__handoff__in=_worked(since))
    for handoff_id, *play in of_these.values_list("qualification__handoff_id", *columns):
        keys.setdefault(handoff_id, set()).add(line(*play).key)
    opened = handed.filter(qualification__handoff__closed_at=None, qualification__handoff__company__is_internal=False)
    for *play, count in opened.values_list(*columns).annotate(Count("qualification__handoff_id", distinct=True)):
        line(*play).open = count
    return told, keys


def _handed() -> QuerySet[PlayRun]:
    return PlayRun.objects.filter(status=PlayRun.Status.FIRED, play__action=Play.Action.SALES_HANDOFF)


def _add(line: Line, row: Mapping[str, Any], since: dt.datetime, hours: _Hours) -> None:
    """Count a handoff under a line: its claim and its end, each if it was in the period."""
    claimed_at, touched_at = row["claimed_at"], row["first_touch_at"]
    if claimed_at is not None and claimed_at >= since:
        line.claimed += 1
        if not row["assigned"]:
            line.hours_to_claim.append(hours.between(row, row["opened_at"], claimed_at))
        if touched_at is not None and touched_at >= claimed_at:  # else somebody had it before, who was in touch
            line.hours_to_touch.append(hours.between(row, claimed_at, touched_at))
    if row["closed_at"] is not None and row["closed_at"] >= since and row["status"] in line.outcomes:
        line.outcomes[row["status"]] += 1


def reasons(since: dt.datetime) -> list[Reason]:
    """Why people ended handoffs since then, the most frequent first, with the rules behind them. Two queries."""
    done = _closed(since).exclude(outcome_reason="").order_by()
    counts = done.values_list("status", "outcome_reason").annotate(Count("pk"))
    rule = ("reasons__definition__slug", "reasons__definition__name", "reasons__version__number")
    of_rules: dict[tuple[str, str], list[OfRule]] = {}
    rules = done.filter(reasons__isnull=False).values_list("status", "outcome_reason", *rule)
    for outcome, code, slug, name, number, count in rules.annotate(Count("pk", distinct=True)):
        of_rules.setdefault((outcome, code), []).append(OfRule(slug, name, number, count))
    for behind in of_rules.values():
        behind.sort(key=lambda one: (-one.count, one.name, one.number))
    found = [Reason(outcome, code, count, of_rules.get((outcome, code), [])) for outcome, code, count in counts]
    return sorted(found, key=lambda reason: (-reason.count, reason.outcome, reason.code))


def rows_of(what: str, *, now: dt.datetime, since: dt.datetime, by: str = "", key: str = "") -> QuerySet[Handoff]:
    """The handoffs behind a number: of `now_numbers`, or of one line (`by`, `key`) or all. KeyError: no such number.

    `what` is the name of an age or of something stuck, `open`, `claimed`, `to_claim` and `to_touch` (those that the
    medians are of), `closed`, an outcome, `outcome:reason`, or with a pool's line (`by` pool, `key` pool:person)
    `given` or `given_back`.
    """
    if what in STUCK:
        return _counted().filter(STUCK[what][1](now), closed_at=None)
    for name, _, first, last in AGES:
        if what == name:
            return _counted().filter(_waiting(first, last, now), status=Status.NEW)
    if by == "pool":
        return _given(what, key, since)
    outcome, _, code = what.partition(":")
    if outcome == "open":
        rows = _counted().filter(closed_at=None)
    elif outcome == "claimed":
        rows = _claimed(since)
    elif outcome == "to_claim":
        rows = _claimed(since).filter(assigned=False)
    elif outcome == "to_touch":
        rows = _claimed(since).filter(first_touch_at__gte=F("claimed_at"))
    elif outcome == "closed":
        rows = _closed(since)
    elif outcome in OUTCOMES:
        rows = _closed(since).filter(status=outcome)
    else:
        raise KeyError(what)
    if code:
        rows = rows.filter(outcome_reason=code)
    return rows.filter(_of_line(by, key)) if key else rows


def _given(what: str, key: str, since: dt.datetime) -> QuerySet[Handoff]:
    """What a pool gave to one of its people, or what of that came back; internal accounts took turns, too."""
    pool, _, person = key.partition(":")
    turns = Assignment.objects.filter(handoff=OuterRef("pk"), pool=_id(pool), person=_id(person), at__gte=since)
    if what not in ("given", "given_back"):
        raise KeyError(what)
    return Handoff.objects.filter(Exists(turns if what == "given" else turns.filter(given_back_at__isnull=False)))


def _id(text: str) -> int:
    """A number of an address. ValueError where it is none that a database has."""
    if not text.isdecimal() or len(text) > 18:
        raise ValueError(text[:20])
    return int(text)


def _of_line(by: str, key: str) -> Q:
    if by == "person":
        return Q(owner=None) if key == NOBODY else Q(owner_id=_id(key))
    if by == "play":
        return Q(Exists(_handed().filter(qualification__handoff=OuterRef("pk"), play_id=_id(key))))
    slug, _, number = key.partition(":")
    reasons = Qualification.objects.filter(handoff=OuterRef("pk"), definition__slug=slug)
    return Q(Exists(reasons.filter(version__number=_id(number)) if by == "version" else reasons))


def label_of(by: str, key: str) -> str:
    """What a line is called: a person's name, a definition's, a version's; "" where there is none. One query or two."""
    if by == "person":
        if key == NOBODY:
            return "Nobody had claimed it"
        person = StaffUser.objects.filter(pk=_id(key)).first()
        return person.label if person else ""
    if by == "play":
        return Play.objects.filter(pk=_id(key)).values_list("name", flat=True).first() or ""
    if by == "pool":
        pool, _, seat = key.partition(":")
        name = RoutingPool.objects.filter(pk=_id(pool)).values_list("name", flat=True).first() or ""
        return " · ".join(filter(None, (label_of("person", seat), name)))
    slug, _, number = key.partition(":")
    name = Definition.objects.filter(slug=slug).values_list("name", flat=True).first() or ""
    return f"{name} v{number}" if number else name
