"""EMAIL_URL: read into Django's settings, and refused in words that do not repeat its password."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from plgops.lib import env


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "smtp+tls://me:p%40ss@mail.test:587",
            {"EMAIL_HOST": "mail.test", "EMAIL_PORT": 587, "EMAIL_USE_TLS": True, "EMAIL_HOST_PASSWORD": "p@ss"},
        ),
        ("smtp+ssl://mail.test:465", {"EMAIL_HOST": "mail.test", "EMAIL_USE_SSL": True}),
        ("smtp://mail.test", {"EMAIL_HOST": "mail.test"}),
    ],
)
def test_a_mail_server(monkeypatch, url, expected):
    monkeypatch.setenv("EMAIL_URL", url)
    found = env.mail("EMAIL_URL")
    assert {key: found.get(key) for key in expected} == expected
    assert found["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend"


@pytest.mark.parametrize("url", ["pigeon://me:secretpart@mail.test", "mail.test", "filemail:///tmp/x", "memorymail://"])
def test_what_is_no_mail_server_is_refused(monkeypatch, url):
    monkeypatch.setenv("EMAIL_URL", url)
    with pytest.raises(ImproperlyConfigured, match="EMAIL_URL") as refused:
        env.mail("EMAIL_URL")
    assert "secretpart" not in str(refused.value)
