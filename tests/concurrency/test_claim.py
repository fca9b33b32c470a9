"""Two people, or a person and the machine, at one handoff in the same moment."""

import datetime as dt
import threading
import time

import pytest
from django.db import OperationalError, transaction

from accounts import due, identity, stewardship
from accounts.models import Account, AccountKey, AuditEntry, StageEntry
from scoring import handoffs, openings
from scoring.models import Handoff, Qualification
from tests.concurrency.races import at_once
from tests.conftest import NOW
from tests.factories.scoring import make_account, publish, sweep, use

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True, serialized_rollback=True)]
DAY = dt.timedelta(days=1)
ROUNDS = 5


def qualified(name: str, **values) -> tuple[Account, Handoff]:
    """An account with an unclaimed handoff; TEAM must be live."""
    account = make_account(name, recorded_at=NOW, **values)
    use(account, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    return account, Handoff.objects.get(company=account)


def test_of_two_claimers_exactly_one_wins_and_the_other_is_told_who(rep, other_rep):
    publish(NOW - DAY)
    for number in range(ROUNDS):
        account, handoff = qualified(f"Acme {number}")
        results = at_once(
            lambda pk=handoff.pk: handoffs.claim(handoff_id=pk, by=rep, now=NOW),
            lambda pk=handoff.pk: handoffs.claim(handoff_id=pk, by=other_rep, now=NOW),
        )
        handoff.refresh_from_db()
        account.refresh_from_db()
        (told,) = [result for result in results if isinstance(result, handoffs.AlreadyClaimed)]
        (won,) = [result for result in results if isinstance(result, Handoff)]
        assert won.owner == told.owner == handoff.owner == account.owner
    assert AuditEntry.objects.filter(action="handoff.claimed").count() == ROUNDS
    assert StageEntry.objects.filter(stage="claimed").count() == ROUNDS


def test_claim_beside_an_owner_who_is_set_leaves_the_handoff_with_one_of_them(rep, other_rep, admin):
    publish(NOW - DAY)
    for number in range(ROUNDS):
        account, handoff = qualified(f"Acme {number}")
        claimed, changed, swept = at_once(
            lambda pk=handoff.pk: handoffs.claim(handoff_id=pk, by=rep, now=NOW),
            lambda pk=account.pk: stewardship.set_owner(account_id=pk, owner=other_rep, by=admin, now=NOW),
            lambda: sweep(NOW),
        )
        assert (changed, swept.failed, sweep(NOW).failed) == (True, 0, 0)
        handoff.refresh_from_db()
        if isinstance(claimed, handoffs.AlreadyClaimed):
            assert (handoff.owner, handoff.assigned) == (other_rep, True)
        else:
            assert (handoff.owner, handoff.assigned) == (rep, False)
        assert StageEntry.objects.filter(account=account, stage="claimed").count() == 1


def test_claim_against_withdrawal_gives_one_of_the_two(rep):
    publish(NOW - DAY, grace_days=0)
    seen, later = set(), NOW + 7 * DAY
    for number in range(ROUNDS):
        account, handoff = qualified(f"Acme {number}")
        claimed, swept = at_once(
            lambda pk=handoff.pk: handoffs.claim(handoff_id=pk, by=rep, now=later), lambda: sweep(later)
        )
        sweep(later)
        handoff.refresh_from_db()
        account.refresh_from_db()
        assert swept.failed == 0
        if isinstance(claimed, handoffs.NotOpen):
            assert (handoff.status, handoff.owner, account.owner) == ("withdrawn", None, None)
        else:
            assert (handoff.status, handoff.owner, handoff.rule_lapsed_at) == ("claimed", rep, later)
        seen.add(handoff.status)
        Qualification.objects.filter(closed_at=None).update(closed_at=later, close_cause="lapsed")
    assert seen <= {"withdrawn", "claimed"}


def test_two_admins_release_each_episode_once(admin, manager):
    for number in range(30):
        use(make_account(f"Acme {number}", seats=number), "Invite Sent", at=NOW - DAY, count=3)
    version = publish(NOW)
    sweep(NOW)
    released = at_once(
        *(
            lambda by=by: openings.release(definition_id=version.definition_id, largest=None, by=by, now=NOW)
            for by in (admin, manager)
        )
    )
    assert sum(released) == 30
    at_once(lambda: sweep(NOW), lambda: sweep(NOW))
    assert Handoff.objects.count() == 30
    assert AuditEntry.objects.filter(action="handoff.opened").count() == 30


def test_the_same_click_on_the_ten_largest_made_twice_releases_ten(admin, manager):
    for number in range(30):
        use(make_account(f"Acme {number}", seats=number), "Invite Sent", at=NOW - DAY, count=3)
    version = publish(NOW)
    sweep(NOW)
    released = at_once(
        *(
            lambda by=by: openings.release(definition_id=version.definition_id, largest=10, by=by, now=NOW)
            for by in (admin, manager)
        )
    )
    seats = list(Qualification.objects.filter(release="released").values_list("account__seats", flat=True))
    # made one after the other, the second click means the next ten
    assert (sum(released), sorted(seats)) in [(10, list(range(20, 30))), (20, list(range(10, 30)))]


def test_children_of_one_company_open_one_handoff_together():
    publish(NOW - DAY)
    for number in range(ROUNDS):
        root = make_account(f"Root {number}", recorded_at=NOW)
        for child in range(4):
            account = make_account(f"Child {number} {child}", parent=root, recorded_at=NOW)
            use(account, "Invite Sent", at=NOW, count=3)
        swept = at_once(*[lambda: sweep(NOW)] * 3)
        assert [s.failed for s in swept] == [0, 0, 0]
        sweep(NOW)
        assert Handoff.objects.get(company=root).reasons.count() == 4


def test_claim_beside_a_new_row_about_the_account_deadlocks_nobody(rep):
    publish(NOW - DAY)
    account, handoff = qualified("Acme")
    written = threading.Event()

    def comes():  # as ingest does: the foreign key of the new row is checked at the commit
        with transaction.atomic():
            AccountKey.objects.create(key="g:also-acme", account=account, home=account)
            due.mark_changed([account.pk], now=NOW)
            written.set()
            time.sleep(0.5)

    def claims():
        written.wait(10)
        return handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)

    began = time.monotonic()
    came, claimed = at_once(comes, claims)
    assert (came, claimed.owner) == (None, rep)
    assert time.monotonic() - began < 1  # PostgreSQL looks for deadlocks after a second


