"""The inbox's pages: what each role sees and may do, how the queue is cut, and what it costs."""

import datetime as dt

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from scoring import company, handoffs, queue
from scoring.models import Handoff, HandoffActivity, Qualification
from tests.factories import desk

pytestmark = pytest.mark.django_db

HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def now():
    return timezone.now()


def names(response):
    """The companies in the queue's order."""
    return [r.handoff.company.name for r in response.context["rows"]]


# --- reading -----------------------------------------------------------------------------------------------


def test_the_queue_opens_with_its_first_account(client_of, rep, now):
    desk.desk(3, now=now)
    response = client_of(rep).get("/inbox/")
    assert names(response) == ["Lumen Analytics", "Kestrel Robotics", "Harbor & Pine"]
    assert response.context["selected"] == Handoff.objects.get(company__name="Lumen Analytics").pk
    assert [r.qualification.definition.slug for r in response.context["d"].reasons] == ["steady-use", "team-expansion"]


def test_an_empty_queue_says_so(client_of, rep):
    page = client_of(rep).get("/inbox/").content.decode()
    assert "The queue is clear" in page
    assert "Nothing is done yet" in client_of(rep).get("/inbox/?tab=done").content.decode()


def test_tabs_hold_what_is_theirs(client_of, rep, other_rep, now):
    free, mine, theirs, done = desk.desk(4, now=now)
    handoffs.claim(handoff_id=mine.pk, by=rep, now=now)
    handoffs.claim(handoff_id=theirs.pk, by=other_rep, now=now)
    handoffs.close(handoff_id=done.pk, outcome="disqualified", reason="student", by=rep, now=now)
    client = client_of(rep)
    assert names(client.get("/inbox/")) == [free.company.name]
    assert names(client.get("/inbox/?tab=mine")) == [mine.company.name]
    assert names(client.get("/inbox/?tab=done")) == [done.company.name]
    tabs = client.get("/inbox/").context["tabs"]
    assert [(t["key"], t["count"]) for t in tabs] == [
        ("new", "1"),
        ("mine", "1"),
        ("due", "0"),
        ("snoozed", "0"),
        ("done", "1"),
    ]


def test_a_manager_sees_the_team(client_of, manager, rep, now):
    one, _ = desk.desk(2, now=now)
    handoffs.claim(handoff_id=one.pk, by=rep, now=now)
    response = client_of(manager).get("/inbox/?tab=team")
    assert names(response) == [one.company.name]
    assert [t["key"] for t in response.context["tabs"]] == ["new", "mine", "due", "snoozed", "team", "done"]


def test_tab_counts_stop_at_their_cap(rep, now, monkeypatch):
    desk.desk(3, now=now)
    monkeypatch.setattr(queue, "COUNT_CAP", 3)
    assert queue.counts(user=rep, tabs=["new", "mine"]) == {"new": "2+", "mine": "0"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("plan=trial", ["Kestrel Robotics"]),
        ("seats=25", ["Lumen Analytics", "Solace Health"]),
        ("q=pine", ["Harbor & Pine"]),
        ("q=solacehealth.org", ["Solace Health"]),
        ("definition=steady-use", ["Lumen Analytics", "Solace Health"]),
        ("plan=team&seats=20", ["Lumen Analytics"]),
        ("sort=newest", ["Lumen Analytics", "Kestrel Robotics", "Harbor & Pine", "Solace Health"]),
        ("sort=waiting", ["Solace Health", "Harbor & Pine", "Kestrel Robotics", "Lumen Analytics"]),
        ("sort=seats", ["Solace Health", "Lumen Analytics", "Kestrel Robotics", "Harbor & Pine"]),
        ("sort=mrr", ["Solace Health", "Lumen Analytics", "Harbor & Pine", "Kestrel Robotics"]),
        ("sort=nonsense&seats=many&tab=nowhere&definition=", None),
    ],
)
def test_filters_and_orders_are_in_the_url(client_of, rep, now, query, expected):
    desk.desk(4, now=now)
    everything = ["Lumen Analytics", "Kestrel Robotics", "Harbor & Pine", "Solace Health"]
    assert names(client_of(rep).get(f"/inbox/?{query}")) == (expected or everything)


def test_the_filters_stay_on_every_link_of_the_queue(client_of, rep, now):
    desk.desk(2, now=now)
    page = client_of(rep).get("/inbox/?plan=team&sort=mrr").content.decode()
    found = Handoff.objects.get(company__name="Lumen Analytics")
    assert f'href="/inbox/{found.pk}/?plan=team&amp;sort=mrr"' in page
    assert f'action="/inbox/{found.pk}/claim/?plan=team&amp;sort=mrr"' in page


