"""Prompts in the customer's product: who vouches, which one is due, what is kept, and what it costs."""

from __future__ import annotations

import datetime as dt
import gzip
import json

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from accounts import lifecycle, sources
from accounts.models import Account, AuditEntry, ProductUser, Source, UserKey
from scoring import firing, handoffs, playbook, prompts
from scoring.models import Handoff, Play, PlayRun, PromptRules, PromptView
from tests.conftest import NOW
from tests.factories.scoring import make_user, sweep, use
from tests.scoring.test_plays import DAY, SECOND, live_world, other_play, qualify, sales

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)
LATER = NOW + 3 * SECOND
NOTHING = 2  # the person with their accounts, what is shown
OFFERED = 5  # a transaction, the person's lock, what they met by then, the row
SOMETHING = 6  # and the cap, what they met, holds, handoffs


def person(account: Account, name: str = "kim") -> ProductUser:
    user = make_user(account, name)
    UserKey.objects.create(key=f"u:{name}", user=user)
    return user


@pytest.fixture
def world(admin):
    """An account with a person; its definition hands nothing over."""
    account = live_world()
    person(account)
    playbook.move(play_id=sales().pk, verb="pause", by=admin, now=NOW - DAY)
    return account


def prompt_play(admin, name="A prompt", *, action="prompt", **values) -> Play:
    values.setdefault("content", {"headline": name, "button": "Go", "url": "/plans", "style": "banner"})
    play = other_play(admin, action, **values)
    Play.objects.filter(pk=play.pk).update(name=name)
    return play


def fire(account: Account, at: dt.datetime = NOW) -> None:
    qualify(account, at)
    firing.decide_due(now=at + 2 * SECOND)


def due(name: str = "kim", moment: str = "", at: dt.datetime = LATER) -> str | None:
    found = prompts.due_for(name, moment=moment, now=at)
    return found.headline if found else None


# --- which one ----------------------------------------------------------------------------------------------


def test_what_fired_is_due_for_the_people_of_the_account_and_nobody_else(admin, world):
    prompt_play(admin, "Upgrade")
    person(live_world("Other"), "lee")
    assert due() is None
    fire(world)
    assert (due(), due("lee"), due("nobody")) == ("Upgrade", None, None)


def test_the_highest_priority_is_the_one_that_is_due(admin, world):
    prompt_play(admin, "Low", priority=10, promotional=False)
    prompt_play(admin, "High", priority=90, promotional=False)
    fire(world)
    assert due() == "High"


def test_a_moment_asks_for_its_own_and_a_wall_shows_only_at_its_place(admin, world):
    prompt_play(admin, "Limit", moment="limit_reached", promotional=False)
    prompt_play(admin, "Gate", moment="feature_gate", promotional=False, priority=90)
    fire(world)
    assert (due(), due(moment="feature_gate"), due(moment="trial_ending")) == ("Limit", "Gate", None)


@pytest.mark.parametrize("event", ["clicked", "dismissed", "converted"])
def test_what_was_acted_on_is_not_shown_to_that_person_again(admin, world, event):
    prompt_play(admin, "Upgrade")
    person(world, "lee")
    fire(world)
    run = PlayRun.objects.get(status="fired")
    assert prompts.record("kim", run.pk, event, now=LATER)
    assert (due(at=LATER + 9 * DAY), due("lee")) == (None, "Upgrade")


def test_what_was_only_seen_comes_again_after_a_day(admin, world):
    prompt_play(admin, "Upgrade")
    fire(world)
    prompts.record("kim", PlayRun.objects.get(status="fired").pk, "seen", now=LATER)
    assert due(at=LATER + 23 * HOUR) is None
    assert due(at=LATER + 24 * HOUR) == "Upgrade"


