"""Accounts that qualify without a handoff, settled in one transaction: what stands is written, the rest comes again."""

import datetime as dt

import pytest

from accounts.models import Account, AccountDue, StageEntry
from accounts.workspace import day_of
from scoring import evaluate, together
from scoring.engines import appdb
from scoring.models import Definition, Handoff, Qualification
from tests.conftest import NOW
from tests.factories.scoring import make_account, publish, sweep, use

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
QUERIES = 50  # claim, the plays, judge with the evidence and the beginning under each of two rules, settle, the CRM


def published_over(number: int) -> list[Account]:
    """Accounts that a publication makes qualify: two definitions, of which one writes another's stage."""
    accounts = [make_account(f"Acme {n}", recorded_at=NOW - 5 * DAY) for n in range(number)]
    for account in accounts:
        use(account, "Invite Sent", at=NOW - DAY, count=3)
    sweep(NOW - DAY)
    publish(NOW)
    publish(NOW, slug="active", name="Active", purpose="activation")
    return accounts


def meanwhile(monkeypatch, change) -> None:
    """Something changes between the verdict and its settlement."""
    ask = appdb.evidence_many

    def changes(doc, *, account_ids, as_of_day):
        found = ask(doc, account_ids=account_ids, as_of_day=as_of_day)
        change()
        return found

    monkeypatch.setattr(appdb, "evidence_many", changes)


@pytest.mark.parametrize("number", [1, 3])
def test_accounts_that_a_publication_makes_qualify_cost_the_same_together(number, django_assert_num_queries):
    accounts = published_over(number)
    with django_assert_num_queries(QUERIES):
        assert evaluate.evaluate_due(now=NOW).opened == {"team-expansion": number, "active": number}
    rows = Qualification.objects.values_list("account", "definition__slug", "cause", "release")
    assert set(rows) == {
        row
        for account in accounts
        for row in (
            (account.pk, "team-expansion", "publish", "waiting"),
            (account.pk, "active", "publish", "live"),
        )
    }
    stages = StageEntry.objects.values_list("account", "stage", "at", "cause")
    assert set(stages) == {(a.pk, stage, NOW - DAY, "publish") for a in accounts for stage in ("pql", "activated")}
    rows = AccountDue.objects.filter(consumer="evaluation")
    assert {(row.is_behind, row.import_seq > row.done_seq) for row in rows} == {(True, True)}  # what follows is quiet
    sweep(NOW)
    assert (Qualification.objects.count(), Handoff.objects.count()) == (2 * number, 0)


def test_account_that_moved_meanwhile_comes_again_and_the_others_are_settled(monkeypatch):
    root = make_account("Root", recorded_at=NOW - 5 * DAY)
    moved, still = published_over(2)
    meanwhile(monkeypatch, lambda: Account.objects.filter(pk=moved.pk).update(parent=root))
    swept = evaluate.evaluate_due(now=NOW)
    assert (swept.stale, set(Qualification.objects.values_list("account", flat=True))) == (1, {still.pk})
    monkeypatch.undo()
    sweep(NOW)
    assert set(Qualification.objects.values_list("account", flat=True)) == {moved.pk, still.pk}


def test_lost_lease_of_one_account_leaves_the_others_settled(monkeypatch):
    lost, kept = published_over(2)
    meanwhile(monkeypatch, lambda: AccountDue.objects.filter(account=lost).update(lease_token="another"))
    assert evaluate.evaluate_due(now=NOW).stale == 1
    assert set(Qualification.objects.values_list("account", flat=True)) == {kept.pk}
    assert set(StageEntry.objects.values_list("account", flat=True)) == {kept.pk}


def test_episode_that_somebody_opened_meanwhile_is_not_opened_twice(monkeypatch):
    first, second = published_over(2)
    definition = Definition.objects.get(slug="team-expansion")

    def opens():
        values = {"definition": definition, "version": definition.live_version, "opened_at": NOW, "cause": "event"}
        if not Qualification.objects.exists():
            Qualification.objects.create(account=first, **values)

    meanwhile(monkeypatch, opens)
    assert evaluate.evaluate_due(now=NOW).stale == 1
    monkeypatch.undo()
    sweep(NOW)
    rows = Qualification.objects.order_by("account", "definition__slug")
    assert list(rows.values_list("account", "definition__slug")) == [
        (account.pk, slug) for account in (first, second) for slug in ("active", "team-expansion")
    ]


def test_definition_published_over_meanwhile_gives_all_of_them_back(monkeypatch):
    published_over(2)
    harder = {"count": {"event": "Invite Sent", "at_least": 99, "window": "ever"}}
    meanwhile(monkeypatch, lambda: publish(NOW, rule=harder))
    assert evaluate.evaluate_due(now=NOW).stale == 2
    assert Qualification.objects.count() == 0


def test_account_that_cannot_be_opened_with_the_others_is_pushed_back_alone(monkeypatch):
    poison, sound = published_over(2)
    really = together.open_episodes

    def breaks(opening, *, now):
        if any(one.account.pk == poison.pk for one in opening):
            raise ValueError("a broken row")
        return really(opening, now=now)

    monkeypatch.setattr(together, "open_episodes", breaks)
    monkeypatch.setattr(evaluate, "open_episodes", breaks)
    assert evaluate.evaluate_due(now=NOW).failed == 1
    assert set(Qualification.objects.values_list("account", flat=True)) == {sound.pk}
    rows = dict(AccountDue.objects.filter(consumer="evaluation").values_list("account", "attempts"))
    assert rows == {poison.pk: 1, sound.pk: 0}


def test_lapsing_is_marked_with_what_opens():
    (account,) = published_over(1)
    sweep(NOW)
    later = NOW + 7 * DAY
    use(account, "Built", at=later, importing=True)
    publish(later, slug="builds", name="Builds", rule={"count": {"event": "Built", "at_least": 1, "window": "ever"}})
    assert evaluate.evaluate_due(now=later).opened == {"builds": 1}
    rows = Qualification.objects.values_list("definition__slug", "lapsing_since_day", "release")
    day = day_of(later)
    assert set(rows) == {("active", day, "live"), ("team-expansion", day, "waiting"), ("builds", None, "waiting")}
