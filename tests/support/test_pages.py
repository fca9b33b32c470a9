"""The support pages: who may, what they cost, what they do."""

import pytest
from django.urls import reverse

from accounts.models import StaffUser
from support import kb, tickets
from support.models import Article, Ticket, Tier
from tests.conftest import NOW
from tests.support.worlds import make_account, make_tier, put_in

pytestmark = pytest.mark.django_db


def open_many(count: int) -> list[Ticket]:
    tier = make_tier("Paid", 1, first_response_minutes=60)
    opened = []
    for number in range(count):
        account = make_account(f"acme-{number}")
        put_in(account, tier)
        opened.append(
            tickets.open_ticket(account=account, subject=f"Export {number} fails", body="It does.", by=None, now=NOW)
        )
    return opened


@pytest.mark.parametrize("count", [1, 3])
def test_ticket_list_costs_the_same_for_one_and_three(client_of, agent, count, django_assert_num_queries):
    open_many(count)
    client = client_of(agent)
    client.get("/tickets/")
    # session, user, roles | page of tickets, its rows without a promise, three tab counts, tiers
    with django_assert_num_queries(9):
        response = client.get("/tickets/")
    assert [t.subject for t in response.context["page"].items] == [f"Export {n} fails" for n in range(count)]


@pytest.mark.parametrize("count", [1, 3])
def test_article_list_costs_the_same_for_one_and_three(client_of, agent, count, django_assert_num_queries):
    for number in range(count):
        kb.save_article(article=Article(), title=f"How to {number}", body="Like so.", by=agent, now=NOW)
    client = client_of(agent)
    client.get("/kb/")
    with django_assert_num_queries(4):  # session, user, roles | articles
        response = client.get("/kb/")
    assert len(response.context["page"].items) == count


@pytest.mark.parametrize("count", [1, 3])
def test_tier_list_costs_the_same_for_one_and_three(client_of, agent, count, django_assert_num_queries):
    for number in range(count):
        make_tier(f"Tier {number}", number)
    client = client_of(agent)
    client.get("/tiers/")
    with django_assert_num_queries(4):  # session, user, roles | tiers
        assert len(client.get("/tiers/").context["tiers"]) == count


@pytest.mark.parametrize("count", [1, 3])
def test_account_panel_costs_the_same_for_one_and_three(client_of, agent, count, django_assert_num_queries):
    account = make_account()
    for number in range(count):
        tickets.open_ticket(account=account, subject=f"Q{number}", body="?", by=None, now=NOW)
    client = client_of(agent)
    url = reverse("account-tickets", args=[account.pk])
    client.get(url)
    with django_assert_num_queries(6):  # session, user, roles | account with tier, merged ones, tickets
        assert len(client.get(url).context["found"].tickets) == count


def test_ticket_page_shows_thread_and_suggestions(client_of, agent):
    (ticket,) = open_many(1)
    article = kb.save_article(article=Article(), title="When an export fails", body="Try again", by=agent, now=NOW)
    kb.set_published(article_id=article.pk, published=True, by=agent, now=NOW)
    tickets.note(ticket_id=ticket.pk, body="secret note", by=agent, now=NOW)
    html = client_of(agent).get(f"/tickets/{ticket.pk}/").content.decode()
    assert "It does." in html and "secret note" in html and "When an export fails" in html


def test_a_reply_is_recorded_and_shown(client_of, agent):
    (ticket,) = open_many(1)
    response = client_of(agent).post(f"/tickets/{ticket.pk}/reply/", {"body": "We are on it"}, follow=True)
    assert response.status_code == 200
    ticket.refresh_from_db()
    assert (ticket.status, ticket.assignee) == ("waiting", agent)
    assert "We are on it" in response.content.decode()


def test_an_empty_reply_is_refused_and_says_so(client_of, agent):
    (ticket,) = open_many(1)
    response = client_of(agent).post(f"/tickets/{ticket.pk}/reply/", {"body": ""})
    assert response.status_code == 422
    assert "This field is required." in response.content.decode()
    assert ticket.messages.count() == 1


def test_the_second_taker_is_told_who_was_first(client_of, agent, admin):
    (ticket,) = open_many(1)
    tickets.take(ticket_id=ticket.pk, by=admin, now=NOW)
    response = client_of(agent).post(f"/tickets/{ticket.pk}/take/", headers={"HX-Request": "true"})
    assert (response.status_code, response.content.decode()) == (409, "Ada Okoye already has this ticket.")


