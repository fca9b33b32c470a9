"""What can happen to a ticket, and what was promised."""

import itertools

import pytest
from django.db import IntegrityError, transaction

from accounts.models import AuditEntry, Hold
from support import kb, tickets
from support.models import Article, Route, Ticket, TicketMessage
from tests.conftest import NOW
from tests.support.worlds import later, make_account, make_tier, office_hours, put_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def ticket():
    account = make_account()
    put_in(account, make_tier("Paid", 1, first_response_minutes=60, resolution_minutes=240))
    return tickets.open_ticket(account=account, subject="Export fails", body="It says 500.", by=None, now=NOW)


def test_open_ticket_promises_what_the_tier_says(ticket):
    assert (ticket.route, ticket.status) == (Route.PEOPLE, "open")
    assert (ticket.first_response_due_at, ticket.resolution_due_at, ticket.due_at) == (later(60), later(240), later(60))


def test_promises_run_in_business_hours_only():
    account = make_account()
    put_in(account, make_tier("Paid", 1, first_response_minutes=600, calendar=office_hours()))
    opened = tickets.open_ticket(account=account, subject="Hi", body="Hi", by=None, now=NOW)  # Monday 09:00
    assert opened.due_at == later(24 * 60 + 120)  # 8 hours on Monday, 2 on Tuesday


def test_without_a_tier_nothing_is_promised():
    opened = tickets.open_ticket(subject="Hi", body="Hi", by=None, now=NOW, requester_email="x@y.test")
    assert (opened.tier, opened.route, opened.due_at) == (None, Route.BOT, None)


def test_reply_keeps_the_promise_and_gives_the_word_to_the_customer(ticket, agent):
    answered = tickets.reply(ticket_id=ticket.pk, body="Looking", by=agent, now=later(20))
    assert (answered.status, answered.first_response_at, answered.due_at) == ("waiting", later(20), None)
    assert answered.assignee == agent
    again = tickets.customer_wrote(ticket_id=ticket.pk, body="Still", now=later(30))
    assert (again.status, again.due_at) == ("open", later(240))


def test_first_response_is_never_moved_by_a_later_reply(ticket, agent):
    tickets.reply(ticket_id=ticket.pk, body="One", by=agent, now=later(20))
    again = tickets.reply(ticket_id=ticket.pk, body="Two", by=agent, now=later(50))
    assert again.first_response_at == later(20)


def test_a_note_stops_no_clock(ticket, agent):
    noted = tickets.note(ticket_id=ticket.pk, body="Ask Theo", by=agent, now=later(10))
    assert (noted.status, noted.first_response_at, noted.due_at) == ("open", None, later(60))


def test_reopening_gives_back_the_time_it_was_solved(ticket, agent):
    tickets.reply(ticket_id=ticket.pk, body="Done", by=agent, now=later(40), solve=True)
    reopened = tickets.reopen(ticket_id=ticket.pk, by=agent, now=later(1000))
    assert reopened.resolution_due_at == later(1200)  # 200 minutes were left
    assert (reopened.status, reopened.solved_at) == ("open", None)


def test_two_agents_take_one_gets_it(ticket, agent, admin):
    tickets.take(ticket_id=ticket.pk, by=agent, now=NOW)
    with pytest.raises(tickets.AlreadyTaken) as caught:
        tickets.take(ticket_id=ticket.pk, by=admin, now=NOW)
    assert caught.value.owner == agent
    assert tickets.take(ticket_id=ticket.pk, by=agent, now=NOW).assignee == agent
    assert AuditEntry.objects.filter(action="ticket.taken").count() == 1


def test_a_ticket_goes_only_to_somebody_who_works_tickets(ticket, admin, rep):
    with pytest.raises(tickets.NotAllowed):
        tickets.assign(ticket_id=ticket.pk, to=rep, by=admin, now=NOW)
    assert tickets.assign(ticket_id=ticket.pk, to=admin, by=admin, now=NOW).assignee == admin
    assert tickets.assign(ticket_id=ticket.pk, to=None, by=admin, now=NOW).assignee is None


