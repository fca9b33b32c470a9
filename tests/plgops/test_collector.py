"""Processes that serve search for cycles rarely, and never among what they started with."""

import subprocess
import sys


def test_what_exists_is_left_alone_and_what_comes_is_searched_rarely():
    told = (
        "import gc; from plgops.lib import collector; before = gc.get_freeze_count(); collector.settle();"
        " print(before, gc.get_freeze_count() > 1_000, gc.get_threshold()[0], gc.isenabled())"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True", "50000", "True"]
