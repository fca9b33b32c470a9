"""Ingest through HTTP on PostgreSQL, in events per second, as a ratio to a bare COPY of the same rows.

    .venv/bin/python benchmarks/ingest.py [--events 60000] [--preload 0 1000000] [--processes 2]

Makes a database of its own (`plgops_bench` on `--server`, dropped first), starts gunicorn with `--processes`
processes, and posts `/v1/batch` of 100 from `--clients` connections. The messages are those of a product in
use: 2,000 accounts with 10 people each, who joined a month ago, 20 event types, times within the last
minutes, each with properties and a group; `--newcomers` of them (a share) are of people never seen. Each
round is followed by a COPY of exactly the rows that it added to the log into a table of the same shape and
indexes. `--preload` grows the log to that many events by COPY before a round, so that the rounds show
whether ingest stays flat.

"Events per CPU-second" divides by the CPU time that the server processes and PostgreSQL used (Linux, and
PostgreSQL on this machine), which other work on the machine does not change.
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import http.client
import json
import multiprocessing
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parent.parent
NAME = "plgops_bench"
ACCOUNTS, PEOPLE, TYPES = 2_000, 10, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="postgres://postgres@127.0.0.1:5432", help="PostgreSQL, without a database")
    parser.add_argument("--events", type=int, default=60_000, help="events in a round")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2, help="of gunicorn")
    parser.add_argument("--clients", type=int, default=4, help="connections that post at once")
    parser.add_argument("--newcomers", type=float, default=0.0, help="share of events that are a new person's first")
    parser.add_argument("--preload", type=int, nargs="*", default=[0], help="size of the log before each round")
    options = parser.parse_args()

    url = f"{options.server}/{NAME}"
    with psycopg.connect(f"{options.server}/postgres", autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {NAME}")
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "BROKER_URL": os.environ.get("BROKER_URL", "redis://127.0.0.1:1/0"),  # nobody listens: ingest does not care
        "LOG_LEVEL": "ERROR",
        "DATABASE_CONN_MAX_AGE": "3600",  # a backend that ends takes its CPU time with it
    }
    manage(environment, "migrate", "--verbosity", "0")
    key = manage(environment, "create_source", "benchmark").strip()
    port = free_port()
    web = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "plgops.wsgi", "--bind", f"127.0.0.1:{port}"),
            *("--worker-class", "gthread", "--threads", "4", "--workers", str(options.processes)),
            *("--log-level", "error", "--no-control-socket"),
        ],
        cwd=ROOT,
        env=environment,
    )
    try:
        wait_for(port)
        with psycopg.connect(url, autocommit=True) as db:
            run_round(options, db, port, key, seed=0, events=ACCOUNTS * PEOPLE)  # people, accounts and types come to be
            db.execute("VACUUM ANALYZE")
            print(f"{os.cpu_count()} cores, {options.processes} server processes, batches of {options.batch}")
            print("| log before | events/s | events per CPU-second | p50 ms | p95 ms | bare COPY rows/s | ratio |")
            print("|---:|---:|---:|---:|---:|---:|---:|")
            for seed, size in enumerate(options.preload, 1):
                preload(db, size)
                before = one(db, "SELECT count(*) FROM accounts_event")
                burnt = cpu_seconds(web.pid)
                seconds, latencies = run_round(options, db, port, key, seed=seed, events=options.events)
                burnt = cpu_seconds(web.pid) - burnt
                copied = bare_copy(db, after=one(db, "SELECT max(id) FROM accounts_event") - options.events)
                ours, theirs = options.events / seconds, options.events / copied
                p50, p95 = statistics.median(latencies), statistics.quantiles(latencies, n=20)[-1]
                print(
                    f"| {before:,} | {ours:,.0f} | {options.events / burnt:,.0f} | {p50 * 1e3:.0f} | {p95 * 1e3:.0f} |"
                    f" {theirs:,.0f} | {ours / theirs:.3f} |",
                    flush=True,
                )
    finally:
        web.send_signal(signal.SIGTERM)
        web.wait(20)


def run_round(
    options: argparse.Namespace, db: psycopg.Connection, port: int, key: str, *, seed: int, events: int
) -> tuple[float, list[float]]:
    """Post `events` events and check that they arrived; seconds in all, and seconds of each request."""
    before = one(db, "SELECT count(*) FROM accounts_receipt")
    rounds = events // options.batch
    shares = [rounds // options.clients + (n < rounds % options.clients) for n in range(options.clients)]
    results: multiprocessing.Queue = multiprocessing.Queue()
    barrier = multiprocessing.Barrier(options.clients + 1)
    clients = [
        multiprocessing.Process(target=post, args=(port, key, made, options.batch, barrier, results))
        for made in (
            [(seed, sum(shares[:n]) + i, options.newcomers) for i in range(share)] for n, share in enumerate(shares)
        )
    ]
    for client in clients:
        client.start()
    barrier.wait()  # the bodies are made; now it counts
    started = time.perf_counter()
    answers = [results.get(timeout=600) for _ in clients]
    seconds = time.perf_counter() - started
    for answer in answers:
        if isinstance(answer, str):
            raise SystemExit(answer)
    latencies = [latency for answer in answers for latency in answer]
    for client in clients:
        client.join()
    arrived = one(db, "SELECT count(*) FROM accounts_receipt") - before
    if arrived != rounds * options.batch:
        raise SystemExit(f"{arrived} of {rounds * options.batch} events arrived")
    return seconds, latencies


def post(port: int, key: str, made: list[tuple[int, int, float]], batch: int, barrier: object, results: object) -> None:
    """One client: prepared bodies over one connection, one after the other."""
    bodies = [make_body(seed, n, newcomers, batch) for seed, n, newcomers in made]
    headers = {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    latencies = []
    barrier.wait()  # type: ignore[attr-defined]
    for body in bodies:
        started = time.perf_counter()
        connection.request("POST", "/v1/batch", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        latencies.append(time.perf_counter() - started)
        if answer.status != 200 or json.loads(text)["accepted"] != batch:
            results.put(f"{answer.status}: {text[:300]!r}")  # type: ignore[attr-defined]
            return
    results.put(latencies)  # type: ignore[attr-defined]


def make_body(seed: int, number: int, newcomers: float, batch: int) -> bytes:
    """What a client library sends: `batch` track calls. Those of seed 0 are everybody's first, a month ago."""
    chance = random.Random(seed * 1_000_003 + number)
    now = dt.datetime.now(dt.UTC)
    messages = []
    for n in range(batch):
        if seed == 0:
            account, person = divmod(number * batch + n, PEOPLE)
        else:
            account, person = chance.randrange(ACCOUNTS), chance.randrange(PEOPLE)
        if chance.random() < newcomers:
            person = PEOPLE + chance.getrandbits(40)
        age = 86_400 * 30 if seed == 0 else chance.randrange(120)
        messages.append(
            {
                "type": "track",
                "messageId": f"{chance.getrandbits(128):032x}",
                "userId": f"user-{account}-{person}",
                "anonymousId": None,
                "event": f"Event {min(chance.randrange(TYPES), chance.randrange(TYPES))}",
                "timestamp": (now - dt.timedelta(seconds=age)).isoformat(),
                "properties": {"rows": chance.randrange(1_000), "view": "table", "source": "web"},
                "context": {
                    "groupId": f"account-{account}",
                    "library": {"name": "analytics-python", "version": "2.4.0"},
                },
                "integrations": {},
            }
        )
    return json.dumps({"batch": messages, "sentAt": now.isoformat()}).encode()


