"""What happens to plays when the world moves on: handoffs come back, accounts merge or change company, workers die."""

from __future__ import annotations

import datetime as dt

import pytest

from accounts import identity, lake, lifecycle, stewardship
from accounts.models import Account, AccountKey, ProductUser
from scoring import firing, handoffs, near_misses, nearly, openings, playbook, prompts
from scoring.holdout import Arm
from scoring.models import CsTask, Handoff, Play, PlayArm, PlayRun, Qualification
from tests.conftest import NOW
from tests.factories.scoring import make_account, make_user, publish, sweep, use
from tests.scoring.test_firing import decide, hold, near_play
from tests.scoring.test_plays import DAY, SECOND, live_world, other_play, qualify, run_of, sales, salt_that
from tests.scoring.test_prompts import due, person, prompt_play

pytestmark = pytest.mark.django_db


@pytest.fixture
def pausing(admin):
    """An account whose definition hands nothing over."""
    account = live_world()
    playbook.move(play_id=sales().pk, verb="pause", by=admin, now=NOW - DAY)
    return account


def merged(loser: Account, winner: Account, *, now: dt.datetime):
    """Through the verb, with the loser's usage."""
    for account in (loser, winner):
        AccountKey.objects.get_or_create(key=f"g:{account.external_id}", defaults={"account": account, "home": account})
    use(winner, "Invite Sent", at=NOW, count=3, now=now)
    return identity.merge_accounts(winner=winner, loser=loser, by=None, now=now)


# --- back to self-serve -------------------------------------------------------------------------------------


def worked(rep, at: dt.datetime = NOW + 60 * SECOND) -> Handoff:
    handoff = Handoff.objects.get()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=at)
    return handoff


def test_a_prompt_that_gave_way_to_sales_is_shown_once_the_company_is_returned(admin, rep):
    account = live_world()
    person(account)
    play = prompt_play(admin, "Upgrade")
    episode = qualify(account)
    assert decide() == {"outranked": 1}
    handoff = worked(rep)
    back = NOW + 3 * dt.timedelta(hours=1)
    handoffs.close(handoff_id=handoff.pk, outcome="returned", reason="too_early", by=rep, now=back)
    assert decide(back + SECOND) == {"fired": 1}
    assert run_of(episode, play).winner is None
    assert due(at=back + 2 * SECOND) == "Upgrade"


def test_a_return_that_is_taken_back_mutes_the_prompt_again(admin, rep):
    account = live_world()
    person(account)
    prompt_play(admin, "Upgrade")
    qualify(account)
    decide()
    handoff = worked(rep)
    handoffs.close(handoff_id=handoff.pk, outcome="returned", reason="too_early", by=rep, now=NOW + DAY)
    decide(NOW + DAY + SECOND)
    handoffs.reopen(handoff_id=handoff.pk, by=rep, now=NOW + DAY + 5 * SECOND)
    assert due(at=NOW + DAY + 6 * SECOND) is None


def test_what_was_shown_before_the_handoff_is_shown_again_after_it_was_returned(admin, rep):
    account = live_world()
    person(account)
    prompt_play(admin, "Upgrade", priority=150)  # goes first
    qualify(account)
    decide()
    handoff = Handoff.objects.create(company=account, opened_at=NOW, newest_evidence_at=NOW)
    assert due() == "Upgrade"
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW + 3 * SECOND)
    assert due(at=NOW + DAY) is None
    handoffs.close(handoff_id=handoff.pk, outcome="returned", reason="too_early", by=rep, now=NOW + DAY)
    assert due(at=NOW + DAY + SECOND) == "Upgrade"


def test_other_outcomes_leave_what_gave_way_to_sales_as_it_is(admin, rep):
    account = live_world()
    play = prompt_play(admin, "Upgrade")
    episode = qualify(account)
    decide()
    handoff = worked(rep)
    handoffs.close(handoff_id=handoff.pk, outcome="lost", reason="no_budget", by=rep, now=NOW + DAY)
    assert decide(NOW + DAY + SECOND) == {}
    assert run_of(episode, play).status == "outranked"


def test_a_play_that_was_started_again_meanwhile_makes_up_for_nothing(admin, rep):
    account = live_world()
    play = prompt_play(admin, "Upgrade")
    qualify(account)
    decide()
    handoff = worked(rep)
    playbook.move(play_id=play.pk, verb="pause", by=admin, now=NOW + DAY)
    playbook.move(play_id=play.pk, verb="start", by=admin, now=NOW + DAY)
    handoffs.close(handoff_id=handoff.pk, outcome="returned", reason="too_early", by=rep, now=NOW + 2 * DAY)
    assert decide(NOW + 2 * DAY + SECOND) == {}


