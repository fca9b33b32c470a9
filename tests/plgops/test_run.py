"""`make run`, for real: the processes start, one that dies comes back, and nothing stays behind."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command

from accounts.models import StaffUser
from plgops import run
from plgops.demo import staff

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90  # seconds; a busy machine is slow, and nothing here is a measurement


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {PATIENCE} seconds: {what}")


def environment(var, port):
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
    return kept | {"PLGOPS_VAR": str(var), "PORT": str(port), "PLGOPS_DEMO": "false", "WORKER_PROCESSES": "1"}


def start(var, port):
    return subprocess.Popen(
        [sys.executable, "-m", "plgops.run"],
        cwd=ROOT,
        env=environment(var, port),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    ("host", "others"),
    [("127.0.0.1", False), ("127.0.0.2", False), ("::1", False), ("localhost", False)]
    + [("0.0.0.0", True), ("::", True), ("", True), ("192.168.1.7", True), ("plgops.example.com", True)],
)
def test_an_address_that_others_reach_is_told_to_the_setup(monkeypatch, host, others):
    class Setup(run.Part):
        def start(self, environment):
            asked.append(self.command)
            self.process = subprocess.Popen(["true"])

    asked = []
    monkeypatch.setattr(run, "Part", Setup)
    assert run.prepare(ROOT, host, {}, lambda: False)
    (command,) = asked
    assert command[2:] == ["prepare", *(["--reached-by-others"] if others else [])]


WARNING = "Warning: other machines can reach this address, and everybody knows that password"


@pytest.mark.django_db
def test_setup_warns_of_demo_passwords_where_others_reach_them():
    def said(*options):
        output = io.StringIO()
        call_command("prepare", "--no-demo", *options, stdout=output)
        return output.getvalue()

    assert WARNING not in said("--reached-by-others")  # nobody can log in
    staff.hire()
    assert WARNING not in said()
    lines = said("--reached-by-others").splitlines()
    assert [line.startswith(WARNING) for line in lines] == [False, True]
    assert lines[0].startswith("Log-ins (password plgops-demo): ")
    StaffUser.objects.update(password=make_password("changed since then"))
    assert said("--reached-by-others") == ""


def health(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/", timeout=5) as answer:
            return json.load(answer)
    except (urllib.error.URLError, OSError):
        return None


def children(pid):
    """The processes that `pid` started: their command lines by process id."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(entry.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found[int(entry.name)] = entry.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def everything_of(var):
    """The processes that work in this folder, whoever started them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"PLGOPS_VAR={var}\0".encode() in entry.joinpath("environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("stop_with", [signal.SIGINT, signal.SIGTERM])
def test_everything_starts_comes_back_and_stops(tmp_path, stop_with):
    port = free_port()
    process = start(tmp_path, port)
    try:
        answer = until(lambda: health(port), "an answer")
        assert (answer["status"], answer["broker"]) == ("ok", True)
        parts = children(process.pid)
        assert len(parts) == 5  # broker, worker, lake, beat, web
        if stop_with == signal.SIGINT:
            (broker,) = (pid for pid, command in parts.items() if "valkey-server" in command)
            os.kill(broker, signal.SIGKILL)
            until(lambda: broker not in children(process.pid) and len(children(process.pid)) == 5, "a new broker")
            second = subprocess.run(
                [sys.executable, "-m", "plgops.run"],
                cwd=ROOT,
                env=environment(tmp_path, port),
                capture_output=True,
                text=True,
            )
            assert (second.returncode, "already running" in second.stderr) == (1, True)
    finally:
        process.send_signal(stop_with)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert f"plgops is at http://127.0.0.1:{port}/" in output
    assert "Write key of “My product”" in output
    until(lambda: everything_of(tmp_path) == [], "an end of every process")


def test_a_port_that_is_taken_is_said_before_anything_starts(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start(tmp_path, port)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in output and f"make run PORT={port + 1}" in output
    assert not (tmp_path / "plgops.sqlite3").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PLGOPS_DEMO", "maybe"), ("LOG_LEVEL", "loud"), ("WEB_THREADS", "0"), ("PORT", "x"), ("PORT", "70000")],
)
def test_a_setting_that_cannot_be_read_is_one_line_before_anything_starts(tmp_path, name, value):
    done = subprocess.run(
        [sys.executable, "-m", "plgops.run"],
        cwd=ROOT,
        env={**environment(tmp_path, free_port()), name: value},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"plgops: {name} must be ") and value.upper() in line.upper()
    assert not (tmp_path / "broker").exists()


def test_nothing_stays_behind_when_the_supervisor_is_killed(tmp_path):
    port = free_port()
    process = start(tmp_path, port)
    until(lambda: health(port), "an answer")
    process.kill()
    process.communicate(timeout=PATIENCE)
    until(lambda: everything_of(tmp_path) == [], "an end of every process")