@pytest.mark.parametrize("action", ["reply", "note", "customer", "reply-solve", "take", "solve", "reopen", "priority"])
def test_a_viewer_works_no_tickets(client_of, viewer, action):
    (ticket,) = open_many(1)
    client = client_of(viewer)
    assert client.get(f"/tickets/{ticket.pk}/").status_code == 200
    assert client.post(f"/tickets/{ticket.pk}/{action}/", {"body": "x", "priority": "low"}).status_code == 403
    ticket.refresh_from_db()
    assert (ticket.status, ticket.messages.count()) == ("open", 1)


def test_an_agent_does_not_assign(client_of, agent, admin):
    (ticket,) = open_many(1)
    assert client_of(agent).post(f"/tickets/{ticket.pk}/assign/", {"assignee": admin.pk}).status_code == 403
    assert client_of(admin).post(f"/tickets/{ticket.pk}/assign/", {"assignee": agent.pk}).status_code == 302
    ticket.refresh_from_db()
    assert ticket.assignee == StaffUser.objects.get(username="ines")


def test_a_stranger_sees_nothing(client_of, stranger):
    (ticket,) = open_many(1)
    client = client_of(stranger)
    for url in ("/tickets/", f"/tickets/{ticket.pk}/", "/kb/", "/tiers/"):
        assert client.get(url).status_code == 403


def test_a_new_ticket_finds_its_account_by_id_domain_or_name(client_of, agent):
    account = make_account("acme-9", name="Acme Nine", domain="acme.test")
    client = client_of(agent)
    for typed in ("acme-9", "acme.test", "Acme Nine"):
        client.post("/tickets/new/", {"account": typed, "subject": "S", "body": "B", "priority": "normal"})
    assert list(Ticket.objects.values_list("account_id", flat=True)) == [account.pk] * 3
    response = client.post("/tickets/new/", {"account": "nobody", "subject": "S", "body": "B", "priority": "normal"})
    assert response.status_code == 422 and Ticket.objects.count() == 3


def test_search_and_filters_narrow_the_list(client_of, agent):
    first, second, third = open_many(3)
    client = client_of(agent)

    def found(query):
        return [t.pk for t in client.get(f"/tickets/?{query}").context["page"].items]

    assert found(f"q=%23{second.pk}") == [second.pk]
    assert found("q=Export 2") == [third.pk]
    assert found(f"tier={Tier.objects.get().pk}&route=people") == [first.pk, second.pk, third.pk]
    assert found("route=bot") == []


def test_drafts_are_for_those_who_write(client_of, agent, viewer):
    kb.save_article(article=Article(), title="Half done", body="…", by=agent, now=NOW)
    assert client_of(viewer).get("/kb/half-done/").status_code == 404
    assert client_of(viewer).get("/kb/half-done/edit/").status_code == 403
    assert client_of(agent).get("/kb/half-done/").status_code == 200


def test_a_tier_is_written_by_support_ops_only(client_of, agent, admin):
    values = {"name": "Gold", "position": 1, "plans": "team, business", "min_mrr": "100", "route": "people"}
    assert client_of(agent).post("/tiers/new/", values).status_code == 403
    assert client_of(admin).post("/tiers/new/", values).status_code == 302
    assert Tier.objects.get().plans == ["team", "business"]
    assert client_of(admin).post("/tiers/new/", values).status_code == 422  # the name is taken


def test_numbers_that_are_none_are_words(client_of, agent, admin):
    open_many(1)
    client = client_of(agent)
    assert client.get("/tickets/?q=%C2%B2&tier=%C2%B2").status_code == 200
    assert client.get("/tickets/?tier=99999999999999999999").status_code == 200
    assert client.get("/tickets/new/?account=%C2%B2").status_code == 200
    assert client_of(admin).post("/tickets/1/assign/", {"assignee": "%C2%B2"}).status_code in (302, 404)


def test_panel_shows_the_tickets_of_merged_accounts(client_of, agent):
    winner, loser, further = make_account("winner"), make_account("loser"), make_account("further")
    loser.merged_into, further.merged_into = winner, loser
    loser.save()
    further.save()
    for account in (winner, loser, further):
        Ticket.objects.create(account=account, subject=account.name, route="bot", opened_at=NOW, updated_at=NOW)
    found = client_of(agent).get(reverse("account-tickets", args=[winner.pk])).context["found"]
    assert {ticket.subject for ticket in found.tickets} == {"Winner", "Loser", "Further"}
