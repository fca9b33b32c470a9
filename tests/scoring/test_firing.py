"""What is decided about runs: fired, muted, outranked, held out, nobody, and tasks that come of it."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts import lake, lifecycle
from accounts.models import Account, AccountMerge, BusinessCalendar, ProductUser
from plgops.lib import access
from scoring import audience, cs_tasks, firing, handoffs, holdout, muting, nearly, openings, playbook
from scoring.models import AlertFact, CsTask, Handoff, Play, PlayArm, PlayRun, PromptRules, PromptView, Qualification
from scoring.stats import share
from tests.conftest import NOW, make_staff
from tests.factories.scoring import make_account, make_user, merge, publish, sweep, use
from tests.scoring.test_plays import DAY, SECOND, live_world, other_play, qualify, run_of, sales

pytestmark = pytest.mark.django_db


def decide(at: dt.datetime = NOW + 2 * SECOND) -> dict[str, int]:
    return dict(firing.decide_due(now=at).by_status)


@pytest.fixture
def pausing(admin):
    """The definition's own play does not run: nothing is handed over."""
    account = live_world()
    playbook.move(play_id=sales().pk, verb="pause", by=admin, now=NOW - DAY)
    return account


# --- one at a time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["prompt", "nudge", "cs_task", "webhook"])
def test_what_qualifies_fires_once(admin, pausing, action):
    play = other_play(admin, action)
    run = run_of(qualify(pausing), play)
    assert (run.status, run.due_at) == ("due", NOW + SECOND)
    assert decide() == {"fired": 1}
    assert decide(NOW + DAY) == {}
    run.refresh_from_db()
    assert (run.status, run.decided_at, run.window_ends_at) == ("fired", NOW + 2 * SECOND, NOW + 2 * SECOND + 30 * DAY)
    assert (run.ended_at is None) == (action in ("prompt", "nudge"))
    assert CsTask.objects.count() == (action == "cs_task")
    assert AlertFact.objects.filter(kind="play_webhook").count() == (action == "webhook")
    told = AlertFact.objects.filter(kind="task_created").values_list("account_id", "detail")
    assert list(told) == [(pausing.pk, {"title": t.title}) for t in CsTask.objects.all()]


def test_a_webhook_says_which_play_and_which_account(admin, pausing):
    play = other_play(admin, "webhook")
    qualify(pausing)
    decide()
    fact = AlertFact.objects.get(kind="play_webhook")
    assert (fact.account_id, fact.detail["play"], fact.detail["account"]) == (pausing.pk, play.slug, "acme")


def test_what_opened_before_the_play_was_live_never_fires(admin, pausing):
    qualify(pausing)
    play = other_play(admin, "cs_task", at=NOW + DAY)
    sweep(NOW + 2 * DAY)
    assert (play.runs.count(), decide(NOW + 2 * DAY)) == (0, {})


def test_a_play_that_stops_fires_nothing_of_what_waits(admin, pausing):
    play = other_play(admin, "cs_task")
    run = run_of(qualify(pausing), play)
    playbook.move(play_id=play.pk, verb="pause", by=admin, now=NOW + 2 * SECOND)
    assert decide(NOW + DAY) == {}
    run.refresh_from_db()
    assert (run.status, run.reason) == ("passed", "The play was stopped.")


def test_what_no_longer_qualifies_is_passed_over(admin, pausing):
    play = other_play(admin, "cs_task")
    episode = qualify(pausing)
    Qualification.objects.update(closed_at=NOW, close_cause="lapsed")
    assert decide() == {"passed": 1}
    assert run_of(episode, play).reason == "No longer qualifies: the rule no longer holds."


def test_several_that_face_a_company_at_once_are_one_the_highest(admin, pausing):
    low, high = other_play(admin, "nudge", priority=10), other_play(admin, "cs_task", priority=90)
    episode = qualify(pausing)
    assert decide() == {"fired": 1, "outranked": 1}
    assert (run_of(episode, high).status, run_of(episode, low).winner) == ("fired", high)
    assert run_of(episode, low).reason == "A cs_task goes first: priority 90, this 10."


