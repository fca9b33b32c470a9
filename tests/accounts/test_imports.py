"""`manage.py import_csv`: everything comes in, once, and nothing is lost on the way."""

import csv
import gzip
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import (
    Account,
    AccountDue,
    Event,
    Membership,
    ProductUser,
    QuarantinedMessage,
    RevenueMovement,
    Source,
    StageEntry,
    SubscriptionState,
    TraitValue,
    UsageDay,
)

pytestmark = pytest.mark.django_db

ACCOUNTS = "account_id,name,created_at,plan,employees\nacme,Acme,2026-01-05,free,120\nbolt,Bolt,2026-02-01,team,8\n"
USERS = (
    "user_id,account_id,email,created_at,invited_by,role\n"
    "u1,acme,una@acme.example,2026-01-05,,owner\n"
    "u2,acme,ugo@acme.example,2026-01-09,u1,editor\n"
    "u3,bolt,uri@bolt.example,2026-02-01,,owner\n"
)
EVENTS = (
    "event,timestamp,user_id,account_id,message_id,rows\n"
    "Rows Synced,2026-01-06T10:00:00Z,u1,acme,,40\n"
    "Rows Synced,2026-01-06T11:00:00Z,u1,acme,,2.5\n"
    "Note Created,2026-01-10T09:00:00Z,u2,,,\n"
    "Note Created,2026-02-02,u3,bolt,m-77,\n"
)
REVENUE = (
    "account_id,at,mrr,plan,motion\n"
    "acme,2026-02-10,120,team,sales\n"
    "acme,2026-03-10,180.50,team,\n"
    "bolt,2026-02-01,20,team,\n"
    "bolt,2026-04-01,0,free,\n"
)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """`files(accounts=…, …)` writes the given tables and imports them; the command's words come back."""
    monkeypatch.chdir(tmp_path)

    def _import(*flags, **tables):
        arguments = []
        for kind, content in tables.items():
            path = tmp_path / f"{kind}.csv"
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            arguments += [f"--{kind}", str(path)]
        out = StringIO()
        call_command("import_csv", *arguments, *flags, stdout=out)
        return out.getvalue()

    _import.folder = tmp_path
    return _import


def everything():
    """What an import leaves behind, without row ids and clock times."""
    return {
        "accounts": list(
            Account.objects.order_by("external_id").values_list("external_id", "name", "plan", "mrr", "signed_up_at")
        ),
        "people": list(ProductUser.objects.order_by("external_id").values_list("external_id", "email", "signed_up_at")),
        "memberships": list(
            Membership.objects.order_by("user_key", "valid_from").values_list(
                "user_key", "account_key", "origin", "valid_from", "valid_to"
            )
        ),
        "traits": list(
            TraitValue.objects.order_by("key", "name", "valid_from", "text").values_list("key", "text", "from_day")
        ),
        "events": list(Event.objects.order_by("message_id").values_list("message_id", "user_key", "occurred_at")),
        "usage": list(UsageDay.objects.order_by("day", "user_id").values_list("day", "count", "sum_value")),
        "movements": list(RevenueMovement.objects.order_by("at", "account_id").values_list("kind", "amount", "motion")),
        "stages": list(StageEntry.objects.order_by("at", "stage", "account_id").values_list("stage", "at")),
        "due": list(AccountDue.objects.order_by("account_id", "consumer").values_list("changed_seq", "import_seq")),
    }


def rejected(path):
    with path.open(newline="", errors="surrogateescape") as text:
        return list(csv.reader(text))


