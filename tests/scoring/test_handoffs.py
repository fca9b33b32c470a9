"""What people may do with a handoff, when, and what it leaves behind."""

import datetime as dt
import inspect
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from accounts import billing
from accounts.models import Account, AccountKey, AuditEntry, RevenueMovement, StageEntry
from scoring import handoffs, openings, snooze, undo
from scoring.models import Handoff, HandoffActivity, Qualification
from tests.conftest import NOW
from tests.factories.scoring import make_account, make_trait, publish, sweep, use

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


def make_handoff(account=None, **values) -> Handoff:
    return Handoff.objects.create(
        company=account or make_account(), opened_at=NOW, newest_evidence_at=NOW - HOUR, **values
    )


def pay(account, *, at: dt.datetime, motion: str = "") -> None:
    """The account's first subscription begins; `motion` is what the fact itself says."""
    key = f"g:{account.external_id}"
    AccountKey.objects.create(key=key, account=account, home=account)
    state = {"plan": "team", "mrr": Decimal(50), "motion": motion, "at": at, "now": at}
    billing.record_state(account_id=account.pk, account_key=key, **state)


def actions(handoff) -> list[str]:
    rows = AuditEntry.objects.filter(object_type="handoff", object_id=handoff.pk)
    return list(rows.order_by("id").values_list("action", flat=True))


def test_transitions_name_every_status_and_only_verbs_that_exist():
    reached = {status for status, _ in handoffs.TRANSITIONS} | set(handoffs.TRANSITIONS.values())
    assert reached == set(Handoff.Status)
    assert {status for status, verb in handoffs.TRANSITIONS if verb != "reopen"} == set(Handoff.OPEN)
    assert {status for status, verb in handoffs.TRANSITIONS if verb == "reopen"} == set(handoffs.OUTCOMES)
    verbs = {verb for _, verb in handoffs.TRANSITIONS}
    people = {"claim", "unclaim", "assign", "touch", "note", "reopen", "snooze", "wake"}
    assert verbs == {*people, "withdraw", *handoffs.OUTCOMES}
    for verb in people:
        assert inspect.isfunction(getattr(snooze if verb in ("snooze", "wake") else handoffs, verb))
    for outcome in handoffs.OUTCOMES:
        assert outcome in Handoff.Status.values


def test_claim_sets_owner_of_the_company_and_its_free_children_and_the_stage(rep, other_rep):
    root = make_account("Root")
    free, taken = make_account("Free", parent=root), make_account("Taken", parent=root, owner=other_rep)
    handoff = make_handoff(root)
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoff.refresh_from_db()
    assert (handoff.status, handoff.owner, handoff.claimed_at, handoff.assigned) == ("claimed", rep, NOW, False)
    assert dict(Account.objects.values_list("pk", "owner")) == {
        root.pk: rep.pk,
        free.pk: rep.pk,
        taken.pk: other_rep.pk,
    }
    assert StageEntry.objects.get().stage == "claimed"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_id, entry.at, entry.account_id) == ("handoff.claimed", rep.pk, NOW, root.pk)


def test_second_claimer_is_told_who_was_first(rep, other_rep):
    handoff = make_handoff()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    with pytest.raises(handoffs.AlreadyClaimed) as caught:
        handoffs.claim(handoff_id=handoff.pk, by=other_rep, now=NOW)
    assert caught.value.owner == rep
    assert caught.value.message == "Dana Whitfield claimed Acme first."


def test_claiming_twice_by_the_same_person_changes_nothing(rep):
    handoff = make_handoff()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW + HOUR)
    handoff.refresh_from_db()
    assert (handoff.claimed_at, actions(handoff)) == (NOW, ["handoff.claimed"])


def test_claim_of_a_closed_handoff_says_so(rep):
    handoff = make_handoff(status="withdrawn", closed_at=NOW)
    with pytest.raises(handoffs.NotOpen):
        handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)


@pytest.mark.parametrize("who", ["viewer", "agent", "stranger"])
def test_claim_needs_the_right(who, request):
    handoff = make_handoff()
    with pytest.raises(handoffs.NotAllowed):
        handoffs.claim(handoff_id=handoff.pk, by=request.getfixturevalue(who), now=NOW)
    handoff.refresh_from_db()
    assert handoff.status == "new"


