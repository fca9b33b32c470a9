"""Two people, or a person and the machine, at one handoff in the same moment."""

import datetime as dt

import pytest

from accounts.models import Account, AuditEntry, StageEntry
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
