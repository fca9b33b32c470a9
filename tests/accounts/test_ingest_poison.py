"""A message that is understood and still cannot be stored: it alone is kept out, and nothing is lost."""

from __future__ import annotations

import random

import pytest
from django.db import OperationalError

from accounts import counting
from accounts.models import Event, QuarantinedMessage
from tests.accounts.ingest_world import at, make_source, send

pytestmark = pytest.mark.django_db


def track(number: int, event: str = "Seen") -> dict:
    return {"type": "track", "userId": f"u{number}", "event": event, "messageId": f"m{number}", "timestamp": at(2)}


@pytest.fixture
def fragile(monkeypatch):
    """Storing breaks on the event “Poison”."""
    on_sight = counting.on_sight

    def breaks(seen):
        if "Poison" in seen:
            raise KeyError("Poison")
        return on_sight(seen)

    monkeypatch.setattr(counting, "on_sight", breaks)


def test_poison_is_set_apart_and_the_others_are_stored_once(fragile):
    source = make_source()
    batch = [track(n, "Poison" if n in (3, 9) else "Seen") for n in range(11)] + [5, track(0)]
    result = send(source, *batch)
    assert (result.received, result.events, result.duplicates, result.quarantined) == (13, 9, 1, 3)
    assert [(bad.index, bad.code) for bad in result.refused] == [
        (3, "not_storable"),
        (9, "not_storable"),
        (11, "message_not_object"),
    ]
    stored = sorted(Event.objects.values_list("message_id", flat=True))
    assert stored == sorted(f"m{n}" for n in range(11) if n not in (3, 9))
    assert send(source, *batch).events == 0


def test_poison_is_accepted_on_its_next_coming_when_the_mistake_is_repaired(fragile, monkeypatch):
    source = make_source()
    assert send(source, track(1, "Poison")).quarantined == 1
    monkeypatch.undo()
    assert send(source, track(1, "Poison")).events == 1


def test_a_database_that_is_away_is_nobodys_poison(monkeypatch):
    source = make_source()

    def away(seen):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(counting, "on_sight", away)
    with pytest.raises(OperationalError):
        send(source, track(1), track(2))
    assert (Event.objects.count(), QuarantinedMessage.objects.count()) == (0, 0)


@pytest.mark.postgres
def test_what_no_index_holds_is_one_messages_trouble():
    """Long ids, names and texts of rare characters, each within its limit, are more than an index entry may have."""
    random_text = random.Random(1)

    def rare(length: int) -> str:
        return "".join(chr(random_text.randint(0x20000, 0x2A6D0)) for _ in range(length))

    odd = {"type": "group", "userId": "u", "groupId": rare(190), "messageId": "odd", "traits": {rare(100): rare(500)}}
    result = send(make_source(), track(1), odd, track(2))
    assert (result.events, [bad.index for bad in result.refused]) == (2, [1])
