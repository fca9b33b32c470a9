"""Files into the same door as the API: rows become tracking messages and go through `ingest.accept`.

A row's message id comes from its content, so a file imported twice changes nothing. Rows that cannot be read
are kept beside the file, with their line and the reason, and never stop the rest. Rows of accounts and users
without `created_at` wait until everything else is in: their traits are true from the account's or user's
creation, which by then is the earliest thing seen of it.

Memory does not grow with the file. Nothing here is held open across batches: a run that dies half-way is
simply run again, and a run may stop after any batch and leave a bookmark for the next one.
"""

from __future__ import annotations

import csv
import datetime as dt
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from django.conf import settings

from accounts import billing, csv_rows, payload
from accounts.counting import CatalogueFull
from accounts.csv_rows import BadFile, BadRow, Row
from accounts.ingest import Accepted, accept
from accounts.models import AccountKey, Source, UserKey
from accounts.workspace import zone

SOURCE = "CSV files"
BATCH = 1_000  # rows in one transaction
PREVIEW_ROWS = 8


@dataclass(slots=True)
class Report:
    """What became of one file."""

    kind: str
    path: Path
    read: int = 0
    new: int = 0
    rejected: int = 0
    first_reason: str = ""
    rejected_path: Path | None = None
    left_out: list[str] = field(default_factory=list)  # columns that were not imported

    @property
    def known(self) -> int:
        """Rows that said nothing new: they had been imported before, or stand twice in the file."""
        return self.read - self.new - self.rejected


Progress = Callable[[int, Report], None]  # the file's position in bytes, and how far the report has come


@dataclass(frozen=True, slots=True)
class Bookmark:
    """How far a file has come in: where a later run goes on. Plain values, kept as JSON."""

    again: bool = False  # the second time through, for the rows that wait
    place: str = ""  # where the next row begins, as the text's `tell` names it; empty: after the header
    line: int = 0  # lines of the file before that
    undated: int = 0
    read: int = 0
    new: int = 0
    rejected: int = 0
    first_reason: str = ""
    rejected_bytes: int = 0  # of the file of rejected rows


@dataclass(frozen=True, slots=True)
class Part:
    """A file to be imported, with what its columns mean (None: by their exact names)."""

    kind: str
    path: Path
    mapping: Mapping[str, str] | None = None
    rejected_path: Path | None = None


def source_named(name: str, *, now: dt.datetime) -> Source:
    """The source that imported rows are filed under; made on first use."""
    source, _ = Source.objects.get_or_create(name=name, defaults={"kind": Source.Kind.FILE, "created_at": now})
    return source


def preview(path: Path, kind: str) -> tuple[list[str], list[list[str]], dict[str, str]]:
    """The header, the first rows and the guessed mapping of a file, or BadFile."""
    with csv_rows.opened(path) as (_, text):
        header, reader = csv_rows.header_of(text)
        try:
            sample = [row for row in islice(reader, PREVIEW_ROWS) if any(row)]
        except (csv.Error, OSError, EOFError, zlib.error) as error:
            raise BadFile(f"The first rows cannot be read: {error}.") from error
    return header, sample, csv_rows.guessed_mapping(kind, header)


def check(parts: Sequence[Part], *, now: dt.datetime, progress: Progress | None = None) -> list[Report]:
    """Read every row of every file and write nothing but the rejected rows' files."""
    return [_Pass(part, None, now=now, progress=progress).run() for part in parts]


def load(parts: Sequence[Part], *, source: Source, now: dt.datetime, progress: Progress | None = None) -> list[Report]:
    """Import the files, in the order accounts, users, events, revenue whatever the order given. BadFile before
    anything is written when a header is wrong."""
    ordered = sorted(parts, key=lambda part: csv_rows.KINDS.index(part.kind))
    for part in ordered:
        with csv_rows.opened(part.path) as (_, text):
            header, _reader = csv_rows.header_of(text)
            _mapping_of(part, header)
    passes = [_Pass(part, source, now=now, progress=progress) for part in ordered]
    for each in passes:
        each.run()
    for each in passes:
        each.run_undated()
    return [each.report for each in passes]


def load_some(
    part: Part,
    *,
    source: Source,
    now: dt.datetime,
    bookmark: Bookmark,
    enough: Callable[[], bool],
    progress: Progress | None = None,
) -> tuple[Report, Bookmark | None]:
    """Import one file from the bookmark on until it is at its end or, after a batch, `enough` says so.

    The report of all so far, and the bookmark for the next run; None when the file is done. BadFile as for `load`.
    """
    run = _Pass(part, source, now=now, progress=progress, enough=enough, bookmark=bookmark)
    done = run.go_on()
    return run.report, None if done else run.bookmark


