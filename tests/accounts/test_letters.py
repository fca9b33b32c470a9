"""Letters to people of the customer: one each, tried again, given up, never to who wants none; and the way out."""

from __future__ import annotations

import datetime as dt
import smtplib
import threading
from concurrent.futures import Future

import pytest
from django.core.exceptions import PermissionDenied
from django.core.mail.backends.locmem import EmailBackend
from django.core.mail.message import sanitize_address
from django.db import IntegrityError, connection, transaction
from django.test import Client

from accounts import letters, stewardship
from accounts.models import Account, AuditEntry, Letter, ProductUser
from accounts.team.channels import Retry, Sent
from accounts.team.deliveries import MOST_ATTEMPTS
from tests.conftest import NOW
from tests.factories.scoring import make_account, make_user

MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)
WORDS = letters.Words(
    "One invite\nto go <3", "Hello,\n\nyou are <nearly> there.", "Invite", "https://app.test/invite?a=1&b=2"
)
SAID: dict[str, letters.Words | dt.datetime | None] = {}


class InLine:
    """A pool that does at once what it is given."""

    def __init__(self, max_workers):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass

    def submit(self, call, *args):
        done = Future()
        done.set_result(call(*args))
        return done


def speak(keys, *, now):
    """What these tests say: WORDS, unless SAID has another answer."""
    if "bad" in keys:
        raise RuntimeError("no words")
    return {key: SAID.get(key, WORDS) for key in keys}


def breaks(keys, *, now):
    raise RuntimeError("no words")


@pytest.fixture(autouse=True)
def _speaking(settings):
    settings.LETTER_WORDS = {"test": "tests.accounts.test_letters.speak", "bad": "tests.accounts.test_letters.breaks"}
    SAID.clear()


def person(name: str = "kim", account: Account | None = None) -> ProductUser:
    user = make_user(account or Account.objects.first() or make_account(), name)
    ProductUser.objects.filter(pk=user.pk).update(email=f"{name}@acme.test")
    return user


def write(*users: ProductUser, fact: str = "test:1", at: dt.datetime = NOW) -> None:
    account = Account.objects.get()
    letters.write([letters.New(user.pk, account.pk, fact) for user in users], now=at)


