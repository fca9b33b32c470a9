"""Snoozing, and several accounts at once, in real Chromium: by keyboard, on a phone, in both themes."""

import datetime as dt
import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from scoring import handoffs, snooze
from scoring.models import Handoff
from tests.factories import desk


@pytest.fixture
def queue(transactional_db):
    """Four new companies, newest evidence first."""
    return desk.desk(4, now=timezone.now())


@pytest.fixture
def mine(queue, rep):
    """Three of them are the rep's; one of these sleeps."""
    now = timezone.now()
    for one in queue[:3]:
        handoffs.claim(handoff_id=one.pk, by=rep, now=now)
    snooze.snooze(handoff_id=queue[2].pk, until=now + dt.timedelta(days=3), by=rep, now=now)
    return queue


def status(handoff):
    handoff.refresh_from_db()
    return handoff.status


def test_snooze_by_keyboard_and_undo(open_page, rep, mine):
    page = open_page(rep, "/inbox/?tab=mine")
    expect(page.locator("#det-h")).to_have_text("Lumen Analytics")
    page.keyboard.press("s")
    expect(page.locator("#snooze-until")).to_be_visible()
    expect(page.locator("#snooze-until [data-digit='1']")).to_be_focused()
    page.keyboard.press("1")
    expect(page.locator("#toasts")).to_contain_text("Snoozed Lumen Analytics until")
    expect(page.locator(f"#row-{mine[0].pk}")).to_have_count(0)
    expect(page.locator("#det-h")).to_have_text("Kestrel Robotics")
    assert status(mine[0]) == "snoozed"
    page.keyboard.press("z")
    expect(page.locator(f"#row-{mine[0].pk} [data-row]")).to_be_focused()
    assert status(mine[0]) == "claimed"
    mine[0].refresh_from_db()
    assert mine[0].wakes_on_evidence

    # a date, typed; the sleepers have a tab of their own, and are woken there
    page.keyboard.press("s")
    day = timezone.localtime().date() + dt.timedelta(days=12)
    page.locator("#snooze-until [name=day]").fill(day.isoformat())
    page.get_by_role("button", name="Snooze", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("Snoozed Lumen Analytics until")
    page.goto("/inbox/?tab=snoozed")
    expect(page.locator("[data-row]")).to_have_count(2)
    expect(page.locator("[data-row] .pql-n").first).to_have_text(mine[2].company.name)
    page.get_by_role("button", name="Wake now").click()
    expect(page.locator("#toasts")).to_contain_text("is awake")
    assert status(mine[2]) == "claimed"


def test_an_answer_from_before_an_undo_takes_nothing_out_of_the_queue(open_page, rep, queue):
    """The open account is claimed, its pane is asked for again, the claim is taken back; then the answer comes."""
    page, held = open_page(rep, "/inbox/"), []
    address = re.compile(rf"/inbox/{queue[0].pk}/")
    page.route(address, lambda route: route.continue_() if held else held.append(route))
    page.keyboard.press("x")
    page.keyboard.press("c")
    expect(page.locator("#toasts")).to_contain_text("Claimed 1 account")
    expect(page.locator("[data-row]")).to_have_count(3)
    late = held[0].fetch()
    assert "row-gone" in late.headers["hx-trigger"]
    page.keyboard.press("z")
    expect(page.locator("#toasts")).to_contain_text("Taken back: 1 account")
    expect(page.locator("[data-row]")).to_have_count(4)
    held[0].fulfill(response=late)
    expect(page.locator("#act-claim")).to_be_visible()  # fetched again: what came late said that it is taken
    expect(page.locator("[data-row]")).to_have_count(4)


def test_several_by_keyboard(open_page, rep, queue):
    page = open_page(rep, "/inbox/")
    expect(page.locator("#bulk")).not_to_be_visible()
    page.keyboard.press("x")
    expect(page.locator("#bulk")).to_contain_text("1 selected")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Shift+X")
    expect(page.locator("#bulk")).to_contain_text("3 selected")
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(page.locator("#bulk")).to_contain_text("2 selected")
    # what was walked past has loaded or been given up: an answer about an account that is claimed takes its row along
    expect(page.locator("#detail")).to_contain_text(queue[1].company.name)
    page.wait_for_load_state("networkidle")
    page.keyboard.press("c")
    expect(page.locator("#toasts")).to_contain_text("Claimed 2 accounts")
    expect(page.locator("#bulk")).not_to_be_visible()
    expect(page.locator("[data-row]")).to_have_count(2)
    assert [status(one) for one in queue] == ["claimed", "new", "claimed", "new"]
    page.keyboard.press("z")
    expect(page.locator("#toasts")).to_contain_text("Taken back: 2 accounts")
    expect(page.locator("[data-row]")).to_have_count(4)
    assert [status(one) for one in queue] == ["new"] * 4

    # a reason for several by its digit; Escape selects none
    page.locator(f"#row-{queue[3].pk} [data-pick]").check()
    page.keyboard.press("Escape")
    expect(page.locator("#bulk")).not_to_be_visible()
    page.locator(f"#row-{queue[2].pk} [data-pick]").check()
    page.locator(f"#row-{queue[3].pk} [data-pick]").check()
    page.keyboard.press("d")
    expect(page.locator("#bulk-why")).to_be_visible()
    page.keyboard.press("2")
    expect(page.locator("#toasts")).to_contain_text("Disqualified 2 accounts")
    assert [status(one) for one in queue] == ["new", "new", "disqualified", "disqualified"]
    assert set(Handoff.objects.exclude(closed_at=None).values_list("outcome_reason", flat=True)) == {"student"}


def test_what_somebody_else_took_meanwhile_is_told(open_page, rep, other_rep, queue):
    page = open_page(rep, "/inbox/")
    handoffs.claim(handoff_id=queue[1].pk, by=other_rep, now=timezone.now())
    for one in queue[:2]:
        page.locator(f"#row-{one.pk} [data-pick]").check()
    page.locator("#bulk").get_by_role("button", name="Claim").click()
    expect(page.locator("#toasts")).to_contain_text("Claimed 1 account; 1 could not be")
    page.get_by_text("1 could not be changed").click()
    expect(page.locator("#refused")).to_contain_text("Theo Marsh claimed Kestrel Robotics first.")


@pytest.mark.parametrize(("phone", "theme"), [(False, "light"), (False, "dark"), (True, "light"), (True, "dark")])
def test_nothing_is_out_of_reach(open_page, rep, mine, violations, phone, theme):
    page = open_page(rep, "/inbox/?tab=mine", phone=phone, theme=theme)
    page.locator("[data-pick]").first.check()
    assert violations(page) == []
    page.get_by_role("button", name="Snooze…").first.click()
    assert violations(page) == []
    page.goto(f"/inbox/{mine[2].pk}/?tab=snoozed")
    assert violations(page) == []
    page.get_by_role("button", name="Snooze…").last.click()
    assert violations(page) == []


def test_what_is_next_by_keyboard(open_page, rep, mine):
    page = open_page(rep, "/inbox/?tab=mine")
    page.keyboard.press("t")
    expect(page.locator("#next-text")).to_be_focused()
    page.keyboard.type("Call Priya about SSO")
    page.locator("#next [name=day]").fill(timezone.localdate().isoformat())
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Next: Call Priya about SSO")
    expect(page.locator("#next")).to_contain_text("Today")
    page.goto("/inbox/?tab=due")
    expect(page.locator("[data-row]")).to_contain_text("Call Priya about SSO")
    page.get_by_role("button", name="Done", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("Done: Call Priya about SSO")
    expect(page.locator("[data-row]")).to_have_count(0)


@pytest.mark.parametrize("phone", [False, True])
def test_the_list_of_reasons_is_within_reach(open_page, admin, violations_by_theme, phone):
    page = open_page(admin, "/inbox/reasons/", phone=phone)
    assert violations_by_theme(page) == {"light": [], "dark": []}


@pytest.mark.parametrize("phone", [False, True])
def test_a_view_is_saved_opened_and_updated_by_keyboard(open_page, violations_by_theme, manager, phone):
    page = open_page(manager, "/inbox/?sort=waiting", phone=phone)
    expect(page.get_by_role("button", name="Views")).to_be_visible()
    page.keyboard.press("v")
    menu = page.get_by_role("group", name="Saved views")
    menu.get_by_label("Save this view").fill("Waiting longest")
    menu.get_by_label("For everybody").check()
    assert violations_by_theme(page) == {"light": [], "dark": []}
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved as Waiting longest.")).to_be_visible()
    expect(page.get_by_role("button", name="Waiting longest", exact=True)).to_be_visible()
    page.goto(page.url.replace("sort=waiting", "sort=seats"))
    changed = page.get_by_role("button", name="Waiting longest changed")
    expect(changed).to_be_visible()
    changed.click()
    menu.get_by_role("button", name="Update Waiting longest").click()
    expect(page.get_by_text("Waiting longest shows this from now on.")).to_be_visible()
    page.goto("/inbox/")
    expect(page.get_by_role("button", name="Views")).to_be_visible()
    page.keyboard.press("v")
    page.get_by_role("link", name="Waiting longest").press("Enter")
    expect(page).to_have_url(re.compile(r"/inbox/\?sort=seats&view=\d+$"))
