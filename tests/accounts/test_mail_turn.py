"""A mail server that says nothing keeps one worker of a machine, and webhooks go out meanwhile."""

from __future__ import annotations

import socket
import threading

import pytest

from accounts import letters
from accounts.models import Destination, Letter, OutgoingMessage
from accounts.team import channels, deliveries, mail_turn
from tests.accounts.test_deliveries import make, offered, receiver, words  # noqa: F401
from tests.accounts.test_letters import person, write
from tests.conftest import NOW

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
Channel = Destination.Channel


@pytest.fixture(autouse=True)
def _speaking(settings):
    settings.LETTER_WORDS = {"test": "tests.accounts.test_letters.speak"}


def clock():
    return NOW


def test_of_two_one_has_the_turn_and_gives_it_back():
    with mail_turn.taken() as first, mail_turn.taken() as second:
        assert (first, second) == (True, False)
    with mail_turn.taken() as again:
        assert again


def test_while_one_talks_to_the_server_nobody_else_claims_a_letter(mailoutbox):
    write(person())
    with mail_turn.taken():
        assert letters.send_due(clock=clock).claimed == 0
        assert Letter.objects.get().attempts == 0
    assert letters.send_due(clock=clock).sent == 1
    assert len(mailoutbox) == 1


def test_webhooks_go_out_meanwhile_and_mail_afterwards(manager, receiver, mailoutbox):  # noqa: F811
    offered(make(Channel.EMAIL, "sales@plgops.test", manager, name="Mail"), 1)
    offered(make(Channel.WEBHOOK, receiver.url, manager), 1)
    deliveries.pack(now=NOW)
    with mail_turn.taken():
        assert deliveries.send_due(clock=clock).sent == 1
    assert (len(receiver.got), len(mailoutbox)) == (1, 0)
    assert OutgoingMessage.objects.get(destination__channel=Channel.EMAIL).attempts == 0
    assert deliveries.send_due(clock=clock).sent == 1
    assert len(mailoutbox) == 1


def test_a_slow_webhook_keeps_nobody_from_the_server(manager, receiver, monkeypatch):  # noqa: F811
    offered(make(Channel.WEBHOOK, receiver.url, manager), 1)
    deliveries.pack(now=NOW)
    found = []

    def slow(message, clock):
        with mail_turn.taken() as free:
            found.append(free)
        return channels.Sent()

    monkeypatch.setattr(deliveries, "_try", slow)
    deliveries.send_due(clock=clock)
    assert found == [True]


def test_a_server_that_says_nothing_is_left_after_a_while_and_keeps_the_next_worker_off(settings, monkeypatch):
    monkeypatch.setattr(channels, "MAIL_TIMEOUT", 1)
    write(person(), person("lee"))
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes every connection, and no more
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = silent.getsockname()
        inside, results = threading.Event(), []
        monkeypatch.setattr(letters, "_try", lambda one, do=letters._try: (inside.set(), do(one))[1])

        def another() -> None:
            assert inside.wait(10)
            with mail_turn.taken() as free:
                results.append(free)

        second = threading.Thread(target=another)
        second.start()
        assert letters.send_due(clock=clock).sent == 0
        second.join()
    assert results == [False]
    assert {(letter.status, letter.attempts) for letter in Letter.objects.all()} == {("waiting", 1)}
    assert all(letter.why.startswith("The mail server") for letter in Letter.objects.all())


def test_a_machine_that_has_no_folder_of_its_own_yet_has_turns_too(settings, tmp_path):
    settings.VAR_DIR = tmp_path / "not" / "there"
    with mail_turn.taken() as is_ours, mail_turn.taken() as is_anothers:
        assert (is_ours, is_anothers) == (True, False)
