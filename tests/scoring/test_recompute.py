"""Whole populations: incremental evaluation leaves nothing to find, and a past day is only read."""

import datetime as dt
import json
import random

import pytest
from django.core.management import CommandError, call_command

from accounts import lake, lifecycle
from accounts.models import AccountDue, AuditEntry, StageEntry, UsageDay
from accounts.workspace import day_of
from scoring import recompute
from scoring.engines import appdb
from scoring.models import Definition, Handoff, Qualification
from tests.conftest import NOW
from tests.factories.scoring import make_account, make_trait, make_user, publish, sweep, use

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)

RULES = [
    {
        "slug": "invites",
        "rule": {"count": {"event": "Invite Sent", "at_least": 3, "window": {"last_days": 5}}},
        "grace_days": 2,
    },
    {
        "slug": "busy-days",
        "rule": {"days": {"event": "*", "at_least": 3, "window": {"any_days": 7}}},
        "motion": {"rule": {"trait": {"name": "employees", "at_least": 50}}},
    },
    {
        "slug": "quiet-now",
        "purpose": "risk",
        "rule": {"recency": {"event": "*", "not_for_days": 4}},
        "grace_days": 0,
    },
    {
        "slug": "activated",
        "purpose": "activation",
        "rule": {"users": {"event": "*", "at_least": 2, "window": {"first_days": 10, "of": "account"}}},
    },
    {
        "slug": "ready",
        "rule": {"all": [{"stage": {"reached": "activated"}}, {"not": {"stage": {"reached": "paid"}}}]},
    },
    {
        "slug": "champions",
        "purpose": "expansion",
        "level": "user",
        "account_when": {"users_at_least": 2},
        "rule": {"count": {"event": "Built", "at_least": 2, "window": {"last_days": 6}}},
        "grace_days": 0,
    },
]


def open_episodes() -> set[tuple[str, int]]:
    rows = Qualification.objects.filter(closed_at=None, lapsing_since_day=None)
    return set(rows.values_list("definition__slug", "account_id"))


def verdicts(today: int) -> set[tuple[str, int]]:
    versions = {d.live_version_id: d.slug for d in Definition.objects.all()}
    docs = {rule.version_id: rule.doc for rule in recompute._rules(None)}
    found = appdb.verdicts(docs, account_ids=None, as_of_day=today)
    return {(versions[key], v.account_id) for key, vs in found.items() for v in vs if v.holds}


@pytest.mark.parametrize("seed", range(8))
def test_incremental_and_full_agree_over_random_histories(seed):
    chance = random.Random(seed)
    accounts = [make_account(f"Acme {n}", recorded_at=NOW - 30 * DAY, signed_up_at=NOW - 3 * DAY) for n in range(6)]
    users = {account.pk: [make_user(account, name) for name in ("ada", "bo", "cy")] for account in accounts}
    rules = chance.sample(RULES, k=len(RULES))
    for number, changes in enumerate(rules[:3]):
        publish(NOW - 2 * DAY, name=f"Rule {number}", **changes)
    now = NOW
    for _ in range(40):
        step = chance.random()
        account = chance.choice(accounts)
        if step < 0.55:
            at = now - chance.choice([0, 0, 0, 1, 2, 6]) * DAY  # some come late
            event = chance.choice(["Invite Sent", "Built", "Opened"])
            user = chance.choice(users[account.pk])
            use(account, event, at=at, count=chance.randint(1, 3), user=user, now=now, importing=chance.random() < 0.1)
        elif step < 0.62:
            make_trait(account, "employees", chance.choice([10, 60]), at=now + dt.timedelta(seconds=chance.random()))
        elif step < 0.66:
            lifecycle.reach(
                account_id=account.pk, stage="paid", at=now, now=now, cause="billing", reference=f"{now:%F}"
            )
        elif step < 0.72 and len(rules) > 3:
            publish(now, name="Later", **rules.pop())
        else:
            now += chance.choice([1, 1, 1, 2, 5]) * DAY
        if chance.random() < 0.6:
            sweep(now)
            # an episode that converted stays closed although its rule may go on to hold
            converted = set(
                Qualification.objects.filter(close_cause="converted").values_list("definition__slug", "account_id")
            )
            assert open_episodes() - converted == verdicts(day_of(now)) - converted
    sweep(now)
    before = list(Qualification.objects.order_by("pk").values())
    handoffs = list(Handoff.objects.order_by("pk").values())
    assert {(p.entered, p.left) for p in recompute.recompute(now=now)} == {(0, 0)}
    assert list(Qualification.objects.order_by("pk").values()) == before
    assert list(Handoff.objects.order_by("pk").values()) == handoffs


