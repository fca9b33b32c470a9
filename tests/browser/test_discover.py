"""Discovery in a real browser: ask, watch it answered, read it, and make a definition of a finding."""

import datetime as dt

import pytest
from django.utils import timezone

from accounts import lake
from scoring import discover
from scoring.models import Discovery
from tests.scoring.discovery_world import planted

THEMES = ["light", "dark"]


def chance(invites, runs, exports, views):
    return 0.6 if invites >= 3 and 2 <= exports <= 6 else 0.06


@pytest.fixture
def history(db):
    """A world with something to find, and the lake made of it."""
    planted(1500, chance=chance)
    lake.refresh(now=timezone.now(), whole=True)


@pytest.fixture
def answered(history, admin):
    asked = discover.checked(outcome="paid", first_days=14, within=60)
    row = discover.ask(asked=asked, by=admin, now=timezone.now())
    discover.run_next(clock=timezone.now)
    return row


def test_ask_wait_and_make_a_definition_by_keyboard(open_page, admin, history):
    page = open_page(admin, "/discover/")
    page.get_by_label("First days").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    page.get_by_text("A worker takes the question within seconds.").wait_for()
    assert page.get_by_role("heading", level=1).inner_text() == "Paid within 60 days after the first 7"
    discover.run_next(clock=timezone.now)
    page.get_by_role("heading", name="What goes with it").wait_for()  # polled, without a reload
    page.get_by_role("link", name="Make it a definition").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/definitions/new/?from=discovery:*")
    assert "Invite Sent" in page.locator("[name=text]").input_value()


def test_a_rule_goes_to_its_backtest(open_page, admin, answered):
    page = open_page(admin, f"/discover/{answered.pk}/")
    page.get_by_role("button", name="Backtest it").click()
    page.wait_for_url("**/definitions/backtest/")
    assert page.get_by_role("heading", level=1).count() == 1


def test_intervals_say_their_numbers_on_hover(open_page, admin, answered):
    page = open_page(admin, f"/discover/{answered.pk}/")
    page.locator(".forest .fp.second .fp-hit").first.hover()
    assert page.locator("#tip").inner_text().startswith("Later half: lift ")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("phone", [False, True])
def test_it_is_accessible(open_page, violations, admin, answered, theme, phone):
    Discovery.objects.create(
        outcome="paid", first_days=3, within=30, level="user", asked_at=timezone.now(), status="running",
        lease_until=timezone.now() + dt.timedelta(minutes=5), step="Trying pairs",
    )  # fmt: skip
    page = open_page(admin, "/discover/", phone=phone, theme=theme)
    assert violations(page) == []
    page = open_page(admin, f"/discover/{answered.pk}/", phone=phone, theme=theme)
    for summary in page.locator("details > summary").all():
        summary.click()
    assert violations(page) == []
