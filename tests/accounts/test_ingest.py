"""The door for messages: what a batch leaves behind."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest

from accounts.ingest import accept_batch
from accounts.models import Account, AccountDue, Event, Membership, ProductUser, Receipt, Source, UsageDay

UTC = dt.UTC
NOW = dt.datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
_ids = itertools.count()


def at(day: int, hour: int = 12) -> str:
    """A time in June 2026."""
    return dt.datetime(2026, 6, day, hour, tzinfo=UTC).isoformat()


def message(kind: str, when: str, **fields) -> dict:
    return {"type": kind, "messageId": f"m{next(_ids)}", "timestamp": when, **fields}


@pytest.fixture
def source(db):
    return Source.objects.create(name="app", kind="internal", created_at=NOW)


@pytest.fixture
def accept(source):
    def _accept(*messages, importing=False):
        return accept_batch(source=source, messages=messages, received_at=NOW, importing=importing)

    return _accept


def test_a_batch_leaves_people_accounts_events_usage_and_due_rows(accept):
    done = accept(
        message("identify", at(1), userId="u1", traits={"email": "Ann@Acme.com", "firstName": "Ann"}),
        message("group", at(1), userId="u1", groupId="g1", traits={"name": "Acme", "plan": "free"}),
        message("track", at(2), userId="u1", event="Invite Sent", properties={"x": 1}),
        message("track", at(2), userId="u1", event="Invite Sent", context={"groupId": "g1"}),
        {"type": "track", "event": "no id"},
    )
    assert (done.received, done.events, done.facts, done.duplicates, done.quarantined) == (5, 2, 2, 0, 1)
    account = Account.objects.get(external_id="g1")
    person = ProductUser.objects.get(external_id="u1")
    assert (account.name, account.plan, account.is_provisional) == ("Acme", "free", False)
    assert (person.email, person.name, person.is_known) == ("ann@acme.com", "Ann", True)
    assert [m.account_id for m in Membership.objects.filter(user=person)] == [account.pk]
    assert list(Event.objects.values_list("account_id", flat=True)) == [account.pk, account.pk]
    (row,) = UsageDay.objects.all()
    assert (row.account_id, row.user_id, row.count) == (account.pk, person.pk, 2)
    assert Receipt.objects.count() == 4
    assert set(AccountDue.objects.values_list("account_id", "consumer")) == {
        (account.pk, "evaluation"),
        (account.pk, "tiers"),
    }
