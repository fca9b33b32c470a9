"""From due accounts to episodes, stages and handoffs."""

import datetime as dt

import pytest
from django.conf import settings

from accounts import due, event_types, lifecycle, stewardship
from accounts.models import AccountDue, AuditEntry, EventType, StageEntry
from accounts.workspace import day_of
from plgops.lib.days import micros
from scoring import definitions, evaluate, handoffs, openings, tasks
from scoring.engines import appdb
from scoring.models import Handoff, Qualification
from tests.conftest import NOW
from tests.factories.scoring import make_account, make_trait, make_user, merge, publish, sweep, use

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
TIME_DUE_QUERIES = 26


def live_world(**changes):
    """TEAM is live and applied, then an account comes and does nothing yet."""
    version = publish(NOW - 10 * DAY, **changes)
    account = make_account(recorded_at=NOW - 5 * DAY)
    sweep(NOW - 5 * DAY)
    return version, account


def only(account, **filters) -> Qualification:
    return Qualification.objects.get(account=account, **filters)


def test_evaluation_opens_an_episode_with_its_stage_and_its_handoff():
    version, account = live_world()
    user = make_user(account, "kim")
    use(account, "Invite Sent", at=NOW, count=3, user=user)
    swept = sweep(NOW + dt.timedelta(seconds=1))
    episode = only(account)
    assert (swept.opened["team-expansion"], swept.failed, swept.stale) == (1, 0, 0)
    assert (episode.cause, episode.release, episode.since_at, episode.version) == ("event", "live", NOW, version)
    assert (episode.evidence["conditions"][0]["measured"], episode.evidence["newest_us"]) == (3, micros(NOW))
    entry = StageEntry.objects.get(account=account, stage="pql")
    assert (entry.at, entry.definition_version_id) == (NOW, version.pk)
    handoff = Handoff.objects.get(company=account)
    assert (handoff.status, handoff.newest_evidence_at, episode.handoff) == ("new", NOW, handoff)
    row = AccountDue.objects.get(account=account, consumer="evaluation")
    assert row.done_seq == row.changed_seq


def test_evaluation_writes_the_day_on_which_time_may_change_the_verdict():
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    row = AccountDue.objects.get(account=account, consumer="evaluation")
    assert row.due_day is not None
    assert day_of(NOW) < row.due_day <= day_of(NOW) + 7


def test_episode_lapses_by_time_only_after_its_grace_period():
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3)
    for passed in range(7):
        sweep(NOW + passed * DAY)
    assert only(account).lapsing_since_day is None
    sweep(NOW + 7 * DAY)
    assert only(account).lapsing_since_day == day_of(NOW) + 7
    sweep(NOW + 8 * DAY)
    assert only(account).closed_at is None
    sweep(NOW + 9 * DAY)
    assert (only(account).close_cause, only(account).closed_at) == ("lapsed", NOW + 9 * DAY)


def test_episode_that_holds_again_within_its_grace_period_stays_the_same_one():
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    sweep(NOW + 7 * DAY)
    use(account, "Invite Sent", at=NOW + 8 * DAY, count=3)
    sweep(NOW + 8 * DAY)
    assert (only(account).lapsing_since_day, only(account).closed_at) == (None, None)


def test_episode_without_grace_closes_at_once():
    _, account = live_world(grace_days=0)
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    sweep(NOW + 7 * DAY)
    assert only(account).close_cause == "lapsed"


def test_import_opens_waiting_episodes_and_no_handoff():
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3, importing=True)
    sweep(NOW)
    assert (only(account).cause, only(account).release) == ("import", "waiting")
    assert Handoff.objects.count() == 0


def test_what_follows_from_an_imported_stage_waits_too():
    publish(NOW - 10 * DAY, slug="active", name="Active", purpose="activation")
    publish(NOW - 10 * DAY, rule={"stage": {"reached": "activated"}})
    account = make_account(recorded_at=NOW - DAY)
    sweep(NOW - DAY)
    use(account, "Invite Sent", at=NOW, count=3, importing=True)
    sweep(NOW)
    assert dict(Qualification.objects.values_list("definition__slug", "release")) == {
        "active": "live",
        "team-expansion": "waiting",
    }
    assert set(StageEntry.objects.values_list("stage", flat=True)) == {"activated", "pql"}
    assert Handoff.objects.count() == 0


