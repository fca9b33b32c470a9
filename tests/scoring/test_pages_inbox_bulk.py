"""Snoozing and working on several accounts at once, by the inbox's pages."""

import datetime as dt

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, BusinessCalendar
from scoring import bulk, handoffs, snooze
from scoring.models import Handoff
from tests.factories import desk

pytestmark = pytest.mark.django_db

HTMX = {"HTTP_HX_REQUEST": "true"}
DAY = dt.timedelta(days=1)


@pytest.fixture
def now():
    return timezone.now()


def mine(rep, number: int, *, now) -> list[Handoff]:
    return [handoffs.claim(handoff_id=one.pk, by=rep, now=now - DAY) for one in desk.desk(number, now=now)]


def states() -> list[str]:
    return list(Handoff.objects.order_by("pk").values_list("status", flat=True))


def names(response):
    return [r.handoff.company.name for r in response.context["rows"]]


# --- snooze --------------------------------------------------------------------------------------------------


def test_a_snoozed_account_has_its_tab_its_day_and_a_way_back(client_of, rep, now):
    one, two = mine(rep, 2, now=now)
    client = client_of(rep)
    until = (now + 3 * DAY).isoformat()
    said = client.post(f"/inbox/{one.pk}/snooze/?tab=mine", {"until": until, "or_evidence": "on"}, **HTMX)
    assert said["HX-Trigger"] == f'{{"row-gone": "#row-{one.pk}"}}'
    entry = AuditEntry.objects.get(action="handoff.snoozed")
    assert f'hx-post="/inbox/undo/{entry.pk}/?tab=mine"' in said.content.decode()
    assert names(client.get("/inbox/?tab=mine")) == [two.company.name]
    page = client.get("/inbox/?tab=snoozed")
    assert names(page) == [one.company.name]
    local = timezone.localtime(now + 3 * DAY)
    assert f"Snoozed until </span>{local:%a} {local.day} {local:%b}</time>" in page.content.decode()
    assert "or until stronger evidence comes" in page.content.decode()
    client.post(f"/inbox/undo/{entry.pk}/?tab=mine", **HTMX)
    assert states() == ["claimed", "claimed"]


def test_a_date_is_its_morning_in_the_workspace(client_of, rep, now):
    (one,) = mine(rep, 1, now=now)
    day = timezone.localtime(now).date() + 9 * DAY
    client_of(rep).post(f"/inbox/{one.pk}/snooze/", {"until": "", "day": day.isoformat()})
    one.refresh_from_db()
    assert timezone.localtime(one.snoozed_until).replace(tzinfo=None) == dt.datetime.combine(day, dt.time(9))
    assert not one.wakes_on_evidence


@pytest.mark.parametrize(
    "data", [{}, {"day": "soon"}, {"until": "2026-01-01"}, {"until": "9999-99-99"}, {"until": "1"}]
)
def test_a_snooze_without_a_moment_is_refused_in_words(client_of, rep, now, data):
    (one,) = mine(rep, 1, now=now)
    response = client_of(rep).post(f"/inbox/{one.pk}/snooze/", data, **HTMX)
    assert (response.status_code, "Choose until when." in response.content.decode()) == (422, True)
    assert states() == ["claimed"]


def test_waking_by_hand_and_what_woke_it_by_itself_is_told(client_of, rep, now):
    one, two = mine(rep, 2, now=now)
    client = client_of(rep)
    for handoff in (one, two):
        snooze.snooze(handoff_id=handoff.pk, until=now + DAY, by=rep, now=now)
    assert client.post(f"/inbox/{one.pk}/wake/?tab=snoozed", **HTMX).status_code == 200
    assert snooze.wake_due(now=now + DAY) == 1
    page = client.get(f"/inbox/{two.pk}/?tab=mine").content.decode()
    assert "its time had come" in page
    assert [r.badge for r in client.get("/inbox/?tab=mine").context["rows"] if r.id == two.pk] == [
        ("woke", "accent", "alarm-clock")
    ]


def test_a_manager_sees_everybodys_sleepers_and_a_rep_their_own(client_of, rep, other_rep, manager, now):
    one, two = desk.desk(2, now=now)
    for handoff, owner in ((one, rep), (two, other_rep)):
        handoffs.claim(handoff_id=handoff.pk, by=owner, now=now)
        snooze.snooze(handoff_id=handoff.pk, until=now + DAY, by=owner, now=now)
    assert names(client_of(rep).get("/inbox/?tab=snoozed")) == [one.company.name]
    assert len(names(client_of(manager).get("/inbox/?tab=snoozed"))) == 2