def test_what_a_rep_mutes_is_looked_at_as_soon_as_nobody_works_the_company(admin, rep):
    account = live_world()
    other_play(admin, "nudge", priority=10)
    qualify(account)
    handoff = worked(rep, NOW + SECOND)
    assert decide() == {"muted": 1}
    handoffs.close(handoff_id=handoff.pk, outcome="won", by=rep, now=NOW + 3 * SECOND)
    assert PlayRun.objects.get(play__action="nudge").due_at == NOW + 3 * SECOND


def test_a_handoff_asleep_mutes_like_one_that_is_worked(admin, rep):
    account = live_world()
    other_play(admin, "nudge", priority=10)
    qualify(account)
    handoff = worked(rep, NOW + SECOND)
    Handoff.objects.filter(pk=handoff.pk).update(status="snoozed", snoozed_until=NOW + 20 * DAY)
    assert decide() == {"muted": 1}
    assert decide(NOW + 8 * DAY) == {"fired": 1}  # five business days without a touch, asleep or not


# --- what goes before sales ---------------------------------------------------------------------------------


def test_a_play_that_was_started_after_an_account_qualified_takes_nothing_from_sales(admin):
    account = live_world()
    other = live_world("Other")
    qualify(other)
    handoff = Handoff.objects.get()
    Handoff.objects.filter(pk=handoff.pk).update(company=account)  # the company is with sales for another reason
    Handoff.objects.filter(pk=handoff.pk).update(
        status="withdrawn", closed_at=NOW, cooldown_until=NOW + 5 * DAY, evidence_watermark=NOW
    )
    episode = qualify(account, NOW + DAY)
    assert episode.handoff is None  # it cools down
    other_play(admin, "prompt", priority=200, at=NOW + 2 * DAY)
    use(account, "Invite Sent", at=NOW + 6 * DAY, count=3)
    sweep(NOW + 6 * DAY)
    assert Handoff.objects.filter(company=account, closed_at=None).count() == 1


@pytest.mark.parametrize("why", ["ticket", "nobody"])
def test_a_prompt_that_cannot_be_shown_takes_nothing_from_sales(admin, why):
    account = live_world()
    other_play(admin, "prompt", priority=200)
    if why == "ticket":
        hold(account)
    else:
        ProductUser.objects.filter(pk=make_user(account, "kim").pk).update(contact_refused_at=NOW)
    assert qualify(account).handoff is not None


def test_a_start_does_not_hand_over_what_was_released_while_the_play_was_paused(admin):
    account = make_account(recorded_at=NOW - 5 * DAY)
    use(account, "Invite Sent", at=NOW, count=3)
    publish(NOW)
    sweep(NOW + SECOND)
    play = sales()
    playbook.move(play_id=play.pk, verb="pause", by=admin, now=NOW + 2 * SECOND)
    openings.release(definition_id=play.definition_id, largest=None, by=admin, now=NOW + 3 * SECOND)
    sweep(NOW + 4 * SECOND)
    playbook.move(play_id=play.pk, verb="start", by=admin, now=NOW + DAY)
    use(account, "Invite Sent", at=NOW + DAY)
    sweep(NOW + DAY + SECOND)
    assert Handoff.objects.count() == 0


# --- who may be contacted -----------------------------------------------------------------------------------


def test_who_refused_by_hand_is_left_out_like_who_has_the_trait(admin, pausing, django_assert_num_queries):
    other_play(admin, "cs_task")
    ProductUser.objects.filter(pk=make_user(pausing, "kim").pk).update(contact_refused_at=NOW)
    ProductUser.objects.filter(pk=make_user(pausing, "lee").pk).update(do_not_contact=True)
    qualify(pausing)
    assert decide() == {"nobody": 1}


# --- hold-outs ----------------------------------------------------------------------------------------------


def test_nobody_is_drawn_for_what_would_not_fire_anyway(admin):
    """Their days to convert would begin, and they would be compared, without ever being treated."""
    account = make_account(recorded_at=NOW - 20 * DAY)
    use(account, "Invite Sent", at=NOW, count=3)
    version = publish(NOW)
    other_play(admin, "cs_task", at=NOW, holdout_percent=50)
    sweep(NOW + SECOND)
    assert decide() == {"muted": 1}  # waits for a release
    assert not PlayArm.objects.exists()
    openings.release(definition_id=version.definition_id, largest=None, by=admin, now=NOW + DAY)
    decide(NOW + DAY + SECOND)
    assert PlayArm.objects.get(play__action="cs_task").drawn_at == NOW + DAY + SECOND


