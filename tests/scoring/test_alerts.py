"""What there is to tell is written with the change itself, once."""

import pytest
from django.db import IntegrityError, transaction

from scoring import openings
from scoring.alerts import tell
from scoring.models import AlertFact, Handoff, Qualification
from tests.conftest import NOW
from tests.factories import desk

pytestmark = pytest.mark.django_db
Kind = AlertFact.Kind


@pytest.fixture
def company():
    return desk.company(0, now=NOW)


def test_the_same_thing_is_told_once(company):
    for _ in range(2):
        tell(Kind.TASK_CREATED, handoff=None, account_id=company.pk, now=NOW, detail={"task": 1}, key="1")
    tell(Kind.TASK_CREATED, handoff=None, account_id=company.pk, now=NOW, detail={"task": 2}, key="2")
    assert list(AlertFact.objects.order_by("id").values_list("key", flat=True)) == ["1", "2"]


def test_what_rolls_back_is_not_told(company):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        tell(Kind.TASK_CREATED, handoff=None, account_id=company.pk, now=NOW, detail={}, key="1")
        raise ZeroDivisionError
    assert not AlertFact.objects.exists()


def test_an_unknown_kind_is_a_programming_error(company):
    with pytest.raises(ValueError, match="no kind of alert"):
        tell("handoff_exploded", handoff=None, account_id=company.pk, now=NOW, detail={}, key="1")


def test_a_fact_is_there_once(company):
    AlertFact.objects.create(kind=Kind.TASK_CREATED, key="1", account=company, at=NOW)
    with pytest.raises(IntegrityError):
        AlertFact.objects.create(kind=Kind.TASK_CREATED, key="1", account=company, at=NOW)


def _open(company, definition, number=0):
    qualification = Qualification.objects.create(
        account=company,
        definition=definition,
        version=definition.live_version,
        opened_at=NOW,
        since_day=1,
        cause="event",
    )
    with transaction.atomic():
        return openings.open_or_join(qualification=qualification, company=company, newest_at=NOW, now=NOW)


def test_opening_joining_and_assigning_are_told(company, rep):
    desk.event_types()
    desk.plans()
    first, second = desk.staff_definitions(NOW)
    company.owner = rep
    company.save()
    handoff = _open(company, first)
    again = _open(company, second)
    assert handoff == again == Handoff.objects.get()
    facts = list(AlertFact.objects.order_by("id"))
    assert [fact.kind for fact in facts] == [Kind.HANDOFF_OPENED, Kind.HANDOFF_ASSIGNED, Kind.HANDOFF_JOINED]
    assert {fact.handoff_id for fact in facts} == {handoff.pk}
    assert {fact.account_id for fact in facts} == {company.pk}
    assert facts[1].detail["to"] == rep.pk