def test_recompute_applies_what_changed_behind_its_back():
    publish(NOW - DAY)
    account = make_account(recorded_at=NOW)
    use(account, "Invite Sent", at=NOW, count=2)
    sweep(NOW)
    UsageDay.objects.update(count=3)
    (population,) = recompute.recompute(now=NOW)
    assert (population.accounts, population.entered, population.left) == (1, 1, 0)
    assert (Qualification.objects.get().release, Handoff.objects.count()) == ("waiting", 0)
    UsageDay.objects.update(count=1)
    recompute.recompute(now=NOW)
    assert Qualification.objects.get().lapsing_since_day == day_of(NOW)


def test_evaluate_of_a_past_day_only_reads(capsys):
    publish(NOW, level="account")
    account = make_account("Acme")
    use(account, "Invite Sent", at=NOW - 30 * DAY, count=3)
    before = (list(AccountDue.objects.values()), AuditEntry.objects.count())
    date = (NOW - 30 * DAY).date().isoformat()
    call_command("evaluate", "--as-of", date, "--json", "--list")
    (row,) = json.loads(capsys.readouterr().out)
    assert row.pop("seconds") >= 0
    assert row == {
        "slug": "team-expansion",
        "version": 1,
        "as_of": date,
        "users": 0,
        "accounts": 1,
        "user_ids": [],
        "account_ids": ["acme"],
    }
    call_command("evaluate", "--as-of", date)
    assert f"as of {date}: 1 accounts; only read, nothing changed (" in capsys.readouterr().out
    assert (list(AccountDue.objects.values()), AuditEntry.objects.count()) == before
    assert (Qualification.objects.count(), StageEntry.objects.count()) == (0, 0)


def test_evaluate_of_today_applies_and_counts_people(capsys):
    publish(
        NOW,
        slug="builders",
        level="user",
        rule={"count": {"event": "Built", "at_least": 1, "window": "ever"}},
        account_when={"users_at_least": 2},
    )
    both, one = make_account("Both"), make_account("One")
    for account, names in ((both, ("ada", "bo")), (one, ("cy",))):
        for name in names:
            use(account, "Built", at=NOW - DAY, user=make_user(account, name))
    call_command("evaluate", "--definition", "builders", "--json", "--list")
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["users"], row["accounts"], row["entered"], row["left"]) == (3, 1, 1, 0)
    assert (row["user_ids"], row["account_ids"]) == (["both-ada", "both-bo", "one-cy"], ["both"])
    assert Qualification.objects.get().cause == "publish"


def test_evaluate_without_list_has_no_ids_and_words_for_people(capsys):
    publish(NOW)
    call_command("evaluate", "--json")
    (row,) = json.loads(capsys.readouterr().out)
    assert set(row) == {"slug", "version", "as_of", "users", "accounts", "entered", "left", "seconds"}
    call_command("evaluate")
    assert "team-expansion v1 as of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("tomorrow", "write the date as YYYY-MM-DD, such as 2026-03-31, not “tomorrow”"),
        ("2026-02-30", "there is no day 2026-02-30 in the calendar"),
        ("2999-01-01", "--as-of 2999-01-01 is in the future: today is "),
    ],
)
def test_evaluate_refuses_a_day_that_has_no_answer(said, answer):
    publish(NOW)
    with pytest.raises(CommandError, match=answer):
        call_command("evaluate", "--as-of", said)


def test_evaluate_of_an_unknown_definition_says_so():
    with pytest.raises(CommandError, match="No live definition is called “nobody”"):
        call_command("evaluate", "--definition", "nobody")


def test_an_old_generation_is_believed_only_about_accounts_that_have_not_changed_since(monkeypatch):
    publish(NOW, slug="invites", rule=RULES[0]["rule"], grace_days=0)
    same, changed = make_account("Same"), make_account("Changed")
    use(same, "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    lake.refresh(now=NOW)
    use(changed, "Invite Sent", at=NOW, count=3)  # the lake does not know of it, the sweep does
    Qualification.objects.filter(account=same).update(closed_at=NOW, close_cause="lapsed")  # damage
    monkeypatch.setattr(lake, "refresh", lambda **given: lake.current())
    (found,) = recompute.recompute(now=NOW)
    assert found.accounts == 1  # as of the generation
    assert open_episodes() == {("invites", same.pk), ("invites", changed.pk)}
    seq = AccountDue.objects.get(account=changed, consumer="evaluation").changed_seq
    recompute.recompute(now=NOW)
    assert AccountDue.objects.get(account=changed, consumer="evaluation").changed_seq == seq  # not marked again
