"""Backtests over a real usage lake: outcomes, what the missed lacked, pages, drafts, files, and weekly figures."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse
from django.utils import timezone

from accounts import lake
from accounts.models import Account, UsageDay
from accounts.workspace import day_of, zone
from plgops.lib import days
from plgops.lib.db import is_postgres
from scoring import definitions, restated
from scoring.backtest import answers, run
from scoring.backtest.documents import of_draft, of_version
from scoring.backtest.lacking import lacking
from scoring.models import Qualification
from scoring.rules.parse import parse_definition
from scoring.rules.problems import RuleError
from tests.conftest import NOW, make_staff
from tests.factories import backtest
from tests.factories.backtest import DAY, LAXER, LIVE, PERIOD, reach
from tests.factories.scoring import SIGNED_UP, TEAM, document, make_account, make_trait, make_user, use

pytestmark = pytest.mark.django_db


def day(date: str) -> int:
    return days.day_number(dt.date.fromisoformat(date))


@pytest.fixture
def world():
    """Five accounts, known up to 14 June."""
    return backtest.world()


def ask(doc, *docs, outcome="paid", first="2026-05-01", last="2026-06-14", within=14):
    return run.run(run.Question((doc, *docs), day(first), day(last), outcome, within))


# --- reading --------------------------------------------------------------------------------------------------


def test_a_version_over_a_past_period(world):
    answer = ask(of_version(world["version"]))
    result = answer.results[0]
    assert answer.known_until == day("2026-06-14")  # 15 June, on which the lake was built, is not over
    assert [(f.account_id, f.day, f.verdict, f.worked) for f in result.flags] == [
        (world["Right"].pk, day("2026-05-10"), "right", True),
        (world["Wrong"].pk, day("2026-05-13"), "wrong", False),
        (world["Early"].pk, day("2026-05-02"), "wrong", False),
    ]
    assert (result.precision.hits, result.precision.of) == (1, 3)
    assert (result.recall.hits, result.recall.of) == (1, 4)
    assert (result.worked.hits, result.worked.of, result.untouched.hits, result.untouched.of) == (1, 1, 0, 2)
    assert [m.account_id for m in result.missed] == [world[name].pk for name in ("Early", "Plan", "Short")]


def test_the_trait_counts_as_it_stood_on_the_day(world):
    """No look-ahead: Right went to a paid plan later, and had been flagged on its free one."""
    make_trait(world["Right"], "plan", "team", at=SIGNED_UP + 19 * DAY)
    Account.objects.filter(pk=world["Right"].pk).update(plan="team")
    lake.refresh(now=NOW)
    assert world["Right"].pk in [f.account_id for f in ask(of_version(world["version"])).results[0].flags]


def test_a_claim_of_the_company_is_work_on_its_accounts(world):
    parent = make_account("Parent")
    Account.objects.filter(pk=world["Wrong"].pk).update(parent=parent)
    reach(parent, "claimed", SIGNED_UP + 13 * DAY)
    use(world["Wrong"], "Invite Sent", at=NOW)
    lake.refresh(now=NOW)
    assert [f.worked for f in ask(of_version(world["version"])).results[0].flags] == [True, True, False]


def test_any_event_is_an_outcome_and_expansion_is_one_of_customers(world):
    doc = of_version(world["version"])
    use(world["Wrong"], "Upgrade Clicked", at=SIGNED_UP + 15 * DAY)
    for at in (20, 40):
        reach(world["Right"], "expanded", SIGNED_UP + at * DAY)
    lake.refresh(now=NOW)
    clicked = ask(doc, outcome="Upgrade Clicked").results[0]
    assert [(f.account_id, f.verdict) for f in clicked.flags] == [
        (world["Right"].pk, "wrong"), (world["Wrong"].pk, "right"), (world["Early"].pk, "wrong"),
    ]  # fmt: skip
    expanded = ask(doc, outcome="expanded", first="2026-06-01").results[0]
    # it had expanded before the period and may again; who never paid is nobody who could
    assert list(expanded.at_risk.account_ids) == [world[name].pk for name in ("Right", "Early", "Plan", "Short")]
    assert [(m.account_id, m.outcome_day) for m in expanded.missed] == [(world["Right"].pk, day("2026-06-10"))]
    with pytest.raises(run.UnknownOutcome, match="Never"):
        ask(doc, outcome="Never heard of")


def test_internal_and_merged_accounts_have_no_part(world):
    Account.objects.filter(pk=world["Wrong"].pk).update(is_internal=True)
    Account.objects.filter(pk=world["Early"].pk).update(merged_into=world["Right"])
    for name in ("Wrong", "Early"):
        use(world[name], "Invite Sent", at=NOW)
    lake.refresh(now=NOW)
    result = ask(of_version(world["version"])).results[0]
    assert [f.account_id for f in result.flags] == [world["Right"].pk]
    assert set(result.at_risk.account_ids) == {world[name].pk for name in ("Right", "Plan", "Short")}


def test_without_a_lake_nothing_is_said(db):
    with pytest.raises(lake.NoLake):
        run.known_until()


def test_a_period_after_the_data_is_refused(world):
    with pytest.raises(ValueError, match="after the data"):
        ask(of_version(world["version"]), last="2026-06-15")


def test_a_nested_definition_is_asked_as_it_was_pinned(world):
    outer = {**TEAM, "slug": "outer", "rule": {"definition": {"slug": "team-expansion"}}}
    version = definitions.publish(document=outer, by=None, now=NOW)
    assert [f.account_id for f in ask(of_version(version)).results[0].flags] == [
        f.account_id for f in ask(of_version(world["version"])).results[0].flags
    ]
    with pytest.raises(RuleError):
        of_draft({**outer, "rule": {"definition": {"slug": "nowhere"}}})


# --- what the missed lacked -----------------------------------------------------------------------------------


def test_what_the_missed_lacked_on_the_day_before(world):
    doc = of_version(world["version"])
    found = lacking(doc, ask(doc).results[0].missed)
    assert (found.of, found.asked) == (2, 2)  # Early was flagged, too early
    told = {name: found.by_account[world[name].pk] for name in ("Plan", "Short")}
    assert [(lack.path, lack.measured, lack.short) for lack in told["Plan"]] == [("/rule/all/1/trait", "team", None)]
    assert [(lack.path, lack.measured, lack.short) for lack in told["Short"]] == [("/rule/all/0/count", 1, 2)]
    assert [(one.path, one.lacked, one.alone, one.short) for one in found.obstacles] == [
        ("/rule/all/0/count", 1, 1, 2), ("/rule/all/1/trait", 1, 1, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # any: all of it; not: what holds; at least: what fails
        ({"any": [{"stage": {"reached": "activated"}}, {"recency": {"event": "*", "within_days": 1}}]}, {
            "/rule/any/0/stage": None, "/rule/any/1/recency": 3.0,
        }),
        ({"not": {"count": {"event": "Invite Sent", "at_least": 1, "window": "ever"}}}, {"/rule/not/count": None}),
        ({"at_least": 2, "of": [
            {"trait": {"name": "plan", "in": ["free"]}},
            {"count": {"event": "Invite Sent", "between": [3, 5], "window": "ever"}},
            {"count": {"event": "Invite Sent", "at_most": 0, "window": "ever"}},
        ]}, {"/rule/of/1/count": 2.0, "/rule/of/2/count": 1.0}),
        # of people: the best person's, or the number of people
        ({"users_who": {"at_least": 1, "rule": {"count": {"event": "Invite Sent", "at_least": 4, "window": "ever"}}}}, {
            "/rule/users_who/rule/count": 3.0,
        }),
        ({"users_who": {"at_least": 2, "rule": {"count": {"event": "Invite Sent", "at_least": 1, "window": "ever"}}}}, {
            "/rule/users_who": 1.0,
        }),
        ({"score": {"at_least": 10, "signals": [
            {"points": 4, "part": "usage", "when": {"trait": {"name": "plan", "in": ["free"]}}},
        ]}}, {"/rule/score": 6.0}),
    ],
)  # fmt: skip
def test_lacks_of_every_kind(rule, expected):
    account = make_account("Missed")
    make_trait(account, "plan", "free", at=SIGNED_UP)
    use(account, "Invite Sent", at=SIGNED_UP + 5 * DAY, user=make_user(account, "ann"))
    reach(account, "paid", SIGNED_UP + 9 * DAY)
    lake.refresh(now=NOW)
    doc = parse_definition(document(rule=rule))
    found = lacking(doc, ask(doc, first="2026-05-08").results[0].missed)
    assert {lack.path: lack.short for lack in found.by_account[account.pk]} == expected


def test_too_few_people_of_a_rule_about_people():
    account = make_account("Missed")
    use(account, "Invite Sent", at=SIGNED_UP + 5 * DAY, user=make_user(account, "ann"))
    reach(account, "paid", SIGNED_UP + 9 * DAY)
    lake.refresh(now=NOW)
    rule = {"count": {"event": "Invite Sent", "at_least": 1, "window": "ever"}}
    doc = parse_definition(document(level="user", account_when={"users_at_least": 3}, rule=rule))
    found = lacking(doc, ask(doc).results[0].missed)
    assert [(lack.path, lack.measured, lack.short, lack.unit) for lack in found.by_account[account.pk]] == [
        ("/rule", 1, 2, "people")
    ]


def test_only_the_latest_missed_are_asked_about(world, monkeypatch):
    monkeypatch.setattr("scoring.backtest.lacking.ASKED", 1)
    doc = of_version(world["version"])
    reach(world["Wrong"], "paid", SIGNED_UP + 40 * DAY)
    lake.refresh(now=NOW)
    found = lacking(doc, ask(doc).results[0].missed)
    assert (found.of, list(found.by_account)) == (2, [world["Plan"].pk])


# --- computed once --------------------------------------------------------------------------------------------


def test_the_same_question_is_computed_once_for_a_generation(world, monkeypatch):
    computed = []
    monkeypatch.setattr(answers, "run", lambda question: computed.append(question) or run.run(question))
    question = run.Question((of_version(world["version"]),), day("2026-05-01"), day("2026-06-14"), "paid", 14)
    first = answers.answer(question)
    assert answers.answer(question) is first
    use(world["Short"], "Invite Sent", at=SIGNED_UP + 15 * DAY, count=3)
    lake.refresh(now=NOW)
    assert answers.answer(question, generation=first.generation) is first  # what was seen
    assert len(answers.answer(question).results[0].flags) == len(first.results[0].flags) + 1
    assert len(computed) == 2


# --- the page -------------------------------------------------------------------------------------------------


def result_of(client, **changes):
    return client.get(
        reverse("backtest_result", args=["team-expansion"]), {**PERIOD, **changes}, HTTP_HX_REQUEST="true"
    )


def test_the_page_asks_for_a_year_until_told_otherwise(client_of, rep, world):
    response = client_of(rep).get(reverse("backtest", args=["team-expansion"]))
    told = parse_qs(response.context["query"])
    assert response.status_code == 200
    assert told == {
        "version": ["1"], "from": ["2025-06-14"], "to": ["2026-06-14"], "outcome": ["paid"], "within": ["60"],
    }  # fmt: skip
    assert reverse("backtest_result", args=["team-expansion"]) in response.content.decode()


@pytest.mark.parametrize(("purpose", "outcome"), [("pql", "paid"), ("expansion", "expanded"), ("risk", "churned")])
def test_the_outcome_is_what_the_purpose_hopes_for(client_of, admin, world, purpose, outcome):
    definitions.publish(document={**LIVE, "purpose": purpose, "grace_days": 3}, by=None, now=NOW)
    client = client_of(admin)
    page = client.get(reverse("backtest", args=["team-expansion"]))
    assert page.context["form"]["outcome"].value() == outcome
    draft = client.post(reverse("backtest_draft"), {"text": json.dumps({**LIVE, "purpose": purpose})})
    assert draft.context["form"]["outcome"].value() == outcome


@pytest.mark.parametrize(
    ("wrong", "where", "words"),
    [
        ({"outcome": "Nothing like it"}, "outcome", "No stage and no event has this name."),
        ({"from": "2026-06-10", "to": "2026-06-01"}, "to", "ends before it begins"),
        ({"to": "2026-06-15"}, "to", "The data ends on 2026-06-14."),
        ({"from": "x"}, "from", "Enter a valid date"),
        ({"from": "1999-01-01"}, "from", "At most 3,650 days"),
        ({"within": "0"}, "within", "greater than or equal to 1"),
        ({"version": "9"}, "version", "not one of the available choices"),
        ({"version": "draft"}, "version", "not one of the available choices"),
        ({"against": "1"}, "against", "another version"),
    ],
)
def test_a_mistake_is_told_at_its_field_and_nothing_is_lost(client_of, rep, world, wrong, where, words):
    client = client_of(rep)
    response = client.get(reverse("backtest", args=["team-expansion"]), {**PERIOD, "version": "1", **wrong})
    assert response.status_code == 422
    assert words in " ".join(response.context["form"].errors[where])
    assert response.context["form"]["within"].value() == {**PERIOD, **wrong}["within"]
    assert 'hx-trigger="load"' not in response.content.decode().partition('id="result"')[2][:200]
    asked = result_of(client, **{"version": "1", **wrong})
    assert (asked.status_code, words in asked.content.decode().replace("&#x27;", "'")) == (422, True)


def test_the_result_says_it_in_words_and_numbers(client_of, rep, world):
    text = " ".join(result_of(client_of(rep)).content.decode().split())
    for words in ("would have been flagged", "33.3%", "25.0%", "Touched by nobody", "By month of sign-up", "Base rate"):
        assert words in text
    assert "Computed in" in text


def test_figures_carry_their_intervals(client_of, rep, world):
    figures = {row.name: row.numbers[0].text for row in result_of(client_of(rep)).context["shown"].figures}
    base = ask(of_version(world["version"])).results[0].base_rate
    low, high = 0.0615 / base, 0.7923 / base  # Wilson's of 1 in 3
    assert figures["Lift"] == f"{1 / 3 / base:.1f}× ({low:.1f} to {high:.1f})"
    assert (figures["Lead time"], figures["F1"], figures["Qualified before"]) == (
        "10 days (10 to 10)",
        "0.29 (0.04 to 0.79)",
        "0",
    )


def links(response, of):
    """The addresses of the numbers that lead to a list of that name."""
    found = [part.partition('"')[0].replace("&amp;", "&") for part in response.content.decode().split('href="')[1:]]
    return [url for url in found if parse_qs(urlsplit(url).query).get("of") == [of]]


@pytest.mark.parametrize(
    ("of", "names"),
    [
        ("right", ["Right"]),
        ("wrong", ["Wrong", "Early"]),
        ("flagged", ["Wrong", "Right", "Early"]),
        ("judged", ["Wrong", "Right", "Early"]),
        ("outcomes", ["Early", "Right", "Plan", "Short"]),
        ("missed", ["Early", "Plan", "Short"]),
        ("at_risk", ["Right", "Wrong", "Early", "Plan", "Short"]),
        ("worked_right", ["Right"]),
        ("untouched", ["Wrong", "Early"]),
    ],
)
def test_every_number_opens_its_accounts(client_of, rep, world, of, names):
    client = client_of(rep)
    urls = links(result_of(client), of)
    page = client.get(urls[-1])  # without htmx it is a page of its own
    assert [line.account.name for line in page.context["rows"]] == names
    fragment = client.get(urls[-1], HTTP_HX_REQUEST="true", HTTP_HX_TARGET="behind-b").content.decode()
    assert "<html" not in fragment and all(f">{name}</a>" in fragment for name in names)


def test_weeks_months_and_lead_times_lead_to_theirs(client_of, rep, world):
    client = client_of(rep)
    page = result_of(client)
    by = {}
    for of in ("flagged", "right"):
        for url in links(page, of):
            asked = parse_qs(urlsplit(url).query)
            by[(of, *(asked.get(name, [""])[0] for name in ("week", "month", "lead")))] = url
    first = str(day("2026-05-01"))
    names = {
        key: [line.account.name for line in client.get(url).context["rows"]]
        for key, url in by.items()
        if key in {("flagged", first, "", ""), ("flagged", "", "2026-05", ""), ("right", "", "", "8-14")}
    }
    assert names == {
        ("flagged", first, "", ""): ["Early"],
        ("flagged", "", "2026-05", ""): ["Wrong", "Right", "Early"],
        ("right", "", "", "8-14"): ["Right"],
    }


def test_what_the_missed_lacked_is_fetched_by_itself(client_of, rep, world):
    client = client_of(rep)
    response = result_of(client, part="lacking")
    assert [(row.english, row.lacked.text, row.short) for row in response.context["sides"][0].rows] == [
        ("“Invite Sent” at least 3 times in the last 7 days", "1", "2 events"),
        ("Plan is free", "1", ""),
    ]
    of_plan = {url for url in links(response, "lacking") if "path=%2Frule%2Fall%2F1%2Ftrait" in url}
    (url,) = {url for url in of_plan if "alone" not in url}
    listed = client.get(url).context["rows"]
    assert [(line.account.name, line.lacked) for line in listed] == [("Plan", ("Plan is free",))]
    (url,) = {url for url in of_plan if "alone=1" in url}
    found = client.get(url)
    assert [line.account.name for line in found.context["rows"]] == ["Plan"]
    assert "lacked only: plan is free" in found.content.decode()


def test_who_lacked_only_one_condition_is_told_apart(client_of, rep, world):
    UsageDay.objects.filter(account_id=world["Plan"].pk).delete()  # lacks both conditions now
    lake.refresh(now=NOW)
    client = client_of(rep)
    response = result_of(client, part="lacking")
    rows = response.context["sides"][0].rows
    assert [(row.english, row.lacked.text, row.alone.text) for row in rows] == [
        ("“Invite Sent” at least 3 times in the last 7 days", "2", "1"),
        ("Plan is free", "1", "0"),
    ]
    assert rows[1].alone.link == {}  # nobody stands behind it
    names = {}
    for url in links(response, "lacking"):
        if "path=" in url:
            names["path=%2Frule%2Fall%2F0" in url, "alone=1" in url] = [
                line.account.name for line in client.get(url).context["rows"]
            ]
    assert names == {(True, False): ["Plan", "Short"], (True, True): ["Short"], (False, False): ["Plan"]}


def test_a_file_of_the_accounts(client_of, rep, world):
    Account.objects.filter(pk=world["Plan"].pk).update(name="=cmd()")
    client = client_of(rep)
    response = client.get(links(result_of(client), "missed")[-1] + "&format=csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    assert 'filename="team-expansion-missed.csv"' in response.headers["Content-Disposition"]
    assert [(row["name"], row["flagged"], row["outcome"], row["lacked"]) for row in rows] == [
        ("Early", "2026-05-02", "2026-05-30", ""),
        ("'=cmd()", "", "2026-05-19", "Plan is free"),
        ("Short", "", "2026-05-19", "“Invite Sent” at least 3 times in the last 7 days (2 events off)"),
    ]


def test_long_lists_come_a_page_at_a_time(client_of, rep, world):
    for number in range(60):
        make_account(f"More {number}")
    lake.refresh(now=NOW)
    client = client_of(rep)
    url = links(result_of(client), "at_risk")[-1]
    first = client.get(url).context
    second = client.get(first["next"])
    assert (first["total"], len(first["rows"]), len(second.context["rows"]), second.context["next"]) == (65, 50, 15, "")
    more = client.get(first["next"], HTTP_HX_REQUEST="true", HTTP_HX_TARGET="more-behind").content.decode()
    assert (more.count("<tr>"), "<table" in more) == (15, False)


@pytest.mark.parametrize(
    "asked",
    [{"of": "nothing"}, {"of": "only"}, {"of": "right", "side": "1"}, {"of": "right", "week": "x"},
     {"of": "right", "lead": "4"}, {"of": "right", "within": "0"}],
)  # fmt: skip
def test_there_is_no_such_list(client_of, rep, world, asked):
    url = reverse("backtest_accounts", args=["team-expansion"])
    assert client_of(rep).get(url, {**PERIOD, **asked}).status_code == 404


def test_two_versions_side_by_side(client_of, rep, world):
    definitions.publish(document=LAXER, by=None, now=NOW, reason="One is enough")
    client = client_of(rep)
    response = result_of(client, version="2", against="1")
    figures = {row.name: ([n.text for n in row.numbers], row.difference) for row in response.context["shown"].figures}
    assert figures["Flagged"] == (["4", "3"], "+1")
    assert figures["Flagged by it only"] == (["1", "0"], "+1")
    assert figures["Flagged by both"] == (["3", "3"], "±0")
    shares = {row.name: ([m.text for m in row.measured], row.difference) for row in response.context["shown"].shares}
    assert shares["Recall"] == (["50.0%", "25.0%"], "+25.0 points (−12.8 to +53.6)")
    tops = [(side.lead.top, side.lead.ticks) for side in response.context["shown"].sides]
    counts = [
        [sum(value for value, _ in bar.parts) for bar in side.lead.bars] for side in response.context["shown"].sides
    ]
    assert counts[0] != counts[1] and tops[0] == tops[1]  # two charts on one scale
    (only,) = links(response, "only")
    assert [line.account.name for line in client.get(only).context["rows"]] == ["Short"]


def test_without_a_lake_the_page_says_so(client_of, rep):
    definitions.publish(document=LIVE, by=None, now=NOW)
    client = client_of(rep)
    assert client.get(reverse("backtest", args=["team-expansion"])).status_code == 200
    assert "being prepared" in result_of(client).content.decode()
    listed = client.get(reverse("backtest_accounts", args=["team-expansion"]), PERIOD)
    assert "being prepared" in listed.content.decode()


def test_a_version_of_a_newer_program_is_told(client_of, rep, world):
    version = world["version"]
    type(version).objects.filter(pk=version.pk).update(document={**version.document, "rule": {"dreams": 1}})
    client = client_of(rep)
    for name in ("backtest_result", "backtest_accounts"):
        response = client.get(reverse(name, args=["team-expansion"]), {**PERIOD, "of": "right"}, HTTP_HX_REQUEST="true")
        assert (response.status_code, "dreams" in response.content.decode()) == (422, True)


def test_without_htmx_the_result_stands_in_its_page(client_of, rep, world):
    text = client_of(rep).get(reverse("backtest_result", args=["team-expansion"]), PERIOD).content.decode()
    assert "<html" in text and "would have been flagged" in text


@pytest.mark.parametrize("more", [0, 2])
def test_pages_cost_the_same_whatever_they_show(client_of, rep, world, django_assert_num_queries, more):
    for number in range(more):
        account = make_account(f"More {number}")
        make_trait(account, "plan", "free", at=SIGNED_UP)
        use(account, "Invite Sent", at=SIGNED_UP + 5 * DAY, count=3)
        definitions.publish(document={**LIVE, "grace_days": 3 + number}, by=None, now=NOW)
    lake.refresh(now=NOW)
    client = client_of(rep)
    with django_assert_num_queries(6):  # session, user, roles, definition, its versions, events to choose from
        client.get(reverse("backtest", args=["team-expansion"]), PERIOD)
    # session, user, roles, definition, versions, the text, event types, reps
    with django_assert_num_queries(8 + time_limit()):
        page = result_of(client)
    (url, *_) = links(page, "flagged")
    with django_assert_num_queries(7 + time_limit()):  # session, user, roles, definition, versions, the text, names
        client.get(url, HTTP_HX_REQUEST="true", HTTP_HX_TARGET="behind-b")


def test_who_may_see_it(client_of, viewer, stranger, world):
    client = client_of(stranger)
    for name in ("backtest", "backtest_result", "backtest_accounts", "definition_weeks"):
        assert client.get(reverse(name, args=["team-expansion"])).status_code == 403
    assert client_of(viewer).get(reverse("backtest", args=["team-expansion"])).status_code == 200
    assert client_of(viewer).get(reverse("backtest", args=["nowhere"])).status_code == 404


# --- drafts ---------------------------------------------------------------------------------------------------


def test_a_draft_is_tested_beside_what_is_live(client_of, admin, world):
    draft = {**LIVE, "rule": {"count": {**TEAM["rule"]["count"], "at_least": 1}}}
    client = client_of(admin)
    posted = {"text": json.dumps(draft), **PERIOD}
    page = client.post(reverse("backtest_draft"), posted)
    assert (page.status_code, page.context["form"]["against"].value()) == (200, "1")
    response = client.post(reverse("backtest_draft_result"), posted, HTTP_HX_REQUEST="true")
    figures = {row.name: [n.text for n in row.numbers] for row in response.context["shown"].figures}
    assert response.context["names"] == ["The draft", "v1"]
    assert figures["Flagged"] == ["5", "3"]
    lead = next(row.numbers[0].link for row in response.context["shown"].figures if row.name == "Flagged by it only")
    listed = client.post(lead["hx-post"], posted)
    assert [line.account.name for line in listed.context["rows"]] == ["Plan", "Short"]
    alone = client.post(reverse("backtest_draft_result"), {**posted, "against": ""}, HTTP_HX_REQUEST="true")
    assert alone.context["names"] == ["The draft"]
    file = client.post(lead["formaction"] + "&format=csv", posted)
    assert b"".join(file.streaming_content).decode().count("\r\n") == 3
    assert Qualification.objects.count() == 0


def test_a_draft_of_something_new(client_of, admin, world):
    posted = {"text": json.dumps({**LIVE, "slug": "brand-new"}), **PERIOD}
    client = client_of(admin)
    assert client.post(reverse("backtest_draft"), posted).status_code == 200
    response = client.post(reverse("backtest_draft_result"), posted, HTTP_HX_REQUEST="true")
    assert response.context["names"] == ["The draft"]
    said = client.post(reverse("backtest_draft_result") + "?part=said", posted, HTTP_HX_REQUEST="true").content.decode()
    assert "accounts would have been flagged" in said and "<section" not in said  # the sentence, and nothing else
    early = {**posted, "from": "2024-01-01", "to": "2024-03-31"}
    said = client.post(reverse("backtest_draft_result") + "?part=said", early, HTTP_HX_REQUEST="true").content.decode()
    assert "Nothing happened" in said and "would have been flagged" not in said


@pytest.mark.parametrize("text", ["", "{", "[" * 5000, "x" * 200_001, json.dumps({**LIVE, "rule": {"count": {}}})])
def test_a_draft_that_is_no_definition_is_told_why(client_of, admin, world, text):
    client = client_of(admin)
    for name in ("backtest_draft", "backtest_draft_result", "backtest_draft_accounts"):
        response = client.post(reverse(name), {"text": text, **PERIOD})
        assert response.status_code == 422
        assert 'role="alert"' in response.content.decode()


def test_drafts_are_for_who_edits_definitions(client_of, manager, world):
    client = client_of(manager)
    for name in ("backtest_draft", "backtest_draft_result", "backtest_draft_accounts"):
        assert client.post(reverse(name), {"text": json.dumps(LIVE)}).status_code == 403
        assert client.get(reverse(name)).status_code == 405


# --- the command ----------------------------------------------------------------------------------------------


def command(*args):
    out = io.StringIO()
    call_command("backtest", *args, stdout=out)
    return out.getvalue()


@pytest.fixture
def now(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)


COMMAND = ("--from", "2026-05-01", "--to", "2026-06-14", "--within", "14")


def test_the_command_tells_the_same(world, now, tmp_path):
    make_staff("dana", "sales rep")
    told = json.loads(command("team-expansion", *COMMAND, "--json", "--lacking"))
    assert (told["flagged"], told["right"], told["wrong"], told["missed"]) == (3, 1, 2, 3)
    assert told["precision"]["value"] == pytest.approx(1 / 3)
    assert (told["reps"], told["per_week_and_rep"]) == (1, told["per_week"])
    assert sum(week["wrong"] for week in told["weeks"]) == 2
    assert [one["lacked"] for one in told["lacking"]["conditions"]] == [1, 1]
    words = command("team-expansion@1", *COMMAND, "--lacking")
    assert "precision 33.3% of 3 (6.1% to 79.2%), recall 25.0% of 4" in words
    draft = tmp_path / "draft.json"
    draft.write_text(json.dumps({**LIVE, "rule": LIVE["rule"]["all"][0]}))
    both = json.loads(command("--draft", str(draft), "--against", "team-expansion", *COMMAND, "--json"))
    assert [one["flagged"] for one in both] == [4, 3]


@pytest.mark.parametrize(
    "args",
    [("nowhere",), ("team-expansion@7",), ("team-expansion@x",), (), ("--draft", "/nowhere.json"),
     ("team-expansion", "--within", "0"), ("team-expansion", "--outcome", "Never heard of"),
     ("team-expansion", "--to", "2026-06-15"), ("team-expansion", "--from", "2026-06-10", "--to", "2026-06-01")],
)  # fmt: skip
def test_the_command_refuses(world, now, args):
    with pytest.raises(CommandError):
        command(*args)


def test_before_the_first_sign_up_there_is_nothing(world, now, client_of, rep):
    before = {"from": "2024-01-01", "to": "2024-03-31"}
    with pytest.raises(CommandError, match=r"nothing before 2026-\d\d-\d\d, the day of the first sign-up"):
        command("team-expansion", "--from", before["from"], "--to", before["to"])
    with pytest.raises(CommandError, match="write the date as YYYY-MM-DD"):
        command("team-expansion", "--from", "1.1.2024")
    client = client_of(rep)
    url = reverse("backtest_result", args=["team-expansion"])
    assert "The first account signed up on" in client.get(url, before).content.decode()
    assert "The first account signed up on" not in client.get(url, PERIOD).content.decode()


# --- weeks on the definition's page ---------------------------------------------------------------------------


def episode(account, version, opened_at):
    return Qualification.objects.create(
        account=account, definition=version.definition, version=version, opened_at=opened_at, cause="event",
        closed_at=opened_at, close_cause="lapsed",
    )  # fmt: skip


def test_weeks_as_reported_are_the_episodes_under_their_versions(world):
    first = world["version"]
    second = definitions.publish(document={**LIVE, "grace_days": 9}, by=None, now=NOW)
    today = day_of(NOW)
    start, next_week = (days.start_of(day, zone()) for day in restated.first_days(today)[:2])
    episode(world["Right"], first, start - dt.timedelta(minutes=1))  # a week too early
    episode(world["Right"], first, start)
    episode(world["Wrong"], first, next_week - dt.timedelta(minutes=1))
    episode(world["Wrong"], first, next_week)
    episode(world["Early"], second, NOW)
    found = restated.reported(first.definition, today=today)
    assert found.by_version == {1: (2, 1, *[0] * 10), 2: (*[0] * 11, 1)}
    assert (found.totals, found.first_days[-1]) == ((2, 1, *[0] * 9, 1), today - 6)


def test_restated_weeks_are_the_days_on_which_the_rule_began_to_hold(world):
    found = restated.restated(world["version"], today=day_of(NOW))
    by_first_day = dict(zip(restated.first_days(day_of(NOW)), found.counts, strict=True))
    told = {days.date_of(first).isoformat(): count for first, count in by_first_day.items() if count}
    assert told == {"2026-04-28": 1, "2026-05-05": 1, "2026-05-12": 1}
    assert found.known_until == day("2026-06-14")


def test_gaps_within_the_grace_period_are_no_gaps():
    held = [(1, 10, 12), (1, 14, 15), (1, 17, 18), (2, 18, 19)]
    assert restated.entries(held, grace_days=3) == [10, 18]
    assert restated.entries(held, grace_days=2) == [10, 14, 17, 18]
    assert restated.entries(held, grace_days=0) == [10, 14, 17, 18]


def test_the_switch_says_what_it_shows(client_of, rep, world, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    client = client_of(rep)
    url = reverse("definition_weeks", args=["team-expansion"])
    episode(world["Right"], world["version"], NOW - 2 * DAY)
    plain = " ".join(client.get(url).content.decode().split())
    assert "1 reported in 12 weeks" in plain and "had been live" not in plain and "restated</span>" not in plain
    response = client.get(url, {"restated": "1"})
    text = " ".join(response.content.decode().split())
    assert "had version 1 been live all along" in text and "1 reported in 12 weeks, 3 restated" in text
    assert [row[1:] for row in response.context["rows"]][0] == (1, 0)
    assert (
        reverse("definition_weeks", args=["team-expansion"])
        in client.get("/definitions/team-expansion/").content.decode()
    )


@pytest.mark.parametrize(("number", "status"), [("7", 404), ("x", 404), ("9" * 30, 404)])
def test_only_versions_that_exist_are_restated(client_of, rep, world, number, status):
    assert (
        client_of(rep).get(reverse("definition_weeks", args=["team-expansion"]), {"restated": number}).status_code
        == status
    )


def test_without_a_lake_the_reported_weeks_stand_alone(client_of, rep):
    definitions.publish(document=LIVE, by=None, now=NOW)
    text = client_of(rep).get(reverse("definition_weeks", args=["team-expansion"]), {"restated": "1"}).content.decode()
    assert "being prepared" in text and "0 reported" in text


@pytest.mark.parametrize("size", [1, 3])
def test_weeks_cost_the_same_whatever_they_count(client_of, rep, world, size, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    for number in range(size):
        episode(world["Right"], world["version"], NOW - number * DAY)
    client = client_of(rep)
    url = reverse("definition_weeks", args=["team-expansion"])
    with django_assert_num_queries(6):  # session, user, roles, definition, versions, episodes
        client.get(url)
    with django_assert_num_queries(8 + time_limit()):  # and the version's text, event types
        client.get(url, {"restated": "1"})


def time_limit() -> int:
    """The statements that keep a question within its time: savepoint, limit, release; SQLite has none."""
    return 3 if is_postgres() else 0