def _mapping_of(part: Part, header: list[str]) -> Mapping[str, str]:
    mapping = part.mapping or csv_rows.exact_mapping(part.kind, header)
    csv_rows.check_mapping(part.kind, mapping)
    return mapping


class _Pass:
    """One file on its way in."""

    def __init__(
        self,
        part: Part,
        source: Source | None,
        *,
        now: dt.datetime,
        progress: Progress | None,
        enough: Callable[[], bool] = lambda: False,
        bookmark: Bookmark = Bookmark(),
    ) -> None:
        self.part = part
        self.source = source
        self.now = now
        self.progress = progress or (lambda position, report: None)
        self.enough = enough
        self.bookmark = bookmark
        self.zone = zone()
        self.report = Report(
            part.kind,
            part.path,
            read=bookmark.read,
            new=bookmark.new,
            rejected=bookmark.rejected,
            first_reason=bookmark.first_reason,
        )
        self.undated = bookmark.undated

    def go_on(self) -> bool:
        """From the bookmark to the end, or until it is enough; whether that was the end."""
        if not self.bookmark.again:
            with _Rejects(self.part, kept=self.bookmark.rejected_bytes) as rejects:
                if not self._each_batch(rejects, undated=False):
                    return False
            self.bookmark = replace(self.bookmark, again=True, place="", line=0)
        return not self.undated or self._each_batch(None, undated=True)

    def run(self) -> Report:
        """All rows but the undated ones; without a source only reads."""
        with _Rejects(self.part) as rejects:
            self._each_batch(rejects, undated=False)
        return self.report

    def run_undated(self) -> None:
        """The rows that waited; what is wrong with them was said by the first pass."""
        if self.undated:
            self._each_batch(None, undated=True)

    def _each_batch(self, rejects: _Rejects | None, *, undated: bool) -> bool:
        """Batches from the bookmark on; False, and a new bookmark, when it is enough before the end."""
        kind = self.part.kind
        with csv_rows.opened(self.part.path) as (disk, text):
            header, reader = csv_rows.header_of(text)
            mapping = _mapping_of(self.part, header)
            self.report.left_out = [name for name, target in mapping.items() if target == csv_rows.LEFT_OUT]
            if rejects:
                rejects.header = header
            passed = 0
            if self.bookmark.place:
                text.seek(int(self.bookmark.place))
                passed = self.bookmark.line - reader.line_num
            rows = csv_rows.rows(reader, header, mapping, kind, passed=passed)
            while batch := list(islice(rows, BATCH)):
                if rejects:
                    self.report.read += len(batch)
                self._batch(batch, rejects, undated=undated)
                self.progress(disk.tell(), self.report)
                if self.enough():
                    self.bookmark = Bookmark(
                        again=undated,
                        place=str(text.tell()),
                        line=passed + reader.line_num,
                        undated=self.undated,
                        read=self.report.read,
                        new=self.report.new,
                        rejected=self.report.rejected,
                        first_reason=self.report.first_reason,
                        rejected_bytes=rejects.size() if rejects else 0,
                    )
                    return False
        return True

    def _batch(self, batch: Sequence[Row], rejects: _Rejects | None, *, undated: bool) -> None:
        kind = self.part.kind
        dated = kind in ("accounts", "users")
        created = self._creations(batch) if undated else {}
        messages: list[tuple[Row, payload.Message]] = []
        states: list[tuple[Row, billing.State]] = []
        for row in batch:
            waits = dated and not row.error and "created_at" not in row.cells
            if undated and not waits:
                continue
            try:
                if row.error:
                    raise BadRow(row.error)
                said = csv_rows.message(kind, row, self.zone, created=created.get(_key(kind, row), self.now))
                message = self._understood(said)
                if kind == "revenue":
                    states.append((row, self._state(row)))
            except BadRow as problem:
                if rejects:
                    self._reject(rejects, row, str(problem))
                continue
            if waits and not undated:
                self.undated += 1
                continue
            messages.append((row, message))
        if self.source is None or not messages:
            return
        accepted = self._accept(messages, rejects)
        if kind == "revenue":
            self.report.new += self._pay([state for _, state in states])
        else:
            self.report.new += accepted.events + accepted.facts

    def _accept(self, said: Sequence[tuple[Row, payload.Message]], rejects: _Rejects | None) -> Accepted:
        assert self.source is not None
        messages = [message for _, message in said]
        try:
            return accept(source=self.source, messages=messages, received_at=self.now, importing=True)
        except CatalogueFull as full:  # nothing of the batch was stored
            for row, message in said:
                if rejects and message.event in full.names:
                    self._reject(rejects, row, str(full))
            return self._accept([pair for pair in said if pair[1].event not in full.names], rejects)

    def _understood(self, said: dict[str, Any]) -> payload.Message:
        """The message, or BadRow if ingest would refuse it."""
        try:
            return payload.parse(
                said,
                received_at=self.now,
                sent_at=None,
                context=None,
                skew_seconds=settings.INGEST_SKEW_SECONDS,
                max_message_bytes=settings.INGEST_MAX_MESSAGE,
            )
        except payload.Refused as refused:
            raise BadRow(refused.reason) from refused

    def _state(self, row: Row) -> billing.State:
        """The subscription's state that a revenue row says; the account is resolved when it is written."""
        cells = row.cells
        state = billing.State(
            account_id=0,
            account_key=f"g:{cells['account_id']}",
            at=csv_rows.moment(cells["at"], self.zone, "at"),
            plan=cells.get("plan", ""),
            mrr=csv_rows.amount(cells["mrr"]),
            motion=csv_rows.normal(cells.get("motion", "")),
            external_id=cells.get("subscription_id", "")[:200],
        )
        try:
            return billing.checked(state, now=self.now)
        except billing.BadState as problem:
            raise BadRow(str(problem)) from problem

    def _pay(self, states: Sequence[billing.State]) -> int:
        """Write the states of accounts that the batch before has made sure of."""
        keys = {state.account_key for state in states}
        owners = dict(AccountKey.objects.filter(key__in=keys).values_list("key", "account_id"))
        return billing.record_states(
            [state.of(owners[state.account_key]) for state in states],
            now=self.now,
            source=self.source,
            importing=True,
        )

    def _creations(self, batch: Sequence[Row]) -> dict[str, dt.datetime]:
        """When the accounts or users of undated rows were created, as far as that is known by now."""
        keys = {_key(self.part.kind, row) for row in batch if not row.error}
        if self.part.kind == "accounts":
            return dict(AccountKey.objects.filter(key__in=keys).values_list("key", "account__signed_up_at"))
        return dict(UserKey.objects.filter(key__in=keys).values_list("key", "user__signed_up_at"))

    def _reject(self, rejects: _Rejects, row: Row, reason: str) -> None:
        self.report.rejected += 1
        self.report.first_reason = self.report.first_reason or f"line {row.line}: {reason}"
        rejects.write(row, reason)
        self.report.rejected_path = rejects.path