def test_the_four_files_become_accounts_people_events_and_revenue(files):
    said = files(accounts=ACCOUNTS, users=USERS, events=EVENTS, revenue=REVENUE)

    assert "accounts          2 rows         2 new          0 known already       0 rejected" in said
    assert "events            4 rows         4 new" in said
    acme = Account.objects.get(external_id="acme")
    assert (acme.name, acme.plan, acme.employees, str(acme.mrr)) == ("Acme", "team", 120, "180.50")
    assert acme.signed_up_at.date().isoformat() == "2026-01-05"
    assert acme.traits["employees"] == 120
    ugo = ProductUser.objects.get(external_id="u2")
    assert (ugo.email, ugo.invited_by_key, ugo.signed_up_at.date().isoformat()) == (
        "ugo@acme.example",
        "u1",
        "2026-01-09",
    )
    membership = Membership.objects.get(user=ugo)
    assert (membership.account_id, membership.origin, membership.valid_from) == (acme.pk, "import", ugo.signed_up_at)
    # the third row names no account: the membership does
    assert Event.objects.get(user_key="u:u2").account_id == acme.pk
    assert Event.objects.get(message_id="m-77").properties == {}
    assert [e.properties["rows"] for e in Event.objects.filter(user_key="u:u1").order_by("occurred_at")] == [40, 2.5]
    movements = RevenueMovement.objects.filter(account=acme).order_by("at")
    assert [(m.kind, str(m.amount), m.motion) for m in movements] == [
        ("new", "120.00", "sales"),
        ("expansion", "60.50", "self_serve"),
    ]
    assert Source.objects.get(name="CSV files").kind == "file"


def test_running_it_twice_changes_nothing(files):
    tables = {"accounts": ACCOUNTS, "users": USERS, "events": EVENTS, "revenue": REVENUE}
    files(**tables)
    before = everything()
    said = files(**tables)
    assert everything() == before
    assert [line.split()[3] for line in said.splitlines() if " rows" in line] == ["0", "0", "0", "0"]


def test_the_order_and_the_split_of_the_files_do_not_matter(files):
    files(revenue=REVENUE)
    files(events=EVENTS)
    files(users=USERS)
    files(accounts=ACCOUNTS)
    apart = {k: v for k, v in everything().items() if k != "due"}
    assert apart["accounts"] == [
        ("acme", "Acme", "team", Account.objects.get(external_id="acme").mrr, apart["accounts"][0][4]),
        ("bolt", "Bolt", "free", 0, apart["accounts"][1][4]),
    ]
    assert [a[4].date().isoformat() for a in apart["accounts"]] == ["2026-01-05", "2026-02-01"]
    assert [kind for kind, _, _ in apart["movements"]] == ["new", "new", "expansion", "churn"]
    assert len(apart["events"]) == 4


def test_rules_see_the_plan_that_revenue_tells(files):
    files(accounts=ACCOUNTS, revenue=REVENUE)
    plans = TraitValue.objects.filter(key="g:acme", name="plan").order_by("valid_from")
    assert [(p.text, p.valid_from.date().isoformat()) for p in plans] == [
        ("free", "2026-01-05"),
        ("team", "2026-02-10"),
    ]


def test_traits_without_a_date_are_true_from_the_earliest_thing_seen(files):
    files(
        accounts="account_id,industry\nacme,Energy\n",
        users="user_id,account_id,title\nu9,acme,Analyst\n",
        events="event,timestamp,user_id,account_id\nNote Created,2026-01-03T10:00:00Z,u9,acme\n",
    )
    for key in ("g:acme", "u:u9"):
        value = TraitValue.objects.get(key=key)
        assert value.valid_from.isoformat() == "2026-01-03T10:00:00+00:00"
    assert Membership.objects.get().valid_from.isoformat() == "2026-01-03T10:00:00+00:00"


