"""A service's user may have millions of events: what is made from a log is made without holding it."""

import itertools

import pytest
from django.db import transaction

from accounts import keys, memberships, usage
from accounts.models import Account, Event, Membership, ProductUser, TraitValue, UsageDay
from plgops.lib import bulk
from tests.accounts.ingest_world import at, make_source, make_types, send
from tests.accounts.ingest_world import usage as usage_state

pytestmark = pytest.mark.django_db
_ids = itertools.count()


def track(when: str, event: str = "Signed In", user: str = "robot", **fields) -> dict:
    return {
        "type": "track",
        "messageId": f"m{next(_ids)}",
        "timestamp": when,
        "event": event,
        "userId": user,
        **fields,
    }


def of(group: str) -> dict:
    return {"context": {"groupId": group}}


@pytest.fixture
def accept(db):
    source = make_source()
    make_types()
    return lambda *messages: send(source, *messages)


@pytest.fixture
def written(monkeypatch):
    """Few rows at once; how many the roll-up held each time that it was written."""
    monkeypatch.setattr(usage, "AT_ONCE", 4)
    monkeypatch.setattr(bulk, "AT_ONCE", 3)
    held = []
    write = usage.Rollup.write

    def watched(rollup):
        held.append(len(rollup))
        write(rollup)

    monkeypatch.setattr(usage.Rollup, "write", watched)
    return held


@pytest.fixture
def rows_read(monkeypatch):
    """How many rows the modules that derive have read."""
    read = [0]

    def counted(name):
        original = getattr(bulk, name)

        def call(*args):
            for row in original(*args):
                read[0] += 1
                yield row

        return lambda *args: call(*args) if name == "each" else list(call(*args))

    for name in ("fetch", "each"):
        monkeypatch.setattr(bulk, name, counted(name))
    return read


def invites(day: int) -> list[dict]:
    properties = [{"email": f"{n}@x.io", "seats": n, "role": "admin"} for n in range(3)]
    return [track(at(day, n), "Invite Sent", properties=p, **of(f"g{n % 2}")) for n, p in enumerate(properties)]


def rebuild(*names: str) -> set[str]:
    people = set(ProductUser.objects.filter(external_id__in=names).values_list("pk", flat=True))
    with transaction.atomic():
        keys.lock_people(people)
        changed = usage.rebuild(people)
    return set(Account.objects.filter(pk__in=changed).values_list("external_id", flat=True))


def test_the_roll_up_is_made_again_a_stretch_at_a_time(accept, written):
    for day in range(1, 13):
        accept(*invites(day), track(at(day, 5), user="ann", **of("g2")), track(at(day, 6), user="bob", **of("g2")))
    counted = usage_state()
    written.clear()
    assert rebuild("robot", "ann", "bob") == set()
    assert usage_state() == counted
    a_day = 10  # of the robot: two types in two accounts, and their values
    assert (len(written) > 12, max(written) <= 4 + a_day) == (True, True)


def test_the_stretches_find_what_differed(accept, written):
    for day in range(1, 5):
        accept(*invites(day), track(at(day), user="ann", **of("g2")))
    counted = usage_state()
    g1 = Account.objects.get(external_id="g1")
    one = UsageDay.objects.filter(account_id=g1.pk).order_by("day")
    UsageDay.objects.filter(pk=one[0].pk).update(last_us=one[0].last_us + 1)
    UsageDay.objects.filter(user_id=ProductUser.objects.get(external_id="ann").pk, day=one[1].day).delete()
    assert rebuild("robot", "ann") == {"g1", "g2"}
    assert usage_state() == counted
    Event.objects.filter(account_key="g:g0").delete()
    assert rebuild("robot") == {"g0"}
    assert rebuild("robot") == set()


def test_events_follow_their_person_without_being_read(accept, rows_read):
    accept(*(track(at(1 + n % 9, n % 24)) for n in range(60)), track(at(5, 0), **of("acme")))
    assert set(Event.objects.values_list("account__external_id", flat=True)) == {"acme"}
    rows_read[0] = 0
    accept(track(at(3, 12), **of("globex")), track(at(7, 12), "Account Removed User", **of("acme")))
    assert rows_read[0] < 60 + 45  # the rebuild of the roll-up reads the log, once; nobody else does
    by_day = {
        day: set(
            Event.objects.filter(account_key="", occurred_at__date=at(day)[:10]).values_list(
                "account__external_id", flat=True
            )
        )
        for day in (1, 3, 4, 6, 8)
    }
    assert by_day == {1: {"globex"}, 3: {"globex"}, 4: {"globex"}, 6: {"acme"}, 8: {"globex"}}


def test_somebody_removed_and_back_many_times_leaves_one_time_for_each(accept):
    days = [track(at(day, hour), **of("acme")) for day in range(1, 9) for hour in range(0, 24, 3)]
    left = [track(at(day, 4), "Account Removed User", **of("acme")) for day in (3, 5)]
    accept(*days, *left, track(at(2), **of("globex")), track(at(9), **of("globex")))
    robot = ProductUser.objects.get(external_id="robot")
    with transaction.atomic():
        owners = {key: row.user_id for key, row in keys.lock_people([robot.pk]).items()}
        heard = memberships.hear(owners)[robot.pk]
    assert sorted(moment.isoformat() for moment, _, _ in heard.named["g:acme"]) == [at(1, 0), at(3, 6), at(5, 6)]
    assert len(heard.named["g:globex"]) == 1
    spans = Membership.objects.filter(account_key="g:acme").order_by("valid_from")
    assert [(s.valid_from.isoformat(), s.valid_to and s.valid_to.isoformat()) for s in spans] == [
        (at(1, 0), at(3, 4)),
        (at(3, 6), at(5, 4)),
        (at(5, 6), None),
    ]


@pytest.mark.parametrize(("kind", "id"), [("identify", "userId"), ("group", "groupId")])
def test_a_trait_that_changes_with_every_message_is_made_from_the_newest_ones(accept, rows_read, kind, id):
    def told(day: int, hour: int, minute: int, **traits) -> dict:
        named = {id: "robot", "messageId": f"t{next(_ids)}", "timestamp": at(day, hour, minute)}
        return {"type": kind, **named, "traits": {"count": next(_ids), **traits}}

    accept(*(told(1 + n // 20, n % 20, 0, name="Robot") for n in range(180)))
    accept(told(9, 20, 0))  # in the same day there are facts before it
    rows_read[0] = 0
    accept(told(9, 20, 1))
    appended = rows_read[0]
    accept(told(1, 20, 0))  # the second day's facts and all after it are read again
    late = rows_read[0] - appended
    assert (appended < 15, late > 160) == (True, True)
    subject = ProductUser.objects.get() if kind == "identify" else Account.objects.get()
    assert subject.traits["name"] == "Robot"
    days = TraitValue.objects.filter(name="count").order_by("from_day").values_list("from_day", "to_day")
    assert len(days) == 9 and all(one[1] == other[0] for one, other in itertools.pairwise(days))
