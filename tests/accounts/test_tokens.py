"""API tokens: who may make one, what it stands for, and how it ends."""

import datetime as dt
import hashlib

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from accounts import tokens
from accounts.models import ApiToken, AuditEntry, IdempotencyKey
from tests.conftest import NOW

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
READ = ["accounts:read", "qualifications:read"]


@pytest.fixture
def made(rep):
    return tokens.create(user=rep, name="Export", scopes=READ, days=30, by=rep, now=NOW)


def test_a_token_is_its_owners_until_its_time_is_over(made, rep):
    token, key = made
    found = tokens.authenticate(key, now=NOW)
    assert (found, found.user, found.scopes) == (token, rep, READ)
    assert tokens.authenticate(key, now=NOW + 30 * DAY - dt.timedelta(seconds=1)) == token
    assert tokens.authenticate(key, now=NOW + 30 * DAY) is None


def test_only_its_hash_is_kept(made):
    token, key = made
    kept = ApiToken.objects.values().get()
    assert kept["key_hash"] == hashlib.sha256(key.encode()).hexdigest()
    assert key.startswith(f"{token.prefix}_") and key not in str(kept)


def test_one_is_revoked_and_the_others_go_on(made, rep):
    other, other_key = tokens.create(user=rep, name="Other", scopes=READ, days=30, by=rep, now=NOW)
    token, key = made
    tokens.revoke(token_id=token.pk, by=rep, now=NOW)
    assert tokens.authenticate(key, now=NOW) is None
    assert tokens.authenticate(other_key, now=NOW) == other
    with pytest.raises(tokens.AlreadyRevoked):
        tokens.revoke(token_id=token.pk, by=rep, now=NOW)


def test_it_rests_while_its_owner_is_deactivated(made, rep):
    rep.is_active = False
    rep.save()
    assert tokens.authenticate(made[1], now=NOW) is None


def test_a_token_is_revoked_by_its_owner_or_an_admin(made, other_rep, manager, admin):
    for nobody in (other_rep, manager):
        with pytest.raises(tokens.NotYours):
            tokens.revoke(token_id=made[0].pk, by=nobody, now=NOW)
    tokens.revoke(token_id=made[0].pk, by=admin, now=NOW)
    assert ApiToken.objects.get().revoked_by == admin


def test_what_is_no_token_costs_no_query(made, django_assert_num_queries):
    key = made[1]
    with django_assert_num_queries(0):
        for wrong in ("", "plt_", key[:-1], f"{key}x", key.upper(), "plg_abcdefgh_" + "x" * 32, "plr_a.b", "plt_ä"):
            assert tokens.authenticate(wrong, now=NOW) is None
    with django_assert_num_queries(2):
        assert tokens.authenticate(key[:-1] + ("a" if key[-1] != "a" else "b"), now=NOW) is None
        assert tokens.authenticate("plt_" + "0" * 8 + "_" + "0" * 32, now=NOW) is None


def test_its_use_is_written_once_a_minute(made, django_assert_num_queries):
    token, key = made
    with django_assert_num_queries(1):
        tokens.used(token, now=NOW)
    token = tokens.authenticate(key, now=NOW)
    with django_assert_num_queries(0):
        tokens.used(token, now=NOW + dt.timedelta(seconds=59))
    tokens.used(token, now=NOW + dt.timedelta(seconds=60))
    token.refresh_from_db()
    assert token.last_used_at == NOW + dt.timedelta(seconds=60)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"days": 0}, "days"),
        ({"days": 367}, "days"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["accounts:write"]}, "scopes"),
        ({"scopes": ["definitions:write"]}, "scopes"),  # a rep does not publish
    ],
)
def test_what_cannot_be_a_token_is_refused(rep, changes, field):
    asked = {"name": "Export", "scopes": READ, "days": 30} | changes
    with pytest.raises(tokens.BadToken) as refused:
        tokens.create(user=rep, by=rep, now=NOW, **asked)
    assert (refused.value.field, ApiToken.objects.count(), AuditEntry.objects.count()) == (field, 0, 0)


def test_every_scope_needs_a_capability_that_exists(admin):
    assert set(tokens.offered(admin)) == set(tokens.SCOPES)


def test_making_and_revoking_are_audited(made, rep):
    tokens.revoke(token_id=made[0].pk, by=rep, now=NOW)
    created, revoked = AuditEntry.objects.order_by("pk")
    assert (created.action, created.actor_id) == ("apitoken.created", rep.pk)
    assert created.detail == {"owner": "Dana Whitfield", "scopes": READ, "until": "2026-07-15"}
    assert (revoked.action, revoked.object_id) == ("apitoken.revoked", made[0].pk)


