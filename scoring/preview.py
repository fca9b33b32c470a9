"""A draft before it is published: who would qualify, who enters and leaves, which handoffs it touches, how many a week.

Everything is asked of the usage lake, as of its generation. Where there is much the first answer comes from a sample of
the accounts that stays the same (`engines.asked`) and says so, with its interval; asked for `exact`, everybody answers.
Names and handoffs come from the app database by id, a bounded number of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

import duckdb

from accounts import lake
from accounts.models import Account
from scoring import definitions, dependencies, near_misses, stats
from scoring.definitions import LiveRule
from scoring.engines import asked, columnar, reading
from scoring.models import Handoff, Qualification
from scoring.rules import counts, tree
from scoring.rules.parse import parse_definition

SMALL, SMALL_USAGE = 20_000, 5_000_000  # fewer accounts, with fewer rows of usage, are asked at once
SAMPLE, SAMPLE_USAGE = 5_000, 1_500_000  # accounts in a sample and their rows of usage, about; and no more than that
LEAST = 500  # but so many accounts, for an interval that tells something
NAMED = 10
HANDOFFS = 1_000  # open handoffs of a definition that are looked at
LAPSING = 5_000  # episodes in their grace days that are looked at
_THERE = "FROM accounts_account WHERE merged_into_id IS NULL AND NOT is_internal AND signup_day <= {day}"


@dataclass(frozen=True, slots=True)
class Draft:
    """A document that is a definition, with those that it nests in place, and what is live under its slug."""

    doc: tree.DefinitionDoc
    live: LiveRule | None

    @property
    def reads_log(self) -> bool:
        """Whether the lake may miss somebody: what lies between two steps on one day is in the log only."""
        return tree.reads_log(self.doc, with_motion=True)

    @property
    def changes(self) -> bool:
        """Whether publishing it makes a new version."""
        return self.live is None or self.doc != self.live.doc

    @property
    def hands_over(self) -> bool:
        """Whether sales is concerned at all."""
        return self.doc.purpose == "pql"


@dataclass(frozen=True, slots=True)
class Basis:
    """Who was asked: one account in `every`, `asked` of `accounts` (those that have signed up and are counted)."""

    every: int
    asked: int
    accounts: int
    built_at: dt.datetime  # the moment that the lake's data is of

    @property
    def exact(self) -> bool:
        return self.every == 1

    def estimate(self, hits: int) -> Estimate:
        """How many of all accounts that makes."""
        if self.exact:
            return Estimate(hits, hits, hits)
        part = stats.share(hits, self.asked)
        if part.value is None or part.low is None or part.high is None:
            return Estimate(0, 0, self.accounts)
        return Estimate(*(round(share * self.accounts) for share in (part.value, part.low, part.high)))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number of accounts with its 95% interval (Wilson); the three are the same where everybody was asked."""

    value: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class PartCount:
    """A node of the document: the accounts that it holds for by itself, and that are `left` so far in its group."""

    path: str
    alone: int
    left: int | None


@dataclass(frozen=True, slots=True)
class Handoffs:
    """Open handoffs that would lose their last reason: new ones close, the others stay and are marked.

    `looked_at` is how many reasons were looked at where there may be more; None: all of them.
    """

    closing: tuple[Handoff, ...]
    marked: tuple[Handoff, ...]
    looked_at: int | None


@dataclass(frozen=True, slots=True)
class Grace:
    """Episodes in their grace days, for which the draft does not hold either: a publication ends them at once.

    `looked_at` as in Handoffs.
    """

    ends: int
    named: tuple[Account, ...]  # at most NAMED
    looked_at: int | None


@dataclass(frozen=True, slots=True)
class Who:
    """Who qualifies under a draft today. `worth` are those that are worth a person (None: it has no motion rule)."""

    basis: Basis
    matching: Estimate
    worth: Estimate | None
    live: Estimate | None
    enters: Estimate
    leaves: Estimate
    entering: tuple[Account, ...]  # at most NAMED each, of those asked, the newest sign-ups first
    leaving: tuple[Account, ...]
    parts: tuple[PartCount, ...]
    handoffs: Handoffs | None
    grace: Grace