def preload(db: psycopg.Connection, size: int) -> None:
    """Grow the log to `size` events of earlier days, with their receipts and usage."""
    missing = size - one(db, "SELECT count(*) FROM accounts_event")
    if missing <= 0:
        return
    types, first_type = (
        one(db, "SELECT count(*) FROM accounts_eventtype"),
        one(db, "SELECT min(id) FROM accounts_eventtype"),
    )
    members, first_member = (
        one(db, "SELECT count(*) FROM accounts_membership"),
        one(db, "SELECT min(id) FROM accounts_membership"),
    )
    source = one(db, "SELECT max(id) FROM accounts_source")
    start = one(db, "SELECT coalesce(max(id), 0) FROM accounts_event")
    numbers = f"generate_series({start + 1}, {start + missing}) AS n"
    at = "now() - make_interval(secs => 86400 * (2 + n % 500) + n % 80000)"
    copy_select(
        db,
        "accounts_event (source_id, message_id, event_type_id, user_id, account_id, user_key, account_key,"
        " occurred_at, received_at, properties, context)",
        f"""SELECT {source}, md5(n::text), {first_type} + n % {types}, m.user_id, m.account_id, m.user_key,
            m.account_key, {at}, {at}, '{{"rows": 7, "view": "table", "source": "web"}}',
            '{{"library": {{"name": "analytics-python", "version": "2.4.0"}}}}'
            FROM {numbers} JOIN accounts_membership m ON m.id = {first_member} + n % {members}""",
    )
    copy_select(
        db,
        "accounts_receipt (source_id, digest)",
        f"SELECT {source}, decode(md5('receipt' || n), 'hex') FROM {numbers}",
    )
    db.execute(
        f"""INSERT INTO accounts_usageday
            (account_id, user_id, event_type_id, day, count, sum_value, first_us, last_us)
            SELECT account_id, user_id, event_type_id, (extract(epoch FROM occurred_at) / 86400)::int, count(*), 0,
            min((extract(epoch FROM occurred_at) * 1000000)::bigint),
            max((extract(epoch FROM occurred_at) * 1000000)::bigint)
            FROM accounts_event WHERE id > {start} AND account_id IS NOT NULL GROUP BY 1, 2, 3, 4
            ON CONFLICT (account_id, user_id, event_type_id, day) DO UPDATE
            SET count = accounts_usageday.count + excluded.count"""
    )
    for table in ("accounts_event", "accounts_receipt", "accounts_usageday"):
        db.execute(f"VACUUM ANALYZE {table}")
    db.execute("CHECKPOINT")


