"""The API that reads, and the CSV of a definition's qualifiers."""

import csv
import datetime as dt
import hashlib
import io

import pytest
from django.test import Client
from django.utils import timezone

from accounts import tokens
from accounts.models import Account, ApiToken
from scoring import export
from scoring.models import Qualification
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


def bearer(user, now):
    # a role that is none gets a token all the same: what it may do is asked when it is used
    scopes = tokens.offered(user) or ["qualifications:read"]
    scoped = {"prefix": f"plt_{user.pk:08d}", "scopes": list(scopes)}
    key = f"{scoped['prefix']}_{'k' * 32}"
    ApiToken.objects.get_or_create(
        prefix=scoped["prefix"],
        defaults={
            "user": user,
            "name": "Test",
            "scopes": scoped["scopes"],
            "key_hash": hashlib.sha256(key.encode()).hexdigest(),
            "created_at": now,
            "expires_at": now + DAY,
        },
    )
    return {"HTTP_AUTHORIZATION": f"Bearer {key}"}


def test_why_an_account_qualifies(world, viewer, now, client):
    response = client.get("/api/v1/accounts/acme/qualifications/", **bearer(viewer, now))
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    assert "no-store" in response["Cache-Control"]
    told = response.json()
    assert told["account"] == {"external_id": "acme", "name": "Acme", "merged_into": None}
    (one,) = told["qualifications"]
    assert (one["definition"]["slug"], one["definition"]["version"], one["closed_at"]) == ("team-expansion", 1, None)
    assert (one["rule"]["kind"], one["rule"]["threshold"], one["rule"]["frozen"]["measured"]) == ("count", 3, 4)
    assert one["rule"]["frozen"]["people"] == [{"external_id": "acme-ann", "name": "ann"}]
    assert (told["next"], "today" in one["rule"]) == (None, False)


def test_todays_measure_on_request(world, viewer, now, client):
    use(world[0], "Invite Sent", at=now, count=2)
    asked = client.get("/api/v1/accounts/acme/qualifications/?today=1", **bearer(viewer, now)).json()
    (one,) = asked["qualifications"]
    assert (one["rule"]["frozen"]["measured"], one["rule"]["today"]["measured"]) == (4, 6)


def test_closed_ones_on_request(world, viewer, now, client):
    Qualification.objects.filter(account=world[0]).update(closed_at=now, close_cause="lapsed")

    def count(state):
        found = client.get(f"/api/v1/accounts/acme/qualifications/{state}", **bearer(viewer, now)).json()
        return len(found["qualifications"])

    assert (count(""), count("?state=open"), count("?state=closed"), count("?state=all")) == (0, 0, 1, 1)


def test_an_id_may_hold_slashes_and_a_merged_account_names_its_winner(world, viewer, now, client):
    odd = make_account("Odd")
    Account.objects.filter(pk=odd.pk).update(external_id="eu/odd one", merged_into=world[0])
    told = client.get("/api/v1/accounts/eu/odd%20one/qualifications/", **bearer(viewer, now)).json()
    assert told["account"] == {"external_id": "eu/odd one", "name": "Odd", "merged_into": "acme"}


def test_who_qualifies_page_by_page(world, viewer, now, client, monkeypatch):
    monkeypatch.setattr("scoring.api.SIZE", 2)
    path, seen = "/api/v1/definitions/team-expansion/qualifiers/", []
    cursor = ""
    while cursor is not None:
        told = client.get(path, {"cursor": cursor} if cursor else {}, **bearer(viewer, now)).json()
        assert told["definition"] == {"slug": "team-expansion", "name": "Team expansion", "live_version": 1}
        seen.append([one["account"]["external_id"] for one in told["qualifications"]])
        cursor = told["next"]
    assert [len(page) for page in seen] == [2, 1] and sorted(sum(seen, [])) == ["acme", "bolt", "core"]


def test_errors_are_json_that_says_what_is_wrong(world, viewer, stranger, now, client):
    def asked(path, user=viewer, **headers):
        response = client.get(path, **(headers or bearer(user, now)))
        return response.status_code, response.json()["code"]

    account, qualifiers = "/api/v1/accounts/acme/qualifications/", "/api/v1/definitions/team-expansion/qualifiers/"
    assert asked("/api/v1/accounts/nobody/qualifications/") == (404, "not_found")
    assert asked("/api/v1/definitions/nothing/qualifiers/") == (404, "not_found")
    assert asked("/api/v1/nothing/") == (404, "not_found")
    assert asked(f"{account}?state=maybe") == (422, "invalid_parameter")
    assert asked(f"{account}?today=yes") == (422, "invalid_parameter")
    assert asked(f"{qualifiers}?cursor=damaged") == (422, "invalid_parameter")
    assert asked(account, stranger) == (403, "forbidden")
    assert asked(qualifiers, stranger) == (403, "forbidden")
    assert asked(account, HTTP_AUTHORIZATION="Bearer plt_wrong") == (401, "authentication_failed")
    assert asked(account, HTTP_X_NOTHING="") == (401, "not_authenticated")
    assert client.get(account)["WWW-Authenticate"].startswith("Bearer")
    assert client.post(account, **bearer(viewer, now)).status_code == 405


def test_a_write_key_does_not_read(world, client, now):
    from accounts import sources

    _, key = sources.create_source(name="Website", by=None, now=now)
    path = "/api/v1/accounts/acme/qualifications/"
    assert client.get(path, HTTP_AUTHORIZATION=f"Bearer {key}").status_code == 401


def test_a_log_in_reads_too_with_and_without_a_slash(world, client_of, rep):
    for path in ("/api/v1/accounts/acme/qualifications", "/api/v1/definitions/team-expansion/qualifiers"):
        for end in ("", "/"):
            assert client_of(rep).get(path + end).status_code == 200


@pytest.mark.parametrize("size", [1, 3])
def test_it_costs_the_same_for_any_number(size, now, viewer, django_assert_num_queries):
    publish(now - 20 * DAY)
    for number in range(size):
        qualified(f"Acme {number}", now=now)
    sweep(now)
    client, key = Client(), bearer(viewer, now)
    path = "/api/v1/definitions/team-expansion/qualifiers/"
    client.get(path, **key)  # the first use of a token is written down
    # reader, roles; definition; qualifiers (twice: those without a time come last), people, event types
    with django_assert_num_queries(7):
        assert len(client.get(path, **key).json()["qualifications"]) == size
    with django_assert_num_queries(13):  # and a snapshot: accounts, catalogue, measures, what is behind them
        client.get(f"{path}?today=1", **key)


# --- the file ---------------------------------------------------------------------------------------------------


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
