"""The order in which messages arrive, and how they are batched, never changes the result."""

from __future__ import annotations

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import usage
from accounts.models import ProductUser
from tests.accounts.ingest_world import at, make_source, make_types, send, state
from tests.accounts.ingest_world import usage as usage_state

users = st.sampled_from(["ann", "bob", "cy"])
devices = st.sampled_from(["d1", "d2"])
groups = st.sampled_from(["acme", "globex"])
times = st.builds(at, st.integers(1, 6), st.sampled_from([0, 9, 23]))
emails = st.sampled_from(["ann@acme.com", "bob@mail.acme.com", "cy@globex.co.uk", "x@gmail.com", "noreply@acme.com"])
people = st.one_of(
    st.fixed_dictionaries({"userId": users}),
    st.fixed_dictionaries({"anonymousId": devices}),
    st.fixed_dictionaries({"userId": users, "anonymousId": devices}),
)
user_traits = st.fixed_dictionaries(
    {},
    optional={
        "email": emails,
        "firstName": st.sampled_from(["Ann", "Bo"]),
        "role": st.sampled_from(["a", "b", None]),
        "createdAt": times,
    },
)
group_traits = st.fixed_dictionaries(
    {},
    optional={
        "plan": st.sampled_from(["free", "team"]),
        "name": st.sampled_from(["Acme", "Globex"]),
        "seats": st.sampled_from([1, 20]),
        "created_at": times,
    },
)
properties = st.fixed_dictionaries(
    {},
    optional={
        "email": st.sampled_from(["A@x.io ", "a@x.io", "b@x.io"]),
        "seats": st.sampled_from([1, 2.5, "3"]),
        "rows": st.sampled_from([7, -2]),
        "role": st.sampled_from(["admin", "member"]),
    },
)
context = st.one_of(st.just({}), st.fixed_dictionaries({"groupId": groups}))
events = st.sampled_from(["Invite Sent", "Rows Synced", "Signed In", "Account Removed User"])


def call(kind: str, **fields) -> st.SearchStrategy:
    return st.fixed_dictionaries({"type": st.just(kind), "timestamp": times, **fields})


def of_somebody(calls: st.SearchStrategy) -> st.SearchStrategy:
    return st.builds(lambda who, what: {**what, **who}, people, calls)


messages = st.one_of(
    of_somebody(call("track", event=events, properties=properties, context=context)),
    of_somebody(call("identify", traits=user_traits, context=context)),
    of_somebody(call("group", groupId=groups, traits=group_traits)),
    of_somebody(call("page", context=context)),
    call("alias", previousId=st.sampled_from(["ann", "bob", "d1", "d2"]), userId=users),
)


@st.composite
def histories(draw):
    """Messages in two orders, each cut into batches; some come twice."""
    told = [{**one, "messageId": f"m{i}"} for i, one in enumerate(draw(st.lists(messages, min_size=8, max_size=16)))]

    def batches():
        order = draw(st.permutations(told + draw(st.lists(st.sampled_from(told), max_size=2))))
        cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=6)))
        return [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True) if a < b]

    return [told], batches()


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories())
def test_order_and_batching_never_change_the_result(history):
    results = []
    for batches in history:
        with transaction.atomic():
            source = make_source()
            make_types()
            for batch in batches:
                send(source, *batch)
            result = state()
            usage.rebuild(ProductUser.objects.values_list("pk", flat=True))
            rebuilt = usage_state()
            transaction.set_rollback(True)
        results.append(result)
        assert {"days": result["days"], "values": result["values"]} == rebuilt
    straight, shuffled = results
    assert shuffled == straight
