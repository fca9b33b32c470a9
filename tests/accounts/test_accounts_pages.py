"""The accounts list and one account's page: who may see what, what is shown, and what it costs."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import about, charts, history, identity, listing
from accounts.models import Account, AuditEntry
from accounts.workspace import day_of
from tests.factories.pages import a_busy_account, a_person, an_account, an_event_type, did, moved, reached

HX = {"HX-Request": "true"}
# session and user, roles, then: the page of accounts, those never seen, activity, plans
LIST_QUERIES = 7
# session, user, roles; account; traits, plan, children, merges, totals; then the tab's own:
FRAME_QUERIES = 9
TAB_QUERIES = {
    # stages, people a day, different people; persons (seen, never seen), memberships, usage; champion; the way;
    # limits; then the timeline's: events, stages, revenue, audit; touches, tasks, prompts, clicks, conversions
    "overview": FRAME_QUERIES + 19,
    "timeline": FRAME_QUERIES + 9,
    "people": FRAME_QUERIES + 5,  # persons (seen, never seen), memberships, usage; champion
    "events": FRAME_QUERIES + 1,
    "revenue": FRAME_QUERIES + 1,
    "history": FRAME_QUERIES + 3,  # audit, stages, traits
}


def names(response) -> list[str]:
    return re.findall(r"data-row>([^<]+)</a>", response.content.decode())


def count_queries(client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries_made:
        assert client.get(path).status_code == 200
    return len(queries_made)


# --- the list ---------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("rows", [1, 3])
def test_list_costs_the_same_for_any_number_of_rows(client_of, rep, rows):
    for i in range(rows):
        a_busy_account(f"Company {i}", plan="team", mrr=100, owner=rep)
    assert count_queries(client_of(rep), "/accounts/") == LIST_QUERIES


@pytest.mark.django_db
def test_list_is_for_people_with_a_role(client, client_of, stranger):
    assert client.get("/accounts/")["Location"] == "/login/?next=/accounts/"
    assert client_of(stranger).get("/accounts/").status_code == 403


@pytest.mark.django_db
def test_list_leaves_out_merged_and_internal(client_of, rep):
    winner = an_account("Winner")
    an_account("Loser", merged_into=winner)
    an_account("Ours", is_internal=True)
    client = client_of(rep)
    assert names(client.get("/accounts/")) == ["Winner"]
    assert names(client.get("/accounts/?kind=internal")) == ["Ours"]


@pytest.fixture
def three(db, rep, other_rep):
    now = timezone.now()
    one = an_account("Alder", plan="team", mrr=300, seats=5, owner=rep, seen_days_ago=3, days_ago=10, external_id="g1")
    two = an_account("Birch", plan="free", mrr=0, seats=None, seen_days_ago=None, days_ago=30, is_provisional=True)
    three = an_account("Cedar", plan="business", mrr=900, seats=50, owner=other_rep, seen_days_ago=1, days_ago=20)
    reached(one, "pql")
    return now, one, two, three


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Cedar", "Alder", "Birch"]),  # newest seen first, never seen last
        ("sort=name", ["Alder", "Birch", "Cedar"]),
        ("sort=mrr", ["Cedar", "Alder", "Birch"]),
        ("sort=seats", ["Cedar", "Alder", "Birch"]),
        ("sort=signup", ["Alder", "Cedar", "Birch"]),
        ("sort=plan", ["Cedar", "Birch", "Alder"]),
        ("sort=nonsense", ["Cedar", "Alder", "Birch"]),
        ("plan=team", ["Alder"]),
        ("owner=me", ["Alder"]),
        ("owner=none", ["Birch"]),
        ("stage=pql", ["Alder"]),
        ("kind=paying", ["Cedar", "Alder"]),
        ("kind=free", ["Birch"]),
        ("kind=provisional", ["Birch"]),
        ("q=ced", ["Cedar"]),
        ("q=g1", ["Alder"]),
        ("q=edar", ["Cedar"]),  # nothing starts with it, so the names are read through
        ("q=birch.exa", ["Birch"]),
        ("q=https://www.birch.example/pricing", ["Birch"]),
        ("q=%25", []),
        ("q=zzz", []),
    ],
)
def test_list_sorts_filters_and_finds(client_of, rep, three, query, expected):
    assert names(client_of(rep).get(f"/accounts/?{query}")) == expected


@pytest.mark.parametrize("sort", list(listing.SORTS))
def test_pages_follow_each_other_without_gap_or_repeat(db, rep, sort):
    for i in range(23):
        an_account(
            f"Company {i % 4}",
            plan=("free", "team")[i % 2],
            mrr=(i % 3) * 100,
            seats=None if i % 5 == 0 else i % 4,
            seen_days_ago=None if i % 6 == 0 else i % 3,
        )
    seen: list[int] = []
    cursor = ""
    for _ in range(10):
        page = listing.account_list(listing.Filter(sort=sort), me=rep.pk, cursor=cursor, size=5)
        seen += [account.pk for account in page.items]
        cursor = page.next_cursor
        if not page.has_next:
            break
    assert len(seen) == len(set(seen)) == 23


def test_show_more_appends_rows_and_keeps_the_filter(client_of, rep, db, monkeypatch):
    for i in range(3):
        an_account(f"Company {i}", plan="team")
    monkeypatch.setattr(listing.paging, "SIZE", 2)
    monkeypatch.setattr(listing.account_list, "__kwdefaults__", {"cursor": "", "size": 2})
    client = client_of(rep)
    first = client.get("/accounts/?plan=team&sort=name")
    link = re.search(r'hx-get="([^"]+)" hx-target="#more"', first.content.decode()).group(1).replace("&amp;", "&")
    assert "plan=team" in link and "sort=name" in link
    more = client.get(f"/accounts/{link}", headers={**HX, "HX-Target": "more"})
    assert names(more) == ["Company 2"]
    assert "<html" not in more.content.decode()


def test_a_damaged_cursor_is_a_400(client_of, rep):
    assert client_of(rep).get("/accounts/?cursor=nonsense").status_code == 400


def test_filtering_by_htmx_answers_the_list_and_the_address(client_of, rep, three):
    response = client_of(rep).get("/accounts/?q=ced&plan=", headers={**HX, "HX-Target": "list"})
    assert response["HX-Push-Url"] == "/accounts/?q=ced"
    assert names(response) == ["Cedar"]
    assert "<html" not in response.content.decode()
    assert {"HX-Request", "HX-Target"} <= {part.strip() for part in response["Vary"].split(",")}


def test_empty_lists_say_why(client_of, rep):
    client = client_of(rep)
    assert "No accounts yet" in client.get("/accounts/").content.decode()
    assert "No account fits" in client.get("/accounts/?q=nothing").content.decode()


def test_plans_are_those_that_accounts_are_on(three):
    an_account("Fir", plan="team")
    assert listing.plans() == ["business", "free", "team"]


def test_activity_counts_people_once_a_day(db):
    account = an_account()
    priya, jonas = a_person(account), a_person(account, "Jonas Weber")
    one, two = an_event_type(), an_event_type("Report Viewed", "activity")
    did(account, priya, one, days_ago=1, times=5)
    did(account, priya, two, days_ago=1)
    did(account, jonas, one, days_ago=1)
    did(account, jonas, one, days_ago=40)
    assert listing.activity([account.pk], today=day_of(timezone.now()))[account.pk] == [0] * 26 + [2, 0]


# --- one account ------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("tab", list(TAB_QUERIES))
@pytest.mark.parametrize("people", [1, 3])
def test_account_page_costs_the_same_for_any_number_of_rows(client_of, rep, tab, people):
    account = a_busy_account(people=people, plan="team", owner=rep)
    for _ in range(people):
        a_person(account, last_seen_at=None)
        AuditEntry.objects.create(at=timezone.now(), actor_label="Ada", action="account.seen", account_id=account.pk)
    assert count_queries(client_of(rep), f"/accounts/{account.pk}/?tab={tab}") == TAB_QUERIES[tab]


def test_overview_shows_what_is_known(client_of, rep):
    account = a_busy_account(mrr=175, seats=5, plan="team", owner=rep, employees=80)
    moved(account, "expansion", "25.00", "200.00")
    html = client_of(rep).get(f"/accounts/{account.pk}/").content.decode()
    for words in (
        "Lumen Analytics",
        "lumen.example",
        "$175",
        "Dana Whitfield",
        "EMEA",
        "Active people a day",
        "Product-qualified",
        "Workflow Completed",
        "Priya Weber",
        f'hx-get="/accounts/{account.pk}/panels/qualification/"',
        f'hx-get="/accounts/{account.pk}/panels/tickets/"',
    ):
        assert words in html, words


def test_tabs_are_fragments_for_htmx(client_of, rep):
    account = a_busy_account()
    client = client_of(rep)
    response = client.get(f"/accounts/{account.pk}/?tab=revenue", headers={**HX, "HX-Target": "tab"})
    html = response.content.decode()
    assert html.strip().startswith('<div class="acct-t" id="tab">')
    assert "$175" in html
    assert client.get(f"/accounts/{account.pk}/?tab=secrets").status_code == 404


def test_usage_chart_can_show_events_and_the_company(client_of, rep):
    root = a_busy_account("Root")
    child = a_busy_account("Child", parent=root)
    client = client_of(rep)
    people = client.get(f"/accounts/{root.pk}/usage/").content.decode()
    assert "3 people" in people
    assert "6 people" in client.get(f"/accounts/{child.pk}/usage/?company=1").content.decode()
    events = client.get(f"/accounts/{root.pk}/usage/?measure=events").content.decode()
    assert "Events a day" in events and "Invite Sent" in events


def test_people_chart_leaves_out_what_is_no_activity(db):
    account = an_account()
    person = a_person(account)
    did(account, person, an_event_type("Mail Bounced", "", is_activity=False))
    chart = charts.usage_chart([account.pk], day_of(timezone.now()))
    assert chart.is_empty and chart.total == 0


def test_contacts_are_most_recently_seen_first_and_those_never_seen_last(db):
    account = an_account()
    now = timezone.now()
    a_person(account, "Never Seen", last_seen_at=None)
    a_person(account, "Long Ago", last_seen_at=now - dt.timedelta(days=40))
    newest = a_person(account, "Just Now", last_seen_at=now)
    did(account, newest, an_event_type(), days_ago=2, times=4)
    found = about.contacts([account.pk], 10, today=day_of(now))
    assert [contact.name for contact in found] == ["Just Now", "Long Ago", "Never Seen"]
    assert (found[0].events, found[0].active_days) == (4, 1)


def test_the_log_is_newest_first_and_pages(db):
    account = an_account()
    person = a_person(account)
    for days_ago in range(5):
        did(account, person, an_event_type(), days_ago=days_ago, template=f"report {days_ago}")
    first = history.timeline([account.pk], 3)
    rest = history.timeline([account.pk], 3, cursor=first.next_cursor)
    assert [h.details for h in first.items + rest.items] == [f"template report {i}" for i in range(5)]
    assert not rest.has_next


def test_a_merged_account_leads_to_its_winner(client_of, rep, admin):
    winner, middle, loser = an_account("Winner"), an_account("Middle"), an_account("Loser")
    Account.objects.filter(pk=loser.pk).update(merged_into=middle)
    Account.objects.filter(pk=middle.pk).update(merged_into=winner)
    response = client_of(rep).get(f"/accounts/{loser.pk}/", follow=True)
    assert response.redirect_chain == [(f"/accounts/{winner.pk}/", 302)]
    assert "Loser was merged into Winner" in response.content.decode()


# --- what may be changed ------------------------------------------------------------------------------------


def test_owner_is_set_by_managers_only(client_of, rep, manager):
    account = an_account()
    path = f"/accounts/{account.pk}/owner/"
    assert client_of(rep).post(path, {"owner": rep.pk}).status_code == 403
    assert client_of(manager).post(path, {"owner": rep.pk}).status_code == 302
    account.refresh_from_db()
    assert account.owner == rep
    entry = AuditEntry.objects.get(action="account.owner_set")
    assert (entry.actor_id, entry.account_id, entry.detail) == (manager.pk, account.pk, {"from": "", "to": rep.label})


def test_setting_the_same_owner_again_leaves_no_second_audit_row(client_of, rep, manager):
    account = an_account(owner=rep)
    client_of(manager).post(f"/accounts/{account.pk}/owner/", {"owner": rep.pk})
    assert AuditEntry.objects.count() == 0


def test_internal_is_marked_by_admins_and_is_a_change(client_of, manager, admin):
    account = an_account()
    path = f"/accounts/{account.pk}/internal/"
    assert client_of(manager).post(path, {"internal": "1"}).status_code == 403
    client_of(admin).post(path, {"internal": "1"})
    account.refresh_from_db()
    assert account.is_internal
    assert sorted(account.due.values_list("consumer", flat=True)) == ["crm", "evaluation", "tiers"]
    assert AuditEntry.objects.get().action == "account.marked_internal"


def test_merge_and_take_back_from_the_page(client_of, admin, rep):
    winner, loser = an_account("Winner"), an_account("Loser")
    client = client_of(admin)
    found = client.get(f"/accounts/{loser.pk}/merge/choices/?into=win").content.decode()
    assert f'value="{winner.pk}"' in found and f'value="{loser.pk}"' not in found
    response = client.post(f"/accounts/{loser.pk}/merge/", {"winner": winner.pk}, follow=True)
    assert response.redirect_chain == [(f"/accounts/{winner.pk}/", 302)]
    assert "Loser was merged into Winner" in response.content.decode()
    merge = winner.merges_won.get()
    response = client.post(f"/accounts/merges/{merge.pk}/undo/", follow=True)
    assert response.redirect_chain == [(f"/accounts/{loser.pk}/", 302)]
    loser.refresh_from_db()
    assert loser.merged_into_id is None


def test_what_cannot_be_merged_is_said(client_of, admin):
    account = an_account()
    client = client_of(admin)
    for chosen in ("", str(account.pk)):
        response = client.post(f"/accounts/{account.pk}/merge/", {"winner": chosen}, follow=True)
        assert 'data-tone="bad"' in response.content.decode()
    account.refresh_from_db()
    assert account.merged_into_id is None
    assert identity.CannotMerge.__doc__


@pytest.mark.parametrize("path", ["merge/", "internal/"])
def test_a_rep_may_not_change_what_an_account_is(client_of, rep, path):
    account = an_account()
    assert client_of(rep).post(f"/accounts/{account.pk}/{path}").status_code == 403
    html = client_of(rep).get(f"/accounts/{account.pk}/").content.decode()
    assert "ask-merge" not in html and "ask-owner" not in html