def test_a_limit_notice_is_neither_outranked_nor_muted(admin, rep, pausing):
    notice = other_play(admin, "prompt", priority=1, promotional=False, moment="limit_reached")
    nudge = other_play(admin, "nudge", priority=90)
    hold(pausing)
    episode = qualify(pausing)
    assert decide() == {"fired": 1, "muted": 1}
    assert (run_of(episode, notice).status, run_of(episode, nudge).status) == ("fired", "muted")


def test_the_hold_out_is_left_alone_and_stored_in_one_statement(admin, pausing):
    play = other_play(admin, "cs_task", holdout_percent=50)
    accounts = [live_world(f"A{number}") for number in range(8)]
    for account in accounts:
        use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW + SECOND)
    with CaptureQueriesContext(connection) as queries:
        done = decide()
    assert sum("INSERT" in q["sql"] and "scoring_playarm" in q["sql"] for q in queries) == 1
    drawn = {a.pk: holdout.drawn(salt=play.salt, company_id=a.pk, percent=50) for a in accounts}
    assert dict(PlayArm.objects.values_list("company_id", "arm")) == drawn
    assert done.get("held_out", 0) == list(drawn.values()).count("held_out")
    assert CsTask.objects.count() == list(drawn.values()).count("treated")


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_is_decided_in_the_same_number_of_queries(admin, pausing, count, django_assert_num_queries):
    play = other_play(admin, "cs_task", holdout_percent=10, cooldown_days=3)
    accounts = [live_world(f"A{number}") for number in range(count)]
    play.salt = next(  # who is held out has no task: that would be a statement less
        salt
        for salt in map(str, range(1000))
        if all(holdout.drawn(salt=salt, company_id=one.pk, percent=10) == "treated" for one in accounts)
    )
    play.save()
    for account in accounts:
        use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW + SECOND)
    with django_assert_num_queries(18):
        assert sum(decide().values()) == count


def test_one_company_that_cannot_be_decided_holds_up_nobody(admin, pausing, monkeypatch):
    other_play(admin, "cs_task")
    bad, good = live_world("Bad"), live_world("Good")
    for account in (bad, good):
        use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW + SECOND)
    really = firing._outcome

    def breaks(run, *args):
        if run.account_id == bad.pk:
            raise RuntimeError("poison")
        return really(run, *args)

    monkeypatch.setattr(firing, "_outcome", breaks)
    assert decide() == {"fired": 1}
    assert PlayRun.objects.get(account=bad).due_at == NOW + 2 * SECOND + firing.PUSHED_BACK


def test_who_must_not_be_contacted_is_left_out_of_outreach(admin, pausing):
    play = other_play(admin, "cs_task")
    notice = other_play(admin, "prompt", promotional=False)
    user = make_user(pausing, "kim")
    ProductUser.objects.filter(pk=user.pk).update(do_not_contact=True)
    episode = qualify(pausing)
    assert decide() == {"fired": 1, "nobody": 1}
    assert (run_of(episode, play).status, run_of(episode, notice).status) == ("nobody", "fired")
    other = live_world("Other")
    refuses, may = make_user(other, "lee"), make_user(other, "sam")
    ProductUser.objects.filter(pk=refuses.pk).update(contact_refused_at=NOW)
    assert may.pk
    assert run_of(qualify(other, NOW + DAY), play).status == "due"
    assert decide(NOW + 2 * DAY)["fired"] == 2


# --- publications -------------------------------------------------------------------------------------------


def test_what_a_publication_lets_in_waits_for_its_release_and_sets_no_tasks_going(admin):
    account = make_account(recorded_at=NOW - 20 * DAY)
    use(account, "Invite Sent", at=NOW - 5 * DAY, count=3)
    version = publish(NOW - 4 * DAY)
    play = other_play(admin, "cs_task", at=NOW - 4 * DAY)
    sweep(NOW - 3 * DAY)
    assert decide() == {"muted": 1}
    assert decide(NOW + SECOND * 3) == {}
    use(account, "Invite Sent", at=NOW, count=3)
    openings.release(definition_id=version.definition_id, largest=None, by=admin, now=NOW + DAY)
    assert decide(NOW + DAY + 3 * SECOND) == {"fired": 1}
    assert play.runs.get().status == "fired"


