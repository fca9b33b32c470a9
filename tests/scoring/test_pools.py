"""Whose turn it is: fairness over thousands of turns, with people who come and go."""

import random
from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.pools import Seat, Turn, next_turn


class World:
    """A pool over time: gives turns to whoever is there and remembers to whom."""

    def __init__(self, shares):
        self.seats = {person: Seat(person, share) for person, share in shares.items()}
        self.last, self.given = Turn(), []

    def give(self, there=None):
        found = next_turn((seat for person, seat in self.seats.items() if there is None or person in there), self.last)
        if found is None:
            return None
        self.seats[found.seat.person], self.last = found.seat, found.turn
        self.given.append(found.seat.person)
        return found.seat.person


def widest(given, people, length):
    """The widest difference of two people's counts in any stretch of `length` consecutive turns."""
    counts, found = Counter(given[:length]), 0
    for i in range(len(given) - length + 1):
        if i:
            counts[given[i - 1]] -= 1
            counts[given[i + length - 1]] += 1
        numbers = [counts[p] for p in people]
        found = max(found, max(numbers) - min(numbers))
    return found


def test_ten_thousand_turns_at_equal_weight_differ_by_at_most_one_in_any_hundred():
    world = World(dict.fromkeys(range(1, 8), 100))
    for _ in range(10_000):
        world.give()
    assert widest(world.given, range(1, 8), 100) == 1
    assert set(Counter(world.given).values()) == {10_000 // 7, 10_000 // 7 + 1}


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(0, 3), st.randoms(use_true_random=False), st.integers(2, 120))
def test_those_who_stay_differ_by_at_most_one_in_any_stretch_whoever_comes_and_goes(stay, others, chance, length):
    """Everybody's ids are mixed, so that who comes stands before, between and behind those who stay."""
    ids = chance.sample(range(1, 50), stay + others)
    staying, coming = ids[:stay], ids[stay:]
    world = World(dict.fromkeys(ids, 100))
    here = set()
    for _ in range(600):
        here ^= {p for p in coming if chance.random() < 0.1}
        world.give({*staying, *here})
    assert widest(world.given, staying, length) <= 1


def test_weights_and_ramps_are_shares_of_the_turns():
    """Ten thousand turns among 1 : 2 : 3 and one who begins at a quarter."""
    shares = {1: 100, 2: 200, 3: 300, 4: 25}
    world = World(shares)
    for _ in range(10_000):
        world.give()
    counts = Counter(world.given)
    for person, share in shares.items():
        assert abs(counts[person] - 10_000 * share / 625) <= 1


def test_a_newcomer_starts_where_the_round_is():
    world = World({2: 100, 4: 100, 6: 100})
    for _ in range(500):
        world.give()
    world.seats[5] = Seat(5, 100)
    after = [world.give() for _ in range(40)]
    assert Counter(after) == {2: 10, 4: 10, 5: 10, 6: 10}


def test_who_was_away_is_not_flooded_when_they_are_back():
    world = World(dict.fromkeys((1, 2, 3), 100))
    for _ in range(300):
        world.give({1, 3})
    back = [world.give() for _ in range(30)]
    assert Counter(back) == {1: 10, 2: 10, 3: 10}
    assert all(a != b for a, b in zip(back, back[1:], strict=False))


def test_a_turn_that_is_owed_comes_before_the_round_and_leaves_it_as_it_was():
    world = World(dict.fromkeys((1, 2, 3), 100))
    assert [world.give() for _ in range(4)] == [1, 2, 3, 1]
    world.seats[1] = replace(world.seats[1], owed=1)  # the last one was a bad lead
    assert [world.give() for _ in range(4)] == [1, 2, 3, 1]
    assert world.seats[1].owed == 0


def test_a_turn_that_is_owed_waits_for_whoever_is_away():
    world = World(dict.fromkeys((1, 2, 3), 100))
    world.seats[3] = replace(world.seats[3], owed=2)
    assert [world.give({1, 2}) for _ in range(4)] == [1, 2, 1, 2]
    assert world.seats[3].owed == 2


def test_more_weight_counts_from_the_next_turn():
    world = World({1: 1, 2: 100})
    for _ in range(150):
        world.give()
    world.seats[1] = replace(world.seats[1], share=100)
    assert Counter(world.give() for _ in range(20)) == {1: 10, 2: 10}


def test_nobody_is_there():
    assert World({}).give() is None


def test_the_order_says_who_is_next():
    world = World(dict.fromkeys((1, 2, 3), 100))
    world.give()
    assert next_turn(world.seats.values(), world.last).order == (2, 3, 1)


def test_the_same_turns_come_out_however_the_seats_are_listed():
    one, other = World(dict.fromkeys((1, 2, 3), 50)), World(dict.fromkeys((3, 1, 2), 50))
    random.Random(1).shuffle(list(other.seats))
    assert [one.give() for _ in range(10)] == [other.give() for _ in range(10)]
