"""The frame in a real browser: log in, keys, palette, preferences, toasts, errors."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from accounts.models import StaffUser
from tests.conftest import PASSWORD
from tests.factories.pages import an_account


def test_log_in_and_out_by_keyboard(open_page, rep):
    page = open_page(None, "/accounts/")
    expect(page).to_have_url(re.compile(r"/login/\?next=/accounts/"))
    page.keyboard.type("dana")
    page.keyboard.press("Tab")
    page.keyboard.type("not the password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("do not go together")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Accounts")
    page.keyboard.press("Control+k")
    page.keyboard.type("log out")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_first_tab_skips_to_the_content(open_page, rep):
    page = open_page(rep, "/profile/")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_g_keys_navigate_until_shortcuts_are_off(open_page, rep):
    page = open_page(rep, "/profile/")
    page.keyboard.press("g")
    page.keyboard.press("a")
    expect(page).to_have_url(re.compile(r"/accounts/$"))
    page.keyboard.press("g")
    page.keyboard.press("m")
    expect(page).to_have_url(re.compile(r"/profile/$"))
    with page.expect_response("**/profile/preferences/"):
        page.get_by_label("Off").check()
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_timeout(300)
    expect(page).to_have_url(re.compile(r"/profile/$"))
    assert StaffUser.objects.get(pk=rep.pk).single_key_shortcuts is False
    page.keyboard.press("Control+k")
    expect(page.locator("input[role=combobox][name=q]")).to_be_focused()


def test_keys_are_left_alone_while_typing(open_page, rep):
    page = open_page(rep, "/accounts/")
    page.get_by_label("Name, domain or id").click()
    page.keyboard.type("g a?/")
    expect(page.get_by_label("Name, domain or id")).to_have_value("g a?/")
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_palette_finds_an_account_and_goes_there(open_page, rep):
    account = an_account("Kestrel Robotics", domain="kestrel.io")
    page = open_page(rep, "/profile/")
    page.keyboard.press("/")
    page.keyboard.type("kestrel")
    option = page.get_by_role("option", name="Kestrel Robotics")
    expect(option).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/accounts/{account.pk}/$"))


def test_palette_says_when_nothing_fits_and_closes(open_page, rep):
    page = open_page(rep, "/profile/")
    page.keyboard.press("/")
    page.keyboard.type("zzzz")
    expect(page.get_by_text("Nothing fits.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).not_to_be_visible()


def test_theme_is_saved_and_rendered_by_the_server(open_page, rep):
    page = open_page(rep, "/profile/")
    assert page.evaluate("document.documentElement.dataset.theme") == "auto"
    with page.expect_response("**/profile/preferences/"):
        page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    assert StaffUser.objects.get(pk=rep.pk).theme == "dark"
    assert 'data-theme="dark"' in page.request.get("/profile/").text()


def test_question_mark_lists_the_shortcuts_of_the_page(open_page, manager):
    account = an_account("Kestrel Robotics")
    page = open_page(manager, f"/accounts/{account.pk}/")
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(sheet.get_by_text("Set owner")).to_be_visible()
    expect(sheet.get_by_text("PQL inbox")).to_be_visible()


def test_a_request_that_fails_becomes_a_toast(open_page, rep):
    page = open_page(rep, "/profile/")
    page.route("**/profile/preferences/", lambda route: route.abort())
    page.get_by_role("button", name="Switch between light and dark").click()
    toast = page.locator("#toasts .toast")
    expect(toast).to_contain_text("could not be saved")
    toast.get_by_role("button", name="Close this message").click()
    expect(toast).to_have_count(0)


def test_phone_has_the_tab_bar_and_more(open_page, rep):
    page = open_page(rep, "/profile/", phone=True)
    bar = page.get_by_role("navigation", name="Main, compact")
    expect(bar).to_be_visible()
    bar.get_by_role("link", name="Accounts").click()
    expect(page).to_have_url(re.compile(r"/accounts/$"))
    page.get_by_role("button", name="More").click()
    expect(page.get_by_role("option", name="Your profile")).to_be_visible()
