"""The support desk in a real browser: axe finds nothing, and a ticket is worked by keyboard."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from support import kb, tickets
from support.models import Article, Ticket
from tests.support.worlds import make_account, make_tier, office_hours, put_in

LOOKS = [(phone, theme) for phone in (False, True) for theme in ("light", "dark")]


def a_desk(agent) -> list[Ticket]:
    now = timezone.now()
    paid = make_tier("Paid", 1, first_response_minutes=60, resolution_minutes=600, calendar=office_hours())
    make_tier("Free", 2, plans=["free"], route="bot")
    opened = []
    for number, subject in enumerate(("Export drops tags", "SAML option is missing", "Import stops")):
        account = make_account(f"acme-{number}", name=f"Acme {number}", plan="team", mrr=100)
        put_in(account, paid)
        opened.append(
            tickets.open_ticket(
                account=account,
                subject=subject,
                body="Hello,\n\nit does so every day.",
                requester_email="priya@acme.test",
                priority=("normal", "urgent", "high")[number],
                by=None,
                now=now - dt.timedelta(hours=number * 40),
            )
        )
    article = kb.save_article(
        article=Article(), title="Export your notes", body="## How\n\n1. Open it\n\n`csv`", by=agent, now=now
    )
    kb.set_published(article_id=article.pk, published=True, by=agent, now=now)
    tickets.note(ticket_id=opened[0].pk, body="Seen before", by=agent, now=now)
    return opened


@pytest.mark.parametrize(("phone", "theme"), LOOKS)
def test_axe_finds_nothing(open_page, violations, admin, phone, theme):
    empty = ("/tickets/", "/tickets/?tab=solved", "/kb/", "/tiers/")
    found = {f"{path} empty": violations(open_page(admin, path, phone=phone, theme=theme)) for path in empty}
    ticket = a_desk(admin)[0]
    full = (
        "/tickets/",
        f"/tickets/{ticket.pk}/",
        "/tickets/new/",
        "/kb/",
        "/kb/export-your-notes/",
        "/kb/new/",
        "/tiers/",
        f"/tiers/{ticket.tier_id}/",
    )
    found |= {path: violations(open_page(admin, path, phone=phone, theme=theme)) for path in full}
    assert {path: words for path, words in found.items() if words} == {}


def test_a_ticket_is_worked_by_keyboard(open_page, agent):
    oldest = a_desk(agent)[2]
    page = open_page(agent, "/tickets/")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/tickets/{oldest.pk}/")
    page.keyboard.press("c")
    expect(page.get_by_role("complementary", name="About this ticket")).to_contain_text("Assignee: Ines Duarte")
    page.keyboard.press("r")
    page.keyboard.type("We found it.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("list", name="Messages")).to_contain_text("We found it.")
    page.keyboard.press("e")
    expect(page.get_by_role("button", name="Reopen")).to_be_visible()
    oldest.refresh_from_db()
    assert (oldest.status, oldest.assignee, oldest.messages.count()) == ("solved", agent, 2)


def test_who_comes_second_is_told(open_page, agent, admin):
    ticket = a_desk(agent)[0]
    page = open_page(agent, f"/tickets/{ticket.pk}/")
    tickets.take(ticket_id=ticket.pk, by=admin, now=timezone.now())
    page.keyboard.press("c")
    expect(page.get_by_role("status")).to_contain_text("Ada Okoye already has this ticket.")


def test_the_list_narrows_as_one_types(open_page, agent):
    a_desk(agent)
    page = open_page(agent, "/tickets/")
    page.get_by_role("searchbox", name="Search tickets").fill("SAML")
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page).to_have_url("/tickets/?tab=open&q=SAML")
