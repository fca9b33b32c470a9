"""The demo company: seeded, driven by behaviour, loaded once, and finished after an interruption."""

import datetime as dt
import random
from io import StringIO

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command

from accounts.models import (
    Account,
    AccountDue,
    AuditEntry,
    Event,
    Letter,
    OutgoingMessage,
    ProductUser,
    RevenueMovement,
    Source,
    StaffUser,
)
from plgops.demo import earlier, load
from plgops.demo.catalogue import PASSWORD, STAFF, TYPES
from plgops.demo.names import Names
from plgops.demo.world import simulate
from scoring import routing
from scoring.models import (
    AlertRule,
    Definition,
    Handoff,
    Leave,
    Play,
    PlayRun,
    Qualification,
    RoutingPool,
    SpeedPolicy,
)
from support.models import AccountTier, Article, Ticket, Tier

UNTIL = dt.datetime(2026, 6, 15, 16, 0, tzinfo=dt.UTC)


def tell(seed=11, accounts=40, until=UNTIL):
    return list(simulate(seed=seed, until=until, accounts=accounts))


def test_the_same_seed_tells_the_same_world_and_another_one_another():
    first, again, other = tell(), tell(), tell(seed=12)
    assert [s.messages for s in first] == [s.messages for s in again]
    assert [s.states for s in first] == [s.states for s in again]
    assert {s.company.name for s in first} != {s.company.name for s in other}


def test_the_hour_of_the_last_day_changes_nothing_before_it():
    morning = tell(until=UNTIL.replace(hour=7))
    last = UNTIL.replace(hour=7).isoformat()
    assert [s.messages for s in morning] == [[m for m in s.messages if m["timestamp"] <= last] for s in tell()]


def test_nothing_happens_after_the_end_and_every_account_is_in_order_of_time():
    for story in tell():
        times = [message["timestamp"] for message in story.messages]
        assert times == sorted(times)
        assert times[-1] <= UNTIL.isoformat()
        assert all(at <= UNTIL.timestamp() for at, *_ in story.states)


def test_message_ids_are_unique_and_events_are_in_the_catalogue():
    messages = [message for story in tell() for message in story.messages]
    assert len({message["messageId"] for message in messages}) == len(messages)
    assert {m["event"] for m in messages if m["type"] == "track"} <= {kind.name for kind in TYPES}


def test_no_address_can_be_written_to():
    people = [m["traits"] for story in tell() for m in story.messages if m["type"] == "identify"]
    assert people
    assert {traits["email"].rsplit(".", 1)[1] for traits in people} == {"example"}
    assert len({traits["email"] for traits in people}) == len(people)


def early_team(story):
    """Three invitations and a completed workflow within the first 14 days: what the main definition asks for."""
    start = dt.datetime.fromisoformat(story.messages[0]["timestamp"])
    early = [m for m in story.messages if dt.datetime.fromisoformat(m["timestamp"]) < start + dt.timedelta(days=14)]
    events = [m.get("event") for m in early]
    return events.count("Invite Sent") >= 3 and "Workflow Completed" in events


def test_what_people_do_early_goes_with_paying_later():
    stories = [story for story in tell(accounts=500) if story.messages]
    rates = {}
    for team in (True, False):
        group = [story for story in stories if early_team(story)] if team else [s for s in stories if not early_team(s)]
        rates[team] = sum(bool(story.states) for story in group) / len(group)
    assert 0.15 < rates[True] < 0.6
    assert rates[True] > 4 * rates[False]


def test_accounts_that_left_had_gone_quiet_and_those_that_stay_have_not():
    """Use in the last four weeks is less than 0.6 of the four weeks before that."""

    def went_quiet(story, at):
        days = [
            (at - dt.datetime.fromisoformat(m["timestamp"]).timestamp()) / 86_400
            for m in story.messages
            if m["type"] == "track"
        ]
        return sum(0 < day <= 28 for day in days) < 0.6 * sum(28 < day <= 56 for day in days)

    stories = [story for story in tell(accounts=600) if story.states]
    left = [went_quiet(story, at) for story in stories for at, _, mrr, _ in story.states if not mrr]
    stay = [
        went_quiet(story, UNTIL.timestamp())
        for story in stories
        if story.states[-1][2] and story.states[0][0] < UNTIL.timestamp() - 84 * 86_400
    ]
    assert len(left) >= 5 and len(stay) >= 20
    assert sum(left) / len(left) > 2 * sum(stay) / len(stay)