def test_the_arm_that_is_stored_is_the_one_that_counts(admin, pausing):
    """Somebody else drew it meanwhile, under another percentage."""
    from scoring import holdout

    play = other_play(admin, "cs_task", holdout_percent=50)
    Play.objects.filter(pk=play.pk).update(salt=salt_that(pausing.pk, Arm.HELD_OUT))
    play.refresh_from_db()
    PlayArm.objects.create(play=play, company=pausing, arm="treated", percent=5, drawn_at=NOW, window_ends_at=NOW + DAY)
    assert holdout.arms([(play, pausing.pk)], [], now=NOW) == {(play.pk, pausing.pk): "treated"}


def test_a_payment_of_a_part_of_the_company_is_the_companys_but_not_of_a_test_account(admin, pausing):
    from scoring import play_numbers

    play = other_play(admin, "cs_task")
    part, test = make_account("Part", parent=pausing), make_account("Test", parent=pausing)
    Account.objects.filter(pk=test.pk).update(is_internal=True)
    qualify(pausing)
    decide()
    lifecycle.reach(account_id=test.pk, stage="paid", at=NOW + DAY, now=NOW + DAY, cause="billing")
    assert play_numbers.numbers([play.pk])[play.pk].converted == 0
    lifecycle.reach(account_id=part.pk, stage="paid", at=NOW + DAY, now=NOW + DAY, cause="billing")
    assert play_numbers.numbers([play.pk])[play.pk].converted == 1


def test_internal_companies_are_out_of_every_number_of_a_play(admin, pausing):
    from scoring import play_numbers

    person(pausing)
    play = prompt_play(admin, "Upgrade")
    qualify(pausing)
    decide()
    assert due() == "Upgrade"
    prompts.record("kim", PlayRun.objects.get(play=play).pk, "clicked", now=NOW + 5 * SECOND)
    assert (play_numbers.met(play).seen, play_numbers.met(play).clicked) == (1, 1)
    parent = make_account("Ours")
    Account.objects.filter(pk=parent.pk).update(is_internal=True)
    PlayRun.objects.update(company=parent)
    assert (play_numbers.met(play).seen, play_numbers.numbers([play.pk])) == (0, {})
    assert play_numbers.runs(play, tab="all").items == []


# --- merged, moved ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["cs_task", "webhook"])
def test_a_merge_and_its_undoing_set_nothing_going_again(admin, pausing, action):
    play = other_play(admin, action)
    winner = live_world("Winner")
    qualify(pausing)
    assert decide() == {"fired": 1}
    merge = merged(pausing, winner, now=NOW + DAY)
    sweep(NOW + DAY + SECOND)
    assert Qualification.objects.get(closed_at=None).account == winner
    assert decide(NOW + DAY + 2 * SECOND) == {"passed": 1}
    assert play.runs.get(account=winner).reason == "Fired before the accounts were merged, and nothing is new since."
    identity.unmerge_accounts(merge=merge, by=None, now=NOW + 2 * DAY)
    use(pausing, "Invite Sent", at=NOW, count=3, now=NOW + 2 * DAY)
    sweep(NOW + 2 * DAY + SECOND)
    assert decide(NOW + 2 * DAY + 2 * SECOND) == {"passed": 1}
    assert CsTask.objects.count() == (action == "cs_task")


def test_after_a_merge_what_is_new_fires(admin, pausing):
    other_play(admin, "cs_task")
    winner = live_world("Winner")
    qualify(pausing)
    decide()
    merged(pausing, winner, now=NOW + DAY)
    use(winner, "Invite Sent", at=NOW + DAY + 60 * SECOND, count=1)
    sweep(NOW + 2 * DAY)
    assert decide(NOW + 2 * DAY + SECOND) == {"fired": 1}


def test_a_play_rests_for_a_company_whatever_it_was_merged_from(admin, pausing):
    other_play(admin, "cs_task", cooldown_days=30)
    winner = live_world("Winner")
    qualify(pausing)
    decide()
    merged(pausing, winner, now=NOW + DAY)
    use(winner, "Invite Sent", at=NOW + 2 * DAY, count=3)
    sweep(NOW + 2 * DAY)
    assert decide(NOW + 2 * DAY + SECOND) == {"cooling": 1}


