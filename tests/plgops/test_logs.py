"""What the console shows: a traceback for what broke, a line for what was refused."""

import logging
import sys

import pytest
from django.test import Client
from django.utils import timezone

from plgops.lib import access
from plgops.lib.logs import Line
from scoring import claim_links
from tests.conftest import make_staff
from tests.factories import desk
from tests.scoring.alert_world import definitions, open_handoff


def told(**extra):
    try:
        raise ValueError("only for admins")
    except ValueError:
        record = logging.LogRecord("django.request", 30, __file__, 1, "Forbidden: %s", ("/x/",), sys.exc_info())
    record.__dict__.update(extra)
    return record, Line("%(levelname)s %(message)s").format(record)


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refusal_is_one_line_and_the_record_keeps_what_it_had(status):
    record, line = told(status_code=status)
    assert line == "WARNING Forbidden: /x/"
    assert record.exc_info is not None


@pytest.mark.parametrize("extra", [{"status_code": 500}, {}])
def test_what_broke_keeps_its_traceback(extra):
    _, line = told(**extra)
    assert "Traceback" in line and line.endswith("ValueError: only for admins")


def test_a_claim_link_is_never_in_the_log(client, client_of, caplog, db):
    """Somebody else's link, a damaged one, and one whose form was forged: refused, and perhaps still good."""
    now = timezone.now()
    dana, theo = make_staff("dana", access.SALES_REP), make_staff("theo", access.SALES_REP)
    handoff = open_handoff(desk.company(0, now=now), definitions()[1], at=now)
    url = claim_links.address(handoff_id=handoff.pk, recipient_id=dana.pk, fact_id=1, at=now)
    path = "/" + url.split("/", 3)[3]
    key = path.split("/")[2]
    assert client_of(theo).get(path).status_code == 403
    assert client.get(path.replace(key, key[:-3])).status_code == 404
    assert Client(enforce_csrf_checks=True).post(path).status_code == 403
    lines = [Line("%(message)s").format(record) for record in caplog.records]
    assert len(lines) == 3 and all("/claim/…/" in line and key[:20] not in line for line in lines), lines


def test_the_console_uses_it():
    assert any(isinstance(handler.formatter, Line) for handler in logging.getLogger().handlers)
