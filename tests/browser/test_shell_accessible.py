"""axe finds nothing on the pages of the frame and of accounts: both themes, both widths, empty and full."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.factories.pages import a_busy_account, an_account


def look_at(page: Page, paths: list[str], violations) -> dict[str, list[str]]:
    """What axe finds on these addresses in both themes; only where there is something."""
    found = {}
    for path in paths:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            found[f"{path} {theme}"] = violations(page)
    return {name: words for name, words in found.items() if words}


@pytest.mark.parametrize("phone", [False, True])
def test_pages_of_the_frame(open_page, violations, admin, phone):
    signed_in = ["/profile/", "/password/", "/kit/", "/nothing-here/"]
    assert look_at(open_page(admin, "/profile/", phone=phone), signed_in, violations) == {}
    assert look_at(open_page(None, "/login/", phone=phone), ["/login/", "/nothing-here/"], violations) == {}


@pytest.mark.parametrize("phone", [False, True])
def test_pages_of_accounts(open_page, violations, admin, phone):
    page = open_page(admin, "/profile/", phone=phone)
    assert look_at(page, ["/accounts/"], violations) == {}
    full = a_busy_account(mrr=175, seats=5, plan="team", owner=admin, is_provisional=True)
    bare = an_account("Harbor and Pine", seen_days_ago=None)
    tabs = ("overview", "people", "events", "revenue", "history")
    paths = [f"/accounts/{account.pk}/?tab={tab}" for account in (full, bare) for tab in tabs]
    assert look_at(page, ["/accounts/", *paths], violations) == {}


def test_dialogs_and_the_palette(open_page, violations, admin):
    account = a_busy_account()
    page = open_page(admin, f"/accounts/{account.pk}/")
    found = {}
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.keyboard.press("a")
        expect(page.get_by_role("dialog", name="Who owns Lumen Analytics?")).to_be_visible()
        found["owner", theme] = violations(page)
        page.keyboard.press("Escape")
        expect(page.locator("dialog[open]")).to_have_count(0)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
        found["shortcuts", theme] = violations(page)
        page.keyboard.press("Escape")
        expect(page.locator("dialog[open]")).to_have_count(0)
        page.keyboard.press("/")
        page.keyboard.type("lumen")
        expect(page.get_by_role("option", name="Lumen Analytics")).to_be_visible()
        found["palette", theme] = violations(page)
        page.keyboard.press("Escape")
        expect(page.locator("dialog[open]")).to_have_count(0)
    assert {name: words for name, words in found.items() if words} == {}
