"""Why accounts qualify, asked by programs."""

import pytest

from accounts.models import Account
from scoring.models import Qualification
from tests.api.conftest import DAY, qualified
from tests.factories.scoring import make_account, publish, sweep, use

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(program, viewer):
    return program(viewer, "qualifications:read", "definitions:read")


def test_why_an_account_qualifies(world, reader):
    status, told = reader.get("accounts/acme/qualifications/")
    assert (status, reader.last["Content-Type"]) == (200, "application/json")
    assert "no-store" in reader.last["Cache-Control"]
    assert told["account"] == {"external_id": "acme", "name": "Acme", "merged_into": None}
    (one,) = told["qualifications"]
    assert (one["definition"]["slug"], one["definition"]["version"], one["closed_at"]) == ("team-expansion", 1, None)
    assert (one["rule"]["kind"], one["rule"]["threshold"], one["rule"]["frozen"]["measured"]) == ("count", 3, 4)
    assert one["rule"]["frozen"]["people"] == [{"external_id": "acme-ann", "name": "ann"}]
    assert (told["next"], "today" in one["rule"]) == (None, False)


def test_it_is_the_one_explanation_wherever_it_is_asked(world, reader):
    (one,) = reader.get("accounts/acme/qualifications/")[1]["qualifications"]
    assert reader.get(f"qualifications/{one['id']}/") == (200, one)
    assert one in reader.get("qualifications/")[1]["qualifications"]
    assert one in reader.get("definitions/team-expansion/qualifiers/")[1]["qualifications"]
    assert reader.get("qualifications/999999/")[0] == 404


def test_todays_measure_on_request(world, reader, now):
    use(world[0], "Invite Sent", at=now, count=2)
    (one,) = reader.get("accounts/acme/qualifications/", today="1")[1]["qualifications"]
    assert (one["rule"]["frozen"]["measured"], one["rule"]["today"]["measured"]) == (4, 6)
    told = reader.get(f"qualifications/{one['id']}/", today="1")[1]
    assert told["rule"]["today"]["measured"] == 6


def test_closed_ones_on_request(world, reader, now):
    Qualification.objects.filter(account=world[0]).update(closed_at=now, close_cause="lapsed")
    counts = [
        [
            len(reader.get(path, **query)[1]["qualifications"])
            for path in ("accounts/acme/qualifications/", "qualifications/")
        ]
        for query in ({}, {"state": "open"}, {"state": "closed"}, {"state": "all"})
    ]
    assert counts == [[0, 2], [0, 2], [1, 1], [1, 3]]


def test_qualifications_are_narrowed(world, reader, now):
    Qualification.objects.filter(account=world[0]).update(opened_at=now - 9 * DAY)

    def found(**query):
        return sorted(
            one["account"]["external_id"] for one in reader.get("qualifications/", **query)[1]["qualifications"]
        )

    assert found(account="bolt") == ["bolt"]
    assert found(definition="team-expansion") == ["acme", "bolt", "core"]
    assert found(definition="another") == []
    assert found(updated_since=(now - DAY).isoformat()) == ["bolt", "core"]
    Qualification.objects.filter(account=world[0]).update(closed_at=now, close_cause="lapsed")
    assert found(updated_since=(now - DAY).isoformat(), state="all") == ["acme", "bolt", "core"]


def test_an_id_may_hold_slashes_and_a_merged_account_names_its_winner(world, reader):
    odd = make_account("Odd")
    Account.objects.filter(pk=odd.pk).update(external_id="eu/odd one", merged_into=world[0])
    told = reader.get("accounts/eu/odd%20one/qualifications/")[1]
    assert told["account"] == {"external_id": "eu/odd one", "name": "Odd", "merged_into": "acme"}


@pytest.mark.parametrize("path", ["definitions/team-expansion/qualifiers/", "qualifications/"])
def test_page_by_page(world, reader, path):
    seen, cursor = [], ""
    while cursor is not None:
        told = reader.get(path, limit=2, **({"cursor": cursor} if cursor else {}))[1]
        seen.append([one["account"]["external_id"] for one in told["qualifications"]])
        cursor = told["next"]
    assert [len(page) for page in seen] == [2, 1] and sorted(sum(seen, [])) == ["acme", "bolt", "core"]


@pytest.mark.parametrize(
    ("path", "queries"),
    [
        # token with its owner, roles; what it is of; qualifiers (twice: those without a time come last), people, types
        ("definitions/team-expansion/qualifiers/", 7),
        ("accounts/acme-0/qualifications/", 6),
        ("qualifications/", 5),
    ],
)
@pytest.mark.parametrize("size", [1, 3])
def test_it_costs_the_same_for_any_number(size, now, reader, django_assert_num_queries, path, queries):
    publish(now - 20 * DAY)
    if path.startswith("accounts"):
        for number in range(size - 1):
            publish(now - 20 * DAY, slug=f"more-{number}", name=f"More {number}")
    for number in range(size):
        qualified(f"Acme {number}", now=now)
    sweep(now)
    with django_assert_num_queries(queries):
        assert len(reader.get(path)[1]["qualifications"]) == size
