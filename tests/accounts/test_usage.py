"""The roll-up: what counts, and that counting as events come equals counting the log again."""

from __future__ import annotations

import itertools

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from accounts import event_types, identity
from accounts.models import Account, AccountDue, EventType, UsageDay, UsageValue
from accounts.rebuild import rebuild_usage
from accounts.usage import distinct_of, metered_of
from tests.accounts.ingest_world import NOW, at, make_source, make_types, recount, send, usage

pytestmark = pytest.mark.django_db
_ids = itertools.count()


def track(when: str, event: str, **fields) -> dict:
    return {"type": "track", "messageId": f"m{next(_ids)}", "timestamp": when, "event": event, **fields}


@pytest.fixture
def accept(db):
    source = make_source()
    make_types()
    return lambda *messages: send(source, *messages)


def counts() -> dict[str, list[int]]:
    """The counts of each type's days."""
    names = dict(EventType.objects.values_list("pk", "name"))
    found: dict[str, list[int]] = {}
    for row in UsageDay.objects.order_by("event_type_id", "day"):
        found.setdefault(names[row.event_type_id], []).append(row.count)
    return found


def test_metered_values_add_up_whatever_the_order(accept):
    accept(track(at(1, 10), "Rows Synced", userId="ann", properties={"rows": 5}))
    accept(
        track(at(1, 9), "Rows Synced", userId="ann", properties={"rows": 1.5}),
        track(at(1, 11), "Rows Synced", userId="ann", properties={"rows": "9"}),
        track(at(1, 10), "Rows Synced", userId="ann", properties={"rows": 7}),
    )
    row = UsageDay.objects.get()
    assert (row.count, row.sum_value, row.max_value, row.last_value) == (4, 13_500_000, 7_000_000, 7_000_000)
    assert row.last_us - row.first_us == 2 * 3600 * 1_000_000
    assert row.last_value_us - row.first_us == 3600 * 1_000_000


def test_huge_values_never_overflow_the_sum(accept):
    for turn in range(4):
        accept(*(track(at(1, turn), "Rows Synced", userId="ann", properties={"rows": 10**12}) for _ in range(4)))
    assert UsageDay.objects.get().sum_value == 8 * 10**18


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, 3_000_000), (0.1, 100_000), (-2, -2_000_000), (True, None), ("3", None), (None, None), (10**13, None)],
)
def test_metered_of(value, expected):
    assert metered_of(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(" A+x@B.io ", "a+x@b.io"), ("", ""), (None, ""), (True, ""), (12, "12"), ("x" * 200, "x" * 200)],
)
def test_distinct_of(value, expected):
    assert distinct_of(value) == expected


def test_long_distinct_values_are_kept_as_digests():
    long, other = distinct_of("x" * 201), distinct_of("x" * 202)
    assert long.startswith("blake2b:") and len(long) == 40 and long != other


def test_derived_types_count_with_their_base(accept):
    accept(
        track(at(1), "Invite Sent", userId="ann", properties={"role": "admin", "email": "A@x.io"}),
        track(at(1), "Invite Sent", userId="ann", properties={"role": "member", "email": "a@x.io "}),
    )
    assert counts() == {"Invite Sent": [2], "Admin Invited": [1]}
    assert sorted(UsageValue.objects.values_list("value", "count")) == [("a@x.io", 1), ("a@x.io", 2)]


def test_late_duplicate_and_merged_input_count_as_the_log_does(accept):
    late = track(at(1, 3), "Rows Synced", userId="ann", properties={"rows": 4})
    invite = track(at(2), "Invite Sent", anonymousId="d1", properties={"email": "x@y.z", "seats": 2, "role": "owner"})
    accept(track(at(3), "Rows Synced", userId="ann", properties={"rows": 1}), invite, invite)
    accept({"type": "group", "messageId": "g1", "timestamp": at(2), "userId": "ann", "groupId": "acme"}, invite, late)
    accept({"type": "identify", "messageId": "i1", "timestamp": at(4), "userId": "ann", "anonymousId": "d1"}, late)
    accept(track(at(5), "Signed In", userId="bob", context={"groupId": "globex"}))
    accept({"type": "alias", "messageId": "a1", "timestamp": at(5), "userId": "ann", "previousId": "bob"})
    winner, loser = Account.objects.order_by("external_id")
    identity.merge_accounts(winner=winner, loser=loser, by=None, now=NOW)
    counted = usage()
    assert [row[:3] for row in counted["days"]] == [
        ("acme", "ann", "Admin Invited"),
        ("acme", "ann", "Invite Sent"),
        ("acme", "ann", "Rows Synced"),
        ("acme", "ann", "Rows Synced"),
        ("acme", "ann", "Signed In"),
    ]
    rebuild_usage(now=NOW)
    assert usage() == counted


