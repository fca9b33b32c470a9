"""What is next about an account: one task, its day, and that nothing of it falls through."""

import datetime as dt

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import AuditEntry
from scoring import handoffs, next_tasks, undo
from scoring.models import Handoff, NextTask
from tests.conftest import NOW
from tests.factories import desk
from tests.factories.scoring import make_account

pytestmark = pytest.mark.django_db

HTMX = {"HTTP_HX_REQUEST": "true"}
DAY = dt.timedelta(days=1)
TODAY = timezone.localtime(NOW).date()


@pytest.fixture
def handoff(rep):
    made = Handoff.objects.create(company=make_account(), opened_at=NOW, newest_evidence_at=NOW)
    return handoffs.claim(handoff_id=made.pk, by=rep, now=NOW)


def put(handoff, rep, text="Call about SSO", days=1, now=NOW) -> NextTask:
    return next_tasks.put(handoff_id=handoff.pk, text=text, day=TODAY + days * DAY, by=rep, now=now)


def last(handoff) -> int:
    return AuditEntry.objects.filter(object_type="handoff", object_id=handoff.pk).latest("pk").pk


def test_there_is_one_and_setting_another_changes_it(handoff, rep):
    put(handoff, rep)
    put(handoff, rep, "Send the offer", 3)
    task = NextTask.objects.get()
    assert (task.text, task.owner, next_tasks.days_left(task, now=NOW)) == ("Send the offer", rep, 3)
    assert next_tasks.days_left(task, now=NOW + 5 * DAY) == -2


def test_done_it_makes_room_for_the_next(handoff, rep):
    put(handoff, rep)
    next_tasks.finish(handoff_id=handoff.pk, by=rep, now=NOW)
    with pytest.raises(handoffs.Refused, match="nothing to be done"):
        next_tasks.finish(handoff_id=handoff.pk, by=rep, now=NOW)
    put(handoff, rep, "Then this")
    assert list(NextTask.objects.order_by("pk").values_list("text", "done_by")) == [
        ("Call about SSO", rep.pk),
        ("Then this", None),
    ]


def test_undo_of_setting_changing_and_finishing(handoff, rep):
    put(handoff, rep)
    undo.undo(entry_id=last(handoff), by=rep, now=NOW)
    assert not NextTask.objects.exists()
    put(handoff, rep)
    put(handoff, rep, "Something else", 9)
    undo.undo(entry_id=last(handoff), by=rep, now=NOW)
    task = NextTask.objects.get()
    assert (task.text, next_tasks.days_left(task, now=NOW)) == ("Call about SSO", 1)
    next_tasks.finish(handoff_id=handoff.pk, by=rep, now=NOW)
    undo.undo(entry_id=last(handoff), by=rep, now=NOW)
    assert NextTask.objects.get().done_at is None


def test_it_goes_to_whoever_gets_the_account(handoff, rep, other_rep, manager):
    put(handoff, rep)
    handoffs.assign(handoff_id=handoff.pk, owner=other_rep, by=manager, now=NOW)
    assert NextTask.objects.get().owner == other_rep
    undo.undo(entry_id=last(handoff), by=manager, now=NOW)
    assert NextTask.objects.get().owner == rep


def test_it_outlives_the_handoff_and_can_be_set_after_it(handoff, rep, other_rep):
    handoffs.close(handoff_id=handoff.pk, outcome="lost", reason="timing", by=rep, now=NOW)
    put(handoff, rep, "Ask again", 90)
    with pytest.raises(handoffs.NotAllowed):
        next_tasks.finish(handoff_id=handoff.pk, by=other_rep, now=NOW)
    next_tasks.finish(handoff_id=handoff.pk, by=rep, now=NOW)


@pytest.mark.parametrize(("text", "days"), [("  ", 1), ("x" * 201, 1), ("Call", -1), ("Call", 367)])
def test_what_is_no_task_is_refused(handoff, rep, text, days):
    with pytest.raises(handoffs.Refused):
        put(handoff, rep, text, days)
    assert not NextTask.objects.exists()


def test_nobody_plans_for_somebody_else_or_for_nobody(handoff, rep, other_rep, viewer):
    for user in (other_rep, viewer):
        with pytest.raises(handoffs.NotAllowed):
            put(handoff, user)
    free = Handoff.objects.create(company=make_account("Free"), opened_at=NOW, newest_evidence_at=NOW)
    with pytest.raises(handoffs.Refused, match="Claim it first"):
        put(free, rep)


def test_a_claim_with_a_plan_is_not_just_given_back(handoff, rep):
    put(handoff, rep)
    with pytest.raises(handoffs.Refused):
        handoffs.unclaim(handoff_id=handoff.pk, by=rep, now=NOW)


@pytest.mark.parametrize("values", [{"text": ""}, {"done_at": NOW}, {}])
def test_the_database_refuses_tasks_that_cannot_be(handoff, rep, values):
    put(handoff, rep)
    if values:
        NextTask.objects.all().delete()
    fields = {"handoff": handoff, "text": "Again", "due_at": NOW, "owner": rep, "set_at": NOW, **values}
    with pytest.raises(IntegrityError), transaction.atomic():
        NextTask.objects.create(**fields)


# --- by the pages --------------------------------------------------------------------------------------------


def test_it_shows_in_the_row_and_waits_on_its_day(client_of, rep, other_rep):
    now = timezone.now()
    one, two, three = (handoffs.claim(handoff_id=h.pk, by=rep, now=now) for h in desk.desk(3, now=now))
    client = client_of(rep)
    today = timezone.localdate()
    said = client.post(f"/inbox/{one.pk}/task/?tab=mine", {"text": "Call Priya", "day": today.isoformat()}, **HTMX)
    assert "Next: Call Priya" in said.content.decode() and "/inbox/undo/" in said.content.decode()
    client.post(f"/inbox/{two.pk}/task/", {"text": "Later", "day": (today + 3 * DAY).isoformat()})
    client.post(f"/inbox/{three.pk}/task/", {"text": "Late", "day": today.isoformat()})
    NextTask.objects.filter(handoff=three).update(due_at=now - 3 * DAY)
    due = client.get("/inbox/?tab=due")
    assert {r.id: r.task_days for r in due.context["rows"]} == {one.pk: 0, three.pk: -3}
    assert "Overdue" in due.content.decode() and "Call Priya" in due.content.decode()
    assert len(client_of(other_rep).get("/inbox/?tab=due").context["rows"]) == 0
    client = client_of(rep)
    client.post(f"/inbox/{one.pk}/task/done/?tab=due", **HTMX)
    assert [r.id for r in client.get("/inbox/?tab=due").context["rows"]] == [three.pk]


def test_a_task_without_a_day_is_refused_in_words(client_of, rep, handoff):
    response = client_of(rep).post(f"/inbox/{handoff.pk}/task/", {"text": "Call", "day": "soon"}, **HTMX)
    assert (response.status_code, "Choose a day." in response.content.decode()) == (422, True)


def test_notes_stay_with_the_account(client_of, rep, handoff):
    handoffs.note(handoff_id=handoff.pk, text="Procurement takes a quarter.", by=rep, now=NOW)
    handoffs.close(handoff_id=handoff.pk, outcome="lost", reason="timing", by=rep, now=NOW)
    again = desk.handoff(handoff.company, now=timezone.now())
    page = client_of(rep).get(f"/inbox/{again.pk}/").content.decode()
    assert "From before" in page and "Procurement takes a quarter." in page