def test_undone_claim_is_as_if_it_had_not_been_clicked(rep):
    account = make_account()
    handoff = make_handoff(account)
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoffs.unclaim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoff.refresh_from_db()
    account.refresh_from_db()
    assert (handoff.status, handoff.owner, handoff.claimed_at, account.owner) == ("new", None, None, None)
    assert StageEntry.objects.count() == 0
    assert actions(handoff) == ["handoff.claimed", "handoff.unclaimed"]


def test_claim_cannot_be_undone_by_others_or_after_work(rep, other_rep):
    handoff = make_handoff()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    with pytest.raises(handoffs.NotAllowed):
        handoffs.unclaim(handoff_id=handoff.pk, by=other_rep, now=NOW)
    handoffs.note(handoff_id=handoff.pk, text="Called the office.", by=rep, now=NOW)
    with pytest.raises(handoffs.Refused):
        handoffs.unclaim(handoff_id=handoff.pk, by=rep, now=NOW)


def test_manager_gives_back_what_a_rep_claimed(rep, manager, client_of, admin):
    first, second = make_handoff(make_account("One")), make_handoff(make_account("Two"))
    for handoff in (first, second):
        handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoffs.unclaim(handoff_id=first.pk, by=manager, now=NOW)
    picked = {"action": "give_back", "_selected_action": [second.pk]}
    client_of(admin).post("/admin/scoring/handoff/", picked)
    assert list(Handoff.objects.values_list("status", "owner", "company__owner")) == [("new", None, None)] * 2
    rows = AuditEntry.objects.filter(action="handoff.unclaimed").order_by("pk")
    assert list(rows.values_list("actor_id", flat=True)) == [manager.pk, admin.pk]


def test_each_touch_is_in_the_ledger_and_the_first_is_that_of_the_handoff(rep):
    handoff = make_handoff()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoffs.touch(handoff_id=handoff.pk, kind="emailed", by=rep, now=NOW + HOUR)
    handoffs.touch(handoff_id=handoff.pk, kind="called", text="No answer", by=rep, now=NOW + DAY)
    handoff.refresh_from_db()
    assert (handoff.status, handoff.first_touch_at) == ("working", NOW + HOUR)
    contacted = StageEntry.objects.filter(stage="contacted").order_by("at").values_list("at", flat=True)
    assert list(contacted) == [NOW + HOUR, NOW + DAY]
    assert list(HandoffActivity.objects.order_by("at").values_list("kind", "text")) == [
        ("emailed", ""),
        ("called", "No answer"),
    ]


@pytest.mark.parametrize(
    ("touched", "deal", "motion"),
    [
        (False, "", "self_serve"),  # claimed and clicked as won: that alone moves no credit
        (True, "", "sales_touched"),
        (False, "sales", "sales"),
        (True, "sales", "sales"),
    ],
)
def test_credit_follows_touches_and_deals_and_no_click(rep, touched, deal, motion):
    handoff = make_handoff()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    if touched:
        handoffs.touch(handoff_id=handoff.pk, kind="called", by=rep, now=NOW)
    pay(handoff.company, at=NOW + DAY, motion=deal)
    handoffs.close(handoff_id=handoff.pk, outcome="won", by=rep, now=NOW + DAY)
    assert RevenueMovement.objects.get().motion == motion
    handoffs.reopen(handoff_id=handoff.pk, by=rep, now=NOW + DAY)
    handoffs.close(handoff_id=handoff.pk, outcome="returned", by=rep, now=NOW + DAY)
    assert RevenueMovement.objects.get().motion == motion


def test_credit_goes_with_a_touch_that_is_taken_back_and_comes_with_one_told_late(rep):
    handoff = make_handoff()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    pay(handoff.company, at=NOW + DAY)
    handoffs.touch(handoff_id=handoff.pk, kind="called", by=rep, now=NOW)
    assert RevenueMovement.objects.get().motion == "sales_touched"
    entry = AuditEntry.objects.get(action="handoff.touched")
    undo.undo(entry_id=entry.pk, by=rep, now=NOW)
    assert RevenueMovement.objects.get().motion == "self_serve"


def test_work_needs_a_claim_and_its_owner(rep, other_rep, manager):
    handoff = make_handoff()
    with pytest.raises(handoffs.Refused, match="Claim it first"):
        handoffs.touch(handoff_id=handoff.pk, kind="emailed", by=rep, now=NOW)
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    with pytest.raises(handoffs.NotAllowed):
        handoffs.note(handoff_id=handoff.pk, text="Mine now", by=other_rep, now=NOW)
    handoffs.note(handoff_id=handoff.pk, text="Please hurry", by=manager, now=NOW)
    assert HandoffActivity.objects.get().by == manager


