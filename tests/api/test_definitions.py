"""Definitions, asked and published by programs."""

import pytest

from accounts.models import AuditEntry
from scoring import definitions
from scoring.models import Definition, DefinitionVersion
from tests.api.conftest import DAY
from tests.factories.scoring import document, publish

pytestmark = pytest.mark.django_db
MORE = {"count": {"event": "Invite Sent", "at_least": 5, "window": {"last_days": 7}}}


@pytest.fixture
def publisher(program, admin):
    return program(admin, "definitions:read", "definitions:write")


def test_the_list_one_of_it_and_its_versions(publisher, now, admin):
    publish(now - 2 * DAY)
    definitions.publish(document=document(rule=MORE), by=admin, now=now, reason="Fewer, better")
    old = publish(now - 3 * DAY, slug="old", name="Old")
    definitions.archive(definition_id=old.definition_id, by=None, now=now - DAY)

    def found(**query):
        return [one["slug"] for one in publisher.get("definitions/", **query)[1]["definitions"]]

    assert (found(), found(state="archived"), found(state="all")) == (
        ["team-expansion"],
        ["old"],
        ["team-expansion", "old"],
    )
    assert (found(purpose="pql"), found(purpose="risk")) == (["team-expansion"], [])
    assert found(state="all", updated_since=(now - DAY).isoformat()) == ["team-expansion", "old"]
    assert found(state="all", updated_since=now.isoformat()) == ["team-expansion"]

    status, one = publisher.get("definitions/team-expansion/")
    assert (status, publisher.last["ETag"], one["live_version"]) == (200, '"2"', 2)
    assert one["version"]["document"]["rule"] == MORE and "at least 5" in one["version"]["english"]
    assert one["version"]["published_by"] == {"username": "ada", "name": "Ada Okoye"}
    assert publisher.get("definitions/old/")[1]["live_version"] is None
    listed = publisher.get("definitions/team-expansion/versions/")[1]["versions"]
    assert [(v["number"], v["reason"]) for v in listed] == [(2, "Fewer, better"), (1, "")]
    assert publisher.get("definitions/team-expansion/versions/1/")[1]["document"]["rule"]["count"]["at_least"] == 3
    assert publisher.get("definitions/team-expansion/versions/9/")[0] == 404


def test_a_new_one_is_published(publisher, admin):
    status, told = publisher.post("definitions/", {"document": document(), "reason": "First"})
    assert (status, told["number"], told["definition"], told["reason"]) == (201, 1, "team-expansion", "First")
    version = DefinitionVersion.objects.get()
    assert (version.published_by, version.document) == (admin, told["document"])
    assert AuditEntry.objects.get(action="definition.published").actor_id == admin.pk


def test_a_slug_that_is_taken_is_refused_and_the_same_text_changes_nothing(publisher):
    publisher.post("definitions/", {"document": document()})
    assert publisher.post("definitions/", {"document": document()})[0] == 200
    status, told = publisher.post("definitions/", {"document": document(rule=MORE)})
    assert (status, told["code"], list(told["fields"])) == (422, "invalid_definition", ["/slug"])
    assert DefinitionVersion.objects.count() == 1


def test_the_next_version_names_the_one_it_was_made_of(publisher, now):
    publish(now)
    path = "definitions/team-expansion/versions/"
    assert publisher.post(path, {"document": document(rule=MORE)})[1]["fields"].keys() == {"expected_version"}
    status, told = publisher.post(path, {"document": document(rule=MORE)}, HTTP_IF_MATCH='"1"')
    assert (status, told["number"]) == (201, 2)
    assert publisher.post(path, {"document": document(rule=MORE), "expected_version": 2})[0] == 200
    status, told = publisher.post(path, {"document": document(name="Teams"), "expected_version": 2})
    assert (status, told["number"]) == (201, 3)
    assert publisher.post(path, {"document": document(slug="other"), "expected_version": 3})[1]["fields"].keys() == {
        "/slug"
    }
    assert publisher.post(path, {"document": document()}, HTTP_IF_MATCH='"next"')[1]["fields"].keys() == {"If-Match"}
    assert publisher.post("definitions/nothing/versions/", {"document": {}, "expected_version": 1})[0] == 404


def test_who_edited_an_older_version_is_told_what_changed_meanwhile(publisher, now):
    publish(now - DAY)
    publish(now, rule=MORE)
    sent = {"document": document(name="Teams"), "expected_version": 1}
    status, told = publisher.post("definitions/team-expansion/versions/", sent)
    assert (status, told["code"], told["live_version"], told["expected_version"]) == (409, "stale_version", 2, 1)
    (change,) = told["changes"]
    assert "at least 3" in change and "at least 5" in change
    assert Definition.objects.get().live_version.number == 2


def test_problems_come_with_their_places(publisher):
    wrong = document(rule={"all": [{"count": {"event": "", "at_least": 3}}, {"nothing": {}}]}, purpose="x")
    status, told = publisher.post("definitions/", {"document": wrong})
    assert (status, told["code"]) == (422, "invalid_definition")
    assert {"/purpose", "/rule/all/0/count/event"} <= told["fields"].keys()
    status, checked = publisher.post("definitions/validate/", {"document": wrong})
    assert (status, checked["valid"], checked["english"]) == (200, False, None)
    assert {problem["path"] for problem in checked["problems"]} == told["fields"].keys()
    assert Definition.objects.count() == 0


def test_a_text_is_checked_without_publishing(publisher):
    status, checked = publisher.post("definitions/validate/", {"document": document()})
    assert (status, checked["valid"], checked["problems"]) == (200, True, [])
    assert "at least 3" in checked["english"]
    assert [warning["path"] for warning in checked["warnings"]] == ["/rule"]
    assert Definition.objects.count() == 0


@pytest.mark.parametrize(("text", "checked", "published"), [("a\x00b", 200, 422), ("\ud800", 400, 400)])
def test_what_no_database_keeps_is_refused(publisher, text, checked, published):
    for changes in ({"name": text}, {"rule": {"count": {"event": text, "at_least": 1}}}, {"slug": text}, {text: 1}):
        assert publisher.post("definitions/", {"document": document(**changes)})[0] == published
        assert publisher.post("definitions/validate/", {"document": document(**changes)})[0] == checked
    assert publisher.post("definitions/", {"document": document(), "reason": text})[0] == published


@pytest.mark.parametrize("size", [1, 3])
def test_it_costs_the_same_for_any_number(size, publisher, now, django_assert_num_queries):
    for number in range(size):
        publish(now, slug=f"d-{number}", name=f"D {number}")
        publish(now, rule={"count": {"event": "Invite Sent", "at_least": number + 1}})
    with django_assert_num_queries(3):  # token with its owner, roles, definitions
        assert len(publisher.get("definitions/")[1]["definitions"]) == size + 1
    with django_assert_num_queries(4):  # and the definition whose versions they are
        assert len(publisher.get("definitions/team-expansion/versions/")[1]["versions"]) == size