def test_the_cap_holds_over_all_plays_and_leaves_notices_alone(admin, world):
    kim = ProductUser.objects.get()
    prompt_play(admin, "Upgrade")
    fire(world)
    run = PlayRun.objects.get(status="fired")
    old = [PlayRun.objects.create(**_run(run, number), near_day=number) for number in (1, 2)]
    for number, other in enumerate(old):
        met = LATER - 2 * DAY - number * HOUR
        PromptView.objects.create(
            run=other, user=kim, promotional=True, offered_at=met, first_seen_at=met, last_seen_at=met
        )
    assert due() is None  # two in seven days, as it is set from the start
    assert due(at=NOW + 4 * DAY) is None
    assert due(at=LATER + 5 * DAY) == "Upgrade"
    PromptRules.objects.update(enabled=False)
    assert due() == "Upgrade"
    PromptRules.objects.update(enabled=True)
    Play.objects.filter(action="prompt").update(promotional=False)
    assert due() == "Upgrade"


def test_two_devices_that_ask_at_once_do_not_get_past_the_cap(admin, world):
    """Neither has said yet that anything was seen."""
    PromptRules.objects.update(cap=1)
    prompt_play(admin, "Anywhere")
    prompt_play(admin, "Gate", moment="feature_gate")
    prompt_play(admin, "Limit", moment="limit_reached", promotional=False)
    fire(world)
    assert (due(), due(moment="feature_gate"), due()) == ("Anywhere", None, "Anywhere")
    assert due(moment="limit_reached") == "Limit"
    view = PromptView.objects.get()
    assert (view.offered_at, view.first_seen_at, view.last_seen_at) == (LATER, None, None)
    assert prompts.record("kim", view.run_id, "seen", now=LATER + HOUR)
    assert not prompts.record("kim", view.run_id, "seen", now=LATER + 2 * HOUR)
    view.refresh_from_db()
    assert (view.offered_at, view.first_seen_at, view.last_seen_at) == (LATER, LATER + HOUR, LATER + 2 * HOUR)


def test_what_is_shown_again_counts_in_the_days_in_which_it_is_shown(admin, world):
    PromptRules.objects.update(cap=1, cap_days=7)
    prompt_play(admin, "Old", priority=90)
    prompt_play(admin, "New")
    fire(world)
    run = PlayRun.objects.get(play__name="Old", status="fired")
    prompts.record("kim", run.pk, "seen", now=LATER)
    assert due(at=LATER + 6 * DAY) == "Old"
    prompts.record("kim", run.pk, "seen", now=LATER + 6 * DAY)
    assert due(at=LATER + 6 * DAY + HOUR) is None  # New would be a second one within seven days
    assert due(at=LATER + 12 * DAY) == "Old"


def _run(like: PlayRun, number: int) -> dict:
    names = ("play", "account", "company", "status", "created_at", "decided_at", "window_ends_at", "shows_until")
    return {name: getattr(like, name) for name in names} | {"ended_at": LATER}


def test_a_rep_at_work_or_an_urgent_ticket_mutes_promotions_only(admin, world, rep):
    prompt_play(admin, "Upgrade", priority=90)
    prompt_play(admin, "Limit", promotional=False)
    fire(world)
    assert due() == "Upgrade"
    lifecycle.hold(account_id=world.pk, kind="urgent_ticket", source="ticket:1", now=LATER)
    assert due() == "Limit"
    lifecycle.lift(account_id=world.pk, kind="urgent_ticket", source="ticket:1", now=LATER)
    handoff = Handoff.objects.create(company=world, opened_at=NOW, newest_evidence_at=NOW)
    assert due() == "Upgrade"
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=LATER)
    assert due(at=LATER + DAY) == "Limit"
    assert due(at=LATER + 7 * DAY) == "Upgrade"  # five business days without a touch


def test_who_must_not_be_contacted_meets_notices_only(admin, world):
    person(world, "lee")
    prompt_play(admin, "Upgrade", priority=90)
    prompt_play(admin, "Limit", promotional=False)
    fire(world)
    ProductUser.objects.filter(external_id="acme-kim").update(do_not_contact=True)
    assert (due(), due("lee")) == ("Limit", "Upgrade")


