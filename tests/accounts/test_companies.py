"""Accounts that belong to one company: a root with its children, one level deep."""

import datetime as dt

import pytest

from accounts import stewardship
from accounts.models import Account, AccountDue, AuditEntry
from accounts.workspace import day_of

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 6, 15, 9, 0, tzinfo=dt.UTC)


def make(external_id, **extra):
    return Account.objects.create(
        external_id=external_id, name=external_id, signed_up_at=NOW, signup_day=day_of(NOW), recorded_at=NOW, **extra
    )


def test_an_account_joins_a_company_and_leaves_it_again(admin):
    root, child = make("root"), make("child")
    assert stewardship.set_parent(account_id=child.pk, parent_id=root.pk, by=admin, now=NOW) is True
    assert Account.objects.get(pk=child.pk).company_id == root.pk
    assert stewardship.set_parent(account_id=child.pk, parent_id=root.pk, by=admin, now=NOW) is False
    assert {row.account_id for row in AccountDue.objects.all()} == {root.pk, child.pk}
    assert stewardship.set_parent(account_id=child.pk, parent_id=None, by=admin, now=NOW) is True
    assert Account.objects.get(pk=child.pk).company_id == child.pk
    assert [e.detail["parent"] for e in AuditEntry.objects.order_by("pk")] == [root.pk, None]


def test_a_company_is_one_level_deep(admin):
    root, child, other = make("root"), make("child"), make("other")
    stewardship.set_parent(account_id=child.pk, parent_id=root.pk, by=admin, now=NOW)
    for account, parent in ((other, child), (root, other), (root, root)):
        with pytest.raises(stewardship.NotOneLevel):
            stewardship.set_parent(account_id=account.pk, parent_id=parent.pk, by=admin, now=NOW)


def test_a_tombstone_joins_nothing(admin):
    root = make("root")
    gone = make("gone", merged_into=root)
    for account, parent in ((gone, root), (root, gone)):
        with pytest.raises(stewardship.Merged):
            stewardship.set_parent(account_id=account.pk, parent_id=parent.pk, by=admin, now=NOW)
