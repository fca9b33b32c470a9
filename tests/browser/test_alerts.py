"""Alerts in the browser: choosing is counted as one chooses, and axe finds nothing."""

from __future__ import annotations

import os

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import Destination, OutgoingMessage
from accounts.team import destinations
from scoring import alert_forecast, claim_links
from scoring.models import AlertRule
from tests.browser.test_shell_accessible import look_at
from tests.factories import desk
from tests.scoring.alert_world import definitions, listener, open_handoff

SHOTS = os.environ.get("PLGOPS_SHOTS", "")
DAYS = alert_forecast.DAYS


def shoot(page, name):
    """A picture for people, where somebody asked for one."""
    if SHOTS:
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            page.screenshot(path=f"{SHOTS}/{name}-{theme}.png")


@pytest.fixture
def world(manager, rep):
    now = timezone.now()
    expansion, steady = definitions()
    for number in range(9):
        at = now - timezone.timedelta(days=3 * number, hours=5)
        open_handoff(desk.company(number, now=now), (expansion, steady)[number % 2], at=at)
    mail = listener(rep, owner=rep, channel="email", name="E-mail", quiet=(19, 7), per_account=3, scope="open")
    listener(rep, owner=rep, name="Slack, myself", pace="bundled", is_on=False)
    team = listener(manager, name="#sales-pql", pace="bundled", quiet=(19, 7), per_account=1)
    crm = listener(manager, channel="signed", name="Data warehouse")
    gone = listener(manager, name="#old-sales")
    Destination.objects.filter(pk=gone.pk).update(disabled_at=now, disabled_reason="Answered 410: no_service")
    Destination.objects.filter(pk=crm.pk).update(failures=3, last_error="Answered 503: busy", paused_until=now)
    for number, (to, status) in enumerate(((team, "sent"), (crm, "failed"), (gone, "failed"), (mail, "waiting"))):
        OutgoingMessage.objects.create(
            public_id=destinations.new_id(),
            destination=to,
            content={"title": f"{desk.COMPANIES[number][0]} came into the inbox", "items": []},
            status=status,
            created_at=now - timezone.timedelta(hours=number),
            sent_at=now if status == "sent" else None,
            next_at=now + timezone.timedelta(minutes=8) if status == "waiting" else None,
            attempts=number * 3 + 1,
            last_error="" if status == "sent" else "Answered 503: upstream is busy",
        )
    return mail, team, crm, gone


@pytest.mark.parametrize("phone", [False, True])
def test_axe_finds_nothing(open_page, violations, world, admin, rep, phone):
    mail, team, crm, gone = world
    page = open_page(rep, "/alerts/", phone=phone)
    assert look_at(page, ["/alerts/", f"/alerts/{mail.pk}/"], violations) == {}
    page = open_page(admin, "/alerts/teams/", phone=phone)
    paths = ["/alerts/", "/alerts/teams/", *(f"/alerts/{one.pk}/" for one in (team, crm, gone))]
    paths += [f"/alerts/messages/?tab={tab}" for tab in ("failed", "waiting", "sent")]
    assert look_at(page, paths, violations) == {}


@pytest.mark.parametrize("phone", [False, True])
def test_a_claim_page(open_page, violations, world, rep, phone):
    handoff = open_handoff(desk.company(11, now=timezone.now()), definitions_again(), at=timezone.now())
    url = claim_links.address(handoff_id=handoff.pk, recipient_id=rep.pk, fact_id=1, at=timezone.now())
    path = "/" + url.split("/", 3)[3]
    page = open_page(None, path, phone=phone)
    shoot(page, f"claim-{'phone' if phone else 'desktop'}")
    assert look_at(page, [path], violations) == {}
    page.get_by_role("button", name="Claim for Dana Whitfield").click()
    expect(page.get_by_role("status").filter(has_text="Oakline Dental is yours")).to_be_visible()
    handoff.refresh_from_db()
    assert handoff.owner == rep
    assert violations(page) == []


def definitions_again():
    from scoring.models import Definition

    return Definition.objects.get(slug="steady-use")


def test_what_is_chosen_is_counted_at_once_and_saved(open_page, world, rep):
    mail, *_ = world
    page = open_page(rep, f"/alerts/{mail.pk}/")
    forecast = page.locator("#forecast")
    expect(forecast).to_contain_text("of 9 alerts")
    page.get_by_label("Mine only").check()
    expect(forecast).to_contain_text("of 0 alerts")
    page.get_by_label("Mine, and those that nobody has").check()
    page.get_by_label("Once a day", exact=True).check()
    expect(forecast).to_contain_text("of 9 alerts")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Saved. E-mail is on")).to_be_visible()
    assert AlertRule.objects.get(destination=mail).pace == "digest"


@pytest.mark.parametrize("phone", [False, True])
def test_nothing_is_wider_than_the_screen(open_page, world, admin, rep, phone):
    mail, team, *_ = world
    size = "phone" if phone else "desktop"
    for user, paths in (
        (rep, {"own": "/alerts/", "mail": f"/alerts/{mail.pk}/"}),
        (admin, {"teams": "/alerts/teams/", "team": f"/alerts/{team.pk}/", "messages": "/alerts/messages/"}),
    ):
        page = open_page(user, "/alerts/", phone=phone)
        for name, path in paths.items():
            page.goto(path)
            page.wait_for_load_state("networkidle")
            shoot(page, f"{name}-{size}")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
