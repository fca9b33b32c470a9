"""A write that is sent again is done once and answered again."""

import datetime as dt

import pytest

from accounts import idempotency
from accounts.models import ApiToken, AuditEntry, IdempotencyKey
from accounts.tasks import sweep_idempotency
from scoring import handoffs
from scoring.models import DefinitionVersion, Handoff, HandoffActivity
from tests.api.conftest import DAY
from tests.factories.scoring import document

pytestmark = pytest.mark.django_db
SECOND = dt.timedelta(seconds=1)


@pytest.fixture
def working(world, program, rep):
    return program(rep, "handoffs:write", "handoffs:read")


@pytest.fixture
def note(working):
    """The address of a claimed handoff's notes: a write that is not the same when it is done twice."""
    pk = Handoff.objects.get(company__external_id="acme").pk
    working.post(f"handoffs/{pk}/claim/")
    return f"handoffs/{pk}/note/"


def notes():
    return list(HandoffActivity.objects.values_list("text", flat=True))


def test_the_same_request_is_answered_again_and_not_done_again(working, note):
    first = working.post(note, {"text": "Hello"}, key="a-1")
    assert (first[0], "Idempotency-Replayed" in working.last) == (200, False)
    again = working.post(note, {"text": "Hello"}, key="a-1")
    assert (again, working.last["Idempotency-Replayed"]) == (first, "true")
    assert notes() == ["Hello"] and AuditEntry.objects.filter(action="handoff.noted").count() == 1
    working.post(note.rstrip("/"), {"text": "Hello"}, key="a-1")  # the other spelling is the same request
    assert notes() == ["Hello"]
    working.post(note, {"text": "Hello"}, key="a-2")
    working.post(note, {"text": "Hello"})
    assert notes() == ["Hello"] * 3


def test_a_key_stands_for_one_request(working, note):
    working.post(note, {"text": "Hello"}, key="a-1")
    status, told = working.post(note, {"text": "Goodbye"}, key="a-1")
    assert (status, told["code"], list(told["fields"])) == (422, "key_reused", ["Idempotency-Key"])
    assert working.post(note.replace("note", "unclaim"), {"text": "Hello"}, key="a-1")[1]["code"] == "key_reused"
    assert notes() == ["Hello"]


def test_keys_of_two_tokens_are_two(working, note, program, manager):
    managing = program(manager, "handoffs:write")
    for asking in (working, managing):
        assert asking.post(note, {"text": "Hello"}, key="a-1")[0] == 200
    assert len(notes()) == 2


def test_what_was_refused_is_judged_anew(working, note, program, other_rep):
    other = program(other_rep, "handoffs:write")
    claim = note.replace("note", "claim")
    assert other.post(claim, key="c-1")[0] == 409
    working.post(note.replace("note", "unclaim"))
    assert other.post(claim, key="c-1")[0] == 200
    assert IdempotencyKey.objects.count() == 1


def test_while_it_is_worked_on_nobody_else_does_it(working, note, now):
    token = ApiToken.objects.get()
    seen = []

    def act():
        seen.append(working.post(note, {"text": "Hello"}, key="a-1"))
        return 200, {}

    path = f"/api/v1/{note}".rstrip("/")
    asked = idempotency.asked("POST", path, "", {"text": "Hello"})
    idempotency.once(token=token, key="a-1", request_hash=asked, now=now, act=act)
    assert [(status, told["code"]) for status, told in seen] == [(409, "at_work")] and notes() == []


def test_who_dies_before_the_answer_is_kept_has_done_nothing(working, note, monkeypatch, now):
    """The act and what is kept of it are one commit: there is no moment at which one is there without the other."""
    real = idempotency.IdempotencyKey.objects

    class Dies(BaseException):
        """As a killed process: nothing is tidied up."""

    def die(*args, **kwargs):
        raise Dies

    note_once = handoffs.note
    monkeypatch.setattr(handoffs, "note", lambda **asked: (note_once(**asked), die())[0])
    with pytest.raises(Dies):
        working.post(note, {"text": "Hello"}, key="a-1")
    assert notes() == [] and real.get().status is None
    monkeypatch.setattr(handoffs, "note", note_once)
    assert working.post(note, {"text": "Hello"}, key="a-1")[1]["code"] == "at_work"  # the lease of the dead
    real.update(lease_until=now - SECOND)
    assert working.post(note, {"text": "Hello"}, key="a-1")[0] == 200
    assert notes() == ["Hello"]


def test_who_was_slow_and_lost_the_lease_does_nothing(working, now, monkeypatch):
    def overtaken(*asked):
        row = claim(*asked)
        IdempotencyKey.objects.update(lease_until=now + DAY)
        return row

    claim = idempotency._claimed
    monkeypatch.setattr(idempotency, "_claimed", overtaken)
    done = []
    with pytest.raises(idempotency.AtWork):
        idempotency.once(
            token=ApiToken.objects.get(), key="a-1", request_hash="x", now=now, act=lambda: (done.append(1), 200)
        )
    assert done == [] and IdempotencyKey.objects.get().lease_until == now + DAY


def test_an_answer_is_kept_for_a_day(working, note):
    working.post(note, {"text": "Hello"}, key="a-1")
    IdempotencyKey.objects.update(created_at=dt.datetime.now(dt.UTC) - idempotency.KEPT)
    working.post(note, {"text": "Hello again"}, key="a-1")
    assert notes() == ["Hello", "Hello again"]


def test_old_answers_are_swept(working, note, now, monkeypatch):
    monkeypatch.setattr(idempotency, "AT_ONCE", 2)
    for number in range(6):
        working.post(note, {"text": "Hello"}, key=f"a-{number}")
    keep = IdempotencyKey.objects.get(key="a-5")
    IdempotencyKey.objects.exclude(pk=keep.pk).update(created_at=now - idempotency.KEPT)
    sweep_idempotency()
    assert list(IdempotencyKey.objects.all()) == [keep]


@pytest.mark.parametrize("key", ["x" * 201, "ä", "a\tb"])
def test_a_key_is_plain_text(working, note, key):
    status, told = working.post(note, {"text": "Hello"}, key=key)
    assert (status, list(told["fields"])) == (422, ["Idempotency-Key"]) and notes() == []


def test_publishing_is_done_once_too(program, admin):
    publisher = program(admin, "definitions:write")
    first = publisher.post("definitions/", {"document": document()}, key="p")
    assert publisher.post("definitions/", {"document": document()}, key="p") == first == (201, first[1])
    assert DefinitionVersion.objects.count() == 1