def test_sales_worked_some_companies_before_they_paid_and_more_that_never_did():
    stories = [story for story in tell(accounts=500) if story.messages]
    began = {story.group_id: dt.datetime.fromisoformat(story.messages[0]["timestamp"]) for story in stories}
    cut = UNTIL - dt.timedelta(days=21)
    found = earlier.claims(stories, began, cut=cut, rng=random.Random(1))
    assert found == earlier.claims(stories, began, cut=cut, rng=random.Random(1))
    paid = {story.group_id: story.states[0][0] for story in stories if story.states}
    assert all(began[group] < at < cut for group, at in found.items())
    assert all(found[group].timestamp() < paid[group] for group in found.keys() & paid.keys())
    assert 5 <= len(found.keys() & paid.keys()) < len(found) / 2
    assert len(paid.keys() - found.keys()) >= 5  # and some pay whom nobody called


def test_companies_have_names_of_their_own():
    names = Names(random.Random(1))
    domains = [names.company().domain for _ in range(2_000)]
    assert len(set(domains)) == 2_000


# --- loading --------------------------------------------------------------------------------------------------


def demo(*flags, **options):
    out = StringIO()
    call_command("demo", *flags, stdout=out, **options)
    return out.getvalue()


@pytest.mark.django_db
def test_a_small_company_comes_in_whole():
    said = demo("--small", "--today", "2026-06-15")

    assert Account.objects.count() == 60
    assert Account.objects.filter(is_internal=True).count() == 1
    assert Event.objects.count() == int(said.split(" events")[0].rsplit(" ", 1)[1].replace(",", ""))
    assert ProductUser.objects.filter(is_known=False).count() == 0
    assert RevenueMovement.objects.filter(kind="new").exists()
    assert Definition.objects.count() == 6
    assert Qualification.objects.filter(closed_at=None).exists()
    assert Handoff.objects.exists()
    assert [step["kind"] for step in routing.current().steps] == ["owner", "rule", "rule"]
    assert (RoutingPool.objects.count(), SpeedPolicy.objects.count(), Leave.objects.count()) == (1, 1, 1)
    assert set(Play.objects.filter(status="live").values_list("action", flat=True)) == {
        "sales_handoff",
        "prompt",
        "nudge",
        "cs_task",
    }
    assert PlayRun.objects.filter(status="fired").exclude(play__action="sales_handoff").exists()
    assert Play.objects.get(action="email_nudge").status == "draft" and not Letter.objects.exists()
    assert Tier.objects.count() == 3 and AccountTier.objects.count() == 60
    assert Article.objects.filter(status="published").count() == 6
    assert Ticket.objects.count() == 6
    assert OutgoingMessage.objects.count() == 0  # the sweep's work
    listening = AlertRule.objects.filter(on_since__isnull=False)
    assert set(listening.values_list("destination__channel", flat=True)) == {"email"}  # nothing leaves the machine
    for consumer in ("crm", "evaluation", "tiers"):
        rows = AccountDue.objects.filter(consumer=consumer)
        assert [row.account_id for row in rows if row.changed_seq > row.done_seq or row.attempts] == []
    assert {u.username for u in StaffUser.objects.all()} == {c.username for c in STAFF}
    ada = authenticate(username="ada", password=PASSWORD)
    assert (ada.is_superuser, ada.email) == (True, "ada@fieldnote.example")

    key = said.strip().splitlines()[-1].rsplit(" ", 1)[1]
    source = Source.objects.get(name=load.SOURCE)
    assert key.startswith(source.prefix) and key not in (source.key_hash, source.prefix)

    # a second time: silence, or a refusal
    before = (Event.objects.count(), Handoff.objects.count(), AuditEntry.objects.count())
    assert demo("--if-empty") == ""
    with pytest.raises(CommandError, match="empty database only"):
        demo("--small")
    assert (Event.objects.count(), Handoff.objects.count(), AuditEntry.objects.count()) == before


@pytest.mark.django_db
def test_an_interrupted_load_goes_on_with_the_same_company(monkeypatch):
    accept = load.accept_batch
    calls = []

    def killed(**options):
        calls.append(options)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return accept(**options)

    monkeypatch.setattr(load, "accept_batch", killed)
    with pytest.raises(KeyboardInterrupt):
        demo("--small", "--today", "2026-06-15", seed=3)
    assert 0 < Event.objects.count() < 5_000
    monkeypatch.undo()

    said = demo("--if-empty")
    assert "interrupted" in said and "Write key" not in said
    expected = [s for s in simulate(seed=3, until=UNTIL, accounts=60) if s.messages]
    assert Event.objects.count() == sum(m["type"] == "track" for s in expected for m in s.messages)
    assert load.unfinished() is None and demo("--if-empty") == ""


@pytest.mark.django_db
def test_a_database_that_somebody_uses_is_left_alone(admin):
    assert demo("--if-empty") == ""
    assert Account.objects.count() == 0


@pytest.mark.django_db
def test_the_last_day_must_be_a_date():
    with pytest.raises(CommandError, match="--today"):
        demo("--small", "--today", "yesterday")
