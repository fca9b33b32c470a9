"""The pages of plays and of the tasks that they open."""

from __future__ import annotations

import datetime as dt
import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from plgops.lib import access
from scoring import firing, playbook
from scoring.models import CsTask, Play, PlayRun
from tests.conftest import make_staff
from tests.factories.scoring import make_account, publish, sweep, use

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
LIST_QUERIES = 6  # session, user, roles; plays, their runs, what converted
PAGE_QUERIES = 9  # session, user, roles; the play, its numbers twice, its runs, the lift, its history
TASK_QUERIES = 4


@pytest.fixture
def world(admin):
    """The definition, live, with a play for a task beside the one that came with it, and a function that qualifies."""
    now = timezone.now() - 2 * DAY
    publish(now)
    definition = Play.objects.get().definition
    play = playbook.create(
        playbook.Wanted("Say hello", definition, "cs_task", values={"content": {"headline": "Say hello"}}),
        by=admin,
        now=now,
    )
    playbook.move(play_id=play.pk, verb="start", by=admin, now=now)
    playbook.move(play_id=Play.objects.get(action="sales_handoff").pk, verb="pause", by=admin, now=now)

    def qualify(count: int):
        for number in range(count):
            account = make_account(f"Acme {number}", recorded_at=now, plan="free")
            sweep(now)
            use(account, "Invite Sent", at=timezone.now(), count=3)
        sweep(timezone.now())
        firing.decide_due(now=timezone.now())
        return play

    return qualify


@pytest.fixture
def guide(db):
    return make_staff("cleo", access.CS, first_name="Cleo", last_name="Ines")


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_costs_the_same_for_any_number_and_each_number_leads_to_its_accounts(
    client_of, admin, world, count, django_assert_num_queries
):
    play = world(count)
    for number in range(count):
        playbook.create(playbook.Wanted(f"More {number}", play.definition, "nudge"), by=admin, now=timezone.now())
    browser = client_of(admin)
    with django_assert_num_queries(LIST_QUERIES):
        page = browser.get(reverse("plays"))
    rows = {row.play.name: row.numbers for row in page.context["plays"]}
    assert rows["Say hello"].fired == count
    link = f'href="/plays/{play.slug}/?tab=fired">{count}</a>'
    assert link in page.content.decode()
    accounts = browser.get(f"/plays/{play.slug}/?tab=fired").context["page"].items
    assert sorted(run.account.name for run in accounts) == [f"Acme {number}" for number in range(count)]


@pytest.mark.parametrize("count", [1, 3])
def test_a_plays_page_costs_the_same_for_any_number(client_of, admin, world, count, django_assert_num_queries):
    play = world(count)
    browser = client_of(admin)
    with django_assert_num_queries(PAGE_QUERIES):
        page = browser.get(reverse("play", args=[play.slug]))
    assert page.content.decode().count("A task was opened.") == 2 * count
    assert "Nobody is held out, so there is nothing to compare with." in page.content.decode()


def test_each_account_says_why_it_was_not_fired_for(client_of, admin, world, viewer):
    play = world(0)
    playbook.edit(play_id=play.pk, values={"audience": "plan is business"}, by=admin, now=timezone.now())
    world(1)
    page = client_of(viewer).get(reverse("play", args=[play.slug]) + "?tab=not")
    assert "Asked for: plan is business. It is free." in page.content.decode()
    assert 'name="audience"' not in page.content.decode()


def form_of(play: Play, **changes) -> dict:
    data = {
        "name": play.name,
        "audience": play.audience,
        "holdout_percent": play.holdout_percent,
        "cooldown_days": play.cooldown_days,
        "priority": play.priority,
        "convert_days": play.convert_days,
        "starts_on": "",
        "ends_on": "",
        "headline": "Say hello",
        "body": "",
        "due_days": "3",
    }
    return data | changes


