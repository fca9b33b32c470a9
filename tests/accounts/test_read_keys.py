"""Read keys: who may read with one, and when that ends."""

import datetime as dt

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from accounts import read_keys
from accounts.models import AuditEntry
from tests.conftest import NOW

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


@pytest.fixture
def key(rep):
    return read_keys.create(user=rep, days=30, by=rep, now=NOW)


def test_a_key_reads_as_its_owner_until_its_time_is_over(key, rep):
    assert read_keys.reader(key, now=NOW) == rep
    assert read_keys.reader(key, now=NOW + 30 * DAY - dt.timedelta(seconds=1)) == rep
    assert read_keys.reader(key, now=NOW + 30 * DAY) is None


def test_it_ends_with_the_password_the_person_and_the_secret(key, rep):
    with override_settings(SECRET_KEY="another"):
        assert read_keys.reader(key, now=NOW) is None
    rep.is_active = False
    rep.save()
    assert read_keys.reader(key, now=NOW) is None
    rep.is_active = True
    rep.set_password("something else entirely")
    rep.save()
    assert read_keys.reader(key, now=NOW) is None


def test_what_is_no_key_reads_nothing(key, django_assert_num_queries):
    body = key.removeprefix("plr_")
    with django_assert_num_queries(0):
        for wrong in (
            "",
            "plr_",
            body,
            f"{key}x",
            key[:-3],
            "plg_abcdefgh_x",
            "plr_a.b",
            f"plr_{body.split('.')[0]}.x",
        ):
            assert read_keys.reader(wrong, now=NOW) is None


def test_it_may_stand_in_a_bearer_header(key):
    """RFC 6750: letters, digits and -._~+/ only."""
    assert set(key) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/")


def test_making_one_is_audited(key, rep):
    entry = AuditEntry.objects.get(action="staffuser.read_key")
    assert (entry.object_id, entry.actor_id, entry.detail) == (rep.pk, rep.pk, {"until": "2026-07-15"})


def test_the_command_prints_a_key(rep, capsys):
    call_command("create_read_key", "dana", days=2)
    assert read_keys.reader(capsys.readouterr().out.strip(), now=dt.datetime.now(dt.UTC)) == rep
    with pytest.raises(CommandError, match="no active member"):
        call_command("create_read_key", "nobody-here")
    with pytest.raises(CommandError, match="1 to 366 days"):
        call_command("create_read_key", "dana", days=0)


def test_everybody_makes_their_own_on_the_profile(client_of, rep, stranger):
    client = client_of(rep)
    assert "Create a read key" in client.get("/profile/").content.decode()
    response = client.post("/profile/read-key/", {"days": "30"})
    assert "no-store" in response["Cache-Control"]
    key = response.context["new_key"]
    assert key in response.content.decode() and read_keys.reader(key, now=dt.datetime.now(dt.UTC)) == rep
    assert client.post("/profile/read-key/", {"days": "9999"}).status_code == 422
    assert key not in client.get("/profile/").content.decode()
    assert "Create a read key" not in client_of(stranger).get("/profile/").content.decode()
    assert client_of(stranger).post("/profile/read-key/", {"days": "30"}).status_code == 403