@pytest.mark.parametrize(
    ("call", "values"),
    [
        ("touch", {"kind": "note"}),
        ("touch", {"kind": "fax"}),
        ("note", {"text": "  "}),
        ("close", {"outcome": "lost"}),
        ("close", {"outcome": "lost", "reason": "student"}),
        ("close", {"outcome": "lost", "reason": "other"}),
        ("close", {"outcome": "won", "reason": "timing"}),
        ("close", {"outcome": "forgotten"}),
        ("close", {"outcome": "withdrawn"}),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(call, values, rep):
    handoff = make_handoff()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    with pytest.raises(handoffs.Refused):
        getattr(handoffs, call)(handoff_id=handoff.pk, by=rep, now=NOW, **values)
    handoff.refresh_from_db()
    assert (handoff.status, HandoffActivity.objects.count(), actions(handoff)) == ("claimed", 0, ["handoff.claimed"])


@pytest.mark.parametrize(
    ("outcome", "reason", "cooldown", "keeps"),
    [
        ("won", "", 90, True),
        ("lost", "timing", 90, True),
        ("disqualified", "student", 90, False),
        ("returned", "", 30, False),
    ],
)
def test_outcome_closes_with_its_cooldown_and_says_whose_the_account_is(outcome, reason, cooldown, keeps, rep):
    account = make_account()
    handoff = make_handoff(account)
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoffs.close(handoff_id=handoff.pk, outcome=outcome, reason=reason, note=" Well. ", by=rep, now=NOW + DAY)
    handoff.refresh_from_db()
    account.refresh_from_db()
    assert (handoff.status, handoff.closed_at, handoff.closed_by) == (outcome, NOW + DAY, rep)
    assert (handoff.outcome_reason, handoff.outcome_note) == (reason, "Well.")
    assert (handoff.cooldown_until, handoff.evidence_watermark) == (NOW + DAY + cooldown * DAY, NOW + DAY)
    assert account.owner == (rep if keeps else None)
    assert StageEntry.objects.filter(stage="returned").exists() == (outcome == "returned")
    entry = AuditEntry.objects.get(action=f"handoff.{outcome}")
    assert entry.detail == {"reason": reason, "owner": "Dana Whitfield", "owner_id": rep.pk}


def test_unclaimed_handoff_can_only_be_dismissed(rep, viewer):
    handoff = make_handoff()
    for outcome in ("won", "returned"):
        with pytest.raises(handoffs.Refused):
            handoffs.close(handoff_id=handoff.pk, outcome=outcome, by=rep, now=NOW)
    with pytest.raises(handoffs.NotAllowed):
        handoffs.close(handoff_id=handoff.pk, outcome="disqualified", reason="bad_fit", by=viewer, now=NOW)
    handoffs.close(handoff_id=handoff.pk, outcome="disqualified", reason="bad_fit", by=rep, now=NOW)
    assert Handoff.objects.get().status == "disqualified"


def test_closed_handoff_takes_nothing_more(rep):
    handoff = make_handoff()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoffs.close(handoff_id=handoff.pk, outcome="won", by=rep, now=NOW)
    for call, values in (
        (handoffs.touch, {"kind": "met"}),
        (handoffs.note, {"text": "Too late"}),
        (handoffs.close, {"outcome": "won"}),
        (handoffs.unclaim, {}),
    ):
        with pytest.raises(handoffs.NotOpen):
            call(handoff_id=handoff.pk, by=rep, now=NOW, **values)


@pytest.mark.parametrize(
    ("outcome", "reason"), [("won", ""), ("lost", "timing"), ("disqualified", "student"), ("returned", "")]
)
@pytest.mark.parametrize("touched", [False, True])
def test_outcome_taken_back_is_as_if_it_had_not_been_recorded(outcome, reason, touched, rep, other_rep):
    root = make_account("Root")
    free, taken = make_account("Free", parent=root), make_account("Taken", parent=root, owner=other_rep)
    handoff = make_handoff(root)
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    if touched:
        handoffs.touch(handoff_id=handoff.pk, kind="met", by=rep, now=NOW)
    before = Handoff.objects.values().get()
    stages, owners = list(StageEntry.objects.values()), dict(Account.objects.values_list("pk", "owner"))
    handoffs.close(handoff_id=handoff.pk, outcome=outcome, reason=reason, note="Oops", by=rep, now=NOW + HOUR)
    handoffs.reopen(handoff_id=handoff.pk, by=rep, now=NOW + 2 * HOUR)
    assert Handoff.objects.values().get() == before
    assert (list(StageEntry.objects.values()), dict(Account.objects.values_list("pk", "owner"))) == (stages, owners)
    assert owners == {root.pk: rep.pk, free.pk: rep.pk, taken.pk: other_rep.pk}
    assert actions(handoff)[-2:] == [f"handoff.{outcome}", "handoff.reopened"]


def test_dismissal_of_an_unclaimed_handoff_taken_back_leaves_it_unclaimed(rep):
    handoff = make_handoff()
    handoffs.close(handoff_id=handoff.pk, outcome="disqualified", reason="student", by=rep, now=NOW)
    handoffs.reopen(handoff_id=handoff.pk, by=rep, now=NOW)
    handoff.refresh_from_db()
    assert (handoff.status, handoff.owner, handoff.closed_by) == ("new", None, None)


def test_outcome_is_taken_back_by_who_recorded_it_or_a_manager(rep, other_rep, manager, viewer):
    handoff = make_handoff()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    with pytest.raises(handoffs.Refused):
        handoffs.reopen(handoff_id=handoff.pk, by=rep, now=NOW)
    handoff = handoffs.close(handoff_id=handoff.pk, outcome="won", by=rep, now=NOW)
    for nobody in (other_rep, viewer):
        assert handoffs.allowed(handoff, nobody) == frozenset()
        with pytest.raises(handoffs.NotAllowed):
            handoffs.reopen(handoff_id=handoff.pk, by=nobody, now=NOW)
    assert handoffs.allowed(handoff, rep) == handoffs.allowed(handoff, manager) == {"reopen"}
    handoffs.reopen(handoff_id=handoff.pk, by=manager, now=NOW)
    assert Handoff.objects.get().owner == rep


def test_outcome_stays_when_the_company_was_handed_over_again(rep):
    account = make_account()
    handoff = make_handoff(account)
    handoffs.close(handoff_id=handoff.pk, outcome="disqualified", reason="student", by=rep, now=NOW)
    make_handoff(account)
    with pytest.raises(handoffs.Refused, match="handed over again"):
        handoffs.reopen(handoff_id=handoff.pk, by=rep, now=NOW)
    withdrawn = make_handoff(make_account("Other"), status="withdrawn", closed_at=NOW)
    assert handoffs.allowed(withdrawn, rep) == frozenset()
    with pytest.raises(handoffs.NotOpen):
        handoffs.reopen(handoff_id=withdrawn.pk, by=rep, now=NOW)


def test_manager_assigns_and_reassigns(rep, other_rep, manager, viewer):
    account = make_account()
    handoff = make_handoff(account)
    handoffs.assign(handoff_id=handoff.pk, owner=rep, by=manager, now=NOW)
    handoffs.assign(handoff_id=handoff.pk, owner=other_rep, by=manager, now=NOW + HOUR)
    account.refresh_from_db()
    handoff.refresh_from_db()
    assert (handoff.owner, account.owner, handoff.assigned) == (other_rep, other_rep, True)
    with pytest.raises(handoffs.NotAllowed):
        handoffs.assign(handoff_id=handoff.pk, owner=rep, by=rep, now=NOW)
    with pytest.raises(handoffs.Refused):
        handoffs.assign(handoff_id=handoff.pk, owner=viewer, by=manager, now=NOW)


def test_buttons_are_what_the_user_may_do_now(rep, other_rep, manager, viewer):
    handoff = make_handoff()
    assert handoffs.allowed(handoff, rep) == {"claim", "disqualified"}
    assert handoffs.allowed(handoff, manager) == {"claim", "assign", "disqualified"}
    assert handoffs.allowed(handoff, viewer) == frozenset()
    handoff = handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    work = {"touch", "note", "snooze", "won", "lost", "disqualified", "returned"}
    assert handoffs.allowed(handoff, rep) == work | {"unclaim"}
    assert handoffs.allowed(handoff, other_rep) == frozenset()
    assert handoffs.allowed(handoff, manager) == work | {"assign", "unclaim"}


# --- release --------------------------------------------------------------------------------------------


def waiting_world(number: int = 3):
    """`number` accounts that qualified when TEAM was published; account n has n seats."""
    for n in range(number):
        use(make_account(f"Acme {n}", seats=n), "Invite Sent", at=NOW - DAY, count=3)
    version = publish(NOW)
    sweep(NOW)
    return version.definition


def test_release_of_the_largest_opens_their_handoffs_with_the_next_sweep(admin):
    definition = waiting_world()
    assert openings.waiting(definition.pk) == 3
    assert openings.release(definition_id=definition.pk, largest=2, by=admin, now=NOW) == 2
    sweep(NOW)
    names = Handoff.objects.order_by("company__name").values_list("company__name", flat=True)
    assert list(names) == ["Acme 1", "Acme 2"]
    assert openings.waiting(definition.pk) == 1
    entry = AuditEntry.objects.get(action="definition.released")
    assert (entry.actor_id, entry.detail["episodes"]) == (admin.pk, 2)


def test_release_of_all_is_idempotent_and_goes_in_chunks(admin, monkeypatch):
    definition = waiting_world()
    monkeypatch.setattr(openings, "RELEASE_CHUNK", 2)
    assert openings.release(definition_id=definition.pk, largest=None, by=admin, now=NOW) == 3
    assert openings.release(definition_id=definition.pk, largest=None, by=admin, now=NOW) == 0
    sweep(NOW)
    assert Handoff.objects.count() == 3
    assert set(Qualification.objects.values_list("release", flat=True)) == {"released"}


def test_release_leaves_small_accounts_self_serve(admin):
    small, large = make_account("Small"), make_account("Large")
    make_trait(large, "employees", 80, at=NOW - DAY)
    for account in (small, large):
        use(account, "Invite Sent", at=NOW - DAY, count=3)
    version = publish(NOW, motion={"rule": {"trait": {"name": "employees", "at_least": 50}}})
    sweep(NOW)
    openings.release(definition_id=version.definition_id, largest=None, by=admin, now=NOW)
    sweep(NOW)
    assert dict(Qualification.objects.values_list("account__name", "release")) == {
        "Small": "self_serve",
        "Large": "released",
    }
    assert Handoff.objects.get().company == large


def test_release_needs_the_right(rep):
    definition = waiting_world(1)
    with pytest.raises(handoffs.NotAllowed):
        openings.release(definition_id=definition.pk, largest=None, by=rep, now=NOW)
    assert openings.waiting(definition.pk) == 1


# --- constraints ----------------------------------------------------------------------------------------


def refused_by_the_database(name: str, make) -> None:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        make()
    assert name in str(caught.value) or "UNIQUE constraint failed" in str(caught.value)


def test_database_refuses_a_second_open_handoff_of_a_company():
    first = make_handoff()
    refused_by_the_database("handoff_open_once", lambda: make_handoff(first.company))
    Handoff.objects.filter(pk=first.pk).update(status="withdrawn", closed_at=NOW)
    make_handoff(first.company)  # a closed one is no obstacle


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("handoff_closed_fits_status", {"status": "withdrawn"}),
        ("handoff_closed_fits_status", {"closed_at": NOW}),
        ("handoff_closed_fits_status", {"status": "asleep"}),
        ("handoff_owner_and_time", {"claimed_at": NOW}),
        ("handoff_claimed_has_owner", {"status": "working"}),
        ("handoff_claimed_has_owner", {"status": "snoozed", "snoozed_until": NOW}),
        ("handoff_asleep_until", {"snoozed_until": NOW}),
        ("handoff_last_owner_and_time", {"last_owner_until": NOW}),
    ],
)
def test_database_refuses_handoffs_that_cannot_be(name, values):
    account = make_account()
    refused_by_the_database(name, lambda: make_handoff(account, **values))


def test_database_refuses_sleep_without_an_end(rep):
    account = make_account()
    values = {"status": "snoozed", "owner": rep, "claimed_at": NOW}
    refused_by_the_database("handoff_asleep_until", lambda: make_handoff(account, **values))


def test_database_refuses_an_unclaimed_handoff_with_an_owner(rep):
    account = make_account()
    refused_by_the_database("handoff_new_has_none", lambda: make_handoff(account, owner=rep, claimed_at=NOW))


@pytest.mark.parametrize(
    ("name", "kind"), [("handoff_activity_kind_known", "faxed"), ("handoff_note_says_something", "note")]
)
def test_database_refuses_activities_that_cannot_be(name, kind, rep):
    handoff = make_handoff()
    refused_by_the_database(name, lambda: HandoffActivity.objects.create(handoff=handoff, kind=kind, at=NOW, by=rep))
