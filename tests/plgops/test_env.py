"""The readers of the environment: what cannot be read stops the start, and a key is made once."""

import multiprocessing
import stat

import pytest
from django.core.exceptions import ImproperlyConfigured

from plgops.lib import env


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
