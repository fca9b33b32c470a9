"""The readers of the environment: what cannot be read stops the start, and a key is made once."""

import multiprocessing
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from plgops.lib import env

ROOT = Path(__file__).resolve().parents[2]


def test_a_text_may_be_in_a_file(monkeypatch, tmp_path):
    monkeypatch.setenv("PLGOPS_X", "from the variable")
    assert env.text("PLGOPS_X") == "from the variable"
    (tmp_path / "x").write_text("from the file\n")
    monkeypatch.setenv("PLGOPS_X_FILE", str(tmp_path / "x"))
    assert env.text("PLGOPS_X") == "from the file"
    monkeypatch.setenv("PLGOPS_X_FILE", str(tmp_path / "missing"))
    with pytest.raises(ImproperlyConfigured, match="PLGOPS_X_FILE"):
        env.text("PLGOPS_X")


@pytest.mark.parametrize(("said", "meant"), [("true", True), ("1", True), ("No", False), ("off", False), ("", True)])
def test_a_flag_is_one_of_the_usual_words(monkeypatch, said, meant):
    monkeypatch.setenv("PLGOPS_X", said)
    assert env.flag("PLGOPS_X", True) is meant


def test_a_mistyped_flag_or_number_stops_the_start(monkeypatch):
    monkeypatch.setenv("PLGOPS_X", "flase")
    with pytest.raises(ImproperlyConfigured, match="flase"):
        env.flag("PLGOPS_X", False)
    with pytest.raises(ImproperlyConfigured, match="flase"):
        env.number("PLGOPS_X", 1)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("foo", "cannot be read"),
        ("postgres://anna:geheim@db:port/plgops", "cannot be read"),
        ("mysql://anna:geheim@db/plgops", "begins with mysql://"),
        ("postgres://anna:geheim@db", "names no database"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_an_address_of_a_database_that_cannot_be_read_is_refused_without_its_password(monkeypatch, url, words):
    monkeypatch.setenv("PLGOPS_X", url)
    with pytest.raises(ImproperlyConfigured, match=f"PLGOPS_X {words}") as caught:
        env.database("PLGOPS_X", "sqlite:////x")
    assert "geheim" not in str(caught.value)


def test_an_address_of_a_database(monkeypatch):
    assert env.database("PLGOPS_X", "sqlite:////var/x.sqlite3")["NAME"] == "/var/x.sqlite3"
    monkeypatch.setenv("PLGOPS_X", "postgres://anna:geheim@db:6432/plgops")
    found = env.database("PLGOPS_X", "sqlite:////x")
    assert (found["ENGINE"], found["HOST"], found["PORT"], found["NAME"]) == (
        "django.db.backends.postgresql", "db", 6432, "plgops",
    )  # fmt: skip


@pytest.mark.parametrize("said", ["Mars/Base", "../x", "America", "/etc/localtime"])
def test_a_time_zone_is_one_of_the_database_of_zones(monkeypatch, said):
    assert env.zone("PLGOPS_X", "America/New_York") == "America/New_York"
    monkeypatch.setenv("PLGOPS_X", said)
    with pytest.raises(ImproperlyConfigured, match="PLGOPS_X must be a time zone"):
        env.zone("PLGOPS_X", "UTC")


def test_a_log_level_is_one_of_five(monkeypatch):
    monkeypatch.setenv("PLGOPS_X", "warning")
    assert env.level("PLGOPS_X", "INFO") == "WARNING"
    monkeypatch.setenv("PLGOPS_X", "loud")
    with pytest.raises(ImproperlyConfigured, match="PLGOPS_X must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL"):
        env.level("PLGOPS_X", "INFO")


@pytest.mark.parametrize(
    "command",
    [
        ("manage.py", "check"),
        ("-m", "celery", "--app", "plgops", "worker", "--concurrency", "1"),
        ("-m", "gunicorn", "plgops.wsgi", "--bind", "127.0.0.1:0", "--no-control-socket"),
    ],
    ids=lambda command: command[-1],
)
def test_every_process_is_stopped_by_one_line_that_names_the_variable(command, tmp_path):
    given = {**os.environ, "PLGOPS_VAR": str(tmp_path), "PLGOPS_TIME_ZONE": "Mars/Base"}
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=given, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("plgops: ")]
    assert said == ["plgops: PLGOPS_TIME_ZONE must be a time zone such as Europe/Berlin, not 'Mars/Base'."]
    assert "Traceback" not in done.stdout + done.stderr


def test_words_are_split_at_commas(monkeypatch):
    assert env.words("PLGOPS_X", ["a"]) == ["a"]
    monkeypatch.setenv("PLGOPS_X", "a.example, b.example,")
    assert env.words("PLGOPS_X", []) == ["a.example", "b.example"]


def test_a_secret_is_made_once_for_its_owner_only(tmp_path):
    path = tmp_path / "var" / "secret_key"
    first = env.secret("PLGOPS_X", path)
    assert len(first) >= 50
    assert env.secret("PLGOPS_X", path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["secret_key"]


def test_a_secret_that_is_set_is_kept_nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("PLGOPS_X", "given")
    assert env.secret("PLGOPS_X", tmp_path / "secret_key") == "given"
    assert list(tmp_path.iterdir()) == []


def _secret(path):
    return env.secret("PLGOPS_X", path)


def test_processes_that_start_at_once_agree_on_the_secret(tmp_path):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        found = pool.map(_secret, [tmp_path / "secret_key"] * 16)
    assert len(set(found)) == 1


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ImproperlyConfigured, match="Set PLGOPS_X"):
        env.secret("PLGOPS_X", tmp_path / "file" / "secret_key")


def test_a_number_that_is_too_small_is_refused(monkeypatch):
    monkeypatch.setenv("PLGOPS_X", "-1")
    with pytest.raises(ImproperlyConfigured, match="PLGOPS_X must be at least 0, not -1"):
        env.number("PLGOPS_X", 1)
    monkeypatch.setenv("PLGOPS_X", "5")
    assert env.number("PLGOPS_X", 1, least=5) == 5
    with pytest.raises(ImproperlyConfigured, match="at least 6"):
        env.number("PLGOPS_X", 1, least=6)