def test_claim_that_meets_a_deadlock_is_done_again(rep):
    publish(NOW - DAY)
    root = make_account("Root", recorded_at=NOW)
    use(root, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    handoff = Handoff.objects.get(company=root)
    marked, waits = threading.Event(), threading.Event()

    def holds():
        with transaction.atomic():
            due.mark_changed([root.pk], now=NOW)
            marked.set()
            waits.wait(0.5)
            list(Account.objects.select_for_update().filter(pk=root.pk))

    def claims():
        marked.wait(10)
        return handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)

    held, claimed = at_once(holds, claims)
    assert [type(held), type(claimed)] in ([type(None), Handoff], [OperationalError, Handoff])
    handoff.refresh_from_db()
    assert handoff.owner == rep
    assert AuditEntry.objects.filter(action="handoff.claimed").count() == 1


def test_account_that_joins_a_company_while_that_is_merged_never_belongs_to_a_tombstone(admin):
    for number in range(ROUNDS):
        winner, loser, child = (make_account(f"{name} {number}") for name in ("Winner", "Loser", "Child"))
        joined, merged = at_once(
            lambda c=child, p=loser: stewardship.set_parent(account_id=c.pk, parent_id=p.pk, by=admin, now=NOW),
            lambda w=winner, p=loser: identity.merge_accounts(winner=w, loser=p, by=admin, now=NOW),
        )
        child.refresh_from_db()
        assert merged.loser == loser
        assert (joined, child.parent) in [(True, winner), (joined, None)]
        assert child.parent is not None or isinstance(joined, stewardship.Merged)
