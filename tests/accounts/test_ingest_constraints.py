"""Every constraint of the tables that ingest writes has an insert that fails."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from accounts.models import (
    Account,
    AccountKey,
    AccountMerge,
    Event,
    EventType,
    Membership,
    MembershipFact,
    ProductUser,
    Receipt,
    TraitFact,
    TraitValue,
    UserKey,
)
from tests.accounts.ingest_world import NOW, at, make_source

pytestmark = pytest.mark.django_db
EARLIER = at(1)


@pytest.fixture
def account(db):
    return make_account("a")


@pytest.fixture
def person(db):
    return ProductUser.objects.create(external_id="p", signed_up_at=NOW, signup_day=1, recorded_at=NOW)


def make_account(external_id: str, **extra) -> Account:
    fields = {"name": external_id, "signed_up_at": NOW, "signup_day": 1, "recorded_at": NOW, **extra}
    return Account.objects.create(external_id=external_id, **fields)


def refused(make) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make()


def test_account_constraints(account):
    refused(lambda: make_account("a"))
    refused(lambda: make_account("b", mrr=-1))
    refused(lambda: Account.objects.filter(pk=account.pk).update(parent=account))
    refused(lambda: Account.objects.filter(pk=account.pk).update(merged_into=account))


def test_product_user_constraints(person):
    refused(
        lambda: ProductUser.objects.create(external_id="p", signed_up_at=NOW, signup_day=1, recorded_at=NOW),
    )
    refused(lambda: ProductUser.objects.filter(pk=person.pk).update(merged_into=person))


def test_a_key_leads_to_one(account, person):
    UserKey.objects.create(key="u:p", user=person)
    refused(lambda: UserKey.objects.create(key="u:p", user=person))
    AccountKey.objects.create(key="g:a", account=account, home=account)
    refused(lambda: AccountKey.objects.create(key="g:a", account=account, home=account))


def test_membership_constraints(account, person):
    row = {
        "account": account,
        "user": person,
        "account_key": "g:a",
        "user_key": "u:p",
        "origin": "group",
        "valid_from": NOW,
        "from_day": 1,
    }
    refused(lambda: Membership.objects.create(**{**row, "origin": "guess"}))
    refused(lambda: Membership.objects.create(**row, valid_to=EARLIER))
    Membership.objects.create(**row)
    refused(lambda: Membership.objects.create(**row))


def test_membership_fact_constraints(db):
    row = {"user_key": "u:p", "account_key": "g:a", "kind": "member", "day": 1, "first_at": NOW, "last_at": NOW}
    refused(lambda: MembershipFact.objects.create(**{**row, "kind": "guess"}))
    refused(lambda: MembershipFact.objects.create(**{**row, "last_at": EARLIER}))
    MembershipFact.objects.create(**row)
    refused(lambda: MembershipFact.objects.create(**row))


def test_trait_fact_constraints(db):
    row = {"key": "u:p", "day": 1, "digest": b"x", "first_at": NOW, "last_at": NOW, "traits": {}, "recorded_at": NOW}
    refused(lambda: TraitFact.objects.create(**{**row, "last_at": EARLIER}))
    TraitFact.objects.create(**row)
    refused(lambda: TraitFact.objects.create(**row))


def test_trait_value_constraints(account, person):
    row = {"key": "u:p", "name": "plan", "text": "x", "valid_from": NOW, "recorded_at": NOW, "from_day": 1}
    refused(lambda: TraitValue.objects.create(**row))
    refused(lambda: TraitValue.objects.create(**row, account_id=account.pk, user_id=person.pk))
    TraitValue.objects.create(**row, user_id=person.pk)
    refused(lambda: TraitValue.objects.create(**row, user_id=person.pk))


def test_account_merge_constraints(account):
    other = make_account("b")
    row = {"loser": account, "account_keys": [], "merged_at": NOW}
    refused(lambda: AccountMerge.objects.create(**row, winner=account))
    AccountMerge.objects.create(**row, winner=other)
    refused(lambda: AccountMerge.objects.create(**row, winner=other))


def test_receipt_is_the_one_judge_of_duplicates(db):
    source = make_source()
    Receipt.objects.create(source=source, digest=b"0123456789abcdef")
    refused(lambda: Receipt.objects.create(source=source, digest=b"0123456789abcdef"))


def test_event_type_constraints(db):
    base = EventType.objects.create(name="A")
    condition = {"name": "x", "in": ["y"]}
    refused(lambda: EventType.objects.create(name="A"))
    refused(lambda: EventType.objects.create(name="B", meaning="guess"))
    refused(lambda: EventType.objects.create(name="B", base=base, is_activity=False))
    refused(lambda: EventType.objects.create(name="B", property_filter=condition))
    refused(lambda: EventType.objects.create(name="B", base=base, property_filter=condition))


def test_the_log_needs_its_times_and_keys(db):
    refused(lambda: Event.objects.create(source_id=1, message_id="m", event_type_id=1, user_id=1, user_key="u:p"))
