"""Plays, read by programs."""

import pytest

from scoring.models import Play
from tests.factories.scoring import publish

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(program, viewer):
    return program(viewer, "plays:read")


def make(slug, now, definition, **values):
    fields = {"name": slug, "action": "prompt", "status": "live", "live_since": now, "salt": "s", "created_at": now}
    return Play.objects.create(slug=slug, definition=definition, **fields | values)


def test_plays_and_what_narrows_them(reader, now):
    definition = publish(now).definition
    Play.objects.all().delete()  # the one that a definition begins with
    make("wall", now, definition, moment="teammate_wall", holdout_percent=10)
    make("hand-over", now, definition, action="sales_handoff", status="draft", live_since=None)
    make("old", now, definition, status="archived")

    def found(**query):
        return [one["slug"] for one in reader.get("plays/", **query)[1]["plays"]]

    assert (found(), found(state="all")) == (["wall", "hand-over"], ["wall", "hand-over", "old"])
    assert (found(state="live"), found(state="archived")) == (["wall"], ["old"])
    assert (found(action="sales_handoff"), found(definition="team-expansion", state="live")) == (
        ["hand-over"],
        ["wall"],
    )
    assert found(definition="x") == []
    status, told = reader.get("plays/wall/")
    assert (status, told["action"], told["definition"], told["holdout_percent"]) == (
        200,
        "prompt",
        "team-expansion",
        10,
    )
    assert reader.get("plays/nothing/")[0] == 404


@pytest.mark.parametrize("size", [1, 3])
def test_it_costs_the_same_for_any_number(size, reader, now, django_assert_num_queries):
    definition = publish(now).definition
    Play.objects.all().delete()
    for number in range(size):
        make(f"play-{number}", now, definition)
    with django_assert_num_queries(3):  # token with its owner, roles, plays with their definitions
        assert len(reader.get("plays/")[1]["plays"]) == size
