"""The usage lake: every generation says what the app database says, however it was made."""

from __future__ import annotations

import datetime as dt
import io

import duckdb
import pytest
from django.core.management import call_command
from django.db import connection

from accounts import identity, lake, tasks
from accounts.models import Account
from tests.accounts.ingest_world import NOW, make_source, make_types
from tests.accounts.ingest_world import send as accept

pytestmark = pytest.mark.django_db


@pytest.fixture
def source():
    make_types()
    return make_source()


def content() -> dict[str, list[tuple]]:
    """Every row of every table of the current generation."""
    with lake.connection() as db:
        return {table.name: sorted(db.execute(f"FROM {table.name}").fetchall(), key=repr) for table in lake.TABLES}


def in_the_app(table) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT account_id, user_id, event_type_id, day, count, first_us, last_us FROM {table}")
        return sorted(cursor.fetchall())


def track(user, account, event, day, number=0):
    at = NOW - dt.timedelta(days=60 - day)
    return {
        "type": "track",
        "messageId": f"{user}-{account}-{event}-{day}-{number}",
        "userId": user,
        "event": event,
        "timestamp": at.isoformat(),
        "properties": {"email": f"guest{number}@x.example"},
        "context": {"groupId": account} if account else {},
    }


def identify(user, day, **traits):
    at = NOW - dt.timedelta(days=60 - day)
    return {
        "type": "identify",
        "messageId": f"i-{user}-{day}",
        "userId": user,
        "timestamp": at.isoformat(),
        "traits": traits,
    }


def group(user, account, day, **traits):
    at = NOW - dt.timedelta(days=60 - day)
    told = {"type": "group", "messageId": f"g-{account}-{day}", "userId": user, "groupId": account}
    return {**told, "timestamp": at.isoformat(), "traits": traits}


def test_a_generation_holds_what_the_app_database_holds(source):
    accept(
        source,
        group("u1", "a1", 1, plan="free"),
        track("u1", "a1", "Invite Sent", 2),
        track("u1", "a1", "Invite Sent", 2, 1),
    )
    made = lake.refresh(now=NOW)
    with lake.connection() as db:
        rows = db.execute(
            "SELECT account_id, user_id, event_type_id, day, count, first_us, last_us FROM accounts_usageday"
        ).fetchall()
    assert sorted(rows) == in_the_app("accounts_usageday")
    assert (made.rows, made.accounts, made.built_at) == (len(rows), 1, NOW)


def test_nothing_changed_makes_no_generation(source):
    accept(source, track("u1", "a1", "Invite Sent", 2))
    assert lake.refresh(now=NOW) == lake.refresh(now=NOW + dt.timedelta(minutes=1))


def test_texts_come_through_as_they_are(source):
    odd = 'a "quoted", comma\nand a line, \\N, é'
    accept(source, group("u1", "a1", 1, note=odd, empty="", nothing=None), track("u1", "a1", "Invite Sent", 2))
    lake.refresh(now=NOW)
    with lake.connection() as db:
        found = dict(db.execute("SELECT name, text FROM accounts_traitvalue WHERE account_id > 0").fetchall())
        assert found["note"] == odd
        values = dict(db.execute("SELECT name, value FROM accounts_traitvalue WHERE account_id > 0").fetchall())
        assert values["note"] == "set"


def test_replaced_rows_say_what_writing_everything_says(source, settings, monkeypatch):
    monkeypatch.setattr(lake, "MOST", 10.0)  # always by replacing
    steps = [
        [group(f"u{n}", f"a{n}", 1, plan="free") for n in range(6)],
        [track(f"u{n}", f"a{n}", "Invite Sent", 2 + n) for n in range(6)],
        [track("u1", "a2", "Invite Sent", 9), identify("u1", 10, role="admin")],  # a person in two accounts
        [group("u3", "a3", 12, plan="team"), track("u9", "a3", "Invite Sent", 5)],  # a trait changes, somebody is new
        [{"type": "alias", "messageId": "alias", "userId": "u4", "previousId": "u5", "timestamp": NOW.isoformat()}],
    ]
    generations = []
    for step in steps:
        accept(source, *step)
        generations.append(lake.refresh(now=NOW).number)
        replaced = content()
        lake.refresh(now=NOW, whole=True)
        assert replaced == content()
    assert len(set(generations)) == len(steps)


