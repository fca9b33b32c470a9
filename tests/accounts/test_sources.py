"""Sources: keys that are shown once, found by their prefix, compared as hashes, and revocable."""

from __future__ import annotations

import datetime as dt
import hashlib

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from accounts import sources
from accounts.models import AuditEntry, Source
from tests.conftest import NOW

pytestmark = pytest.mark.django_db


def test_create_source_keeps_only_the_hash(admin):
    source, key = sources.create_source(name=" Backend ", by=admin, now=NOW)
    source.refresh_from_db()
    assert source.name == "Backend"
    assert key.startswith(source.prefix + "_") and len(key) == 45
    assert source.key_hash == hashlib.sha256(key.encode()).hexdigest()
    assert (source.kind, source.created_by, source.created_at) == (Source.Kind.HTTP, admin, NOW)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id, entry.actor_id) == ("source.created", source.pk, admin.pk)
    assert key not in str(entry.detail)


def test_create_source_refuses_a_name_twice(admin):
    sources.create_source(name="Backend", by=admin, now=NOW)
    with pytest.raises(sources.NameTaken):
        sources.create_source(name="Backend", by=admin, now=NOW)
    assert (Source.objects.filter(name="Backend").count(), AuditEntry.objects.count()) == (1, 1)


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\x00b"])
def test_create_source_needs_a_name(name):
    with pytest.raises(sources.NameMissing):
        sources.create_source(name=name, by=None, now=NOW)


def test_authenticate_knows_the_key_and_nothing_else():
    source, key = sources.create_source(name="Backend", by=None, now=NOW)
    assert sources.authenticate(key, now=NOW) == source
    for wrong in ("", key[:-1], key + "x", key[:-1] + ("a" if key[-1] != "a" else "b"), source.prefix, key.upper()):
        assert sources.authenticate(wrong, now=NOW) is None


def test_authenticate_asks_the_database_once_in_a_while(django_assert_num_queries):
    _, key = sources.create_source(name="Backend", by=None, now=NOW)
    with django_assert_num_queries(1):
        sources.authenticate(key, now=NOW)
        sources.authenticate(key, now=NOW + dt.timedelta(seconds=2))
    with django_assert_num_queries(1):
        sources.authenticate(key, now=NOW + dt.timedelta(seconds=3))
    with django_assert_num_queries(0):
        sources.authenticate("not a key", now=NOW)


def test_revoked_key_stops_at_once_here_and_within_seconds_elsewhere(admin):
    source, key = sources.create_source(name="Backend", by=admin, now=NOW)
    assert sources.authenticate(key, now=NOW) == source
    sources.revoke(source_id=source.pk, by=admin, now=NOW)
    assert sources.authenticate(key, now=NOW) is None
    assert AuditEntry.objects.order_by("-id").first().action == "source.revoked"


def test_another_processes_revocation_is_seen_after_the_cache(admin):
    source, key = sources.create_source(name="Backend", by=admin, now=NOW)
    assert sources.authenticate(key, now=NOW) == source
    Source.objects.filter(pk=source.pk).update(revoked_at=NOW)
    assert sources.authenticate(key, now=NOW + dt.timedelta(seconds=2)) == source
    assert sources.authenticate(key, now=NOW + sources.KNOWN_FOR) is None


def test_revoke_happens_once(admin):
    source, _ = sources.create_source(name="Backend", by=admin, now=NOW)
    sources.revoke(source_id=source.pk, by=admin, now=NOW)
    with pytest.raises(sources.AlreadyRevoked):
        sources.revoke(source_id=source.pk, by=admin, now=NOW + dt.timedelta(days=1))
    source.refresh_from_db()
    assert source.revoked_at == NOW
    assert AuditEntry.objects.filter(action="source.revoked").count() == 1


def test_sources_without_a_key_cannot_be_revoked(admin):
    files = Source.objects.create(name="CSV", kind=Source.Kind.FILE, created_at=NOW)
    with pytest.raises(sources.HasNoKey):
        sources.revoke(source_id=files.pk, by=admin, now=NOW)


def test_seen_writes_at_most_once_a_minute(django_assert_num_queries):
    source, _ = sources.create_source(name="Backend", by=None, now=NOW)
    with django_assert_num_queries(1):
        sources.seen(source, now=NOW)
        sources.seen(source, now=NOW + dt.timedelta(seconds=59))
    source.refresh_from_db()
    assert source.last_seen_at == NOW
    with django_assert_num_queries(1):
        sources.seen(source, now=NOW + dt.timedelta(seconds=60))
    source.refresh_from_db()
    assert source.last_seen_at == NOW + dt.timedelta(seconds=60)


def test_command_prints_the_key_and_only_that(capsys):
    call_command("create_source", "Backend")
    out, err = capsys.readouterr()
    key = out.strip()
    assert out == key + "\n"
    assert sources.authenticate(key, now=NOW).name == "Backend"
    assert "Backend" in err and key not in err
    with pytest.raises(CommandError, match="already"):
        call_command("create_source", "Backend")


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "http"},  # no key
        {"kind": "http", "prefix": "plg_abcdefgh"},  # no hash
        {"kind": "http", "key_hash": "h"},  # no prefix
        {"kind": "file", "prefix": "plg_abcdefgh", "key_hash": "h"},
        {"kind": "internal", "key_hash": "h"},
    ],
)
def test_key_goes_with_http_and_only_with_it(fields):
    with pytest.raises(IntegrityError), transaction.atomic():
        Source.objects.create(name="S", created_at=NOW, **fields)


@pytest.mark.parametrize("same", [{"name": "S"}, {"prefix": "plg_abcdefgh"}])
def test_names_and_prefixes_are_unique(same):
    Source.objects.create(name="S", prefix="plg_abcdefgh", key_hash="h", created_at=NOW)
    other = {"name": "T", "prefix": "plg_otherone", "key_hash": "i", "created_at": NOW, **same}
    with pytest.raises(IntegrityError), transaction.atomic():
        Source.objects.create(**other)
