"""Whether a handoff that many claim at once goes to exactly one of them, and how long a claim takes then.

    .venv/bin/python benchmarks/claims.py [--races 1000] [--processes 8] [--wakes 1000]

On the PostgreSQL server that DATABASE_URL names, in a database of its own (plgops_claims, made anew and dropped).
Every race is one handoff and a claim by every process, each as a rep of its own, let go by a barrier. Then the same
processes sweep together over as many snoozed handoffs that are due. Afterwards the database is asked: one owner, one
audit row and one ledger entry per race; one waking, one audit row and one alert per sleeper. Exits non-zero if not.
"""

from __future__ import annotations

import argparse
import datetime as dt
import multiprocessing
import os
import statistics
import sys
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parent.parent
NAME = "plgops_claims"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--races", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--wakes", type=int, default=1000)
    options = parser.parse_args()
    server = os.environ.get("DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres").rsplit("/", 1)[0]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {NAME}")
        admin.execute(f"CREATE DATABASE {NAME}")
    os.environ["DATABASE_URL"] = f"{server}/{NAME}"
    try:
        failed = run(options.races, options.processes, options.wakes)
    finally:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
    sys.exit(failed)


def run(races: int, processes: int, wakes: int) -> int:
    """Set up, race, count; 0 when every count is what it has to be."""
    django_up()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    ids, reps = world(races, wakes, processes)
    connection.close()  # no process inherits it
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(processes), context.Queue()
    workers = [context.Process(target=work, args=(rep, ids, barrier, results)) for rep in reps]
    for worker in workers:
        worker.start()
    told = [results.get(timeout=3600) for _ in workers]
    for worker in workers:
        worker.join()
    return report(told, races=races, wakes=wakes, processes=processes)


def django_up() -> None:
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "plgops.settings")
    import django

    django.setup()


def world(races: int, wakes: int, processes: int) -> tuple[list[int], list[int]]:
    """Accounts with a handoff each, new ones and sleepers that are due; and a rep for every process."""
    from django.contrib.auth.models import Group
    from django.utils import timezone

    from accounts.models import Account, StaffUser
    from accounts.workspace import day_of
    from plgops.lib import access
    from scoring.models import Handoff

    now = timezone.now()
    reps = [StaffUser.objects.create(username=f"claims-{number}") for number in range(processes)]
    for rep in reps:
        rep.groups.add(Group.objects.get(name=access.SALES_REP))
    accounts = Account.objects.bulk_create(
        Account(
            external_id=f"claims-{number}",
            name=f"Company {number}",
            signed_up_at=now,
            signup_day=day_of(now),
            recorded_at=now,
        )
        for number in range(races + wakes)
    )
    new = [Handoff(company=one, opened_at=now, newest_evidence_at=now) for one in accounts[:races]]
    asleep = [
        Handoff(
            company=one,
            opened_at=now,
            newest_evidence_at=now,
            status="snoozed",
            owner=reps[0],
            claimed_at=now,
            snoozed_until=now,
        )
        for one in accounts[races:]
    ]
    Handoff.objects.bulk_create(asleep)
    return [one.pk for one in Handoff.objects.bulk_create(new)], [rep.pk for rep in reps]


def work(
    rep_id: int, ids: list[int], barrier: Barrier, results: multiprocessing.Queue[tuple[int, int, list[float], int]]
) -> None:
    """Claim each handoff together with the other processes, then sweep with them; how often this one was first."""
    django_up()
    from django.utils import timezone

    from accounts.models import StaffUser
    from scoring import handoffs, snooze

    rep = StaffUser.objects.get(pk=rep_id)
    won = lost = 0
    took = []
    for pk in ids:
        barrier.wait(600)
        began = time.perf_counter()
        try:
            handoffs.claim(handoff_id=pk, by=rep, now=timezone.now())
            won += 1
        except handoffs.AlreadyClaimed:
            lost += 1
        took.append(time.perf_counter() - began)
    barrier.wait(600)
    woken, now = 0, timezone.now() + dt.timedelta(seconds=1)
    while True:
        swept = snooze.wake_due(now=now)
        woken += swept
        if not swept:
            break
    results.put((won, lost, took, woken))


def report(told: list[tuple[int, int, list[float], int]], *, races: int, wakes: int, processes: int) -> int:
    """Print what came of it beside what had to; how many of these differ."""
    from accounts.models import AuditEntry, StageEntry
    from scoring.models import AlertFact, Handoff

    claimed = Handoff.objects.filter(status="claimed", woken_at=None, owner__isnull=False)
    rows = [
        ("claims won", sum(won for won, *_ in told), races),
        ("claims told who was first", sum(lost for _, lost, *_ in told), races * (processes - 1)),
        ("handoffs with an owner", claimed.count(), races),
        ("audit rows of claims", AuditEntry.objects.filter(action="handoff.claimed").count(), races),
        ("ledger entries", StageEntry.objects.filter(stage="claimed").count(), races),
        ("wakings counted by sweeps", sum(woken for *_, woken in told), wakes),
        ("still asleep", Handoff.objects.filter(status="snoozed").count(), 0),
        ("audit rows of wakings", AuditEntry.objects.filter(action="handoff.woken").count(), wakes),
        ("alerts of wakings", AlertFact.objects.filter(kind="handoff_woken").count(), wakes),
    ]
    print(f"{races:,} races of {processes} processes, {wakes:,} sleepers swept by {processes}")
    for what, found, wanted in rows:
        print(f"  {what:28} {found:>8,} of {wanted:>8,}  {'' if found == wanted else 'WRONG'}")
    took = sorted(second * 1000 for _, _, seconds, _ in told for second in seconds)
    print(
        f"  a claim takes                p50 {statistics.median(took):.1f} ms, p95 {took[int(len(took) * 0.95)]:.1f} ms"
    )
    print(f"  won by process               {', '.join(str(won) for won, *_ in told)}")
    return sum(found != wanted for _, found, wanted in rows)


if __name__ == "__main__":
    main()