def send(at: dt.datetime = NOW) -> int:
    return letters.send_due(clock=lambda: at).sent


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
class TestSending:
    def test_a_person_gets_one_letter_about_a_fact_with_a_way_out_in_it(self, mailoutbox):
        kim, lee = person(), person("lee")
        write(kim, lee)
        write(kim, at=NOW + MINUTE)
        assert (send(), send()) == (2, 0)
        assert sorted(mail.to[0] for mail in mailoutbox) == ["kim@acme.test", "lee@acme.test"]
        mail = next(one for one in mailoutbox if one.to == ["kim@acme.test"])
        leave = letters.unsubscribe_url(kim.pk)
        assert mail.subject == "One invite to go <3"
        assert mail.extra_headers["List-Unsubscribe"] == f"<{leave}>"
        assert mail.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert Letter.objects.get(user=kim).public_id in mail.extra_headers["Message-ID"]
        assert "https://app.test/invite?a=1&b=2" in mail.body
        assert leave in mail.body
        (html, kind), *_ = mail.alternatives
        assert kind == "text/html"
        assert "you are &lt;nearly&gt; there." in html
        assert "https://app.test/invite?a=1&amp;b=2" in html
        assert "<img" not in html

    def test_nothing_is_sent_inside_a_transaction(self):
        person()
        with transaction.atomic(), pytest.raises(RuntimeError, match="never sent inside"):
            send()

    def test_what_fails_is_tried_again_with_growing_waits_under_the_same_id_and_given_up(
        self, mailoutbox, monkeypatch, admin, rep
    ):
        write(person())
        ids, at = set(), NOW

        def down(self, messages):
            ids.update(message.extra_headers["Message-ID"] for message in messages)
            raise OSError("no route")

        waits = []
        with monkeypatch.context() as patched:
            patched.setattr(EmailBackend, "send_messages", down)
            for number in range(MOST_ATTEMPTS):
                assert send(at) == 0
                letter = Letter.objects.get()
                assert letter.attempts == number + 1
                if letter.next_at is not None:
                    assert send(letter.next_at - dt.timedelta(seconds=1)) == 0
                    assert Letter.objects.get().attempts == number + 1
                    waits.append(letter.next_at - at)
                    at = letter.next_at
        assert (letter.status, letter.why) == ("failed", "The mail server: no route")
        assert len(waits) == MOST_ATTEMPTS - 1
        assert waits[0] < waits[2] < waits[4]
        assert len(ids) == 1
        with pytest.raises(PermissionDenied):
            letters.replay(letter_ids=[letter.pk], by=rep, now=at)
        assert letters.replay(letter_ids=[letter.pk], by=admin, now=at) == 1
        assert (send(at), len(mailoutbox)) == (1, 1)

    def test_an_address_that_the_server_refuses_is_given_up_at_once(self, monkeypatch):
        write(person())

        def refuses(self, messages):
            raise smtplib.SMTPRecipientsRefused({"kim@acme.test": (550, b"5.1.1 no such user")})

        monkeypatch.setattr(EmailBackend, "send_messages", refuses)
        send()
        assert Letter.objects.get().status == "failed"

    def test_who_dies_over_a_letter_loses_nothing(self, mailoutbox, monkeypatch):
        write(person())

        def dies(one):
            raise SystemExit

        with monkeypatch.context() as patched, pytest.raises(SystemExit):
            patched.setattr(letters, "_try", dies)
            send()
        assert send(NOW + MINUTE) == 0  # somebody may be at it still
        assert send(NOW + letters.LEASE) == 1
        assert len(mailoutbox) == 1

    @pytest.mark.parametrize("why", ["refused", "trait", "no address", "over"])
    def test_who_wants_none_gets_none_however_long_it_waited(self, mailoutbox, why):
        kim = person()
        write(kim)
        if why == "refused":
            stewardship.set_contact_refused(user_id=kim.pk, refused=True, by=None, now=NOW)
        elif why == "over":
            SAID["1"] = None
        else:
            ProductUser.objects.update(**({"do_not_contact": True} if why == "trait" else {"email": ""}))
        assert send() == 0
        letter = Letter.objects.get()
        assert (letter.status, letter.next_at, mailoutbox) == ("skipped", None, [])
        assert letter.why

    @pytest.mark.parametrize("address", ['"', "<>", "\\\\@[="])
    def test_an_address_that_no_program_can_read_costs_nobody_a_second_letter(self, mailoutbox, monkeypatch, address):
        """Each of these makes the parser of the standard library fall over in another way."""

        def by_smtp(self, messages, do=EmailBackend.send_messages):
            for message in messages:  # as the backend for SMTP does first
                [sanitize_address(one, "utf-8") for one in message.recipients()]
            return do(self, messages)

        monkeypatch.setattr(EmailBackend, "send_messages", by_smtp)
        odd, kim = person("odd"), person()
        ProductUser.objects.filter(pk=odd.pk).update(email=address)
        write(odd)
        write(kim)
        assert (send(), send(NOW + letters.LEASE)) == (1, 0)
        assert [mail.to for mail in mailoutbox] == [["kim@acme.test"]]
        letter = Letter.objects.get(user=odd)
        assert (letter.status, letter.attempts) == ("waiting", 2)
        assert letter.why.startswith("It could not be sent")

    def test_one_that_is_slow_keeps_no_other_from_being_noted(self, monkeypatch):
        kim, lee = person(), person("lee")
        write(kim, lee)
        noted = threading.Event()

        def tried(one):
            if one.letter.user_id == kim.pk:
                assert noted.wait(10)
            return Sent()

        def note(letter, outcome, *, now, do=letters._note):
            noted.set()
            return do(letter, outcome, now=now)

        monkeypatch.setattr(letters, "_try", tried)
        monkeypatch.setattr(letters, "_note", note)
        assert send() == 2

    def test_one_that_cannot_be_noted_costs_the_others_nothing(self, monkeypatch):
        write(person(), person("lee"))

        def note(letter, outcome, *, now, do=letters._note):
            if letter.user.name == "kim":
                raise ValueError
            return do(letter, outcome, now=now)

        monkeypatch.setattr(letters, "_note", note)
        assert send() == 1
        assert Letter.objects.get(status="sent").user.name == "lee"

    def test_what_went_out_after_the_lease_ended_is_noted_and_goes_out_no_more(self, monkeypatch, mailoutbox):
        write(person())

        def slow(one):
            Letter.objects.update(attempts=2, next_at=NOW + 2 * letters.LEASE)  # another worker has it by now
            return Sent()

        with monkeypatch.context() as patched:
            patched.setattr(letters, "ThreadPoolExecutor", InLine)
            patched.setattr(letters, "_try", slow)
            assert send() == 1
        assert Letter.objects.get().status == "sent"
        assert (send(NOW + DAY), mailoutbox) == (0, [])

    def test_what_a_server_says_is_kept_as_one_line(self, monkeypatch):
        write(person())
        monkeypatch.setattr(letters, "_try", lambda one: Retry("no\x00t\n now"))
        assert send() == 0
        assert Letter.objects.get().why == "no t now"

    def test_who_left_the_account_meanwhile_is_not_written_to(self, mailoutbox):
        kim = person()
        write(kim)
        kim.memberships.update(valid_to=NOW)
        assert (send(), mailoutbox) == (0, [])
        assert Letter.objects.get().why == "They are in the account no more."

    def test_who_wants_no_more_gets_none_under_another_id_either(self, mailoutbox):
        kim, same = person(), person("kim2")
        ProductUser.objects.filter(pk=same.pk).update(email="kim@acme.test")
        write(same)
        letters.unsubscribe(letters.unsubscribe_url(kim.pk).rstrip("/").rpartition("/")[2], now=NOW)
        assert (send(), mailoutbox) == (0, [])
        assert Letter.objects.get().why == "They want no such e-mail."

    def test_what_has_to_wait_waits_without_counting_as_tried(self, mailoutbox):
        write(person())
        SAID["1"] = NOW + DAY
        assert send() == 0
        letter = Letter.objects.get()
        assert (letter.status, letter.next_at, letter.attempts) == ("waiting", NOW + DAY, 0)
        SAID.clear()
        assert (send(NOW + DAY), len(mailoutbox)) == (1, 1)

    def test_a_fact_that_cannot_be_worded_keeps_no_other_of_its_kind(self, mailoutbox):
        kim, lee = person(), person("lee")
        write(kim, fact="test:bad")
        write(lee, fact="test:1")
        assert send() == 1
        assert [mail.to for mail in mailoutbox] == [["lee@acme.test"]]
        assert Letter.objects.get(user=kim).why == "It could not be worded."

    def test_what_cannot_be_worded_keeps_nobody_else(self, mailoutbox):
        kim, lee = person(), person("lee")
        write(kim, fact="bad:1")
        write(lee, fact="test:1")
        assert send() == 1
        assert [mail.to for mail in mailoutbox] == [["lee@acme.test"]]
        assert Letter.objects.get(user=kim).status == "waiting"


