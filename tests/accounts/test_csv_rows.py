"""What a column, a cell and a row mean."""

import datetime as dt
import gzip
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from accounts import csv_rows
from accounts.csv_rows import BadFile, BadRow, Row

UTC = dt.UTC
BERLIN = ZoneInfo("Europe/Berlin")


def read(path, kind, mapping=None):
    with csv_rows.opened(path) as (_, text):
        header, reader = csv_rows.header_of(text)
        return list(csv_rows.rows(reader, header, mapping or csv_rows.exact_mapping(kind, header), kind))


def write(tmp_path, content, name="file.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("007", "007"),
        ("+49 30 1234", "+49 30 1234"),
        ("1234567890123456789012", "1234567890123456789012"),
        ("2.50", 2.5),
        ("1e3", 1000.0),
        ("1.", "1."),
        ("TRUE", True),
        ("false", False),
        ("yes", "yes"),
        ('{"a": [1]}', {"a": [1]}),
        ("[1, 2]", [1, 2]),
        ("[draft", "[draft"),
        ("NaN", "NaN"),
    ],
)
def test_a_cell_is_typed_by_how_it_looks(text, value):
    found = csv_rows.typed(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-01", dt.datetime(2026, 2, 28, 23, tzinfo=UTC)),
        ("2026-07-01", dt.datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("2026-03-01 09:30", dt.datetime(2026, 3, 1, 8, 30, tzinfo=UTC)),
        ("2026-03-01T09:30:00Z", dt.datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("2026-03-01T09:30:00.125+05:30", dt.datetime(2026, 3, 1, 4, 0, 0, 125_000, tzinfo=UTC)),
    ],
)
def test_times_without_an_offset_are_in_the_workspaces_zone(text, at):
    assert csv_rows.moment(text, BERLIN, "timestamp") == at


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01", "01.03.2026", "9999-12-31T23:59:59-12:00"])
def test_what_is_no_time_is_refused_with_the_columns_name(text):
    with pytest.raises(BadRow, match="^timestamp must be a time"):
        csv_rows.moment(text, BERLIN, "timestamp")


def test_columns_are_found_in_any_order_and_spelling_and_the_rest_are_traits():
    header = ["Company Size", "createdAt", "Account ID", "name"]
    assert csv_rows.exact_mapping("accounts", header) == {
        "Company Size": "Company Size",
        "createdAt": "created_at",
        "Account ID": "account_id",
        "name": "name",
    }


def test_the_guess_takes_usual_other_names_but_never_twice():
    assert csv_rows.guessed_mapping("events", ["Event Name", "Time", "distinct_id", "uuid", "rows"]) == {
        "Event Name": "event",
        "Time": "timestamp",
        "distinct_id": "user_id",
        "uuid": "message_id",
        "rows": "rows",
    }
    assert csv_rows.guessed_mapping("users", ["user_id", "id"]) == {"user_id": "user_id", "id": "id"}


def test_unknown_columns_of_revenue_are_left_out():
    assert csv_rows.exact_mapping("revenue", ["account_id", "at", "mrr", "comment"])["comment"] == csv_rows.LEFT_OUT


@pytest.mark.parametrize(
    ("kind", "header", "says"),
    [
        ("events", ["event", "user_id"], "timestamp"),
        ("users", ["email"], "user_id"),
        ("revenue", ["account_id", "at"], "mrr"),
        ("users", ["user_id", "userId"], "Two columns are called user_id"),
    ],
)
def test_a_header_that_cannot_do_is_refused(kind, header, says):
    with pytest.raises(BadFile, match=says):
        csv_rows.check_mapping(kind, csv_rows.exact_mapping(kind, header))


@pytest.mark.parametrize("content", ["", "\n\n", "a,,b\n1,2,3\n", "a,a\n1,2\n", b"\xff\xfea\x00,\x00b\x00\n\x00"])
def test_a_file_without_a_usable_header_is_refused(tmp_path, content):
    with pytest.raises(BadFile):
        read(write(tmp_path, content), "users")


def test_bom_quoted_newlines_blank_lines_and_gzip_are_read(tmp_path):
    content = '\ufeffuser_id,note\r\nu1,"two\r\nlines, one cell"\r\n\r\nu2,"say ""hi"""\r\n'.encode()
    expected = [
        (2, {"user_id": "u1"}, {"note": "two\r\nlines, one cell"}),
        (5, {"user_id": "u2"}, {"note": 'say "hi"'}),
    ]
    for path in (write(tmp_path, content), write(tmp_path, gzip.compress(content), "again.csv.gz")):
        assert [(r.line, r.cells, r.extra) for r in read(path, "users")] == expected


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_the_one_that_the_header_has_most(tmp_path, delimiter):
    path = write(tmp_path, delimiter.join(["user_id", "email", "note"]) + "\n" + delimiter.join(["u1", "a@b.co", "x"]))
    assert read(path, "users")[0].cells == {"user_id": "u1", "email": "a@b.co"}


def test_rows_that_cannot_be_read_say_why_and_do_not_stop_the_next(tmp_path):
    path = write(tmp_path, b"user_id,note\nu1\nu2,a,b\nu3,caf\xe9\nu4,fine\n")
    assert [(r.line, r.error) for r in read(path, "users")] == [
        (2, "The row has 1 fields; the header has 2."),
        (3, "The row has 3 fields; the header has 2."),
        (4, "The row is not UTF-8 text."),
        (5, ""),
    ]


def test_a_line_that_no_memory_holds_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_rows, "MAX_LINE", 1_000)
    assert len(read(write(tmp_path, "user_id,n\n" + "u1,5\n" * 500), "users")) == 500
    for content in ("user_id" + "x" * 1_000, "user_id,n\nu1,5\n" + "y" * 5_000):
        with pytest.raises(BadFile, match="a line of more than 1000 characters"):
            read(write(tmp_path, gzip.compress(content.encode())), "users")


