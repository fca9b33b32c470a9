"""Since when a rule has held: the day from its history, the moment from the newest fact of that day it asks for."""

import datetime as dt

import pytest
from django.core.management import call_command
from django.db.models import F

from accounts import lifecycle
from accounts.models import AccountDue, StageEntry, UsageDay
from accounts.workspace import day_of
from scoring import backdating, catalogue, restated, since
from scoring.models import Definition, Qualification
from scoring.rules.parse import parse_definition
from tests.conftest import NOW
from tests.factories.scoring import SIGNED_UP, document, make_account, make_trait, make_user, publish, sweep, use

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


def began(account, rule, **changes) -> since.Since | None:
    doc = parse_definition(document(rule=rule, **changes))
    return since.of(doc, account_ids=[account.pk], as_of_day=day_of(NOW), now=NOW).get(account.pk)


def test_the_day_is_that_of_the_third_invite_and_the_moment_its_newest():
    account, other = make_account("Acme"), make_account("Other")
    third = NOW - 20 * DAY
    use(account, "Invite Sent", at=NOW - 25 * DAY, count=2)
    use(account, "Invite Sent", at=third, count=1)
    use(account, "Opened", at=third + dt.timedelta(hours=3))  # is not asked for
    use(account, "Invite Sent", at=NOW - DAY, count=9)
    use(other, "Invite Sent", at=third, count=2)
    rule = {"count": {"event": "Invite Sent", "at_least": 3}}
    assert began(account, rule) == since.Since(day_of(third), third)
    assert began(other, rule) is None


def test_a_span_that_was_interrupted_counts_from_its_last_beginning():
    account = make_account()
    for ago in (20, 19, 6, 2):
        use(account, "Built", at=NOW - ago * DAY)
    assert began(account, {"recency": {"event": "Built", "within_days": 5}}).day == day_of(NOW - 6 * DAY)


def test_what_time_alone_made_true_began_with_the_day():
    account = make_account()
    use(account, "Built", at=NOW - 9 * DAY)
    found = began(account, {"recency": {"event": "Built", "not_for_days": 4}})
    assert found == since.Since(day_of(NOW - 5 * DAY), (NOW - 5 * DAY).replace(hour=0))
    assert began(account, {"recency": {"event": "Never", "not_for_days": 4}}).at == SIGNED_UP  # not before it existed


def test_stages_and_traits_are_moments_too():
    account = make_account()
    paid, moved = NOW - 8 * DAY, NOW - 4 * DAY
    lifecycle.reach(account_id=account.pk, stage="paid", at=paid, now=NOW, cause="billing", reference="1")
    make_trait(account, "country", "DE", at=moved)
    stage, trait = {"stage": {"reached": "paid"}}, {"trait": {"name": "country", "in": ["DE"]}}
    assert began(account, stage).at == paid
    assert began(account, {"all": [stage, trait]}) == since.Since(day_of(moved), moved)
    assert began(account, {"any": [stage, trait]}) == since.Since(day_of(paid), paid)


def test_rules_about_people_begin_with_the_person_who_makes_it():
    account = make_account()
    ada, bo = make_user(account, "ada"), make_user(account, "bo")
    use(account, "Built", at=NOW - 9 * DAY, user=ada)
    use(account, "Built", at=NOW - 3 * DAY, user=bo)
    rule = {"count": {"event": "Built", "at_least": 1}}
    assert began(account, rule, level="user").at == NOW - 9 * DAY
    assert began(account, rule, level="user", account_when={"users_at_least": 2}).at == NOW - 3 * DAY


def test_a_publication_dates_episodes_and_stages_back():
    account = make_account(recorded_at=NOW - 30 * DAY)
    came_true = NOW - 12 * DAY
    use(account, "Invite Sent", at=came_true, count=3)
    use(account, "Invite Sent", at=NOW - 2 * DAY)
    sweep(NOW - DAY)
    publish(NOW, rule={"count": {"event": "Invite Sent", "at_least": 3}})
    sweep(NOW)
    episode = Qualification.objects.get()
    assert (episode.opened_at, episode.since_at, episode.since_day) == (NOW, came_true, day_of(came_true))
    entry = StageEntry.objects.get(stage="pql")
    assert (entry.at, entry.recorded_at) == (came_true, NOW)


