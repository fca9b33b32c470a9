"""The doorbell never hangs, never raises, and rings at most once a second."""

import socket
import time

import pytest
from celery import current_app

from plgops.lib import doorbell


@pytest.fixture
def broker_at(monkeypatch):
    monkeypatch.setattr(doorbell, "_not_before", {})
    before = current_app.conf.broker_url

    def use(url):
        current_app.conf.broker_url = current_app.conf.broker_write_url = url

    yield use
    use(before)


def waiting(url):
    with current_app.connection_for_write(url) as connection:
        return connection.SimpleQueue("celery").qsize()


def test_many_rings_in_a_second_are_one_task(broker_at):
    broker_at("memory://")
    with current_app.connection_for_write("memory://") as connection:
        connection.SimpleQueue("celery").clear()
    for _ in range(5):
        doorbell.ring("scoring.evaluate_due")
    doorbell.ring("support.assign_due")
    assert waiting("memory://") == 2


def test_a_broker_that_is_down_is_counted_and_left_alone(broker_at):
    broker_at("redis://127.0.0.1:1/0")
    failures, started = doorbell.failures, time.monotonic()
    for _ in range(50):
        doorbell.ring("scoring.evaluate_due")
    assert doorbell.failures == failures + 1
    assert time.monotonic() - started < 2 * doorbell.TIMEOUT


def test_a_broker_that_never_answers_holds_nobody_up(broker_at):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        broker_at(f"redis://127.0.0.1:{mute.getsockname()[1]}/0")
        failures, started = doorbell.failures, time.monotonic()
        doorbell.ring("scoring.evaluate_due")
        assert doorbell.failures == failures + 1
        assert time.monotonic() - started < 4 * doorbell.TIMEOUT
