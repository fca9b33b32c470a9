"""What could not be decided is put off, and shown with its error until it is."""

import datetime as dt

import pytest

from scoring import firing, speed, undecided
from scoring.models import Play, PlayRun, SpeedClock, SpeedPolicy
from tests.conftest import NOW
from tests.factories.routing import waiting
from tests.factories.scoring import make_account, publish

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def failing(monkeypatch):
    """A nudge and a promise that cannot be decided."""
    version = publish(NOW)
    nudge = Play.objects.create(
        name="Nudge",
        slug="nudge",
        definition=version.definition,
        action="nudge",
        trigger="near_miss",
        salt="x",
        created_at=NOW,
        status="live",
        live_since=NOW,
    )
    acme = make_account("Acme")
    PlayRun.objects.create(play=nudge, account=acme, company=acme, near_day=1, created_at=NOW, due_at=NOW)
    SpeedPolicy.objects.create(claim_minutes=30)
    handoff = waiting(make_account("Beta"))
    speed.start(handoff, now=NOW)
    with monkeypatch.context() as broken:
        broken.setattr(firing, "_world", lambda *args, **kwargs: 1 / 0)
        broken.setattr(speed, "_do", lambda *args, **kwargs: 1 / 0)
        SpeedClock.objects.update(next_at=NOW, warn_percent=1)
        firing.decide_due(now=NOW + HOUR)
        speed.sweep(now=NOW + HOUR)


def test_it_is_told_with_its_error_and_when_it_is_tried_again(failing):
    told = [(row.account, row.what, row.error, row.again_at) for row in undecided.rows()]
    error = "ZeroDivisionError('division by zero')"
    assert told == [("Acme", "Nudge", error, NOW + 2 * HOUR), ("Beta", "Speed to lead", error, NOW + 2 * HOUR)]
    assert undecided.count() == 2


def test_it_is_gone_once_it_was_decided(failing):
    firing.decide_due(now=NOW + 2 * HOUR)
    speed.sweep(now=NOW + 2 * HOUR)
    assert (undecided.rows(), undecided.count()) == ([], 0)


def test_home_and_data_quality_show_it(failing, admin, rep, client_of):
    assert "2 plays and promises could not be decided" in client_of(admin).get("/").content.decode()
    panel = client_of(admin).get("/data-quality/undecided/").content.decode()
    assert "Acme" in panel and "division by zero" in panel
    assert client_of(rep).get("/data-quality/undecided/").status_code == 403


@pytest.mark.parametrize("count", [1, 3])
def test_it_asks_the_same_for_any_number(count, django_assert_num_queries):
    for _ in range(count):
        SpeedClock.objects.create(handoff=waiting(), started_at=NOW, error="Boom")
    with django_assert_num_queries(4):
        assert (len(undecided.rows()), undecided.count()) == (count, count)