def test_an_activation_that_a_publication_finds_sets_no_tasks_going(admin):
    account = make_account(recorded_at=NOW - 20 * DAY)
    use(account, "Invite Sent", at=NOW, count=3)
    version = publish(NOW, slug="active", purpose="activation")
    task = other_play(admin, "cs_task", definition=version.definition, at=NOW)
    nudge = other_play(admin, "nudge", definition=version.definition, at=NOW)
    sweep(NOW + SECOND)
    assert decide() == {"passed": 1, "fired": 1}
    assert (task.runs.get().status, nudge.runs.get().status) == ("passed", "fired")


# --- muting -------------------------------------------------------------------------------------------------


def hold(account: Account) -> None:
    lifecycle.hold(account_id=account.pk, kind="urgent_ticket", source="ticket:1", now=NOW)


def test_an_urgent_ticket_mutes_until_it_is_solved(admin, pausing):
    other_play(admin, "nudge")
    hold(pausing)
    run = run_of(qualify(pausing), Play.objects.get(action="nudge"))
    assert decide() == {"muted": 1}
    run.refresh_from_db()
    assert (run.reason, run.due_at) == ("An urgent ticket is open.", NOW + 2 * SECOND + muting.AGAIN)
    lifecycle.lift(account_id=pausing.pk, kind="urgent_ticket", source="ticket:1", now=NOW + 2 * SECOND)
    assert decide(run.due_at) == {"fired": 1}


def test_a_rep_who_works_the_account_mutes_it_for_five_business_days_from_the_last_touch(admin, rep):
    account = live_world()
    nudge = other_play(admin, "nudge", priority=10)
    episode = qualify(account)  # Monday
    handoffs.claim(handoff_id=episode.handoff_id, by=rep, now=NOW + SECOND)
    assert decide() == {"muted": 1}
    run = run_of(episode, nudge)
    assert run.reason == "Dana Whitfield works the account."
    assert run.due_at == NOW + SECOND + 7 * DAY
    friday = NOW + 4 * DAY
    handoffs.touch(handoff_id=episode.handoff_id, kind="called", by=rep, now=friday)
    assert decide(NOW + 8 * DAY) == {"muted": 1}
    run.refresh_from_db()
    assert run.due_at == friday + 7 * DAY
    handoffs.note(handoff_id=episode.handoff_id, text="A note is no touch", by=rep, now=friday + DAY)
    assert decide(friday + 7 * DAY) == {"fired": 1}


def test_business_days_follow_the_calendar():
    friday = dt.datetime(2026, 6, 19, 10, 30, tzinfo=dt.UTC)
    assert muting.business_days().after(friday, 5) == friday + 7 * DAY
    assert muting.business_days().after(friday + DAY, 1) == friday + 3 * DAY
    BusinessCalendar.objects.create(
        name="Support",
        time_zone="UTC",
        hours={"mon": [["09:00", "17:00"]], "sat": [["09:00", "12:00"]], "sun": []},
        holidays=["2026-06-22"],
    )
    # Saturday 20, Saturday 27 (Monday 22 is closed)
    assert muting.business_days().after(friday, 2) == friday + 8 * DAY
    # hours of their own: Wednesday 24 is open, Saturday 20 closed
    BusinessCalendar.objects.update(overrides={"2026-06-24": [["09:00", "12:00"]], "2026-06-20": []})
    assert muting.business_days().after(friday, 2) == friday + 8 * DAY
    assert muting.business_days().after(friday, 1) == friday + 5 * DAY


def test_an_unclaimed_handoff_mutes_nothing(admin):
    account = live_world()
    other_play(admin, "nudge", priority=10)
    qualify(account)
    assert muting.muted([account.pk], now=NOW + DAY) == {}


# --- near misses --------------------------------------------------------------------------------------------


def near_play(admin, action: str = "cs_task", **values) -> Play:
    wanted = playbook.Wanted(
        name="Nearly there", definition=sales().definition, action=action, trigger="near_miss", values=values
    )
    play = playbook.create(wanted, by=admin, now=NOW - 2 * DAY)
    return playbook.move(play_id=play.pk, verb="start", by=admin, now=NOW - 2 * DAY)


