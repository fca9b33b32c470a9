"""Questions to history as rows: asked once, answered one at a time, and taken again when a worker dies."""

import datetime as dt
import io
import json
import os
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from accounts import lake
from accounts.models import AuditEntry
from plgops.lib.days import start_of
from scoring import discover
from scoring.discovery import answer as answers
from scoring.discovery.asked import Asked
from scoring.models import Discovery
from scoring.rules.parse import parse_definition
from scoring.tasks import answer_discoveries
from tests.conftest import NOW, UTC
from tests.scoring.discovery_world import DATA_UNTIL, World, planted, spread

pytestmark = pytest.mark.django_db
ASKED = Asked("paid", 14, 60)
LATER = start_of(DATA_UNTIL + 10, UTC)


def at(minutes: float) -> dt.datetime:
    return LATER + dt.timedelta(minutes=minutes)


def asked(**changes) -> Discovery:
    values = {"outcome": "paid", "first_days": 14, "within": 60, "level": "account", "asked_at": NOW} | changes
    return Discovery.objects.create(**values)


def test_a_question_waits_and_is_answered(admin):
    planted(600, chance=lambda invites, *others: 0.5 if invites >= 3 else 0.08)
    row = discover.ask(asked=ASKED, by=admin, now=LATER)
    assert (row.status, row.asked_by) == ("waiting", admin)
    assert AuditEntry.objects.filter(action="discovery.asked", object_id=row.pk).count() == 1
    answered = discover.run_next(clock=lambda: at(1))
    assert answered == row
    row.refresh_from_db()
    assert (row.status, row.step, row.lease_until, row.error) == ("done", "", None, "")
    assert row.seconds > 0 and row.finished_at == at(1)
    assert row.result["findings"][0]["confirmed"]
    drafted = discover.draft_of(row.pk, 0)
    draft = drafted.document
    assert drafted.asked == row
    doc = parse_definition(draft)
    assert doc.name == "Early Invite Sent ×3"
    assert draft["rule"]["all"][1] == {"not": {"stage": {"reached": "paid"}}}
    assert discover.run_next(clock=lambda: at(2)) is None


def test_too_little_data_is_an_answer_of_its_own():
    row = asked()
    discover.run_next(clock=lambda: at(0))
    row.refresh_from_db()
    assert row.status == "refused" and len(row.result["missing"]) == 3
    with pytest.raises(LookupError):
        discover.draft_of(row.pk, 0)


def test_the_same_question_is_not_asked_twice(admin, rep):
    first = discover.ask(asked=ASKED, by=admin, now=NOW)
    assert discover.ask(asked=ASKED, by=rep, now=NOW) == first
    other = discover.ask(asked=Asked("paid", 7, 60), by=rep, now=NOW)
    assert other != first
    Discovery.objects.filter(pk=first.pk).update(status="refused", finished_at=NOW)
    assert discover.ask(asked=ASKED, by=admin, now=NOW) not in (first, other)


def test_who_asks_at_the_same_moment_gets_the_question_of_the_other(admin, monkeypatch):
    """The other one's row appears after looking for it and before writing one's own."""

    class Meanwhile(int):
        def __le__(self, waiting):
            asked()
            return super().__le__(waiting)

    monkeypatch.setattr(discover, "MOST_WAITING", Meanwhile(5))
    assert discover.ask(asked=ASKED, by=admin, now=NOW).asked_by is None
    assert Discovery.objects.count() == 1


def test_few_questions_may_wait(admin):
    for days in range(1, discover.MOST_WAITING + 1):
        discover.ask(asked=Asked("paid", days, 60), by=admin, now=NOW)
    with pytest.raises(discover.TooMany):
        discover.ask(asked=Asked("paid", 30, 60), by=admin, now=NOW)


def test_one_is_answered_at_a_time():
    asked(), asked(first_days=7)
    inside = []

    def clock():
        if not inside:
            inside.append(True)
            return at(0)
        assert discover.run_next(clock=lambda: at(1)) is None or inside.append(False)
        return at(1)

    discover.run_next(clock=clock)
    assert inside == [True]
    assert sorted(Discovery.objects.values_list("status", flat=True)) == ["refused", "waiting"]


def test_a_killed_workers_question_is_taken_again_and_given_up_in_the_end(monkeypatch):
    class Killed(BaseException):
        """What a worker that is killed leaves: no handler runs."""

    def dies(*args, **kwargs):
        raise Killed

    row = asked()
    monkeypatch.setattr(answers, "answer_to", dies)
    for attempt in range(discover.MAX_CLAIMS):
        with pytest.raises(Killed):
            discover.run_next(clock=lambda attempt=attempt: at(20 * attempt))
        row.refresh_from_db()
        assert (row.status, row.attempts) == ("running", attempt + 1)
        assert discover.run_next(clock=lambda attempt=attempt: at(20 * attempt + 14)) is None  # the lease still stands
    discover.run_next(clock=lambda: at(100))
    row.refresh_from_db()
    assert (row.status, row.error) == ("failed", "3 workers stopped in the middle of it.")


