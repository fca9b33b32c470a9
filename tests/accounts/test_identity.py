"""Who is who: links, aliases, domains, and the merge and unmerge of accounts."""

from __future__ import annotations

import itertools

import pytest

from accounts import identity, usage
from accounts.identity import CannotMerge
from accounts.models import (
    Account,
    AccountDue,
    AccountKey,
    AccountMerge,
    AuditEntry,
    Event,
    Membership,
    ProductUser,
    StageEntry,
    UsageDay,
    UserKey,
)
from tests.accounts.ingest_world import NOW, at, make_source, make_types, send, state
from tests.accounts.ingest_world import usage as usage_state

pytestmark = pytest.mark.django_db
_ids = itertools.count()


def message(kind: str, when: str, **fields) -> dict:
    return {"type": kind, "messageId": f"m{next(_ids)}", "timestamp": when, **fields}


def track(when: str, event: str = "Signed In", **fields) -> dict:
    return message("track", when, event=event, **fields)


def group(when: str, account: str, **fields) -> dict:
    return message("group", when, groupId=account, **fields)


def identify(when: str, **fields) -> dict:
    return message("identify", when, **fields)


@pytest.fixture
def accept(db):
    source = make_source()
    make_types()
    return lambda *messages, **options: send(source, *messages, **options)


def owner_of(key: str) -> str:
    return UserKey.objects.get(key=key).user.external_id


def account_of(key: str) -> str:
    return AccountKey.objects.get(key=key).account.external_id


def places() -> dict[str, str]:
    """External account id by event name."""
    return {
        event.event_type.name: event.account.external_id if event.account else ""
        for event in Event.objects.select_related("event_type", "account")
    }


def test_anonymous_events_become_the_persons_who_identified(accept):
    accept(track(at(1), anonymousId="d1"))
    assert owner_of("a:d1") == "anon:d1"
    accept(identify(at(2), userId="ann", anonymousId="d1"))
    assert owner_of("a:d1") == "ann"
    ann = ProductUser.objects.get(external_id="ann")
    assert ProductUser.objects.get(external_id="anon:d1").merged_into == ann
    assert list(Event.objects.values_list("user_id", "user_key")) == [(ann.pk, "a:d1")]
    assert list(UsageDay.objects.values_list("user_id", flat=True)) == [ann.pk]
    assert ann.signed_up_at.isoformat() == "2026-06-01T12:00:00+00:00"


def test_a_shared_device_never_joins_two_known_people(accept):
    accept(identify(at(2), userId="bob", anonymousId="d1"), track(at(3), anonymousId="d1"))
    accept(identify(at(1), userId="ann", anonymousId="d1"))
    assert (owner_of("a:d1"), owner_of("u:bob"), owner_of("u:ann")) == ("ann", "bob", "ann")
    assert Event.objects.get().user.external_id == "ann"
    assert ProductUser.objects.filter(merged_into=None).count() == 2


def test_alias_joins_two_known_people_and_a_circle_is_void(accept):
    accept(track(at(1), userId="old"), track(at(2), userId="new"))
    accept(message("alias", at(3), previousId="old", userId="new"))
    accept(message("alias", at(4), previousId="new", userId="old"))
    assert (owner_of("u:old"), owner_of("u:new"), owner_of("a:old")) == ("new", "new", "new")
    assert ProductUser.objects.get(external_id="old").merged_into.external_id == "new"
    assert set(Event.objects.values_list("user__external_id", flat=True)) == {"new"}
    assert [row[1] for row in usage_state()["days"]] == ["new", "new"]


def test_names_that_look_like_ours_are_nobody_elses(accept):
    accept(track(at(1), userId="anon:d1"), track(at(1), anonymousId="d1"), track(at(1), userId="=x"))
    assert sorted(ProductUser.objects.values_list("external_id", flat=True)) == ["==x", "=anon:d1", "anon:d1"]


def test_the_email_domain_makes_a_provisional_account(accept):
    accept(identify(at(1), userId="ann", traits={"email": "Ann@mail.acme.co.uk"}), track(at(2), userId="ann"))
    account = Account.objects.get()
    assert (account.external_id, account.domain, account.is_provisional) == ("domain:acme.co.uk", "acme.co.uk", True)
    assert places() == {"Signed In": "domain:acme.co.uk"}


