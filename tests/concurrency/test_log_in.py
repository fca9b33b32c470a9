"""Guesses that arrive at the same moment, through different processes, are counted together."""

import pytest

from accounts import throttle
from accounts.models import LoginAttempts
from tests.concurrency.races import at_once
from tests.conftest import NOW

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


def test_of_many_guesses_at_once_no_more_than_the_limit_are_looked_at():
    def guess():
        return throttle.attempt(username="dana", address="203.0.113.9", now=NOW)

    results = at_once(*[guess] * (throttle.LIMIT + 6))
    assert sorted(results) == [False] * 6 + [True] * throttle.LIMIT
    assert LoginAttempts.objects.get().attempts == throttle.LIMIT


def test_expired_rows_are_swept_by_many_at_once():
    later = NOW + throttle.WINDOW
    for n in range(10):
        throttle.attempt(username=f"name{n}", address="203.0.113.9", now=NOW)
    results = at_once(
        *[lambda n=n: throttle.attempt(username=f"name{n % 3}", address="203.0.113.9", now=later) for n in range(8)]
    )
    assert results == [True] * 8
    assert sum(LoginAttempts.objects.filter(until__gt=later).values_list("attempts", flat=True)) == 8
