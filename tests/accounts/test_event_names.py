"""The catalogue has room for so many event names; what comes beyond waits in quarantine and keeps out nothing else."""

from __future__ import annotations

import pytest

from accounts import counting, event_types, imports, replay
from accounts.imports import Part
from accounts.ingest import accept_batch
from accounts.models import AuditEntry, Event, EventType, Membership, QuarantinedMessage, Receipt
from tests.accounts.ingest_world import NOW, at, make_source, recount, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def source(settings):
    settings.EVENT_NAMES_MAX = 3
    return make_source()


def track(number: int, event: str, **fields) -> dict:
    message = {"type": "track", "messageId": f"m{number}", "userId": f"u{number}", "event": event, "timestamp": at(1)}
    return message | fields


def names() -> set[str]:
    return set(EventType.objects.values_list("name", flat=True))


def test_a_new_name_per_message_fills_the_catalogue_and_no_more(source):
    done = send(source, *(track(number, f"Opened {number}") for number in range(9, 0, -1)))
    assert (done.received, done.events, done.quarantined) == (9, 3, 6)
    assert names() == {"Opened 9", "Opened 8", "Opened 7"}  # those that came first
    assert [(bad.index, bad.code) for bad in done.refused] == [(n, "too_many_event_names") for n in range(3, 9)]
    assert (Event.objects.count(), Receipt.objects.count()) == (3, 3)
    again = send(source, *(track(100 + number, f"Again {number}") for number in range(5)))
    assert (again.events, again.quarantined, len(names())) == (0, 5, 3)


def test_what_has_a_known_name_or_none_goes_through_beside_it(source):
    send(source, *(track(number, name) for number, name in enumerate(("A", "B", "C"))))
    done = send(
        source,
        {"type": "nonsense"},
        track(10, "D", context={"groupId": "acme"}),
        track(11, "A", context={"groupId": "acme"}),
        {"type": "identify", "messageId": "i1", "userId": "u12", "traits": {"name": "Ann"}},
        {"type": "page", "messageId": "p1", "userId": "u13", "name": "D"},
        track(12, "D"),
        track(12, "D"),
    )
    assert (done.events, done.facts, done.quarantined) == (1, 2, 4)
    assert [(bad.index, bad.code) for bad in done.refused] == [
        (0, "type_unknown"),
        (1, "too_many_event_names"),
        (5, "too_many_event_names"),
        (6, "too_many_event_names"),
    ]
    assert list(Membership.objects.values_list("user__external_id", flat=True)) == ["u11"]  # nothing of a refused one
    assert QuarantinedMessage.objects.get(message_id="m12").times_seen == 2


def test_the_reason_says_what_to_do(source):
    send(source, *(track(number, f"N{number}") for number in range(4)))
    row = QuarantinedMessage.objects.get()
    assert (row.code, row.message_id) == ("too_many_event_names", "m3")
    assert row.reason == (
        "At most 3 different event names are kept (EVENT_NAMES_MAX), and this would be one more."
        " What differs from message to message, such as an id, belongs in a property."
    )


@pytest.mark.parametrize("fields", [{}, {"messageId": None, "timestamp": None}], ids=["with id", "without id or time"])
def test_a_refused_message_is_replayed_once_there_is_room(source, settings, admin, fields):
    send(source, *(track(number, f"N{number}") for number in range(3)))
    accept_batch(source=source, messages=[track(3, "N3", **fields)], received_at=NOW, context={"groupId": "acme"})
    row = QuarantinedMessage.objects.get()
    assert replay.replay(quarantined_id=row.pk, by=admin, now=NOW) == replay.Replayed(False, row.code, row.reason)
    assert QuarantinedMessage.objects.count() == 1
    settings.EVENT_NAMES_MAX = 4
    assert replay.replay(quarantined_id=row.pk, by=admin, now=NOW).accepted
    assert (Event.objects.count(), "N3" in names()) == (4, True)
    assert Event.objects.get(event_type__name="N3").account.external_id == "acme"
    assert AuditEntry.objects.filter(action="quarantine.replayed").count() == 1


def test_derived_types_take_no_room_and_zero_is_no_limit(source, settings, admin):
    send(source, track(1, "A"), track(2, "B"))
    base = EventType.objects.get(name="A")
    event_types.derive(name="A in blue", base=base, property_name="colour", values=["blue"], by=admin, now=NOW)
    recount()
    assert send(source, track(3, "C")).events == 1
    assert send(source, track(4, "D")).quarantined == 1
    settings.EVENT_NAMES_MAX = 0
    assert send(source, *(track(10 + number, f"N{number}") for number in range(5))).events == 5


def test_known_names_cost_no_further_query(source, django_assert_num_queries):
    send(source, track(1, "A"))
    first = EventType.objects.get()
    with django_assert_num_queries(1):
        counting.on_sight({"A": (first.first_seen_at, first.last_seen_at)})


def test_rows_of_a_file_beyond_it_are_rejected_with_their_line(source, tmp_path):
    path = tmp_path / "events.csv"
    rows = [f"u{number},E{number % 5},2026-06-0{1 + number % 5}T10:00:00Z" for number in range(10)]
    path.write_text("\n".join(["user_id,event,timestamp", *rows]) + "\n")
    (report,) = imports.load([Part("events", path)], source=source, now=NOW)
    assert (report.read, report.new, report.rejected) == (10, 6, 4)
    assert names() == {"E0", "E1", "E2"}
    lines = report.rejected_path.read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["5", "6", "10", "11"]
    assert "At most 3 different event names are kept" in lines[1]


def test_the_limit_is_told_by_name_to_whoever_calls_accept_directly(source):
    span = (NOW, NOW)
    with pytest.raises(counting.CatalogueFull) as told:
        counting.on_sight({"D": span, "C": span, "B": span, "A": span, "E": span})
    assert told.value.names == {"A", "E"}
    assert not EventType.objects.exists()