def test_who_is_one_condition_short_gets_a_task_that_says_what_is_missing(admin):
    account = live_world()
    use(account, "Invite Sent", at=NOW - DAY, count=2)
    sweep(NOW)
    play = near_play(admin, content={"headline": "Help them invite"})
    assert nearly.ask_next(now=NOW) == 0  # no lake yet
    lake.refresh(now=NOW)
    assert nearly.ask_next(now=NOW + nearly.NO_LAKE) == 1
    assert nearly.ask_next(now=NOW + nearly.NO_LAKE) is None
    assert decide(NOW + DAY) == {"fired": 1}
    task = CsTask.objects.get()
    assert task.title == "Help them invite: needs 1 more time"
    assert (task.company, task.run.near_day is not None) == (account, True)
    # the next morning it is near still, and left alone
    assert nearly.ask_next(now=NOW + 2 * DAY) == 0
    assert play.runs.count() == 1


def test_a_task_says_what_is_missing_where_its_words_say_so(admin):
    account = live_world()
    use(account, "Invite Sent", at=NOW - DAY, count=2)
    sweep(NOW)
    near_play(admin, content={"headline": "It takes {needs}", "body": "Only {needs}: call them. {needs}!"})
    lake.refresh(now=NOW)
    assert nearly.ask_next(now=NOW) == 1
    decide(NOW + DAY)
    task = CsTask.objects.get()
    assert (task.title, task.detail) == ("It takes 1 more time", "Only 1 more time: call them. 1 more time!")


def test_a_near_miss_that_qualifies_by_now_is_passed_over(admin):
    account = live_world()
    use(account, "Invite Sent", at=NOW - DAY, count=2)
    sweep(NOW)
    near_play(admin)
    lake.refresh(now=NOW)
    assert nearly.ask_next(now=NOW) == 1
    qualify(account)
    assert decide() == {"passed": 1}
    assert CsTask.objects.count() == 0


# --- tasks --------------------------------------------------------------------------------------------------


@pytest.fixture
def guide(db):
    return make_staff("cleo", access.CS, first_name="Cleo", last_name="Ines")


@pytest.fixture
def task(admin, pausing) -> CsTask:
    other_play(admin, "cs_task", content={"headline": "Say hello", "body": "They just started.", "due_days": 2})
    qualify(pausing)
    decide()
    return CsTask.objects.get()


def test_a_task_is_taken_and_done_with_its_outcome(task, guide):
    assert (task.title, task.detail, task.due_on) == ("Say hello", "They just started.", dt.date(2026, 6, 17))
    cs_tasks.take(task_id=task.pk, by=guide, now=NOW)
    done = cs_tasks.close(task_id=task.pk, status="done", outcome="helped", by=guide, now=NOW + DAY)
    assert (done.owner, done.closed_by, done.closed_at, done.outcome) == (guide, guide, NOW + DAY, "helped")
    with pytest.raises(cs_tasks.Refused, match="done already"):
        cs_tasks.close(task_id=task.pk, status="dismissed", outcome="helped", by=guide, now=NOW + DAY)
    with pytest.raises(cs_tasks.Refused, match="done already"):
        cs_tasks.take(task_id=task.pk, by=guide, now=NOW + DAY)


def test_an_outcome_is_of_the_list_and_other_needs_words(task, guide, rep):
    with pytest.raises(cs_tasks.Refused, match="Choose"):
        cs_tasks.close(task_id=task.pk, status="done", outcome="", by=guide, now=NOW)
    with pytest.raises(cs_tasks.Refused, match="in the note"):
        cs_tasks.close(task_id=task.pk, status="done", outcome="other", by=guide, now=NOW)
    with pytest.raises(PermissionDenied):
        cs_tasks.take(task_id=task.pk, by=rep, now=NOW)
    assert CsTask.objects.get().status == "open"


# --- the hold-out, measured ---------------------------------------------------------------------------------


def test_newcombes_interval_is_that_of_his_paper():
    """Newcombe 1998, table II, method 10: 56/70 against 48/80, 9/10 against 3/10, 10/10 against 0/10."""
    for hits, of, others, of_others, low, high in (
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (10, 10, 0, 10, 0.6075, 1.0),
    ):
        found = holdout.difference(share(hits, of), share(others, of_others))
        assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def arms(play: Play, arm: str, count: int, paid: int, *, at=NOW - 40 * DAY, percent: int = 50) -> list[Account]:
    accounts = [make_account(f"{arm} {at:%d} {number}") for number in range(count)]
    PlayArm.objects.bulk_create(
        PlayArm(play=play, company=a, arm=arm, percent=percent, drawn_at=at, window_ends_at=at + 30 * DAY)
        for a in accounts
    )
    for account in accounts[:paid]:
        lifecycle.reach(account_id=account.pk, stage="paid", at=at + DAY, now=at + DAY, cause="billing")
    return accounts


