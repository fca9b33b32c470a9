"""The backtest page in real Chromium: by keyboard and by mouse, of versions and drafts, and what axe says."""

import re
from urllib.parse import urlencode

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts import lake
from scoring import definitions
from tests.conftest import NOW
from tests.factories import backtest

PAGE = f"/definitions/team-expansion/backtest/?{urlencode(backtest.PERIOD)}"


@pytest.fixture
def world(transactional_db):
    """Five accounts and two versions; known up to 14 June 2026."""
    found = backtest.world()
    definitions.publish(document=backtest.LAXER, by=None, now=NOW, reason="One is enough")
    return found


def figure(page, name):
    """The numbers of a figure."""
    return page.locator(".bt-figures tr", has=page.get_by_text(name, exact=True)).locator("td")


def test_from_the_definition_to_the_accounts_by_keyboard(open_page, rep, world):
    page = open_page(rep, "/definitions/team-expansion/")
    page.keyboard.press("b")
    expect(page.get_by_role("heading", level=1)).to_have_text("Backtest")
    page.get_by_label("Beside it").select_option("1")
    page.get_by_label("From").fill("2026-05-01")
    page.get_by_label("Within days").fill("14")
    page.get_by_label("Within days").press("Enter")
    expect(page.locator(".bt-r .summ").first).to_contain_text("v2: 4 accounts would have been flagged")
    assert "against=1" in page.url and "within=14" in page.url  # it can be passed on
    expect(figure(page, "Flagged by it only")).to_have_text(["1", "0", "+1"])
    number = figure(page, "Flagged by it only").first.get_by_role("link")
    number.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="The accounts behind it")
    expect(dialog).to_contain_text("Flagged by this version only")
    expect(dialog.get_by_role("row")).to_have_text([re.compile("Account"), re.compile("Short")])
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(number).to_be_focused()


def test_a_bar_and_its_table_open_the_same_accounts(open_page, rep, world):
    page = open_page(rep, PAGE)
    bars = page.locator(".col[hx-get]")
    bars.first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("link", name="Early")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_text("View as a table").first.click()
    page.get_by_role("row", name=re.compile("1 May")).first.get_by_role("link").first.click()
    expect(dialog.get_by_role("link", name="Early")).to_be_visible()
    with page.expect_download() as download:
        dialog.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == "team-expansion-flagged.csv"


def test_what_the_missed_lacked(open_page, rep, world):
    page = open_page(rep, PAGE + "&version=1")
    row = page.locator(".bt-lacked tbody tr").first
    expect(row).to_contain_text("“Invite Sent” at least 3 times")
    row.get_by_role("link").first.click()  # all that lacked it; beside it those who lacked nothing else
    expect(page.get_by_role("dialog")).to_contain_text("(2 events off)")


def test_a_mistake_stays_in_its_field(open_page, rep, world):
    page = open_page(rep, PAGE)
    page.get_by_role("combobox", name="Outcome").fill("Nothing like it")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("No stage and no event has this name.")).to_be_visible()
    expect(page.get_by_role("combobox", name="Outcome")).to_have_value("Nothing like it")
    assert page.locator("#result").count() == 0


def test_a_draft_from_the_editor_beside_what_is_live(open_page, admin, world):
    page = open_page(admin, "/definitions/team-expansion/edit/")
    with page.context.expect_page() as opened:
        page.locator("header.bar").first.get_by_role("button", name="Backtest").click()
    draft = opened.value
    expect(draft.get_by_text("Draft, not published")).to_be_visible()
    draft.get_by_label("From").fill("2026-05-01")
    draft.get_by_role("button", name="Run").click()
    expect(draft.locator(".bt-r .summ")).to_have_count(2)
    figure(draft, "Flagged").first.get_by_role("button").click()
    dialog = draft.get_by_role("dialog")
    expect(dialog.get_by_role("link", name="Short")).to_be_visible()
    with draft.expect_download() as download:
        dialog.get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename == "team-expansion-flagged.csv"
    expect(dialog.get_by_role("button", name="CSV")).not_to_have_attribute("aria-busy", "true")


def test_a_lake_that_is_not_there_yet_is_waited_for(open_page, rep, transactional_db):
    definitions.publish(document=backtest.LIVE, by=None, now=NOW)
    page = open_page(rep, PAGE)
    expect(page.get_by_text("There is no answer now")).to_be_visible()
    lake.refresh(now=NOW)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".bt-r .summ")).to_contain_text("Nobody would have been flagged")


def test_weekly_figures_say_when_they_are_restated(open_page, rep, world):
    lake.refresh(now=timezone.now(), whole=True)
    page = open_page(rep, "/definitions/team-expansion/")
    weeks = page.locator("#weeks")
    expect(weeks.get_by_role("button", name="As reported")).to_have_attribute("aria-pressed", "true")
    switch = weeks.get_by_role("button", name="Restated under v1")
    switch.focus()
    page.keyboard.press("Enter")
    expect(weeks.get_by_role("status")).to_contain_text("had version 1 been live all along")
    expect(weeks.get_by_role("button", name="Restated under v1")).to_be_focused()


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(open_page, admin, world, violations, phone, theme):
    page = open_page(admin, PAGE, phone=phone, theme=theme)
    expect(page.locator(".bt-lacked")).to_be_visible()
    assert violations(page) == []
    for summary in page.locator(".bt summary").all():
        summary.click()
    assert violations(page) == []
    figure(page, "Missed").first.get_by_role("link").click()
    expect(page.get_by_role("dialog").get_by_role("link", name="Plan")).to_be_visible()
    assert violations(page) == []
    page.goto(PAGE + "&version=2&against=1")
    expect(page.locator(".bt-lacked").first).to_be_visible()
    assert violations(page) == []
    page.goto(PAGE + "&outcome=x&to=2030-01-01")
    assert violations(page) == []
    page.goto("/definitions/team-expansion/")
    page.get_by_role("button", name="Restated under v1").click()
    expect(page.locator("#weeks").get_by_role("status")).to_be_visible()
    assert violations(page) == []
