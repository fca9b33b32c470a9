"""Versions: the list, two side by side in English, and back to an older one through the same door."""

import datetime as dt

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from scoring import definitions, versions
from scoring.models import Definition, DefinitionVersion
from tests.factories import desk

pytestmark = pytest.mark.django_db
EIGHT = desk.STEADY_USE | {"rule": {"days": {"event": "*", "at_least": 8, "window": {"last_days": 14}}}}
SHORT = EIGHT | {"grace_days": 1}


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def three(admin, manager, now):
    """Steady use in three versions: 5 days, 8 days, and 8 days with a short grace."""
    for number, (document, by, reason) in enumerate(
        ((desk.STEADY_USE, None, ""), (EIGHT, manager, "Eight say more"), (SHORT, admin, "Leave sooner"))
    ):
        definitions.publish(document=document, by=by, now=now - dt.timedelta(days=3 - number), reason=reason)
    return Definition.objects.get(slug="steady-use")


def test_the_list_says_who_when_and_why(client_of, viewer, three):
    response = client_of(viewer).get("/definitions/steady-use/versions/")
    assert [version.number for version in response.context["page"].items] == [3, 2, 1]
    page = response.content.decode()
    assert "Eight say more" in page and "Mara Lind" in page and "First version" in page and "Live v3" in page
    assert "/definitions/steady-use/versions/2/3/" in page


@pytest.mark.parametrize("size", [1, 3])
def test_the_list_costs_the_same_at_any_length(client_of, viewer, now, size, django_assert_num_queries):
    for number in range(size):
        definitions.publish(document=desk.STEADY_USE | {"grace_days": number}, by=None, now=now)
    client = client_of(viewer)
    with django_assert_num_queries(5):  # session, user, roles, definition with version, versions with who
        assert len(client.get("/definitions/steady-use/versions/").context["page"].items) == size


def test_a_long_list_is_paged(client_of, viewer, now):
    for number in range(60):
        definitions.publish(document=desk.STEADY_USE | {"grace_days": number}, by=None, now=now)
    client = client_of(viewer)
    first = client.get("/definitions/steady-use/versions/").context["page"]
    assert first.has_next
    rest = client.get(
        f"/definitions/steady-use/versions/?cursor={first.next_cursor}",
        HTTP_HX_REQUEST="true",
        HTTP_HX_TARGET="more-versions",
    )
    more = rest.content.decode()
    assert len(first.items) + more.count('class="ver"') == 60
    assert "<html" not in more and "checked" not in more  # two are chosen on the first page already


def test_what_changed_between_any_two(client_of, viewer, three):
    response = client_of(viewer).get("/definitions/steady-use/versions/1/3/")
    assert [(c.kind, c.swaps) for c in response.context["told"].changes] == [
        ("changed", (("7", "1"),)),
        ("changed", (("at least 5", "at least 8"),)),
    ]
    lines = response.context["told"].lines
    assert {line.kind for line in lines} == {"kept", "added", "removed"}
    assert [line.text.strip() for line in lines if line.kind == "added"][-1] == '"grace_days": 1'
    assert "Back to version" not in response.content.decode()  # a viewer may not


def test_the_same_text_twice_is_no_difference():
    told = versions.compare(desk.STEADY_USE, desk.STEADY_USE)
    assert told.changes == [] and {line.kind for line in told.lines} == {"kept"}


def test_a_text_that_this_program_cannot_read_is_shown_line_by_line(client_of, viewer, three):
    DefinitionVersion.objects.filter(number=2).update(document={"slug": "steady-use", "from_the_future": True})
    response = client_of(viewer).get("/definitions/steady-use/versions/1/2/")
    assert response.context["told"].changes is None
    assert "from_the_future" in response.content.decode()


def test_comparing_goes_to_an_address_of_its_own(client_of, viewer, three):
    client = client_of(viewer)
    response = client.get("/definitions/steady-use/versions/compare/?a=3&b=1")
    assert response.headers["Location"] == "/definitions/steady-use/versions/1/3/"
    for asked in ("a=2&b=2", "a=2", "a=x&b=1", "a=²&b=1", ""):
        response = client.get(f"/definitions/steady-use/versions/compare/?{asked}")
        assert response.headers["Location"] == "/definitions/steady-use/versions/", asked


