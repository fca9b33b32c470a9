"""The catalogue: what an admin says about an event, and what follows from it."""

from __future__ import annotations

import pytest

from accounts import event_types
from accounts.models import Account, AccountDue, AuditEntry, EventType
from tests.conftest import NOW

pytestmark = pytest.mark.django_db

SAME = {"meaning": "", "description": "", "is_activity": True, "metered_property": "", "distinct_property": ""}


def test_describe_writes_and_audits_what_changed(admin):
    kind = EventType.objects.create(name="Invite Sent")
    event_types.describe(
        event_type_id=kind.pk,
        **{**SAME, "meaning": "invite", "description": " A teammate. ", "distinct_property": "invitee_email"},
        by=admin,
        now=NOW,
    )
    kind.refresh_from_db()
    assert (kind.meaning, kind.description, kind.distinct_property) == ("invite", "A teammate.", "invitee_email")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.detail) == (
        "event_type.described",
        {"meaning": ["", "invite"], "description": ["", "A teammate."], "distinct_property": ["", "invitee_email"]},
    )


def test_describe_with_nothing_new_leaves_no_trace(admin):
    kind = EventType.objects.create(name="Invite Sent")
    event_types.describe(event_type_id=kind.pk, **SAME, by=admin, now=NOW)
    assert AuditEntry.objects.count() == 0


def test_activity_changes_what_rules_see_so_everybody_is_due(admin):
    kind = EventType.objects.create(name="Heartbeat")
    account = Account.objects.create(external_id="a", name="A", signed_up_at=NOW, signup_day=1, recorded_at=NOW)
    due = AccountDue.objects.create(account=account, consumer="evaluation", changed_seq=4, done_seq=4)
    event_types.describe(event_type_id=kind.pk, **{**SAME, "description": "x"}, by=admin, now=NOW)
    due.refresh_from_db()
    assert due.changed_seq == 4
    event_types.describe(event_type_id=kind.pk, **{**SAME, "is_activity": False}, by=admin, now=NOW)
    due.refresh_from_db()
    assert due.changed_seq == 5


def test_derived_type_is_no_activity_of_its_own(admin):
    base = EventType.objects.create(name="Export")
    kind = EventType.objects.create(
        name="PDF export", base=base, is_activity=False, property_filter={"name": "format", "in": ["pdf"]}
    )
    with pytest.raises(event_types.NotRaw):
        event_types.describe(event_type_id=kind.pk, **SAME, by=admin, now=NOW)


def test_page_describes(client_of, admin):
    kind = EventType.objects.create(name="Invite Sent")
    browser = client_of(admin)
    answer = browser.post(
        f"/event-types/{kind.pk}/", {"meaning": "invite", "is_activity": "on", "distinct_property": "invitee_email"}
    )
    assert (answer.status_code, answer["Location"]) == (302, "/event-types/")
    kind.refresh_from_db()
    assert (kind.meaning, kind.is_activity, kind.distinct_property) == ("invite", True, "invitee_email")
    assert browser.post(f"/event-types/{kind.pk}/", {"meaning": "nonsense"}).status_code == 422
    assert browser.get("/event-types/999999/").status_code == 404


def test_derived_page_shows_what_it_is_part_of(client_of, admin):
    base = EventType.objects.create(name="Export")
    kind = EventType.objects.create(
        name="PDF export", base=base, is_activity=False, property_filter={"name": "format", "in": ["pdf", "ps"]}
    )
    browser = client_of(admin)
    assert "Export, where format is pdf or ps" in browser.get(f"/event-types/{kind.pk}/").content.decode()
    answer = browser.post(f"/event-types/{kind.pk}/", {"meaning": "", "is_activity": "on"})
    assert answer.status_code == 422
    assert "only that one counts as activity" in answer.content.decode()


def test_list_searches_and_filters(client_of, admin):
    EventType.objects.create(name="Invite Sent", meaning="invite")
    EventType.objects.create(name="Page Opened")
    browser = client_of(admin)

    def names(query):
        body = browser.get(f"/event-types/{query}").content.decode()
        return [name for name in ("Invite Sent", "Page Opened") if f">{name}</a>" in body]

    assert names("") == ["Invite Sent", "Page Opened"]
    assert names("?q=invite") == ["Invite Sent"]
    assert names("?meaning=none") == ["Page Opened"]
    assert names("?meaning=invite") == ["Invite Sent"]
    assert names("?meaning=bogus") == ["Invite Sent", "Page Opened"]
    fragment = browser.get("/event-types/", headers={"HX-Request": "true", "HX-Target": "event-types"}).content.decode()
    assert "<html" not in fragment and "Invite Sent" in fragment


@pytest.mark.parametrize("role", ["rep", "viewer", "stranger"])
def test_only_those_who_may_describe(client_of, request, role):
    kind = EventType.objects.create(name="Invite Sent")
    browser = client_of(request.getfixturevalue(role))
    assert browser.get("/event-types/").status_code == 403
    assert browser.post(f"/event-types/{kind.pk}/", {"meaning": "invite"}).status_code == 403


@pytest.mark.parametrize("rows", [1, 3])
def test_list_costs_the_same_for_any_number_of_rows(client_of, admin, rows, django_assert_num_queries):
    browser = client_of(admin)
    for n in range(rows):
        EventType.objects.create(name=f"Event {n}")
    with django_assert_num_queries(4):  # session, user, roles, event types
        body = browser.get("/event-types/").content.decode()
    assert body.count('class="cover strong"') == rows
