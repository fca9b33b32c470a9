"""Definition pages in real Chromium: publishing by hand, problems at their line, and what axe says."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from scoring import definitions
from scoring.models import Qualification
from tests.factories import desk


@pytest.fixture
def two(transactional_db):
    """Two definitions; under Steady use one company waits for release and one qualifies."""
    now = timezone.now()
    found = desk.staff_definitions(now)
    desk.qualify(desk.company(0, now=now), found[1], now=now, release="waiting")
    desk.qualify(desk.company(1, now=now), found[1], now=now)
    return found


def test_edit_with_a_mistake_then_publish(open_page, admin, two):
    page = open_page(admin, "/definitions/")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Steady use")
    page.wait_for_load_state()  # its keys are there
    page.keyboard.press("e")
    expect(page.get_by_role("heading", level=1)).to_have_text("Edit")

    page.get_by_role("tab", name="JSON").click()
    text = page.get_by_label("The definition as JSON")
    text.fill('{\n  "slug": "steady-use",\n  "name": "Steady use",\n  "purpose": "pql",\n  "level": "account"\n}\n\n')
    expect(page.locator(".gutter li")).to_have_count(8)  # line numbers follow what is typed
    problem = page.get_by_label("Also to correct").get_by_role("listitem")
    expect(problem).to_contain_text("“rule” is missing")
    text.press("Control+Enter")
    expect(page.get_by_role("dialog")).to_contain_text("The draft is not complete")
    expect(page.get_by_role("button", name="Publish the next version")).to_be_disabled()
    page.keyboard.press("Escape")
    page.locator("[data-line]").first.click()
    expect(text).to_be_focused()
    assert text.evaluate("element => element.selectionStart") == 0

    text.fill(
        '{"slug": "steady-use", "name": "Steady use", "purpose": "pql", "level": "account",\n'
        ' "rule": {"days": {"event": "*", "at_least": 6, "window": {"last_days": 14}}}}'
    )
    text.press("Control+Enter")
    page.get_by_label("Why this change").fill("Six days say more")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#toasts")).to_contain_text("Published version 2")
    expect(page.locator(".summ")).to_contain_text("at least 6 different days")
    expect(page.locator(".vers").first).to_contain_text("Six days say more")


def test_somebody_published_meanwhile(open_page, admin, manager, two):
    page = open_page(admin, "/definitions/steady-use/edit/")
    definitions.publish(
        document={**desk.STEADY_USE, "grace_days": 2}, by=manager, now=timezone.now(), reason="Shorter grace"
    )
    page.get_by_label("Grace days").fill("30")
    page.get_by_label("Grace days").press("Control+Enter")
    page.get_by_label("Why this change").fill("Longer grace")
    page.keyboard.press("Control+Enter")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Mara Lind published version 2")
    expect(alert.locator(".changes").first).to_contain_text("7 → became 2")
    expect(page.get_by_label("Grace days")).to_have_value("30")
    page.get_by_role("button", name="Publish mine over version 2").click()
    expect(page.locator("#toasts")).to_contain_text("Published version 3")


def test_release_asks_once(open_page, manager, two):
    page = open_page(manager, "/definitions/steady-use/")
    page.get_by_role("button", name="Release all").click()
    dialog = page.get_by_role("dialog", name="Release all 1?")
    dialog.get_by_role("button", name="Release all").click()
    expect(page.locator("#toasts")).to_contain_text("Released 1.")
    assert Qualification.objects.filter(release="released").count() == 1


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(open_page, admin, two, violations, phone, theme):
    page = open_page(admin, "/definitions/", phone=phone, theme=theme)
    assert violations(page) == []
    for path in ("/definitions/?archived=1", "/definitions/steady-use/", "/definitions/team-expansion/"):
        page.goto(path)
        assert violations(page) == [], path
    page.goto("/definitions/steady-use/edit/")
    page.get_by_role("tab", name="JSON").click()
    page.get_by_label("The definition as JSON").fill('{"slug": "steady-use",\n "purpose": "x"}')
    expect(page.get_by_label("Also to correct").get_by_role("listitem")).to_have_count(3)
    assert violations(page) == []
