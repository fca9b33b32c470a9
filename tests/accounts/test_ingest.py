"""The door for messages: what a batch leaves behind."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.billing import record_state
from accounts.ingest import accept_batch
from accounts.models import (
    Account,
    AccountDue,
    Event,
    EventType,
    Membership,
    ProductUser,
    Receipt,
    Source,
    StageEntry,
    TraitValue,
    UsageDay,
)
from plgops.lib.days import FOREVER, day_number
from tests.accounts.ingest_world import NOW, at, make_source, send, state

DAY_ONE = day_number(dt.date(2026, 6, 1))
_ids = itertools.count()


def message(kind: str, when: str, **fields) -> dict:
    return {"type": kind, "messageId": f"m{next(_ids)}", "timestamp": when, **fields}


@pytest.fixture
def accept(db):
    source = make_source()
    return lambda *messages, **options: send(source, *messages, **options)


def test_a_batch_leaves_people_accounts_events_usage_and_due_rows(accept):
    done = accept(
        message("identify", at(1), userId="u1", traits={"email": "Ann@Acme.com", "firstName": "Ann"}),
        message("group", at(1), userId="u1", groupId="g1", traits={"name": "Acme", "plan": "free"}),
        message("track", at(2), userId="u1", event="Invite Sent", properties={"x": 1}),
        message("track", at(2), userId="u1", event="Invite Sent", context={"groupId": "g1"}),
        {"type": "track", "event": "no id"},
    )
    assert (done.received, done.events, done.facts, done.duplicates, done.quarantined) == (5, 2, 2, 0, 1)
    account = Account.objects.get(external_id="g1")
    person = ProductUser.objects.get(external_id="u1")
    assert (account.name, account.plan, account.is_provisional) == ("Acme", "free", False)
    assert (person.email, person.name, person.is_known) == ("ann@acme.com", "Ann", True)
    assert [m.account_id for m in Membership.objects.filter(user=person)] == [account.pk]
    assert list(Event.objects.values_list("account_id", flat=True)) == [account.pk, account.pk]
    (row,) = UsageDay.objects.all()
    assert (row.account_id, row.user_id, row.count) == (account.pk, person.pk, 2)
    assert Receipt.objects.count() == 4
    assert set(AccountDue.objects.values_list("account_id", "consumer")) == {
        (account.pk, "crm"),
        (account.pk, "evaluation"),
        (account.pk, "tiers"),
    }


def values(subject: str, name: str) -> list[tuple]:
    """The dated values of one trait of a person."""
    person = ProductUser.objects.get(external_id=subject)
    rows = TraitValue.objects.filter(user_id=person.pk, name=name).order_by("from_day")
    return [(row.value, row.from_day - DAY_ONE + 1, row.to_day if row.to_day == FOREVER else None) for row in rows]


def test_duplicates_of_any_type_change_nothing(accept):
    batch = [
        message("identify", at(1), userId="u1", traits={"email": "a@acme.com", "plan": "x"}),
        message("group", at(1), userId="u1", groupId="g1", traits={"plan": "free"}),
        message("track", at(2), userId="u1", event="A"),
    ]
    assert accept(*batch, batch[2]).duplicates == 1
    before, due = state(), list(AccountDue.objects.order_by("id").values_list("changed_seq", flat=True))
    changed = [{**one, "traits": {"plan": "other"}, "timestamp": at(5)} for one in batch]
    assert (accept(*batch).duplicates, accept(*changed).duplicates) == (3, 3)
    assert state() == before
    assert list(AccountDue.objects.order_by("id").values_list("changed_seq", flat=True)) == due


def test_the_same_message_id_of_two_sources_is_two_messages(accept):
    one = message("track", at(2), userId="u1", event="A")
    accept(one)
    other = Source.objects.create(name="other", kind="internal", created_at=NOW)
    assert accept_batch(source=other, messages=[one], received_at=NOW).events == 1
    assert Event.objects.count() == 2


def test_messages_without_an_id_are_known_by_their_content_when_they_name_their_time(accept):
    timed = {"type": "track", "timestamp": at(2), "userId": "u1", "event": "A", "properties": {"x": 1}}
    accept(timed, timed, {**timed, "properties": {"x": 2}})
    assert accept(timed).duplicates == 1
    assert Event.objects.count() == 2
    untimed = {"type": "track", "userId": "u1", "event": "A"}
    assert accept(untimed, untimed).events == 2


def test_facts_that_change_nothing_write_nothing_and_make_nobody_due(accept):
    told = {"email": "a@acme.com", "role": "dev"}
    accept(
        message("identify", at(1), userId="u1", traits=told),
        message("group", at(1), userId="u1", groupId="g1", traits={"plan": "free"}),
    )
    rows = list(TraitValue.objects.order_by("id").values_list("id", flat=True))
    due = list(AccountDue.objects.order_by("id").values_list("changed_seq", flat=True))
    accept(
        message("identify", at(3), userId="u1", traits=told),
        message("group", at(4), userId="u1", groupId="g1", traits={"plan": "free"}),
        message("page", at(5), userId="u1", context={"groupId": "g1"}),
    )
    assert list(TraitValue.objects.order_by("id").values_list("id", flat=True)) == rows
    assert list(AccountDue.objects.order_by("id").values_list("changed_seq", flat=True)) == due
    assert Membership.objects.count() == 1


def test_traits_stand_from_the_day_they_were_said_in_either_order(accept):
    accept(message("identify", at(1), userId="u1", traits={"jobRole": "dev"}))
    accept(message("identify", at(9), userId="u1", traits={"job_role": "dev"}))
    accept(message("identify", at(5), userId="u1", traits={"Job Role": "lead"}))
    assert values("u1", "job_role") == [("dev", 1, None), ("lead", 5, None), ("dev", 9, FOREVER)]
    accept(message("identify", at(9, 13), userId="u1", traits={"jobRole": None}))
    assert values("u1", "job_role")[-1] == (None, 9, FOREVER)
    assert ProductUser.objects.get().traits == {"job_role": None}


def test_traits_are_opened_one_level_and_numbers_are_micro_units(accept):
    traits = {"company": {"plan": "pro", "size": {"x": 1}}, "tags": ["b", "a"], "score": 2.5, "isAdmin": True}
    accept(message("identify", at(1), userId="u1", traits=traits))
    rows = {row.name: (row.value, row.text, row.number) for row in TraitValue.objects.all()}
    assert rows == {
        "company.plan": ("pro", "pro", None),
        "company.size": ({"x": 1}, '{"x":1}', None),
        "tags": (["b", "a"], '["b","a"]', None),
        "score": (2.5, "2.5", 2_500_000),
        "is_admin": (True, "true", None),
    }


def test_account_columns_follow_the_traits(accept):
    accept(
        message(
            "group",
            at(1),
            groupId=7,
            traits={"name": "Acme", "employees": "51-200", "seats": "12", "website": "https://www.acme.co.uk/x"},
        )
    )
    account = Account.objects.get()
    assert (account.external_id, account.name, account.employees, account.seats) == ("7", "Acme", None, 12)
    assert (account.domain, account.is_internal) == ("acme.co.uk", False)
    accept(message("group", at(2), groupId="7", traits={"employees": 80, "isTest": "true"}))
    account.refresh_from_db()
    assert (account.employees, account.is_internal) == (80, True)


def test_a_subscription_says_the_plan_and_traits_do_not(accept):
    accept(message("group", at(1), groupId="g1", traits={"plan": "free"}))
    account = Account.objects.get()
    record_state(
        account_id=account.pk,
        account_key="g:g1",
        at=dt.datetime.fromisoformat(at(1)),
        plan="team",
        mrr=Decimal(10),
        now=NOW,
    )
    accept(message("group", at(2), groupId="g1", traits={"plan": "free", "seats": 3}))
    account.refresh_from_db()
    assert (account.plan, account.seats, account.traits["plan"]) == ("team", 3, "team")


def test_signup_is_the_earliest_explicit_time_else_the_earliest_message(accept):
    accept(message("track", at(5), userId="u1", event="A", context={"groupId": "g1"}))
    accept(message("page", at(4), userId="u1", context={"groupId": "g1"}))
    account = Account.objects.get()
    assert (account.signed_up_at.day, account.signup_is_explicit) == (4, False)
    assert StageEntry.objects.get().at.day == 4
    for told, expected in (("2026-06-08T00:00:00Z", 8), (1780704000, 6), (1780876800000, 6)):
        accept(message("group", at(9), userId="u1", groupId="g1", traits={"createdAt": told}))
        account.refresh_from_db()
        assert (account.signed_up_at.day, account.signup_is_explicit) == (expected, True)
        assert account.signup_day == DAY_ONE - 1 + expected
    entry = StageEntry.objects.get()
    assert (entry.stage, entry.at, entry.day) == ("signed_up", account.signed_up_at, account.signup_day)
    accept(message("identify", at(9), userId="u1", traits={"created_at": "2026-06-02"}))
    assert ProductUser.objects.get().signed_up_at.day == 2


def test_an_import_is_told_from_live_changes(accept):
    accept(message("group", at(1), userId="u1", groupId="g1"), importing=True)
    assert [row.import_seq for row in AccountDue.objects.all()] == [1, 1, 1]
    assert [row.origin for row in Membership.objects.all()] == ["import"]


def test_last_seen_is_the_newest_activity_of_either_order(accept):
    EventType.objects.create(name="Heartbeat", is_activity=False)
    accept(message("track", at(5), userId="u1", event="A", context={"groupId": "g1"}))
    accept(message("track", at(3), userId="u1", event="A"), message("track", at(8), userId="u1", event="Heartbeat"))
    assert (Account.objects.get().last_seen_at.day, ProductUser.objects.get().last_seen_at.day) == (5, 5)


@pytest.mark.parametrize("many", [1, 3, 100])
def test_queries_of_a_batch_of_known_people(accept, many, django_assert_num_queries):
    def batch():
        return [
            message("track", at(2, 1), userId=f"u{i}", event="A", context={"groupId": f"g{i}"}) for i in range(many)
        ]

    accept(*batch())
    fresh = batch()
    # transaction; receipts; people's keys; accounts' keys; memberships; types; log; roll-up;
    # people seen; accounts seen; due; transaction
    with django_assert_num_queries(12):
        accept(*fresh)


def test_a_batch_marks_its_accounts_in_one_statement(accept):
    """Two statements would lock rows out of order, and two batches each other."""
    accept(*(message("track", at(1), userId=f"u{n}", event="A", context={"groupId": f"g{n}"}) for n in (1, 2)))
    before = dict(AccountDue.objects.values_list("id", "changed_seq"))
    with CaptureQueriesContext(connection) as asked:
        accept(
            message("track", at(2), userId="u1", event="A", context={"groupId": "g1"}),
            message("group", at(2), userId="u2", groupId="g2", traits={"plan": "team"}),
        )
    assert sum("INSERT INTO accounts_accountdue" in one["sql"] for one in asked) == 1
    raised = AccountDue.objects.filter(changed_seq__gt=0)
    assert {(r.account.external_id, r.consumer) for r in raised if r.changed_seq > before[r.pk]} == {
        ("g1", "evaluation"),
        ("g2", "crm"),
        ("g2", "evaluation"),
        ("g2", "tiers"),
    }