def test_pages_of_the_queue_go_on_where_the_last_ended(client_of, rep, now, monkeypatch):
    desk.desk(5, now=now)
    monkeypatch.setattr(queue, "PAGE", 2)
    filters = queue.Filters()
    first = queue.page(filters, user=rep)
    second = queue.page(filters, user=rep, cursor=first.next_cursor)
    assert [h.company.name for h in first.items + second.items] == [c[0] for c in desk.COMPANIES[:4]]
    fragment = client_of(rep).get(f"/inbox/?cursor={second.next_cursor}", HTTP_HX_TARGET="more-rows", **HTMX)
    assert fragment.content.decode().count("data-row") == 1
    assert desk.COMPANIES[4][0] in fragment.content.decode() and "<html" not in fragment.content.decode()


def test_a_handoff_alone_is_a_page_and_for_htmx_a_fragment(client_of, rep, now):
    one, two = desk.desk(2, now=now)
    client = client_of(rep)
    page = client.get(f"/inbox/{two.pk}/")
    assert page.context["pane"] == "detail" and page.context["selected"] == two.pk
    assert names(page) == [one.company.name, two.company.name]
    fragment = client.get(f"/inbox/{two.pk}/", HTTP_HX_TARGET="detail", **HTMX)
    assert fragment.content.decode().strip().startswith("<article")
    assert {"HX-Request", "HX-Target"} <= set(fragment["Vary"].replace(" ", "").split(","))


def test_a_handoff_opens_on_its_own_tab(client_of, rep, other_rep, now):
    one, two, three = desk.desk(3, now=now)
    handoffs.claim(handoff_id=one.pk, by=rep, now=now)
    handoffs.claim(handoff_id=two.pk, by=other_rep, now=now)
    handoffs.close(handoff_id=three.pk, outcome="disqualified", reason="student", by=rep, now=now)
    client = client_of(rep)
    tabs = [client.get(f"/inbox/{h.pk}/").context["f"].tab for h in (one, two, three)]
    assert tabs == ["mine", "team", "done"]


def test_why_now_says_each_condition_with_its_number(client_of, rep, now):
    (one,) = desk.desk(1, now=now)
    reason = client_of(rep).get(f"/inbox/{one.pk}/").context["d"].reasons[1]
    flows = next(s for s in reason.rows if s.english.startswith("Workflow Completed"))
    assert flows.measured == f"{flows.line.values[-1]} times"  # the line ends at what was measured
    assert (flows.needed, flows.line.threshold, len(flows.line.values)) == ("at least 5", 5.0, 14)
    paid = next(s for s in reason.rows if s.negated)
    assert (paid.english, paid.met, paid.line) == ("Not: has paid", True, None)
    assert reason.explanation.sentence.startswith("Workflow Completed ")
    assert reason.explanation.sentence.endswith("by Priya Raman, Jonas Weber, Mina Okafor and 2 more.")


def test_marks_of_a_handoff(client_of, rep, now):
    one, two = desk.desk(2, now=now)
    Handoff.objects.filter(pk=one.pk).update(
        status="claimed", owner=rep, claimed_at=now, paid_at=now, rule_lapsed_at=now, assigned=True
    )
    marked = client_of(rep).get(f"/inbox/{one.pk}/").content.decode()
    for words in ("They paid", "Confirm as won", "Went straight to"):
        assert words in marked
    assert "No reason holds any more" not in marked  # of one that paid it goes without saying
    Handoff.objects.filter(pk=one.pk).update(paid_at=None)
    assert "No reason holds any more" in client_of(rep).get(f"/inbox/{one.pk}/").content.decode()
    plain = client_of(rep).get(f"/inbox/{two.pk}/").content.decode()
    assert "They paid" not in plain and "No reason holds" not in plain


def test_an_unknown_handoff_is_404(client_of, rep):
    assert client_of(rep).get("/inbox/999999/").status_code == 404
    assert client_of(rep).post("/inbox/999999/claim/").status_code == 404


