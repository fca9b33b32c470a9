"""axe finds nothing on the pages of the frame and of accounts: both themes, both widths, empty and full."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.factories.pages import a_busy_account, an_account

LOOKS = [(phone, theme) for phone in (False, True) for theme in ("light", "dark")]


@pytest.mark.parametrize(("phone", "theme"), LOOKS)
def test_pages_of_the_frame(open_page, violations, admin, phone, theme):
    found = {}
    for path in ("/profile/", "/password/", "/kit/", "/nothing-here/"):
        found[path] = violations(open_page(admin, path, phone=phone, theme=theme))
    for path in ("/login/", "/nothing-here/"):
        found[f"{path} signed out"] = violations(open_page(None, path, phone=phone, theme=theme))
    assert {path: words for path, words in found.items() if words} == {}


@pytest.mark.parametrize(("phone", "theme"), LOOKS)
def test_pages_of_accounts(open_page, violations, admin, phone, theme):
    empty = violations(open_page(admin, "/accounts/", phone=phone, theme=theme))
    account = a_busy_account(mrr=175, seats=5, plan="team", owner=admin, is_provisional=True)
    bare = an_account("Harbor and Pine", seen_days_ago=None)
    found = {"empty": empty}
    for tab in ("overview", "people", "events", "revenue", "history"):
        for name, which in (("full", account), ("bare", bare)):
            page = open_page(admin, f"/accounts/{which.pk}/?tab={tab}", phone=phone, theme=theme)
            found[f"{tab} {name}"] = violations(page)
    found["list"] = violations(open_page(admin, "/accounts/", phone=phone, theme=theme))
    assert {path: words for path, words in found.items() if words} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_dialogs_and_the_palette(open_page, violations, admin, theme):
    account = a_busy_account()
    page = open_page(admin, f"/accounts/{account.pk}/", theme=theme)
    found = {}
    page.keyboard.press("a")
    expect(page.get_by_role("dialog", name="Who owns Lumen Analytics?")).to_be_visible()
    found["owner"] = violations(page)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    found["shortcuts"] = violations(page)
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("lumen")
    expect(page.get_by_role("option", name="Lumen Analytics")).to_be_visible()
    found["palette"] = violations(page)
    assert {name: words for name, words in found.items() if words} == {}