@pytest.mark.parametrize("verb", ["pause", "archive"])
def test_a_play_that_stops_is_not_shown_any_more(admin, world, verb):
    play = prompt_play(admin, "Upgrade")
    fire(world)
    playbook.move(play_id=play.pk, verb=verb, by=admin, now=LATER)
    assert due() is None


def test_what_no_longer_qualifies_and_what_is_old_leaves_the_product(admin, world):
    prompt_play(admin, "Upgrade")
    fire(world)
    run = PlayRun.objects.get(status="fired")
    assert firing.end_shown(now=LATER + 29 * DAY) == 0
    assert firing.end_shown(now=LATER + 31 * DAY) == 1
    PlayRun.objects.update(ended_at=None)
    run.qualification.closed_at, run.qualification.close_cause = LATER, "converted"
    run.qualification.save()
    assert due() is None


def test_internal_accounts_and_ended_memberships_meet_nothing(admin, world):
    prompt_play(admin, "Upgrade")
    fire(world)
    Account.objects.filter(pk=world.pk).update(is_internal=True)
    assert due() is None
    Account.objects.filter(pk=world.pk).update(is_internal=False)
    world.memberships.update(valid_to=LATER)
    assert due() is None


def test_a_nudge_for_a_near_miss_is_shown_like_a_prompt(admin, world):
    play = prompt_play(admin, "One invite left", action="nudge")
    Play.objects.filter(pk=play.pk).update(trigger="near_miss")
    play.refresh_from_db()
    PlayRun.objects.create(play=play, account=world, company=world, near_day=1, created_at=NOW, due_at=NOW)
    firing.decide_due(now=NOW + SECOND)
    assert due() == "One invite left"


# --- what is kept -------------------------------------------------------------------------------------------


def test_what_people_do_is_kept_once(admin, world):
    prompt_play(admin, "Upgrade")
    fire(world)
    run = PlayRun.objects.get(status="fired")
    times = [(event, at) for event in ("seen", "clicked", "converted") for at in (LATER, LATER + HOUR)]
    assert [prompts.record("kim", run.pk, event, now=at) for event, at in times] == [True, False] * 3
    view = PromptView.objects.get()
    assert (view.first_seen_at, view.last_seen_at, view.clicked_at, view.converted_at) == (
        LATER,
        LATER + HOUR,
        LATER,
        LATER,
    )


def test_nobody_says_anything_about_others_prompts(admin, world):
    prompt_play(admin, "Upgrade")
    person(live_world("Other"), "lee")
    fire(world)
    run = PlayRun.objects.get(status="fired")
    for name, number in (("lee", run.pk), ("kim", run.pk + 1000), ("nobody", run.pk)):
        with pytest.raises(prompts.Unknown):
            prompts.record(name, number, "seen", now=LATER)
    assert not PromptView.objects.exists()


# --- the door -----------------------------------------------------------------------------------------------


@pytest.fixture
def door(admin, client):
    """`door(user, …)` asks as the script does, `door.tell(…)` says what happened."""
    source, key = sources.create_source(name="App", by=admin, now=timezone.now())
    _, secret = sources.new_signing_secret(source_id=source.pk, by=admin, now=timezone.now())

    class Door:
        source_id = source.pk
        write_key, signing = key, secret

        def __call__(self, user="kim", *, key=key, token=None, moment=""):
            token = sources.user_token(secret, user) if token is None else token
            headers = {"authorization": f"Bearer {key}", "x-user-token": token, "origin": "https://app.test"}
            return client.get("/v1/prompts", {"user": user, "moment": moment}, headers=headers)

        def tell(self, body, *, raw=None):
            told = {"writeKey": key, "token": sources.user_token(secret, str(body.get("user"))), **body}
            return client.post("/v1/prompts/events", raw or json.dumps(told), content_type="text/plain;charset=UTF-8")

    return Door()