def test_arrivals_are_counted_after_what_was_drawn(client_of, rep, now):
    desk.desk(2, now=now)
    client = client_of(rep)
    after = Handoff.objects.order_by("pk").last().pk
    assert client.get(f"/inbox/news/?tab=new&after={after}").status_code == 204
    desk.handoff(desk.company(2, now=now), now=now)
    desk.handoff(desk.company(3, now=now), now=now)
    answer = client.get(f"/inbox/news/?tab=new&after={after}")
    assert "2 new accounts" in answer.content.decode()
    again = client.get(f"/inbox/news/?tab=new&after={after}", HTTP_IF_NONE_MATCH=answer["ETag"])
    assert again.status_code == 304
    assert client.get(f"/inbox/news/?plan=trial&after={after}").status_code == 204  # other filters, no news


# --- what it costs -----------------------------------------------------------------------------------------

# session, user, roles; page of handoffs, their reasons, event types, child accounts, two weeks of use;
# definitions and plans for the filter, newest id; counts of the tabs; reasons for several at once; tasks
QUEUE = 14
# the handoff; reasons, people, event types, lines of the conditions, activity, audit; accounts of the company;
# what was done lately; timeline: types, people, stages; contacts; reasons of outcomes; the task, what was noted before
DETAIL = 16


ROW = 9  # session, user, roles; the handoff, its reasons, event types, accounts, their days of use, its task


@pytest.mark.parametrize("size", [1, 3])
def test_the_queue_costs_the_same_at_any_length(client_of, rep, now, size, django_assert_num_queries):
    desk.desk(size, now=now)
    client = client_of(rep)
    with django_assert_num_queries(QUEUE + DETAIL):
        client.get("/inbox/")
    with django_assert_num_queries(QUEUE - 1):
        client.get("/inbox/", HTTP_HX_TARGET="queue", **HTMX)
    with django_assert_num_queries(QUEUE - 5):
        client.get("/inbox/", HTTP_HX_TARGET="more-rows", **HTMX)


# to whom several can be given, the calendar of the snooze menus; in the last the owners of the filter
@pytest.mark.parametrize(("tab", "more"), [("mine", 3), ("team", 3), ("done", -1)])
def test_every_tab_costs_the_same(client_of, manager, now, tab, more, django_assert_num_queries):
    one, _ = desk.desk(2, now=now)
    handoffs.claim(handoff_id=one.pk, by=manager, now=now)
    if tab == "done":
        handoffs.close(handoff_id=one.pk, outcome="won", by=manager, now=now)
    client = client_of(manager)
    # to whom a manager can give it; or those without the time that they are ordered by, after the last of the others
    with django_assert_num_queries(QUEUE + DETAIL + 1 + more):
        assert names(client.get(f"/inbox/?tab={tab}")) == [one.company.name]


@pytest.mark.parametrize("size", [1, 3])
def test_a_detail_costs_the_same_with_any_number_of_reasons(client_of, rep, now, size, django_assert_num_queries):
    team, steady = desk.staff_definitions(now - dt.timedelta(days=9))
    account = desk.company(0, now=now)
    handoff = desk.handoff(account, *[team, steady][:size], now=now)
    for number in range(size):
        HandoffActivity.objects.create(handoff=handoff, kind="note", at=now, by=rep, text=f"Note {number}")
    client = client_of(rep)
    with django_assert_num_queries(3 + DETAIL):  # session, user, roles
        client.get(f"/inbox/{handoff.pk}/", HTTP_HX_TARGET="detail", **HTMX)
    with django_assert_num_queries(8):  # session, user, roles, handoff, reasons, accounts; people a day, in all
        client.get(f"/inbox/{handoff.pk}/use/")


def test_a_crowd_costs_no_more(client_of, rep, now, monkeypatch, django_assert_num_queries):
    """Its contacts are looked for among who did something lately, not among all its members."""
    (one,) = desk.desk(1, now=now)
    client = client_of(rep)
    calm = client.get(f"/inbox/{one.pk}/").context["contacts"]
    monkeypatch.setattr(company, "CROWD", 3)
    monkeypatch.setattr(company, "CONTACTS", 2)
    with django_assert_num_queries(3 + DETAIL):
        busy = client.get(f"/inbox/{one.pk}/", HTTP_HX_TARGET="detail", **HTMX).context["contacts"]
    assert [c.user for c in busy] == [c.user for c in calm[:2]] and calm[0].is_evidence


