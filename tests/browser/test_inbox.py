"""The inbox in real Chromium: by keyboard alone, two people at once, on a phone, and for who cannot see it."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from scoring.models import Handoff, HandoffActivity
from tests.factories import desk


@pytest.fixture
def queue(transactional_db):
    """Four unclaimed companies, newest evidence first."""
    return desk.desk(4, now=timezone.now())


def current(page):
    return page.locator("[data-row][aria-current] .pql-n")


def test_the_whole_work_by_keyboard_alone(open_page, rep, queue):
    page = open_page(rep, "/inbox/")
    expect(current(page)).to_have_text("Lumen Analytics")
    expect(page.locator("#det-h")).to_have_text("Lumen Analytics")

    # move: the detail follows after a short rest, the address with it
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(current(page)).to_have_text("Harbor & Pine")
    expect(page.locator("#det-h")).to_have_text("Harbor & Pine")
    page.keyboard.press("k")
    expect(page.locator("#det-h")).to_have_text("Kestrel Robotics")
    expect(page).to_have_url(f"{page.url.split('/inbox/')[0]}/inbox/{queue[1].pk}/?tab=new")

    # claim: the row leaves, the counts follow, the account stays open, the keyboard is on the next row
    page.keyboard.press("c")
    expect(page.locator("#toasts")).to_contain_text("Claimed Kestrel Robotics")
    expect(page.locator("#tabs [aria-current] .n")).to_have_text("3")
    expect(page.locator(f"#row-{queue[1].pk}")).to_have_count(0)
    expect(page.locator("#nav-inbox")).to_contain_text("3")
    expect(page.locator("#det-h")).to_have_text("Kestrel Robotics")
    expect(page.locator(f"#row-{queue[2].pk} [data-row]")).to_be_focused()
    queue[1].refresh_from_db()
    assert (queue[1].status, queue[1].owner) == ("claimed", rep)

    # undo: it is back in its place, and focused
    page.keyboard.press("z")
    expect(page.locator(f"#row-{queue[1].pk} [data-row]")).to_be_focused()
    expect(page.locator("#tabs [aria-current] .n")).to_have_text("4")
    queue[1].refresh_from_db()
    assert (queue[1].status, queue[1].owner) == ("new", None)

    # claim again, record touches, write a note
    page.keyboard.press("c")
    expect(page.locator("#det-top")).to_contain_text("Yours")
    page.keyboard.press("e")
    expect(page.locator("#activity")).to_contain_text("E-mailed")
    page.keyboard.press("p")
    expect(page.locator("#activity")).to_contain_text("Called")
    page.keyboard.press("n")
    expect(page.locator("#note-text")).to_be_focused()
    page.keyboard.type("Wants SSO first: j and k are letters here.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#activity .acty")).to_contain_text("Wants SSO first")
    expect(page.locator("#note-text")).to_have_value("")
    kinds = HandoffActivity.objects.filter(handoff=queue[1]).order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["emailed", "called", "note"]

    # close with a reason by its digit: the menu opens on its first reason
    page.keyboard.press("Escape")
    page.keyboard.press("l")
    expect(page.locator("#why-lost")).to_be_visible()
    page.keyboard.press("2")
    expect(page.locator("#toasts")).to_contain_text("Kestrel Robotics: lost")
    expect(page.locator("#why-lost")).not_to_be_visible()
    queue[1].refresh_from_db()
    assert (queue[1].status, queue[1].outcome_reason) == ("lost", "timing")

    # dismiss one from the queue: the next opens by itself
    page.keyboard.press("j")
    expect(page.locator("#det-h")).not_to_have_text("Kestrel Robotics")
    leaving = page.locator("#det-h").inner_text()
    page.keyboard.press("d")
    page.keyboard.press("1")
    expect(page.locator("#toasts")).to_contain_text(f"{leaving}: disqualified")
    expect(page.locator("#det-h")).not_to_have_text(leaving)
    expect(page.locator("#tabs [aria-current] .n")).to_have_text("2")

    # the keys explain themselves
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_contain_text("Claim")


def test_undo_opens_what_it_takes_back(open_page, rep, queue):
    page = open_page(rep, "/inbox/")
    first, second = "Lumen Analytics", "Kestrel Robotics"
    expect(current(page)).to_have_text(first)
    page.keyboard.press("c")
    expect(page.locator("#det-top")).to_contain_text("Yours")

    # the next account is open when the claim is taken back: head and body are of the one that came back
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator("#det-h")).to_have_text(second)
    page.keyboard.press("z")
    expect(page.locator("#det-h")).to_have_text(first)
    expect(page.get_by_role("region", name=f"{first} details")).to_be_visible()
    expect(page).to_have_url(f"{page.url.split('/inbox/')[0]}/inbox/{queue[0].pk}/?tab=new")
    expect(page.locator("#toasts [data-key=z]")).to_have_count(0)  # and is not offered a second time

    # an outcome too
    page.keyboard.press("d")
    page.keyboard.press("2")
    expect(page.locator("#toasts")).to_contain_text(f"{first}: disqualified")
    expect(page.locator("#det-h")).to_have_text(second)
    page.keyboard.press("z")
    expect(page.locator("#det-h")).to_have_text(first)
    queue[0].refresh_from_db()
    assert (queue[0].status, queue[0].cooldown_until) == ("new", None)


@pytest.mark.parametrize("phone", [False, True])
def test_what_is_said_of_an_action_covers_no_notes_and_no_buttons(open_page, rep, queue, phone):
    handoff = queue[0]
    Handoff.objects.filter(pk=handoff.pk).update(status="claimed", owner=rep, claimed_at=timezone.now())
    page = open_page(rep, f"/inbox/{handoff.pk}/?tab=mine", phone=phone)
    if not phone:
        tops = page.locator("#acts .acts-g > :is(form:not([popover]), .btn)").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().top)"
        )
        assert len(tops) == 8 and max(tops) - min(tops) < 1, "eight actions stand in one row"
    for name in ("Called", "E-mailed"):
        page.get_by_role("button", name=name).click()
        expect(page.locator("#activity")).to_contain_text(name)
    expect(page.locator(".toast")).to_have_count(2)

    def box(selector):
        return page.locator(selector).evaluate(
            "e => (({top, right, bottom, left}) => [top, right, bottom, left])(e.getBoundingClientRect())"
        )

    top, right, bottom, left = box("#toasts")
    for part in (".det-b", "#acts"):
        its_top, its_right, its_bottom, its_left = box(part)
        apart = its_bottom <= top or its_top >= bottom or its_right <= left or its_left >= right
        assert apart, (part, box(part), box("#toasts"))
    # nothing but the account's own pane scrolls: its buttons stay where they are whatever takes the focus
    assert page.locator("#main").evaluate("main => main.scrollHeight - main.clientHeight") == 0


def test_keys_that_are_faster_than_the_server(open_page, rep, queue):
    page = open_page(rep, "/inbox/")
    first, second = "Lumen Analytics", "Kestrel Robotics"
    expect(current(page)).to_have_text(first)

    # a claim that comes while the next account loads is a claim of that one
    page.keyboard.press("j")
    page.keyboard.press("c")
    expect(page.locator("#toasts")).to_contain_text(f"Claimed {second}")
    expect(page.locator("#det-h")).to_have_text(second)

    # the account that was touched stays open until the touch is answered
    held = []
    page.route("**/touch/**", lambda route: held.append(route))  # playwright wants a function of its own
    page.keyboard.press("e")
    page.keyboard.press("j")
    expect(current(page)).to_have_text("Harbor & Pine")
    page.wait_for_timeout(300)  # three times the rest after which an account opens
    expect(page.locator("#det-h")).to_have_text(second)
    held[0].continue_()
    expect(page.locator("#toasts")).to_contain_text("Recorded: e-mailed")
    expect(page.locator("#det-h")).to_have_text("Harbor & Pine")
    assert list(queue[1].activities.values_list("kind", flat=True)) == ["emailed"]


def test_search_and_filter_by_keyboard(open_page, rep, queue):
    page = open_page(rep, "/inbox/")
    page.keyboard.press("/")
    expect(page.get_by_label("Search the queue").last).to_be_focused()
    page.keyboard.type("solace")
    expect(page.locator(".pql-n")).to_have_text(["Solace Health"])
    expect(page).to_have_url(page.url.split("/inbox/")[0] + "/inbox/?q=solace")
    page.keyboard.press("Escape")  # empties the search and leaves it
    expect(page.locator(".pql-n")).to_have_count(4)
    page.keyboard.press("f")
    expect(page.locator("#filter")).to_be_visible()
    page.get_by_label("At least so many seats").fill("500")
    page.keyboard.press("Enter")
    expect(page.locator("#rows")).to_contain_text("Nothing fits these filters")
    page.get_by_role("link", name="Clear the filters").click()
    expect(page.locator(".pql-n")).to_have_count(4)


def test_the_address_holds_only_what_was_asked_for(open_page, rep, queue):
    page = open_page(rep, "/inbox/")
    inbox = page.url
    search = page.get_by_label("Search the queue").first
    search.fill("pine")
    expect(page).to_have_url(f"{inbox}?q=pine")
    search.fill("")
    expect(page).to_have_url(inbox)
    expect(page.locator("[data-row]")).to_have_count(4)
    page.get_by_role("button", name="Filter").click()
    page.locator("#filter select[name=plan]").select_option("trial")
    page.locator("#filter").get_by_role("button", name="Apply").click()  # a plain form: the browser sends it
    expect(page).to_have_url(f"{inbox}?plan=trial")
    expect(page.locator("[data-row]")).to_have_count(1)


def test_the_chart_of_use_comes_when_it_is_seen(open_page, rep, queue):
    page = open_page(rep, "/accounts/")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/use/") else None)
    page.set_viewport_size({"width": 1440, "height": 500})
    page.goto("/inbox/")
    page.wait_for_load_state("networkidle")
    assert asked == []
    page.locator(".plot-140").scroll_into_view_if_needed()
    expect(page.locator(".plot-140 .chart")).to_be_visible()
    assert len(asked) == 1


def test_holding_j_loads_one_detail(open_page, rep, queue):
    page = open_page(rep, "/inbox/")
    asked = []
    page.on("request", lambda r: asked.append(r.url) if r.headers.get("hx-target") == "detail" else None)
    page.evaluate(
        """() => { for (let i = 0; i < 3; i++)
             document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "j", bubbles: true })); }"""
    )
    expect(page.locator("#det-h")).to_have_text("Solace Health")
    assert len(asked) == 1


def test_two_people_claim_at_once_and_one_is_told_who_won(open_page, rep, other_rep, queue):
    mine, theirs = open_page(rep, f"/inbox/{queue[0].pk}/"), open_page(other_rep, f"/inbox/{queue[0].pk}/")
    mine.keyboard.press("c")
    expect(mine.locator("#det-top")).to_contain_text("Yours")

    theirs.keyboard.press("c")
    expect(theirs.locator("#toasts")).to_contain_text("Dana Whitfield claimed Lumen Analytics first.")
    # the pane says whose it is now, and the row has left the queue
    expect(theirs.locator("#det-top")).to_contain_text("Dana Whitfield")
    expect(theirs.locator("#act-claim")).to_have_count(0)
    expect(theirs.locator(f"#row-{queue[0].pk}")).to_have_count(0)
    queue[0].refresh_from_db()
    assert queue[0].owner == rep


def test_new_accounts_wait_behind_a_bar(open_page, rep, queue):
    now = timezone.now()
    page = open_page(rep, "/inbox/")
    page.keyboard.press("j")
    expect(page.locator("#det-h")).to_have_text("Kestrel Robotics")
    desk.handoff(desk.company(4, now=now), now=now, newest_evidence_at=now)
    page.evaluate("document.body.dispatchEvent(new CustomEvent('tick'))")
    expect(page.locator("#news")).to_have_text("1 new account")
    expect(page.locator(".pql-n").first).to_have_text("Lumen Analytics")  # nothing moved under the cursor
    page.locator("#news a").click()
    expect(page.locator(".pql-n").first).to_have_text("Brightwater Energy")


def test_on_a_phone(open_page, rep, queue, violations):
    page = open_page(rep, "/inbox/", phone=True)
    expect(page.locator("#detail")).not_to_be_visible()
    page.locator(".pql-a").nth(1).tap()
    page.wait_for_url(f"**/inbox/{queue[1].pk}/**")
    expect(page.locator("#det-h")).to_be_visible()
    expect(page.locator("#rows")).not_to_be_visible()
    page.get_by_role("button", name="Claim").tap()
    expect(page.locator("#det-top")).to_contain_text("Yours")
    page.get_by_role("button", name="Met").tap()
    expect(page.locator("#activity")).to_contain_text("Met")
    assert violations(page) == []
    page.get_by_role("button", name="Return").tap()
    expect(page.locator("#why-returned")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Too early").tap()
    expect(page.locator("#det-top")).to_contain_text("Returned to self-serve")
    page.get_by_role("link", name="Back to the queue").tap()
    expect(page.locator(".pql-n")).to_have_count(3)
    assert Handoff.objects.get(pk=queue[1].pk).status == "returned"


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(open_page, rep, manager, viewer, queue, violations, phone, theme):
    now = timezone.now()
    Handoff.objects.filter(pk=queue[2].pk).update(
        status="working", owner=rep, claimed_at=now, paid_at=now, rule_lapsed_at=now
    )
    Handoff.objects.filter(pk=queue[3].pk).update(
        status="lost", closed_at=now, closed_by=rep, outcome_reason="timing", outcome_note="In March."
    )
    for user, path in (
        (rep, "/inbox/"),
        (rep, f"/inbox/{queue[0].pk}/?plan=team&q=lumen"),
        (rep, f"/inbox/{queue[2].pk}/"),
        (rep, f"/inbox/{queue[3].pk}/"),
        (rep, "/inbox/?tab=mine&q=nobody"),
        (viewer, f"/inbox/{queue[2].pk}/"),
    ):
        assert violations(open_page(user, path, phone=phone, theme=theme)) == []
    page = open_page(manager, f"/inbox/{queue[2].pk}/", phone=phone, theme=theme)
    for opener in ("#act-disqualified", "[popovertarget=more]"):
        page.locator(opener).click()
        assert violations(page) == []
        page.keyboard.press("Escape")
    if not phone:
        page.keyboard.press("f")
        assert violations(page) == []
