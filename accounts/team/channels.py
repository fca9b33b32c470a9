"""One try to send one message: over HTTP or by mail. No database, so that no transaction can be open around it.

What comes back is Sent, Retry (with how long the receiver asks for), or Gone: it will never take anything again.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import smtplib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from standardwebhooks import Webhook

from accounts.models import Destination
from accounts.team import messages, safe_http

Channel = Destination.Channel
LONGEST_WAIT = dt.timedelta(hours=6)  # that a receiver may ask for
MAIL_TIMEOUT = 10  # seconds, of each step


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not this time. `after`: how long the receiver asked to be left alone."""

    why: str
    after: dt.timedelta | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """The receiver says that nothing will be taken there any more."""

    why: str


Outcome = Sent | Retry | Gone


def send(
    channel: str, address: dict[str, str], content: dict[str, Any], *, message_id: str, now: dt.datetime
) -> Outcome:
    """Try once. `address` is what the destination's seal holds; `message_id` is the same at every try."""
    told = messages.content_of(content)
    if channel == Channel.EMAIL:
        return _mail(address["address"], told, message_id=message_id)
    url = address["url"]
    if channel == Channel.SLACK:
        return _post(url, messages.slack(told), {}, now=now)
    if channel == Channel.TEAMS:
        return _post(url, messages.teams(told), {}, now=now)
    headers = {"webhook-id": message_id, "webhook-timestamp": str(int(now.timestamp()))}
    return _post(url, messages.event(told), headers, now=now, secrets=_secrets(address, now))


def _secrets(address: dict[str, str], now: dt.datetime) -> list[str]:
    """What a message is signed with: the secret, and for a while the one before."""
    found = [address.get("secret", "")]
    if address.get("former") and dt.datetime.fromisoformat(address["former_until"]) > now:
        found.append(address["former"])
    return [secret for secret in found if secret]


def _post(
    url: str, document: dict[str, Any], headers: dict[str, str], *, now: dt.datetime, secrets: Sequence[str] = ()
) -> Outcome:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    if secrets:
        signed = (Webhook(secret).sign(headers["webhook-id"], now, body) for secret in secrets)
        headers["webhook-signature"] = " ".join(signed)
    try:
        answer = safe_http.post(
            url,
            body=body.encode(),
            headers={"Content-Type": "application/json", **headers},
            private=settings.ALLOW_PRIVATE_WEBHOOKS,
        )
    except (safe_http.Refused, safe_http.Failed) as error:
        return Retry(str(error))
    if 200 <= answer.status < 300:
        return Sent()
    said = _without_address(" ".join(answer.text.split()), url)[:120]
    why = f"Answered {answer.status}" + (f": {said}" if said and not said.startswith("<") else "")
    if answer.status == 410:
        return Gone(why)
    if 300 <= answer.status < 400:
        why = f"Answered {answer.status}: redirects are not followed."
    return Retry(why, _asked(answer.retry_after, now))


def _without_address(said: str, url: str) -> str:
    """What a receiver says, without what it repeats of its address: that is its password."""
    parts = urlsplit(url)
    pieces = {parts.path, parts.query, *re.split("[/&=]", f"{parts.path}&{parts.query}")}
    for piece in sorted(pieces, key=len, reverse=True):
        if len(piece) >= 6:
            said = said.replace(piece, "…")
    return said


def _asked(retry_after: str, now: dt.datetime) -> dt.timedelta | None:
    """How long to wait, from seconds or a date; None where it says neither."""
    text = retry_after.strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(dt.timedelta(seconds=min(int(text), 10**6)), LONGEST_WAIT)
    try:
        wait = parsedate_to_datetime(text) - now
    except (ValueError, TypeError):
        return None
    return min(max(wait, dt.timedelta(0)), LONGEST_WAIT)


def _mail(address: str, content: messages.Content, *, message_id: str) -> Outcome:
    text, html = messages.mail_text(content), messages.mail_html(content)
    return mail(address, subject=content.title, text=text, html=html, message_id=message_id)


def mail(
    address: str, *, subject: str, text: str, html: str, message_id: str, headers: Mapping[str, str] | None = None
) -> Outcome:
    """Try once to send an e-mail, as plain text and HTML; `message_id` is the same at every try."""
    host = urlsplit(settings.SITE_URL).hostname or "plgops"
    message = EmailMultiAlternatives(
        subject=" ".join(subject.split())[:200],
        body=text,
        to=[address],
        headers={"Message-ID": f"<{message_id}@{host}>", "Auto-Submitted": "auto-generated", **(headers or {})},
        connection=get_connection(timeout=MAIL_TIMEOUT) if _by_smtp() else get_connection(),
    )
    message.attach_alternative(html, "text/html")
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        why = f"The mail server refused the address: {code} {_words(said)}"
        # 5.7: the server's policy (no relaying, a block list), which says nothing about the address
        return Gone(why) if 500 <= code < 600 and "5.7." not in why else Retry(why)
    except smtplib.SMTPResponseException as error:
        return Retry(f"The mail server answered {error.smtp_code} {_words(error.smtp_error)}")
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return Retry(f"The mail server: {str(error)[:150] or type(error).__name__}")
    return Sent()


def _by_smtp() -> bool:
    return settings.EMAIL_BACKEND.endswith("smtp.EmailBackend")


def _words(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return " ".join(text.split())[:120]
