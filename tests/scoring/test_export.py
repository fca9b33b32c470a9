"""The CSV of a definition's qualifiers."""

import csv
import datetime as dt
import io

import pytest
from django.utils import timezone

from accounts.models import Account
from scoring import export
from tests.factories.scoring import make_account, make_user, publish, sweep, use

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


@pytest.fixture
def now():
    return timezone.now()


def qualified(name, *, now, invites=4):
    account = make_account(name, recorded_at=now - 30 * DAY)
    use(account, "Invite Sent", at=now - DAY, count=invites, user=make_user(account, "ann"))
    return account


@pytest.fixture
def world(now):
    publish(now - 20 * DAY)
    found = [qualified(name, now=now) for name in ("Acme", "Bolt", "Core")]
    sweep(now)
    return found


def rows(response):
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


def test_the_file_has_a_line_for_each_account_with_its_explanation(world, client_of, rep, now):
    response = client_of(rep).get("/definitions/team-expansion/qualifiers.csv")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="team-expansion-' in response["Content-Disposition"]
    found = {row["account_id"]: row for row in rows(response)}
    assert found.keys() == {"acme", "bolt", "core"}
    acme = found["acme"]
    assert (acme["version"], acme["people"], acme["“Invite Sent” at least 3 times in the last 7 days"]) == (
        "1",
        "1",
        "4",
    )
    assert acme["why"].splitlines()[1].endswith(": 4 times, needed at least 3")
    assert acme["found_at"].endswith("Z")


def test_an_episode_of_an_older_version_has_its_own_explanation(world, client_of, rep, now):
    publish(now, rule={"count": {"event": "Invite Sent", "at_least": 2}})
    acme = rows(client_of(rep).get("/definitions/team-expansion/qualifiers.csv"))[0]
    assert (acme["version"], acme["“Invite Sent” at least 2 times"]) == ("1", "")
    assert "at least 3" in acme["why"]


def test_how_many_people_and_what_must_not_be_are_columns_too(client_of, rep, now):
    rule = {"all": [{"count": {"event": "Invite Sent", "at_least": 3}}, {"not": {"stage": {"reached": "paid"}}}]}
    publish(now - 20 * DAY, rule=rule)
    people = {"level": "user", "account_when": {"users_at_least": 2}}
    publish(now - 20 * DAY, slug="people", name="People", rule=rule["all"][0], **people)
    acme = qualified("Acme", now=now)
    use(acme, "Invite Sent", at=now - DAY, count=5, user=make_user(acme, "bo"))
    sweep(now)
    (team,) = rows(client_of(rep).get("/definitions/team-expansion/qualifiers.csv"))
    assert (team["“Invite Sent” at least 3 times"], team["not: has paid"]) == ("9", "yes")
    assert "has paid" not in team
    (two,) = rows(client_of(rep).get("/definitions/people/qualifiers.csv"))
    assert (two["At least 2 people for whom all of this holds"], two["people"]) == ("2", "2")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_name_is_never_a_formula(world, client_of, rep, name):
    Account.objects.filter(external_id="acme").update(name=name)
    found = {row["account_id"]: row for row in rows(client_of(rep).get("/definitions/team-expansion/qualifiers.csv"))}
    assert found["acme"]["account_name"] == f"'{name}"


def test_the_file_is_written_in_parts(world, client_of, rep, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(export, "AT_ONCE", 2)
    response = client_of(rep).get("/definitions/team-expansion/qualifiers.csv")
    with django_assert_num_queries(7):  # two parts: episodes, people, types; those without a time, once
        assert len(rows(response)) == 3


def test_the_file_is_for_readers(world, client_of, stranger, rep):
    assert client_of(stranger).get("/definitions/team-expansion/qualifiers.csv").status_code == 403
    assert client_of(rep).get("/definitions/nothing/qualifiers.csv").status_code == 404
