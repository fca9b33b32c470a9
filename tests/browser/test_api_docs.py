"""The API's description as a page: it comes from this host alone, and the content security policy lets it work."""

import re

from playwright.sync_api import expect


def test_the_reference_shows_every_operation_and_asks_one(open_page, rep):
    page = open_page(rep, "/api/docs/")
    expect(page.get_by_role("heading", name="handoffs")).to_be_visible()
    page.get_by_role("button", name=re.compile("List accounts")).first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_text('"accounts": []').first).to_be_visible()
