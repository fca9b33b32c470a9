"""How long the pages take with a whole population behind them, through HTTP on PostgreSQL.

    .venv/bin/python benchmarks/pages.py [--requests 200] [--handoffs 3000] [--piled-up 50000]

Uses the database that benchmarks/population.py leaves behind (run that first). Releases waiting episodes so
that the inbox holds `--handoffs`, claims some of them, starts gunicorn with two processes, logs in as a
sales rep, and asks for each page one after the other from `--clients` connections, for other accounts each
time. `--piled-up` fills the inbox further by SQL, with copies of an episode that was found (opening that many one
by one takes a quarter of an hour): so many open handoffs in all, three of five new, the others with ten people. A
page is what the server sends: without style sheets, and without the panels that it fetches, which are asked for by
themselves.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import time

import psycopg
from ingest import ROOT, free_port, manage, one, wait_for
from population import NAME

SETUP = """
import secrets
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Group
from django.utils import timezone
from accounts.models import StaffUser
from scoring import evaluate, handoffs, openings
from scoring.models import Definition, Handoff

def person(name, role):
    user, _ = StaffUser.objects.get_or_create(username=name)
    user.set_password(secrets.token_hex(16))
    user.save()
    user.groups.set([Group.objects.get(name=role)])
    return user

rep, admin = person("bench-rep", "sales rep"), person("bench-admin", "admin")
for number in range(2, 11):
    person(f"bench-rep-{number}", "sales rep")
wanted = {handoffs} - Handoff.objects.filter(closed_at=None).count()
if wanted > 0:
    definition = Definition.objects.get(slug="inviting-team")
    openings.release(definition_id=definition.pk, largest=wanted, by=admin, now=timezone.now())
    while evaluate.evaluate_due(now=timezone.now()).claimed:
        pass
    for pk in Handoff.objects.filter(status="new").values_list("pk", flat=True)[:60]:
        handoffs.claim(handoff_id=pk, by=rep, now=timezone.now())
