"""People who are not to be contacted, and tokens that say which user is asking."""

from __future__ import annotations

import pytest
from django.utils import timezone

from accounts import sources, stewardship
from accounts.models import AuditEntry, ProductUser, Source
from tests.accounts.ingest_world import at, make_source, send
from tests.conftest import NOW

pytestmark = pytest.mark.django_db


def identify(day=2, **traits):
    return {"type": "identify", "userId": "kim", "timestamp": at(day), "traits": traits}


def kim() -> ProductUser:
    return ProductUser.objects.get(external_id="kim")


@pytest.mark.parametrize("said", [True, "yes", 1])
def test_the_trait_leaves_a_person_out_of_outreach_and_takes_it_back(said):
    source = make_source()
    send(source, identify(email="kim@acme.test"))
    assert not kim().is_left_alone
    send(source, identify(3, do_not_contact=said))
    assert kim().do_not_contact
    assert kim().is_left_alone
    send(source, identify(4, do_not_contact=False))
    assert not kim().is_left_alone


def test_what_a_person_refused_stands_whatever_the_trait_says_later(admin):
    source = make_source()
    send(source, identify(email="kim@acme.test"))
    assert stewardship.set_contact_refused(user_id=kim().pk, refused=True, by=admin, now=NOW)
    assert not stewardship.set_contact_refused(user_id=kim().pk, refused=True, by=admin, now=timezone.now())
    send(source, identify(3, do_not_contact=False))
    assert (kim().is_left_alone, kim().contact_refused_at) == (True, NOW)
    assert stewardship.set_contact_refused(user_id=kim().pk, refused=False, by=admin, now=NOW)
    assert not kim().is_left_alone
    assert list(
        AuditEntry.objects.filter(object_type="productuser").order_by("pk").values_list("action", flat=True)
    ) == [
        "person.contact_refused",
        "person.contact_allowed",
    ]


def test_who_turns_out_to_be_somebody_else_is_still_not_to_be_contacted(admin):
    source = make_source()
    send(source, identify(email="kim@acme.test"))
    send(source, identify(2) | {"userId": "kim-old"})
    old = ProductUser.objects.get(external_id="kim-old")
    stewardship.set_contact_refused(user_id=old.pk, refused=True, by=admin, now=NOW)
    send(source, {"type": "alias", "previousId": "kim-old", "userId": "kim", "timestamp": at(3)})
    old.refresh_from_db()
    assert old.merged_into == kim()
    assert kim().contact_refused_at == NOW


def test_the_desk_sets_it_with_an_audit_row(admin, client_of):
    send(make_source(), identify())
    admin.is_superuser = True
    admin.save()
    data = {"action": "refuse_contact", "_selected_action": [kim().pk], "q": "kim"}
    assert client_of(admin).post("/admin/accounts/productuser/?q=kim", data).status_code == 302
    assert kim().is_left_alone


def test_a_token_is_good_for_its_user_and_its_source_only(admin):
    source, _ = sources.create_source(name="App", by=admin, now=NOW)
    other, _ = sources.create_source(name="Other", by=admin, now=NOW)
    assert not sources.vouches_for(source, "kim", sources.user_token("", "kim"), now=NOW)
    source, secret = sources.new_signing_secret(source_id=source.pk, by=admin, now=NOW)
    other, _ = sources.new_signing_secret(source_id=other.pk, by=admin, now=NOW)
    token = sources.user_token(secret, "kim")
    assert sources.vouches_for(source, "kim", token, now=NOW)
    assert not sources.vouches_for(source, "lee", token, now=NOW)
    assert not sources.vouches_for(other, "kim", token, now=NOW)
    assert not sources.vouches_for(source, "kim", token[:-1] + "é", now=NOW)
    assert secret not in str(Source.objects.filter(pk=source.pk).values())


def test_a_new_secret_ends_the_tokens_of_the_one_before_and_the_servers_key_may_change(admin, settings):
    source, _ = sources.create_source(name="App", by=admin, now=NOW)
    source, first = sources.new_signing_secret(source_id=source.pk, by=admin, now=NOW)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key of the server, long enough"
    assert sources.vouches_for(source, "kim", sources.user_token(first, "kim"), now=NOW)
    source, second = sources.new_signing_secret(source_id=source.pk, by=admin, now=NOW)
    assert not sources.vouches_for(source, "kim", sources.user_token(first, "kim"), now=NOW)
    assert sources.vouches_for(source, "kim", sources.user_token(second, "kim"), now=NOW)


def test_only_a_source_with_a_key_that_stands_gets_a_secret(admin):
    source, _ = sources.create_source(name="App", by=admin, now=NOW)
    sources.revoke(source_id=source.pk, by=admin, now=NOW)
    with pytest.raises(sources.AlreadyRevoked):
        sources.new_signing_secret(source_id=source.pk, by=admin, now=NOW)
    files = Source.objects.create(name="Files", kind=Source.Kind.FILE, created_at=NOW)
    with pytest.raises(sources.HasNoKey):
        sources.new_signing_secret(source_id=files.pk, by=admin, now=NOW)