def test_a_gzip_file_that_ends_in_the_middle_is_refused(tmp_path):
    whole = gzip.compress(b"user_id,n\n" + b"".join(b"u%d,%d\n" % (i, i * 7919) for i in range(20_000)))
    with pytest.raises(BadFile, match="middle"):
        read(write(tmp_path, whole[: len(whole) // 2]), "users")


def row(kind, **cells):
    known = csv_rows.COLUMNS[kind]
    return Row(
        2, {k: v for k, v in cells.items() if k in known}, {k: v for k, v in cells.items() if k not in known}, []
    )


def test_a_row_without_a_message_id_gets_one_from_its_content_alone():
    event = {"event": "Invite Sent", "timestamp": "2026-03-01", "user_id": "u1", "to": "x"}
    same = row("events", **dict(reversed(event.items())))
    assert csv_rows.derived_id("events", row("events", **event)) == csv_rows.derived_id("events", same)
    for change in ({"to": "y"}, {"timestamp": "2026-03-02"}, {"user_id": "u2"}, {"account_id": "a"}):
        other = row("events", **{**event, **change})
        assert csv_rows.derived_id("events", other) != csv_rows.derived_id("events", same)
    assert csv_rows.message("events", row("events", **event, message_id="m-1"), BERLIN)["messageId"] == "m-1"


def test_an_event_row_is_a_track_call():
    said = csv_rows.message(
        "events",
        row("events", event="Rows Synced", timestamp="2026-03-01", user_id="u1", account_id="acme", rows="40"),
        BERLIN,
    )
    del said["messageId"]
    assert said == {
        "type": "track",
        "event": "Rows Synced",
        "userId": "u1",
        "timestamp": "2026-02-28T23:00:00+00:00",
        "properties": {"rows": 40},
        "context": {"groupId": "acme"},
    }


def test_a_user_row_is_an_identify_call_in_its_account_from_its_creation():
    said = csv_rows.message(
        "users",
        row("users", user_id="u1", account_id="acme", email="a@b.co", created_at="2026-03-01", invited_by="u0"),
        BERLIN,
    )
    del said["messageId"]
    assert said == {
        "type": "identify",
        "userId": "u1",
        "timestamp": "2026-02-28T23:00:00+00:00",
        "traits": {"createdAt": "2026-02-28T23:00:00+00:00", "email": "a@b.co", "invited_by": "u0"},
        "context": {"groupId": "acme"},
    }


def test_an_undated_account_row_is_true_from_the_creation_that_is_known():
    created = dt.datetime(2025, 5, 1, tzinfo=UTC)
    said = csv_rows.message("accounts", row("accounts", account_id="acme", size="5"), BERLIN, created=created)
    assert (said["timestamp"], said["traits"]) == ("2025-05-01T00:00:00+00:00", {"size": 5})


def test_a_required_cell_that_is_empty_is_a_reason():
    with pytest.raises(BadRow, match="user_id is empty"):
        csv_rows.message("events", row("events", event="X", timestamp="2026-03-01"), BERLIN)


@pytest.mark.parametrize("text", ["", "$5", "1,250", "many"])
def test_an_mrr_is_a_plain_number(text):
    with pytest.raises(BadRow, match="mrr must be a plain number"):
        csv_rows.amount(text)
    assert csv_rows.amount("1250.50") == Decimal("1250.50")