def test_a_play_that_qualifies_cannot_say_what_is_missing_and_its_page_says_why(client_of, admin, world):
    play = world(0)
    browser, url = client_of(admin), reverse("play", args=[play.slug])
    bad = browser.post(url, form_of(play, body="Only {needs}"))
    assert (bad.status_code, set(bad.context["form"].errors)) == (422, {"body"})
    assert "This play acts on what qualifies, where nothing is missing" in bad.content.decode()
    new = reverse("play_new") + "?definition=team-expansion&action=cs_task&trigger="
    hint = "{needs} stands for what a near miss lacks"
    assert hint not in browser.get(new + "qualifies").content.decode()
    assert hint in browser.get(new + "near_miss").content.decode()
    assert browser.post(new + "qualifies", form_of(play, body="Only {needs}")).status_code == 422
    assert browser.post(new + "near_miss", form_of(play, body="Only {needs}")).status_code == 302
    made = Play.objects.get(trigger="near_miss")
    assert made.content["body"] == "Only {needs}"
    assert browser.post(reverse("play_would", args=[play.slug]), form_of(play, body="{needs}")).status_code == 422


def test_an_admin_changes_a_play_and_is_told_what_is_wrong(client_of, admin, world):
    play = world(0)
    browser, url = client_of(admin), reverse("play", args=[play.slug])
    bad = browser.post(
        url, form_of(play, audience="plan free", holdout_percent="95", ends_on="2026-01-01", starts_on="2026-02-01")
    )
    assert bad.status_code == 422
    assert {"audience", "holdout_percent", "ends_on"} == set(bad.context["form"].errors)
    good = browser.post(url, form_of(play, audience="Plan IS Free, TRIAL", holdout_percent="20"))
    assert good.status_code == 302
    play.refresh_from_db()
    assert (play.audience, play.holdout_percent, play.content["headline"]) == ("plan is free, trial", 20, "Say hello")
    assert "Ada Okoye" in browser.get(url).content.decode()


def test_the_last_ninety_days_are_looked_at_with_what_the_form_says_and_nothing_is_saved(client_of, admin, world):
    play = world(3)
    browser, url = client_of(admin), reverse("play_would", args=[play.slug])
    found = browser.post(url, form_of(play)).context["would"]
    assert (found.qualified, found.fires, found.outside) == (3, 3, 0)
    found = browser.post(url, form_of(play, audience="plan is business")).context["would"]
    assert (found.fires, found.outside, dict(found.reasons)) == (0, 3, {"plan is business": 3})
    assert browser.post(url, form_of(play, priority="x")).status_code == 422
    play.refresh_from_db()
    assert play.audience == ""


def test_a_new_play_is_made_in_two_steps_as_a_draft(client_of, admin, world):
    world(0)
    browser, url = client_of(admin), reverse("play_new")
    assert browser.get(url).status_code == 200
    kind = {"definition": "team-expansion", "trigger": "near_miss", "action": "prompt"}
    assert browser.get(url, kind).status_code == 422
    kind |= {"trigger": "qualifies", "moment": "limit_reached"}
    second = browser.get(url, kind)
    assert "You have reached your plan’s limit" in second.content.decode()
    query = "&".join(f"{name}={value}" for name, value in kind.items())
    form = {
        "name": "Limit",
        "headline": "Full",
        "button": "See plans",
        "url": "javascript:alert(1)",
        "style": "modal",
        "moment": "limit_reached",
        "holdout_percent": "10",
        "cooldown_days": "7",
        "priority": "60",
        "convert_days": "14",
    }
    assert browser.post(f"{url}?{query}", form).status_code == 422
    made = browser.post(f"{url}?{query}", form | {"url": "/plans"})
    play = Play.objects.get(name="Limit")
    assert made.headers["Location"] == f"/plays/{play.slug}/"
    assert (play.status, play.promotional, play.moment, play.content["url"]) == (
        "draft",
        False,
        "limit_reached",
        "/plans",
    )
    assert browser.post(reverse("play_move", args=[play.slug, "start"])).status_code == 302
    play.refresh_from_db()
    assert play.status == "live"


