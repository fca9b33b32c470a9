"""States in, movements, stages and present values out, in whichever order they arrive."""

import datetime as dt
import random
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from accounts import billing, lifecycle
from accounts.billing import record_state
from accounts.ingest import accept_batch
from accounts.models import (
    Account,
    AccountDue,
    AccountKey,
    Plan,
    PlanLimit,
    RevenueMovement,
    Source,
    StageEntry,
    Subscription,
    SubscriptionState,
    TraitValue,
)
from accounts.movements import Point, motion_from, movements
from accounts.workspace import day_of

UTC = dt.UTC
NOW = dt.datetime(2026, 6, 15, 9, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def day(n: int) -> dt.datetime:
    return dt.datetime(2026, 1, 1, tzinfo=UTC) + dt.timedelta(days=n)


def make_account(external_id="acme", **extra) -> Account:
    account = Account.objects.create(
        external_id=external_id,
        name=external_id.title(),
        signed_up_at=day(0),
        signup_day=day_of(day(0)),
        recorded_at=NOW,
        **extra,
    )
    AccountKey.objects.create(key=f"g:{external_id}", account=account, home=account)
    return account


def pay(account, n, mrr, plan="team", **extra) -> bool:
    return billing.record_state(
        account_id=account.pk,
        account_key=f"g:{account.external_id}",
        at=day(n),
        plan=plan,
        mrr=Decimal(mrr),
        now=NOW,
        **extra,
    )


def history(account):
    rows = RevenueMovement.objects.filter(account=account).order_by("at")
    return [(m.at, m.kind, m.amount, m.mrr_after, m.plan, m.motion) for m in rows]


def ledger(account):
    return list(StageEntry.objects.filter(account=account).order_by("at", "stage").values_list("stage", "at"))


def test_a_subscription_makes_every_kind_of_movement_once():
    acme = make_account()
    for n, mrr, plan in [(1, 50, "team"), (5, 80, "team"), (9, 60, "team"), (20, 0, "free"), (40, 200, "business")]:
        pay(acme, n, mrr, plan)

    assert history(acme) == [
        (day(1), "new", 50, 50, "team", "self_serve"),
        (day(5), "expansion", 30, 80, "team", "self_serve"),
        (day(9), "contraction", -20, 60, "team", "self_serve"),
        (day(20), "churn", -60, 0, "free", "self_serve"),
        (day(40), "reactivation", 200, 200, "business", "self_serve"),
    ]
    assert ledger(acme) == [("paid", day(1)), ("expanded", day(5)), ("churned", day(20)), ("paid", day(40))]
    acme.refresh_from_db()
    assert (acme.plan, acme.mrr) == ("business", 200)


def test_the_order_of_arrival_never_matters():
    rng = random.Random(7)
    facts = [
        (rng.randrange(0, 60), rng.choice([0, 0, 20, 50, 90]), rng.choice(["team", "business"]), rng.choice(["", "x"]))
        for _ in range(25)
    ]
    seen = set()
    for turn in range(6):
        account = make_account(f"acme-{turn}")
        shuffled = facts + facts[:5]
        rng.shuffle(shuffled)
        for n, mrr, plan, subscription in shuffled:
            pay(account, n, mrr, plan, external_id=subscription)
        account.refresh_from_db()
        subscriptions = Subscription.objects.filter(account=account).order_by("external_id")
        seen.add(
            (
                tuple(history(account)),
                tuple(ledger(account)),
                account.plan,
                account.mrr,
                tuple(subscriptions.values_list("external_id", "plan", "mrr", "started_at", "ended_at")),
            )
        )
    assert len(seen) == 1
    assert len(next(iter(seen))[0]) > 5


def test_the_same_fact_again_changes_nothing():
    acme = make_account()
    assert pay(acme, 1, 50) is True
    before = AccountDue.objects.get(account=acme, consumer="evaluation").changed_seq
    assert pay(acme, 1, 50) is False
    assert AccountDue.objects.get(account=acme, consumer="evaluation").changed_seq == before
    assert SubscriptionState.objects.count() == 1


def test_a_late_fact_takes_back_the_stage_that_it_makes_untrue():
    acme = make_account()
    pay(acme, 10, 80)
    pay(acme, 20, 100)
    assert ledger(acme) == [("paid", day(10)), ("expanded", day(20))]
    kept = StageEntry.objects.get(stage="expanded").pk

    pay(acme, 5, 80)  # it had begun earlier: nothing happened on day 10

    assert ledger(acme) == [("paid", day(5)), ("expanded", day(20))]
    assert StageEntry.objects.get(stage="expanded").pk == kept


def test_two_states_at_one_instant_the_greater_stands():
    acme = make_account()
    pay(acme, 1, 80, "team")
    pay(acme, 1, 30, "business")
    assert history(acme) == [(day(1), "new", 80, 80, "team", "self_serve")]


def test_movements_are_of_the_sum_of_the_subscriptions():
    acme = make_account()
    pay(acme, 1, 50, "team", external_id="seats")
    pay(acme, 3, 20, "storage", external_id="storage")
    pay(acme, 7, 0, "", external_id="seats")
    pay(acme, 7, 70, "storage", external_id="storage")  # the sum stays: no movement

    assert history(acme) == [
        (day(1), "new", 50, 50, "team", "self_serve"),
        (day(3), "expansion", 20, 70, "team", "self_serve"),
    ]
    acme.refresh_from_db()
    assert (acme.plan, acme.mrr) == ("storage", 70)
    seats = Subscription.objects.get(external_id="seats")
    assert (seats.mrr, seats.started_at, seats.ended_at) == (0, day(1), day(7))


def test_an_account_that_never_paid_keeps_its_plan_trait():
    source = Source.objects.create(name="test", kind="file", created_at=NOW)
    told = {"type": "group", "groupId": "acme", "traits": {"plan": "trial"}, "timestamp": day(0).isoformat()}
    accept_batch(source=source, messages=[told], received_at=NOW)
    acme = Account.objects.get()
    pay(acme, 1, 0, "")
    acme.refresh_from_db()
    assert (acme.plan, acme.mrr, history(acme)) == ("trial", 0, [])


@pytest.mark.parametrize("mrr", ["-1", "NaN", "Infinity", "1000000000000"])
def test_an_mrr_that_cannot_be_is_refused(mrr):
    acme = make_account()
    with pytest.raises(billing.BadState):
        pay(acme, 1, mrr)
    assert Subscription.objects.count() == 0


def test_a_state_in_the_future_and_an_unknown_motion_are_refused():
    acme = make_account()
    with pytest.raises(billing.BadState, match="future"):
        pay(acme, 400, 10)
    with pytest.raises(billing.BadState, match="Motion"):
        pay(acme, 1, 10, motion="partner")


def test_the_facts_own_motion_wins_over_the_ledger():
    acme = make_account()
    touch(acme, "contacted", 1)
    pay(acme, 3, 50, motion="self_serve")
    assert [row[-1] for row in history(acme)] == ["self_serve"]


def touch(account, stage, n):
    lifecycle.reach(account_id=account.pk, stage=stage, at=day(n), now=NOW, cause="test", reference=f"{stage}:{n}")


def test_the_motion_is_the_same_whichever_of_payment_and_contact_is_told_first():
    acme, late = make_account(), make_account("late")
    touch(acme, "contacted", 1)
    pay(acme, 3, 50)
    pay(late, 3, 50)
    assert [row[-1] for row in history(late)] == ["self_serve"]
    touch(late, "contacted", 1)
    billing.set_motion(company_id=late.pk, now=NOW)

    assert [row[-1] for row in history(acme)] == ["sales_touched"]
    assert history(late) == history(acme)


def test_sales_touching_one_account_of_a_company_counts_for_the_others():
    root = make_account("root")
    child = make_account("child", parent=root)
    touch(root, "contacted", 1)
    pay(child, 3, 50)
    assert [row[-1] for row in history(child)] == ["sales_touched"]


def test_a_touch_has_its_part_for_thirty_days_and_is_never_a_sale():
    assert motion_from([], day(5)) == "self_serve"
    assert motion_from([day(5)], day(5)) == "sales_touched"
    assert motion_from([day(5)], day(4)) == "self_serve"
    assert motion_from([day(0)], day(30)) == "sales_touched"
    assert motion_from([day(0)], day(31)) == "self_serve"
    assert motion_from([day(0), day(20)], day(31)) == "sales_touched"
    assert motion_from([day(0), day(40)], day(31)) == "self_serve"


@pytest.mark.parametrize("stage", ["claimed", "returned", "pql"])
def test_what_is_no_touch_moves_no_credit(stage):
    acme = make_account()
    touch(acme, stage, 1)
    pay(acme, 3, 50)
    assert [row[-1] for row in history(acme)] == ["self_serve"]


def test_a_deal_is_a_sale_whoever_was_in_touch():
    acme = make_account()
    pay(acme, 3, 50, motion="sales")
    assert [row[-1] for row in history(acme)] == ["sales"]


def test_what_sales_touched_does_not_colour_a_churn():
    acme = make_account()
    pay(acme, 1, 50)
    touch(acme, "contacted", 2)
    pay(acme, 3, 0, "free")
    assert [(row[1], row[-1]) for row in history(acme)] == [("new", "self_serve"), ("churn", "self_serve")]


def test_the_movement_takes_the_word_of_the_subscription_that_moved_most():
    a, b = ("g:x", "a"), ("g:x", "b")
    points = [Point(a, day(1), "team", Decimal(10), "self_serve"), Point(b, day(1), "team", Decimal(90), "sales")]
    assert [m.motion for m in movements(points)] == ["sales"]


def test_rederive_follows_subscriptions_that_were_repointed():
    winner, loser = make_account("winner"), make_account("loser")
    pay(winner, 1, 50)
    pay(loser, 4, 30)
    Subscription.objects.filter(account=loser).update(account=winner)
    AccountKey.objects.filter(account=loser).update(account=winner)
    StageEntry.objects.filter(account=loser).update(account=winner)
    billing.rederive({winner.pk, loser.pk}, now=NOW)

    assert history(loser) == []
    assert [row[1:4] for row in history(winner)] == [("new", 50, 50), ("expansion", 30, 80)]
    assert ledger(winner) == [("paid", day(1)), ("expanded", day(4))]
    loser.refresh_from_db()
    assert loser.mrr == 0

    pay(loser, 6, 40)  # told with the loser's key: it is the winner's now
    assert [row[1:4] for row in history(winner)][-1] == ("expansion", 10, 90)
    assert history(loser) == []

    Subscription.objects.filter(account_key="g:loser").update(account=loser)
    AccountKey.objects.filter(key="g:loser").update(account=loser)
    billing.rederive({winner.pk, loser.pk}, now=NOW)
    assert [row[1:4] for row in history(winner)] == [("new", 50, 50)]
    assert [row[1:4] for row in history(loser)] == [("new", 30, 30), ("expansion", 10, 40)]
    assert ledger(loser) == [("paid", day(4)), ("expanded", day(6))]


def test_an_import_is_told_to_the_consumers():
    acme = make_account()
    pay(acme, 1, 50, importing=True)
    row = AccountDue.objects.get(account=acme, consumer="evaluation")
    assert row.import_seq == row.changed_seq


def fails(**row):
    with pytest.raises(IntegrityError), transaction.atomic():
        row.pop("model").objects.create(**row)


def test_the_database_refuses_what_cannot_be():
    acme = make_account()
    pay(acme, 1, 50)
    subscription = Subscription.objects.get()
    state = {"model": SubscriptionState, "subscription": subscription, "recorded_at": NOW}
    movement = {"model": RevenueMovement, "account": acme, "day": 0, "mrr_after": 0}
    plan = Plan.objects.create(code="team", name="Team")
    PlanLimit.objects.create(plan=plan, metric="rows", limit=1)

    fails(model=Subscription, account=acme, account_key="g:acme")
    fails(model=Subscription, account=acme, account_key="g:other", mrr=-1)
    fails(**state, at=day(1), mrr=1)
    fails(**state, at=day(2), mrr=-1)
    fails(**movement, at=day(1), kind="new", amount=1)
    fails(**movement, at=day(2), kind="churn", amount=1)
    fails(**movement, at=day(2), kind="new", amount=-1)
    fails(model=Plan, code="team", name="Again")
    fails(model=PlanLimit, plan=plan, metric="rows", limit=2)
    fails(model=PlanLimit, plan=plan, metric="seats", limit=0)


def standing_traits(account, day):
    return {
        row.name: row.value
        for row in TraitValue.objects.filter(account_id=account.pk, from_day__lte=day, to_day__gt=day)
        if row.name in ("plan", "mrr")
    }


@pytest.mark.parametrize("paid_first", [False, True])
def test_plan_and_mrr_are_dated_traits_that_a_group_call_does_not_overrule(paid_first):
    source = Source.objects.create(name="test", kind="file", created_at=NOW)
    start = NOW - dt.timedelta(days=30)

    def say(plan, at):
        message = {"type": "group", "groupId": "acme", "traits": {"plan": plan}, "timestamp": at.isoformat()}
        accept_batch(source=source, messages=[message], received_at=NOW)

    def pay(plan, mrr, at):
        account = Account.objects.get(external_id="acme")
        record_state(account_id=account.pk, account_key="g:acme", at=at, plan=plan, mrr=Decimal(mrr), now=NOW)

    say("free", start)
    steps = [
        lambda: say("stale", start + dt.timedelta(days=12)),
        lambda: pay("team", "49.50", start + dt.timedelta(days=10)),
    ]
    for step in reversed(steps) if paid_first else steps:
        step()
    pay("", "0", start + dt.timedelta(days=20))
    account = Account.objects.get(external_id="acme")
    first = day_of(start)
    assert standing_traits(account, first) == {"plan": "free"}
    assert standing_traits(account, first + 9) == {"plan": "free"}
    assert standing_traits(account, first + 12) == {"plan": "team", "mrr": 49.5}
    assert standing_traits(account, first + 20) == {"plan": "stale", "mrr": 0}  # nobody names a plan: what was said
    assert (account.plan, account.mrr, account.traits["plan"]) == ("stale", 0, "stale")
