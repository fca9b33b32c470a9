"""Claims of accounts that are behind: what a worker's death costs, and whom."""

import datetime as dt

import pytest

from accounts import due
from accounts.models import Account, AccountDue
from tests.conftest import NOW

pytestmark = pytest.mark.django_db
LEASE = dt.timedelta(seconds=60)
MINUTE = dt.timedelta(minutes=1)
TIERS = "tiers"


def make_accounts(*names: str, now: dt.datetime = NOW) -> None:
    for name in names:
        account = Account.objects.create(
            external_id=name, name=name, signed_up_at=NOW, signup_day=20000, recorded_at=NOW
        )
        due.mark_changed([account.pk], now=now)


def row_of(name: str) -> AccountDue:
    return AccountDue.objects.get(account__external_id=name, consumer=TIERS)


def claim(now: dt.datetime, *, limit: int = 500, version: int | None = None) -> list[due.Claimed]:
    return due.claim(consumer=TIERS, now=now, today=20000, limit=limit, lease=LEASE, version=version)


def names(claimed: list[due.Claimed]) -> list[str]:
    found = dict(Account.objects.values_list("pk", "external_id"))
    return [found[one.account_id] for one in claimed]


def work(now: dt.datetime, *, poison: str) -> tuple[list[str], bool]:
    """One sweep of a worker that dies when it has the poison among its accounts: what it claimed, and if it lives."""
    claimed = claim(now)
    taken = names(claimed)
    if poison in taken:
        return taken, False
    for one in claimed:
        assert due.finish(one, consumer=TIERS, now=now, due_day=None)
    return taken, True


def test_an_account_that_kills_its_worker_is_found_and_the_others_are_done():
    innocent = [f"acme-{n}" for n in range(6)]
    make_accounts(*innocent[:3], "poison", *innocent[3:])
    now, swept = NOW, []
    for _ in range(60):
        taken, alive = work(now, poison="poison")
        swept.append(len(taken))
        if not alive:
            now += MINUTE  # until the lease ends
        elif not taken:
            break
    # together, together once more, then each by itself; the poison's last death was alone
    assert swept == [7, 7, 1, 1, 1, 1, 1, 1, 1, 0]
    for name in innocent:
        row = row_of(name)
        assert (row.done_seq, row.attempts, row.last_error, row.retry_at) == (1, 0, "", None)
    row = row_of("poison")
    assert (row.done_seq, row.attempts, row.last_error) == (0, 3, due.WORKER_DIED)
    assert row.retry_at == now + dt.timedelta(seconds=40)


def test_the_poison_comes_again_alone_and_ever_more_rarely():
    make_accounts("poison")
    for minutes in range(3):
        assert names(claim(NOW + minutes * MINUTE)) == ["poison"]
    now, waits = NOW + 3 * MINUTE, []
    make_accounts("fresh", now=now)
    for _ in range(10):
        for one in claim(now):  # nobody waits for it
            assert names([one]) == ["fresh"]
            due.finish(one, consumer=TIERS, now=now, due_day=None)
        retry_at = row_of("poison").retry_at
        waits.append((retry_at - now).total_seconds())
        now = retry_at
        assert names(claim(now)) == ["poison"]
        now += MINUTE
    assert waits == [40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]
    assert row_of("fresh").done_seq == 1


def test_a_worker_that_was_killed_once_costs_its_accounts_nothing_more():
    make_accounts("acme", "globex")
    claim(NOW)
    again = claim(NOW + MINUTE)
    assert names(again) == ["acme", "globex"]
    assert (row_of("acme").attempts, row_of("acme").last_error) == (1, due.WORKER_DIED)
    for one in again:
        due.finish(one, consumer=TIERS, now=NOW + MINUTE, due_day=None)
    assert (row_of("acme").attempts, row_of("globex").last_error) == (0, "")


def test_what_changes_meanwhile_is_claimed_with_nobody_that_may_be_poison():
    make_accounts("acme", "globex")
    for minutes in (0, 1):
        claim(NOW + minutes * MINUTE)
    now = NOW + 2 * MINUTE
    make_accounts("fresh", now=now)
    claims = [names(claim(now)) for _ in range(4)]
    assert claims == [["acme"], ["globex"], ["fresh"], []]


def test_accounts_that_are_due_by_time_are_counted_too():
    make_accounts("acme", "globex")
    AccountDue.objects.update(done_seq=1, due_day=19999)
    claims = [names(claim(NOW + minutes * MINUTE)) for minutes in (0, 1, 2)]
    assert claims == [["acme", "globex"], ["acme", "globex"], ["acme"]]


def test_accounts_that_raised_come_back_together():
    make_accounts("acme", "globex")
    now = NOW
    for _ in range(4):
        for one in claim(now):
            due.fail(one, consumer=TIERS, now=now, error="ValueError()")
        now += due.MAX_BACKOFF
    assert (row_of("acme").attempts, row_of("acme").last_error) == (4, "ValueError()")
    assert names(claim(now)) == ["acme", "globex"]


def test_somebody_may_try_it_at_once(admin):
    make_accounts("poison")
    for minutes in range(4):
        claim(NOW + minutes * MINUTE)
    now = NOW + 3 * MINUTE
    row = row_of("poison")
    assert (row.attempts, row.lease_until, row.retry_at) == (3, None, now + dt.timedelta(seconds=40))
    assert due.retry_now(row_ids=[row.pk], by=admin, now=now) == 1
    assert names(claim(now)) == ["poison"]


def test_a_sweep_without_deaths_asks_nothing_more(django_assert_num_queries):
    make_accounts("acme", "globex")
    with django_assert_num_queries(5):  # savepoint, changed, time-due, lease, release
        claimed = claim(NOW)
    assert names(claimed) == ["acme", "globex"]


def make_followers(number: int, *, version: int | None) -> None:
    """Accounts that are not behind, judged by this version last."""
    made = Account.objects.bulk_create(
        Account(external_id=f"v{version}-{n}", signed_up_at=NOW, signup_day=20000, recorded_at=NOW)
        for n in range(number)
    )
    AccountDue.objects.bulk_create(
        AccountDue(account=one, consumer=TIERS, done_seq=1, followed_version=version) for one in made
    )


def test_a_publication_leaves_room_for_what_changes_while_it_is_worked_off():
    make_followers(70, version=None)
    make_followers(170, version=1)
    make_accounts("acme", "globex")
    AccountDue.objects.filter(account__external_id="acme", consumer=TIERS).update(done_seq=1, due_day=19999)
    first = claim(NOW, version=2)
    assert (names(first[:2]), len(first)) == (["globex", "acme"], 2 + due.PUBLICATION_SHARE)
    assert (first[2].followed_version, first[-1].followed_version) == (None, 1)
    make_accounts("initech")
    assert len(claim(NOW, version=2, limit=60)) == 60
    assert len(claim(NOW, version=2)) == 240 - 100 - 59  # nothing has changed: as many as there are
