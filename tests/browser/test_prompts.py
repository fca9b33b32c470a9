"""The script in a page of the customer's product, and the pages of plays, in a real browser."""

from __future__ import annotations

import pytest
from django.utils import timezone

from scoring import firing, playbook
from scoring.models import Play, PlayRun, PromptView
from tests.factories.scoring import make_account, make_user, publish, sweep, use


@pytest.fixture
def play(admin):
    """A dialog with hostile words, fired for a company."""
    now = timezone.now()
    publish(now)
    content = {
        "headline": "Seats are full <img src=x onerror=alert(1)>",
        "body": "The next plan has room for the whole team.",
        "button": "See plans",
        "url": "/plans",
        "style": "modal",
    }
    made = playbook.create(
        playbook.Wanted("Seats", Play.objects.get().definition, "prompt", values={"content": content, "priority": 150}),
        by=admin,
        now=now,
    )
    made = playbook.move(play_id=made.pk, verb="start", by=admin, now=now)
    account = make_account("Lumen Analytics", recorded_at=now, plan="free")
    make_user(account, "kim")
    sweep(now)
    use(account, "Invite Sent", at=timezone.now(), count=3)
    sweep(timezone.now())
    firing.decide_due(now=timezone.now())
    return made


def style(play: Play, name: str) -> None:
    play.content = play.content | {"style": name}
    play.save()


def test_the_dialog_holds_the_focus_closes_by_escape_and_shows_words_as_words(
    open_page, viewer, play, violations_by_theme
):
    page = open_page(viewer, f"/plays/{play.slug}/sample/")
    dialog = page.get_by_role("dialog", name="Seats are full <img src=x onerror=alert(1)>")
    assert dialog.is_visible()
    assert page.evaluate("document.querySelector('main').matches(':focus-within')") is False
    focused = "document.activeElement.shadowRoot?.activeElement?.textContent"
    assert page.evaluate(focused) == "See plans"
    seen = set()
    for _ in range(6):
        page.keyboard.press("Tab")
        seen.add(page.evaluate(f"document.activeElement === document.body ? '' : {focused}"))
    assert {"Not now", "See plans"} <= seen <= {"", "Not now", "See plans"}
    assert violations_by_theme(page) == {"light": [], "dark": []}
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    assert PromptView.objects.count() == 0


@pytest.mark.parametrize("phone", [False, True])
def test_the_banner_leaves_the_page_usable_and_goes_when_it_is_dismissed(
    open_page, viewer, play, phone, violations_by_theme
):
    style(play, "banner")
    page = open_page(viewer, f"/plays/{play.slug}/sample/", phone=phone)
    page.get_by_label("Invite a teammate").fill("a@b.test")
    banner = page.get_by_role("region", name="Seats are full")
    assert banner.is_visible()
    assert violations_by_theme(page) == {"light": [], "dark": []}
    page.get_by_role("button", name="Not now").click()
    assert banner.count() == 0


@pytest.mark.parametrize("phone", [False, True])
def test_the_pages_of_plays_are_accessible(open_page, admin, play, phone, violations_by_theme):
    for path in ("/plays/", f"/plays/{play.slug}/", "/plays/new/", "/plays/prompts/", "/cs-tasks/"):
        page = open_page(admin, path, phone=phone)
        assert violations_by_theme(page) == {"light": [], "dark": []}, path


def test_ninety_days_are_looked_at_without_leaving_the_page(open_page, admin, play):
    page = open_page(admin, f"/plays/{play.slug}/")
    page.get_by_label("Audience").fill("plan is business")
    page.get_by_role("button", name="Look at 90 days").click()
    page.get_by_text("0 of 1 in 90 days").wait_for()
    page.get_by_role("link", name="Fired 1", exact=False).click()
    page.wait_for_url("**tab=fired")
    assert page.get_by_role("link", name="Lumen Analytics").is_visible()
    assert PlayRun.objects.filter(status="fired").count() == 1
