"""The CRM in a real browser: connected, tried and switched on by keyboard alone, and accessible in every state."""

import datetime as dt

import pytest
from django.utils import timezone

from accounts.models import AccountDue
from scoring.crm import connections
from scoring.models import CrmConflict, CrmConnection
from tests.factories.crm import connected, in_sales, owner_there
from tests.hubspot_server import TOKEN, hubspot_server


@pytest.fixture
def server(settings):
    with hubspot_server() as world:
        settings.HUBSPOT_URL = world.url
        yield world


@pytest.fixture
def full(server, admin, rep, other_rep):
    """Switched on, with a conflict of each kind, an error, and somebody whom HubSpot does not know."""
    owner_there(server, rep, "51")
    kestrel = in_sales("Kestrel Robotics", owner=rep, domain="kestrel.com", plan="trial")
    connected(server, admin, now=timezone.now())
    at = timezone.now() - dt.timedelta(hours=2)
    rows = [
        ("value", "owner", "51", "99", []),
        ("several", "", "lumen.io", "", [{"id": "1001", "name": "Lumen Inc."}, {"id": "1002", "name": "Lumen GmbH"}]),
        ("taken", "", "vela.bio", "", []),
        ("gone", "", "", "", []),
    ]
    for number, (kind, field, ours, theirs, candidates) in enumerate(rows):
        CrmConflict.objects.create(
            company=in_sales(f"Lumen Analytics {number}"),
            kind=kind,
            field=field,
            property="hubspot_owner_id" if field else "",
            ours=ours,
            theirs=theirs,
            candidates=candidates,
            found_at=at,
        )
    words = "HubSpot refused it (400). Property values were not valid: team was not a valid number."
    AccountDue.objects.filter(account=kestrel, consumer="crm").update(
        attempts=3, last_error=words, retry_at=timezone.now() + dt.timedelta(minutes=4)
    )
    CrmConnection.objects.update(pushed_at=at, pulled_at=at)


def test_it_is_connected_tried_and_switched_on_by_keyboard(open_page, admin, rep, server):
    owner_there(server, rep, "51")
    in_sales("Kestrel Robotics", owner=rep, domain="kestrel.com")
    page = open_page(admin, "/crm/")
    page.get_by_label("Access token").focus()
    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="How it stands").wait_for()
    assert TOKEN not in page.content()
    page.wait_for_load_state("networkidle")
    page.get_by_role("button", name="Try it").focus()
    page.keyboard.press("Enter")
    page.get_by_role("region", name="What would be written").wait_for()
    assert "Kestrel Robotics" in page.locator("#dry").inner_text()
    assert (server.written, server.properties) == ([], {})
    page.get_by_role("button", name="Switch on").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Switch off").wait_for()
    assert CrmConnection.objects.get().state == "on"


def test_a_conflict_is_decided_by_keyboard(open_page, admin, full):
    page = open_page(admin, "/crm/conflicts/")
    keep = page.get_by_role("button", name="Keep ours")
    keep.focus()
    page.keyboard.press("Enter")
    page.get_by_text("Lumen Analytics 0: ours kept").wait_for()
    assert CrmConflict.objects.filter(resolved_at=None).count() == 3


@pytest.mark.parametrize("phone", [False, True])
def test_every_page_is_accessible(open_page, violations_by_theme, admin, full, phone):
    for path in ("/crm/", "/crm/mapping/", "/crm/conflicts/", "/crm/errors/"):
        page = open_page(admin, path, phone=phone)
        assert violations_by_theme(page) == {"light": [], "dark": []}, path
    page = open_page(admin, "/crm/", phone=phone)
    page.get_by_role("button", name="Try it").click()
    page.get_by_role("region", name="What would be written").wait_for()
    assert violations_by_theme(page) == {"light": [], "dark": []}


def test_it_is_accessible_without_a_connection_and_when_it_fails(open_page, violations_by_theme, admin, server):
    page = open_page(admin, "/crm/")
    assert violations_by_theme(page) == {"light": [], "dark": []}
    connected(server, admin, now=timezone.now())
    CrmConnection.objects.update(state="refused", last_error="HubSpot does not take the token any more (401).")
    page = open_page(admin, "/crm/")
    assert violations_by_theme(page) == {"light": [], "dark": []}
    assert connections.current().state == "refused"