@pytest.mark.parametrize("accounts", [1, 3])
def test_the_cost_does_not_grow_with_the_accounts(accounts, django_assert_num_queries):
    made = [make_account(f"Acme {n}") for n in range(accounts)]
    for account in made:
        use(account, "Invite Sent", at=NOW - 3 * DAY, count=3)
    doc = parse_definition(document())
    with django_assert_num_queries(5):  # the catalogue twice, the history, the events, the sign-ups
        found = since.of(doc, account_ids=[a.pk for a in made], as_of_day=day_of(NOW), now=NOW)
    assert len(found) == accounts


def test_earlier_episodes_and_their_stages_are_dated_back_once(capsys):
    account, other = make_account("Acme", recorded_at=NOW - 30 * DAY), make_account("Other", recorded_at=NOW - 30 * DAY)
    came_true = NOW - 12 * DAY
    for one in (account, other):
        use(one, "Invite Sent", at=came_true, count=3)
    use(account, "Invite Sent", at=NOW - 2 * DAY)
    publish(NOW - DAY, rule={"count": {"event": "Invite Sent", "at_least": 3}})
    sweep(NOW)
    # as they were written before
    newest = NOW - 2 * DAY
    Qualification.objects.filter(account=account).update(since_at=newest, since_day=day_of(newest))
    StageEntry.objects.filter(account=account, stage="pql").update(at=newest, day=day_of(newest))
    assert [backdating.fill(now=NOW), backdating.fill(now=NOW)] == [1, 0]
    assert set(Qualification.objects.values_list("since_at", "since_day")) == {(came_true, day_of(came_true))}
    assert set(StageEntry.objects.filter(stage="pql").values_list("at", "day")) == {(came_true, day_of(came_true))}
    assert AccountDue.objects.get(account=account, consumer="evaluation").is_behind  # a stage is a fact that rules read
    assert not AccountDue.objects.get(account=other, consumer="evaluation").is_behind
    call_command("fill_since")
    assert capsys.readouterr().out == "0 episodes dated otherwise than before.\n"


def test_an_episode_that_its_history_does_not_have_any_more_keeps_its_date():
    account = make_account(recorded_at=NOW - 30 * DAY)
    use(account, "Invite Sent", at=NOW - 2 * DAY, count=3)
    publish(NOW - DAY)
    sweep(NOW)
    UsageDay.objects.update(count=1)
    AccountDue.objects.update(changed_seq=F("changed_seq") + 1)
    assert backdating.fill(now=NOW) == 0
    assert Qualification.objects.get().since_at == NOW - 2 * DAY


def test_a_version_that_comes_back_tells_no_stage_twice_and_no_week_a_flood():
    rule = {"count": {"event": "Invite Sent", "at_least": 3}}
    account = make_account(recorded_at=NOW - 30 * DAY)
    use(account, "Invite Sent", at=NOW - 12 * DAY, count=3)
    for n, asked in enumerate((rule, {"recency": {"event": "Never", "within_days": 1}}, rule)):
        publish(NOW + n * dt.timedelta(minutes=1), rule=asked)
        sweep(NOW + n * dt.timedelta(minutes=1))
    assert [q.close_cause for q in Qualification.objects.order_by("pk")] == ["redefined", ""]
    assert StageEntry.objects.filter(stage="pql").count() == 1
    later = make_account("Later", recorded_at=NOW)
    sweep(NOW + DAY)
    use(later, "Invite Sent", at=NOW + DAY, count=3)
    sweep(NOW + DAY)
    definition = Definition.objects.get()
    reported = restated.reported(definition, today=day_of(NOW + DAY))
    assert (sum(reported.totals), reported.at_once) == (1, 2)
    assert catalogue.counts([definition.pk], now=NOW + DAY)[definition.pk].recent == 1
