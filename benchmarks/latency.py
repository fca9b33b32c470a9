"""From an event's acceptance to its handoff in the inbox, under load, on PostgreSQL and Redis.

    .venv/bin/python benchmarks/latency.py [--seconds 90] [--rate 100] [--broker redis://127.0.0.1:6379/8]

Makes a database of its own (`plgops_latency` on `--server`, dropped first), publishes a definition, and starts
what production runs: gunicorn with two processes, and a worker with beat and two processes. Then `--rate`
events a second are posted, ten a request; one in twenty makes an account qualify that did not yet. The clock
of such an account starts when the API has answered 200, and stops when its handoff can be read from the
inbox's table, which is asked every 20 ms. Memory is the largest resident size of each process of the worker.
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import http.client
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import psycopg
from ingest import ROOT, free_port, manage, wait_for

NAME = "plgops_latency"
PER_REQUEST = 10
TRIGGER_EVERY = 20  # events
ACCOUNTS, PEOPLE = 2_000, 10
DEFINITION = {
    "slug": "inviting-team",
    "name": "Inviting team",
    "purpose": "pql",
    "rule": {
        "all": [
            {
                "distinct": {
                    "event": "Invite Sent",
                    "of": "invitee_email",
                    "at_least": 1,
                    "window": {"last_days": 14},
                }
            },
            {"days": {"event": "*", "at_least": 1, "window": {"last_days": 28}}},
            {"not": {"stage": {"reached": "paid"}}},
        ]
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="postgres://postgres@127.0.0.1:5432", help="PostgreSQL, without a database")
    parser.add_argument("--broker", default="redis://127.0.0.1:6379/8")
    parser.add_argument("--seconds", type=int, default=90)
    parser.add_argument("--rate", type=int, default=100, help="events a second")
    options = parser.parse_args()
    url = f"{options.server}/{NAME}"
    with psycopg.connect(f"{options.server}/postgres", autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {NAME}")
    with tempfile.TemporaryDirectory() as var:
        environment = {
            **os.environ,
            "DATABASE_URL": url,
            "BROKER_URL": options.broker,
            "PLGOPS_VAR": var,
            "LOG_LEVEL": "ERROR",
        }
        manage(environment, "migrate", "--verbosity", "0")
        key = manage(environment, "create_source", "benchmark").strip()
        with psycopg.connect(url, autocommit=True) as db:
            db.execute(
                "INSERT INTO accounts_eventtype (name, meaning, description, is_activity, metered_property,"
                " distinct_property) VALUES ('Invite Sent', 'invite', '', true, '', 'invitee_email')"
            )
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(DEFINITION, file)
            file.flush()
            manage(environment, "define", file.name)
        measure(options, environment, url, key)


def measure(options: argparse.Namespace, environment: dict[str, str], url: str, key: str) -> None:
    port = free_port()
    python = [sys.executable, "-m"]
    web = subprocess.Popen(
        [*python, "gunicorn", "plgops.wsgi", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"]
        + ["--threads", "4", "--workers", "2", "--log-level", "error", "--no-control-socket"],
        cwd=ROOT,
        env=environment,
    )
    worker = subprocess.Popen(
        [*python, "celery", "--app", "plgops", "--quiet", "worker", "--beat", "--concurrency", "2"]
        + ["--loglevel", "ERROR"],
        cwd=ROOT,
        env=environment | {"PYTHONWARNINGS": "ignore"},
    )
    memory: dict[int, int] = {}
    stop = threading.Event()
    threads = [threading.Thread(target=watch_memory, args=(worker.pid, memory, stop), daemon=True)]
    accepted: dict[str, float] = {}
    seen: dict[str, float] = {}
    threads.append(threading.Thread(target=watch_inbox, args=(url, seen, stop), daemon=True))
    try:
        wait_for(port)
        time.sleep(5)  # the worker's processes
        for thread in threads:
            thread.start()
        late = post(options, port, key, accepted)
        patience = time.monotonic() + 60
        while time.monotonic() < patience and accepted.keys() - seen.keys():
            time.sleep(0.05)
    finally:
        stop.set()
        for process in (web, worker):
            process.send_signal(signal.SIGTERM)
        for process in (web, worker):
            process.wait(30)
    missing = accepted.keys() - seen.keys()
    waits = sorted(seen[account] - at for account, at in accepted.items() if account in seen)
    p95 = statistics.quantiles(waits, n=20)[-1]
    print(f"{os.cpu_count()} cores, {options.rate} events/s for {options.seconds} s, in requests of {PER_REQUEST}\n")
    print(
        "| accounts that qualified | never seen | p50 s | p95 s | max s | sent late s | worker MB (largest) | in all |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    print(
        f"| {len(accepted)} | {len(missing)} | {statistics.median(waits):.2f} | {p95:.2f} | {waits[-1]:.2f} |"
        f" {late:.2f} | {max(memory.values()) / 1024:.0f} | {sum(memory.values()) / 1024:.0f} |"
    )
    if missing:
        raise SystemExit(f"{len(missing)} accounts qualified and were not handed over")


def post(options: argparse.Namespace, port: int, key: str, accepted: dict[str, float]) -> float:
    """Send the load at its pace; the most seconds by which a request left too late."""
    chance = random.Random(7)
    headers = {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    gap = PER_REQUEST / options.rate
    began, late, count = time.monotonic(), 0.0, 0
    for number in range(int(options.seconds / gap)):
        planned = began + number * gap
        if (wait := planned - time.monotonic()) > 0:
            time.sleep(wait)
        late = max(late, time.monotonic() - planned)
        now = dt.datetime.now(dt.UTC)
        messages, qualifying = [], []
        for _ in range(PER_REQUEST):
            count += 1
            if count % TRIGGER_EVERY == 0:
                account, event = f"new-{count}", "Invite Sent"
                qualifying.append(account)
            else:
                account, event = f"account-{chance.randrange(ACCOUNTS)}", f"Event {chance.randrange(12)}"
            messages.append(
                {
                    "type": "track",
                    "messageId": uuid.uuid4().hex,
                    "userId": f"user-{account}-{chance.randrange(PEOPLE)}",
                    "event": event,
                    "timestamp": now.isoformat(),
                    "properties": {"invitee_email": f"guest{count}@c.example", "rows": 7},
                    "context": {"groupId": account},
                }
            )
        connection.request("POST", "/v1/batch", json.dumps({"batch": messages, "sentAt": now.isoformat()}), headers)
        answer = connection.getresponse()
        body = answer.read()
        at = time.monotonic()
        if answer.status != 200:
            raise SystemExit(f"{answer.status}: {body[:300]!r}")
        accepted.update(dict.fromkeys(qualifying, at))
    return late


def watch_inbox(url: str, seen: dict[str, float], stop: threading.Event) -> None:
    """Note when each account's handoff can be read."""
    last = 0
    with psycopg.connect(url, autocommit=True) as db:
        while not stop.is_set():
            rows = db.execute(
                "SELECT h.id, a.external_id FROM scoring_handoff h JOIN accounts_account a ON a.id = h.company_id"
                " WHERE h.status = 'new' AND h.id > %s - 1000",  # a smaller id may be committed later
                (last,),
            ).fetchall()
            at = time.monotonic()
            for pk, account in rows:
                seen.setdefault(account, at)
                last = max(last, pk)
            time.sleep(0.02)


def watch_memory(pid: int, memory: dict[int, int], stop: threading.Event) -> None:
    """The largest resident size, in kB, of a process and of those that it started."""
    while not stop.is_set():
        for process in [pid, *started_by(pid)]:
            try:
                status = Path(f"/proc/{process}/status").read_text()
            except OSError:
                continue
            peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
            memory[process] = max(memory.get(process, 0), int(peak))
        time.sleep(1)


def started_by(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]


if __name__ == "__main__":
    main()