def test_the_chart_of_use_comes_by_itself(client_of, rep, stranger, now):
    (one,) = desk.desk(1, now=now)
    client = client_of(rep)
    assert f'hx-get="/inbox/{one.pk}/use/"' in client.get(f"/inbox/{one.pk}/").content.decode()
    chart = client.get(f"/inbox/{one.pk}/use/").content.decode()
    assert chart.lstrip().startswith('<div class="plot">') and "Workflow Completed at least 5 times" in chart
    assert client.get("/inbox/999999/use/").status_code == 404
    assert client_of(stranger).get(f"/inbox/{one.pk}/use/").status_code == 403


def test_a_form_sends_only_what_it_must(client_of, rep, now):
    desk.desk(1, now=now)
    plain, filtered = (client_of(rep).get(f"/inbox/{q}").content.decode() for q in ("", "?tab=mine&q=acme&plan=team"))
    assert 'type="hidden" name="tab"' not in plain and 'type="hidden" name="sort"' not in plain
    assert filtered.count('<input type="hidden" name="tab" value="mine">') == 2  # the search, the filters
    assert filtered.count('<input type="hidden" name="plan" value="team">') == 1  # the search; the filters ask for it
    assert filtered.count('<input type="hidden" name="q" value="acme">') == 1


# --- acting ------------------------------------------------------------------------------------------------


def test_claim_as_a_plain_form(client_of, rep, now):
    one, _ = desk.desk(2, now=now)
    response = client_of(rep).post(f"/inbox/{one.pk}/claim/?plan=team", follow=True)
    assert response.redirect_chain == [(f"/inbox/{one.pk}/?plan=team", 302)]
    assert [str(m) for m in response.context["messages"]] == ["Claimed Lumen Analytics"]
    one.refresh_from_db()
    assert (one.status, one.owner) == ("claimed", rep)


def test_claim_by_htmx_answers_with_what_changed(client_of, rep, now):
    one, _ = desk.desk(2, now=now)
    response = client_of(rep).post(f"/inbox/{one.pk}/claim/", **HTMX)
    parts = response.content.decode()
    for part in ('id="tabs"', 'id="det-top"', 'id="activity"', 'id="audit"', 'id="owner"', 'id="nav-inbox"'):
        assert f'{part} hx-swap-oob="true"' in parts or f"{part[:-1]}" in parts
    assert response["HX-Trigger"] == f'{{"row-gone": "#row-{one.pk}"}}'
    assert f'hx-post="/inbox/{one.pk}/unclaim/' in parts  # undo
    assert 'id="queue"' not in parts


@pytest.mark.parametrize("size", [1, 3])
def test_a_row_fetches_what_it_says_when_something_was_done_with_it(
    client_of, rep, now, size, django_assert_num_queries
):
    one, *_ = desk.desk(size, now=now)
    handoffs.claim(handoff_id=one.pk, by=rep, now=now)
    client = client_of(rep)
    planned = {"text": "Send the quote", "day": (now + dt.timedelta(days=3)).date().isoformat()}
    response = client.post(f"/inbox/{one.pk}/task/?tab=mine", planned, **HTMX)
    assert response["HX-Trigger"] == f'{{"row-changed": "#row-{one.pk}"}}'
    with django_assert_num_queries(ROW):
        row = client.get(f"/inbox/{one.pk}/row/?tab=mine", **HTMX).content.decode()
    assert "Send the quote" in row
    assert one.company.name in row
    assert "<li" not in row
    assert (
        f'hx-get="/inbox/{one.pk}/row/?tab=mine" hx-trigger="fresh"' in client.get("/inbox/?tab=mine").content.decode()
    )


def test_claiming_the_last_one_redraws_the_queue(client_of, rep, now):
    (one,) = desk.desk(1, now=now)
    assert "The queue is clear" in client_of(rep).post(f"/inbox/{one.pk}/claim/", **HTMX).content.decode()


def test_a_lost_race_says_who_won(client_of, rep, other_rep, now):
    (one,) = desk.desk(1, now=now)
    handoffs.claim(handoff_id=one.pk, by=other_rep, now=now)
    client = client_of(rep)
    response = client.post(f"/inbox/{one.pk}/claim/", **HTMX)
    assert (response.status_code, response["Content-Type"]) == (409, "text/plain; charset=utf-8")
    assert response.content.decode() == "Theo Marsh claimed Lumen Analytics first."
    assert response["HX-Trigger"] == "handoff-changed"
    pane = client.get(f"/inbox/{one.pk}/?tab=new", HTTP_HX_TARGET="detail", **HTMX)
    assert pane["HX-Trigger"] == f'{{"row-gone": "#row-{one.pk}"}}'
    plain = client.post(f"/inbox/{one.pk}/claim/", follow=True)
    assert [str(m) for m in plain.context["messages"]] == ["Theo Marsh claimed Lumen Analytics first."]
    one.refresh_from_db()
    assert one.owner == other_rep


