"""The sales team's page in a real browser: by keyboard, on a phone, in both themes."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.factories.scoring import publish
from tests.scoring.test_team_page import a_handoff, because


@pytest.mark.parametrize("phone", [False, True])
def test_every_number_opens_its_handoffs(open_page, violations_by_theme, manager, rep, phone):
    now = timezone.now()
    version = publish(now)
    for number in range(3):
        made = a_handoff(
            now, owner=rep, status="lost", opened=9, claimed=8, touched=7, closed=number, outcome_reason="timing"
        )
        because(made, version, now)
    a_handoff(now, opened=2)
    page = open_page(manager, "/team/", phone=phone)
    assert violations_by_theme(page) == {"light": [], "dark": []}
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    table = page.get_by_role("region", name="The team", exact=True)
    assert table.evaluate("table => table.scrollWidth <= table.clientWidth"), "one scrolls sideways to read a line"
    page.get_by_role("link", name="Version").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("rowheader", name="Team expansion v1")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/team/\?by=version&days=90$"))
    row = page.get_by_role("row", name=re.compile("^Team expansion v1"))
    row.get_by_role("link", name="3", exact=True).last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Lost Team expansion v1")
    expect(page.get_by_role("row")).to_have_count(4)
    assert page.get_by_role("region", name="Lost").evaluate("table => table.scrollWidth <= table.clientWidth")
    assert violations_by_theme(page) == {"light": [], "dark": []}
    page.keyboard.press("u")
    expect(page).to_have_url(re.compile(r"/team/\?by=version&days=90$"))
