"""The API's reference: every operation, readable by everybody, in both themes and on a phone."""

from playwright.sync_api import expect


def test_the_reference_opens_an_operation(open_page, rep, violations_by_theme):
    page = open_page(rep, "/api/docs/")
    line = page.locator("#handoffs-claim summary")
    line.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#handoffs-claim")).to_contain_text("already_claimed")
    expect(page.locator("#handoffs-claim")).to_contain_text("handoffs:write")
    assert not any(violations_by_theme(page).values())


def test_it_fits_a_phone(open_page, rep, violations):
    page = open_page(rep, "/api/docs/", phone=True)
    page.locator("#definitions-publish summary").click()
    cells = page.locator("#definitions-publish .over :is(tbody th, td)")
    assert cells.count() > 0
    beyond = (
        "cells => cells.filter((cell) => cell.getBoundingClientRect().right > innerWidth).map((one) => one.innerText)"
    )
    assert cells.evaluate_all(beyond) == []  # what a field means is read without scrolling sideways
    assert violations(page) == []


def test_a_token_is_made_and_revoked(open_page, rep, violations_by_theme):
    page = open_page(rep, "/tokens/")
    page.get_by_label("What it is for").fill("Nightly export")
    page.get_by_label("Read accounts").check()
    page.get_by_role("button", name="Create a token").click()
    assert page.get_by_label("Token", exact=True).input_value().startswith("plt_")
    assert not any(violations_by_theme(page).values())
    page.goto("/tokens/")
    page.get_by_role("button", name="Revoke the token for Nightly export").click()
    page.get_by_role("button", name="Revoke the token", exact=True).click()
    expect(page.get_by_role("row", name="Nightly export")).to_contain_text("Revoked")
