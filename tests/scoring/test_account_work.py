"""Sales' work on the account's page: what is next, notes and touches of all handoffs, and that it was returned."""

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scoring import handoffs, next_tasks
from scoring.models import Handoff, HandoffActivity, NextTask
from tests.factories.pages import an_account
from tests.factories.routing import waiting

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def acme():
    return an_account("Acme")


@pytest.fixture
def handoff(acme, rep, now):
    found = waiting(acme, at=now - 9 * DAY)
    return handoffs.claim(handoff_id=found.pk, by=rep, now=now - 8 * DAY)


def panel(account):
    return f"/accounts/{account.pk}/panels/work/"


def text_of(response):
    return " ".join(response.content.decode().split())


def test_sales_never_had_it_shows_nothing(acme, rep, client_of):
    assert client_of(rep).get(panel(acme)).status_code == 204
    assert f'hx-get="{panel(acme)}"' in text_of(client_of(rep).get(f"/accounts/{acme.pk}/"))


def test_it_shows_what_is_next_and_what_was_said_in_every_handoff(acme, handoff, rep, now, client_of):
    handoffs.note(handoff_id=handoff.pk, text="Their IT decides", by=rep, now=now - 7 * DAY)
    handoffs.close(handoff_id=handoff.pk, outcome="won", by=rep, now=now - 6 * DAY)
    second = handoffs.claim(handoff_id=waiting(acme, at=now - DAY).pk, by=rep, now=now)
    handoffs.touch(handoff_id=second.pk, kind="called", text="Rang Priya", by=rep, now=now)
    next_tasks.put(handoff_id=second.pk, text="Send the quote", day=now.date() + 2 * DAY, by=rep, now=now)
    page = text_of(client_of(rep).get(panel(an_account("Child", parent=acme))))
    for words in ("Their IT decides", "Rang Priya", "Send the quote", "In the inbox"):
        assert words in page
    assert "Returned to self-serve" not in page


def test_notes_and_tasks_are_taken_here(acme, handoff, rep, now, client_of):
    client, htmx = client_of(rep), {"HTTP_HX_REQUEST": "true"}
    asked = {"handoff": handoff.pk}
    said = client.post(panel(acme), asked | {"verb": "note", "text": "They like it"}, **htmx)
    assert (said.status_code, "They like it" in text_of(said)) == (200, True)
    day = (now.date() + 3 * DAY).isoformat()
    client.post(panel(acme), asked | {"verb": "task", "text": "Call back", "day": day}, **htmx)
    assert NextTask.objects.get().text == "Call back"
    done = client.post(panel(acme), asked | {"verb": "done"})
    assert (done.status_code, done["Location"]) == (302, f"/accounts/{acme.pk}/")
    assert NextTask.objects.get().done_by == rep


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"verb": "note", "text": " "}, "A note needs some text."),
        ({"verb": "task", "text": "Call", "day": "yesterday"}, "Choose a day."),
        ({"verb": "task", "text": "Call", "day": "2020-01-01"}, "Choose a day from today on"),
        ({"verb": "done"}, "There is nothing to be done any more."),
    ],
)
def test_what_is_wrong_is_said(acme, handoff, rep, client_of, asked, words):
    response = client_of(rep).post(panel(acme), asked | {"handoff": handoff.pk}, HTTP_HX_REQUEST="true")
    assert (response.status_code, words in text_of(response)) == (422, True)


def test_somebody_else_reads_and_adds_nothing(acme, handoff, other_rep, viewer, stranger, client_of):
    for who in (other_rep, viewer):
        page = text_of(client_of(who).get(panel(acme)))
        assert "<form" not in page
        note = {"verb": "note", "text": "Mine", "handoff": handoff.pk}
        assert client_of(who).post(panel(acme), note, HTTP_HX_REQUEST="true").status_code == 403
    assert client_of(stranger).get(panel(acme)).status_code == 403
    assert not HandoffActivity.objects.exists()


def test_a_handoff_of_another_company_is_not_found(acme, handoff, rep, client_of):
    other = waiting()
    Handoff.objects.filter(pk=other.pk).update(status="claimed", owner=rep, claimed_at=other.opened_at)
    for asked in (other.pk, 0, "9" * 30, "x"):
        said = client_of(rep).post(panel(acme), {"verb": "note", "text": "Here", "handoff": asked})
        assert said.status_code == 404
    assert client_of(rep).post(panel(acme), {"verb": "eat", "handoff": handoff.pk}).status_code == 404


def test_what_was_returned_says_so_until_it_comes_again(acme, handoff, rep, now, client_of):
    handoffs.close(handoff_id=handoff.pk, outcome="returned", note="Too early", by=rep, now=now)
    page = text_of(client_of(rep).get(panel(acme)))
    assert "Returned to self-serve" in page and "It was Dana Whitfield’s." in page and "“Too early”" in page
    waiting(acme, at=now)
    assert "Returned to self-serve" not in text_of(client_of(rep).get(panel(acme)))


@pytest.mark.parametrize("count", [1, 3])
def test_it_asks_the_same_however_much_was_said(acme, handoff, rep, now, client_of, count):
    for number in range(count):
        handoffs.note(handoff_id=handoff.pk, text=f"Note {number}", by=rep, now=now)
    client = client_of(rep)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        client.get(panel(acme))
    assert len(asked) == 7
