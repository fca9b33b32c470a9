"""History counted again in the background: in steps that can be left off anywhere, and say how far they are."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F

from accounts import event_types, keys, rebuild, tasks, usage
from accounts.models import AccountDue, EventType, ProductUser, Recount, UsageDay
from tests.accounts.ingest_world import NOW, at, make_source, recount, send
from tests.accounts.ingest_world import usage as rollup

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(monkeypatch):
    """Ten people who exported twice each; five of them signed in as well. Three people make a step."""
    monkeypatch.setattr(rebuild, "STEP", 3)
    source = make_source()
    send(
        source,
        *(
            {
                "type": "track",
                "messageId": f"m{number}",
                "timestamp": at(1 + number % 3),
                "userId": f"p{number % 10}",
                "event": "Exported" if number < 20 else "Signed In",
                "properties": {"rows": number, "to": "s3" if number % 4 else "ftp"},
                "context": {"groupId": f"g{number % 2}"},
            }
            for number in range(25)
        ),
    )
    return source


def measure_rows(admin, name="Exported", metered="rows"):
    kind = EventType.objects.get(name=name)
    said = {"meaning": "", "description": "", "is_activity": True, "distinct_property": ""}
    event_types.describe(event_type_id=kind.pk, metered_property=metered, **said, by=admin, now=NOW)
    return kind


def made_again() -> dict:
    """What the roll-up is when it is made again from the log."""
    rebuild.rebuild_usage(now=NOW)
    return rollup()


def test_nothing_is_counted_in_the_request(world, admin):
    before = rollup()
    kind = measure_rows(admin)
    assert rollup() == before
    (row,) = Recount.objects.all()
    assert (row.event_type, row.asked_at, row.after) == (kind, NOW, -1)


def test_it_is_counted_in_steps_and_equals_a_rebuild(world, admin):
    kind = measure_rows(admin)
    steps = recount()
    assert steps == 1 + 4 + 1  # the door; ten people by threes; the end
    assert not Recount.objects.exists()
    assert sum(UsageDay.objects.filter(event_type_id=kind.pk).values_list("sum_value", flat=True)) == 190_000_000
    counted = rollup()
    assert made_again() == counted


def test_a_step_that_raises_is_done_again_later_and_the_rest_goes_on_from_there(world, admin, monkeypatch):
    measure_rows(admin)
    usage_rebuild, calls = usage.rebuild, []

    def breaks(user_ids):
        calls.append(sorted(user_ids))
        changed = usage_rebuild(user_ids)
        if len(calls) == 2:
            raise RuntimeError("the disk is full")
        return changed

    monkeypatch.setattr(usage, "rebuild", breaks)
    recount()
    row = Recount.objects.get()
    people = list(ProductUser.objects.order_by("pk").values_list("pk", flat=True))
    assert (row.after, row.attempts, row.last_error) == (people[2], 1, "RuntimeError('the disk is full')")
    assert row.retry_at == NOW + dt.timedelta(seconds=10)
    assert sum(UsageDay.objects.values_list("sum_value", flat=True)) == sum([0, 10, 1, 11, 2, 12]) * 1_000_000
    assert not rebuild.recount_next(now=NOW)  # not yet
    while rebuild.recount_next(now=row.retry_at):
        pass
    assert calls == [people[:3], people[3:6], people[3:6], people[6:9], people[9:]]
    counted = rollup()
    assert made_again() == counted


def test_a_worker_that_is_killed_in_a_step_pushes_it_back(world, admin, monkeypatch):
    kind = measure_rows(admin)

    class Killed(BaseException):
        """Nothing after it runs, as when the process is gone."""

    def kill(user_ids):
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(usage, "rebuild", kill)
        recount()
    assert not rebuild.recount_next(now=NOW)
    row = Recount.objects.get()
    assert (row.attempts, row.after, rebuild.under_way(kind).error) == (1, 0, "")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(usage, "rebuild", kill)
        rebuild.recount_next(now=row.retry_at)
    row.refresh_from_db()
    assert row.retry_at == NOW + dt.timedelta(seconds=30)
    assert rebuild.under_way(kind).error == "A worker stopped in the middle."
    while rebuild.recount_next(now=row.retry_at):
        pass
    counted = rollup()
    assert made_again() == counted


def test_what_is_changed_again_meanwhile_is_counted_from_the_start(world, admin):
    kind = measure_rows(admin)
    for _ in range(3):
        assert rebuild.recount_next(now=NOW)
    measure_rows(admin, metered="")
    assert recount() == 1 + 1 + 4 + 1  # the first recount ends with nothing done
    assert set(UsageDay.objects.filter(event_type_id=kind.pk).values_list("sum_value", flat=True)) == {0}


def test_only_people_who_have_such_events_are_counted_and_their_accounts_wait(world, admin, monkeypatch):
    asked = []
    usage_rebuild = usage.rebuild
    monkeypatch.setattr(usage, "rebuild", lambda user_ids: asked.extend(user_ids) or usage_rebuild(user_ids))
    measure_rows(admin, name="Signed In")
    AccountDue.objects.update(done_seq=F("changed_seq"))  # nothing live waits
    before = dict(AccountDue.objects.filter(consumer="evaluation").values_list("account_id", "changed_seq"))
    recount()
    names = set(ProductUser.objects.filter(pk__in=asked).values_list("external_id", flat=True))
    assert names == {f"p{number}" for number in range(5)}
    rows = AccountDue.objects.filter(consumer="evaluation")
    assert {row.account_id for row in rows if row.changed_seq > before[row.account_id]} == set(before)
    assert all(row.import_seq == row.changed_seq for row in rows)  # counted anew: no news for sales


def test_a_step_takes_no_more_events_than_it_should(world, admin, monkeypatch):
    monkeypatch.setattr(rebuild, "STEP", 200)
    monkeypatch.setattr(rebuild, "STEP_EVENTS", 5)  # p0 to p4 have three events each, the others two
    steps = []
    usage_rebuild = usage.rebuild
    monkeypatch.setattr(usage, "rebuild", lambda ids: steps.append(len(ids)) or usage_rebuild(ids))
    measure_rows(admin)
    recount()
    assert steps == [1, 1, 1, 1, 2, 2, 2]
    counted = rollup()
    assert made_again() == counted


def test_people_are_locked_as_ingest_locks_them(world, admin, monkeypatch):
    done = []
    lock, rebuild_them = keys.lock_people, usage.rebuild
    monkeypatch.setattr(keys, "lock_people", lambda ids: done.append(("lock", len(ids))) or lock(ids))
    monkeypatch.setattr(usage, "rebuild", lambda ids: done.append(("rebuild", len(ids))) or rebuild_them(ids))
    measure_rows(admin, name="Signed In")
    recount()
    assert done == [("lock", 3), ("rebuild", 3), ("lock", 3), ("rebuild", 2), ("lock", 3), ("lock", 1)]


def test_the_task_ends_and_leaves_the_rest(world, admin, monkeypatch):
    measure_rows(admin)
    monkeypatch.setattr(tasks, "BUDGET", 0.0)
    tasks.recount()
    assert Recount.objects.get().after == -1
    monkeypatch.undo()
    tasks.recount()
    assert not Recount.objects.exists()


def test_pages_say_that_history_is_being_counted(world, admin, client_of):
    browser = client_of(admin)
    kind = measure_rows(admin)
    page = f"/event-types/{kind.pk}/"
    assert browser.get("/event-types/").content.decode().count("History is being counted") == 1
    assert "about 0 % of people" in browser.get(page).content.decode()
    for _ in range(3):
        rebuild.recount_next(now=NOW)
    newest = ProductUser.objects.order_by("-pk").first().pk
    percent = Recount.objects.get().after * 100 // newest
    assert percent > 0 and f"about {percent} % of people" in browser.get(page).content.decode()
    Recount.objects.update(last_error="RuntimeError('full')", attempts=1)
    assert "RuntimeError(&#x27;full&#x27;)" in browser.get(page).content.decode()
    recount()
    assert "History is" not in browser.get("/event-types/").content.decode()
    assert "History is" not in browser.get(page).content.decode()


@pytest.mark.parametrize("wrong", [{"after": -2}, {"attempts": -1}])
def test_recount_constraints(db, wrong):
    kind = EventType.objects.create(name="Exported")
    with pytest.raises(IntegrityError), transaction.atomic():
        Recount.objects.create(event_type=kind, asked_at=NOW, **wrong)
