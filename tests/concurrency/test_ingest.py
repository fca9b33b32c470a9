"""Two senders, or a sender and a rebuild, at one moment; and a server that dies in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from django.conf import settings
from django.db import connection

from accounts import counting, event_types, rebuild
from accounts.models import Event, EventType, ProductUser, Receipt, Recount, UsageDay, UserKey
from accounts.rebuild import rebuild_usage
from tests.accounts.ingest_world import NOW, at, make_source, make_types, recount, send, usage
from tests.concurrency.races import at_once

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


def signed_in(number: int, person: str, **fields) -> dict:
    fields = {"event": "Signed In", "timestamp": at(1 + number % 5), **fields}
    return {"type": "track", "messageId": f"m{number}", "userId": person, **fields}


def counted() -> int:
    kind = EventType.objects.get(name="Signed In")
    return sum(UsageDay.objects.filter(event_type_id=kind.pk).values_list("count", flat=True))


def test_the_same_batch_twice_at_once_is_stored_once():
    source = make_source()
    for start in range(0, 500, 100):
        batch = [
            {"type": "identify", "messageId": f"i{start}", "userId": f"new{start}", "traits": {"email": "x@acme.com"}},
            *(signed_in(start + i, f"p{i % 7}", context={"groupId": f"g{i % 3}"}) for i in range(100)),
        ]
        done = at_once(lambda b=batch: send(source, *b), lambda b=batch: send(source, *b))
        assert sorted((one.events, one.duplicates) for one in done) == [(0, 101), (100, 0)]
    assert (Event.objects.count(), Receipt.objects.count(), counted()) == (500, 505, 500)
    assert ProductUser.objects.count() == 12


def test_two_batches_with_the_same_people_in_opposite_order_both_go_through():
    source = make_source()
    people = [f"p{i}" for i in range(40)]
    for turn in range(5):
        forth = [signed_in(turn * 1000 + i, one, context={"groupId": one}) for i, one in enumerate(people)]
        back = [signed_in(turn * 1000 + 500 + i, one) for i, one in enumerate(reversed(people))]
        told = [
            {"type": "identify", "messageId": f"i{turn}-{one}", "userId": one, "traits": {"turn": turn}}
            for one in reversed(people)
        ]
        done = at_once(
            lambda b=forth: send(source, *b), lambda b=back: send(source, *b), lambda b=told: send(source, *b)
        )
        assert sorted(one.events + one.facts for one in done) == [40, 40, 40]
    assert (Event.objects.count(), counted()) == (400, 400)
    before = usage()
    rebuild_usage(now=NOW)
    assert usage() == before


def test_identify_beside_events_of_the_same_device_leaves_nobody_behind():
    source = make_source()
    for turn in range(8):
        device = f"d{turn}"
        send(source, signed_in(turn * 100, "", userId=None, anonymousId=device))
        events = [signed_in(turn * 100 + i, "", userId=None, anonymousId=device) for i in range(1, 30)]
        link = {"type": "identify", "messageId": f"i{turn}", "userId": f"p{turn}", "anonymousId": device}
        at_once(*(lambda e=one: send(source, e) for one in events[:3]), lambda m=link: send(source, m))
    assert UserKey.objects.filter(key__startswith="a:").exclude(user__external_id__startswith="p").count() == 0
    assert Event.objects.exclude(user__external_id__startswith="p").count() == 0
    before = usage()
    rebuild_usage(now=NOW)
    assert usage() == before


def test_rebuild_and_a_new_derived_type_beside_ingest_lose_nothing():
    source = make_source()
    make_types()
    invites = [
        [
            signed_in(
                turn * 100 + i,
                f"p{i % 9}",
                event="Invite Sent",
                properties={"role": "admin" if i % 2 else "viewer", "email": f"{i}@x.io", "seats": i},
            )
            for i in range(50)
        ]
        for turn in range(12)
    ]
    send(source, *invites[0])

    def sending():
        for batch in invites[1:]:
            send(source, *batch)

    def deriving():
        base = EventType.objects.get(name="Invite Sent")
        event_types.derive(name="Viewer Invited", base=base, property_name="role", values=["viewer"], by=None, now=NOW)
        recount()
        for _ in range(3):
            rebuild_usage(now=NOW)

    results = at_once(sending, deriving)
    assert results == [None, None]
    count = {
        kind.name: sum(UsageDay.objects.filter(event_type_id=kind.pk).values_list("count", flat=True))
        for kind in EventType.objects.all()
    }
    assert (count["Invite Sent"], count["Admin Invited"], count["Viewer Invited"]) == (600, 300, 300)
    before = usage()
    rebuild_usage(now=NOW)
    assert usage() == before


@pytest.mark.parametrize("person", ["known", "new"])
def test_a_batch_that_read_the_catalogue_before_a_change_is_counted_again(person, monkeypatch):
    source = make_source()
    send(source, signed_in(0, "known", event="Signed Up"))
    EventType.objects.create(name="Exported")
    read, derived = threading.Event(), threading.Event()
    on_sight = counting.on_sight

    def slowly(seen):
        types = on_sight(seen)
        if "Exported" in seen and not read.is_set():
            read.set()
            assert derived.wait(10)
            time.sleep(0.3)  # long enough for the recount to have passed by, if it did not wait
        return types

    monkeypatch.setattr(counting, "on_sight", slowly)

    def deriving():
        assert read.wait(10)
        base = EventType.objects.get(name="Exported")
        event_types.derive(name="To S3", base=base, property_name="to", values=["s3"], by=None, now=NOW)
        derived.set()
        recount()

    # the batch is the first that anybody hears of this person doing that
    batch = [signed_in(number, person, event="Exported", properties={"to": "s3"}) for number in range(1, 4)]
    sent, done = at_once(lambda: send(source, *batch), deriving)
    assert (sent.events, done) == (3, None)
    kind = EventType.objects.get(name="To S3")
    assert list(UsageDay.objects.filter(event_type_id=kind.pk).values_list("count", flat=True)) == [1, 1, 1]


def test_several_workers_count_again_beside_ingest(monkeypatch):
    monkeypatch.setattr(rebuild, "STEP", 5)
    source = make_source()
    people = [f"p{number}" for number in range(30)]
    for turn in range(3):
        send(source, *(signed_in(turn * 100 + n, one, event="Exported") for n, one in enumerate(people)))
    base = EventType.objects.get(name="Exported")
    for name, value in (("First", "s3"), ("Second", "ftp")):
        event_types.derive(name=name, base=base, property_name="to", values=[value], by=None, now=NOW)

    def sending():
        for turn in range(3, 8):
            batch = [
                signed_in(turn * 100 + n, one, event="Exported", properties={"to": ["s3", "ftp"][n % 2], "rows": turn})
                for n, one in enumerate([*people, f"new{turn}"])
            ]
            send(source, *batch)

    assert all(result is None or isinstance(result, int) for result in at_once(sending, recount, recount, recount))
    recount()
    assert not Recount.objects.exists()
    before = usage()
    rebuild_usage(now=NOW)
    assert usage() == before


DYING = """
    import datetime as dt, os, signal, sys
    import django
    from django.conf import settings
    settings.DATABASES["default"]["NAME"] = sys.argv[1]
    django.setup()
    from accounts import due, ingest
    from accounts.models import Source
    from tests.accounts.ingest_world import send
    from tests.concurrency.test_ingest import dying_batch
    def die(*args, **kwargs):  # everything is written, nothing is committed
        os.kill(os.getpid(), signal.SIGKILL)
    due.mark_changed = die
    send(Source.objects.get(name="app"), *dying_batch())
"""


def dying_batch() -> list[dict]:
    return [signed_in(i, f"p{i % 3}", context={"groupId": "g1"}) for i in range(30)]


def test_a_server_killed_in_the_middle_loses_and_doubles_nothing():
    source = make_source()
    name = connection.settings_dict["NAME"]
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(DYING), name],
        cwd=settings.BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "plgops.settings"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    deadline = time.monotonic() + 10
    while Event.objects.exists() and time.monotonic() < deadline:  # the server notices that its client is gone
        time.sleep(0.05)
    assert (Event.objects.count(), Receipt.objects.count(), UsageDay.objects.count()) == (0, 0, 0)
    done = send(source, *dying_batch())
    assert (done.events, done.duplicates, counted()) == (30, 0, 30)
    again = send(source, *dying_batch())
    assert (again.events, again.duplicates, counted()) == (0, 30, 30)
