"""The accounts list and page by keyboard and mouse, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from accounts.models import Account
from tests.factories.pages import a_busy_account, an_account


def test_the_list_is_worked_by_keyboard(open_page, rep):
    for name, days_ago in (("Alder", 1), ("Birch", 2), ("Cedar", 3)):
        an_account(name, seen_days_ago=days_ago)
    page = open_page(rep, "/accounts/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.get_by_role("link", name="Birch")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Birch")
    page.wait_for_load_state()  # keys work once the scripts have run
    page.keyboard.press("3")
    expect(page).to_have_url(re.compile(r"\?tab=people$"))
    expect(page.get_by_text("Nobody is known yet")).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_role("heading", level=1)).to_have_text("Accounts")


def test_search_and_filter_swap_the_list_and_the_address(open_page, rep):
    an_account("Alder", plan="team")
    an_account("Birch", plan="free")
    page = open_page(rep, "/accounts/")
    page.keyboard.press("f")
    expect(page.get_by_label("Name, domain or id")).to_be_focused()
    page.keyboard.type("bir")
    expect(page.get_by_role("link", name="Alder")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"/accounts/\?q=bir&sort=seen$"))
    page.get_by_label("Name, domain or id").fill("")
    page.locator("select[name=plan]").select_option("team")
    expect(page.get_by_role("link", name="Alder")).to_be_visible()
    expect(page.get_by_role("link", name="Birch")).to_have_count(0)
    page.reload()
    expect(page.locator("select[name=plan]")).to_have_value("team")


def test_panels_load_and_say_when_they_cannot(open_page, rep):
    account = a_busy_account()
    page = open_page(rep, "/profile/")
    page.route("**/panels/qualification/", lambda route: route.abort())
    page.goto(f"/accounts/{account.pk}/")
    panel = page.locator("#panel-qualification")
    expect(panel).to_contain_text("This part did not load")
    page.unroute("**/panels/qualification/")
    panel.get_by_role("button", name="Try again").click()
    expect(panel).not_to_contain_text("This part did not load")


def test_the_chart_switches_between_people_and_events(open_page, rep):
    account = a_busy_account()
    page = open_page(rep, f"/accounts/{account.pk}/")
    page.get_by_role("button", name="Events", exact=True).click()
    expect(page.get_by_role("heading", name="Events a day")).to_be_visible()
    page.get_by_text("View as a table").click()
    expect(page.get_by_role("region", name="Numbers of the chart")).to_be_visible()


def test_an_owner_is_set_in_the_dialog(open_page, manager, rep):
    account = an_account("Alder")
    page = open_page(manager, f"/accounts/{account.pk}/")
    page.keyboard.press("a")
    page.get_by_role("dialog").get_by_label("Owner").select_option(label="Dana Whitfield")
    page.get_by_role("dialog").get_by_role("button", name="Set owner").click()
    expect(page.locator("#toasts")).to_contain_text("Dana Whitfield owns Alder now.")
    assert Account.objects.get(pk=account.pk).owner == rep


def test_an_account_is_merged_and_taken_back(open_page, admin):
    winner, loser = an_account("Winner"), an_account("Loser")
    page = open_page(admin, f"/accounts/{loser.pk}/")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("button", name="Merge into another account…").click()
    page.keyboard.type("win")
    page.get_by_label("Winner").check()
    page.get_by_role("button", name="Merge", exact=True).click()
    expect(page).to_have_url(re.compile(rf"/accounts/{winner.pk}/$"))
    page.get_by_role("button", name="Take back").click()
    expect(page).to_have_url(re.compile(rf"/accounts/{loser.pk}/$"))
    expect(page.locator("#toasts")).to_contain_text("stands on its own again")


def test_a_phone_opens_an_account_from_the_list(open_page, rep):
    an_account("Alder")
    page = open_page(rep, "/accounts/", phone=True)
    page.get_by_role("link", name="Alder").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Alder")


def test_the_menu_opens_at_its_button(open_page, admin):
    page = open_page(admin, f"/accounts/{an_account('Alder').pk}/")
    button = page.get_by_role("button", name="More actions")
    button.click()
    menu, opener = page.locator("#acct-menu").bounding_box(), button.bounding_box()
    assert 0 <= menu["y"] - (opener["y"] + opener["height"]) <= 8
    assert menu["x"] + menu["width"] >= opener["x"]


@pytest.mark.parametrize("phone", [False, True])
def test_the_whole_account_on_one_line_of_time(open_page, violations_by_theme, rep, phone):
    account = a_busy_account()
    page = open_page(rep, f"/accounts/{account.pk}/", phone=phone)
    talking = page.get_by_role("group", name=re.compile("^Who is talking to"))
    expect(talking.get_by_text("nobody of sales has it")).to_be_visible()
    expect(talking.get_by_text("No open ticket")).to_be_visible()
    assert violations_by_theme(page) == {"light": [], "dark": []}
    page.keyboard.press("2")
    expect(page.get_by_role("link", name="Everything")).to_be_visible()
    page.get_by_role("link", name="Signals").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"tab=timeline&show=signals$"))
    expect(page.get_by_text("one line a person and day")).to_be_visible()
    assert violations_by_theme(page) == {"light": [], "dark": []}