def test_versions_that_are_not_there_are_404(client_of, viewer, three):
    client = client_of(viewer)
    assert client.get("/definitions/steady-use/versions/1/9/").status_code == 404
    assert client.get("/definitions/nothing/versions/").status_code == 404
    assert client.get("/definitions/nothing/versions/compare/?a=1&b=2").status_code == 302  # its list says it then


# --- back --------------------------------------------------------------------------------------------------------


def back(client, number, *, replaces=3, reason="Eight was too strict"):
    return client.post(f"/definitions/steady-use/versions/{number}/back/", {"replaces": replaces, "reason": reason})


def told(client):
    return [str(message) for message in client.get("/definitions/").context["messages"]]


def test_back_publishes_the_old_text_as_a_new_version(client_of, admin, three):
    client = client_of(admin)
    assert back(client, 1).headers["Location"] == "/definitions/steady-use/"
    live = Definition.objects.get(slug="steady-use").live_version
    first = three.versions.get(number=1)
    assert (live.number, live.document, live.published_by) == (4, first.document, admin)
    assert live.reason == "Back to version 1: Eight was too strict"
    assert three.versions.count() == 4  # history is added to, never rewritten
    assert AuditEntry.objects.filter(action="definition.published").count() == 4
    assert told(client) == ["Published version 4: what version 1 said. Accounts are evaluated now."]


def test_back_needs_a_reason(client_of, admin, three):
    client = client_of(admin)
    assert back(client, 1, reason=" ").headers["Location"] == "/definitions/steady-use/versions/"
    assert three.versions.count() == 3
    assert told(client)[0].startswith("Say why you go back")


def test_back_never_goes_over_what_nobody_has_seen(client_of, admin, manager, three, now):
    definitions.publish(document=SHORT | {"grace_days": 2}, by=manager, now=now, reason="Two")
    client = client_of(admin)
    assert back(client, 1).headers["Location"] == "/definitions/steady-use/versions/1/4/"
    assert three.versions.count() == 4
    assert told(client) == ["Mara Lind published version 4 meanwhile. Nothing was published."]


def test_back_to_what_is_live_changes_nothing(client_of, admin, three):
    client = client_of(admin)
    back(client, 3)
    assert three.versions.count() == 3
    assert told(client) == ["Nothing changed: version 3 says this already."]


def test_back_to_a_text_that_asks_for_what_is_gone(client_of, admin, three):
    nested = DefinitionVersion.objects.get(definition=three, number=2)
    nested.document = SHORT | {"rule": {"definition": {"slug": "gone", "version": 1}}}
    DefinitionVersion.objects.filter(pk=nested.pk).update(document=nested.document)
    client = client_of(admin)
    assert back(client, 2).headers["Location"] == "/definitions/steady-use/versions/"
    assert three.versions.count() == 3
    assert told(client)[0].startswith("Version 2 cannot be published any more: ")


def test_back_follows_what_nests_it(client_of, admin, three, now):
    outer = {"slug": "outer", "name": "Outer", "purpose": "risk", "rule": {"definition": "steady-use"}}
    definitions.publish(document=outer, by=None, now=now)
    page = client_of(admin).get("/definitions/steady-use/versions/1/3/").content.decode()
    assert "Published again with it: Outer." in page
    back(client_of(admin), 1)
    assert Definition.objects.get(slug="outer").live_version.document["rule"]["definition"]["version"] == 4


@pytest.mark.parametrize(
    ("who", "reads", "goes_back"),
    [("stranger", 403, 403), ("viewer", 200, 403), ("manager", 200, 403), ("admin", 200, 302)],
)
def test_roles(client_of, request, three, who, reads, goes_back):
    client = client_of(request.getfixturevalue(who))
    assert client.get("/definitions/steady-use/versions/").status_code == reads
    assert client.get("/definitions/steady-use/versions/1/2/").status_code == reads
    assert back(client, 1).status_code == goes_back


@pytest.mark.parametrize("size", [1, 3])
def test_a_comparison_costs_the_same_with_any_number(client_of, admin, three, now, size, django_assert_num_queries):
    for number in range(size):
        outer = {"slug": f"o{number}", "name": "Outer", "purpose": "risk", "rule": {"definition": "steady-use"}}
        definitions.publish(document=outer, by=None, now=now)
    client = client_of(admin)
    # session, user, roles, definition with version, the two versions, live definitions
    with django_assert_num_queries(7):
        assert len(client.get("/definitions/steady-use/versions/1/2/").context["dependents"]) == size
