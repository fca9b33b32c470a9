"""One account as a whole: its timeline over all tables, its way, its limits, and who brings the product to others."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts import about, history, timeline
from accounts.limits import use_of_limits
from accounts.models import AuditEntry, Event, EventType, Plan, PlanLimit, Stage, StageEntry, UsageDay
from accounts.team import audit
from accounts.workspace import day_of
from plgops.lib import days
from plgops.lib.paging import BadCursor
from tests.factories.pages import a_person, an_account, an_event_type, did, moved, reached

pytestmark = pytest.mark.django_db
Meaning = EventType.Meaning


def today() -> int:
    return day_of(timezone.now())


@pytest.fixture
def acme():
    return an_account("Acme", plan="free")


def everything(account, *, kind="", size=2) -> list[str]:
    """What the pages of a timeline say, one after the other."""
    said, cursor = [], ""
    while True:
        page = timeline.page(account.pk, today=today(), kind=kind, cursor=cursor, size=size)
        said += [f"{moment.who} {moment.what}".strip() for moment in page.items]
        if not page.has_next:
            return said
        cursor = page.next_cursor


# --- the timeline -------------------------------------------------------------------------------------------


def test_all_tables_are_on_one_line_of_time(acme, rep):
    person = a_person(acme, "Priya")
    did(acme, person, an_event_type("Report Opened", Meaning.ACTIVITY), days_ago=5)
    reached(acme, "activated", days_ago=4)
    moved(acme, "new", "50", "50", days_ago=3)
    at = timezone.now() - dt.timedelta(days=2)
    audit.record(action="handoff.claimed", obj=acme, by=rep, now=at, account_id=acme.pk)
    did(acme, person, an_event_type("Invite Sent", Meaning.INVITE), days_ago=1)
    theirs = an_account("Another")
    reached(theirs, "paid")
    assert everything(acme) == [
        "Priya Invite Sent",
        f"{rep.label} claimed the company",
        "New revenue",
        "Activated",
        "Priya Report Opened",
    ]
    assert everything(acme, kind="desk") == [f"{rep.label} claimed the company"]
    assert everything(acme, kind="milestones") == ["New revenue", "Activated"]
    assert everything(acme, kind="signals") == ["Priya Invite Sent"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 50])
def test_what_happened_at_one_instant_is_told_once_whatever_the_page(acme, size):
    at = timezone.now() - dt.timedelta(days=1)
    person = a_person(acme)
    for number in range(3):
        StageEntry.objects.create(
            **{"account": acme, "origin": acme, "stage": Stage.PQL, "at": at, "day": day_of(at), "recorded_at": at},
            cause="event",
            reference=f"r{number}",
        )
        AuditEntry.objects.create(
            at=at, actor_label="plgops", action=f"account.thing_{number}", object_type="account", account_id=acme.pk
        )
        did(acme, person, an_event_type(f"Kind {number}", Meaning.ACTIVITY), days_ago=1)
    Event.objects.filter(account=acme).update(occurred_at=at)
    found = everything(acme, size=size)
    assert found == [
        *(f"{person.name} Kind {number}" for number in (2, 1, 0)),
        *["Product-qualified"] * 3,
        *(f"plgops account thing {number}" for number in (2, 1, 0)),
    ]


def test_signals_are_a_line_a_person_and_day_and_end_after_ninety_days(acme):
    person, kind = a_person(acme, "Priya"), an_event_type("Invite Sent", Meaning.INVITE)
    did(acme, person, kind, days_ago=2, times=3)
    did(acme, person, kind, days_ago=timeline.SIGNAL_DAYS)
    page = timeline.page(acme.pk, today=today(), kind="signals")
    assert [(moment.who, moment.details) for moment in page.items] == [("Priya", "3 times that day")]
    did(acme, person, kind, days_ago=timeline.SIGNAL_DAYS - 1)
    assert everything(acme, kind="signals", size=1) == ["Priya Invite Sent"] * 2


@pytest.mark.parametrize("cursor", ["x", "e30", "WzEsMl0", "Wy0xZTk5LDEsMl0", "bnVsbA", "WyJhIiwxLDJd"])
def test_a_damaged_cursor_is_refused(acme, client_of, rep, cursor):
    with pytest.raises(BadCursor):
        timeline.page(acme.pk, today=today(), cursor=cursor)
    assert client_of(rep).get(f"/accounts/{acme.pk}/?tab=timeline&cursor={cursor}").status_code == 400


def test_the_page_shows_parts_and_goes_on(acme, client_of, rep, monkeypatch):
    monkeypatch.setattr(timeline.page, "__kwdefaults__", {"kind": "", "cursor": "", "size": 2})
    for number in range(3):
        reached(acme, "pql", days_ago=number)
    client = client_of(rep)
    html = client.get(f"/accounts/{acme.pk}/?tab=timeline&show=milestones").content.decode()
    assert html.count("Product-qualified") == 2 and 'hx-target="#more"' in html
    assert "show=milestones" in html
    assert client.get(f"/accounts/{acme.pk}/?tab=timeline&show=nonsense").status_code == 404


# --- its way ------------------------------------------------------------------------------------------------


def test_the_way_tells_the_first_time_of_each_stage(acme):
    first = reached(acme, "activated", days_ago=9)
    reached(acme, "activated", days_ago=3)
    told = {step.stage: step.at for step in history.stage_path([acme.pk])}
    assert told[Stage.ACTIVATED] == first.at
    assert told[Stage.PAID] is None
    assert list(told) == list(history.PATH)


# --- limits -------------------------------------------------------------------------------------------------


def metered(account, kind: EventType, *, day: int, amount: int, user_id: int = 1) -> None:
    at = days.micros(timezone.now())
    UsageDay.objects.create(
        account_id=account.pk,
        user_id=user_id,
        event_type_id=kind.pk,
        day=day,
        count=1,
        sum_value=amount * days.MICRO,
        first_us=at,
        last_us=at,
    )


def test_limits_are_those_in_force_and_use_is_this_months(acme):
    free = Plan.objects.create(code="free", name="Free", is_paid=False)
    rows = an_event_type("Rows Synced", Meaning.ACTIVITY, metered_property="rows")
    exports = an_event_type("Exports", Meaning.ACTIVITY, metered_property="files")
    an_event_type("Not Metered", Meaning.ACTIVITY)
    day = days.day_number(dt.date(2026, 3, 10))
    for metric, limit, since in (
        *(("Rows Synced", 500, 0), ("Rows Synced", 1000, day - 30), ("Rows Synced", 9, day + 1)),
        *(("Exports", 10, 0), ("Not Metered", 10, 0)),
    ):
        PlanLimit.objects.create(plan=free, metric=metric, limit=limit * days.MICRO, from_day=since)
    metered(acme, rows, day=day, amount=500)
    metered(acme, rows, day=days.day_number(dt.date(2026, 3, 1)), amount=300, user_id=2)
    metered(acme, rows, day=days.day_number(dt.date(2026, 2, 28)), amount=999)
    metered(acme, rows, day=day + 1, amount=999)
    metered(acme, exports, day=day, amount=12)
    found = use_of_limits(acme, today=day)
    assert [(use.metric, use.used, use.allowed, use.percent, use.tone) for use in found] == [
        ("Exports", Decimal(12), Decimal(10), 120, "bad"),
        ("Rows Synced", Decimal(800), Decimal(1000), 80, "warn"),
    ]


def test_without_a_plan_there_are_no_limits(django_assert_num_queries):
    account, day = an_account("Bare", plan=""), today()
    with django_assert_num_queries(1):
        assert use_of_limits(account, today=day) == []


# --- the champion -------------------------------------------------------------------------------------------


def busy(account, person, kind, span: int) -> None:
    for days_ago in range(span):
        did(account, person, kind, days_ago=days_ago)


def test_the_champion_is_most_active_of_those_who_bring_others(acme):
    invite, plain = an_event_type("Invite Sent", Meaning.INVITE), an_event_type("Opened", Meaning.ACTIVITY)
    alone, brings, left = (a_person(acme, name) for name in ("Alone", "Brings", "Left"))
    busy(acme, alone, plain, 20)
    busy(acme, brings, plain, about.CHAMPION_DAYS)
    did(acme, brings, invite, times=2)
    busy(acme, left, plain, 25)
    did(acme, left, invite)
    left.memberships.update(valid_to=timezone.now(), to_day=today())
    champion = about.champion([acme.pk], today=today())
    assert champion is not None
    assert (champion.user_id, champion.invites) == (brings.pk, 2)
    assert champion.why == "active on 6 of 28 days, invited 2"


def test_below_six_days_nobody_is_a_champion(acme):
    person = a_person(acme)
    busy(acme, person, an_event_type("Invite Sent", Meaning.INVITE), about.CHAMPION_DAYS - 1)
    assert about.champion([acme.pk], today=today()) is None


def test_the_champion_comes_first_also_when_others_were_seen_later(acme, client_of, rep):
    long_ago = timezone.now() - dt.timedelta(days=3)
    person = a_person(acme, "Quiet Champion", last_seen_at=long_ago)
    busy(acme, person, an_event_type("Invite Sent", Meaning.INVITE), 10)
    for number in range(9):
        a_person(acme, f"Visitor {number}")
    html = client_of(rep).get(f"/accounts/{acme.pk}/").content.decode()
    people = html[html.index("Visitor") - 3000 :]
    assert "Quiet Champion" in people[: people.index("Visitor 8")]
    assert "active on 10 of 28 days, invited 10" in html
