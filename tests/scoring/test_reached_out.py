"""How plays talk to a company: in the strip of its account's page, and on its timeline."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import lifecycle, timeline
from accounts.workspace import day_of
from scoring import cs_tasks, handoffs, moments, playbook, prompts, reached_out
from scoring.models import CsTask, Handoff, Play, PlayRun
from tests.conftest import NOW
from tests.factories.pages import an_account
from tests.factories.scoring import make_account
from tests.scoring.test_plays import DAY, SECOND, live_world, other_play, sales
from tests.scoring.test_prompts import fire, person, prompt_play

pytestmark = pytest.mark.django_db
LATER = NOW + 3 * SECOND


@pytest.fixture
def world(admin):
    account = live_world()
    person(account)
    playbook.move(play_id=sales().pk, verb="pause", by=admin, now=NOW - DAY)
    return account


def a_task_play(admin) -> Play:
    return other_play(admin, "cs_task", content={"headline": "Help them roll it out", "due_days": 2}, priority=30)


def out(account, now=LATER):
    return reached_out.of_account(account, now=now)


def lines(account) -> list[str]:
    page = timeline.page(account.pk, today=day_of(NOW), kind="desk", strands=moments.STRANDS)
    return [" ".join(part for part in (moment.who, moment.what, moment.details) if part) for moment in page.items]


def test_what_fired_is_shown_and_nothing_of_another_company(admin, world):
    prompt_play(admin, "Upgrade", priority=20)
    prompt_play(admin, "Limit", action="nudge", promotional=False, priority=90)
    assert (out(world).shown, out(world).tasks) == ((), ())
    fire(world)
    assert [(one.headline, one.is_nudge, one.waits) for one in out(world).shown] == [
        ("Limit", True, ""),
        ("Upgrade", False, ""),
    ]
    theirs = make_account("Other")
    assert (out(theirs).shown, out(theirs).tasks) == ((), ())
    assert out(world, now=NOW + 40 * DAY).shown == ()


def test_what_is_promotional_waits_while_an_urgent_ticket_is_open(admin, world):
    prompt_play(admin, "Upgrade")
    fire(world)
    lifecycle.hold(account_id=world.pk, kind="urgent_ticket", source="ticket:1", now=LATER)
    (one,) = out(world).shown
    assert one.waits == "An urgent ticket is open."


def test_an_open_task_is_told_until_it_is_closed(admin, manager, world):
    a_task_play(admin)
    fire(world)
    (task,) = out(world).tasks
    assert task.title == "Help them roll it out"
    cs_tasks.close(task_id=task.pk, status="done", outcome="helped", by=manager, now=LATER)
    assert out(world).tasks == ()


def test_the_timeline_tells_prompts_what_people_did_and_tasks(admin, manager, world):
    prompt_play(admin, "Upgrade")
    fire(world)
    run = PlayRun.objects.get(play__action="prompt")
    prompts.record("kim", run.pk, "seen", now=LATER)
    prompts.record("kim", run.pk, "clicked", now=LATER + SECOND)
    prompts.record("kim", run.pk, "converted", now=LATER + 2 * SECOND)
    kim = run.views.get().user
    name = kim.name or kim.email or kim.external_id
    assert lines(world) == [
        f"{name} did what the prompt asked for Upgrade",
        f"{name} clicked on the prompt Upgrade",
        "Upgrade began a prompt in the product Upgrade",
    ]


def test_the_timeline_tells_tasks_with_what_came_of_them(admin, manager, world):
    play = a_task_play(admin)
    fire(world)
    task = CsTask.objects.get()
    cs_tasks.take(task_id=task.pk, by=manager, now=LATER)
    cs_tasks.close(task_id=task.pk, status="done", outcome="call_booked", by=manager, now=LATER + SECOND)
    assert lines(world) == [
        f"{manager.label} did the task Help them roll it out · call booked",
        f"{manager.label} took the task Help them roll it out",
        f"{play.name} gave customer success a task Help them roll it out",
    ]


def test_touches_and_notes_are_told_once_and_in_their_words(rep):
    acme = an_account("Acme")
    handoff = Handoff.objects.create(company=acme, opened_at=NOW, newest_evidence_at=NOW)
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=LATER)
    handoffs.touch(handoff_id=handoff.pk, kind="emailed", text="Sent the case study", by=rep, now=LATER + SECOND)
    handoffs.note(handoff_id=handoff.pk, text="They want SSO", by=rep, now=LATER + 2 * SECOND)
    assert lines(acme) == [
        f"{rep.label} wrote a note They want SSO",
        f"{rep.label} e-mailed them Sent the case study",
        f"{rep.label} claimed the company",
    ]


def test_the_strip_leads_to_the_task_who_may_work_it(client_of, admin, manager, rep, world):
    a_task_play(admin)
    fire(world)
    path = f"/accounts/{world.pk}/panels/plays/"
    task = CsTask.objects.get()
    theirs = client_of(manager).get(path).content.decode()
    assert f'href="/cs-tasks/#task-{task.pk}"' in theirs
    assert f'id="task-{task.pk}"' in client_of(manager).get("/cs-tasks/").content.decode()
    own = client_of(rep).get(path).content.decode()
    assert "Help them roll it out" in own
    assert "/cs-tasks/" not in own
    assert f'hx-get="{path}"' in client_of(rep).get(f"/accounts/{world.pk}/").content.decode()


def test_the_panel_is_for_people_with_a_role(client_of, stranger, rep, world):
    assert client_of(stranger).get(f"/accounts/{world.pk}/panels/plays/").status_code == 403
    assert client_of(rep).get("/accounts/999999/panels/plays/").status_code == 404


@pytest.mark.parametrize("rows", [1, 3])
def test_the_panel_costs_the_same_for_any_number_of_rows(client_of, admin, rep, world, rows):
    """Session, user, roles; account; the company's accounts, what runs, holds and handoffs that mute, tasks."""
    for number in range(rows):
        play = prompt_play(admin, f"Upgrade {number}", content={"headline": f"Upgrade {number}"})
        task_play = other_play(admin, "cs_task", content={"headline": "Call"})
        for one, shows in ((play, timezone.now() + 30 * DAY), (task_play, None)):
            run = PlayRun.objects.create(
                play=one,
                account=world,
                company=world,
                near_day=number,
                status="fired",
                created_at=NOW,
                decided_at=NOW,
                window_ends_at=NOW + 30 * DAY,
                shows_until=shows,
            )
            if shows is None:
                cs_tasks.open_for([run], now=NOW)
    Play.objects.update(status="live", live_since=NOW - 9 * DAY)
    client = client_of(rep)
    with CaptureQueriesContext(connection) as asked:
        html = client.get(f"/accounts/{world.pk}/panels/plays/").content.decode()
    assert "Upgrade 0" in html
    assert ("and 2 others" in html) == (rows == 3)
    assert len(asked) == 9


def test_taking_and_closing_a_task_leads_back_to_its_tab(client_of, admin, manager, world):
    a_task_play(admin)
    fire(world)
    task = CsTask.objects.get()
    client = client_of(manager)
    html = client.get("/cs-tasks/?tab=open").content.decode()
    assert f'href="/accounts/{world.pk}/">{world.name}</a>: Help them roll it out' in html
    assert client.post(f"/cs-tasks/{task.pk}/take/?tab=open")["Location"] == "/cs-tasks/"
    assert f'action="/cs-tasks/{task.pk}/close/?tab=mine"' in client.get("/cs-tasks/?tab=mine").content.decode()
    answer = client.post(f"/cs-tasks/{task.pk}/close/?tab=mine", {"status": "done", "outcome": "helped"})
    assert answer["Location"] == "/cs-tasks/?tab=mine"
    assert client.post(f"/cs-tasks/{task.pk}/take/?tab=//evil.example")["Location"] == "/cs-tasks/"
