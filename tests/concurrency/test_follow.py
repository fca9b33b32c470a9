"""Finishing in bulk beside ingest, evaluation and publications: never by a verdict that no longer stands."""

import random
import threading

import pytest

from accounts.ingest import accept_batch
from accounts.models import AccountDue, Source
from scoring import evaluate
from scoring.follow import follow
from scoring.models import Qualification
from tests.concurrency.races import at_once
from tests.concurrency.test_evaluate import DAY, disagreement, messages, world
from tests.conftest import NOW
from tests.factories.scoring import make_account, publish, sweep

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


def test_beside_ingest_evaluation_and_publications_it_ends_where_a_full_evaluation_would():
    world()
    for number in range(60):
        make_account(f"Idle {number}", recorded_at=NOW - 5 * DAY)
    source = Source.objects.create(name="app", kind="internal", created_at=NOW)
    done = threading.Event()

    def ingest_and_publish() -> bool:
        chance = random.Random(5)
        try:
            for turn in range(30):
                accept_batch(source=source, messages=messages(chance, 6), received_at=NOW, sent_at=NOW)
                if turn % 6 == 0:
                    rule = {"count": {"event": "Built", "at_least": 1 + turn, "window": {"last_days": 7}}}
                    publish(NOW, slug="builds", rule=rule)
        finally:
            done.set()
        return True

    def follows() -> int:
        finished = 0
        while not done.is_set():
            finished += follow(now=NOW, at_least=1)
        return finished

    def evaluates() -> evaluate.Swept:
        total = evaluate.Swept()
        while not done.is_set():
            total.add(evaluate.evaluate_due(now=NOW, limit=5))
        return total

    ingested, followed, swept = at_once(ingest_and_publish, follows, evaluates, timeout=150)
    assert ingested is True
    assert swept.failed == 0
    assert followed > 0
    sweep(NOW)
    assert disagreement() == (set(), set())
    assert follow(now=NOW, at_least=1) == 0
    assert AccountDue.objects.filter(attempts__gt=0).count() == 0
    assert Qualification.objects.exists()