def test_a_run_follows_its_account_into_another_company(admin, pausing, rep):
    parent = live_world("Parent")
    play = other_play(admin, "nudge")
    handoff = Handoff.objects.create(company=parent, opened_at=NOW, newest_evidence_at=NOW)
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    run = run_of(qualify(pausing), play)
    stewardship.set_parent(account_id=pausing.pk, parent_id=parent.pk, by=rep, now=NOW + SECOND)
    decide()
    assert decide(NOW + 3 * SECOND) == {"muted": 1}
    run.refresh_from_db()
    assert run.company == parent


def test_a_notice_stays_with_its_account_when_that_changes_company(admin, pausing):
    person(pausing)
    prompt_play(admin, "Limit", promotional=False)
    qualify(pausing)
    decide()
    parent = live_world("Parent")
    stewardship.set_parent(account_id=pausing.pk, parent_id=parent.pk, by=admin, now=NOW + 2 * SECOND)
    assert due() == "Limit"
    lifecycle.hold(account_id=parent.pk, kind="urgent_ticket", source="ticket:1", now=NOW)
    Play.objects.filter(action="prompt").update(promotional=True)
    assert due() is None  # muted with the company that it is part of now


# --- near misses --------------------------------------------------------------------------------------------


def near(name: str) -> Account:
    account = make_account(name, recorded_at=NOW - 5 * DAY)
    use(account, "Invite Sent", at=NOW - DAY, count=2)
    return account


def test_a_worker_that_dies_over_near_misses_loses_no_day(admin, monkeypatch):
    publish(NOW - 10 * DAY)
    near("Near")
    sweep(NOW)
    near_play(admin)
    lake.refresh(now=NOW)

    def dies(*args, **kwargs):
        raise SystemExit

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(near_misses, "of_definition", dies)
        nearly.ask_next(now=NOW)
    assert nearly.ask_next(now=NOW + SECOND) is None  # somebody may be at it still
    assert nearly.ask_next(now=NOW + nearly.LEASE) == 1
    assert nearly.ask_next(now=NOW + nearly.LEASE + SECOND) is None


def test_who_rests_does_not_keep_the_next_ones_from_their_turn(admin, monkeypatch):
    publish(NOW - 10 * DAY)
    for name in ("One", "Two", "Three"):
        near(name)
    sweep(NOW)
    near_play(admin)
    lake.refresh(now=NOW)
    monkeypatch.setattr(nearly, "MOST", 1)
    assert [nearly.ask_next(now=NOW + number * DAY) for number in range(3)] == [1, 1, 1]
    assert PlayRun.objects.values("account").distinct().count() == 3


def test_a_nudge_for_a_near_miss_goes_when_its_days_are_over_or_it_was_made(admin, pausing):
    person(pausing)
    play = prompt_play(admin, "One invite left", action="nudge")
    Play.objects.filter(pk=play.pk).update(trigger="near_miss")
    from accounts.workspace import day_of

    today = day_of(NOW)
    run = PlayRun.objects.create(
        play=play,
        account=pausing,
        company=pausing,
        near_day=today,
        created_at=NOW,
        due_at=NOW,
        detail={"needs": "1 more time", "days_left": 2},
    )
    decide(NOW)
    assert due(at=NOW + 2 * DAY) == "One invite left"
    assert due(at=NOW + 3 * DAY) is None
    PlayRun.objects.filter(pk=run.pk).update(shows_until=NOW + 30 * DAY)
    assert due(at=NOW + SECOND) == "One invite left"
    qualify(pausing)
    assert due(at=NOW + 2 * SECOND) is None


def test_what_is_shown_ends_by_an_index_and_not_by_looking_at_everything(admin, pausing):
    person(pausing)
    prompt_play(admin, "Upgrade")
    qualify(pausing)
    decide()
    run = PlayRun.objects.get(status="fired")
    assert run.shows_until == run.decided_at + firing.SHOWN_DAYS * DAY
    assert firing.end_shown(now=run.shows_until - SECOND) == 0
    assert due(at=run.shows_until) is None
    assert firing.end_shown(now=run.shows_until) == 1


def test_prompts_of_an_archived_definition_are_gone_at_once(admin, pausing):
    person(pausing)
    play = prompt_play(admin, "Upgrade", action="nudge")
    Play.objects.filter(pk=play.pk).update(trigger="near_miss")
    PlayRun.objects.create(play=play, account=pausing, company=pausing, near_day=1, created_at=NOW, due_at=NOW)
    decide(NOW)
    assert due() == "Upgrade"
    play.definition.archived_at = NOW
    play.definition.save()
    assert due() is None
    assert prompts.due_for("kim", moment="", now=NOW) is None
