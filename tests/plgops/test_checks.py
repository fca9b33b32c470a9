"""What is set wrongly is said, with the variable to set."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from accounts.models import Workspace
from plgops import checks


def ids(messages):
    return [message.id for message in messages]


def test_settings_of_the_tests_have_no_fault():
    assert ids(checks.site_url(None)) == []
    assert ids(checks.broker_url(None)) == []


@pytest.mark.parametrize("address", ["plgops.example.com", "ftp://plgops.example.com", "https://"])
def test_site_url_must_be_an_address(settings, address):
    settings.SITE_URL = address
    assert ids(checks.site_url(None)) == ["plgops.E001"]


def test_site_url_must_be_an_allowed_host(settings):
    settings.SITE_URL, settings.ALLOWED_HOSTS = "https://plgops.example.com", ["other.example.com"]
    (message,) = checks.site_url(None)
    assert (message.id, message.hint) == ("plgops.W002", "Set ALLOWED_HOSTS=plgops.example.com")
    settings.ALLOWED_HOSTS = [".example.com"]
    assert ids(checks.site_url(None)) == []


def test_site_url_may_be_an_ipv6_address(settings):
    settings.SITE_URL, settings.ALLOWED_HOSTS = "http://[::1]:8000", ["[::1]"]
    assert ids(checks.site_url(None)) == []


@pytest.mark.parametrize("url", ["filesystem://", "sqla+sqlite:///x", "http://broker", "nothing"])
def test_broker_that_loses_messages_is_refused(settings, url):
    settings.BROKER_URL = url
    assert ids(checks.broker_url(None)) == ["plgops.E003"]


@pytest.mark.parametrize(("days", "found"), [(0, []), (29, ["plgops.E010"]), (30, []), (90, [])])
def test_alerts_are_kept_as_long_as_the_forecast_looks_back(settings, days, found):
    settings.ALERTS_KEPT_DAYS = days
    assert ids(checks.alerts_kept(None)) == found


def test_secret_key_must_be_set_in_production(settings):
    settings.SECRET_KEY_IS_SET = False
    assert ids(checks.secret_key_is_shared(None)) == ["plgops.E004"]
    settings.SECRET_KEY_IS_SET = True
    assert ids(checks.secret_key_is_shared(None)) == []


def test_hashed_static_files_need_their_manifest(settings, tmp_path):
    settings.STATIC_ROOT, settings.STATIC_HASHED = tmp_path, False
    assert ids(checks.static_files_are_collected(None)) == ["plgops.W005"]
    settings.STATIC_HASHED = True
    assert ids(checks.static_files_are_collected(None)) == ["plgops.E006"]
    (tmp_path / "staticfiles.json").write_text("{}")
    assert ids(checks.static_files_are_collected(None)) == []


def test_sqlite_in_production_is_pointed_out(settings):
    engine = settings.DATABASES["default"]["ENGINE"]
    assert ids(checks.database_for_production(None)) == (["plgops.W007"] if engine.endswith("sqlite3") else [])


@pytest.mark.django_db
def test_another_time_zone_than_the_stored_one_is_refused(settings):
    assert ids(checks.workspace_zone(None, databases=["default"])) == []
    settings.TIME_ZONE = "Pacific/Auckland"
    (message,) = checks.workspace_zone(None, databases=["default"])
    assert (message.id, message.hint.split(".")[0]) == ("plgops.E008", "Set PLGOPS_TIME_ZONE=UTC")
    assert ids(checks.workspace_zone(None, databases=None)) == []  # asked for only with --database


@pytest.mark.django_db
def test_processes_refuse_to_start_in_another_time_zone(settings, django_assert_num_queries):
    checks.refuse_wrong_zone()
    settings.TIME_ZONE = "Pacific/Auckland"
    with pytest.raises(ImproperlyConfigured, match="Set PLGOPS_TIME_ZONE=UTC"):
        checks.refuse_wrong_zone()


@pytest.mark.django_db
def test_processes_refuse_to_start_before_the_first_migration():
    Workspace.objects.all().delete()
    with pytest.raises(ImproperlyConfigured, match="None"):
        checks.refuse_wrong_zone()


def test_proxies_in_front_must_be_counted(settings):
    settings.SECURE_PROXY_SSL_HEADER, settings.TRUSTED_PROXIES = ("HTTP_X_FORWARDED_PROTO", "https"), 0
    assert ids(checks.proxies_are_counted(None)) == ["plgops.W010"]
    settings.TRUSTED_PROXIES = 1
    assert ids(checks.proxies_are_counted(None)) == []
    settings.TRUSTED_PROXIES = -1
    assert ids(checks.proxies_are_counted(None)) == ["plgops.E009"]
    settings.SECURE_PROXY_SSL_HEADER, settings.TRUSTED_PROXIES = None, 0
    assert ids(checks.proxies_are_counted(None)) == []
