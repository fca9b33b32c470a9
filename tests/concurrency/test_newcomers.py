"""Many new people and accounts sent by several processes at once: every batch is stored, however they collide."""

from __future__ import annotations

import random
import threading

import pytest
from django.db import connection

from accounts import ingest, sources
from accounts.models import Account, Event, ProductUser
from tests.conftest import NOW

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True, serialized_rollback=True)]

SENDERS, BATCHES, SIZE, ACCOUNTS = 4, 4, 60, 120


def test_batches_of_newcomers_at_once_are_all_stored():
    source = sources.create_source(name="Backend", by=None, now=NOW)[0]
    failures: list[Exception] = []
    start = threading.Barrier(SENDERS)

    def send(sender: int) -> None:
        chance = random.Random(sender)
        try:
            start.wait()
            for batch in range(BATCHES):
                messages = [
                    {
                        "type": "track",
                        "messageId": f"{sender}-{batch}-{n}",
                        "userId": f"u{account}",
                        "event": "E",
                        "timestamp": "2026-06-15T08:00:00Z",
                        "context": {"groupId": f"g{account}"},
                    }
                    for n, account in enumerate(chance.sample(range(ACCOUNTS), SIZE))
                ]
                ingest.accept_batch(source=source, messages=messages, received_at=NOW)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(n,)) for n in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert Event.objects.count() == SENDERS * BATCHES * SIZE
    assert Account.objects.count() == ProductUser.objects.count() == Event.objects.values("account").distinct().count()