def test_a_lift_is_told_once_there_is_enough_and_leaves_out_who_was_merged(admin, django_assert_num_queries):
    live_world()
    play = other_play(admin, "prompt", holdout_percent=50)
    treated = arms(play, "treated", 104, 22)
    arms(play, "held_out", 100, 8)
    arms(play, "treated", 3, 3, at=NOW - 10 * DAY)  # their days are not over
    arms(play, "treated", 5, 5, at=NOW - 50 * DAY, percent=10)  # drawn under another percentage
    late = arms(play, "held_out", 1, 0, at=NOW - 45 * DAY)[0]
    lifecycle.reach(account_id=late.pk, stage="paid", at=NOW - 15 * DAY, now=NOW, cause="billing")  # on the last day
    merge(treated[0], treated[1], now=NOW)
    AccountMerge.objects.create(
        loser=treated[0], winner=treated[1], account_keys=[], merged_at=NOW - 39 * DAY, merged_by=None
    )
    Account.objects.filter(pk=treated[2].pk).update(is_internal=True)
    Account.objects.filter(pk=treated[3].pk).update(parent=treated[4])
    # two were one company for a while
    apart = arms(play, "treated", 2, 2, at=NOW - 43 * DAY)
    AccountMerge.objects.create(
        loser=apart[0],
        winner=apart[1],
        account_keys=[],
        merged_at=NOW - 60 * DAY,
        undone_at=NOW - 20 * DAY,
    )
    with django_assert_num_queries(1):
        lift = holdout.lift(play, now=NOW)
    assert (lift.treated.hits, lift.treated.of, lift.held_out.hits, lift.held_out.of) == (18, 100, 8, 101)
    assert (lift.open, lift.left, lift.lacking) == (3, 6, "")
    assert lift.difference.low < lift.difference.value < lift.difference.high
    assert lift.is_clear


def test_before_there_is_enough_no_lift_is_told(admin):
    live_world()
    play = other_play(admin, "prompt", holdout_percent=50)
    assert holdout.lift(sales(), now=NOW).lacking == "Nobody is held out, so there is nothing to compare with."
    arms(play, "treated", 100, 9)
    arms(play, "held_out", 99, 0)
    assert holdout.lift(play, now=NOW).lacking == (
        "99 of the 100 held out companies that it takes have had their days to convert."
    )
    arms(play, "held_out", 1, 0, at=NOW - 41 * DAY)
    found = holdout.lift(play, now=NOW)
    assert (found.difference, found.lacking) == (None, "9 of the 10 conversions that it takes.")


def test_the_draw_is_even_and_the_same_each_time():
    held = [pk for pk in range(1, 20_001) if holdout.drawn(salt="a", company_id=pk, percent=20) == "held_out"]
    assert 3800 < len(held) < 4200
    assert held == [pk for pk in range(1, 20_001) if holdout.drawn(salt="a", company_id=pk, percent=20) == "held_out"]
    more = {pk for pk in range(1, 20_001) if holdout.drawn(salt="a", company_id=pk, percent=30) == "held_out"}
    assert set(held) < more
    assert not any(holdout.drawn(salt="a", company_id=pk, percent=0) == "held_out" for pk in range(1, 2000))


# --- audiences ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values", "meant"),
    [
        ("plan is free, trial", {"plan": "Trial"}, True),
        ("plan is not free", {"plan": "free"}, False),
        ("plan is not free", {}, False),
        ("seats at least 5", {"seats": 5}, True),
        ("seats at most 4", {"seats": 5}, False),
        ("mrr at least 99.5", {"mrr": "99.50"}, True),
        ("beta is true", {"beta": True}, True),
        ("industry is known", {"industry": ""}, False),
        ("Country is DE\n\nplan is free", {"Country": "de", "plan": "free"}, True),
        ("employees at least 5", {"employees": "many"}, False),
        ("", {}, True),
    ],
)
def test_an_audience_reads_as_it_is_written(text, values, meant):
    conditions = audience.parse(text)
    assert (audience.outside(conditions, audience.Facts(values), audience.Facts({})) == "") == meant
    assert audience.parse("\n".join(map(str, conditions))) == conditions


