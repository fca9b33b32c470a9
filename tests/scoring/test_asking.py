"""Questions to history from a request: what keeps them from an answer is said, and holds nobody up."""

import threading
import time

import pytest
from django.db import connection
from django.urls import reverse

from accounts import lake
from plgops.lib.db import TooSlow, is_postgres, statements_within
from scoring.engines import appdb
from scoring.views import asking
from tests.conftest import NOW
from tests.factories.scoring import document, make_account, publish, use

pytestmark = pytest.mark.django_db
SLOW = "SELECT COUNT(*) FROM range(40000) a, range(40000) b, range(100) c WHERE a.range + b.range + c.range < 0"
SLUG = document()["slug"]


@pytest.fixture
def asked():
    account = make_account()
    use(account, "Invite Sent", at=NOW, count=3)
    publish(NOW)
    lake.refresh(now=NOW)


def addresses() -> list[str]:
    when = "from=2026-05-01&to=2026-06-01&outcome=paid&within=30"
    return [
        f"{reverse('backtest_result', args=[SLUG])}?{when}",
        f"{reverse('backtest_accounts', args=[SLUG])}?{when}&of=flagged",
        f"{reverse('definition_weeks', args=[SLUG])}?restated=1",
        reverse("definition_near_misses", args=[SLUG]),
    ]


def test_a_question_that_takes_too_long_is_stopped(asked):
    began = time.monotonic()
    with pytest.raises(lake.TooLong), asking.question(patience=0.2), lake.connection() as db:
        db.execute(SLOW)
    assert time.monotonic() - began < 10
    with asking.question(), lake.connection() as db:  # the next one is not
        assert db.execute("SELECT COUNT(*) FROM accounts_account").fetchall() == [(1,)]


def test_what_is_asked_of_postgresql_is_stopped_too():
    if not is_postgres():
        with statements_within(0.01):
            assert appdb.verdicts({}, account_ids=None, as_of_day=1) == {}
        return
    with pytest.raises(TooSlow), statements_within(0.1), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(5)")


def test_only_so_many_are_asked_at_once(asked, monkeypatch, client_of, viewer):
    monkeypatch.setattr(asking, "WAIT", 0.05)
    entered, leave = threading.Barrier(asking.AT_ONCE + 1), threading.Event()

    def holds():
        with asking.question():
            entered.wait(10)
            leave.wait(10)
        connection.close()

    threads = [threading.Thread(target=holds) for _ in range(asking.AT_ONCE)]
    for thread in threads:
        thread.start()
    entered.wait(10)
    try:
        with pytest.raises(asking.Busy), asking.question():
            pass
        for address in addresses():
            answer = client_of(viewer).get(address, headers={"HX-Request": "true"})
            assert (answer.status_code, "Other questions" in answer.content.decode()) == (200, True)
    finally:
        leave.set()
        for thread in threads:
            thread.join()
    with asking.question():
        pass


def test_a_lake_that_cannot_be_read_is_no_error_page(asked, client_of, viewer, monkeypatch):
    generation = lake.current()
    monkeypatch.setattr(lake, "_open", {})
    generation.path.write_bytes(b"half of a file")
    for address in addresses():
        answer = client_of(viewer).get(address, headers={"HX-Request": "true"})
        assert (answer.status_code, "cannot be read" in answer.content.decode()) == (200, True)


def test_without_a_lake_every_question_says_so(client_of, viewer):
    publish(NOW)
    for address in addresses():
        answer = client_of(viewer).get(address, headers={"HX-Request": "true"})
        assert (answer.status_code, "being prepared" in answer.content.decode()) == (200, True)
