"""Eight that give accounts away at once: the pool stays fair and nobody is over their cap."""

from collections import Counter

import pytest

from scoring.models import Assignment, Handoff, PoolMember, Seller
from tests.concurrency.races import at_once
from tests.factories.routing import go, ladder_of, pool_of, sellers, waiting

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True, serialized_rollback=True)]
MANY, THREADS = 200, 8


def race() -> None:
    """Route MANY handoffs, each thread its share of them."""
    ids = [waiting().pk for _ in range(MANY)]

    def give(part: int):
        def call() -> int:
            for handoff in Handoff.objects.filter(pk__in=ids[part::THREADS]).order_by("pk"):
                go(handoff)
            return len(ids[part::THREADS])

        return call

    results = at_once(*(give(part) for part in range(THREADS)), timeout=120)
    assert sum(results) == MANY


def test_eight_threads_give_two_hundred_and_two_people_differ_by_at_most_one():
    people = sellers("Ana", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus")
    ladder_of({"kind": "pool", "pool": pool_of(*people).pk})
    race()
    counts = Counter(Handoff.objects.values_list("owner", flat=True))
    assert sum(counts.values()) == MANY and set(counts) == {person.pk for person in people}
    assert max(counts.values()) - min(counts.values()) <= 1
    # in the order in which they were given, too: the turns of any hundred
    order = list(Assignment.objects.order_by("pk").values_list("place", flat=True))
    firsts = Counter(place["order"][0] for place in order)
    assert firsts == counts


def test_nobody_is_over_a_cap_that_two_pools_share():
    ana, ben, cleo = people = sellers("Ana", "Ben", "Cleo")
    for person, cap in zip(people, (30, 40, 50), strict=True):
        Seller.objects.create(person=person, daily_cap=cap, open_cap=cap + 5)
    one, other = pool_of(ana, ben, name="One"), pool_of(cleo, ben, ana, name="Other")
    ladder_of({"kind": "pool", "pool": one.pk}, {"kind": "pool", "pool": other.pk})
    race()
    counts = Counter(Handoff.objects.filter(owner__isnull=False).values_list("owner", flat=True))
    assert counts == {ana.pk: 30, ben.pk: 40, cleo.pk: 50}
    assert Handoff.objects.filter(owner=None).count() == MANY - 120
    assert not PoolMember.objects.filter(owed__gt=0).exists()
