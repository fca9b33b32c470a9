"""Accounts that are ours or tests: what their traits say, and what was said by hand."""

from __future__ import annotations

import pytest
from django.utils import timezone

from accounts import stewardship
from accounts.models import Account, AccountDue, AuditEntry, StaffUser
from tests.accounts.ingest_world import at, make_source, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def by():
    return StaffUser.objects.create_user("ada")


def group(day=2, **traits):
    return {"type": "group", "userId": "u", "groupId": "acme", "timestamp": at(day), "traits": traits}


def marks() -> tuple[bool, bool | None]:
    account = Account.objects.get(external_id="acme")
    return account.is_internal, account.marked_internal


def mark(by, internal: bool | None) -> bool:
    account_id = Account.objects.get(external_id="acme").pk
    return stewardship.set_internal(account_id=account_id, internal=internal, by=by, now=timezone.now())


@pytest.mark.parametrize("said", [True, False])
def test_a_mark_by_hand_stands_whatever_group_calls_say(by, said):
    source = make_source()
    send(source, group(is_internal=not said, seats=1))
    assert marks() == (not said, None)
    assert mark(by, said)
    send(source, group(3, is_internal=not said, seats=2))
    assert marks() == (said, said)
    assert Account.objects.get().seats == 2


def test_a_mark_taken_back_leaves_it_to_the_traits(by):
    source = make_source()
    send(source, group(is_test="yes"))
    mark(by, False)
    assert mark(by, None)
    assert marks() == (True, None)
    send(source, group(3, is_test=False))
    assert marks() == (False, None)
    actions = ["account.marked_external", "account.unmarked"]
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == actions


def test_a_mark_that_the_traits_say_already_is_kept_and_said_once(by):
    source = make_source()
    send(source, group(is_internal=True))
    before = AccountDue.objects.get(consumer="evaluation").changed_seq
    assert mark(by, True)
    assert not mark(by, True)
    assert AccountDue.objects.get(consumer="evaluation").changed_seq == before + 1
    send(source, group(3, is_internal=False))
    assert marks() == (True, True)
