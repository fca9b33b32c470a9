"""The simulation in a process of its own, so that the second core has something to do while the first stores.

`stories` yields what `world.simulate` yields. As a program this module is the other end: it writes the stories to
its standard output, some at a time, and waits while the pipe is full.
"""

from __future__ import annotations

import datetime as dt
import pickle
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from plgops.demo.world import Story, simulate

AT_ONCE = 20  # stories in a pickle
ROOT = Path(__file__).resolve().parents[2]


def stories(*, seed: int, until: dt.datetime, accounts: int) -> Iterator[Story]:
    """As `world.simulate`. Raises CalledProcessError when the simulation fails."""
    command = [sys.executable, "-m", __name__, str(seed), until.isoformat(), str(accounts)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:  # noqa: S603  our own
        assert process.stdout is not None
        try:
            while process.stdout.peek(1):  # type: ignore[attr-defined]  # a BufferedReader, by Popen's default
                yield from pickle.load(process.stdout)  # noqa: S301  our own process wrote it
        except GeneratorExit:
            process.kill()
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def main() -> None:
    seed, until, accounts = sys.argv[1:]
    told = simulate(seed=int(seed), until=dt.datetime.fromisoformat(until), accounts=int(accounts))
    while some := list(islice(told, AT_ONCE)):
        pickle.dump(some, sys.stdout.buffer, protocol=pickle.HIGHEST_PROTOCOL)


if __name__ == "__main__":
    main()
