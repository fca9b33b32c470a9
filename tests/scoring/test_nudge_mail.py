"""Nudges by e-mail: to whom, once, with the cap of prompts, and not once they are over."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts import letters
from accounts.models import Account, Letter, ProductUser, UserKey
from accounts.workspace import day_of
from plgops.lib.db import in_one_transaction
from scoring import firing, handoffs, muting, nudge_mail, playbook, prompts
from scoring.holdout import Arm
from scoring.models import Handoff, Play, PlayRun, PromptRules, PromptView, Qualification
from scoring.play_forms import PlayForm
from tests.conftest import NOW
from tests.factories.scoring import make_account, make_user, publish, sweep, use
from tests.scoring.test_firing import decide, hold
from tests.scoring.test_plays import DAY, SECOND, live_world, other_play, qualify, run_of, sales, salt_that
from tests.scoring.test_prompts import due, prompt_play

pytestmark = pytest.mark.django_db
CONTENT = {
    "headline": "Nearly there",
    "body": "It takes one more.",
    "button": "Invite",
    "url": "https://app.test/invite",
}


@pytest.fixture
def world(admin) -> Account:
    """An account whose definition hands nothing over."""
    account = live_world()
    playbook.move(play_id=sales().pk, verb="pause", by=admin, now=NOW - DAY)
    return account


def person(account: Account, name: str, *, seen=None, **values) -> ProductUser:
    user = make_user(account, name)
    UserKey.objects.create(key=f"u:{name}", user=user)
    values = {"email": f"{name}@acme.test", "last_seen_at": seen} | values
    ProductUser.objects.filter(pk=user.pk).update(**values)
    return user


def mail_play(admin, *, trigger: str = "qualifies", **values) -> Play:
    values = {"content": CONTENT, **values}
    wanted = playbook.Wanted("A letter", sales().definition, "email_nudge", trigger=trigger, values=values)
    play = playbook.create(wanted, by=admin, now=NOW - 9 * DAY)
    return playbook.move(play_id=play.pk, verb="start", by=admin, now=NOW - 9 * DAY)


def fire(account: Account, at=NOW) -> dict[str, int]:
    qualify(account, at)
    return decide(at + 2 * SECOND)


def written() -> list[str]:
    """Who has a letter, by name."""
    return sorted(Letter.objects.values_list("user__name", flat=True))


LATER = NOW + 3 * SECOND


def test_who_was_seen_last_is_written_to_once(admin, world):
    for number, name in enumerate(("kim", "lee", "sam", "una")):
        person(world, name, seen=NOW - number * DAY)
    person(world, "nobody", seen=None, email="")
    person(world, "no", seen=NOW, do_not_contact=True)
    person(world, "never", seen=NOW, contact_refused_at=NOW)
    play = mail_play(admin, content=CONTENT | {"people": 2})
    assert fire(world) == {"fired": 1}
    assert PlayRun.objects.get(play=play).ended_at is None
    assert (nudge_mail.write_due(now=LATER), nudge_mail.write_due(now=LATER)) == (1, 0)
    assert written() == ["kim", "lee"]
    run = PlayRun.objects.get(play=play)
    assert (run.status, run.reason, run.ended_at) == ("fired", "Written to 2 people.", LATER)
    assert decide(NOW + DAY) == {}
    assert set(Letter.objects.values_list("fact", flat=True)) == {f"nudge:{run.pk}"}


def test_a_letter_counts_for_the_cap_of_prompts_and_prompts_for_that_of_letters(admin, world):
    PromptRules.objects.update(cap=1)
    kim = person(world, "kim", seen=NOW)
    person(world, "lee", seen=NOW - DAY)
    prompt = prompt_play(admin, "Upgrade", moment="feature_gate", priority=10, promotional=True)
    mail_play(admin, priority=60)
    other_play(admin, "nudge")
    Play.objects.filter(action="nudge").update(status="paused")
    qualify(world)
    decide()
    PlayRun.objects.filter(play=prompt).update(  # as if it had fired the day before
        status="fired", winner=None, decided_at=NOW - DAY, window_ends_at=NOW + DAY, shows_until=NOW + 9 * DAY
    )
    assert due("kim", moment="feature_gate") == "Upgrade"
    nudge_mail.write_due(now=LATER)
    assert written() == ["lee"]  # kim was given a prompt
    assert due("lee", moment="feature_gate") is None  # and lee a letter
    assert PromptView.objects.filter(user=kim).count() == 1


def test_where_nobody_may_be_written_to_that_is_what_is_kept(admin, world):
    person(world, "kim", email="")
    play = mail_play(admin)
    fire(world)
    nudge_mail.write_due(now=LATER)
    run = PlayRun.objects.get(play=play)
    assert (run.status, run.window_ends_at, Letter.objects.count()) == ("nobody", None, 0)


def test_the_hold_out_and_what_a_publication_finds_are_not_written_to(admin, world):
    person(world, "kim", seen=NOW)
    play = mail_play(admin, holdout_percent=50)
    Play.objects.filter(pk=play.pk).update(salt=salt_that(world.pk, Arm.HELD_OUT))
    assert fire(world) == {"held_out": 1}
    account = make_account("Old", recorded_at=NOW - 20 * DAY)
    person(account, "lee", seen=NOW)
    use(account, "Invite Sent", at=NOW, count=3)
    version = publish(NOW, slug="active", purpose="activation")
    other_play(admin, "email_nudge", definition=version.definition, at=NOW, content=CONTENT)
    sweep(NOW + SECOND)
    assert "fired" not in decide(LATER)
    assert nudge_mail.write_due(now=LATER) == 0


def test_a_rep_at_work_or_an_urgent_ticket_makes_it_wait_before_and_after_it_was_written(admin, world, rep):
    person(world, "kim", seen=NOW)
    mail_play(admin)
    hold(world)
    assert fire(world) == {"muted": 1}
    from accounts import lifecycle

    lifecycle.lift(account_id=world.pk, kind="urgent_ticket", source="ticket:1", now=NOW)
    run = PlayRun.objects.get(status="muted")
    assert decide(run.due_at) == {"fired": 1}
    nudge_mail.write_due(now=run.due_at)
    key = str(run.pk)
    said = nudge_mail.words([key], now=run.due_at)[key]
    assert said == letters.Words("Nearly there", "It takes one more.", "Invite", "https://app.test/invite")
    handoff = Handoff.objects.create(company=world, opened_at=NOW, newest_evidence_at=NOW)
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=run.due_at)
    assert nudge_mail.words([key], now=run.due_at) == {key: run.due_at + muting.AGAIN}
    handoffs.close(handoff_id=handoff.pk, outcome="returned", reason="too_early", by=rep, now=run.due_at)
    assert nudge_mail.words([key], now=run.due_at)[key] == said


@pytest.mark.parametrize("why", ["paused", "closed", "merged", "internal", "archived"])
def test_what_is_over_by_the_time_is_not_said(admin, world, why):
    person(world, "kim", seen=NOW)
    play = mail_play(admin)
    fire(world)
    nudge_mail.write_due(now=LATER)
    key = str(PlayRun.objects.get(play=play).pk)
    assert nudge_mail.words([key], now=LATER)[key] is not None
    if why == "paused":
        playbook.move(play_id=play.pk, verb="pause", by=admin, now=LATER)
    elif why == "closed":
        Qualification.objects.update(closed_at=LATER, close_cause="lapsed")
    elif why == "merged":
        Account.objects.filter(pk=world.pk).update(merged_into=make_account("Winner"))
    elif why == "internal":
        Account.objects.filter(pk=world.pk).update(is_internal=True)
    else:
        type(play.definition).objects.update(archived_at=LATER)
    assert nudge_mail.words([key], now=LATER) == {key: None}


def test_a_near_miss_is_written_to_who_is_closest_and_says_what_is_missing(admin, world):
    kim, lee = person(world, "kim", seen=NOW - DAY), person(world, "lee", seen=NOW)
    play = mail_play(admin, trigger="near_miss", content=CONTENT | {"body": "It takes {needs}."})
    detail = {"needs": "1 more invite", "days_left": 4, "user": kim.pk}
    run = PlayRun.objects.create(
        play=play, account=world, company=world, near_day=day_of(NOW), created_at=NOW, due_at=NOW, detail=detail
    )
    decide(NOW)
    nudge_mail.write_due(now=LATER)
    assert (written(), lee.name) == (["kim"], "lee")
    key = str(run.pk)
    assert nudge_mail.words([key], now=LATER)[key].body == "It takes 1 more invite, 4 days left."
    last = NOW + 4 * DAY
    assert nudge_mail.words([key], now=NOW + 3 * DAY)[key].body == "It takes 1 more invite, 1 day left."
    assert nudge_mail.words([key], now=last)[key].body == "It takes 1 more invite, today is the last day."
    assert nudge_mail.words([key], now=last + DAY) == {key: None}
    qualify(world)
    assert nudge_mail.words([key], now=LATER) == {key: None}


def test_a_worker_that_dies_while_it_writes_leaves_nothing_and_the_next_does_it(admin, world, monkeypatch):
    person(world, "kim", seen=NOW)
    mail_play(admin)
    fire(world)

    def dies(*args, **kwargs):
        raise SystemExit

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(letters, "write", dies)
        in_one_transaction(lambda: nudge_mail.write_due(now=LATER))
    assert (Letter.objects.count(), PromptView.objects.count()) == (0, 0)
    assert nudge_mail.write_due(now=LATER) == 1
    assert written() == ["kim"]


def test_a_run_that_cannot_be_written_keeps_no_other(admin, world, monkeypatch):
    person(world, "kim", seen=NOW)
    mail_play(admin, priority=60)
    fire(world)
    other = live_world("Other")
    person(other, "lee", seen=NOW)
    fire(other)
    first = PlayRun.objects.filter(status="fired").order_by("pk").values_list("pk", flat=True)[0]

    def offer(run, user_id, *, now, do=prompts.offer):
        if run.pk == first:
            raise ValueError
        return do(run, user_id, now=now)

    monkeypatch.setattr(prompts, "offer", offer)
    assert nudge_mail.write_due(now=LATER) == 1
    assert written() == ["lee"]


def test_one_mailbox_gets_one_letter(admin, world):
    person(world, "kim", seen=NOW)
    person(world, "kim2", seen=NOW - DAY, email="kim@acme.test")
    mail_play(admin)
    fire(world)
    nudge_mail.write_due(now=LATER)
    assert written() == ["kim"]


@pytest.mark.parametrize("count", [1, 3])
def test_wording_many_costs_the_same(admin, world, count, django_assert_num_queries):
    play = mail_play(admin)
    for number in range(count):
        account = live_world(f"A{number}")
        fire(account, NOW + number * DAY)
    runs = [str(pk) for pk in PlayRun.objects.filter(play=play).values_list("pk", flat=True)]
    with django_assert_num_queries(3):
        assert len(nudge_mail.words(runs, now=NOW + 3 * DAY)) == count


def test_sales_goes_first_and_a_return_brings_the_letter(admin, rep):
    account = live_world()
    person(account, "kim", seen=NOW)
    play = mail_play(admin)
    episode = qualify(account)
    assert decide() == {"outranked": 1}
    handoff = Handoff.objects.get()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=LATER)
    handoffs.close(handoff_id=handoff.pk, outcome="returned", reason="too_early", by=rep, now=NOW + DAY)
    assert firing.decide_due(now=NOW + DAY).by_status == {"fired": 1}
    assert run_of(episode, play).status == "fired"


@pytest.mark.parametrize(("address", "with_sales"), [("kim@acme.test", 0), ("", 1)])
def test_a_letter_that_reaches_nobody_takes_nothing_from_sales(admin, rep, address, with_sales):
    account = live_world()
    person(account, "kim", seen=NOW, email=address)
    mail_play(admin, priority=200)
    qualify(account)
    assert Handoff.objects.count() == with_sales


def met_another(admin, user: ProductUser) -> None:
    """The person is given another promotion, as many as the cap allows."""
    PromptRules.objects.update(cap=1)
    other = make_account("Elsewhere")
    play = prompt_play(admin, "Elsewhere", moment="feature_gate", promotional=True)
    run = PlayRun.objects.create(
        play=play,
        account=other,
        company=other,
        near_day=1,
        status="fired",
        created_at=NOW - DAY,
        decided_at=NOW - DAY,
        window_ends_at=NOW + DAY,
    )
    Play.objects.filter(pk=play.pk).update(status="paused")
    PromptView.objects.create(run=run, user=user, promotional=True, offered_at=NOW - DAY)


@pytest.mark.parametrize("who", ["everybody", "one of two"])
def test_a_letter_to_people_who_had_enough_takes_nothing_from_sales(admin, who):
    account = live_world()
    met_another(admin, person(account, "kim", seen=NOW))
    if who == "one of two":
        person(account, "lee", seen=NOW - DAY)
    mail_play(admin, priority=200)
    qualify(account)
    assert Handoff.objects.count() == (who == "everybody")


def test_an_old_promotion_is_not_enough_to_hand_over_for(admin):
    account = live_world()
    met_another(admin, person(account, "kim", seen=NOW))
    PromptView.objects.update(offered_at=NOW - 8 * DAY)
    mail_play(admin, priority=200)
    qualify(account)
    assert Handoff.objects.count() == 0


def test_who_wants_no_more_under_another_id_is_nobody_to_write_to(admin):
    account = live_world()
    person(account, "kim", seen=NOW)
    person(make_account("Other"), "kim2", email="kim@acme.test", contact_refused_at=NOW)
    play = mail_play(admin, priority=200)
    qualify(account)
    assert Handoff.objects.count() == 1
    assert PlayRun.objects.get(play=play).status == "due"
    PlayRun.objects.filter(play=play).update(
        status="fired", due_at=None, decided_at=NOW, window_ends_at=NOW + DAY, reason="as if it had fired"
    )
    nudge_mail.write_due(now=LATER)
    assert (PlayRun.objects.get(play=play).status, Letter.objects.count()) == ("nobody", 0)


def test_sales_gets_it_where_nobody_can_be_written_to_after_all(admin):
    account = live_world()
    kim = person(account, "kim", seen=NOW)
    play = mail_play(admin, priority=200)
    episode = qualify(account)
    assert decide() == {"fired": 1}
    assert (run_of(episode).status, run_of(episode).winner, Handoff.objects.count()) == ("outranked", play, 0)
    met_another(admin, kim)  # between the decision and the letter
    nudge_mail.write_due(now=LATER)
    assert run_of(episode, play).status == "nobody"
    sweep(LATER + SECOND)
    assert (Handoff.objects.count(), run_of(episode).status) == (1, "fired")


def test_sales_gets_it_where_what_went_before_it_would_only_wait(admin):
    account = live_world()
    person(account, "kim", seen=NOW)
    play = mail_play(admin, priority=200)
    episode = qualify(account)
    hold(account)  # an urgent ticket, between the verdict and the decision
    assert decide() == {"muted": 1}
    sweep(LATER)
    assert (Handoff.objects.count(), run_of(episode).status) == (1, "fired")
    sweep(LATER + SECOND)
    assert (Handoff.objects.count(), run_of(episode, play).status) == (1, "muted")


def test_what_another_play_took_from_sales_stays_taken(admin):
    account = live_world()
    kim = person(account, "kim", seen=NOW)
    other_play(admin, "prompt", priority=300)
    mail_play(admin, priority=200)
    episode = qualify(account)
    assert decide() == {"fired": 1, "outranked": 1}
    met_another(admin, kim)
    nudge_mail.write_due(now=LATER)
    sweep(LATER + SECOND)
    assert (Handoff.objects.count(), run_of(episode).status) == (0, "outranked")


@pytest.mark.parametrize(
    ("left", "words"),
    [(None, "1 more time"), (0, "1 more time, today is the last day"), (1, "1 more time, 1 day left")],
)
def test_what_is_missing_is_said_with_the_time_there_is(left, words):
    assert prompts.needed({"needs": "1 more time", "days_left": left}) == words


# --- forms and pages ----------------------------------------------------------------------------------------


def form(trigger: str = "qualifies", **changes) -> PlayForm:
    values = {"name": "A", "holdout_percent": 0, "cooldown_days": 0, "priority": 50, "convert_days": 30, **CONTENT}
    return PlayForm(values | {"people": 3} | changes, action="email_nudge", trigger=trigger)


def test_a_letter_leads_to_a_whole_address_and_says_something():
    assert form().is_valid(), form().errors
    assert form().values is not None
    assert form(url="/invite").errors["url"] == ["An e-mail needs a whole address, which begins with “https://”."]
    for name in ("headline", "body", "button", "url"):
        assert name in form(**{name: ""}).errors
    assert "people" in form(people=21).errors
    assert list(form(body="It takes {needs}.").errors) == ["body"]
    assert form("near_miss", body="It takes {needs}.").is_valid()


def test_it_is_seen_as_an_e_mail_before_it_is_started(client_of, viewer, admin, world):
    play = mail_play(admin, trigger="near_miss", content=CONTENT | {"headline": "Hi <b>", "body": "<i>{needs}</i>"})
    browser = client_of(viewer)
    page = browser.get(reverse("play_sample", args=[play.slug])).content.decode()
    assert "Hi &lt;b&gt;" in page
    assert "&lt;i&gt;1 more time, 4 days left&lt;/i&gt;" in page
    mail = browser.get(reverse("play_sample_mail", args=[play.slug]))
    assert "<p>&lt;i&gt;1 more time, 4 days left&lt;/i&gt;</p>" in mail.content.decode()
    assert mail.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "default-src 'none'" in mail.headers["Content-Security-Policy"]
    assert "sandbox" in mail.headers["Content-Security-Policy"]
    assert browser.get(reverse("play_sample_mail", args=[sales().slug])).status_code == 404
    assert "People written to" in browser.get(reverse("play", args=[play.slug])).content.decode()


def test_what_a_person_sees_in_the_product_says_what_is_missing_too(admin, world):
    person(world, "kim")
    values = {"content": {"headline": "Almost", "body": "{needs} to go", "button": "Go"}}
    wanted = playbook.Wanted("Nudge", sales().definition, "nudge", "near_miss", values)
    play = playbook.create(wanted, by=admin, now=NOW - 9 * DAY)
    playbook.move(play_id=play.pk, verb="start", by=admin, now=NOW - 9 * DAY)
    detail = {"needs": "1 more invite", "days_left": None}
    PlayRun.objects.create(
        play=play, account=world, company=world, near_day=1, created_at=NOW, due_at=NOW, detail=detail
    )
    decide(NOW)
    assert prompts.due_for("kim", moment="", now=LATER).body == "1 more invite to go"
