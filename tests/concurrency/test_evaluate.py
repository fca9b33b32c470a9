"""Evaluation beside ingest, beside itself, and after a worker was killed."""

import datetime as dt
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.db import connection

from accounts.ingest import accept_batch
from accounts.models import Account, AccountDue, Source, StageEntry
from accounts.workspace import day_of
from scoring import definitions, evaluate, recompute
from scoring.engines import appdb
from scoring.models import Handoff, Qualification
from tests.concurrency.races import at_once
from tests.conftest import NOW
from tests.factories.scoring import make_account, publish, sweep, use

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True, serialized_rollback=True)]
DAY = dt.timedelta(days=1)
ROOT = Path(__file__).resolve().parents[2]


def world() -> None:
    publish(NOW - 60 * DAY)
    publish(
        NOW - 60 * DAY,
        slug="activated",
        name="Activated",
        purpose="activation",
        rule={"users": {"event": "*", "at_least": 2, "window": {"first_days": 14, "of": "account"}}},
    )
    publish(
        NOW - 60 * DAY,
        slug="ready",
        name="Ready",
        rule={"all": [{"stage": {"reached": "activated"}}, {"not": {"stage": {"reached": "paid"}}}]},
    )


def disagreement() -> tuple[set, set]:
    """What is open and what the engine says holds, without what they agree on."""
    slugs = {rule.version_id: rule.slug for rule in definitions.live_rules()}
    docs = {rule.version_id: rule.doc for rule in definitions.live_rules()}
    found = appdb.verdicts(docs, account_ids=None, as_of_day=day_of(NOW))
    holds = {(slugs[key], v.account_id) for key, vs in found.items() for v in vs if v.holds}
    rows = Qualification.objects.filter(closed_at=None, lapsing_since_day=None)
    opened = set(rows.values_list("definition__slug", "account_id"))
    return opened - holds, holds - opened


def messages(chance: random.Random, size: int) -> list[dict]:
    out = []
    for _ in range(size):
        group = f"g{chance.randrange(12)}"
        user = f"{group}-u{chance.randrange(4)}"
        at = (NOW - dt.timedelta(minutes=chance.randrange(4 * 1440))).isoformat()
        out.append(
            {
                "type": "track",
                "messageId": f"{chance.getrandbits(64):x}",
                "userId": user,
                "event": chance.choice(["Invite Sent", "Built"]),
                "timestamp": at,
                "context": {"groupId": group},
            }
        )
    return out


def test_evaluation_beside_ingest_ends_where_a_full_evaluation_would():
    world()
    source = Source.objects.create(name="app", kind="internal", created_at=NOW)
    done = threading.Event()

    def ingest(seed: int) -> int:
        chance = random.Random(seed)
        for _ in range(25):
            accept_batch(source=source, messages=messages(chance, 6), received_at=NOW, sent_at=NOW)
        return 25

    def evaluates() -> evaluate.Swept:
        total = evaluate.Swept()
        while not done.is_set():
            total.add(evaluate.evaluate_due(now=NOW, limit=5))
        return total

    def both() -> list:
        try:
            return at_once(lambda: ingest(1), lambda: ingest(2), timeout=120)
        finally:
            done.set()

    ingested, first, second = at_once(both, evaluates, evaluates, timeout=150)
    assert ingested == [25, 25]
    assert (first.failed, second.failed) == (0, 0)
    sweep(NOW)
    assert disagreement() == (set(), set())
    assert {(p.entered, p.left) for p in recompute.recompute(now=NOW)} == {(0, 0)}
    assert Qualification.objects.filter(definition__slug="team-expansion").count() > 0
    assert AccountDue.objects.filter(attempts__gt=0).count() == 0
    assert Handoff.objects.count() == Handoff.objects.values("company").distinct().count()


def test_evaluators_side_by_side_never_open_twice():
    world()
    for number in range(40):
        account = make_account(f"Acme {number}", recorded_at=NOW)
        use(account, "Invite Sent", at=NOW, count=3)
    swept = at_once(*[lambda: sweep(NOW)] * 4)
    sweep(NOW)
    assert sum(s.opened["team-expansion"] for s in swept) == 40
    assert Qualification.objects.filter(definition__slug="team-expansion").count() == 40
    assert StageEntry.objects.filter(stage="pql").count() == 40
    assert Handoff.objects.count() == 40


def test_evaluators_side_by_side_settle_a_publication_once():
    accounts = [make_account(f"Acme {number}", recorded_at=NOW) for number in range(40)]
    for account in accounts:
        use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    later = NOW + dt.timedelta(minutes=1)
    publish(later)

    def evaluates() -> evaluate.Swept:
        total = evaluate.Swept()
        while (swept := evaluate.evaluate_due(now=later, limit=9)).claimed:
            total.add(swept)
        return total

    swept = at_once(*[evaluates] * 4)
    sweep(later)
    assert (sum(s.opened["team-expansion"] for s in swept), sum(s.failed for s in swept)) == (40, 0)
    assert Qualification.objects.filter(release="waiting").count() == Qualification.objects.count() == 40
    assert StageEntry.objects.filter(stage="pql").count() == 40
    assert Handoff.objects.count() == 0


KILLED = """
import datetime as dt, sys, time
import django
django.setup()
from scoring import evaluate, openings
settled = 0
really = openings.open_or_join
def hangs(**values):
    global settled
    really(**values)
    settled += 1
    if settled == 3:
        print("in the middle", flush=True)
        time.sleep(120)
openings.open_or_join = hangs
evaluate.evaluate_due(now=dt.datetime.fromisoformat(sys.argv[1]))
"""


def killed(program: str) -> None:
    """Run a worker and kill it when it says that it is in the middle."""
    database = connection.settings_dict
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**{**database, "PORT": database["PORT"] or 5432})
    worker = subprocess.Popen(
        [sys.executable, "-c", program, NOW.isoformat()],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "plgops.settings"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert worker.stdout.readline() == "in the middle\n"
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait(30)
        worker.stdout.close()


def test_killed_worker_loses_and_doubles_nothing():
    publish(NOW - DAY)
    for number in range(5):
        use(make_account(f"Acme {number}", recorded_at=NOW), "Invite Sent", at=NOW, count=3)
    killed(KILLED)
    assert Qualification.objects.count() == 2  # what was committed; the third was rolled back
    sweep(NOW)
    assert Qualification.objects.count() == 2  # the rest is leased until the lease ends
    sweep(NOW + evaluate.LEASE)
    assert Qualification.objects.count() == Handoff.objects.count() == 5
    assert StageEntry.objects.filter(stage="pql").count() == Account.objects.count() == 5


KILLED_TOGETHER = """
import datetime as dt, sys, time
import django
django.setup()
from scoring import evaluate, together
really = together.open_episodes
def hangs(*values, **more):
    really(*values, **more)
    print("in the middle", flush=True)
    time.sleep(120)
together.open_episodes = hangs
evaluate.evaluate_due(now=dt.datetime.fromisoformat(sys.argv[1]))
"""


def test_worker_killed_while_it_settles_many_has_written_nothing():
    for number in range(5):
        use(make_account(f"Acme {number}", recorded_at=NOW), "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    publish(NOW)
    killed(KILLED_TOGETHER)
    assert (Qualification.objects.count(), StageEntry.objects.count()) == (0, 0)
    sweep(NOW)
    assert Qualification.objects.count() == 0  # leased until the lease ends
    sweep(NOW + evaluate.LEASE)
    assert Qualification.objects.filter(release="waiting").count() == 5
    assert StageEntry.objects.filter(stage="pql").count() == Account.objects.count() == 5