# --- what the database refuses ------------------------------------------------------------------------------


def test_every_constraint_refuses(admin, pausing):
    play = other_play(admin, "cs_task")
    run = run_of(qualify(pausing), play)
    decide()
    run.refresh_from_db()
    user = make_user(pausing, "kim")
    shared = {"play": play, "account": pausing, "company": pausing, "created_at": NOW}
    view = {"run": run, "user": user, "promotional": True, "offered_at": NOW, "first_seen_at": NOW, "last_seen_at": NOW}
    PromptView.objects.create(**view)
    lee = view | {"user": make_user(pausing, "lee")}
    PlayRun.objects.create(**shared, near_day=5, due_at=NOW)
    PlayArm.objects.create(play=play, company=pausing, arm="treated", percent=5, drawn_at=NOW, window_ends_at=NOW + DAY)
    arm = {"play": play, "company": make_account("Arm"), "percent": 5, "drawn_at": NOW, "window_ends_at": NOW + DAY}
    spare = PlayRun.objects.create(**shared, near_day=6, due_at=NOW)
    task = {"run": spare, "company": pausing, "title": "T", "due_on": dt.date(2026, 6, 1), "created_at": NOW}
    of_play = {"name": "P", "definition": play.definition, "action": "nudge", "salt": "s", "created_at": NOW}
    refused = [
        (Play, "play_action_known", of_play | {"action": "fax"}),
        (Play, "play_trigger_fits_action", of_play | {"trigger": "near_miss", "action": "prompt"}),
        (Play, "play_live_since_when", of_play | {"status": "live"}),
        (Play, "play_holdout_at_most_90", of_play | {"holdout_percent": 91}),
        (Play, "play_priority_at_most_1000", of_play | {"priority": 1001}),
        (Play, "play_converts_within_a_year", of_play | {"convert_days": 0}),
        (
            Play,
            "play_ends_after_it_starts",
            of_play | {"starts_on": dt.date(2026, 2, 2), "ends_on": dt.date(2026, 2, 1)},
        ),
        (Play, "play_moment_known", of_play | {"moment": "teatime"}),
        (Play, "play_has_salt", of_play | {"salt": ""}),
        (PlayArm, "play_arm_once", arm | {"company": pausing, "arm": "treated"}),
        (PlayArm, "play_arm_known", arm | {"arm": "both"}),
        (PlayArm, "play_arm_window_in_order", arm | {"arm": "treated", "window_ends_at": NOW}),
        (PlayArm, "play_arm_without_holdout", arm | {"arm": "held_out", "percent": 0}),
        (PlayRun, "play_run_once", shared | {"qualification": run.qualification, "due_at": NOW}),
        (PlayRun, "play_run_near_once", shared | {"near_day": 5, "due_at": NOW}),
        (PlayRun, "play_run_of_one_cause", shared | {"due_at": NOW}),
        (PlayRun, "play_run_waits_or_is_decided", shared | {"near_day": 7}),
        (
            PlayRun,
            "play_run_fired_has_window",
            shared | {"near_day": 7, "status": "fired", "decided_at": NOW},
        ),
        (PlayRun, "play_run_outranked_by_a_winner", shared | {"near_day": 7, "due_at": NOW, "winner": play}),
        (CsTask, "cs_task_closed_fits_status", task | {"status": "done"}),
        (
            CsTask,
            "cs_task_outcome_known",
            task | {"status": "done", "outcome": "so so", "closed_at": NOW, "closed_by": admin},
        ),
        (CsTask, "cs_task_says_what", task | {"title": ""}),
        (PromptView, "prompt_view_once", view),
        (PromptView, "prompt_view_seen_in_order", lee | {"last_seen_at": NOW - DAY}),
        (PromptView, "prompt_view_seen_in_order", lee | {"last_seen_at": None}),
        (PromptRules, "prompt_rules_are_one", {"pk": 2}),
    ]
    for number, (model, name, values) in enumerate(refused):
        more = {"slug": f"s{number}"} if model is Play else {}
        with pytest.raises(IntegrityError) as error, transaction.atomic():
            model.objects.create(**values, **more)
        if connection.vendor == "postgresql":
            assert name in str(error.value)
    with pytest.raises(IntegrityError), transaction.atomic():
        PromptRules.objects.update(cap=0)
    assert Handoff.objects.count() == 0
