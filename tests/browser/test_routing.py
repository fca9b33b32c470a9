"""Routing in a real browser: the ladder edited by keyboard alone, tried on the past, and put in force."""

import datetime as dt

import pytest
from django.utils import timezone

from scoring import speed
from scoring.models import Handoff, Leave, PoolMember, RoutingLadder, Seller, SpeedPolicy
from tests.factories.routing import go, ladder_of, office, pool_of, sellers, waiting
from tests.factories.scoring import make_account

DAY = dt.timedelta(days=1)
NAMES = ("Kestrel Robotics", "Lumen Analytics", "Harbor & Pine", "Solace Health", "Vela Biotech", "Quill & Co")


@pytest.fixture
def floor(admin):
    """Three who take turns, one of them away, some handoffs given, one late, and a speed policy."""
    people = sellers("Nora", "Theo", "Mara")
    pool = pool_of(*people, name="Everybody")
    PoolMember.objects.filter(person=people[0]).update(weight=2)
    Seller.objects.create(person=people[1], calendar=office(), daily_cap=3, open_cap=25)
    now = timezone.now()
    Leave.objects.create(person=people[2], first_day=now.date(), last_day=now.date() + 6 * DAY, note="Holiday")
    ladder_of(
        {"kind": "owner", "last_owner_days": 90},
        {"kind": "rule", "name": "Large", "employees": [200, None], "person": people[0].pk},
        {"kind": "pool", "name": "Everybody else", "pool": pool.pk},
    )
    SpeedPolicy.objects.create(claim_minutes=60, touch_minutes=240, warn_percent=80, reroute_after=30)
    for number, name in enumerate(NAMES):
        at = now - dt.timedelta(hours=7 * number)
        handoff = waiting(make_account(name, employees=100 * number), at=at)
        speed.start(handoff, now=at)
        go(handoff, now=at)
    return pool


def test_a_ladder_is_edited_by_keyboard(open_page, admin, floor):
    page = open_page(admin, "/routing/")
    page.keyboard.press("e")
    page.wait_for_url("**/routing/edit/")
    down = page.get_by_role("button", name="Move step 2 down")
    down.focus()
    page.keyboard.press("Enter")
    page.locator("#step-2 legend", has_text="Territory or segment").wait_for(state="attached")
    assert page.evaluate("document.activeElement.id") == "step-2"  # the focus goes with the step
    page.get_by_role("button", name="Simulate on the last 90 days").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="The last 90 days through this draft").wait_for()
    page.get_by_label("Why this change").focus()
    page.keyboard.type("Large ones last")
    page.get_by_role("button", name="Put it in force").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/routing/")
    live = RoutingLadder.objects.order_by("-number")[0]
    assert ([step["kind"] for step in live.steps], live.reason) == (["owner", "pool", "rule"], "Large ones last")


def test_enter_in_a_field_tries_the_draft_and_never_puts_it_in_force(open_page, admin, floor):
    page = open_page(admin, "/routing/edit/")
    page.get_by_label("Also who had it last").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="The last 90 days through this draft").wait_for()
    assert RoutingLadder.objects.count() == 2


def test_a_draft_with_a_mistake_is_not_tried_and_says_where_it_is(open_page, admin, floor):
    page = open_page(admin, "/routing/edit/")
    page.get_by_role("button", name="Pool", exact=True).click()  # a step that leads to nobody yet
    page.locator("#step-3").wait_for(state="attached")
    page.get_by_role("button", name="Simulate on the last 90 days").click()
    page.locator("#step-3").get_by_text("A step leads to one person or to one pool.").wait_for()
    assert (
        page.locator("#draft").count() == page.get_by_role("navigation", name="Main", exact=True).count() == 1
    )  # the page once
    page.locator("#step-3").get_by_role("button", name="Remove step 4").click()
    page.locator("#step-3").wait_for(state="detached")
    page.get_by_role("button", name="Simulate on the last 90 days").click()
    page.get_by_role("heading", name="The last 90 days through this draft").wait_for()


def test_the_panel_beside_a_handoff_says_why(open_page, admin, floor):
    handoff = Handoff.objects.filter(owner__isnull=False).order_by("-pk")[0]
    page = open_page(admin, f"/inbox/{handoff.pk}/")
    page.get_by_role("heading", name=f"Why {handoff.owner.first_name}?").wait_for()
    page.locator(".rt-why .walk").first.wait_for()
    assert handoff.owner.first_name in page.locator(".rt-why .walk").first.inner_text()


@pytest.mark.parametrize("phone", [False, True])
def test_every_page_is_accessible(open_page, violations_by_theme, admin, floor, phone):
    person = Seller.objects.get().person_id
    policy = SpeedPolicy.objects.get().pk
    for path in (
        "/routing/",
        "/routing/edit/",
        f"/routing/pools/{floor.pk}/",
        "/routing/people/",
        f"/routing/people/{person}/",
        "/routing/speed/",
        f"/routing/speed/{policy}/",
        "/routing/assignments/",
    ):
        page = open_page(admin, path, phone=phone)
        assert violations_by_theme(page) == {"light": [], "dark": []}, path
