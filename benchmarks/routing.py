"""How fast accounts are given away, how fair it stays, and how many deadlines a second are reckoned.

    python benchmarks/routing.py [--turns 10000] [--handoffs 300]

Turns and deadlines are pure. Handoffs are routed through the tables, each in its transaction, into a database of its
own that is made and dropped: SQLite, or what DATABASE_URL names.
"""

from __future__ import annotations

import argparse
import datetime as dt
import logging
import os
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "plgops.settings")

import django

django.setup()
logging.disable(logging.WARNING)  # that there is no broker to ring

from django.db import connection  # noqa: E402

from plgops.lib.business_time import Calendar, due_at  # noqa: E402
from scoring.pools import Seat, Turn, next_turn  # noqa: E402

UTC = dt.UTC
WEEK = {day: [["09:00", "12:30"], ["13:30", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}


def turns(many: int) -> None:
    """Fairness and cost of so many turns among seven with equal weight, and among four with different ones."""
    for name, shares in (("7 equal", [100] * 7), ("1 : 2 : 3 : ramp 25%", [100, 200, 300, 25])):
        seats = {n: Seat(n, share) for n, share in enumerate(shares, start=1)}
        last, given, begun = Turn(), [], time.perf_counter()
        for _ in range(many):
            found = next_turn(seats.values(), last)
            seats[found.seat.person], last = found.seat, found.turn
            given.append(found.seat.person)
        took = time.perf_counter() - begun
        counts, widest = Counter(given), 0
        for start in range(0, many - 100, 7):
            window = Counter(given[start : start + 100])
            numbers = [window[n] for n in seats]
            widest = max(widest, max(numbers) - min(numbers))
        spread = widest if len(set(shares)) == 1 else "-"
        off = max(abs(counts[n] - many * share / sum(shares)) for n, share in enumerate(shares, start=1))
        print(
            f"{name:24} {many:>8,} turns {1e6 * took / many:>8.1f} µs each   widest in any 100: {spread:>3}"
            f"   off its share: {off:.2f}"
        )


def deadlines(many: int = 100_000) -> None:
    """Deadlines a second, over two years of starts and targets from a minute to three weeks."""
    calendar = Calendar("Europe/Berlin", WEEK, ["2026-12-25", "2027-01-01"], {"2026-12-24": [["09:00", "12:00"]]})
    start = dt.datetime(2026, 1, 1, tzinfo=UTC)
    asked = [(start + dt.timedelta(minutes=(n * 7919) % 1_051_200), 1 + (n * 104_729) % 7_200) for n in range(many)]
    begun = time.perf_counter()
    for at, minutes in asked:
        due_at(at, minutes, calendar)
    took = time.perf_counter() - begun
    print(f"{'deadlines':24} {many:>8,}       {1e6 * took / many:>8.1f} µs each   {many / took:,.0f} a second")


def through_the_tables(many: int) -> None:
    """Route so many handoffs into a pool of eight with caps, one transaction each."""
    from scoring.models import Handoff, Seller
    from tests.conftest import NOW
    from tests.factories.routing import go, ladder_of, pool_of, sellers, waiting

    people = sellers("Ana", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana")
    for person in people:
        Seller.objects.create(person=person, daily_cap=1000, open_cap=1000)
    ladder_of({"kind": "owner"}, {"kind": "pool", "pool": pool_of(*people).pk})
    handoffs = [waiting() for _ in range(many)]
    times = []
    for handoff in handoffs:
        begun = time.perf_counter()
        go(handoff, now=NOW)
        times.append(1000 * (time.perf_counter() - begun))
    counts = Counter(Handoff.objects.values_list("owner", flat=True)).values()
    quantiles = statistics.quantiles(times, n=20)
    print(
        f"{'routed, ' + connection.vendor:24} {many:>8,}       {quantiles[9]:>8.1f} ms p50   {quantiles[18]:.1f} ms p95"
        f"   widest: {max(counts) - min(counts)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=10_000)
    parser.add_argument("--handoffs", type=int, default=300)
    asked = parser.parse_args()
    turns(asked.turns)
    deadlines()
    name = connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        through_the_tables(asked.handoffs)
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


if __name__ == "__main__":
    main()
