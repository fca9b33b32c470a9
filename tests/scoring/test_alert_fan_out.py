"""Who hears of what, when, and how often: facts become deliveries."""

import datetime as dt

import pytest

from accounts.models import Delivery
from scoring import alert_rules, handoffs
from scoring.alert_fan_out import HELD_BACK, STALE, fan_out
from scoring.alerts import tell
from scoring.models import AlertFact, AlertRule
from tests.conftest import NOW
from tests.factories import desk
from tests.scoring.alert_world import Kind, definitions, listener, open_handoff, wanted

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def defined():
    return definitions()


@pytest.fixture
def company(defined):
    return desk.company(0, now=NOW)


def heard(destination):
    """The kinds that this destination will be told, in order."""
    facts = {f"alert:{fact.pk}": fact.kind for fact in AlertFact.objects.all()}
    waiting = Delivery.objects.filter(destination=destination, status="waiting").order_by("id")
    return [facts[row.fact] for row in waiting]


def test_a_fact_becomes_one_delivery_for_each_who_wants_it(company, defined, manager, rep, other_rep):
    team, mine = listener(manager), listener(rep, owner=rep, channel="email", name="Mail")
    off = listener(other_rep, owner=other_rep, channel="email", name="Mail", is_on=False)
    open_handoff(company, defined[1])
    assert fan_out(now=NOW) == 1
    assert fan_out(now=NOW) == 0
    assert (heard(team), heard(mine), heard(off)) == ([Kind.HANDOFF_OPENED], [Kind.HANDOFF_OPENED], [])
    AlertFact.objects.update(told_at=None)
    fan_out(now=NOW)  # seen twice: still one each
    assert Delivery.objects.count() == 2


def test_what_somebody_owns_is_told_to_them_and_the_team(company, defined, manager, rep, other_rep):
    company.owner = rep
    company.save()
    team = listener(manager)
    mine = listener(rep, owner=rep, channel="email", name="Mail", scope="own")
    theirs = listener(other_rep, owner=other_rep, channel="email", name="Mail", scope="own")
    nobodys = listener(other_rep, owner=other_rep, name="Slack", scope="open")
    open_handoff(company, defined[1])
    fan_out(now=NOW)
    assert heard(mine) == [Kind.HANDOFF_ASSIGNED]  # and not as new as well
    assert heard(team) == [Kind.HANDOFF_OPENED, Kind.HANDOFF_ASSIGNED]
    assert heard(theirs) == heard(nobodys) == []


def test_what_nobody_has_is_told_to_who_looks_for_it(company, defined, rep, other_rep):
    looking = listener(rep, owner=rep, channel="email", name="Mail", scope="open")
    own_only = listener(other_rep, owner=other_rep, channel="email", name="Mail", scope="own")
    handoff = open_handoff(company, defined[1])
    fan_out(now=NOW)
    assert (heard(looking), heard(own_only)) == ([Kind.HANDOFF_OPENED], [])
    handoffs.assign(handoff_id=handoff.pk, owner=other_rep, by=desk_manager(), now=NOW)
    fan_out(now=NOW)
    assert heard(own_only) == [Kind.HANDOFF_ASSIGNED]
    assert heard(looking) == [Kind.HANDOFF_OPENED]


def desk_manager():
    from plgops.lib import access
    from tests.conftest import make_staff

    return make_staff("boss", access.SALES_MANAGER)


def test_definitions_and_kinds_that_were_chosen(company, defined, manager):
    first, second = defined
    only_first = listener(manager, name="A", definition_ids=(first.pk,))
    only_joined = listener(manager, name="B", kinds=(Kind.HANDOFF_JOINED,))
    open_handoff(company, second)
    open_handoff(company, first)
    fan_out(now=NOW)
    assert heard(only_first) == [Kind.HANDOFF_JOINED]
    assert heard(only_joined) == [Kind.HANDOFF_JOINED]


def test_a_fact_that_names_somebody_is_theirs(company, manager, rep):
    mine = listener(rep, owner=rep, channel="email", name="Mail", scope="own")
    boss = listener(manager, owner=manager, channel="email", name="Mail", scope="own")
    tell(Kind.SPEED_ESCALATED, handoff=None, account_id=company.pk, now=NOW, detail={"to": [manager.pk]}, key="1:claim")
    fan_out(now=NOW)
    assert (heard(mine), heard(boss)) == ([], [Kind.SPEED_ESCALATED])


def test_an_account_is_told_of_so_often_a_day(company, manager):
    destination = listener(manager, per_account=2)
    for number in range(4):
        tell(Kind.TASK_CREATED, handoff=None, account_id=company.pk, now=NOW, detail={}, key=str(number))
    tell(Kind.SPEED_WARNED, handoff=None, account_id=company.pk, now=NOW, detail={}, key="1")
    fan_out(now=NOW)
    assert heard(destination) == [Kind.TASK_CREATED, Kind.TASK_CREATED, Kind.SPEED_WARNED]
    assert list(Delivery.objects.filter(status="skipped").values_list("skipped_because", flat=True)) == [HELD_BACK] * 2
    later = NOW + dt.timedelta(hours=23)
    tell(Kind.TASK_CREATED, handoff=None, account_id=company.pk, now=later, detail={}, key="8")
    fan_out(now=later)
    assert len(heard(destination)) == 3
    later = NOW + dt.timedelta(hours=25)
    tell(Kind.TASK_CREATED, handoff=None, account_id=company.pk, now=later, detail={}, key="9")
    fan_out(now=later)
    assert len(heard(destination)) == 4