@pytest.mark.parametrize("email", ["x@gmail.com", "noreply@acme.com", "no-at-sign", "a@localhost", ""])
def test_free_mail_and_nobodys_mailboxes_make_no_account(accept, email):
    accept(identify(at(1), userId="ann", traits={"email": email}))
    assert Account.objects.count() == 0


def test_a_group_supersedes_the_domains_account(accept):
    accept(
        identify(at(1), userId="ann", traits={"email": "ann@acme.com"}),
        identify(at(1), userId="bob", traits={"email": "bob@acme.com"}),
        track(at(2), userId="ann", event="A"),
        track(at(2), userId="bob", event="B"),
    )
    accept(group(at(3), "g1", userId="ann"))
    assert account_of("d:acme.com") == "g1"
    assert places() == {"A": "g1", "B": "g1"}
    assert set(Membership.objects.values_list("user__external_id", "origin", "account__external_id")) == {
        ("ann", "group", "g1"),
        ("bob", "domain", "g1"),
    }
    merge = AccountMerge.objects.get()
    assert (merge.loser.external_id, merge.winner.external_id, merge.cause) == ("domain:acme.com", "g1", "superseded")
    # an earlier membership of a colleague becomes known: the domain is that group's
    accept(group(at(1), "g0", userId="bob"))
    assert account_of("d:acme.com") == "g0"
    assert places() == {"A": "g1", "B": "g0"}


def test_an_account_that_loses_a_person_to_another_one_is_changed(accept):
    accept(identify(at(1), userId="ann", traits={"email": "ann@acme.com"}), group(at(2), "g1", userId="ann"))
    accept(identify(at(3), userId="bob", traits={"email": "bob@acme.com"}))  # in g1, by the domain
    due = AccountDue.objects.filter(consumer="evaluation", account__external_id="g1")
    before = due.get().changed_seq
    accept(group(at(4), "g2", userId="bob"))
    assert set(Membership.objects.values_list("user__external_id", "account__external_id")) == {
        ("ann", "g1"),
        ("bob", "g2"),
    }
    assert due.get().changed_seq > before


def test_removal_ends_a_membership_and_a_later_message_starts_anew(accept):
    accept(group(at(1), "g1", userId="ann"), group(at(2), "g2", userId="ann"))
    accept(track(at(3), "Account Removed User", userId="ann", context={"groupId": "g2"}))
    accept(track(at(2, 13), "A", userId="ann"), track(at(4), "B", userId="ann"))
    assert places() == {"Account Removed User": "g2", "A": "g2", "B": "g1"}
    accept(group(at(5), "g2", userId="ann"), track(at(6), "C", userId="ann"))
    assert places()["C"] == "g2"
    assert Membership.objects.filter(account__external_id="g2").count() == 2


def test_events_before_any_membership_belong_to_the_first_account(accept):
    accept(track(at(1), "A", userId="ann"))
    assert places() == {"A": ""}
    accept(group(at(5), "g2", userId="ann"), group(at(4), "g1", userId="ann"))
    assert places() == {"A": "g1"}
    (row,) = usage_state()["days"]
    assert row[:2] == ("g1", "ann")


def two_accounts(accept):
    accept(
        group(at(1), "g1", userId="ann", traits={"name": "Acme", "plan": "free", "createdAt": at(1)}),
        group(at(2), "g2", userId="bob", traits={"name": "Acme Labs", "plan": "team", "seats": 5}),
        group(at(2), "g2", userId="ann"),
        track(at(3), "A", userId="ann"),
        track(at(3), "B", userId="bob"),
        track(at(4), "Invite Sent", userId="bob", context={"groupId": "g2"}, properties={"email": "x@y.z", "seats": 2}),
        track(at(4), "C", userId="ann", context={"groupId": "g1"}),
    )
    return Account.objects.get(external_id="g1"), Account.objects.get(external_id="g2")


