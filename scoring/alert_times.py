"""When an alert is told, and how many that makes. Pure: hours are of the recipient's own zone, instants aware."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Timing:
    """When a destination wants to hear. `quiet`: from this hour until that one, over midnight where it is greater."""

    pace: str  # immediate, bundled, digest
    zone: ZoneInfo
    bundle_minutes: int = 15
    digest_hour: int = 8
    quiet: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that would have been told."""

    at: dt.datetime
    account_id: int
    uncapped: bool = False


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a destination would have heard in so many days."""

    days: int
    alerts: int  # told, each on its own or among others
    held_back: int  # beyond the cap of their account
    messages: int
    most_messages: int  # on one day
    per_day: tuple[int, ...] = ()  # messages, the oldest day first

    @property
    def messages_a_week(self) -> float:
        return self.messages * 7 / self.days

    @property
    def alerts_a_week(self) -> float:
        return self.alerts * 7 / self.days


def due_at(timing: Timing, at: dt.datetime, *, open_bundle: dt.datetime | None = None) -> dt.datetime:
    """When something that happens at `at` is told. `open_bundle`: when the bundle goes that already waits, if any."""
    if timing.pace == "digest":
        due = _next_hour(at, timing.digest_hour, timing.zone)
    elif timing.pace == "bundled":
        latest = at + dt.timedelta(minutes=timing.bundle_minutes)
        due = open_bundle if open_bundle is not None and at < open_bundle <= latest else latest
    else:
        due = at
    return _after_quiet(due, timing)


def forecast(
    timing: Timing, happened: Iterable[Happened], *, cap: int, days: int, until: dt.datetime, one_each: bool = False
) -> Forecast:
    """What these would have made of messages over the `days` days before `until`. `one_each`: nothing is bundled."""
    told, held_back = within_cap(sorted(happened, key=lambda one: one.at), cap=cap)
    sent: list[dt.datetime] = []
    open_bundle: dt.datetime | None = None
    for one in told:
        due = due_at(timing, one.at, open_bundle=open_bundle)
        if one_each or due != open_bundle:
            sent.append(due)
        open_bundle = due
    by_day = Counter(due.astimezone(timing.zone).date() for due in sent)
    last = until.astimezone(timing.zone).date()
    per_day = tuple(by_day[last - dt.timedelta(days=back)] for back in range(days, -1, -1))
    return Forecast(days, len(told), held_back, len(sent), max(by_day.values(), default=0), per_day)


def within_cap(happened: Iterable[Happened], *, cap: int) -> tuple[list[Happened], int]:
    """Those that the cap lets through, of things in their order, and how many it holds back. 0: all."""
    recent: dict[int, list[dt.datetime]] = defaultdict(list)
    through, held_back = [], 0
    for one in happened:
        recent[one.account_id] = [at for at in recent[one.account_id] if at > one.at - DAY]
        if cap and not one.uncapped and len(recent[one.account_id]) >= cap:
            held_back += 1
            continue
        recent[one.account_id].append(one.at)
        through.append(one)
    return through, held_back


def _next_hour(at: dt.datetime, hour: int, zone: ZoneInfo) -> dt.datetime:
    """The next time after `at` that it is `hour` o'clock there."""
    day = at.astimezone(zone).date()
    for ahead in range(3):
        found = _at_hour(day + dt.timedelta(days=ahead), hour, zone)
        if found > at:
            return found
    raise AssertionError("an hour comes within two days")


def _after_quiet(due: dt.datetime, timing: Timing) -> dt.datetime:
    """`due`, or the end of the quiet hours that it falls into."""
    if timing.quiet is None:
        return due
    begins, ends = timing.quiet
    local = due.astimezone(timing.zone)
    hour = local.hour
    is_quiet = begins <= hour < ends if begins < ends else hour >= begins or hour < ends
    return _next_hour(due, ends, timing.zone) if is_quiet else due


def _at_hour(day: dt.date, hour: int, zone: ZoneInfo) -> dt.datetime:
    # by way of UTC: a time that the clocks jump over is the instant an hour later
    return dt.datetime.combine(day, dt.time(hour), tzinfo=zone).astimezone(dt.UTC)
