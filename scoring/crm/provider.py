"""What plgops asks of a CRM, whichever it is. A second one is one more module that speaks this."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar, Generic, Protocol, TypeVar

T = TypeVar("T")


class CrmError(Exception):
    """The CRM could not do it; the message is for people and never holds the token."""


class TokenRefused(CrmError):
    """The token is not, or no longer, good, or lacks a right: nothing goes on before somebody enters another."""


class Busy(CrmError):
    """Too many requests: to be tried again after so long."""

    def __init__(self, message: str, after: dt.timedelta) -> None:
        super().__init__(message)
        self.after = after


class Unreachable(CrmError):
    """Nobody answered, or the CRM has trouble of its own (5xx). Whether it was done is not known."""


class Rejected(CrmError):
    """It understood, and did not want it: a value that a property does not take, say."""


@dataclass(frozen=True, slots=True)
class Property:
    """A property of companies that plgops needs there. `kind`: text, long_text or number."""

    name: str
    label: str
    kind: str = "text"
    is_unique: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A company as the CRM has it; properties that are empty there are "" or missing."""

    id: str
    properties: Mapping[str, str]
    changed_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody whom the CRM can give a company to."""

    id: str
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class DealFact:
    """A deal as the CRM has it, with the ids of its companies, its main one first. Status: open, won, lost."""

    id: str
    name: str
    stage: str
    status: str
    amount: Decimal | None
    currency: str
    opened_at: dt.datetime
    closed_at: dt.datetime | None
    company_ids: Sequence[str]
    changed_at: dt.datetime


@dataclass(frozen=True, slots=True)
class ActivityFact:
    """An e-mail that was sent, a call, or a meeting. Kind: emailed, called, met.

    `counts` is False for what is no touch of sales: an e-mail that came in, a meeting that was called off.
    """

    kind: str
    id: str
    at: dt.datetime
    owner_id: str
    subject: str
    counts: bool
    company_ids: Sequence[str]
    changed_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some facts, the oldest change first; `after` leads to the next page, "" at the end."""

    facts: Sequence[T]
    after: str = ""


@dataclass(slots=True)
class Written:
    """What came of writing several companies: the CRM's id, or why not, by what they were named by."""

    done: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


class Crm(Protocol):
    """One CRM with one token. Every method is requests over the network: never within a transaction.

    All raise TokenRefused, Busy and Unreachable; those that say so, Rejected. At most 100 companies at once.
    """

    label: ClassVar[str]
    own_names: ClassVar[Mapping[str, str]]  # what the CRM itself calls some fields of the mapping

    def check(self) -> str:
        """Whether the token is good for reading companies and owners; the id of the account there that it opens."""

    def prepare(self, wanted: Sequence[Property]) -> list[str]:
        """Make the properties that are missing there; which. Raises Rejected."""

    def owners(self) -> list[Owner]:
        """Everybody whom a company can be given to."""

    def read(self, ids: Collection[str], properties: Collection[str]) -> dict[str, Record]:
        """The companies of these ids that still exist; one that was merged into another is that one, of its id."""

    def by_key(self, keys: Collection[str], properties: Collection[str]) -> dict[str, Record]:
        """The companies that carry these keys of ours."""

    def by_domain(self, domains: Collection[str], properties: Collection[str]) -> dict[str, list[Record]]:
        """The companies with these domains. What was made a moment ago may be missing."""

    def update(self, changes: Mapping[str, Mapping[str, str]]) -> Written:
        """Write properties of companies by id; again is the same as once."""

    def create(self, companies: Mapping[str, Mapping[str, str]]) -> Written:
        """Make companies, named by our key; one that carries the key already is updated instead."""

    def companies_since(self, since: dt.datetime, properties: Collection[str], after: str) -> Page[Record]:
        """Companies that changed since."""

    def deals_since(self, since: dt.datetime, after: str) -> Page[DealFact]:
        """Deals that changed since."""

    def activities_since(self, kind: str, since: dt.datetime, after: str) -> Page[ActivityFact]:
        """E-mails, calls or meetings that changed since."""

    def deals_of(self, company_ids: Collection[str]) -> list[DealFact]:
        """All deals of these companies."""

    def activity_ids_of(self, kind: str, company_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
        """The e-mails, calls or meetings of each of these companies, the newest ones; who has none is missing."""

    def activities(self, kind: str, ids: Collection[str]) -> list[ActivityFact]:
        """The e-mails, calls or meetings of these ids that still exist."""

    def deals(self, ids: Collection[str]) -> list[DealFact]:
        """The deals of these ids that still exist."""