def test_work_from_touch_to_outcome(client_of, rep, now):
    (one,) = desk.desk(1, now=now)
    client = client_of(rep)
    for path, data in (
        ("claim", {}),
        ("touch", {"kind": "emailed"}),
        ("touch", {"kind": "met"}),
        ("note", {"text": "Likes it."}),
        ("close", {"outcome": "lost", "reason": "timing", "note": "In March."}),
    ):
        assert client.post(f"/inbox/{one.pk}/{path}/", data).status_code == 302
    one.refresh_from_db()
    assert (one.status, one.outcome_reason, one.outcome_note, one.closed_by) == ("lost", "timing", "In March.", rep)
    assert list(one.activities.order_by("id").values_list("kind", "text")) == [
        ("emailed", ""),
        ("met", ""),
        ("note", "Likes it."),
    ]
    trail = client.get(f"/inbox/{one.pk}/").context["audit"]
    assert [line.what for line in trail] == [
        "closed it as lost",
        "wrote a note",
        "recorded a touch",
        "recorded a touch",
        "claimed it",
    ]
    assert [line.more for line in trail[:3]] == ["timing", "", "met"]


def test_an_outcome_is_taken_back_from_its_message_and_from_its_page(client_of, rep, other_rep, now):
    (one,) = desk.desk(1, now=now)
    client = client_of(rep)
    handoffs.claim(handoff_id=one.pk, by=rep, now=now)
    said = client.post(f"/inbox/{one.pk}/close/?tab=mine", {"outcome": "won"}, **HTMX).content.decode()
    entry = AuditEntry.objects.get(action="handoff.won")
    assert f'hx-post="/inbox/undo/{entry.pk}/?tab=mine"' in said
    assert 'id="act-reopen"' in client.get(f"/inbox/{one.pk}/").content.decode()
    others = client_of(other_rep)
    assert 'id="act-reopen"' not in others.get(f"/inbox/{one.pk}/").content.decode()
    assert others.post(f"/inbox/{one.pk}/reopen/", **HTMX).status_code == 403
    back = client_of(rep).post(f"/inbox/{one.pk}/reopen/?tab=mine", **HTMX)
    assert f'id="row-{one.pk}"' in back.content.decode() and "Lumen Analytics is open again" in back.content.decode()
    one.refresh_from_db()
    assert (one.status, one.owner, one.closed_at) == ("claimed", rep, None)


def test_a_reason_of_another_account_of_the_company_says_which(client_of, rep, now):
    (one,) = desk.desk(1, now=now)
    child = desk.company(1, now=now, parent=one.company)
    pages = (f"/inbox/{one.pk}/", f"/accounts/{one.company_id}/panels/qualification/")
    for page in pages:
        assert f"in {child.name}" not in client_of(rep).get(page).content.decode()
    Qualification.objects.filter(handoff=one, definition__slug="team-expansion").update(account=child)
    for page in pages:
        assert f"in {child.name}" in client_of(rep).get(page).content.decode()


def test_the_owner_is_a_filter_where_owners_differ(client_of, manager, rep, other_rep, now):
    one, two = desk.desk(2, now=now)
    handoffs.claim(handoff_id=one.pk, by=rep, now=now)
    handoffs.claim(handoff_id=two.pk, by=other_rep, now=now)
    client = client_of(manager)
    page = client.get(f"/inbox/?tab=team&owner={rep.pk}")
    assert names(page) == [one.company.name]
    assert f'<option value="{rep.pk}" selected>' in page.content.decode()
    assert "<span>Owner</span>" not in client.get("/inbox/?tab=new").content.decode()


def test_an_outcome_without_its_reason_is_refused_in_words(client_of, rep, now):
    (one,) = desk.desk(1, now=now)
    client = client_of(rep)
    handoffs.claim(handoff_id=one.pk, by=rep, now=now)
    response = client.post(f"/inbox/{one.pk}/close/", {"outcome": "lost"}, **HTMX)
    assert response.status_code == 422
    assert "Choose one of the reasons." in response.content.decode()
    response = client.post(f"/inbox/{one.pk}/close/", {"outcome": "lost", "reason": "other"}, follow=True)
    assert [str(m) for m in response.context["messages"]] == ["Say in the note what is meant by “Other”."]
    one.refresh_from_db()
    assert one.status == "claimed"