session = import_module(settings.SESSION_ENGINE).SessionStore()
session[SESSION_KEY], session[HASH_SESSION_KEY] = str(rep.pk), rep.get_session_auth_hash()
session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
session.create()
print("COOKIE", session.session_key)
"""

# what openings leave behind, for companies that have no open handoff yet
PILE_UP = """
    WITH room AS (
        SELECT a.id, row_number() OVER (ORDER BY a.id) AS n FROM accounts_account a
        WHERE a.parent_id IS NULL AND a.merged_into_id IS NULL
          AND NOT EXISTS (SELECT 1 FROM scoring_handoff h WHERE h.company_id = a.id AND h.closed_at IS NULL)
        ORDER BY a.id LIMIT %(missing)s
    ), people AS (
        SELECT id, row_number() OVER (ORDER BY id) - 1 AS seat, count(*) OVER () AS seats FROM accounts_staffuser
        WHERE username LIKE 'bench-rep%%'
    ), opened AS (
        INSERT INTO scoring_handoff (company_id, status, opened_at, newest_evidence_at, owner_id, claimed_at, assigned,
            wakes_on_evidence, outcome_reason, outcome_note)
        SELECT room.id, CASE WHEN room.n %% 5 < 3 THEN 'new' ELSE 'claimed' END,
            now() - room.n %% 1000 * interval '1 hour', now() - room.n %% 997 * interval '1 hour',
            CASE WHEN room.n %% 5 < 3 THEN NULL ELSE people.id END,
            CASE WHEN room.n %% 5 < 3 THEN NULL ELSE now() - room.n %% 100 * interval '1 hour' END, false, true, '', ''
        FROM room JOIN people ON room.n %% people.seats = people.seat
        RETURNING id, company_id
    ), model AS (
        SELECT q.* FROM scoring_qualification q JOIN scoring_handoff h ON h.id = q.handoff_id
        WHERE q.closed_at IS NULL ORDER BY q.id LIMIT 1
    ), held AS (
        UPDATE scoring_qualification q SET handoff_id = opened.id, release = 'released' FROM opened, model
        WHERE q.account_id = opened.company_id AND q.definition_id = model.definition_id AND q.closed_at IS NULL
        RETURNING q.account_id
    )
    INSERT INTO scoring_qualification (account_id, definition_id, version_id, opened_at, since_at, since_day, cause,
        release, evidence, handoff_id, close_cause)
    SELECT opened.company_id, model.definition_id, model.version_id, model.opened_at, model.since_at, model.since_day,
        model.cause, 'released', model.evidence, opened.id, ''
    FROM opened, model WHERE NOT EXISTS (
        SELECT 1 FROM scoring_qualification q WHERE q.account_id = opened.company_id
        AND q.definition_id = model.definition_id AND q.closed_at IS NULL)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="postgres://postgres@127.0.0.1:5432", help="PostgreSQL, without a database")
    parser.add_argument("--requests", type=int, default=200, help="of each page")
    parser.add_argument("--handoffs", type=int, default=3000, help="open ones")
    parser.add_argument("--piled-up", type=int, default=0, help="open ones in all, the rest of them written by SQL")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 4], help="connections that ask at once")
    options = parser.parse_args()
    url = f"{options.server}/{NAME}"
    environment = {**os.environ, "DATABASE_URL": url, "BROKER_URL": "redis://127.0.0.1:1/0", "LOG_LEVEL": "ERROR"}
    said = manage(environment, "shell", "--no-imports", "-c", SETUP.replace("{handoffs}", str(options.handoffs)))
    cookie = "sessionid=" + said.split("COOKIE ")[1].strip()
    with psycopg.connect(url, autocommit=True) as db:
        missing = options.piled_up - int(one(db, "SELECT count(*) FROM scoring_handoff WHERE closed_at IS NULL"))
        if missing > 0:
            db.execute(PILE_UP, {"missing": missing})
        for table in ("scoring_handoff", "scoring_qualification", "accounts_accountdue", "accounts_stageentry"):
            db.execute(f"VACUUM ANALYZE {table}")
        accounts = one(db, "SELECT max(id) FROM accounts_account")
        open_now = db.execute("SELECT id, company_id FROM scoring_handoff WHERE closed_at IS NULL").fetchall()
    companies = [company for _, company in open_now] or [1]
    pages = {
        "inbox": ["/inbox/"],
        "inbox, mine": ["/inbox/?tab=mine"],
        "inbox, sorted by MRR": ["/inbox/?sort=mrr"],
        "inbox, one handoff": [f"/inbox/{pk}/" for pk, _ in open_now] or ["/inbox/"],
        "accounts": ["/accounts/", "/accounts/?sort=mrr", "/accounts/?q=company+12"],
        "account page": [f"/accounts/{1 + n * 37 % accounts}/" for n in range(2000)],
        "account page, in the inbox": [f"/accounts/{company}/" for company in companies],
        "its qualification panel": [f"/accounts/{company}/panels/qualification/" for company in companies],
        "its tickets panel": [f"/accounts/{company}/panels/tickets/" for company in companies],
        "definitions": ["/definitions/"],
        "home": ["/"],
    }
    port = free_port()
    web = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "plgops.wsgi", "--bind", f"127.0.0.1:{port}"),
            *("--worker-class", "gthread", "--threads", "4", "--workers", "2", "--log-level", "error"),
            "--no-control-socket",
        ],
        cwd=ROOT,
        env=environment,
    )
    try:
        wait_for(port)
        print(f"{os.cpu_count()} cores, {accounts:,} accounts, {len(open_now):,} open handoffs, 2 server processes\n")
        print("| page | clients | p50 ms | p95 ms | max ms | kB |")
        print("|---|---:|---:|---:|---:|---:|")
        for clients in options.clients:
            for name, paths in pages.items():
                times, size = ask(port, cookie, paths, requests=options.requests, clients=clients)
                p95 = statistics.quantiles(times, n=20)[-1]
                print(
                    f"| {name} | {clients} | {statistics.median(times) * 1e3:.0f} | {p95 * 1e3:.0f} |"
                    f" {max(times) * 1e3:.0f} | {size / 1e3:.0f} |",
                    flush=True,
                )
    finally:
        web.send_signal(signal.SIGTERM)
        web.wait(20)


def ask(port: int, cookie: str, paths: list[str], *, requests: int, clients: int) -> tuple[list[float], float]:
    """Seconds of each request, and the mean size of an answer as it is before compression."""
    with multiprocessing.Pool(clients) as pool:
        jobs = [(port, cookie, paths, requests // clients, number) for number in range(clients)]
        answers = [answer for found in pool.starmap(one_client, jobs) for answer in found]
    return [seconds for seconds, _ in answers], statistics.mean(size for _, size in answers)


def one_client(port: int, cookie: str, paths: list[str], requests: int, number: int) -> list[tuple[float, int]]:
    chance = random.Random(number)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    found = []
    for count in range(requests + 5):  # the first five warm the connection and are left out
        path = chance.choice(paths)
        began = time.perf_counter()
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        body = answer.read()
        seconds = time.perf_counter() - began
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status}")
        if count >= 5:
            found.append((seconds, len(body)))
    return found


if __name__ == "__main__":
    main()