def test_the_command_prints_a_token_that_reads(rep, capsys):
    call_command("create_token", "dana", days=2)
    found = tokens.authenticate(capsys.readouterr().out.strip(), now=dt.datetime.now(dt.UTC))
    assert found.user == rep
    assert found.scopes == [scope for scope in tokens.SCOPES if scope.endswith(":read")]
    call_command("create_token", "dana", "--scope", "handoffs:write", "--scope", "handoffs:read")
    found = tokens.authenticate(capsys.readouterr().out.strip(), now=dt.datetime.now(dt.UTC))
    assert found.scopes == ["handoffs:read", "handoffs:write"]
    with pytest.raises(CommandError, match="no active member"):
        call_command("create_token", "nobody-here")
    with pytest.raises(CommandError, match="1 to 366 days"):
        call_command("create_token", "dana", days=0)
    with pytest.raises(CommandError, match="role does not include"):
        call_command("create_token", "dana", "--scope", "definitions:write")


# --- the database holds it --------------------------------------------------------------------------------------


def refused(make):
    with pytest.raises(IntegrityError), transaction.atomic():
        make()


def test_constraints_of_tokens(made, rep):
    token = ApiToken.objects.filter(pk=made[0].pk)
    refused(lambda: token.update(key_hash=""))
    refused(lambda: token.update(name=""))
    refused(lambda: token.update(expires_at=NOW))
    refused(lambda: token.update(revoked_by=rep))
    refused(
        lambda: ApiToken.objects.create(
            user=rep, name="x", prefix=made[0].prefix, key_hash="x", created_at=NOW, expires_at=NOW + DAY
        )
    )


def test_constraints_of_idempotency_keys(made):
    def make(**values):
        fields = {"token": made[0], "key": "k", "request_hash": "h", "created_at": NOW}
        return IdempotencyKey.objects.create(**fields | values)

    make(lease_until=NOW)
    refused(lambda: make(lease_until=NOW))
    refused(lambda: make(key="neither"))
    refused(lambda: make(key="both", lease_until=NOW, status=200))


# --- the page ---------------------------------------------------------------------------------------------------


def test_everybody_makes_and_revokes_their_own(client_of, rep):
    browser = client_of(rep)
    page = browser.get("/tokens/").content.decode()
    assert "handoffs:write" in page and "definitions:write" not in page
    sent = {"name": "Export", "scopes": ["accounts:read"], "days": "30"}
    response = browser.post("/tokens/", sent)
    assert response.status_code == 200 and "no-store" in response["Cache-Control"]
    key = response.context["key"]
    assert key in response.content.decode() and tokens.authenticate(key, now=dt.datetime.now(dt.UTC)).user == rep
    again = browser.get("/tokens/").content.decode()
    assert key not in again and "Export" in again
    token = ApiToken.objects.get()
    response = browser.post(f"/tokens/{token.pk}/revoke/", follow=True)
    assert "is revoked" in response.content.decode()
    assert "was revoked before" in browser.post(f"/tokens/{token.pk}/revoke/", follow=True).content.decode()
    assert browser.post("/tokens/0/revoke/").status_code == 404


@pytest.mark.parametrize(
    "changes", [{"days": "9999"}, {"scopes": []}, {"scopes": ["definitions:write"]}, {"name": ""}, {"name": "a\x00b"}]
)
def test_a_form_that_is_wrong_makes_nothing(client_of, rep, changes):
    sent = {"name": "Export", "scopes": ["accounts:read"], "days": "30"} | changes
    assert client_of(rep).post("/tokens/", sent).status_code == 422
    assert ApiToken.objects.count() == 0


def test_others_are_seen_by_admins_only(client_of, made, other_rep, admin):
    def names(user, query=""):
        return [token.name for token in client_of(user).get(f"/tokens/{query}").context["page"].items]

    assert (names(other_rep), names(other_rep, "?of=all")) == ([], [])
    assert (names(admin), names(admin, "?of=all")) == ([], ["Export"])
    assert client_of(other_rep).post(f"/tokens/{made[0].pk}/revoke/").status_code == 403
    assert client_of(admin).post(f"/tokens/{made[0].pk}/revoke/")["Location"] == "/tokens/?of=all"


def test_who_has_no_role_makes_none(client_of, stranger):
    assert client_of(stranger).get("/tokens/").status_code == 403
    assert client_of(stranger).post("/tokens/", {"name": "x"}).status_code == 403


@pytest.mark.parametrize("item_count", [1, 3])
def test_the_page_costs_the_same_for_any_number(client_of, admin, rep, item_count, django_assert_num_queries):
    for number in range(item_count):
        tokens.create(user=rep, name=f"Export {number}", scopes=READ, days=30, by=rep, now=NOW)
    browser = client_of(admin)
    with django_assert_num_queries(4):  # session, user, roles; tokens with their owners
        assert len(browser.get("/tokens/?of=all").context["page"].items) == item_count