def test_undo_redraws_the_queue_and_puts_the_focus_back(client_of, rep, now):
    one, _ = desk.desk(2, now=now)
    client = client_of(rep)
    client.post(f"/inbox/{one.pk}/claim/")
    response = client.post(f"/inbox/{one.pk}/unclaim/", **HTMX)
    assert f'id="row-{one.pk}"' in response.content.decode()
    assert response["HX-Trigger-After-Settle"] == f'{{"focus-on": "#row-{one.pk} [data-row]"}}'
    one.refresh_from_db()
    assert (one.status, one.owner) == ("new", None)


def test_a_manager_assigns(client_of, manager, rep, now):
    (one,) = desk.desk(1, now=now)
    client_of(manager).post(f"/inbox/{one.pk}/assign/", {"owner": rep.pk})
    one.refresh_from_db()
    assert (one.owner, one.assigned) == (rep, True)
    page = client_of(rep).get(f"/inbox/{one.pk}/").content.decode()
    assert "assigned it to" in page and "Went straight to" not in page


# --- who may -----------------------------------------------------------------------------------------------

ACTIONS = (
    ("claim", {}),
    ("unclaim", {}),
    ("assign", {"owner": "1"}),
    ("touch", {"kind": "called"}),
    ("note", {"text": "Hello"}),
    ("close", {"outcome": "disqualified", "reason": "student"}),
    ("reopen", {}),
)


@pytest.mark.parametrize("who", ["viewer", "agent"])
def test_readers_see_no_button_and_can_do_nothing(client_of, request, rep, who, now):
    one, two = desk.desk(2, now=now)
    handoffs.claim(handoff_id=two.pk, by=rep, now=now)
    client = client_of(request.getfixturevalue(who))
    for handoff in (one, two):
        response = client.get(f"/inbox/{handoff.pk}/")
        assert response.context["allowed"] == frozenset()
        assert 'method="post" action="/inbox/' not in response.content.decode()
        for path, data in ACTIONS:
            assert client.post(f"/inbox/{handoff.pk}/{path}/", data, **HTMX).status_code in (403, 404, 422), path
    one.refresh_from_db(), two.refresh_from_db()
    assert (one.status, two.status, two.owner) == ("new", "claimed", rep)
    assert AuditEntry.objects.filter(object_type="handoff").count() == 1  # the claim above


def test_a_rep_cannot_work_what_somebody_else_has(client_of, rep, other_rep, now):
    (one,) = desk.desk(1, now=now)
    handoffs.claim(handoff_id=one.pk, by=other_rep, now=now)
    client = client_of(rep)
    assert client.get(f"/inbox/{one.pk}/").context["allowed"] == frozenset()
    for path, data in ACTIONS[3:6]:
        assert client.post(f"/inbox/{one.pk}/{path}/", data, **HTMX).status_code == 403, path
        assert client.post(f"/inbox/{one.pk}/{path}/", data).status_code == 403, path
    one.refresh_from_db()
    assert (one.status, one.activities.count()) == ("claimed", 0)


def test_a_manager_may_work_what_a_rep_has(client_of, rep, manager, now):
    (one,) = desk.desk(1, now=now)
    handoffs.claim(handoff_id=one.pk, by=rep, now=now)
    client = client_of(manager)
    assert client.post(f"/inbox/{one.pk}/touch/", {"kind": "called"}).status_code == 302
    assert one.activities.get().by == manager


def test_who_has_no_role_sees_nothing(client_of, stranger, now):
    (one,) = desk.desk(1, now=now)
    client = client_of(stranger)
    paths = ["/inbox/", f"/inbox/{one.pk}/", "/inbox/news/"]
    assert [client.get(path).status_code for path in paths] == [403, 403, 403]
    assert client.post(f"/inbox/{one.pk}/claim/").status_code == 403


def test_who_is_not_signed_in_is_sent_to_the_door(client, now):
    (one,) = desk.desk(1, now=now)
    for path in ("/inbox/", f"/inbox/{one.pk}/"):
        assert client.get(path).headers["Location"] == f"/login/?next={path}"


def test_actions_are_posts(client_of, rep, now):
    (one,) = desk.desk(1, now=now)
    client = client_of(rep)
    assert {client.get(f"/inbox/{one.pk}/{path}/").status_code for path, _ in ACTIONS} == {405}