def copy_select(db: psycopg.Connection, target: str, select: str) -> None:
    """COPY a query's rows into a table, through this process."""
    with (
        psycopg.connect(db.info.dsn, autocommit=True) as other,
        db.cursor().copy(f"COPY ({select}) TO STDOUT") as rows,
        other.cursor().copy(f"COPY {target} FROM STDIN") as table,
    ):
        for block in rows:
            table.write(block)


def bare_copy(db: psycopg.Connection, *, after: int) -> float:
    """Seconds in which COPY takes the round's rows into an empty table with the log's indexes."""
    db.execute("DROP TABLE IF EXISTS bench_copy")
    db.execute("CREATE TABLE bench_copy (LIKE accounts_event INCLUDING ALL)")
    with db.cursor() as cursor:
        with cursor.copy(f"COPY (SELECT * FROM accounts_event WHERE id > {after}) TO STDOUT") as out:
            blocks = [bytes(block) for block in out]
        started = time.perf_counter()
        with cursor.copy("COPY bench_copy FROM STDIN") as into:
            for block in blocks:
                into.write(block)
        seconds = time.perf_counter() - started
    db.execute("DROP TABLE bench_copy")
    return seconds


def cpu_seconds(web: int, name: str = NAME) -> float:
    """CPU time that gunicorn's workers and PostgreSQL's backends for the database of this name have used so far."""
    workers = Path(f"/proc/{web}/task/{web}/children").read_text().split()
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if process.name in workers or (b"postgres:" in command and f" {name} ".encode() in command):
                numbers = (process / "stat").read_text().rpartition(")")[2].split()
                ticks += int(numbers[11]) + int(numbers[12])
        except OSError:  # it ended meanwhile
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def one(db: psycopg.Connection, query: str) -> int:
    row = db.execute(query).fetchone()
    return int(row[0]) if row else 0


def manage(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("gunicorn did not start")


if __name__ == "__main__":
    main()
