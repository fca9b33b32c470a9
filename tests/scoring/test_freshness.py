"""Up to when everything is evaluated, and whom a publication has still to reach."""

import datetime as dt
import re

import pytest
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.models import AccountDue
from accounts.workspace import day_of, zone
from plgops.lib import days
from scoring import definitions, freshness
from tests.factories.scoring import make_account, publish, sweep, use

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 6, 15, 9, 0, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def fresh(now=NOW):
    return freshness.of(None, now=now)


def test_nothing_waits():
    publish(NOW)
    make_account("Acme")
    sweep(NOW)
    found = fresh(NOW + 7 * SECOND)
    assert (found.up_to, found.seconds, found.is_behind, found.failing) == (NOW + 7 * SECOND, 0, False, 0)


def test_without_a_live_definition_nothing_can_be_behind():
    make_account("Acme")
    assert (fresh().up_to, fresh().seconds, dict(fresh().to_follow)) == (NOW, 0, {})


def test_it_is_as_old_as_the_oldest_change_that_waits():
    publish(NOW)
    acme, bolt = make_account("Acme"), make_account("Bolt")
    sweep(NOW)
    use(acme, "Invite Sent", at=NOW + 3 * SECOND)
    use(bolt, "Invite Sent", at=NOW + 5 * SECOND)
    use(acme, "Invite Sent", at=NOW + 9 * SECOND)  # the first one still waits
    found = fresh(NOW + 20 * SECOND)
    assert (found.up_to, found.seconds, found.is_behind) == (NOW + 3 * SECOND, 17, True)
    sweep(NOW + 20 * SECOND)
    assert fresh(NOW + 21 * SECOND).seconds == 0


def test_windows_that_ended_count_from_midnight():
    publish(NOW)
    make_account("Acme")
    sweep(NOW)
    AccountDue.objects.filter(consumer="evaluation").update(due_day=day_of(NOW) + 1)
    later = NOW + dt.timedelta(days=1)
    midnight = days.start_of(day_of(later), zone())
    assert (fresh().up_to, fresh(later).up_to) == (NOW, midnight)
    assert fresh(later).seconds == (later - midnight).total_seconds()


def test_an_account_that_cannot_be_evaluated_holds_nobody_back():
    publish(NOW)
    acme, _ = make_account("Acme"), make_account("Bolt")
    sweep(NOW)
    use(acme, "Invite Sent", at=NOW)
    AccountDue.objects.filter(account=acme).update(attempts=2)
    found = fresh(NOW + dt.timedelta(hours=5))
    assert (found.seconds, found.failing) == (0, 1)


def test_whom_a_publication_has_still_to_reach_is_counted_apart():
    first = publish(NOW, slug="one", name="One")
    for number in range(3):
        make_account(f"Acme {number}")
    sweep(NOW)
    second = publish(NOW, slug="two", name="Two")
    found = fresh()
    assert found.to_follow == {first.definition_id: 0, second.definition_id: 3}
    assert (found.most_to_follow, found.seconds) == (3, 0)
    assert freshness.of([first.definition_id], now=NOW).to_follow == {first.definition_id: 0}


def test_counts_stop_at_their_cap(monkeypatch):
    monkeypatch.setattr(freshness, "CAP", 2)
    version = publish(NOW)
    for number in range(3):
        make_account(f"Acme {number}")
    assert fresh().to_follow == {version.definition_id: 2}


@pytest.mark.parametrize("size", [1, 3])
def test_it_is_one_query_for_any_number_of_definitions(size, django_assert_num_queries):
    for number in range(size):
        publish(NOW, slug=f"d{number}", name=f"D{number}")
    with django_assert_num_queries(1):
        assert len(fresh().to_follow) == size


def test_where_it_is_shown(client_of, rep, admin, stranger):
    publish(NOW)
    for number in range(2):
        make_account(f"Acme {number}")
    client = client_of(rep)
    for path in ("/inbox/freshness/", "/definitions/"):  # up to when, and who is left out of that, in one breath
        line = strip_tags(client.get(path).content.decode().partition("Evaluated up to")[2].partition("</p>")[0])
        told = r" [\w :]+( \(\w+ behind\))?, 2 accounts still to follow the newest definition\s"
        assert re.match(told, line), line
        assert "nothing waits" not in line
    assert "2 accounts still to follow v1" in client.get("/definitions/").content.decode()
    page = client.get("/definitions/team-expansion/").content.decode()
    assert "2 accounts still have to be looked at" in page
    assert ", 2 accounts still to follow version 1</span></dd>" in page
    sweep(timezone.now())
    head = client.get("/inbox/freshness/").content.decode()
    assert "nothing waits" in head and "still to follow" not in head
    definitions.archive(definition_id=publish(NOW).definition_id, by=admin, now=NOW)
    assert "still to follow" not in client.get("/definitions/?archived=1").content.decode()
    assert client_of(stranger).get("/inbox/freshness/").status_code == 403


def test_an_empty_queue_is_not_called_clear_while_evaluation_is_behind(client_of, rep):
    publish(NOW)
    make_account("Acme")
    client = client_of(rep)
    page = client.get("/inbox/").content.decode()
    assert 'hx-get="/inbox/freshness/"' in page and 'hx-get="/inbox/freshness/?of=queue"' in page
    words = client.get("/inbox/freshness/?of=queue").content.decode()
    assert "Not for certain yet: 1 account has still to be looked at." in words
    sweep(timezone.now())
    assert client.get("/inbox/freshness/?of=queue").content.decode().strip() == ""