def _key(kind: str, row: Row) -> str:
    return f"g:{row.cells.get('account_id')}" if kind == "accounts" else f"u:{row.cells.get('user_id')}"


class _Rejects:
    """The file of rejected rows: made with the first one, and gone when a later run rejects nothing.

    `kept`: so many bytes of it are of runs before; what follows was written by one that died.
    """

    def __init__(self, part: Part, *, kept: int = 0) -> None:
        self.path = part.rejected_path or rejected_path(part.path)
        self.kept = kept
        self.header: list[str] = []
        self._out: Any = None
        self._writer: Any = None

    def __enter__(self) -> Self:
        if self.kept:
            os.truncate(self.path, self.kept)
            self._open("a")
        else:
            self.path.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._out:
            self._out.close()

    def write(self, row: Row, reason: str) -> None:
        if self._out is None:
            self._open("w")
            self._writer.writerow(["line", "reason", *self.header])
        self._writer.writerow([row.line, reason, *row.raw])

    def size(self) -> int:
        """Bytes written so far, by all runs together."""
        if self._out is None:
            return 0
        self._out.flush()
        return os.fstat(self._out.fileno()).st_size

    def _open(self, mode: str) -> None:
        # the bytes that were no UTF-8 go out as they came in
        self._out = self.path.open(mode, encoding="utf-8", errors="surrogateescape", newline="")
        self._writer = csv.writer(self._out)


def rejected_path(path: Path) -> Path:
    """Where the rejected rows of a file go: beside it, or into the current folder where that cannot be written."""
    name = f"{path.name}.rejected.csv"
    try:
        beside = path.with_name(name)
        with beside.open("a"):
            return beside
    except OSError:
        return Path.cwd() / name
