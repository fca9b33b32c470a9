"""Accounts, asked by programs."""

import datetime as dt

import pytest
from django.utils import timezone

from accounts.models import Account, StageEntry
from accounts.workspace import day_of
from tests.factories.scoring import make_account

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(program, viewer):
    return program(viewer, "accounts:read")


@pytest.fixture
def some(rep, now):
    make_account("Acme", plan="team", mrr="120.50", seats=9, owner=rep, last_seen_at=now, traits={"country": "DE"})
    make_account("Bolt", plan="free", parent=Account.objects.get(external_id="acme"))
    make_account("Ours", is_internal=True)
    make_account("Gone", merged_into=Account.objects.get(external_id="acme"))


def found(reader, **query):
    return [one["external_id"] for one in reader.get("accounts/", **query)[1]["accounts"]]


def test_an_account_in_full(some, reader, now):
    account = Account.objects.get(external_id="acme")
    at = now - dt.timedelta(days=2)
    StageEntry.objects.create(
        account=account, origin=account, stage="activated", at=at, day=day_of(at), recorded_at=now, cause="x"
    )
    status, told = reader.get("accounts/acme/")
    assert status == 200
    assert (told["name"], told["plan"], told["mrr"], told["seats"]) == ("Acme", "team", "120.50", 9)
    assert told["owner"] == {"username": "dana", "name": "Dana Whitfield"}
    assert (told["traits"], [one["stage"] for one in told["stages"]]) == ({"country": "DE"}, ["activated"])
    assert told["signed_up_at"] == "2026-05-01T09:00:00Z"
    assert reader.get("accounts/bolt/")[1]["parent"] == "acme"
    assert reader.get("accounts/gone")[1]["merged_into"] == "acme"


def test_the_list_and_what_narrows_it(some, reader, now):
    assert found(reader) == ["acme", "bolt"]
    assert found(reader, internal="true") == ["ours"]
    assert found(reader, plan="team") == ["acme"]
    assert found(reader, owner="dana") == ["acme"]
    assert found(reader, owner="none") == ["bolt"]
    assert found(reader, seen_since=(now - dt.timedelta(hours=1)).isoformat()) == ["acme"]
    assert found(reader, seen_since=(timezone.now() + dt.timedelta(hours=1)).isoformat()) == []


def test_the_list_is_walked_to_its_end_while_it_grows(reader):
    for number in range(5):
        make_account(f"Acme {number}")
    seen, cursor = [], ""
    while cursor is not None:
        told = reader.get("accounts/", limit=2, cursor=cursor)[1]
        seen += [one["external_id"] for one in told["accounts"]]
        cursor = told["next"]
        if len(seen) == 4:
            make_account("Late")
    assert seen == [f"acme-{number}" for number in range(5)] + ["late"]


@pytest.mark.parametrize("size", [1, 3])
def test_it_costs_the_same_for_any_number(size, reader, django_assert_num_queries):
    for number in range(size):
        make_account(f"Acme {number}")
    with django_assert_num_queries(3):  # token with its owner, roles, accounts
        assert len(found(reader)) == size
    with django_assert_num_queries(4):  # and the stages
        reader.get("accounts/acme-0/")
