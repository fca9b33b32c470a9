"""From raw messages, merges and passing days to episodes: whatever the order, they say what a full evaluation says."""

import datetime as dt
import random

import pytest

from accounts import identity
from accounts.ingest import accept_batch
from accounts.models import Account, AccountDue, AccountMerge, Source
from accounts.workspace import day_of
from scoring import definitions, recompute
from scoring.engines import appdb
from scoring.models import Handoff, Qualification
from tests.conftest import NOW
from tests.factories.scoring import publish, sweep

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
ACTIVE = {"users": {"event": "*", "at_least": 2, "window": {"first_days": 10, "of": "account"}}}
RULES = [
    {"slug": "invites", "grace_days": 2},
    {"slug": "active", "name": "Active", "purpose": "activation", "rule": ACTIVE},
    {
        "slug": "ready",
        "name": "Ready",
        "grace_days": 0,
        "rule": {"all": [{"stage": {"reached": "activated"}}, {"trait": {"name": "size", "in": ["large"]}}]},
    },
    {
        "slug": "silent",
        "name": "Silent",
        "purpose": "risk",
        "grace_days": 0,
        "rule": {"recency": {"event": "*", "not_for_days": 3}},
    },
]


def message(chance: random.Random, now: dt.datetime) -> dict:
    group, user = f"g{chance.randrange(5)}", f"u{chance.randrange(8)}"
    at = (now - dt.timedelta(minutes=chance.choice([0, 0, 5, 600, 5000]))).isoformat()
    base = {"messageId": f"{chance.getrandbits(64):x}", "timestamp": at, "userId": user}
    kind = chance.random()
    if kind < 0.15:
        return {**base, "type": "group", "groupId": group, "traits": {"size": chance.choice(["large", "small"])}}
    if kind < 0.25:
        return {**base, "type": "identify", "traits": {"email": f"{user}@acme{chance.randrange(3)}.example"}}
    event = chance.choice(["Invite Sent", "Built"])
    context = {"groupId": group} if chance.random() < 0.7 else {}
    return {**base, "type": "track", "event": event, "context": context}


def merge_or_undo(chance: random.Random, now: dt.datetime) -> None:
    merges = list(AccountMerge.objects.filter(undone_at=None).order_by("pk"))
    if merges and chance.random() < 0.4:
        identity.unmerge_accounts(merge=merges[-1], by=None, now=now)
        return
    accounts = list(Account.objects.filter(merged_into=None).order_by("pk"))
    if len(accounts) > 1:
        winner, loser = chance.sample(accounts, k=2)
        identity.merge_accounts(winner=winner, loser=loser, by=None, now=now)


def open_episodes() -> set[tuple[str, int]]:
    rows = Qualification.objects.filter(closed_at=None, lapsing_since_day=None)
    return set(rows.values_list("definition__slug", "account_id"))


def verdicts(today: int) -> set[tuple[str, int]]:
    rules = {rule.version_id: rule for rule in definitions.live_rules()}
    found = appdb.verdicts({key: rule.doc for key, rule in rules.items()}, account_ids=None, as_of_day=today)
    return {(rules[key].slug, v.account_id) for key, listed in found.items() for v in listed if v.holds}


@pytest.mark.parametrize("seed", range(6))
def test_messages_merges_and_days_end_where_a_full_evaluation_would(seed):
    chance, now = random.Random(seed), NOW
    source = Source.objects.create(name="app", kind="internal", created_at=NOW)
    for changes in RULES:
        publish(NOW - DAY, **changes)
    for _ in range(25):
        now += dt.timedelta(minutes=1)
        step = chance.random()
        if step < 0.65:
            batch = [message(chance, now) for _ in range(chance.randint(1, 5))]
            accept_batch(source=source, messages=batch, received_at=now, importing=chance.random() < 0.15)
        elif step < 0.8:
            merge_or_undo(chance, now)
        else:
            now += chance.choice([1, 1, 2, 4]) * DAY
        if chance.random() < 0.6:
            assert sweep(now).failed == 0
            assert open_episodes() == verdicts(day_of(now))
    sweep(now)
    assert open_episodes() == verdicts(day_of(now))
    assert {(p.entered, p.left) for p in recompute.recompute(now=now)} == {(0, 0)}
    assert AccountDue.objects.filter(attempts__gt=0).count() == 0
    companies = Account.objects.filter(handoffs__closed_at=None, handoffs__isnull=False)
    assert companies.exclude(merged_into=None).count() == companies.exclude(parent=None).count() == 0
    assert Handoff.objects.filter(status="new").exclude(reasons__closed_at=None).count() == 0
