"""Many accounts at once: what changes nothing is finished in bulk, and nothing else is."""

import datetime as dt
import random

import pytest

from accounts import due, lake, lifecycle
from accounts.models import AccountDue
from accounts.workspace import day_of
from scoring import definitions, tasks
from scoring.engines import columnar
from scoring.follow import follow
from scoring.models import Handoff, Qualification
from tests.conftest import NOW
from tests.factories.scoring import make_account, make_trait, publish, sweep, use
from tests.scoring.test_recompute import DAY, RULES, open_episodes, verdicts

pytestmark = pytest.mark.django_db


def rows() -> dict[str, AccountDue]:
    return {row.account.name: row for row in AccountDue.objects.filter(consumer="evaluation").select_related("account")}


def waits(row: AccountDue, version: int, today: int) -> bool:
    by_time = row.due_day is not None and row.due_day <= today
    return row.is_behind or by_time or row.followed_version is None or row.followed_version < version


def test_who_neither_qualifies_nor_has_anything_open_is_finished():
    quiet, near, qualifies, lapsing = (make_account(name) for name in ("Quiet", "Near", "Qualifies", "Lapsing"))
    use(lapsing, "Invite Sent", at=NOW - 6 * DAY, count=5)
    publish(NOW - 3 * DAY)
    sweep(NOW - 3 * DAY)
    use(near, "Invite Sent", at=NOW - 2 * DAY, count=2)
    use(qualifies, "Invite Sent", at=NOW - 2 * DAY, count=3)
    second = publish(NOW, slug="second", rule={"recency": {"event": "Built", "within_days": 5}})
    use(near, "Built", at=NOW - 9 * DAY)

    assert follow(now=NOW, at_least=1) == 2

    found, today = rows(), day_of(NOW)
    assert {name for name, row in found.items() if not waits(row, second.pk, today)} == {"Quiet", "Near"}
    assert (found["Near"].done_seq, found["Near"].followed_version) == (found["Near"].changed_seq, second.pk)
    assert follow(now=NOW, at_least=1) == 0  # the others are evaluation's
    sweep(NOW)
    assert open_episodes() == {("team-expansion", qualifies.pk), ("team-expansion", lapsing.pk)}
    assert quiet.pk not in {account_id for _, account_id in open_episodes()}


def test_the_next_day_on_which_time_decides_is_kept():
    account = make_account("Sleeper")
    use(account, "Built", at=NOW - 2 * DAY)
    publish(NOW, rule={"recency": {"event": "Built", "not_for_days": 5}})
    assert follow(now=NOW, at_least=1) == 1
    assert rows()["Sleeper"].due_day == day_of(NOW) + 3
    sweep(NOW + 3 * DAY)
    assert Qualification.objects.get().cause == "time"


def test_few_that_wait_are_left_to_the_sweeps():
    make_account("One")
    publish(NOW)
    assert follow(now=NOW) == 0
    assert lake.current() is None  # nobody was asked
    tasks.follow_many()
    assert rows()["One"].is_behind


def after_asking(monkeypatch, what) -> None:
    """Something happens between the question and the answer's being written."""
    real = columnar.verdicts

    def verdicts_then(*args, **kwargs):
        found = real(*args, **kwargs)
        what()
        return found

    monkeypatch.setattr(columnar, "verdicts", verdicts_then)


def test_what_changed_meanwhile_stays_behind(monkeypatch):
    still, moved = make_account("Still"), make_account("Moved")
    publish(NOW)
    after_asking(monkeypatch, lambda: use(moved, "Invite Sent", at=NOW, count=3))
    assert follow(now=NOW, at_least=1) == 1
    assert (rows()["Still"].is_behind, rows()["Moved"].is_behind) == (False, True)
    sweep(NOW)
    assert open_episodes() == {("team-expansion", moved.pk)}
    assert still.pk


def test_what_somebody_has_in_hand_is_theirs(monkeypatch):
    make_account("One")
    publish(NOW)

    def claim():
        due.claim(consumer="evaluation", now=NOW, today=day_of(NOW), limit=5, lease=dt.timedelta(minutes=1))

    after_asking(monkeypatch, claim)
    assert follow(now=NOW, at_least=1) == 0
    assert rows()["One"].is_behind


def test_a_publication_meanwhile_stops_it(monkeypatch):
    make_account("One")
    publish(NOW)
    after_asking(monkeypatch, lambda: publish(NOW, rule={"recency": {"event": "Built", "not_for_days": 2}}))
    assert follow(now=NOW, at_least=1) == 0
    sweep(NOW)
    assert Qualification.objects.count() == 1


def test_what_was_pushed_back_after_an_error_keeps_its_error():
    make_account("One")
    publish(NOW)
    (claimed,) = due.claim(consumer="evaluation", now=NOW, today=day_of(NOW), limit=5, lease=dt.timedelta(minutes=1))
    due.fail(claimed, consumer="evaluation", now=NOW, error="it raised")
    assert follow(now=NOW, at_least=1) == 0
    assert rows()["One"].last_error == "it raised"


def test_companies_in_sales_hands_and_parents_of_the_self_serve_are_looked_at_one_by_one():
    parent, working = make_account("Parent"), make_account("Working")
    child = make_account("Child", parent=parent)
    publish(NOW - DAY, motion={"rule": {"trait": {"name": "employees", "at_least": 50}}})
    sweep(NOW - DAY)
    use(child, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    assert Qualification.objects.get().release == "self_serve"
    Handoff.objects.create(company=working, opened_at=NOW, newest_evidence_at=NOW)
    make_trait(parent, "employees", 80, at=NOW)
    due.mark_changed([working.pk], now=NOW)
    assert follow(now=NOW, at_least=1) == 0
    sweep(NOW)
    assert Qualification.objects.get().release == "live"  # lifted by its parent's size
    assert Handoff.objects.get(company=working).status == "withdrawn"


@pytest.mark.parametrize("seed", range(6))
def test_random_histories_end_as_they_do_without_it(seed):
    chance = random.Random(seed)
    accounts = [make_account(f"Acme {n}", recorded_at=NOW - 30 * DAY, signed_up_at=NOW - 3 * DAY) for n in range(8)]
    rules = chance.sample(RULES, k=len(RULES))
    now = NOW
    publish(now - DAY, name="First", **rules.pop())
    followed = 0
    for _ in range(30):
        step, account = chance.random(), chance.choice(accounts)
        if step < 0.5:
            use(account, chance.choice(["Invite Sent", "Built"]), at=now, count=chance.randint(1, 3))
        elif step < 0.6:
            make_trait(account, "employees", chance.choice([10, 60]), at=now + dt.timedelta(seconds=chance.random()))
        elif step < 0.65:
            lifecycle.reach(
                account_id=account.pk, stage="paid", at=now, now=now, cause="billing", reference=f"{now:%F}"
            )
        elif step < 0.75 and rules:
            publish(now, name="Later", **rules.pop())
        else:
            now += chance.choice([1, 1, 2, 5]) * DAY
        if chance.random() < 0.5:
            followed += follow(now=now, at_least=1)
            sweep(now)
            converted = set(
                Qualification.objects.filter(close_cause="converted").values_list("definition__slug", "account_id")
            )
            assert open_episodes() - converted == verdicts(day_of(now)) - converted
            version = max(rule.version_id for rule in definitions.live_rules())
            assert not [row for row in rows().values() if waits(row, version, day_of(now))]
    assert followed