def read(document: object, *, slug: str) -> Draft:
    """The draft of a definition (`slug`: that of the one it changes, empty: none). Two queries, and one for each depth
    of nested ones. RuleError."""
    rules = {rule.slug: rule for rule in definitions.live_rules()}
    _, doc = dependencies.pinned(parse_definition(document), {name: rule.number for name, rule in rules.items()})
    return Draft(doc, rules.get(slug))


def basis(*, day: int, exact: bool) -> Basis:
    """Whom to ask: everybody, or a sample where there are many and `exact` is not asked for. Raises lake.NoLake."""
    there = _THERE.format(day=int(day))
    with lake.connection() as db:
        generation = lake.standing()
        ((accounts,),) = db.execute(f"SELECT COUNT(*) {there}").fetchall()
        if exact or (accounts < SMALL and generation.rows < SMALL_USAGE):
            return Basis(1, accounts, accounts, generation.built_at)
        every = max(-(-accounts // SAMPLE), min(-(-generation.rows // SAMPLE_USAGE), accounts // LEAST))
        ((number,),) = db.execute(f"SELECT COUNT(*) {there} AND {asked.sampled('id', every)}").fetchall()
    return Basis(every, number, accounts, generation.built_at)


def who(draft: Draft, base: Basis, *, day: int) -> Who:
    """Who qualifies at the end of `day`: one pass over the lake, and six queries. Raises lake.NoLake."""
    open_reasons, lapsing = _open_reasons(draft), _lapsing(draft)
    found = counts.parts(draft.doc)
    others = {} if draft.live is None else {"live": draft.live.doc}
    ask = partial(
        counts.compile_counts, draft.doc, others, types=reading.event_types(), as_of_day=day, dialect="duckdb"
    )
    here = "TRUE" if base.exact else asked.sampled("account_id", base.every)
    live, docs = "live" if others else "0", [draft.doc, *others.values()]
    with (
        asked.connection(every=base.every, also={*open_reasons, *lapsing}) as db,
        asked.table(db, "draft", columnar.apart(db, docs, ask, at_once=not base.exact)),
    ):
        total = _sums(db, found, live, here)
        entering = _newest(db, f"{here} AND holds = 1 AND {live} = 0")
        leaving = _newest(db, f"{here} AND holds = 0 AND {live} = 1")
        lost = _which(db, open_reasons, "holds = 0")
        ending = sorted(_which(db, lapsing, f"holds = 0 AND {live} = 0"), reverse=True)
    names = _named([*entering, *leaving, *ending[:NAMED]])
    return Who(
        basis=base,
        matching=base.estimate(total["holds"]),
        worth=base.estimate(total["worth"]) if draft.doc.motion is not None else None,
        live=base.estimate(total["live"]) if others else None,
        enters=base.estimate(total["enters"]),
        leaves=base.estimate(total["leaves"]),
        entering=tuple(names[pk] for pk in entering if pk in names),
        leaving=tuple(names[pk] for pk in leaving if pk in names),
        parts=tuple(
            PartCount(
                part.path,
                base.estimate(total[f"n{place}"]).value,
                None if part.so_far is None else base.estimate(total[f"s{place}"]).value,
            )
            for place, part in enumerate(found)
        ),
        handoffs=_touched(draft, lost, len(open_reasons)) if draft.hands_over else None,
        grace=Grace(
            ends=len(ending),
            named=tuple(names[pk] for pk in ending[:NAMED] if pk in names),
            looked_at=len(lapsing) if len(lapsing) >= LAPSING else None,
        ),
    )


def _sums(db: duckdb.DuckDBPyConnection, found: Sequence[counts.Part], live: str, here: str) -> dict[str, int]:
    """How many accounts of the table `draft` each of its columns is true of, and what follows from them."""
    wanted = {
        "holds": "holds",
        "live": live,
        "enters": f"holds * (1 - {live})",
        "leaves": f"(1 - holds) * {live}",
    }
    for place, part in enumerate(found):
        wanted[f"n{place}"] = f"n{place}"
        if part.so_far is not None:
            wanted[f"s{place}"] = f"s{place}"
        if part.path == "/motion/rule":
            wanted["worth"] = f"holds * n{place}"
    sums = ", ".join(f"COALESCE(SUM({column}), 0)" for column in wanted.values())
    (row,) = db.execute(f"SELECT {sums} FROM draft WHERE {here}").fetchall()
    return {name: int(number) for name, number in zip(wanted, row, strict=True)}


def _newest(db: duckdb.DuckDBPyConnection, condition: str) -> list[int]:
    """The accounts of the table `draft` that signed up last, at most NAMED."""
    query = f"SELECT account_id FROM draft WHERE {condition} ORDER BY signup_day DESC, account_id DESC LIMIT {NAMED}"
    return [account_id for (account_id,) in db.execute(query).fetchall()]


def _which(db: duckdb.DuckDBPyConnection, ids: Collection[int], condition: str) -> set[int]:
    """Those of these accounts that the condition is true of."""
    if not ids:
        return set()
    listed = ", ".join(map(str, ids))
    rows = db.execute(f"SELECT account_id FROM draft WHERE {condition} AND account_id IN ({listed})").fetchall()
    return {account_id for (account_id,) in rows}


def near(draft: Draft, base: Basis, *, day: int, limit: int) -> tuple[near_misses.NearMisses, dict[int, Account]]:
    """The near misses of those asked, and the accounts of the nearest `limit` by id. Raises lake.NoLake."""
    found = near_misses.of_definition(draft.doc, day, limit, every=base.every)
    return found, _named([one.account_id for one in found.nearest])


def _named(ids: Collection[int]) -> dict[int, Account]:
    rows = Account.objects.filter(pk__in=set(ids)).only("id", "name", "plan", "seats")
    return {account.pk: account for account in rows}


def _open_reasons(draft: Draft) -> list[int]:
    """The accounts whose open episode under the live version is a reason of an open handoff, at most HANDOFFS; none
    where the draft says what is live: publishing that changes nothing."""
    if draft.live is None or not draft.hands_over or not draft.changes:
        return []
    rows = Qualification.objects.filter(
        definition_id=draft.live.definition_id, closed_at=None, handoff__closed_at=None, handoff__isnull=False
    )
    return list(rows.order_by("account_id").values_list("account_id", flat=True)[:HANDOFFS])


def _lapsing(draft: Draft) -> list[int]:
    """The accounts whose open episode is in its grace days, at most LAPSING; none where publishing changes nothing."""
    if draft.live is None or not draft.changes:
        return []
    rows = Qualification.objects.filter(
        definition_id=draft.live.definition_id, closed_at=None, lapsing_since_day__isnull=False
    )
    return list(rows.order_by("account_id").values_list("account_id", flat=True)[:LAPSING])


def _touched(draft: Draft, lost: Collection[int], reasons_seen: int) -> Handoffs:
    """The handoffs all of whose open reasons are this definition's, for accounts that are `lost`."""
    looked_at = reasons_seen if reasons_seen >= HANDOFFS else None
    if draft.live is None or not lost:
        return Handoffs((), (), looked_at)
    mine = Qualification.objects.filter(
        definition_id=draft.live.definition_id, closed_at=None, account_id__in=lost, handoff__closed_at=None
    )
    touched = set(mine.filter(handoff__isnull=False).values_list("handoff_id", flat=True))
    reasons = Qualification.objects.filter(handoff_id__in=touched, closed_at=None)
    kept = {
        handoff_id
        for handoff_id, definition_id, account_id in reasons.values_list("handoff_id", "definition_id", "account_id")
        if definition_id != draft.live.definition_id or account_id not in lost
    }
    rows = Handoff.objects.filter(pk__in=touched - kept).select_related("company", "owner").order_by("-opened_at", "pk")
    found = list(rows)
    return Handoffs(
        closing=tuple(one for one in found if one.status == Handoff.Status.NEW),
        marked=tuple(one for one in found if one.status != Handoff.Status.NEW),
        looked_at=looked_at,
    )
