"""What the console shows: a traceback for what broke, a line for what was refused."""

import logging
import sys

import pytest

from plgops.lib.logs import Line


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


def test_the_console_uses_it():
    assert any(isinstance(handler.formatter, Line) for handler in logging.getLogger().handlers)