def test_publication_reaches_everybody_quietly_in_batches():
    accounts = [make_account(f"Acme {n}") for n in range(5)]
    for account in accounts:
        use(account, "Invite Sent", at=NOW - DAY, count=3)
    sweep(NOW - DAY)
    publish(NOW)
    assert evaluate.evaluate_due(now=NOW, limit=2).claimed == 2
    assert Qualification.objects.count() == 2  # a worker that dies here leaves the rest behind, not lost
    sweep(NOW)
    assert list(Qualification.objects.values_list("cause", "release").distinct()) == [("publish", "waiting")]
    assert Qualification.objects.count() == 5
    assert Handoff.objects.count() == 0


def test_account_that_comes_after_the_publication_is_live():
    publish(NOW - DAY)
    account = make_account(recorded_at=NOW)
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    assert (only(account).cause, only(account).release) == ("event", "live")


def test_new_version_closes_what_no_longer_holds_as_redefined_and_keeps_the_rest():
    first, account = live_world()
    other = make_account("Beta")
    use(account, "Invite Sent", at=NOW, count=3)
    use(other, "Invite Sent", at=NOW, count=9)
    sweep(NOW)
    second = publish(NOW, rule={"count": {"event": "Invite Sent", "at_least": 5, "window": {"last_days": 7}}})
    sweep(NOW)
    assert (second.number, only(account).close_cause) == (2, "redefined")
    assert (only(other).closed_at, only(other).version) == (None, first)


def test_poison_account_is_pushed_back_with_its_error_and_others_go_on(monkeypatch):
    _, account = live_world()
    other = make_account("Beta")
    for one in (account, other):
        use(one, "Invite Sent", at=NOW, count=3)
    ask = appdb.verdicts

    def breaks(docs, *, account_ids, as_of_day):
        if account.pk in account_ids:
            raise ValueError("a broken row")
        return ask(docs, account_ids=account_ids, as_of_day=as_of_day)

    monkeypatch.setattr(appdb, "verdicts", breaks)
    swept = sweep(NOW)
    assert swept.failed == 1
    row = AccountDue.objects.get(account=account, consumer="evaluation")
    assert (row.attempts, "a broken row" in row.last_error, row.retry_at > NOW) == (1, True, True)
    assert list(Qualification.objects.values_list("account", flat=True)) == [other.pk]
    monkeypatch.undo()
    sweep(NOW + dt.timedelta(minutes=1))
    assert Qualification.objects.count() == 2
    row.refresh_from_db()
    assert (row.attempts, row.last_error) == (0, "")


def test_verdict_of_a_definition_published_over_meanwhile_is_not_written(monkeypatch):
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3)
    ask = appdb.evidence_many

    def publishes_meanwhile(doc, *, account_ids, as_of_day):
        publish(NOW, rule={"count": {"event": "Invite Sent", "at_least": 99, "window": "ever"}})
        return ask(doc, account_ids=account_ids, as_of_day=as_of_day)

    monkeypatch.setattr(appdb, "evidence_many", publishes_meanwhile)
    assert evaluate.evaluate_due(now=NOW).stale == 1
    assert Qualification.objects.count() == 0
    sweep(NOW)
    assert Qualification.objects.count() == 0


def test_verdict_is_not_written_when_the_lease_was_lost(monkeypatch):
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3)
    ask = appdb.evidence_many

    def loses_the_lease(doc, *, account_ids, as_of_day):
        AccountDue.objects.filter(account=account).update(lease_token="another")
        return ask(doc, account_ids=account_ids, as_of_day=as_of_day)

    monkeypatch.setattr(appdb, "evidence_many", loses_the_lease)
    assert evaluate.evaluate_due(now=NOW).stale == 1
    assert (Qualification.objects.count(), StageEntry.objects.count()) == (0, 0)


def test_change_during_the_evaluation_leaves_the_account_behind(monkeypatch):
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=2)
    ask = appdb.verdicts

    def another_comes(docs, *, account_ids, as_of_day):
        found = ask(docs, account_ids=account_ids, as_of_day=as_of_day)
        use(account, "Invite Sent", at=NOW)
        return found

    monkeypatch.setattr(appdb, "verdicts", another_comes)
    evaluate.evaluate_due(now=NOW)
    monkeypatch.undo()
    assert Qualification.objects.count() == 0
    sweep(NOW)
    assert Qualification.objects.count() == 1