def test_only_admins_change_plays_and_only_those_with_a_role_see_them(client_of, rep, stranger, world):
    play = world(0)
    browser = client_of(rep)
    assert browser.get(reverse("play", args=[play.slug])).status_code == 200
    assert browser.post(reverse("play", args=[play.slug]), form_of(play)).status_code == 403
    assert browser.post(reverse("play_move", args=[play.slug, "pause"])).status_code == 403
    assert browser.get(reverse("play_new")).status_code == 403
    assert browser.get(reverse("cs_tasks")).status_code == 403
    browser = client_of(stranger)
    assert browser.get(reverse("plays")).status_code == 403
    assert browser.get(reverse("play", args=[play.slug])).status_code == 403
    play.refresh_from_db()
    assert (play.status, PlayRun.objects.count()) == ("live", 0)


@pytest.mark.parametrize("count", [1, 3])
def test_tasks_cost_the_same_for_any_number(client_of, guide, world, count, django_assert_num_queries):
    world(count)
    browser = client_of(guide)
    with django_assert_num_queries(TASK_QUERIES):
        page = browser.get(reverse("cs_tasks"))
    assert len(page.context["page"].items) == count


def test_a_task_is_taken_and_closed_from_the_page(client_of, guide, world):
    world(1)
    task = CsTask.objects.get()
    browser = client_of(guide)
    browser.post(reverse("cs_task_take", args=[task.pk]))
    assert [t.pk for t in browser.get(reverse("cs_tasks") + "?tab=mine").context["page"].items] == [task.pk]
    browser.post(reverse("cs_task_close", args=[task.pk]), {"outcome": "other", "status": "done"})
    task.refresh_from_db()
    assert task.status == "open"
    browser.post(reverse("cs_task_close", args=[task.pk]), {"outcome": "helped", "status": "dismissed", "note": "Hi"})
    task.refresh_from_db()
    assert (task.status, task.outcome, task.note, task.owner) == ("dismissed", "helped", "Hi", guide)
    assert "Dismissed" in browser.get(reverse("cs_tasks") + "?tab=closed").content.decode()


def test_a_task_that_was_closed_by_mistake_is_opened_again_from_the_page(client_of, guide, rep, world):
    world(1)
    task = CsTask.objects.get()
    browser = client_of(guide)
    again = reverse("cs_task_reopen", args=[task.pk])
    assert "It is open already." in browser.post(again, follow=True).content.decode()
    browser.post(reverse("cs_task_close", args=[task.pk]), {"outcome": "other", "status": "done", "note": "Oops"})
    assert again in browser.get(reverse("cs_tasks") + "?tab=closed").content.decode()
    assert client_of(rep).post(again).status_code == 403
    browser = client_of(guide)
    assert browser.post(again + "?tab=closed").headers["Location"].endswith("?tab=closed")
    task.refresh_from_db()
    assert (task.status, task.outcome, task.note, task.closed_at, task.closed_by) == ("open", "", "", None, None)
    assert task.owner == guide
    entry = AuditEntry.objects.get(action="cs_task.reopened")
    assert (entry.actor_id, entry.account_id) == (guide.pk, task.company_id)
    assert entry.detail == {"status": "done", "outcome": "other", "note": "Oops"}
    assert [t.pk for t in browser.get(reverse("cs_tasks")).context["page"].items] == [task.pk]
    browser.post(reverse("cs_task_close", args=[task.pk]), {"outcome": "helped", "status": "done"})
    task.refresh_from_db()
    assert task.status == "done"


def test_the_definitions_page_says_what_its_plays_do(client_of, admin, world):
    play = world(0)
    page = client_of(admin).get(reverse("definition", args=["team-expansion"])).content.decode()
    assert f'href="/plays/{play.slug}/"' in page
    assert "Nothing is handed to sales at the moment" in page


def test_the_command_lists_the_plays_as_text_and_as_json(world):
    play = world(2)
    told = StringIO()
    call_command("plays", json=True, stdout=told)
    rows = {row["slug"]: row for row in json.loads(told.getvalue())}
    assert (rows[play.slug]["fired"], rows[play.slug]["action"], rows[play.slug]["status"]) == (2, "cs_task", "live")
    assert set(rows) == {"say-hello", "team-expansion-to-sales"}
    told = StringIO()
    call_command("plays", archived=True, stdout=told)
    assert told.getvalue() == ""
