"""The test world. Everything here is real: the database, the broker, the browser."""

from __future__ import annotations

import datetime as dt
import functools
import shutil

import pytest
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group

from accounts import workspace
from accounts.models import StaffUser
from plgops.lib import access

UTC = dt.UTC
PASSWORD = "correct horse battery"
NOW = dt.datetime(2026, 6, 15, 9, 0, tzinfo=UTC)


def _left_out(config: pytest.Config) -> dict[str, bool]:
    """Marker -> whether its tests cannot run here. They are deselected and counted as such, never skipped or passed."""
    return {
        "postgres": not settings.DATABASES["default"]["ENGINE"].endswith("postgresql"),
        "node": shutil.which("node") is None,
        # a pass of its own: `pytest -m browser`
        "browser": "browser" not in (config.option.markexpr or ""),
    }


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    absent = {name for name, left_out in _left_out(config).items() if left_out}
    out = [item for item in items if any(mark.name in absent for mark in item.iter_markers())]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in set(out)]


@functools.cache
def _password_hash() -> str:
    """Hashing is slow on purpose; once per test process is enough."""
    return make_password(PASSWORD)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """The frame reads the workspace's name once per process; here before anything counts queries."""
    with django_db_blocker.unblock():
        workspace.name()


@pytest.fixture(autouse=True)
def lake_dir(settings, tmp_path):
    """Each test has a usage lake of its own: its database is gone after it."""
    settings.LAKE_DIR = tmp_path / "lake"


def make_staff(username: str, role: str | None, **extra) -> StaffUser:
    """A staff user with one role (None: signed in, but may do nothing)."""
    user = StaffUser.objects.create(
        username=username, email=f"{username}@plgops.test", password=_password_hash(), **extra
    )
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


@pytest.fixture
def rep(db):
    return make_staff("dana", access.SALES_REP, first_name="Dana", last_name="Whitfield")


@pytest.fixture
def other_rep(db):
    return make_staff("theo", access.SALES_REP, first_name="Theo", last_name="Marsh")


@pytest.fixture
def manager(db):
    return make_staff("mara", access.SALES_MANAGER, first_name="Mara", last_name="Lind")


@pytest.fixture
def agent(db):
    return make_staff("ines", access.SUPPORT_AGENT, first_name="Ines", last_name="Duarte")


@pytest.fixture
def admin(db):
    return make_staff("ada", access.ADMIN, first_name="Ada", last_name="Okoye", is_staff=True)


@pytest.fixture
def viewer(db):
    return make_staff("vik", access.VIEWER, first_name="Vik", last_name="Sand")


@pytest.fixture
def stranger(db):
    return make_staff("nobody", None)


@pytest.fixture
def client_of(client):
    """`client_of(user)`: a browser in which the user is signed in."""

    def _client(user):
        client.force_login(user)
        return client

    return _client