@pytest.fixture
def shown(admin, world):
    """A prompt that is due now."""
    prompt_play(admin, "Upgrade <b>now</b>")
    fire(world)
    PlayRun.objects.filter(status="fired").update(shows_until=timezone.now() + DAY)
    return PlayRun.objects.get(status="fired")


def test_the_door_answers_the_prompt_to_any_page(door, shown):
    answer = door()
    assert answer.json() == {
        "prompt": {
            "id": shown.pk,
            "play": shown.play.slug,
            "style": "banner",
            "moment": "",
            "promotional": True,
            "headline": "Upgrade <b>now</b>",
            "body": "",
            "button": "Go",
            "url": "/plans",
        }
    }
    assert (answer.headers["Access-Control-Allow-Origin"], answer.headers["Cache-Control"]) == ("*", "no-store")
    assert door("lee").json() == {"prompt": None}


def test_without_a_key_and_a_token_for_the_user_nothing_is_said(door, shown, client):
    lee = sources.user_token(door.signing, "lee")
    answers = [
        door(token=""),
        door(token=lee),
        door(key="plg_none"),
        door(key=""),
        door(user=""),
        client.get("/v1/prompts"),
    ]
    assert [answer.status_code for answer in answers] == [401] * 6
    assert [answer.json()["code"] for answer in answers] == ["invalid_user_token"] * 2 + ["invalid_write_key"] * 2 + [
        "invalid_user_token",
        "invalid_write_key",
    ]
    told = {"prompt": shown.pk, "event": "seen"}
    assert door.tell(told | {"user": "kim", "token": lee}).status_code == 401
    assert door.tell(told | {"user": "kim", "writeKey": ""}).status_code == 401
    assert not PromptView.objects.exists()


def test_a_token_may_expire_and_nobody_moves_its_end(door, shown):
    now = int(timezone.now().timestamp())
    good = sources.user_token(door.signing, "kim", expires=now + 60)
    old = sources.user_token(door.signing, "kim", expires=now - 1)
    later = f"{now + 3600}.{old.partition('.')[2]}"
    plain = f"{now + 60}.{sources.user_token(door.signing, 'kim')}"
    other = sources.user_token(door.signing, "lee", expires=now + 60)
    statuses = [door(token=token).status_code for token in (good, old, later, plain, other)]
    assert statuses == [200, 401, 401, 401, 401]
    # neither kind is made of the other by choosing the user
    assert door(f"{now + 60}\nkim", token=good.partition(".")[2]).status_code == 401
    assert door(f"{now + 60}.kim", token=good.partition(".")[2]).status_code == 401


def test_a_source_whose_key_was_revoked_vouches_for_nobody(door, shown, admin):
    sources.revoke(source_id=door.source_id, by=admin, now=timezone.now())
    assert door().status_code == 401


