"""A delivery worker killed at random 50 times: how many alerts were lost, how many doubled.

    .venv/bin/python benchmarks/deliveries.py [--kills 50] [--destinations 10] [--facts 60]

Makes a database of its own (`plgops_deliveries` on `--server`, dropped first) and local HTTP receivers, one for each
destination, that answer after up to 300 ms so that kills fall into requests. Facts are told a few at a time; the worker
is killed (SIGKILL) after up to two seconds, at whatever it does then: writing deliveries, packing messages, in the
middle of a request, or between the receiver's answer and noting it. What arrived is counted at the receivers, by
`webhook-id`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parent.parent
NAME = "plgops_deliveries"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="postgres://postgres@127.0.0.1:5432", help="PostgreSQL, without a database")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--destinations", type=int, default=10)
    parser.add_argument("--facts", type=int, default=60)
    parser.add_argument("--longest", type=float, default=2.0, help="seconds after which a worker is killed, at most")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with psycopg.connect(f"{options.server}/postgres", autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {NAME}")
    with tempfile.TemporaryDirectory() as var:
        os.environ |= {
            "DATABASE_URL": f"{options.server}/{NAME}",
            "BROKER_URL": "memory://",
            "PLGOPS_VAR": var,
            "LOG_LEVEL": "ERROR",
            "ALLOW_PRIVATE_WEBHOOKS": "true",
            "DJANGO_SETTINGS_MODULE": "plgops.settings",
        }
        sys.path.insert(0, str(ROOT))
        measure(options)


def measure(options: argparse.Namespace) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    call_command("migrate", verbosity=0)
    from accounts.models import StaffUser
    from accounts.team import destinations
    from scoring import alert_rules
    from tests.concurrency import killing
    from tests.factories import desk
    from tests.receivers import receiving
    from tests.scoring.alert_world import wanted

    boss = StaffUser.objects.create(username="boss", is_superuser=True)
    company = desk.company(0, now=timezone.now())
    slow = random.Random(options.seed)

    def answer(got: object) -> tuple[int, dict[str, str], bytes]:
        time.sleep(slow.uniform(0, 0.3))
        return 200, {}, b"ok"

    with contextlib.ExitStack() as stack:
        receivers = {}
        for number in range(options.destinations):
            receiver = stack.enter_context(receiving(answer))
            made, _ = destinations.add(
                owner=None, channel="signed", name=f"{number}", address=receiver.url, by=boss, now=timezone.now()
            )
            alert_rules.save(destination_id=made.pk, wanted=wanted(), by=boss, now=timezone.now())
            receivers[made.pk] = receiver
        counted = killing.run(
            receivers, company.pk, facts=options.facts, kills=options.kills, seed=options.seed, longest=options.longest
        )
    lost, doubled = counted.expected - counted.arrived, counted.under_two_ids
    print(
        "| kills | with a message in flight | alerts | lost | doubled | requests that came again, same id | seconds |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|")
    print(
        f"| {counted.kills} | {counted.killed_in_flight} | {counted.expected:,} | {lost} | {doubled} "
        f"| {counted.came_again} ({counted.came_again / counted.expected:.1%}) | {counted.seconds:.0f} |"
    )
    raise SystemExit(bool(lost or doubled))


if __name__ == "__main__":
    main()