def test_bundles_digests_and_quiet_hours_decide_when(company, manager):
    bundled = listener(manager, name="A", pace="bundled", bundle_minutes=30)
    digest = listener(manager, name="B", pace="digest", digest_hour=8, time_zone="Europe/Berlin")
    quiet = listener(manager, name="C", quiet=(8, 17))
    for number, minutes in enumerate((0, 20, 45)):
        now = NOW + dt.timedelta(minutes=minutes)
        tell(Kind.TASK_CREATED, handoff=None, account_id=company.pk, now=now, detail={}, key=str(number))
        fan_out(now=now)

    def due(destination):
        return list(Delivery.objects.filter(destination=destination).order_by("id").values_list("due_at", flat=True))

    assert due(bundled) == [NOW + HOUR / 2, NOW + HOUR / 2, NOW + dt.timedelta(minutes=75)]
    assert due(digest) == [dt.datetime(2026, 6, 16, 6, 0, tzinfo=dt.UTC)] * 3
    assert due(quiet) == [dt.datetime(2026, 6, 15, 17, 0, tzinfo=dt.UTC)] * 3


def test_what_was_before_or_is_old_is_not_told(company, manager):
    destination = listener(manager, since=NOW)
    tell(Kind.TASK_CREATED, handoff=None, account_id=company.pk, now=NOW - HOUR, detail={}, key="before")
    fan_out(now=NOW)
    assert heard(destination) == []
    tell(Kind.TASK_CREATED, handoff=None, account_id=company.pk, now=NOW, detail={}, key="old")
    assert fan_out(now=NOW + STALE + HOUR) == 1
    assert heard(destination) == []


def test_who_left_and_what_is_switched_off_hears_nothing(company, manager, rep, other_rep):
    gone = listener(rep, owner=rep, channel="email", name="Mail")
    roleless = listener(other_rep, owner=other_rep, channel="email", name="Mail")
    off = listener(manager)
    rep.is_active = False
    rep.save()
    other_rep.groups.clear()
    off.disabled_at, off.disabled_reason = NOW, "Answered 410"
    off.save()
    tell(Kind.TASK_CREATED, handoff=None, account_id=company.pk, now=NOW, detail={}, key="1")
    assert fan_out(now=NOW) == 1
    assert heard(gone) == heard(roleless) == heard(off) == []


@pytest.mark.parametrize("hearers", [1, 3])
@pytest.mark.parametrize("facts", [1, 3])
def test_queries_do_not_grow(company, defined, manager, hearers, facts, django_assert_num_queries):
    handoff = open_handoff(company, defined[1])
    for number in range(hearers):
        listener(manager, name=str(number))
    for number in range(facts):
        tell(Kind.TASK_CREATED, handoff=handoff, account_id=company.pk, now=NOW, detail={}, key=str(number))
    # rules, their definitions; savepoint, facts, what they are about (3), heard lately, open bundles, insert, told, end
    with django_assert_num_queries(12):
        fan_out(now=NOW)


def test_what_a_rule_keeps(manager, rep):
    program = listener(manager, channel="webhook", name="CRM", pace="digest", quiet=(19, 7), kinds=(Kind.PLAY_WEBHOOK,))
    rule = AlertRule.objects.get(destination=program)
    assert (rule.pace, rule.quiet_from, rule.kinds) == ("immediate", None, [Kind.PLAY_WEBHOOK])
    person = listener(rep, owner=rep, channel="email", name="Mail", kinds=(Kind.PLAY_WEBHOOK, Kind.HANDOFF_OPENED))
    rule = AlertRule.objects.get(destination=person)
    assert rule.kinds == [Kind.HANDOFF_OPENED]
    since = rule.on_since
    alert_rules.save(destination_id=person.pk, wanted=wanted(), by=rep, now=NOW)
    rule.refresh_from_db()
    assert rule.on_since == since  # changing it is not switching it on anew
    alert_rules.save(destination_id=person.pk, wanted=wanted(is_on=False), by=rep, now=NOW)
    alert_rules.save(destination_id=person.pk, wanted=wanted(), by=rep, now=NOW)
    rule.refresh_from_db()
    assert rule.on_since == NOW


@pytest.mark.parametrize(
    "values",
    [
        {"scope": "some"},
        {"pace": "slow"},
        {"bundle_minutes": 4},
        {"bundle_minutes": 241},
        {"digest_hour": 24},
        {"quiet_from": 5},
        {"quiet_from": 5, "quiet_until": 5},
        {"quiet_from": 24, "quiet_until": 5},
    ],
)
def test_a_rule_that_the_database_refuses(manager, values):
    from django.db import IntegrityError, transaction

    destination = listener(manager)
    with pytest.raises(IntegrityError), transaction.atomic():
        AlertRule.objects.filter(destination=destination).update(**values)


def test_one_fact_that_cannot_be_told_keeps_no_other(company, defined, manager):
    team = listener(manager)
    for key in ("1", "poison", "3"):
        tell(Kind.TASK_CREATED, handoff=None, account_id=company.pk, now=NOW, detail={}, key=key)
    AlertFact.objects.filter(key="poison").update(detail=["no object"])
    assert fan_out(now=NOW) == 2
    assert len(heard(team)) == 2
    assert fan_out(now=NOW) == 0
    assert fan_out(now=NOW + STALE) == 1  # by then it is no news


def test_a_zone_that_this_machine_does_not_know_keeps_nobody(company, defined, manager, rep):
    lost, team = listener(rep, owner=rep, channel="email", name="Mail", scope="all"), listener(manager)
    AlertRule.objects.filter(destination=lost).update(time_zone="Atlantis/Capital")
    open_handoff(company, defined[1])
    fan_out(now=NOW)
    assert heard(team) == heard(lost) == [Kind.HANDOFF_OPENED]