def test_rejected_rows_are_kept_with_line_and_reason_and_the_rest_comes_in(files):
    content = (
        b"event,timestamp,user_id\n"
        b"Note Created,2026-01-06,u1\n"
        b'Note Created,someday,"u2"\n'
        b"Note Created,2026-01-06,\n"
        b"Note Created,2026-01-06,null\n"
        b"Note Created,2026-01-06\n"
        b"Note Created,2026-01-07,u3\n"
        b"Note Created,2999-01-07,u3\n"
    ) + b"Note \xe9,2026-01-07,u3\n"
    said = files(events=content)
    kept = rejected(files.folder / "events.csv.rejected.csv")

    assert kept[0] == ["line", "reason", "event", "timestamp", "user_id"]
    assert [(r[0], r[1].split(",")[0][:40]) for r in kept[1:]] == [
        ("3", "timestamp must be a time like 2026-03-01 "[:40]),
        ("4", "user_id is empty."),
        ("5", "One of userId and anonymousId must name "),
        ("6", "The row has 2 fields; the header has 3."),
        ("8", "timestamp “2999-01-07T00:00:00+00:00” is"),
        ("9", "The row is not UTF-8 text."),
    ]
    assert kept[1][2:] == ["Note Created", "someday", "u2"]
    assert Event.objects.count() == 2
    assert QuarantinedMessage.objects.count() == 0
    assert "2 new" in said and "6 rejected" in said and "line 3: timestamp" in said

    files(events="event,timestamp,user_id\nNote Created,2026-01-06,u1\n")
    assert not (files.folder / "events.csv.rejected.csv").exists()


def test_wrong_revenue_is_rejected_and_makes_no_account(files):
    said = files(revenue="account_id,at,mrr,plan\nacme,2026-01-01,-5,team\nacme,2026-01-01,lots,team\n")
    assert Account.objects.count() == 0
    assert "2 rejected" in said and "MRR must be a number from 0 up" in said


def test_strict_imports_nothing_when_a_single_row_is_wrong(files):
    with pytest.raises(CommandError, match="Nothing was imported"):
        files("--strict", accounts=ACCOUNTS, events=EVENTS + "Note Created,someday,u1,,,\n")
    assert (Account.objects.count(), Event.objects.count()) == (0, 0)
    assert rejected(files.folder / "events.csv.rejected.csv")[1][0] == "6"

    files("--strict", accounts=ACCOUNTS, events=EVENTS)
    assert (Account.objects.count(), Event.objects.count()) == (2, 4)


def test_identical_rows_are_one_message(files):
    line = "Note Created,2026-01-06T10:00:00Z,u1\n"
    said = files(events="event,timestamp,user_id\n" + line * 3)
    assert Event.objects.count() == 1
    assert "3 rows         1 new          2 known already" in said


def test_gzip_and_another_source(files):
    files("--source", "Warehouse", events=gzip.compress(EVENTS.encode()))
    assert Event.objects.count() == 4
    assert {e.source.name for e in Event.objects.select_related("source")} == {"Warehouse"}


def test_several_subscriptions_of_an_account_are_summed(files):
    files(
        revenue="account_id,at,mrr,plan,subscription_id,comment\n"
        "acme,2026-01-01,50,team,seats,x\n"
        "acme,2026-02-01,20,storage,storage,y\n"
    )
    assert SubscriptionState.objects.count() == 2
    acme = Account.objects.get()
    assert (acme.plan, acme.mrr) == ("team", 70)


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({}, "at least one file"),
        ({"events": "event,user_id\nX,u1\n"}, "timestamp"),
        ({"users": ""}, "header"),
    ],
)
def test_what_cannot_be_imported_is_told_and_nothing_is_written(files, tables, says):
    with pytest.raises(CommandError, match=says):
        files(accounts=ACCOUNTS, **tables) if tables else files()
    assert Account.objects.count() == 0


def test_a_file_that_is_not_there(files):
    with pytest.raises(CommandError, match="There is no file"):
        call_command("import_csv", "--users", str(files.folder / "none.csv"), stdout=StringIO())


def test_an_import_opens_no_handoffs_by_itself(files):
    files(accounts=ACCOUNTS, events=EVENTS)
    for row in AccountDue.objects.all():
        assert 0 < row.import_seq <= row.changed_seq
