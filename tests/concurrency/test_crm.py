"""The CRM under races and kills: no company twice, no touch twice, nothing lost."""

from __future__ import annotations

import datetime as dt
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from django.conf import settings as project
from django.db import connection
from django.utils import timezone

from accounts.models import AccountDue
from plgops.lib import access
from scoring.crm import connections, pull, push
from scoring.models import CrmActivity, CrmConnection, CrmLink, HandoffActivity
from tests.concurrency.races import at_once
from tests.conftest import make_staff
from tests.factories.crm import connected, in_sales, owner_there
from tests.hubspot_server import hubspot_server

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True, serialized_rollback=True)]
COMPANIES = 40


@pytest.fixture
def server(settings):
    with hubspot_server() as world:
        settings.HUBSPOT_URL = world.url
        yield world


@pytest.fixture
def boss(db):
    return make_staff("boss", access.ADMIN)


def test_sweeps_at_once_make_each_company_once(server, boss):
    server.lags = True
    for number in range(COMPANIES):  # each domain twice: two accounts of one company
        in_sales(f"Lumen {number}", domain=f"lumen{number // 2}.io")
    connections.connect(token=server.token, by=boss, now=timezone.now())
    connections.switch_on(by=boss, now=timezone.now())

    def sweep() -> None:
        while push.push_due(clock=timezone.now, limit=5).claimed:
            pass

    assert at_once(*[sweep] * 4, timeout=60) == [None] * 4
    sweep()
    assert len(server.companies) == COMPANIES // 2
    assert sorted(CrmLink.objects.exclude(crm_id="").values_list("crm_id", flat=True)) == sorted(server.companies)
    assert not AccountDue.objects.filter(consumer="crm", is_behind=True).exists()


def test_pulls_at_once_count_a_touch_once(server, boss):
    rep = make_staff("rep", access.SALES_REP)
    owner_there(server, rep, "51")
    now = timezone.now()
    account = in_sales("Lumen", owner=rep, domain="lumen.io", at=now - dt.timedelta(days=1))
    connected(server, boss, now=now)
    for number in range(20):
        call = server.add(
            "calls", now, hs_call_title=f"{number}", hs_timestamp=(now - dt.timedelta(hours=1)).isoformat()
        )
        server.link("calls", call, CrmLink.objects.get(company=account).crm_id)

    def read() -> None:
        CrmConnection.objects.update(pull_due_at=now)
        pull.pull_due(clock=timezone.now)

    assert at_once(*[read] * 4, timeout=60) == [None] * 4
    read()
    assert (CrmActivity.objects.count(), HandoffActivity.objects.count()) == (20, 20)


WORKER = """
import datetime as dt, django
django.setup()
from django.utils import timezone
from scoring.crm import push
push.LEASE = dt.timedelta(seconds=1)
while True:
    push.push_due(clock=timezone.now, limit=4)
"""


def test_workers_that_are_killed_at_random_make_no_company_twice(server, boss):
    server.lags = True
    server.before = lambda *_: time.sleep(0.02)
    for number in range(COMPANIES):
        in_sales(f"Lumen {number}", domain=f"lumen{number}.io")
    connections.connect(token=server.token, by=boss, now=timezone.now())
    connections.switch_on(by=boss, now=timezone.now())
    chance = random.Random(7)
    base = connection.settings_dict
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "plgops.settings",
        "DATABASE_URL": f"postgres://{base['USER']}:{base['PASSWORD']}@{base['HOST']}:{base['PORT']}/{base['NAME']}",
        "HUBSPOT_URL": server.url,
        "SECRET_KEY": project.SECRET_KEY,
    }
    killed = 0
    until = time.monotonic() + 60
    while time.monotonic() < until and (killed < 4 or CrmLink.objects.exclude(crm_id="").count() < COMPANIES):
        worker = subprocess.Popen([sys.executable, "-c", WORKER], env=environment, cwd=project.BASE_DIR)
        enough, patience = len(server.asked) + chance.randint(2, 14), time.monotonic() + 15
        while len(server.asked) < enough and time.monotonic() < patience:
            if CrmLink.objects.exclude(crm_id="").count() == COMPANIES:
                break
            time.sleep(0.01)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        killed += 1
    server.before = None
    made = len(server.companies)
    at = timezone.now() + dt.timedelta(minutes=10)
    while push.push_due(clock=lambda: at).claimed:
        pass
    assert killed >= 4 and made > 0
    assert len(server.companies) == COMPANIES
    assert CrmLink.objects.exclude(crm_id="").count() == COMPANIES
    assert len({company["plgops_account"] for company in server.companies.values()}) == COMPANIES