@pytest.mark.django_db
class TestTheWayOut:
    def test_looking_changes_nothing_and_one_click_without_a_cookie_is_enough(self):
        kim, lee = person(), person("lee")
        address = letters.unsubscribe_url(kim.pk).partition("//")[2].partition("/")[2]
        browser = Client(enforce_csrf_checks=True)
        page = browser.get(f"/{address}")
        assert page.status_code == 200
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert "no-store" in page.headers["Cache-Control"]
        kim.refresh_from_db()
        assert kim.contact_refused_at is None
        for _ in range(2):
            answer = browser.post(f"/{address}", {"List-Unsubscribe": "One-Click"})
            assert (answer.status_code, "no more" in answer.content.decode()) == (200, True)
        kim.refresh_from_db()
        lee.refresh_from_db()
        assert (kim.is_left_alone, lee.is_left_alone) == (True, False)
        row = AuditEntry.objects.get(action="person.contact_refused")
        assert row.actor_id is None

    def test_who_turned_out_to_be_somebody_else_is_that_other(self):
        anonymous, kim = person("anonymous"), person()
        address = letters.unsubscribe_url(anonymous.pk).partition("//")[2].partition("/")[2]
        ProductUser.objects.filter(pk=anonymous.pk).update(merged_into=kim)
        assert Client().post(f"/{address}").status_code == 200
        kim.refresh_from_db()
        anonymous.refresh_from_db()
        assert (kim.is_left_alone, anonymous.is_left_alone) == (True, True)

    def test_a_link_that_is_none_of_ours_is_told_so(self):
        kim = person()
        token = letters.unsubscribe_url(kim.pk).rstrip("/").rpartition("/")[2]
        for wrong in (f"{kim.pk + 1}{token[len(str(kim.pk)) :]}", token[:-1], "x"):
            for method in ("get", "post"):
                assert getattr(Client(), method)(f"/unsubscribe/{wrong}/").status_code == 404
        kim.refresh_from_db()
        assert not kim.is_left_alone

    def test_every_constraint_refuses(self):
        kim = person()
        write(kim)
        base = {"user": kim, "account": Account.objects.get(), "created_at": NOW}
        refused = [
            ("letter_once", {"fact": "test:1", "next_at": NOW}),
            ("letter_times_fit_status", {"fact": "test:2"}),
            ("letter_times_fit_status", {"fact": "test:2", "status": "skipped"}),
            ("letter_attempts_not_negative", {"fact": "test:2", "next_at": NOW, "attempts": -1}),
        ]
        for number, (name, values) in enumerate(refused):
            with pytest.raises(IntegrityError) as error, transaction.atomic():
                Letter.objects.create(public_id=f"p{number}", **base, **values)
            if connection.vendor == "postgresql":
                assert name in str(error.value)