def test_an_urgent_ticket_holds_the_account_while_it_is_open(ticket, agent):
    tickets.set_priority(ticket_id=ticket.pk, priority="urgent", by=agent, now=later(1))
    tickets.note(ticket_id=ticket.pk, body="Hot", by=agent, now=later(2))
    (hold,) = Hold.objects.all()
    assert (hold.kind, hold.source, hold.until) == ("urgent_ticket", f"ticket:{ticket.pk}", None)
    tickets.solve(ticket_id=ticket.pk, by=agent, now=later(3))
    hold.refresh_from_db()
    assert hold.until == later(3)


def test_every_state_and_verb_is_either_in_the_table_or_refused(ticket, agent):
    calls = {
        "reply": lambda: tickets.reply(ticket_id=ticket.pk, body="x", by=agent, now=later(5)),
        "customer": lambda: tickets.customer_wrote(ticket_id=ticket.pk, body="x", now=later(5)),
        "solve": lambda: tickets.solve(ticket_id=ticket.pk, by=agent, now=later(5)),
        "reopen": lambda: tickets.reopen(ticket_id=ticket.pk, by=agent, now=later(5)),
    }
    for status, verb in itertools.product(Ticket.Status.values, calls):
        solved_at = later(4) if status == "solved" else None
        Ticket.objects.filter(pk=ticket.pk).update(status=status, solved_at=solved_at)
        if (status, verb) in tickets.TRANSITIONS:
            assert calls[verb]().status == tickets.TRANSITIONS[status, verb]
        else:
            with pytest.raises(tickets.NotAllowed):
                calls[verb]()


def test_a_refused_verb_writes_nothing(ticket, agent):
    tickets.solve(ticket_id=ticket.pk, by=agent, now=later(5))
    with pytest.raises(tickets.NotAllowed):
        tickets.reply(ticket_id=ticket.pk, body="Late", by=agent, now=later(6))
    assert TicketMessage.objects.count() == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"status": "lost"},
        {"priority": "huge"},
        {"status": "solved"},
        {"solved_at": NOW},
    ],
)
def test_ticket_constraints_refuse(ticket, bad):
    with pytest.raises(IntegrityError), transaction.atomic():
        Ticket.objects.filter(pk=ticket.pk).update(**bad)


def test_message_constraints_refuse(ticket, agent):
    for bad in (
        {"kind": "customer", "by": agent, "body": "x"},
        {"kind": "reply", "by": None, "body": "x"},
        {"kind": "note", "by": agent, "body": ""},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            TicketMessage.objects.create(ticket=ticket, at=NOW, **bad)


def test_articles_are_found_by_title_before_text(agent):
    for title, body in (("Billing", "About an export"), ("Export your notes", "How"), ("Draft export", "no")):
        article = kb.save_article(article=Article(), title=title, body=body, by=agent, now=NOW)
        if not title.startswith("Draft"):
            kb.set_published(article_id=article.pk, published=True, by=agent, now=NOW)
    assert [a.title for a in kb.find("My export fails")] == ["Export your notes", "Billing"]
    assert list(kb.find("??")) == []


def test_two_articles_cannot_have_one_address(agent):
    kb.save_article(article=Article(), title="Export notes", body="x", by=agent, now=NOW)
    with pytest.raises(kb.TitleTaken):
        kb.save_article(article=Article(), title="Export  notes!", body="x", by=agent, now=NOW)


def test_markdown_runs_nothing():
    html = kb.render("<script>alert(1)</script> [x](javascript:alert(1)) **bold**")
    assert "<script" not in html and "href" not in html and "<strong>bold</strong>" in html


def test_a_published_article_has_its_time():
    with pytest.raises(IntegrityError), transaction.atomic():
        Article.objects.create(slug="x", title="x", body="x", status="published", updated_at=NOW)