def test_merge_moves_everything_and_unmerge_takes_it_back_exactly(accept, admin):
    winner, loser = two_accounts(accept)
    StageEntry.objects.create(
        account=loser, origin=loser, stage="claimed", at=NOW, day=1, recorded_at=NOW, cause="claim", reference="1"
    )
    before = state()
    merge = identity.merge_accounts(winner=winner, loser=loser, by=admin, now=NOW)
    loser.refresh_from_db()
    assert loser.merged_into == winner
    assert set(Event.objects.values_list("account_id", flat=True)) == {winner.pk}
    assert set(UsageDay.objects.values_list("account_id", flat=True)) == {winner.pk}
    assert set(Membership.objects.values_list("account_id", flat=True)) == {winner.pk}
    assert set(StageEntry.objects.values_list("account_id", flat=True)) == {winner.pk}
    winner.refresh_from_db()
    assert (winner.name, winner.plan, winner.seats) == ("Acme Labs", "team", 5)  # what was said last
    after = usage_state()
    usage.rebuild(ProductUser.objects.values_list("pk", flat=True))
    assert usage_state() == after
    identity.unmerge_accounts(merge=merge, by=admin, now=NOW)
    assert state() == before
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == [
        "account.merged",
        "account.unmerged",
    ]
    with pytest.raises(CannotMerge):
        identity.unmerge_accounts(merge=merge, by=admin, now=NOW)


def test_messages_after_a_merge_reach_the_winner_and_go_back_with_their_keys(accept):
    winner, loser = two_accounts(accept)
    merge = identity.merge_accounts(winner=winner, loser=loser, by=None, now=NOW)
    accept(track(at(5), "D", userId="bob", context={"groupId": "g2"}), track(at(5), "E", userId="bob"))
    assert {places()["D"], places()["E"]} == {"g1"}
    identity.unmerge_accounts(merge=merge, by=None, now=NOW)
    assert {places()["D"], places()["E"]} == {"g2"}


def test_merges_in_a_chain_are_taken_back_in_any_order(accept):
    one, two = two_accounts(accept)
    accept(group(at(1), "g3", userId="cy"), track(at(2), "F", userId="cy"))
    three = Account.objects.get(external_id="g3")
    before = state()
    first = identity.merge_accounts(winner=two, loser=one, by=None, now=NOW)
    second = identity.merge_accounts(winner=three, loser=two, by=None, now=NOW)
    assert set(places().values()) == {"g3"}
    identity.unmerge_accounts(merge=first, by=None, now=NOW)
    assert (places()["C"], places()["B"]) == ("g1", "g3")
    identity.unmerge_accounts(merge=second, by=None, now=NOW)
    assert state() == before


def test_merge_marks_both_accounts_changed(accept):
    winner, loser = two_accounts(accept)
    before = dict(AccountDue.objects.filter(consumer="evaluation").values_list("account_id", "changed_seq"))
    identity.merge_accounts(winner=winner, loser=loser, by=None, now=NOW)
    after = dict(AccountDue.objects.filter(consumer="evaluation").values_list("account_id", "changed_seq"))
    assert [after[pk] > before[pk] for pk in (winner.pk, loser.pk)] == [True, True]


def test_merge_takes_children_along_and_gives_them_back(accept):
    winner, loser = two_accounts(accept)
    accept(group(at(1), "child"))
    Account.objects.filter(external_id="child").update(parent=loser)
    merge = identity.merge_accounts(winner=winner, loser=loser, by=None, now=NOW)
    assert Account.objects.get(external_id="child").parent == winner
    identity.unmerge_accounts(merge=merge, by=None, now=NOW)
    assert Account.objects.get(external_id="child").parent == loser


def test_merge_is_refused_into_itself_a_child_or_a_tombstone(accept):
    winner, loser = two_accounts(accept)
    accept(group(at(1), "g3"))
    other = Account.objects.get(external_id="g3")
    with pytest.raises(CannotMerge):
        identity.merge_accounts(winner=winner, loser=winner, by=None, now=NOW)
    Account.objects.filter(pk=winner.pk).update(parent=other)
    with pytest.raises(CannotMerge):
        identity.merge_accounts(winner=winner, loser=other, by=None, now=NOW)
    identity.merge_accounts(winner=other, loser=loser, by=None, now=NOW)
    with pytest.raises(CannotMerge):
        identity.merge_accounts(winner=loser, loser=winner, by=None, now=NOW)
    with pytest.raises(CannotMerge):
        identity.merge_accounts(winner=winner, loser=loser, by=None, now=NOW)
