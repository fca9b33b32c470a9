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
    expect(page.locator("[data-row]")).to_contain_text("Send the quote")
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


def test_what_is_typed_while_an_answer_is_awaited_is_not_lost(open_page, rep, mine):
    """A note begun before the answer to the task came: the answer draws its field again."""
    page = open_page(rep, "/inbox/?tab=mine")
    held = []
    page.route("**/task/**", lambda route: held.append(route))
    page.keyboard.press("t")
    page.keyboard.type("Send the quote")
    page.keyboard.press("Enter")
    page.keyboard.press("n")
    page.keyboard.type("They wa")
    page.wait_for_timeout(50)  # the route is told of it
    held[0].continue_()
    expect(page.locator("#toasts")).to_contain_text("Next: Send the quote")
    page.keyboard.type("nt SSO")
    expect(page.locator("#note-text")).to_have_value("They want SSO")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#activity")).to_contain_text("They want SSO")
    expect(page.locator("#note-text")).to_have_value("")


def test_what_could_not_be_sent_is_in_its_field_again(open_page, rep, mine):
    page = open_page(rep, "/inbox/?tab=mine")
    page.route("**/note/**", lambda route: route.abort())
    page.keyboard.press("n")
    page.keyboard.type("They want SSO")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#toasts")).to_contain_text("Could not reach the server")
    expect(page.locator("#note-text")).to_have_value("They want SSO")
    expect(page.locator("#note-text")).to_be_focused()


def test_a_field_of_a_closed_dialog_takes_no_shortcut(open_page, rep, mine):
    """Until the next frame the browser leaves the focus where it was, in what nobody sees any more."""
    page = open_page(rep, f"/accounts/{mine.company_id}/")
    page.keyboard.press("/")
    page.locator("#palette input").evaluate(
        """(field) => {
            document.querySelector("#palette").close();
            field.dispatchEvent(new KeyboardEvent("keydown", { key: "?", bubbles: true, cancelable: true }));
        }"""
    )
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