def test_internal_account_is_out_of_every_figure():
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    account.is_internal = True
    account.save()
    due.mark_changed([account.pk], now=NOW)
    sweep(NOW + DAY)
    assert only(account).close_cause == "lapsed"
    assert Handoff.objects.get().status == "withdrawn"


def test_paying_account_converts_and_comes_back_only_for_newer_evidence():
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    paid_at = NOW + dt.timedelta(hours=1)
    lifecycle.reach(account_id=account.pk, stage="paid", at=paid_at, now=paid_at, cause="billing", reference="1")
    sweep(paid_at)
    assert only(account).close_cause == "converted"
    handoff = Handoff.objects.get()
    assert (handoff.status, handoff.outcome_reason) == ("withdrawn", "converted")
    sweep(NOW + DAY)
    assert Qualification.objects.filter(closed_at=None).count() == 0
    use(account, "Invite Sent", at=NOW + DAY)
    sweep(NOW + DAY)
    assert Qualification.objects.filter(closed_at=None).count() == 1
    assert Handoff.objects.filter(closed_at=None).count() == 0  # cooling down


def test_payment_that_an_import_began_before_the_episode_brings_converts_it():
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3, importing=True)
    sweep(NOW)
    began = NOW - dt.timedelta(minutes=5)
    at = NOW + dt.timedelta(seconds=1)
    lifecycle.reach(account_id=account.pk, stage="paid", at=at, now=began, cause="billing", reference="1")
    sweep(NOW + dt.timedelta(seconds=2))
    assert only(account).close_cause == "converted"


def test_payment_from_before_the_episode_converts_nothing():
    _, account = live_world()
    early = NOW - 2 * DAY
    lifecycle.reach(account_id=account.pk, stage="paid", at=early, now=early, cause="billing", reference="1")
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    sweep(NOW + DAY)
    assert only(account).closed_at is None


def test_stage_without_an_event_behind_it_dates_from_the_start_of_its_day():
    publish(NOW - 10 * DAY, rule={"recency": {"event": "Built", "not_for_days": 3}})
    account = make_account(recorded_at=NOW - DAY)
    use(account, "Built", at=NOW - 3 * DAY)
    sweep(NOW - DAY)
    sweep(NOW)
    assert (only(account).since_at, only(account).since_day) == (NOW.replace(hour=0), day_of(NOW))
    assert StageEntry.objects.get(account=account, stage="pql").at == NOW.replace(hour=0)


def test_motion_rule_keeps_small_accounts_self_serve_until_it_holds():
    live_world(motion={"rule": {"trait": {"name": "employees", "at_least": 50}}})
    small, large = make_account("Small"), make_account("Large")
    sweep(NOW - DAY)
    make_trait(large, "employees", 80, at=NOW)
    for account in (small, large):
        use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    assert (only(small).release, only(large).release) == ("self_serve", "live")
    assert list(Handoff.objects.values_list("company", flat=True)) == [large.pk]
    make_trait(small, "employees", 50, at=NOW)
    sweep(NOW)
    assert only(small).release == "live"
    assert only(small).handoff.company == small


