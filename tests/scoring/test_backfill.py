"""A backfill through the API is history: it opens no handoffs, and never takes those of what happens live."""

import datetime as dt

import pytest

from accounts import due
from accounts.ingest import accept_batch
from accounts.models import Account, AccountDue, Source
from scoring.models import Handoff, Qualification
from tests.conftest import NOW
from tests.factories.scoring import publish, sweep

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
OLD = NOW - 31 * DAY


@pytest.fixture
def source(db):
    publish(NOW - DAY, rule={"count": {"event": "Invite Sent", "at_least": 3, "window": {"last_days": 90}}})
    return Source.objects.create(name="app", kind="internal", created_at=NOW)


def tracks(*times: dt.datetime, group: str = "acme") -> list[dict]:
    return [
        {
            "type": "track",
            "messageId": f"{group}-{at.isoformat()}-{number}",
            "userId": f"{group}-u1",
            "event": "Invite Sent",
            "timestamp": at.isoformat(),
            "context": {"groupId": group},
        }
        for number, at in enumerate(times)
    ]


def grouped(at: dt.datetime | None, *, group: str = "acme", **traits) -> dict:
    said = {"type": "group", "messageId": f"g-{group}-{at}-{traits}", "groupId": group, "traits": traits}
    return said if at is None else {**said, "timestamp": at.isoformat()}


def send(source: Source, *messages: dict, now: dt.datetime = NOW) -> None:
    assert accept_batch(source=source, messages=messages, received_at=now).quarantined == 0


def episode(group: str = "acme") -> tuple[str, str]:
    found = Qualification.objects.get(account__external_id=group, closed_at=None)
    return found.cause, found.release


def quiet() -> dict[str, bool]:
    """Whether the newest change of each account counts as an import's."""
    rows = AccountDue.objects.filter(consumer="evaluation")
    return {row.account.external_id: row.import_seq == row.changed_seq for row in rows.select_related("account")}


def test_backfill_waits_and_a_live_account_does_not(source):
    send(source, *tracks(OLD, OLD, OLD), *tracks(NOW, NOW, NOW, group="globex"))
    sweep(NOW)
    assert episode() == ("import", "waiting")
    assert episode("globex") == ("event", "live")
    assert Handoff.objects.get().company.external_id == "globex"


def test_backfill_counts_as_such_to_the_second(source, settings):
    at = NOW - 30 * DAY
    send(source, *tracks(at, at, at), *tracks(*[at - dt.timedelta(seconds=1)] * 3, group="globex"))
    assert quiet() == {"acme": False, "globex": True}
    settings.BACKFILL_DAYS = 7
    send(source, *tracks(NOW - 8 * DAY, group="initech"), *tracks(NOW - 7 * DAY, group="hooli"))
    assert (quiet()["initech"], quiet()["hooli"]) == (True, False)


@pytest.mark.parametrize("days", [0, -1, 10**9])
def test_backfills_are_live_where_no_time_is_set(source, settings, days):
    settings.BACKFILL_DAYS = days
    send(source, *tracks(OLD, OLD, OLD))
    sweep(NOW)
    assert episode() == ("event", "live")


def test_one_recent_event_makes_the_batch_news_of_its_account(source):
    send(source, *tracks(OLD, OLD, NOW), *tracks(OLD, OLD, OLD, group="globex"))
    sweep(NOW)
    assert episode() == ("event", "live")
    assert episode("globex") == ("import", "waiting")


def test_live_event_after_a_backfill_opens_a_handoff_when_it_makes_the_account_qualify(source):
    send(source, *tracks(OLD, OLD))
    sweep(NOW)
    assert Qualification.objects.count() == 0
    send(source, *tracks(NOW))
    sweep(NOW)
    assert episode() == ("event", "live")
    assert Handoff.objects.count() == 1


def test_account_that_a_backfill_made_qualify_waits_for_its_release_whatever_it_does_next(source):
    send(source, *tracks(OLD, OLD, OLD))
    sweep(NOW)
    send(source, *tracks(NOW + DAY), now=NOW + DAY)
    sweep(NOW + DAY)
    assert episode() == ("import", "waiting")
    assert Handoff.objects.count() == 0


@pytest.mark.parametrize(("history", "expected"), [(2, ("event", "live")), (3, ("import", "waiting"))])
def test_live_event_before_anybody_looked_at_the_backfill_decides_as_it_would_have_afterwards(
    source, history, expected
):
    send(source, *tracks(*[OLD] * history))
    send(source, *tracks(NOW))
    sweep(NOW)
    assert episode() == expected
    assert Handoff.objects.count() == (expected[1] == "live")


@pytest.mark.parametrize(("history", "expected"), [(2, ("event", "live")), (3, ("import", "waiting"))])
def test_backfill_after_a_live_event_that_nobody_looked_at_yet_decides_nothing_else(source, history, expected):
    send(source, *tracks(NOW))
    for number in range(history):  # in batches of its own, as backfills come
        send(source, *tracks(OLD - number * DAY))
    sweep(NOW)
    assert episode() == expected
    assert Handoff.objects.count() == (expected[1] == "live")


def test_old_events_counted_anew_leave_a_live_event_alone(source):
    send(source, *tracks(NOW, NOW, NOW))
    due.mark_everybody(consumer="evaluation", now=NOW, importing=True)
    sweep(NOW)
    assert episode() == ("event", "live")


def test_facts_without_events_count_by_their_own_time(source):
    publish(NOW - DAY, slug="large", name="Large", rule={"trait": {"name": "employees", "at_least": 50}})
    send(source, grouped(OLD, employees=80), grouped(NOW, group="globex", employees=80))
    assert quiet() == {"acme": True, "globex": False}
    sweep(NOW)
    assert (episode(), episode("globex")) == (("import", "waiting"), ("event", "live"))


def test_facts_of_a_person_are_facts_of_their_accounts(source):
    join = {"type": "identify", "userId": "ann", "context": {"groupId": "acme"}, "traits": {"name": "Ann"}}
    send(source, {**join, "messageId": "m1", "timestamp": (OLD - DAY).isoformat()})
    sweep(NOW)
    told = {"type": "identify", "userId": "ann"}
    old = {**told, "messageId": "m2", "timestamp": OLD.isoformat(), "traits": {"name": "Anna"}}
    live = grouped(NOW, group="globex", plan="team")
    send(source, old, live)
    assert quiet() == {"acme": True, "globex": False}
    send(
        source, {**old, "messageId": "m3", "traits": {"title": "CTO"}}, {**told, "messageId": "m4", "traits": {"x": 1}}
    )
    assert quiet()["acme"] is False


def test_events_decide_where_the_facts_of_a_backfill_name_no_time(source):
    send(source, grouped(None, name="Acme"), *tracks(OLD, OLD, OLD), grouped(NOW, group="globex", name="Globex"))
    assert quiet() == {"acme": True, "globex": False}
    sweep(NOW)
    assert episode() == ("import", "waiting")
    assert Account.objects.get(external_id="acme").name == "Acme"
