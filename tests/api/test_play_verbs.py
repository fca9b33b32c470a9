"""Plays, made and changed by programs: by the pages' forms and verbs."""

from __future__ import annotations

import pytest

from accounts.models import AuditEntry
from scoring.models import Play
from tests.factories.scoring import publish

pytestmark = pytest.mark.django_db
NEW = {
    "name": "Seats are gone",
    "definition": "team-expansion",
    "action": "prompt",
    "audience": "plan  is free\nseats at least 5",
    "holdout_percent": 10,
    "moment": "teammate_wall",
    "content": {"headline": "Your team is growing", "button": "Add seats", "url": "/billing", "style": "modal"},
}


@pytest.fixture
def maker(program, admin, now):
    publish(now)
    return program(admin, "plays:read", "plays:write")


def test_a_play_is_made_started_paused_and_put_away(maker, admin):
    status, made = maker.post("plays/", NEW)
    assert (status, made["slug"], made["status"], made["live_since"]) == (201, "seats-are-gone", "draft", None)
    assert made["audience"] == "plan is free\nseats at least 5"
    assert made["content"] == NEW["content"]
    # what was left out begins as on the page
    assert (made["priority"], made["convert_days"], made["promotional"], made["trigger"]) == (50, 30, True, "qualifies")
    assert maker.get("plays/seats-are-gone/") == (200, made)
    seen = []
    for verb in ("start", "pause", "start", "archive", "restore"):
        status, told = maker.post(f"plays/seats-are-gone/{verb}/")
        assert status == 200, told
        seen.append(told["status"])
    assert seen == ["live", "paused", "live", "archived", "paused"]
    actions = AuditEntry.objects.filter(object_type="play", object_label__contains="seats").order_by("pk")
    assert {entry.actor_id for entry in actions} == {admin.pk}
    assert [entry.action for entry in actions][:3] == ["play.created", "play.started", "play.paused"]


def test_what_its_state_does_not_allow_is_refused(maker):
    maker.post("plays/", NEW)
    status, told = maker.post("plays/seats-are-gone/pause/")
    assert (status, told["code"]) == (422, "refused")
    assert maker.post("plays/nothing/start/")[0] == 404
    assert Play.objects.get(slug="seats-are-gone").status == "draft"


def test_a_change_leaves_the_rest_as_it_is(maker):
    maker.post("plays/", NEW)
    path = "plays/seats-are-gone/change/"
    asked = {"holdout_percent": 20, "ends_on": "2030-01-31", "content": {"button": "Go on"}}
    status, told = maker.post(path, asked)
    before = maker.get("plays/seats-are-gone/")[1]
    assert (status, told) == (200, before)
    assert (told["holdout_percent"], told["ends_on"], told["name"]) == (20, "2030-01-31", "Seats are gone")
    assert told["content"] == NEW["content"] | {"button": "Go on"}
    assert (told["promotional"], told["moment"], told["audience"]) == (True, "teammate_wall", before["audience"])
    assert maker.post(path, {"ends_on": None, "promotional": False})[1] == before | {
        "ends_on": None,
        "promotional": False,
    }
    changes = AuditEntry.objects.filter(action="play.changed").count()
    assert maker.post(path, {})[0] == 200
    assert AuditEntry.objects.filter(action="play.changed").count() == changes  # nothing changed: no row


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ({"name": "  "}, {"name"}),
        ({"definition": "nothing"}, {"definition"}),
        ({"action": "dance"}, {"action"}),
        ({"trigger": "near_miss"}, {"action"}),
        ({"audience": "plan"}, {"audience"}),
        ({"holdout_percent": 91}, {"holdout_percent"}),
        ({"starts_on": "2026-02-02", "ends_on": "2026-02-01"}, {"ends_on"}),
        ({"moment": "midnight"}, {"moment"}),
        ({"content": {"headline": "x", "button": "x", "url": "javascript:alert(1)"}}, {"content.url"}),
        ({"content": {"headline": ""}}, {"content.headline", "content.button"}),
        (
            {"content": {"headline": "{needs} to go", "body": "{needs}", "button": "x"}},
            {"content.headline", "content.body"},
        ),
        ({"content": {"headline": "x", "button": "x", "due_days": 3}}, {"content.due_days"}),
        ({"action": "webhook"}, {"moment"}),
        ({"action": "sales_handoff", "moment": "", "content": {"body": "x"}}, {"moment"}),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_field(maker, wrong, fields):
    count = Play.objects.count()
    status, told = maker.post("plays/", NEW | wrong)
    assert (status, set(told["fields"])) == (422, fields), told
    assert Play.objects.count() == count


def test_what_is_missing_is_said_by_a_play_on_near_misses_alone(maker):
    near = {"name": "Near", "definition": "team-expansion", "action": "nudge", "trigger": "near_miss"}
    words = {"headline": "{needs} to go", "button": "Go on", "url": "/"}
    status, made = maker.post("plays/", near | {"content": words})
    assert (status, made["content"]["headline"]) == (201, "{needs} to go")
    status, told = maker.post("plays/near/change/", {"content": {"body": "All it takes: {needs}."}})
    assert (status, told["content"]["body"]) == (200, "All it takes: {needs}.")
    maker.post("plays/", NEW)
    status, told = maker.post("plays/seats-are-gone/change/", {"content": {"body": "{needs}"}})
    assert (status, list(told["fields"])) == (422, ["content.body"])
    assert "where nothing is missing" in told["fields"]["content.body"][0]
    assert Play.objects.get(slug="seats-are-gone").content == NEW["content"]


def test_a_definition_out_of_use_gets_no_play(maker, program, admin):
    robot = program(admin, "definitions:write", "definitions:read", "plays:write")
    status, told = robot.post("definitions/team-expansion/archive/")
    assert (status, told["live_version"]) == (200, None) and told["archived_at"]
    assert robot.post("definitions/team-expansion/archive/") == (200, told)  # again: as it was
    assert robot.post("definitions/nothing/archive/")[0] == 404
    assert AuditEntry.objects.filter(action="definition.archived", actor_id=admin.pk).count() == 1
    assert list(maker.post("plays/", NEW)[1]["fields"]) == ["definition"]


def test_a_play_that_is_asked_for_twice_is_made_once(maker):
    count = Play.objects.count()
    assert maker.post("plays/", NEW, key="one") == maker.post("plays/", NEW, key="one")
    assert maker.last["Idempotency-Replayed"] == "true"
    assert Play.objects.count() == count + 1
    assert maker.post("plays/seats-are-gone/start/", key="two") == maker.post("plays/seats-are-gone/start/", key="two")