def test_who_lost_the_lease_writes_nothing(monkeypatch):
    row = asked()
    Discovery.objects.filter(pk=row.pk)

    def slow(question, *, until_day, progress):
        Discovery.objects.filter(pk=row.pk).update(lease_token="somebody else")
        progress("Trying pairs")

    monkeypatch.setattr(answers, "answer_to", slow)
    discover.run_next(clock=lambda: at(0))
    row.refresh_from_db()
    assert (row.status, row.lease_token, row.result) == ("running", "somebody else", {})


def test_an_outcome_that_is_gone_and_an_error_are_told(monkeypatch):
    gone = asked(outcome="Bought")
    discover.run_next(clock=lambda: at(0))
    gone.refresh_from_db()
    assert gone.status == "failed" and gone.error.startswith("“Bought” is neither")

    def breaks(*args, **kwargs):
        raise RuntimeError("no memory")

    broken = asked()
    monkeypatch.setattr(answers, "answer_to", breaks)
    discover.run_next(clock=lambda: at(1))
    broken.refresh_from_db()
    assert (broken.status, broken.error) == ("failed", "RuntimeError('no memory')")


def test_the_lease_is_renewed_with_each_step(monkeypatch):
    row, seen = asked(), []

    def steps(question, *, until_day, progress):
        progress("Trying pairs")
        row.refresh_from_db()
        seen.append((row.step, row.lease_until))
        return {"missing": [1]}

    monkeypatch.setattr(answers, "answer_to", steps)
    times = iter([at(0), at(3), at(4), at(5), at(6)])
    lake.refresh(now=NOW, whole=True)
    discover.run_next(clock=lambda: next(times))
    ((step, until),) = seen
    assert step == "Trying pairs" and until > at(0) + discover.LEASE


def test_the_task_answers(monkeypatch):
    row = asked()
    answer_discoveries()
    row.refresh_from_db()
    assert row.status == "refused"


@pytest.mark.parametrize(
    "changes",
    [
        {"first_days": 0},
        {"first_days": 91},
        {"within": 366},
        {"level": "team"},
        {"status": "running"},
        {"status": "waiting", "lease_until": NOW},
        {"status": "done"},
        {"status": "waiting", "finished_at": NOW},
    ],
)
def test_the_database_refuses(changes):
    with pytest.raises(IntegrityError), transaction.atomic():
        asked(**changes)


def test_the_same_open_question_twice_is_refused_by_the_database():
    asked()
    with pytest.raises(IntegrityError), transaction.atomic():
        asked()
    asked(status="failed", finished_at=NOW)


@pytest.mark.parametrize(("first_days", "within"), [(0, 60), (91, 60), (14, 0), (14, 366)])
def test_days_out_of_range_are_no_question(first_days, within):
    with pytest.raises(discover.OutOfRange):
        discover.checked(outcome="paid", first_days=first_days, within=within)


# --- the command ----------------------------------------------------------------------------------------------


def test_the_command_prints_the_answer():
    planted(600, chance=lambda invites, *others: 0.5 if invites >= 3 else 0.08)
    out = io.StringIO()
    call_command("discover", outcome="paid", first_days=14, within=60, stdout=out)
    text = out.getvalue()
    assert "600 at risk" in text
    assert "Invite Sent 3+ times, first 14 days" in text and "Gradient-boosted trees: AUC" in text
    out = io.StringIO()
    call_command("discover", outcome="paid", json=True, stdout=out)
    answer = json.loads(out.getvalue())
    assert answer["asked"] == {"outcome": "paid", "first_days": 14, "within": 60, "level": "account"}
    assert answer["findings"][0]["search"]["with"]["of"] == answer["findings"][0]["search"]["doing"]


def test_the_command_refuses_in_words():
    world = World()
    world.accounts(spread(5))
    world.save()
    with pytest.raises(CommandError, match="Too little data. at risk: 5 of 100; outcomes in the earlier half: 0 of 20"):
        call_command("discover", stdout=io.StringIO())
    with pytest.raises(CommandError, match="neither a stage"):
        call_command("discover", outcome="Payed", stdout=io.StringIO())
    with pytest.raises(CommandError, match="first days are 1 to 90"):
        call_command("discover", first_days=91, stdout=io.StringIO())


def test_pages_and_sweeps_do_not_load_what_only_an_answer_needs():
    """scikit-learn and its friends are 110 MB in a process: in that of the worker that answers, and nowhere else."""
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, django; django.setup(); import plgops.urls, scoring.tasks;"
            " print([name for name in ('sklearn', 'scipy', 'numpy') if name in sys.modules])",
        ],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "plgops.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "[]"
