"""The operations desk: every model is on it, every list is cheap, and nobody but admins gets in."""

import datetime as dt

import pytest
from django.apps import apps
from django.contrib.admin import site
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import due
from accounts.models import (
    Account,
    AccountDue,
    AuditEntry,
    Event,
    EventType,
    Plan,
    PlanLimit,
    ProductUser,
    QuarantinedMessage,
    Receipt,
    Source,
    StaffUser,
    UsageDay,
)
from plgops.lib import desk
from tests.conftest import NOW

pytestmark = pytest.mark.django_db

MODELS = [model for app in ("accounts", "scoring", "support") for model in apps.get_app_config(app).get_models()]
LOGS = (Event, Receipt, UsageDay, AuditEntry)
# session, user and roles; then the list: its capped count, its rows
QUERIES = 5


def changelist(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def make_log(rows):
    now = timezone.now()
    source = Source.objects.create(name="Web", kind="file", created_at=now)
    event_type = EventType.objects.create(name="Invite Sent")
    for number in range(rows):
        account = Account.objects.create(
            external_id=f"acme-{number}", name=f"Acme {number}", signed_up_at=now, signup_day=1, recorded_at=now
        )
        user = ProductUser.objects.create(external_id=f"u-{number}", signed_up_at=now, signup_day=1, recorded_at=now)
        Event.objects.create(
            source=source,
            message_id=f"m-{number}",
            event_type=event_type,
            user=user,
            account=account,
            user_key=f"u:u-{number}",
            occurred_at=now,
            received_at=now,
        )
        Receipt.objects.create(source=source, digest=bytes([number] * 16))
        UsageDay.objects.create(
            account_id=account.pk, user_id=user.pk, event_type_id=event_type.pk, day=1, count=1, first_us=1, last_us=1
        )
        AuditEntry.objects.create(at=now, actor_label="plgops", action="x.y", object_type="x", account_id=account.pk)


def test_every_model_is_on_the_desk():
    assert [model.__name__ for model in MODELS if model not in site._registry] == []


def test_every_model_keeps_the_rules_of_the_desk():
    assert [m.__name__ for m in MODELS if not isinstance(site._registry[m], desk.DeskAdmin)] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_list_opens_and_searches(client_of, admin, model):
    browser = client_of(admin)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = browser.get(changelist(model))
    assert response.status_code == 200
    unbounded = [q["sql"] for q in queries if "COUNT(" in q["sql"] and "LIMIT 1001" not in q["sql"]]
    assert unbounded == []
    if response.context["cl"].search_fields:
        assert browser.get(changelist(model), {"q": "acme-1"}).status_code == 200


@pytest.mark.parametrize("model", LOGS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("item_count", [1, 3])
def test_a_log_opens_in_a_fixed_number_of_queries(client_of, admin, model, item_count, django_assert_num_queries):
    make_log(item_count)
    browser = client_of(admin)
    with django_assert_num_queries(QUERIES):
        response = browser.get(changelist(model))
    assert len(response.context["cl"].result_list) == item_count


def test_a_list_is_counted_to_its_cap_only(client_of, admin, monkeypatch):
    make_log(3)
    monkeypatch.setattr(desk, "COUNTED_TO", 1)
    response = client_of(admin).get(changelist(Event))
    assert response.context["cl"].result_count == 2


def test_a_log_is_searched_by_the_keys_of_its_owners(client_of, admin):
    make_log(3)
    browser = client_of(admin)

    def found(model, word):
        return [row.account_id for row in browser.get(changelist(model), {"q": word}).context["cl"].result_list]

    account = Account.objects.get(external_id="acme-1")
    assert found(Event, "acme-1") == [account.pk]
    assert found(Event, "u-1") == [account.pk]
    assert found(Event, "acme") == []
    assert found(AuditEntry, "acme-1") == [account.pk]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_state_is_never_edited_or_deleted_here(admin, rf, model):
    request = rf.get("/")
    request.user = admin
    table = site._registry[model]
    fields = set(table.editable)
    assert fields <= EDITABLE.get(model.__name__, set())
    assert table.has_delete_permission(request) is (model.__name__ in DELETABLE)


EDITABLE = {
    "Plan": {"code", "name", "is_paid", "rank"},
    "PlanLimit": {"plan", "metric", "limit", "from_day"},
    "StaffUser": {"username", "first_name", "last_name", "email", "is_active", "password"},
    "Workspace": {"name", "currency"},
    "BusinessCalendar": {"name", "time_zone", "hours", "holidays", "overrides"},
}
DELETABLE = {"PlanLimit"}


@pytest.mark.parametrize("who", ["rep", "agent", "viewer", "stranger"])
def test_the_desk_is_for_admins(client_of, request, who):
    browser = client_of(request.getfixturevalue(who))
    response = browser.get(reverse("admin:index"))
    assert response.status_code == 302 and response.headers["Location"].startswith("/admin/login/")
    assert browser.get(response.headers["Location"]).status_code == 403


def test_who_is_not_logged_in_gets_the_log_in_page(client):
    response = client.get(changelist(Event), follow=True)
    assert [url for url, _ in response.redirect_chain][-1] == "/login/?next=/admin/accounts/event/"


def test_an_admin_gives_a_role_and_it_is_recorded(client_of, admin):
    from django.contrib.auth.models import Group

    person = StaffUser.objects.create_user("nia", "nia@plgops.test", "correct horse battery")
    role = Group.objects.get(name="CS")
    url = reverse("admin:accounts_staffuser_change", args=[person.pk])
    response = client_of(admin).post(
        url, {"username": "nia", "email": "nia@plgops.test", "is_active": "on", "groups": [role.pk]}
    )
    assert response.status_code == 302
    assert list(person.groups.values_list("name", flat=True)) == ["CS"]
    entry = AuditEntry.objects.get(object_type="staffuser")
    assert (entry.action, entry.actor_id, entry.detail) == (
        "staffuser.changed",
        admin.pk,
        {"desk": True, "fields": ["groups"]},
    )


def test_a_superuser_is_not_made_here(client_of, admin):
    person = StaffUser.objects.create_user("nia", "nia@plgops.test", "correct horse battery")
    url = reverse("admin:accounts_staffuser_change", args=[person.pk])
    client_of(admin).post(url, {"username": "nia", "is_active": "on", "is_superuser": "on", "is_staff": "on"})
    person.refresh_from_db()
    assert (person.is_superuser, person.is_staff) == (False, False)


def test_no_secret_is_shown(client_of, admin):
    now = timezone.now()
    source = Source.objects.create(name="App", kind="http", prefix="pk_1", key_hash="feedbeef" * 8, created_at=now)
    browser = client_of(admin)
    page = browser.get(reverse("admin:accounts_source_change", args=[source.pk])).content.decode()
    assert "pk_1" in page and "feedbeef" not in page
    page = browser.get(reverse("admin:accounts_staffuser_change", args=[admin.pk])).content.decode()
    assert admin.password not in page


def test_pushed_back_rows_are_tried_again(client_of, admin):
    make_log(2)
    now = timezone.now()
    one, other = (
        AccountDue.objects.create(
            account=account, consumer="evaluation", retry_at=now + dt.timedelta(hours=1), attempts=n, changed_at=now
        )
        for n, account in enumerate(Account.objects.order_by("pk"))
    )
    response = client_of(admin).post(
        changelist(AccountDue), {"action": "try_again", "_selected_action": [one.pk, other.pk]}, follow=True
    )
    assert [str(m) for m in response.context["messages"]] == ["1 row will be tried again by the next sweep."]
    assert list(AccountDue.objects.order_by("pk").values_list("retry_at", "attempts")) == [(one.retry_at, 0), (None, 1)]
    assert AuditEntry.objects.get(action="accountdue.retried").account_id == other.account_id
    assert [
        c.account_id for c in due.claim(consumer="evaluation", now=now, today=1, limit=9, lease=dt.timedelta(1))
    ] == [other.account_id]


def test_a_source_is_revoked_once(client_of, admin):
    now = timezone.now()
    source = Source.objects.create(name="App", kind="http", prefix="pk_1", key_hash="feedbeef" * 8, created_at=now)
    browser = client_of(admin)
    data = {"action": "revoke", "_selected_action": [source.pk]}
    response = browser.post(changelist(Source), data, follow=True)
    assert [str(m) for m in response.context["messages"]] == ["1 write key revoked."]
    source.refresh_from_db()
    assert source.revoked_at is not None
    response = browser.post(changelist(Source), data, follow=True)
    assert [str(m) for m in response.context["messages"]] == ["The key of App was revoked before."]


def test_a_message_that_is_still_wrong_stays_in_quarantine(client_of, admin):
    now = timezone.now()
    source = Source.objects.create(name="App", kind="file", created_at=now)
    row = QuarantinedMessage.objects.create(
        source=source, digest=b"1", code="x", reason="x", payload={"type": "track", "event": "Seen"}, received_at=now
    )
    response = client_of(admin).post(
        changelist(QuarantinedMessage), {"action": "replay", "_selected_action": [row.pk]}, follow=True
    )
    row.refresh_from_db()
    assert row.replayed_at is None
    assert [str(m) for m in response.context["messages"]] == [f"{row.pk}: {row.reason}"]


def test_a_message_that_is_understood_now_is_accepted(client_of, admin):
    now = timezone.now()
    source = Source.objects.create(name="App", kind="file", created_at=now)
    payload = {"type": "track", "event": "Seen", "userId": "u-1", "messageId": "m-1"}
    row = QuarantinedMessage.objects.create(
        source=source, digest=b"1", code="x", reason="x", payload=payload, received_at=now
    )
    response = client_of(admin).post(
        changelist(QuarantinedMessage), {"action": "replay", "_selected_action": [row.pk]}, follow=True
    )
    assert [str(m) for m in response.context["messages"]] == ["1 message accepted."]
    assert Event.objects.get().user.external_id == "u-1"


def test_an_account_is_taken_out_of_the_figures(client_of, admin):
    make_log(2)
    ours = Account.objects.get(external_id="acme-1")
    client_of(admin).post(changelist(Account), {"action": "make_internal", "_selected_action": [ours.pk]})
    assert list(Account.objects.filter(is_internal=True).values_list("external_id", flat=True)) == ["acme-1"]


def test_a_password_that_was_set_for_somebody_leaves_an_audit_row(client_of, admin, rep):
    path = reverse("admin:auth_user_password_change", args=[rep.pk])
    words = {"password1": "correct horse battery", "password2": "correct horse battery", "usable_password": "true"}
    assert client_of(admin).post(path, {**words, "password2": "another"}).status_code == 200
    assert not AuditEntry.objects.exists()
    assert client_of(admin).post(path, words).status_code == 302
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_id, entry.object_id) == ("staffuser.password_set", admin.pk, rep.pk)
    rep.refresh_from_db()
    assert rep.check_password("correct horse battery")


def test_a_list_says_how_far_it_was_counted(client_of, admin, monkeypatch):
    make_log(3)
    page = client_of(admin).get(changelist(Event)).content.decode()
    assert "3 events" in page and " results" not in page and "Show counts" not in page


def test_what_a_plan_allows_makes_everybody_due_quietly(client_of, admin):
    """Rules ask for shares of it; nothing else would tell them that it has changed."""
    account = Account.objects.create(external_id="a", name="A", signed_up_at=NOW, signup_day=1, recorded_at=NOW)
    due_rows = AccountDue.objects.filter(account=account)
    due.mark_changed([account.pk], now=NOW, importing=True)
    browser = client_of(admin)

    def changed() -> set[tuple[int, bool]]:
        return {(row.changed_seq, row.import_seq == row.changed_seq) for row in due_rows.all()}

    plan = {"code": "team", "name": "Team", "rank": 1}
    browser.post(reverse("admin:accounts_plan_add"), plan)
    team = Plan.objects.get()
    assert changed() == {(2, True)}
    browser.post(reverse("admin:accounts_plan_change", args=[team.pk]), plan | {"name": "Teams"})
    assert (Plan.objects.get().name, changed()) == ("Teams", {(2, True)})
    limit = {"plan": team.pk, "metric": "rows", "limit": 5, "from_day": 0}
    browser.post(reverse("admin:accounts_planlimit_add"), limit)
    assert (PlanLimit.objects.get().limit, changed()) == (5, {(3, True)})
    browser.post(reverse("admin:accounts_planlimit_delete", args=[PlanLimit.objects.get().pk]), {"post": "yes"})
    assert (PlanLimit.objects.count(), changed()) == (0, {(4, True)})