def test_rebuild_repairs_and_makes_only_the_accounts_due_that_differed(accept):
    accept(
        track(at(1), "Signed In", userId="ann", context={"groupId": "acme"}),
        track(at(1), "Signed In", userId="bob", context={"groupId": "globex"}),
    )
    counted = usage()
    account = Account.objects.get(external_id="acme")
    UsageDay.objects.filter(account_id=account.pk).update(count=7)
    before = dict(AccountDue.objects.filter(consumer="evaluation").values_list("account_id", "changed_seq"))
    assert rebuild_usage(now=NOW) == 2
    assert usage() == counted
    after = dict(AccountDue.objects.filter(consumer="evaluation").values_list("account_id", "changed_seq"))
    assert {pk for pk in after if after[pk] > before[pk]} == {account.pk}


def test_rebuild_command_of_one_account(accept, capsys):
    accept(
        track(at(1), "Signed In", userId="ann", context={"groupId": "acme"}),
        track(at(1), "Signed In", userId="bob", context={"groupId": "globex"}),
    )
    UsageDay.objects.all().update(count=7)
    call_command("rebuild_usage", account="acme")
    assert capsys.readouterr().out == "Made again from the log: the usage of 1 people.\n"
    assert sorted(row[4] for row in usage()["days"]) == [1, 7]
    call_command("rebuild_usage")
    assert [row[4] for row in usage()["days"]] == [1, 1]
    with pytest.raises(CommandError):
        call_command("rebuild_usage", account="nobody")


def test_describing_a_metered_or_distinct_property_counts_what_was_sent_before(accept, admin):
    accept(track(at(1), "Exported", userId="ann", properties={"rows": 3, "to": "S3"}))
    kind = EventType.objects.get(name="Exported")
    event_types.describe(
        event_type_id=kind.pk,
        meaning="core",
        description="",
        is_activity=True,
        metered_property="rows",
        distinct_property="to",
        by=admin,
        now=NOW,
    )
    accept(track(at(1), "Exported", userId="ann", properties={"rows": 4, "to": "s3"}))
    recount()
    assert UsageDay.objects.get().sum_value == 7_000_000
    assert list(UsageValue.objects.values_list("value", "count")) == [("s3", 2)]


def test_deriving_a_type_counts_what_was_sent_before(accept, admin):
    accept(
        track(at(1), "Exported", userId="ann", properties={"to": "s3"}),
        track(at(2), "Exported", userId="bob", properties={"to": "ftp"}),
    )
    base = EventType.objects.get(name="Exported")
    event_types.derive(name="Exported to S3", base=base, property_name="to", values=["s3"], by=admin, now=NOW)
    recount()
    assert counts() == {"Exported": [1, 1], "Exported to S3": [1]}
    with pytest.raises(event_types.CannotDerive):
        event_types.derive(name="Exported to S3", base=base, property_name="to", values=["s3"], by=admin, now=NOW)
    derived = EventType.objects.get(name="Exported to S3")
    with pytest.raises(event_types.NotRaw):
        event_types.derive(name="Again", base=derived, property_name="to", values=["s3"], by=admin, now=NOW)


@pytest.mark.parametrize(
    "wrong",
    [{"count": 0}, {"first_us": 2, "last_us": 1}],
)
def test_usage_day_constraints(db, wrong):
    row = {"account_id": 1, "user_id": 1, "event_type_id": 1, "day": 1, "count": 1, "first_us": 1, "last_us": 1}
    with pytest.raises(IntegrityError), transaction.atomic():
        UsageDay.objects.create(**{**row, **wrong})
    UsageDay.objects.create(**row)
    with pytest.raises(IntegrityError), transaction.atomic():
        UsageDay.objects.create(**row)


def test_usage_value_constraints(db):
    row = {"account_id": 1, "user_id": 1, "event_type_id": 1, "day": 1, "value": "x"}
    with pytest.raises(IntegrityError), transaction.atomic():
        UsageValue.objects.create(**row, count=0)
    UsageValue.objects.create(**row, count=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        UsageValue.objects.create(**row, count=1)