def test_motion_of_the_company_lifts_its_child_accounts():
    live_world(motion={"rule": {"trait": {"name": "employees", "at_least": 50}}})
    root = make_account("Root")
    child = make_account("Child", parent=root)
    sweep(NOW - DAY)
    use(child, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    assert only(child).release == "self_serve"
    make_trait(root, "employees", 50, at=NOW)
    sweep(NOW)
    assert (only(child).release, only(child).handoff.company) == ("live", root)


def test_two_reasons_of_one_company_share_its_handoff():
    live_world()
    publish(NOW - 10 * DAY, slug="builders", rule={"count": {"event": "Built", "at_least": 1, "window": "ever"}})
    root = make_account("Root")
    child = make_account("Child", parent=root)
    sweep(NOW - DAY)
    use(root, "Built", at=NOW)
    sweep(NOW)
    use(child, "Invite Sent", at=NOW + DAY, count=3)
    sweep(NOW + DAY)
    handoff = Handoff.objects.get()
    assert (handoff.company, handoff.newest_evidence_at) == (root, NOW + DAY)
    assert set(handoff.reasons.values_list("account", flat=True)) == {root.pk, child.pk}


def test_existing_owner_receives_the_handoff_directly(rep):
    _, account = live_world()
    account.owner = rep
    account.save()
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    handoff = Handoff.objects.get()
    assert (handoff.status, handoff.owner, handoff.assigned, handoff.claimed_at) == ("claimed", rep, True, NOW)
    assert StageEntry.objects.filter(account=account, stage="claimed").count() == 1


def test_owner_who_is_set_receives_the_handoff_that_waits(rep, admin):
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    later = NOW + dt.timedelta(hours=1)
    stewardship.set_owner(account_id=account.pk, owner=rep, by=admin, now=later)
    assert Handoff.objects.get().status == "new"
    assert sweep(later).failed == 0
    handoff = Handoff.objects.get()
    assert (handoff.status, handoff.owner, handoff.assigned, handoff.claimed_at) == ("claimed", rep, True, later)
    entry = AuditEntry.objects.get(action="handoff.assigned")
    assert (entry.object_id, entry.account_id, entry.actor_id) == (handoff.pk, account.pk, None)
    assert entry.detail == {"to": rep.label, "why": "owns the account"}
    assert StageEntry.objects.get(account=account, stage="claimed").at == later
    sweep(later + DAY)
    assert AuditEntry.objects.filter(action="handoff.assigned").count() == 1


def test_owner_receives_it_also_beside_episodes_that_open_quietly(rep, admin):
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    stewardship.set_owner(account_id=account.pk, owner=rep, by=admin, now=NOW)
    use(account, "Built", at=NOW, importing=True)
    publish(NOW, slug="builders", name="Builders", rule={"count": {"event": "Built", "at_least": 1, "window": "ever"}})
    sweep(NOW)
    assert Handoff.objects.get().owner == rep
    assert only(account, definition__slug="builders").release == "waiting"


def test_owner_of_a_company_receives_what_waits_for_its_child_and_the_childs_owner_does_not(rep, other_rep, admin):
    live_world()
    root = make_account("Root")
    child = make_account("Child", parent=root)
    sweep(NOW - DAY)
    use(child, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    stewardship.set_owner(account_id=child.pk, owner=other_rep, by=admin, now=NOW)
    sweep(NOW)
    assert Handoff.objects.get().status == "new"
    stewardship.set_owner(account_id=root.pk, owner=rep, by=admin, now=NOW)
    sweep(NOW)
    child.refresh_from_db()
    assert (Handoff.objects.get().owner, child.owner) == (rep, other_rep)


@pytest.mark.parametrize("left", [True, False], ids=["left", "works no handoffs"])
def test_owner_who_takes_no_handoffs_does_not_receive_the_one_that_waits(rep, agent, admin, left):
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    owner = rep if left else agent
    if left:
        rep.is_active = False
        rep.save()
    stewardship.set_owner(account_id=account.pk, owner=owner, by=admin, now=NOW)
    assert sweep(NOW).failed == 0
    assert (Handoff.objects.get().status, Handoff.objects.get().owner) == ("new", None)
    assert not AccountDue.objects.filter(consumer="evaluation", is_behind=True).exists()


def test_handoff_that_somebody_has_stays_theirs_when_the_account_gets_another_owner(rep, other_rep, admin):
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    handoffs.claim(handoff_id=Handoff.objects.get().pk, by=rep, now=NOW)
    stewardship.set_owner(account_id=account.pk, owner=other_rep, by=admin, now=NOW)
    sweep(NOW)
    assert Handoff.objects.get().owner == rep


def test_owner_receives_nothing_for_which_there_is_no_reason_any_more(rep, admin):
    _, account = live_world(grace_days=0)
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    stewardship.set_owner(account_id=account.pk, owner=rep, by=admin, now=NOW + 7 * DAY)
    sweep(NOW + 7 * DAY)
    assert (Handoff.objects.get().status, Handoff.objects.get().owner) == ("withdrawn", None)


def test_handoff_that_waits_goes_to_the_owner_of_the_account_that_it_is_merged_into(rep):
    _, loser = live_world()
    winner = make_account("Winner", owner=rep)
    sweep(NOW - DAY)
    use(loser, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    merge(loser, winner, now=NOW)
    sweep(NOW)
    handoff = Handoff.objects.get()
    assert (handoff.company, handoff.status, handoff.owner) == (winner, "claimed", rep)


def test_owner_who_receives_what_has_been_paid_for_is_asked_for_the_outcome(rep, admin):
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    later = NOW + dt.timedelta(hours=1)
    child = make_account("Child", parent=account)
    lifecycle.reach(account_id=child.pk, stage="paid", at=later, now=later, cause="test")
    stewardship.set_owner(account_id=account.pk, owner=rep, by=admin, now=later)
    sweep(later)
    handoff = Handoff.objects.get()
    assert (handoff.status, handoff.owner, handoff.paid_at) == ("claimed", rep, later)


def test_owner_who_left_does_not_receive_handoffs(rep):
    _, account = live_world()
    rep.is_active = False
    rep.save()
    account.owner = rep
    account.save()
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    assert Handoff.objects.get().status == "new"


def test_unclaimed_handoff_without_a_reason_is_withdrawn_and_may_come_back():
    _, account = live_world(grace_days=0)
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    sweep(NOW + 7 * DAY)
    first = Handoff.objects.get()
    assert (first.status, first.outcome_reason, first.cooldown_until) == ("withdrawn", "lapsed", None)
    use(account, "Invite Sent", at=NOW + 8 * DAY, count=3)
    sweep(NOW + 8 * DAY)
    assert Handoff.objects.exclude(pk=first.pk).get().status == "new"


def test_claimed_handoff_is_marked_and_never_taken_away(rep):
    _, account = live_world(grace_days=0)
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    handoff = handoffs.claim(handoff_id=Handoff.objects.get().pk, by=rep, now=NOW)
    sweep(NOW + 7 * DAY)
    handoff.refresh_from_db()
    assert (handoff.status, handoff.rule_lapsed_at) == ("claimed", NOW + 7 * DAY)
    use(account, "Invite Sent", at=NOW + 8 * DAY, count=3)
    sweep(NOW + 8 * DAY)
    handoff.refresh_from_db()
    assert (handoff.status, handoff.rule_lapsed_at, handoff.reasons.count()) == ("claimed", None, 2)


def test_payment_asks_the_owner_for_the_outcome(rep):
    _, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    handoff = handoffs.claim(handoff_id=Handoff.objects.get().pk, by=rep, now=NOW)
    at = NOW + DAY
    lifecycle.reach(account_id=account.pk, stage="paid", at=at, now=at, cause="billing", reference="1")
    sweep(at)
    handoff.refresh_from_db()
    assert (handoff.status, handoff.paid_at) == ("claimed", at)


def test_closed_handoff_comes_back_after_its_cooldown_and_only_for_newer_evidence(rep):
    _, account = live_world(rule={"count": {"event": "Invite Sent", "at_least": 3, "window": "ever"}})
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    first = handoffs.close(
        handoff_id=Handoff.objects.get().pk, outcome="disqualified", reason="student", by=rep, now=NOW + DAY
    )
    late = first.cooldown_until + DAY
    sweep(late)
    assert Handoff.objects.count() == 1  # quiet is over, but nothing new has happened
    use(account, "Invite Sent", at=late)
    sweep(late)
    assert Handoff.objects.filter(closed_at=None).get().newest_evidence_at == late
    renewed = only(account, closed_at=None)
    assert (renewed.since_at, renewed.handoff.status) == (late, "new")
    assert (first.reasons.get().close_cause, first.reasons.get().since_at) == ("renewed", NOW)


def test_evidence_during_the_cooldown_opens_the_handoff_when_it_is_over(rep):
    _, account = live_world(rule={"count": {"event": "Invite Sent", "at_least": 3, "window": "ever"}})
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    first = handoffs.close(
        handoff_id=Handoff.objects.get().pk, outcome="disqualified", reason="student", by=rep, now=NOW
    )
    use(account, "Invite Sent", at=NOW + 2 * DAY)
    sweep(NOW + 2 * DAY)
    assert Handoff.objects.count() == 1
    sweep(first.cooldown_until + DAY)
    assert Handoff.objects.filter(closed_at=None).get().newest_evidence_at == NOW + 2 * DAY


def test_merge_closes_the_losers_episodes_and_moves_its_handoff(rep):
    _, loser = live_world()
    winner = make_account("Winner")
    sweep(NOW - DAY)
    use(loser, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    handoff = handoffs.claim(handoff_id=Handoff.objects.get().pk, by=rep, now=NOW)
    merge(loser, winner, now=NOW)
    sweep(NOW)
    handoff.refresh_from_db()
    winner.refresh_from_db()
    assert (only(loser).close_cause, handoff.company, handoff.status) == ("merged", winner, "claimed")
    assert (only(winner).handoff, winner.owner) == (handoff, rep)
    assert handoff.rule_lapsed_at is None


def test_merge_of_two_companies_with_handoffs_leaves_one_with_all_reasons(rep):
    _, loser = live_world()
    winner = make_account("Winner")
    sweep(NOW - DAY)
    for account in (loser, winner):
        use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    lost, kept = Handoff.objects.get(company=loser), Handoff.objects.get(company=winner)
    handoffs.claim(handoff_id=lost.pk, by=rep, now=NOW)
    merge(loser, winner, now=NOW)
    sweep(NOW)
    lost.refresh_from_db()
    kept.refresh_from_db()
    assert (lost.status, lost.outcome_reason) == ("withdrawn", "merged")
    assert (kept.status, kept.owner, kept.reasons.count()) == ("claimed", rep, 2)


def test_unclaimed_handoff_that_moved_to_a_winner_who_does_not_qualify_is_withdrawn():
    _, loser = live_world()
    winner = make_account("Winner")
    sweep(NOW - DAY)
    use(loser, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    merge(loser, winner, now=NOW, with_usage=False)
    sweep(NOW)
    handoff = Handoff.objects.get()
    assert (handoff.company, handoff.status) == (winner, "withdrawn")


def test_archived_definition_ends_its_episodes_as_redefined(admin):
    version, account = live_world()
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    definitions.archive(definition_id=version.definition_id, by=admin, now=NOW)
    sweep(NOW)
    assert only(account).close_cause == "redefined"
    assert Handoff.objects.get().status == "withdrawn"


def test_account_that_joins_a_company_takes_its_handoff_there(rep):
    _, account = live_world()
    root = make_account("Root")
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    handoff = handoffs.claim(handoff_id=Handoff.objects.get().pk, by=rep, now=NOW)
    account.parent = root
    account.save()
    due.mark_changed([account.pk], now=NOW)
    sweep(NOW)
    handoff.refresh_from_db()
    root.refresh_from_db()
    assert (handoff.company, handoff.status, root.owner) == (root, "claimed", rep)
    assert AuditEntry.objects.filter(action="handoff.moved", object_id=handoff.pk).count() == 1


def test_payment_of_a_child_account_asks_the_owner_too(rep):
    live_world()
    root = make_account("Root")
    child = make_account("Child", parent=root)
    sweep(NOW - DAY)
    use(root, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    handoff = handoffs.claim(handoff_id=Handoff.objects.get().pk, by=rep, now=NOW)
    at = NOW + DAY
    lifecycle.reach(account_id=child.pk, stage="paid", at=at, now=at, cause="billing", reference="1")
    sweep(at)
    handoff.refresh_from_db()
    assert handoff.paid_at == at


@pytest.mark.parametrize("number", [1, 3])
def test_accounts_that_only_time_touches_cost_the_same_together(number, django_assert_num_queries):
    publish(NOW - 10 * DAY)
    for n in range(number):
        use(make_account(f"Acme {n}", recorded_at=NOW - 5 * DAY), "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    with django_assert_num_queries(TIME_DUE_QUERIES):
        assert evaluate.evaluate_due(now=NOW + 7 * DAY).claimed == number
    assert set(Qualification.objects.values_list("lapsing_since_day", flat=True)) == {day_of(NOW) + 7}


def test_task_sweeps_until_nothing_is_due():
    accounts = [make_account(f"Acme {n}") for n in range(3)]
    tasks.evaluate_due(sent_by="an older version")
    rows = AccountDue.objects.filter(consumer="evaluation")
    assert [row.done_seq for row in rows] == [1] * len(accounts)
    assert tasks.evaluate_due.name == settings.DUE_CONSUMERS["evaluation"]


def test_laxer_motion_rule_waits_for_a_release_like_any_publication(admin):
    large = {"rule": {"trait": {"name": "employees", "at_least": 50}}}
    live_world(motion=large)
    accounts = [make_account(f"Acme {n}", recorded_at=NOW - 5 * DAY) for n in range(3)]
    sweep(NOW - DAY)
    for account in accounts:
        make_trait(account, "employees", 5, at=NOW)
        use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    version = publish(NOW, motion={"rule": {"trait": {"name": "employees", "at_least": 1}}})
    sweep(NOW)
    assert set(Qualification.objects.values_list("release", flat=True)) == {"waiting"}
    assert Handoff.objects.count() == 0
    assert openings.release(definition_id=version.definition_id, largest=2, by=admin, now=NOW) == 2
    sweep(NOW)
    assert Handoff.objects.count() == 2


@pytest.mark.parametrize("of_company", [False, True])
def test_import_of_sizes_opens_no_handoffs(of_company):
    live_world(motion={"rule": {"trait": {"name": "employees", "at_least": 50}}})
    root = make_account("Root")
    child = make_account("Child", parent=root)
    sweep(NOW - DAY)
    use(child, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    sized = root if of_company else child
    make_trait(sized, "employees", 80, at=NOW, importing=True)
    sweep(NOW)
    assert only(child).release == "waiting"
    assert Handoff.objects.count() == 0


def test_owner_who_works_no_handoffs_does_not_receive_them(agent):
    _, account = live_world()
    account.owner = agent
    account.save()
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    assert (Handoff.objects.get().status, Handoff.objects.get().owner) == ("new", None)


def test_account_that_breaks_what_is_settled_together_is_pushed_back_alone(monkeypatch):
    live_world()
    poison, sound = make_account("Poison"), make_account("Sound")
    ask = appdb.verdicts

    def breaks(docs, *, account_ids, as_of_day):
        found = ask(docs, account_ids=account_ids, as_of_day=as_of_day)
        return {
            version_id: [v for v in verdicts if v.account_id != poison.pk]
            + [appdb.Verdict(poison.pk, False, 2**70, ())]
            for version_id, verdicts in found.items()
        }

    monkeypatch.setattr(appdb, "verdicts", breaks)
    assert evaluate.evaluate_due(now=NOW).failed == 1
    rows = dict(AccountDue.objects.filter(consumer="evaluation").values_list("account", "attempts"))
    assert (rows[poison.pk], rows[sound.pk]) == (1, 0)


def test_event_that_is_described_anew_opens_no_handoffs(admin):
    live_world(rule={"users": {"event": "*", "at_least": 1, "window": "ever"}})
    account = make_account("Acme 2")
    use(account, "Page Seen", at=NOW, user=make_user(account, "kim"))
    kind = EventType.objects.get(name="Page Seen")
    EventType.objects.update(is_activity=False)
    sweep(NOW)
    assert Qualification.objects.count() == 0
    event_types.describe(
        event_type_id=kind.pk,
        meaning="",
        description="",
        is_activity=True,
        metered_property="",
        distinct_property="",
        by=admin,
        now=NOW,
    )
    sweep(NOW)
    assert (only(account).release, Handoff.objects.count()) == ("waiting", 0)


def test_account_that_leaves_its_company_takes_its_reason_along(admin, rep):
    live_world()
    root = make_account("Root")
    child = make_account("Child", parent=root)
    sweep(NOW - DAY)
    use(child, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    handoff = handoffs.claim(handoff_id=Handoff.objects.get().pk, by=rep, now=NOW)
    stewardship.set_owner(account_id=child.pk, owner=None, by=admin, now=NOW)
    stewardship.set_parent(account_id=child.pk, parent_id=None, by=admin, now=NOW)
    sweep(NOW)
    handoff.refresh_from_db()
    assert (handoff.company, handoff.status, handoff.rule_lapsed_at) == (root, "claimed", NOW)
    own = Handoff.objects.get(company=child)
    assert (own.status, only(child, closed_at=None).handoff) == ("new", own)
    assert only(child, close_cause="renewed").handoff == handoff