def test_the_menu_offers_moments_of_the_business_calendar(client_of, rep, now):
    (one,) = mine(rep, 1, now=now)
    hours = {day: [["11:00", "12:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    BusinessCalendar.objects.create(name="Late", time_zone="UTC", hours=hours)
    presets = client_of(rep).get(f"/inbox/{one.pk}/").context["presets"]
    assert {one.until.hour for one in presets if one.code != "later"} == {11}


def test_the_one_who_had_it_before_is_named(client_of, rep, other_rep, now):
    (one,) = mine(rep, 1, now=now)
    handoffs.close(handoff_id=one.pk, outcome="returned", reason="too_early", by=rep, now=now - DAY)
    desk.handoff(one.company, now=now, last_owner=rep, last_owner_until=now - DAY)
    page = client_of(other_rep).get("/inbox/").content.decode()
    assert f"{rep.label}’s</b> until" in page and f'href="/inbox/{one.pk}/"' in page


# --- several at once -----------------------------------------------------------------------------------------


def test_several_are_claimed_and_one_undo_gives_them_back(client_of, rep, now):
    one, two, three = desk.desk(3, now=now)
    client = client_of(rep)
    done = client.post("/inbox/bulk/claim/?tab=new", {"ids": [one.pk, three.pk]}, **HTMX)
    assert "Claimed 2 accounts" in done.content.decode() and f'id="row-{two.pk}"' in done.content.decode()
    assert states() == ["claimed", "new", "claimed"]
    back = client.post(done.context["undo"], **HTMX)
    assert "Taken back: 2 accounts" in back.content.decode()
    assert states() == ["new", "new", "new"]


def test_what_did_not_work_is_told_with_its_reason(client_of, rep, other_rep, now):
    one, two = desk.desk(2, now=now)
    handoffs.claim(handoff_id=one.pk, by=other_rep, now=now)
    response = client_of(rep).post("/inbox/bulk/claim/", {"ids": [one.pk, two.pk, 987654]}, **HTMX)
    assert response.context["refused"] == [
        ("Lumen Analytics", "Theo Marsh claimed Lumen Analytics first."),
        ("Number 987654", "It is not there any more."),
    ]
    page = response.content.decode()
    assert "Claimed 1 account; 2 could not be" in page and "Theo Marsh claimed Lumen Analytics first." in page
    assert states() == ["claimed", "claimed"]


def test_several_are_snoozed_and_disqualified_with_a_reason(client_of, rep, now):
    handoffs_ = mine(rep, 4, now=now)
    ids = [one.pk for one in handoffs_]
    client = client_of(rep)
    until = (now + 2 * DAY).isoformat()
    client.post("/inbox/bulk/snooze/?tab=mine", {"ids": ids[:2], "until": until, "or_evidence": "on"}, **HTMX)
    client.post("/inbox/bulk/disqualify/?tab=mine", {"ids": ids[2:], "reason": "student"}, **HTMX)
    assert states() == ["snoozed", "snoozed", "disqualified", "disqualified"]
    assert set(Handoff.objects.filter(status="disqualified").values_list("outcome_reason", flat=True)) == {"student"}


def test_without_script_it_is_a_form_and_a_message(client_of, rep, now):
    one, two = desk.desk(2, now=now)
    response = client_of(rep).post("/inbox/bulk/claim/?tab=new", {"ids": [one.pk, two.pk]}, follow=True)
    assert [str(m) for m in response.context["messages"]] == ["Claimed 2 accounts"]
    page = client_of(rep).get("/inbox/?tab=mine").content.decode()
    assert page.count('form="bulk"') == 2 and 'formaction="/inbox/bulk/snooze/?tab=mine"' in page


def test_a_manager_assigns_several_and_takes_that_back(client_of, manager, rep, now):
    one, two = desk.desk(2, now=now)
    client = client_of(manager)
    done = client.post("/inbox/bulk/assign/", {"ids": [one.pk, two.pk], "owner": rep.pk}, **HTMX)
    assert f"Assigned to {rep.label}: 2 accounts" in done.content.decode()
    assert set(Handoff.objects.values_list("owner", flat=True)) == {rep.pk}
    client.post(done.context["undo"], **HTMX)
    assert states() == ["new", "new"]


def test_a_rep_assigns_nobody_and_a_reader_selects_nothing(client_of, rep, viewer, now):
    one, two = desk.desk(2, now=now)
    assert 'popovertarget="bulk-assign"' not in client_of(rep).get("/inbox/").content.decode()
    response = client_of(rep).post("/inbox/bulk/assign/", {"ids": [one.pk], "owner": rep.pk}, **HTMX)
    assert response.context["refused"][0][0] == "Lumen Analytics"
    assert "data-pick" not in client_of(viewer).get("/inbox/").content.decode()
    for path, data in (("claim", {}), ("snooze", {"day": "2030-01-01"}), ("disqualify", {"reason": "student"})):
        client_of(viewer).post(f"/inbox/bulk/{path}/", {"ids": [one.pk, two.pk], **data}, **HTMX)
    assert states() == ["new", "new"]


def test_nothing_selected_and_too_much_selected_are_refused(client_of, rep, now):
    (one,) = desk.desk(1, now=now)
    client = client_of(rep)
    assert client.post("/inbox/bulk/claim/", **HTMX).status_code == 422
    many = client.post("/inbox/bulk/claim/", {"ids": range(1, bulk.MOST + 2)}, **HTMX)
    assert (many.status_code, "100 accounts at a time" in many.content.decode()) == (422, True)
    assert states() == ["new"]


def test_somebody_elses_deed_is_not_taken_back(client_of, rep, other_rep, now):
    one, two = desk.desk(2, now=now)
    done = client_of(rep).post("/inbox/bulk/claim/", {"ids": [one.pk, two.pk]}, **HTMX)
    response = client_of(other_rep).post(done.context["undo"], **HTMX)
    assert "Nothing was changed; 2 could not be" in response.content.decode()
    assert states() == ["claimed", "claimed"]
    gone = client_of(rep).post("/inbox/bulk/undo/?entries=x-999999-", **HTMX)
    assert "That is not there any more." in gone.content.decode()
