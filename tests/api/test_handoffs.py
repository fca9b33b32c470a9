"""Handoffs, worked by programs: the same verbs, the same refusals."""

import pytest

from accounts.models import Account, AuditEntry
from scoring import handoffs
from scoring.models import Handoff, HandoffActivity
from tests.api.conftest import DAY, handed_over
from tests.factories.scoring import publish, sweep, use

pytestmark = pytest.mark.django_db


@pytest.fixture
def working(world, program, rep):
    return program(rep, "handoffs:read", "handoffs:write")


@pytest.fixture
def other(world, program, other_rep):
    return program(other_rep, "handoffs:read", "handoffs:write")


@pytest.fixture
def acme(world):
    return Handoff.objects.get(company__external_id="acme").pk


def found(asking, **query):
    return sorted(one["company"]["external_id"] for one in asking.get("handoffs/", **query)[1]["handoffs"])


def test_a_handoff_in_full(working, acme):
    working.post(f"handoffs/{acme}/claim/")
    working.post(f"handoffs/{acme}/touch/", {"kind": "called", "text": "Wants a demo"})
    status, told = working.get(f"handoffs/{acme}/")
    assert (status, told["status"], told["owner"]) == (200, "working", {"username": "dana", "name": "Dana Whitfield"})
    assert (told["company"], told["definitions"]) == ({"external_id": "acme", "name": "Acme"}, ["team-expansion"])
    (activity,) = told["activities"]
    assert (activity["kind"], activity["text"], activity["by"]["username"]) == ("called", "Wants a demo", "dana")
    (reason,) = told["reasons"]
    assert (reason["account"]["external_id"], reason["rule"]["frozen"]["measured"]) == ("acme", 4)
    assert {"touch", "note", "won", "lost"} <= set(told["may"]) and "claim" not in told["may"]
    assert told["first_touch_at"].endswith("Z") and told["closed_at"] is None


def test_the_list_and_what_narrows_it(working, other, acme, now):
    working.post(f"handoffs/{acme}/claim/")
    other.post(
        f"handoffs/{Handoff.objects.get(company__external_id='bolt').pk}/close/",
        {"outcome": "disqualified", "reason": "bad_fit"},
    )
    assert found(working) == ["acme", "core"]
    assert (found(working, state="closed"), found(working, state="disqualified")) == (["bolt"], ["bolt"])
    assert (found(working, state="claimed"), found(working, state="new")) == (["acme"], ["core"])
    assert found(working, state="all") == ["acme", "bolt", "core"]
    assert (found(working, owner="dana"), found(working, owner="none")) == (["acme"], ["core"])
    assert (found(working, definition="team-expansion"), found(working, definition="x")) == (["acme", "core"], [])
    assert found(working, account="core") == ["core"]


def test_what_something_happened_to_since(working, acme, now):
    Handoff.objects.update(opened_at=now - 9 * DAY, newest_evidence_at=now - 9 * DAY)
    AuditEntry.objects.update(at=now - 9 * DAY)
    since = (now - DAY).isoformat()
    assert found(working, updated_since=since) == []
    working.post(f"handoffs/{acme}/claim/")
    Handoff.objects.filter(pk=acme).update(claimed_at=now - 9 * DAY)  # the audit row says it all the same
    Handoff.objects.filter(company__external_id="core").update(paid_at=now)
    assert found(working, updated_since=since) == ["acme", "core"]


def test_of_two_one_wins_and_the_other_is_told_who(working, other, acme):
    status, told = working.post(f"handoffs/{acme}/claim/")
    assert (status, told["status"], told["owner"]["username"]) == (200, "claimed", "dana")
    status, told = other.post(f"handoffs/{acme}/claim/")
    assert (status, told["code"], told["owner"]) == (
        409,
        "already_claimed",
        {"username": "dana", "name": "Dana Whitfield"},
    )
    assert working.post(f"handoffs/{acme}/claim/")[0] == 200
    assert AuditEntry.objects.filter(action="handoff.claimed").count() == 1
    assert Account.objects.get(external_id="acme").owner.username == "dana"


def test_a_claim_is_taken_back(working, acme):
    working.post(f"handoffs/{acme}/claim/")
    assert working.post(f"handoffs/{acme}/unclaim/")[1]["status"] == "new"
    assert working.post(f"handoffs/{acme}/unclaim/")[1]["code"] == "refused"


def test_a_manager_assigns(working, program, manager, acme):
    status, told = working.post(f"handoffs/{acme}/assign/", {"owner": "dana"})
    assert (status, told["code"]) == (403, "forbidden")
    managing = program(manager, "handoffs:write")
    assert managing.post(f"handoffs/{acme}/assign/", {"owner": "dana"})[1]["owner"]["username"] == "dana"
    assert managing.post(f"handoffs/{acme}/assign/", {"owner": "nobody"})[1]["fields"].keys() == {"owner"}
    assert managing.post(f"handoffs/{acme}/assign/", {})[1]["fields"].keys() == {"owner"}


