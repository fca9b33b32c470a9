"""One write sent several times in the same moment, and by somebody whose process was killed in the middle of it."""

import multiprocessing
import os

import pytest
from django.db import connection
from django.utils import timezone

from accounts import idempotency
from accounts.models import ApiToken, AuditEntry, IdempotencyKey
from scoring import handoffs
from scoring.models import Handoff, HandoffActivity
from tests.api.conftest import token_of
from tests.concurrency.races import at_once
from tests.conftest import NOW
from tests.factories.scoring import make_account

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


@pytest.fixture
def write(rep):
    """`write(key)`: a note on a handoff of one's own, under a key."""
    handoff = Handoff.objects.create(
        company=make_account("Acme"), status="claimed", owner=rep, claimed_at=NOW, opened_at=NOW, newest_evidence_at=NOW
    )
    token_of(rep, "handoffs:write")
    token = ApiToken.objects.get()

    def act():
        handoffs.note(handoff_id=handoff.pk, text="Hello", by=rep, now=timezone.now())
        return 200, {"id": handoff.pk}

    return lambda key, act=act: idempotency.once(token=token, key=key, request_hash="x", now=timezone.now(), act=act)


def test_of_many_at_once_one_does_it(write):
    for number in range(5):
        results = at_once(*[lambda key=f"k-{number}": write(key)] * 4)
        answers = [one for one in results if isinstance(one, idempotency.Answer)]
        assert {type(one) for one in results} <= {idempotency.Answer, idempotency.AtWork}
        assert [one.replayed for one in answers].count(False) == 1
        assert {str(one.body) for one in answers} == {str(write(f"k-{number}").body)}
    assert HandoffActivity.objects.count() == AuditEntry.objects.filter(action="handoff.noted").count() == 5


def test_who_is_killed_between_the_act_and_its_answer_has_done_nothing(write, rep):
    handoff = Handoff.objects.get()

    def die():
        connection.close()  # the parent's socket is the parent's
        connection.connect()

        def act():
            handoffs.note(handoff_id=handoff.pk, text="Never", by=rep, now=timezone.now())
            os._exit(9)

        write("k", act)

    connection.close()
    child = multiprocessing.get_context("fork").Process(target=die)
    child.start()
    child.join(30)
    assert child.exitcode == 9
    assert HandoffActivity.objects.count() == 0
    row = IdempotencyKey.objects.get()
    assert row.status is None
    with pytest.raises(idempotency.AtWork):
        write("k")
    IdempotencyKey.objects.update(lease_until=timezone.now())
    assert write("k").replayed is False
    assert write("k").replayed is True
    assert HandoffActivity.objects.count() == 1