def test_the_door_keeps_what_happened_once(door, shown):
    told = {"user": "kim", "prompt": shown.pk, "event": "clicked"}
    assert door.tell(told).json() == {"success": True, "first": True}
    assert door.tell(told).json() == {"success": True, "first": False}
    assert PromptView.objects.get().clicked_at is not None
    assert door().json() == {"prompt": None}


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"event": "shared"}, 400, "unknown_event"),
        ({"prompt": "1"}, 400, "invalid_request"),
        ({"prompt": True}, 400, "invalid_request"),
        ({"prompt": 2**70}, 400, "invalid_request"),
        ({"prompt": 10**9}, 404, "unknown_prompt"),
        ({"user": 5}, 400, "invalid_request"),
        ({"user": "a\x00b"}, 401, "invalid_user_token"),
    ],
)
def test_what_makes_no_sense_is_told_so(door, shown, changes, status, code):
    answer = door.tell({"user": "kim", "prompt": shown.pk, "event": "seen"} | changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_body_that_is_no_object_or_too_large_is_refused(door):
    assert door.tell({}, raw="[]").status_code == 400
    assert door.tell({}, raw="{").status_code == 400
    assert door.tell({}, raw="x" * 5000).status_code == 413


def test_other_methods_and_moments_are_told_what_is_asked_for(door, client):
    assert door(moment="teatime").json()["code"] == "unknown_moment"
    assert client.post("/v1/prompts").status_code == 405
    assert client.get("/v1/prompts/events").status_code == 405
    asked = client.options("/v1/prompts", headers={"origin": "https://app.test"})
    assert asked.status_code == 204
    assert "x-user-token" in asked.headers["Access-Control-Allow-Headers"]


def test_the_script_is_small_and_may_be_kept(client):
    answer = client.get("/v1/prompts.js")
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert len(gzip.compress(answer.content, 9)) < 5_000
    again = client.get("/v1/prompts.js", headers={"if-none-match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    code = (settings.BASE_DIR / "static" / "prompts" / "prompts.js").read_text()
    for word in ("innerHTML", "insertAdjacentHTML", "document.write", "eval(", "import "):
        assert word not in code


def test_nothing_due_costs_two_reads_and_something_no_more_than_six(
    admin, world, rep, django_assert_num_queries, django_assert_max_num_queries
):
    with django_assert_num_queries(NOTHING):
        assert due() is None
    for number in range(3):
        prompt_play(admin, f"P{number}", promotional=number > 0)
    for number in range(3):
        fire(live_world(f"A{number}"))
    fire(world)
    with django_assert_max_num_queries(SOMETHING):
        assert due() is not None
    Play.objects.filter(action="prompt").update(promotional=True)
    with django_assert_num_queries(SOMETHING + OFFERED):
        assert due() is not None


# --- the pages ----------------------------------------------------------------------------------------------


def test_an_admin_sets_the_cap_with_an_audit_row(client_of, admin):
    browser = client_of(admin)
    assert browser.post(reverse("prompts"), {"enabled": "on", "cap": "0", "cap_days": "7"}).status_code == 422
    assert browser.post(reverse("prompts"), {"enabled": "on", "cap": "3", "cap_days": "14"}).status_code == 302
    assert str(PromptRules.objects.get()) == "3 in 14 days"
    row = AuditEntry.objects.get(action="prompt_rules.changed")
    assert row.detail == {"from": "2 in 7 days", "to": "3 in 14 days"}


def test_a_secret_is_shown_once_to_who_manages_sources(client_of, admin, rep, door):
    url = reverse("prompts_secret", args=[door.source_id])
    assert client_of(rep).post(url).status_code == 403
    browser = client_of(admin)
    page = browser.post(url)
    assert page.context["new_secret"] in page.content.decode()
    assert page.context["new_secret"] not in browser.get(reverse("prompts")).content.decode()
    assert door().status_code == 401  # the token of the one before
    files = Source.objects.create(name="Files", kind="file", created_at=NOW)
    assert browser.post(reverse("prompts_secret", args=[files.pk])).status_code == 404


def test_the_sample_page_carries_the_words_as_data(client_of, viewer, admin, world):
    play = prompt_play(admin, "</script><img src=x>")
    page = client_of(viewer).get(reverse("play_sample", args=[play.slug])).content.decode()
    assert "<img" not in page
    assert client_of(viewer).get(reverse("play_sample", args=[sales().slug])).status_code == 404


def test_readers_see_the_setup_without_what_they_may_not_change(client_of, rep):
    browser = client_of(rep)
    page = browser.get(reverse("prompts")).content.decode()
    assert "at most" in page
    assert "Signing secret" not in page
    assert browser.post(reverse("prompts"), {"cap": "9", "cap_days": "7"}).status_code == 403
    use(live_world(), "Invite Sent", at=NOW)
    sweep(NOW)