def test_work_and_its_end(working, other, acme):
    assert working.post(f"handoffs/{acme}/touch/", {"kind": "called"})[1]["code"] == "refused"  # claim it first
    working.post(f"handoffs/{acme}/claim/")
    assert other.post(f"handoffs/{acme}/touch/", {"kind": "called"})[1]["code"] == "forbidden"
    assert working.post(f"handoffs/{acme}/touch/", {"kind": "note"})[0] == 422
    assert working.post(f"handoffs/{acme}/note/", {"text": "Ask for Ann"})[0] == 200
    assert working.post(f"handoffs/{acme}/note/", {"text": " "})[0] == 422
    status, told = working.post(f"handoffs/{acme}/close/", {"outcome": "lost"})
    assert (status, told["code"]) == (422, "refused")  # needs a reason
    status, told = working.post(f"handoffs/{acme}/close/", {"outcome": "lost", "reason": "timing", "note": "In May"})
    assert (told["status"], told["outcome_reason"], told["outcome_note"]) == ("lost", "timing", "In May")
    assert (told["closed_by"]["username"], told["cooldown_until"] is None) == ("dana", False)
    status, told = other.post(f"handoffs/{acme}/claim/")
    assert (status, told["code"], told["status"]) == (409, "not_open", "lost")
    assert working.post(f"handoffs/{acme}/reopen/")[1]["status"] == "claimed"
    assert HandoffActivity.objects.get().text == "Ask for Ann"


def test_it_sleeps_and_is_woken(working, acme, now):
    until = (now + 3 * DAY).isoformat()
    assert working.post(f"handoffs/{acme}/snooze/", {"until": until})[1]["code"] == "refused"  # claim it first
    working.post(f"handoffs/{acme}/claim/")
    assert working.post(f"handoffs/{acme}/snooze/", {"until": (now - DAY).isoformat()})[1]["code"] == "refused"
    assert working.post(f"handoffs/{acme}/snooze/", {})[1]["fields"].keys() == {"until"}
    status, told = working.post(f"handoffs/{acme}/snooze/", {"until": until, "or_evidence": False})
    assert (told["status"], told["snoozed_until"]) == ("snoozed", until.replace("+00:00", "Z"))
    assert found(working, state="snoozed") == ["acme"] and not Handoff.objects.get(pk=acme).wakes_on_evidence
    told = working.post(f"handoffs/{acme}/wake/")[1]
    assert (told["status"], told["snoozed_until"]) == ("claimed", None)


@pytest.mark.parametrize("verb", ["claim", "unclaim", "wake", "reopen"])
def test_what_is_not_there_is_not_found(working, verb):
    assert working.post(f"handoffs/987654321/{verb}/")[0] == 404


def test_more_reasons_are_more_slugs_and_no_more_queries(working, acme, now, django_assert_num_queries):
    with django_assert_num_queries(4):  # token with its owner, roles, handoffs with theirs, definitions
        assert len(working.get("handoffs/")[1]["handoffs"]) == 3
    publish(now, slug="another", name="Another", rule={"count": {"event": "Exported", "at_least": 1}})
    sweep(now)
    use(Account.objects.get(external_id="acme"), "Exported", at=now)
    sweep(now)
    assert working.get(f"handoffs/{acme}/")[1]["definitions"] == ["another", "team-expansion"]
    with django_assert_num_queries(4):
        working.get("handoffs/")


def test_one_handoff_costs_as_much_as_three(program, viewer, now, django_assert_num_queries):
    publish(now - 20 * DAY)
    handed_over("Acme", now=now)
    asking = program(viewer, "handoffs:read")
    with django_assert_num_queries(4):
        assert len(asking.get("handoffs/")[1]["handoffs"]) == 1


def test_page_by_page(working):
    first = working.get("handoffs/", limit=2)[1]
    rest = working.get("handoffs/", limit=2, cursor=first["next"])[1]
    ids = [one["id"] for one in first["handoffs"] + rest["handoffs"]]
    assert ids == sorted(ids, reverse=True) and len(ids) == 3 and rest["next"] is None


def test_the_verbs_are_the_inboxs(working, acme, monkeypatch):
    """Nothing of the API writes a handoff by itself."""

    def refuse(**asked):
        raise handoffs.Refused("Not today.")

    for verb in ("claim", "unclaim", "touch", "note", "close", "reopen"):
        monkeypatch.setattr(handoffs, verb, refuse)
        body = {"kind": "called", "text": "x", "outcome": "won"}
        assert working.post(f"handoffs/{acme}/{verb}/", body)[1]["message"] == "Not today."