def test_merged_accounts_are_followed(source, monkeypatch):
    monkeypatch.setattr(lake, "MOST", 10.0)
    accept(source, *(track(f"u{n}", f"a{n}", "Invite Sent", n) for n in range(4)))
    lake.refresh(now=NOW)
    winner, loser = (Account.objects.get(external_id=name) for name in ("a1", "a2"))
    identity.merge_accounts(winner=winner, loser=loser, by=None, now=NOW)
    lake.refresh(now=NOW)
    replaced = content()
    lake.refresh(now=NOW, whole=True)
    assert replaced == content()
    with lake.connection() as db:
        count = "SELECT count(*) FROM accounts_usageday WHERE account_id = ?"
        assert db.execute(count, [winner.pk]).fetchall() == [(2,)]


def test_a_crash_in_between_leaves_the_old_generation(source, monkeypatch):
    accept(source, track("u1", "a1", "Invite Sent", 2))
    old = lake.refresh(now=NOW)
    before = content()
    accept(source, track("u1", "a1", "Invite Sent", 3))

    def dies(*args):
        raise RuntimeError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr(lake, "_replace", dies)
        patch.setattr(lake, "_write_everything", dies)
        with pytest.raises(RuntimeError, match="killed here"):
            lake.refresh(now=NOW)
    assert lake.current() == old
    assert content() == before
    lake.refresh(now=NOW)
    assert len(content()["accounts_usageday"]) == 2


def test_who_reads_keeps_the_generation_that_was_opened(source):
    accept(source, track("u1", "a1", "Invite Sent", 2))
    lake.refresh(now=NOW)
    with lake.connection() as reading:
        for day in (3, 4, 5):
            accept(source, track("u1", "a1", "Invite Sent", day))
            lake.refresh(now=NOW)
        assert reading.execute("SELECT count(*) FROM accounts_usageday").fetchall() == [(1,)]
        with lake.connection() as later:
            assert later.execute("SELECT count(*) FROM accounts_usageday").fetchall() == [(4,)]
    assert len(list(lake.folder().glob("lake-*.duckdb"))) == 2  # the current one and the one before


def test_people_without_an_account_are_not_in_it(source):
    accept(source, track("u1", "", "Invite Sent", 2), track("u2", "a1", "Invite Sent", 2))
    lake.refresh(now=NOW)
    found = content()
    assert len(found["accounts_usageday"]) == len(found["accounts_productuser"]) == 1


def test_the_command_builds_and_exports(source, tmp_path):
    accept(source, track("u1", "a1", "Invite Sent", 2))
    call_command("export_lake", str(tmp_path / "out"), stdout=(out := io.StringIO()))
    assert "accounts_usageday.parquet" in out.getvalue()
    assert duckdb.sql(f"SELECT count(*) FROM '{tmp_path}/out/accounts_usageday.parquet'").fetchall() == [(1,)]


def test_without_a_generation_it_says_so():
    with pytest.raises(lake.NoLake), lake.connection():
        pass


def test_the_export_is_parquet_with_the_same_rows(source, tmp_path):
    accept(source, track("u1", "a1", "Invite Sent", 2), track("u1", "a1", "Invite Sent", 3))
    lake.refresh(now=NOW)
    files = lake.export(tmp_path / "out")
    assert {file.name for file in files} == {f"{table.name}.parquet" for table in lake.TABLES}
    rows = duckdb.sql(f"FROM '{tmp_path}/out/accounts_usageday.parquet'").fetchall()
    assert sorted(rows, key=repr) == content()["accounts_usageday"]


def test_a_trait_that_was_taken_back_is_no_value(source):
    accept(source, group("u1", "a1", 1, plan="pro"), group("u1", "a1", 5, plan=None))
    lake.refresh(now=NOW)
    with lake.connection() as db:
        told = db.execute(
            "SELECT value, text FROM accounts_traitvalue WHERE name = 'plan' ORDER BY from_day"
        ).fetchall()
    assert told == [("set", "pro"), (None, "null")]


@pytest.mark.parametrize("spoil", ["cut", "gone", "pointer"])
def test_a_generation_that_a_power_cut_left_broken_is_made_anew(source, spoil):
    accept(source, group("u1", "a1", 1, plan="pro"))
    made = lake.refresh(now=NOW)
    lake._open.clear()  # as another process finds it
    if spoil == "cut":
        made.path.write_bytes(made.path.read_bytes()[:100])
    elif spoil == "gone":
        made.path.unlink()
    else:
        (lake.folder() / lake.POINTER).write_text("")
    again = lake.refresh(now=NOW)
    assert again.file != made.file
    assert [row[:1] for row in content()["accounts_account"]] == [(Account.objects.get().pk,)]


def test_the_task_waits_for_nobody_who_builds_already(source):
    accept(source, group("u1", "a1", 1, plan="pro"))
    lake.folder().mkdir(parents=True, exist_ok=True)
    with lake._alone(wait=True):
        tasks.refresh_lake()
        assert lake.current() is None
    tasks.refresh_lake()
    assert lake.current().accounts == 1
