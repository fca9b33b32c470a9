"""A text that a shortcut led into is left again: by Escape, and once what was written is kept."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from scoring import handoffs
from scoring.models import HandoffActivity, NextTask
from tests.factories import desk


@pytest.fixture
def mine(transactional_db, rep):
    (one,) = desk.desk(1, now=timezone.now())
    handoffs.claim(handoff_id=one.pk, by=rep, now=timezone.now())
    return one


def test_shortcuts_work_again_after_a_task_and_a_note_in_the_inbox(open_page, rep, mine):
    page = open_page(rep, "/inbox/?tab=mine")
    page.keyboard.press("t")
    expect(page.locator("#next-text")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("[data-row]")).to_be_focused()

    page.keyboard.press("t")
    page.keyboard.type("Send the quote")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Next: Send the quote")
    expect(page.locator("[data-row]")).to_be_focused()
    page.keyboard.press("t")  # written anew, not added to
    page.keyboard.type("Call them")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Next: Call them")
    assert NextTask.objects.get().text == "Call them"

    page.keyboard.press("n")
    page.keyboard.type("They want SSO")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#toasts")).to_contain_text("Note added")
    expect(page.locator("[data-row]")).to_be_focused()
    page.keyboard.press("z")
    expect(page.locator("#activity")).not_to_contain_text("They want SSO")
    assert not HandoffActivity.objects.exists()


def test_shortcuts_work_again_after_a_note_on_the_account_page(open_page, rep, mine):
    page = open_page(rep, f"/accounts/{mine.company_id}/")
    page.keyboard.press("n")
    note = page.locator("#panel-work textarea")
    expect(note).to_be_focused()
    page.keyboard.press("Escape")
    expect(note).not_to_be_focused()
    page.keyboard.press("n")
    page.keyboard.type("They want SSO")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#panel-work .acty")).to_contain_text("They want SSO")
    expect(page.locator("#panel-work textarea")).not_to_be_focused()
    page.keyboard.press("2")
    expect(page).to_have_url(re.compile(r"tab=timeline"))
    expect(page.locator(".tl-all")).to_contain_text("wrote a note They want SSO")
