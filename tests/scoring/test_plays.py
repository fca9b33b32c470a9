"""Plays and evaluation: what opens a handoff, who is held out of it, and that nothing is decided twice."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied

from accounts import stewardship
from accounts.models import Account, AuditEntry
from scoring import definitions, evaluate, handoffs, judge, openings, playbook, plays
from scoring.holdout import Arm, drawn
from scoring.models import Handoff, Play, PlayArm, PlayRun, Qualification
from tests.conftest import NOW
from tests.factories.scoring import make_account, publish, sweep, use

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
SECOND = dt.timedelta(seconds=1)


def live_world(name: str = "Acme", **values) -> Account:
    """The definition has been live for ten days, with the play that came with it; the account qualifies soon."""
    if not Play.objects.exists():
        publish(NOW - 10 * DAY)
    account = make_account(name, recorded_at=NOW - 5 * DAY, **values)
    sweep(NOW - 5 * DAY)
    return account


def qualify(account: Account, at: dt.datetime = NOW) -> Qualification:
    """It does what the rule asks for, and is evaluated."""
    use(account, "Invite Sent", at=at, count=3)
    sweep(at + SECOND)
    return Qualification.objects.get(account=account, closed_at=None)


def sales() -> Play:
    return Play.objects.get(action="sales_handoff")


def change(admin, play: Play | None = None, **values) -> Play:
    return playbook.edit(play_id=(play or sales()).pk, values=values, by=admin, now=NOW - DAY)


def other_play(admin, action: str, *, definition=None, at=NOW - 9 * DAY, **values) -> Play:
    """A further play of the definition, started."""
    wanted = playbook.Wanted(
        name=f"A {action}", definition=definition or sales().definition, action=action, values=values
    )
    play = playbook.create(wanted, by=admin, now=at)
    return playbook.move(play_id=play.pk, verb="start", by=admin, now=at)


def run_of(episode: Qualification, play: Play | None = None) -> PlayRun:
    return PlayRun.objects.get(qualification=episode, play=play or sales())


# --- publishing ---------------------------------------------------------------------------------------------


def test_a_published_lead_definition_hands_over_by_a_play_of_its_own():
    publish(NOW)
    play = sales()
    assert (play.slug, play.status, play.live_since, play.holdout_percent) == (
        "team-expansion-to-sales",
        "live",
        NOW,
        0,
    )
    assert AuditEntry.objects.filter(action="play.created", object_id=play.pk).count() == 1
    publish(NOW + DAY, name="Another name")
    assert Play.objects.count() == 1


@pytest.mark.parametrize("purpose", ["activation", "expansion", "risk"])
def test_what_finds_no_leads_has_no_play_to_hand_over(purpose):
    publish(NOW, purpose=purpose)
    assert not Play.objects.exists()


# --- evaluation asks ----------------------------------------------------------------------------------------


def test_the_play_that_came_with_the_definition_opens_the_handoff_and_keeps_that_it_did():
    episode = qualify(live_world())
    assert Handoff.objects.get() == episode.handoff
    run = run_of(episode)
    assert (run.status, run.decided_at, run.company) == ("fired", NOW + SECOND, episode.account)
    assert run.window_ends_at == NOW + SECOND + 30 * DAY


@pytest.mark.parametrize("verb", ["pause", "archive"])
def test_without_a_live_play_nothing_is_handed_over_and_a_start_does_not_make_up_for_it(admin, verb):
    account = live_world()
    playbook.move(play_id=sales().pk, verb=verb, by=admin, now=NOW - DAY)
    episode = qualify(account)
    assert (episode.handoff, Handoff.objects.count(), PlayRun.objects.count()) == (None, 0, 0)
    if verb == "archive":
        playbook.move(play_id=sales().pk, verb="restore", by=admin, now=NOW + DAY)
    playbook.move(play_id=sales().pk, verb="start", by=admin, now=NOW + DAY)
    use(account, "Invite Sent", at=NOW + 2 * DAY)
    sweep(NOW + 2 * DAY)
    assert Handoff.objects.count() == 0
    assert qualify(live_world("Later"), NOW + 2 * DAY).handoff is not None


def test_a_company_in_the_hold_out_stays_self_serve_and_that_is_written_down(admin):
    account = live_world()
    change(admin, holdout_percent=50)
    Play.objects.update(salt=salt_that(account.pk, Arm.HELD_OUT))
    episode = qualify(account)
    assert (episode.handoff, Handoff.objects.count()) == (None, 0)
    assert run_of(episode).status == "held_out"
    arm = PlayArm.objects.get()
    assert (arm.company, arm.arm, arm.percent, arm.window_ends_at) == (account, "held_out", 50, NOW + SECOND + 30 * DAY)
    # the arm stands, whatever the percentage is later, and the run is not decided again
    change(admin, holdout_percent=0)
    use(account, "Invite Sent", at=NOW + DAY)
    sweep(NOW + DAY)
    assert (Handoff.objects.count(), PlayArm.objects.get().arm) == (0, "held_out")
    assert PlayRun.objects.count() == 1


def salt_that(company_id: int, arm: str) -> str:
    """A salt under which this company is drawn into this arm of a 50% hold-out."""
    return next(s for s in map(str, range(1, 200)) if drawn(salt=s, company_id=company_id, percent=50) == arm)


def test_a_treated_company_is_handed_over_and_its_arm_is_kept(admin):
    account = live_world()
    change(admin, holdout_percent=50)
    Play.objects.update(salt=salt_that(account.pk, Arm.TREATED))
    assert qualify(account).handoff is not None
    assert PlayArm.objects.get().arm == "treated"


def test_what_is_decided_costs_the_account_nothing_more(admin, monkeypatch):
    account = live_world()
    change(admin, audience="plan is business")
    episode = qualify(account)
    use(account, "Invite Sent", at=NOW + DAY)
    seen = []

    def spy(*args, **kwargs):
        seen.extend(judge.judge(*args, **kwargs))
        return seen

    monkeypatch.setattr(evaluate, "judge", spy)
    sweep(NOW + DAY)
    assert [case.light for case in seen] == [True]
    assert run_of(episode).status == "outside"


def test_outside_the_audience_nothing_is_handed_over_and_an_edit_does_not_fire_for_the_past(admin):
    account = live_world(plan="free")
    change(admin, audience="plan is team, business\nseats at least 5")
    episode = qualify(account)
    run = run_of(episode)
    assert (run.status, run.reason) == ("outside", "Asked for: plan is team, business. It is free.")
    playbook.edit(play_id=sales().pk, values={"audience": ""}, by=admin, now=NOW + DAY)
    use(account, "Invite Sent", at=NOW + DAY)
    sweep(NOW + DAY)
    assert (Handoff.objects.count(), PlayRun.objects.count()) == (0, 1)
    assert qualify(live_world("Later", plan="free"), NOW + DAY).handoff is not None


def test_an_audience_asks_the_company_for_what_the_account_does_not_know(admin):
    change_later = live_world("Root", seats=50)
    child = make_account("Child", recorded_at=NOW - 5 * DAY, parent=change_later)
    sweep(NOW - 4 * DAY)
    change(admin, audience="seats at least 20")
    assert qualify(child).handoff is not None


def test_between_its_dates_only(admin):
    today = dt.date(2026, 6, 15)
    account = live_world()
    change(admin, starts_on=today + DAY, ends_on=today + 2 * DAY)
    assert qualify(account).handoff is None
    assert qualify(live_world("On the day"), NOW + DAY).handoff is not None
    assert qualify(live_world("On the last day"), NOW + 2 * DAY).handoff is not None
    assert qualify(live_world("Too late"), NOW + 3 * DAY).handoff is None


def test_the_play_rests_for_a_company_that_it_fired_for(admin):
    account = live_world()
    change(admin, cooldown_days=30)
    first = qualify(account)
    handoff = first.handoff
    Qualification.objects.update(closed_at=NOW + DAY, close_cause="lapsed")
    Handoff.objects.filter(pk=handoff.pk).update(status="withdrawn", closed_at=NOW + DAY)
    again = qualify(account, NOW + 20 * DAY)
    assert (again.handoff, run_of(again).status) == (None, "cooling")
    assert run_of(again).reason == "Fired for this company before; rests until 15 Jul 2026."


def test_internal_accounts_are_out_of_everything(admin):
    account = live_world()
    prompt = other_play(admin, "prompt")
    stewardship.set_internal(account_id=account.pk, internal=True, by=admin, now=NOW - DAY)
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW + SECOND)
    assert not PlayRun.objects.exists()
    assert prompt.runs.count() == 0


def test_a_play_of_higher_priority_that_faces_the_company_goes_before_sales(admin):
    account = live_world()
    prompt = other_play(admin, "prompt", priority=200)
    episode = qualify(account)
    run = run_of(episode, Play.objects.get(action="sales_handoff"))
    assert (episode.handoff, run.status, run.winner) == (None, "outranked", prompt)
    assert run_of(episode, prompt).status == "due"


def test_of_two_plays_that_hand_over_the_first_whose_audience_fits_does(admin):
    account = live_world(plan="free")
    change(admin, audience="plan is business")
    of = sales().definition
    small = other_play(admin, "sales_handoff", definition=of, priority=10, audience="plan is free")
    smaller = other_play(admin, "sales_handoff", definition=of, priority=5)
    episode = qualify(account)
    statuses = dict(PlayRun.objects.filter(qualification=episode).values_list("play__priority", "status"))
    assert statuses == {100: "outside", 10: "fired", 5: "outranked"}
    assert run_of(episode, smaller).winner == small


def test_a_release_hands_over_what_opened_before_the_play_was_started_again(admin):
    account = make_account(recorded_at=NOW - 5 * DAY)
    use(account, "Invite Sent", at=NOW, count=3)
    publish(NOW + DAY)
    sweep(NOW + DAY)
    play = sales()
    playbook.move(play_id=play.pk, verb="pause", by=admin, now=NOW + DAY)
    playbook.move(play_id=play.pk, verb="start", by=admin, now=NOW + 2 * DAY)
    openings.release(definition_id=play.definition_id, largest=None, by=admin, now=NOW + 2 * DAY)
    sweep(NOW + 2 * DAY)
    assert Handoff.objects.count() == 1


def test_a_renewed_episode_is_handed_over_again_by_its_play(admin, rep):
    account = live_world()
    first = qualify(account)
    handoffs.claim(handoff_id=first.handoff_id, by=rep, now=NOW + DAY)
    handoffs.close(handoff_id=first.handoff_id, outcome="returned", reason="too_early", by=rep, now=NOW + DAY)
    use(account, "Invite Sent", at=NOW + 5 * DAY, count=3)
    use(account, "Invite Sent", at=NOW + 35 * DAY, count=3)
    sweep(NOW + 35 * DAY)
    assert PlayRun.objects.filter(status="fired").count() == 2
    assert Handoff.objects.filter(closed_at=None).count() == 1


# --- verbs --------------------------------------------------------------------------------------------------


def test_every_change_is_audited_with_what_was_and_what_is(admin):
    publish(NOW - 10 * DAY)
    change(admin, holdout_percent=10, audience="plan is free")
    change(admin, holdout_percent=10)  # nothing new
    rows = AuditEntry.objects.filter(action="play.changed")
    assert [row.detail["changed"] for row in rows] == [{"holdout_percent": [0, 10], "audience": ["", "plan is free"]}]
    playbook.move(play_id=sales().pk, verb="pause", by=admin, now=NOW)
    assert AuditEntry.objects.filter(action="play.paused", actor_id=admin.pk).count() == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"audience": "plan free"}, "is not read"),
        ({"audience": "seats at least many"}, "needs one number"),
        ({"holdout_percent": 91}, "from 0 to 90"),
        ({"priority": 1001}, "from 0 to 1000"),
        ({"convert_days": 0}, "from 1 to 365"),
        ({"name": " "}, "needs a name"),
        ({"starts_on": dt.date(2026, 2, 2), "ends_on": dt.date(2026, 2, 1)}, "ends before"),
        ({"definition": 1}, "has no definition"),
        ({"cooldown_days": -1}, "from 0 to 3650"),
        ({"content": {"url": "javascript:alert(1)"}}, "begins with"),
        ({"content": {"url": "//elsewhere.test/"}}, "begins with"),
        ({"content": {"url": "/\\elsewhere.test/"}}, "begins with"),
        ({"content": {"url": "/\t/elsewhere.test/"}}, "begins with"),
        ({"content": {"url": "http://elsewhere.test/"}}, "begins with"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(admin, values, words):
    publish(NOW)
    before = Play.objects.values().get()
    with pytest.raises(playbook.Refused, match=words):
        change(admin, **values)
    assert Play.objects.values().get() == before


def test_an_end_before_the_first_day_that_stands_is_refused(admin):
    publish(NOW - 10 * DAY)
    change(admin, starts_on=dt.date(2026, 2, 2))
    with pytest.raises(playbook.Refused, match="ends before"):
        change(admin, ends_on=dt.date(2026, 2, 1))


def test_only_who_may_edit_plays_does(rep, manager):
    publish(NOW)
    for user in (rep, manager):
        with pytest.raises(PermissionDenied):
            playbook.move(play_id=sales().pk, verb="pause", by=user, now=NOW)
    assert sales().status == "live"


def test_states_follow_the_table(admin):
    publish(NOW)
    seen = {"draft", *(play.value for play in Play.Status)}
    assert {status for status, _ in playbook.TRANSITIONS} <= seen
    assert set(playbook.TRANSITIONS.values()) <= seen
    with pytest.raises(playbook.Refused, match="is live"):
        playbook.move(play_id=sales().pk, verb="start", by=admin, now=NOW)


def test_a_near_miss_hands_nothing_over(admin):
    publish(NOW)
    for action in ("sales_handoff", "prompt"):
        with pytest.raises(playbook.Refused, match="near miss"):
            playbook.create(
                playbook.Wanted(name="X", definition=sales().definition, action=action, trigger="near_miss"),
                by=admin,
                now=NOW,
            )


@pytest.mark.parametrize("name", ["headline", "body", "button", "url"])
def test_what_is_missing_is_said_only_of_a_near_miss(admin, name):
    publish(NOW)
    content = {name: "/{needs}"}
    for action in ("prompt", "nudge", "email_nudge", "cs_task"):
        wanted = playbook.Wanted("X", sales().definition, action, values={"content": content})
        with pytest.raises(playbook.Refused, match="what a near miss lacks"):
            playbook.create(wanted, by=admin, now=NOW)
    play = other_play(admin, "nudge", content={"headline": "Almost", "people": 3})
    with pytest.raises(playbook.Refused, match="what a near miss lacks"):
        change(admin, play, content=content)
    play.refresh_from_db()
    assert play.content == {"headline": "Almost", "people": 3}
    wanted = playbook.Wanted("X", sales().definition, "nudge", "near_miss", {"content": content})
    near = playbook.create(wanted, by=admin, now=NOW)
    assert change(admin, near, content=content | {"style": "modal"}).content[name] == "/{needs}"


def test_only_definitions_of_leads_hand_over(admin):
    version = publish(NOW, slug="active", purpose="activation")
    with pytest.raises(playbook.Refused, match="product-qualified"):
        playbook.create(
            playbook.Wanted(name="X", definition=version.definition, action="sales_handoff"), by=admin, now=NOW
        )
    assert definitions.live_rules()


# --- what it costs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
def test_reading_what_plays_say_costs_a_batch_the_same(admin, count, django_assert_num_queries):
    accounts = [live_world(f"A{number}") for number in range(count)]
    change(admin, holdout_percent=10, cooldown_days=10)
    for account in accounts:
        qualify(account)
    episodes = list(Qualification.objects.all())
    with django_assert_num_queries(4):
        desk = plays.desk(now=NOW)
        plays.look_up(desk, company_ids=[a.pk for a in accounts], episode_ids=[e.pk for e in episodes], now=NOW + DAY)
    with django_assert_num_queries(0):
        assert [desk.may_ask(e) for e in episodes] == [e.handoff_id is not None for e in episodes]
