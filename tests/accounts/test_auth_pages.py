"""Log in and out, the throttle, password, profile and preferences."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import throttle
from accounts.models import AuditEntry, LoginAttempts, StaffUser
from plgops.lib import access
from tests.conftest import PASSWORD

TEN = dt.timedelta(seconds=10)


def log_in(client, password: str, username: str = "dana", **extra):
    return client.post("/login/", {"username": username, "password": password}, **extra)


def test_log_in_leads_where_one_wanted_to_go(client, rep):
    response = client.post("/login/?next=/accounts/", {"username": "dana", "password": PASSWORD, "next": "/accounts/"})
    assert response["Location"] == "/accounts/"


def test_log_in_never_leads_to_another_site(client, rep):
    response = client.post("/login/", {"username": "dana", "password": PASSWORD, "next": "https://evil.example/"})
    assert response["Location"] == "/"


def test_before_the_log_in_pages_look_as_for_somebody_who_chose_nothing(client, db):
    page = client.get("/login/").content.decode()
    assert 'data-theme="auto" data-density="normal" data-keys="on"' in page


def test_log_out_needs_a_post(client_of, rep):
    client = client_of(rep)
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/profile/")["Location"] == "/login/?next=/profile/"


def test_an_inactive_person_stays_outside(client, rep):
    StaffUser.objects.update(is_active=False)
    assert "do not go together" in log_in(client, PASSWORD).content.decode()


def test_ten_failures_refuse_even_the_right_password_for_a_quarter_of_an_hour(client, rep, other_rep):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(throttle.LIMIT):
            assert "do not go together" in log_in(client, "wrong").content.decode()
        assert "Too many failed attempts" in log_in(client, PASSWORD).content.decode()
        assert "Too many failed attempts" in log_in(client, PASSWORD, username="DANA ").content.decode()
        assert log_in(client, PASSWORD, REMOTE_ADDR="10.0.0.9").status_code == 302  # another address
        client.logout()
        assert log_in(client, PASSWORD, username="theo").status_code == 302  # another name
        client.logout()
        clock.shift(throttle.WINDOW)
        assert log_in(client, PASSWORD).status_code == 302


def test_success_forgets_the_failures(client, rep):
    for _ in range(throttle.LIMIT - 1):
        log_in(client, "wrong")
    assert log_in(client, PASSWORD).status_code == 302
    client.logout()
    log_in(client, "wrong")
    assert log_in(client, PASSWORD).status_code == 302


def test_what_is_refused_does_not_lengthen_the_wait(client, rep):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(throttle.LIMIT + 5):
            log_in(client, "wrong")
            clock.shift(10)
        row = LoginAttempts.objects.get()
        assert (row.attempts, row.until) == (
            throttle.LIMIT,
            timezone.now() - (throttle.LIMIT + 5) * TEN + throttle.WINDOW,
        )


def test_behind_proxies_the_address_is_the_one_that_they_saw(client, rep, settings):
    settings.TRUSTED_PROXIES = 1
    proxied = {"REMOTE_ADDR": "10.0.0.1"}
    for n in range(throttle.LIMIT):  # whatever the guesser writes there, the proxy appends where it came from
        log_in(client, "wrong", HTTP_X_FORWARDED_FOR=f"198.51.100.{n}, 203.0.113.9", **proxied)
    refused = log_in(client, PASSWORD, HTTP_X_FORWARDED_FOR="192.0.2.1, 203.0.113.9", **proxied)
    assert "Too many failed attempts" in refused.content.decode()
    assert log_in(client, PASSWORD, HTTP_X_FORWARDED_FOR="203.0.113.9, 192.0.2.1", **proxied).status_code == 302


def test_one_ipv6_network_is_one_address(db):
    assert throttle.digest("dana", "2001:db8:1:2::1") == throttle.digest("dana", "2001:db8:1:2:ffff::9")
    assert throttle.digest("dana", "2001:db8:1:2::1") != throttle.digest("dana", "2001:db8:1:3::1")


def test_an_ipv4_address_is_itself_also_to_a_server_that_listens_on_ipv6(db):
    assert throttle.digest("dana", "::ffff:203.0.113.9") == throttle.digest("dana", "203.0.113.9")
    assert throttle.digest("dana", "::ffff:203.0.113.9") != throttle.digest("dana", "::ffff:192.0.2.1")


def test_neither_names_nor_addresses_of_attempts_are_kept_and_expired_ones_go(db):
    now = timezone.now()
    for n in range(4):
        assert throttle.attempt(username=f"name{n}", address="203.0.113.9", now=now)
    kept = str(list(LoginAttempts.objects.values_list()))
    assert "name" not in kept and "203.0" not in kept
    for n in range(2):
        throttle.attempt(username="other", address="203.0.113.9", now=now + throttle.WINDOW + n * TEN)
    assert LoginAttempts.objects.get().attempts == 2


def test_attempts_are_never_negative(db):
    with pytest.raises(IntegrityError), transaction.atomic():
        LoginAttempts.objects.create(digest="x", attempts=-1, until=timezone.now())


def test_one_row_for_a_name_and_an_address(db):
    LoginAttempts.objects.create(digest="x", until=timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        LoginAttempts.objects.create(digest="x", until=timezone.now())


def test_password_change_is_audited_without_the_password(client_of, rep):
    client = client_of(rep)
    new = "a much better phrase"
    wrong = client.post("/password/", {"old_password": "no", "new_password1": new, "new_password2": new})
    assert "not your current password" in wrong.content.decode()
    client.post("/password/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})
    assert StaffUser.objects.get(pk=rep.pk).check_password(new)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_id, entry.detail) == ("staff.password_changed", rep.pk, {})
    assert client.get("/profile/").status_code == 200  # the session stays


def test_profile_says_what_one_may_do(client_of, rep):
    html = client_of(rep).get("/profile/").content.decode()
    assert "Claim accounts from the inbox" in html
    assert "Merge accounts" not in html


def test_every_capability_has_words():
    assert set(access.ABILITIES) == set(access.CAPABILITIES)


@pytest.mark.parametrize(
    ("sent", "field", "value"),
    [
        ({"theme": "dark"}, "theme", "dark"),
        ({"density": "compact"}, "density", "compact"),
        ({"keys": "off"}, "single_key_shortcuts", False),
    ],
)
def test_preferences_are_saved_and_rendered_into_every_page(client_of, rep, sent, field, value):
    client = client_of(rep)
    assert client.post("/profile/preferences/", sent).status_code == 204
    assert getattr(StaffUser.objects.get(pk=rep.pk), field) == value
    name, words = next(iter(sent.items()))
    assert f'data-{name}="{words}"' in client.get("/profile/").content.decode().split("<head>")[0]


def test_an_unknown_preference_is_refused_and_changes_nothing(client_of, rep):
    response = client_of(rep).post("/profile/preferences/", {"theme": "pink", "density": "compact"})
    assert (response.status_code, response["Content-Type"]) == (400, "text/plain")
    rep.refresh_from_db()
    assert (rep.theme, rep.density) == ("auto", "normal")


def test_preferences_work_as_a_plain_form(client_of, rep):
    response = client_of(rep).post("/profile/preferences/", {"theme": "light", "back": "1"}, follow=True)
    assert "Your preferences are saved." in response.content.decode()
