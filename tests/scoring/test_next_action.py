"""Who talks to a company now and what to do next, for each way in which things can stand."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import lifecycle
from scoring import handoffs, next_action
from scoring.models import Handoff
from support import tickets
from tests.factories.pages import a_person, an_account, an_event_type, did
from tests.factories.scoring import publish

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def acme(now):
    return an_account("Acme")


@pytest.fixture
def handoff(acme, now):
    return Handoff.objects.create(company=acme, opened_at=now - 9 * DAY, newest_evidence_at=now - 9 * DAY)


def told(account, now) -> tuple[str, str]:
    action = next_action.of_account(account, now=now).action
    return action.what, action.why


def test_a_new_one_is_to_be_claimed_and_a_claimed_one_to_be_written_to(acme, handoff, rep, now):
    assert told(acme, now)[0] == "Claim it"
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=now - DAY)
    assert told(acme, now) == ("Write to them", "Claimed 1d ago, no touch yet.")
    priya = a_person(acme, "Priya Raman")
    for days_ago in range(6):
        did(acme, priya, an_event_type("Invite Sent", "invite"), days_ago=days_ago)
    assert told(acme, now)[0] == "Write to Priya Raman"
    child = an_account("Child", parent=acme)
    assert told(child, now)[0] == "Write to Priya Raman"


def test_after_a_week_without_a_touch_it_is_time_to_follow_up(acme, handoff, rep, now):
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=now - 9 * DAY)
    handoffs.touch(handoff_id=handoff.pk, kind="called", by=rep, now=now - 8 * DAY)
    handoffs.note(handoff_id=handoff.pk, text="Asked their IT", by=rep, now=now - DAY)  # no touch
    assert told(acme, now) == ("Follow up with them", "The last touch was 8d ago.")
    handoffs.touch(handoff_id=handoff.pk, kind="emailed", by=rep, now=now - DAY)
    assert told(acme, now) == ("Wait for an answer", "The last touch was 1d ago.")
    Handoff.objects.update(rule_lapsed_at=now)
    assert told(acme, now)[0] == "Decide whether it goes on"
    Handoff.objects.update(status="snoozed", snoozed_until=dt.datetime(2031, 5, 7, 9, tzinfo=dt.UTC))
    assert told(acme, now) == ("Nothing now", "It sleeps until 7 May 2031.")
    Handoff.objects.update(status="working", snoozed_until=None, paid_at=now - DAY)
    assert told(acme, now)[0] == "Record the outcome"


def test_an_urgent_ticket_goes_before_selling(acme, handoff, rep, agent, now):
    ticket = tickets.open_ticket(subject="Down", body="All of it", by=agent, now=now, account=acme, priority="urgent")
    assert told(acme, now) == ("Leave selling for now", "An urgent ticket of theirs is open.")
    lifecycle.lift(account_id=acme.pk, kind="urgent_ticket", source=f"ticket:{ticket.pk}", now=now)
    assert told(acme, now)[0] == "Claim it"


def test_without_a_handoff_the_product_leads(acme, handoff, rep, now):
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=now)
    handoffs.close(handoff_id=handoff.pk, outcome="returned", by=rep, now=now)
    what, why = told(acme, now)
    assert what == "Leave them to the product"
    assert why.startswith("Sales closed it as returned to self-serve just now; quiet until ")
    Handoff.objects.update(cooldown_until=now)
    assert told(acme, now)[1] == "They are not one condition short of anything."
    publish(now, rule={"count": {"event": "Invite Sent", "at_least": 2, "window": {"last_days": 9}}})
    did(acme, a_person(acme), an_event_type("Invite Sent", "invite"), days_ago=1)
    assert told(acme, now) == ("Nudge them", "One condition short of Team expansion: 1 more time.")


def test_the_strip_says_who_talks_to_them(acme, handoff, client_of, rep, agent, stranger, now):
    sales, support = f"/accounts/{acme.pk}/panels/sales/", f"/accounts/{acme.pk}/panels/support/"
    assert "nobody has claimed it" in client_of(rep).get(sales).content.decode()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=now)
    html = client_of(rep).get(sales).content.decode()
    assert rep.label in html and f"/inbox/{handoff.pk}/" in html and "no touch yet" in html
    assert "No open ticket" in client_of(rep).get(support).content.decode()
    tickets.open_ticket(subject="A question", body="How?", by=agent, now=now, account=acme)
    tickets.open_ticket(subject="All is down", body="!", by=agent, now=now, account=acme, priority="urgent")
    html = client_of(rep).get(support).content.decode()
    assert "All is down" in html and "and 1 other" in html and "A question" not in html
    for path in (sales, support):
        assert client_of(stranger).get(path).status_code == 403
    page = client_of(rep).get(f"/accounts/{acme.pk}/").content.decode()
    assert f'hx-get="{sales}"' in page and f'hx-get="{support}"' in page


@pytest.mark.parametrize("rows", [1, 3])
def test_the_strip_costs_the_same_for_any_number_of_rows(acme, handoff, client_of, rep, agent, now, rows):
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=now)
    for number in range(rows):
        handoffs.touch(handoff_id=handoff.pk, kind="called", by=rep, now=now)
        tickets.open_ticket(subject=f"Question {number}", body="How?", by=agent, now=now, account=acme)
    client, costs = client_of(rep), []
    for panel in ("sales", "support"):
        with CaptureQueriesContext(connection) as made:
            assert client.get(f"/accounts/{acme.pk}/panels/{panel}/").status_code == 200
        costs.append(len(made))
    # session, user, roles; account, handoff, touches, company, holds, champion, deals; merges, tickets
    assert costs == [10, 5]
