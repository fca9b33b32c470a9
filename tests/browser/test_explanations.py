"""Explanations, the digest and data quality in a real browser: by keyboard, in both themes and at both widths."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts import lake
from accounts.models import AccountDue, EventType, QuarantinedMessage, Source, UsageDay
from accounts.workspace import day_of
from scoring import definitions, handoffs
from scoring.models import Handoff
from tests.factories.scoring import TEAM, make_account, make_trait, make_user, publish, sweep, use

DAY = dt.timedelta(days=1)
SCORE = {
    "score": {
        "signals": [
            {"part": "fit", "points": 20, "when": {"trait": {"name": "plan", "exactly": "free"}}},
            {"part": "usage", "points": 7, "cap": 31, "per": {"count": {"event": "Invite Sent"}}},
        ],
        "at_least": 20,
        "bands": {"hot": 30},
    }
}
GROUPS = {
    "all": [
        {"count": {"event": "Invite Sent", "at_least": 3, "window": {"last_days": 3}}},
        {"any": [{"trait": {"name": "plan", "exactly": "free"}}, {"count": {"event": "Report Exported"}}]},
    ]
}
GROUPS["all"][1]["any"][1]["count"]["at_least"] = 1


@pytest.fixture
def claimed(admin, rep):
    """An account that qualifies by groups and by a score; what it did is by now out of the first one's window."""
    now = timezone.now()
    publish(now - 20 * DAY, rule=GROUPS)
    publish(now - 20 * DAY, slug="engagement", name="Engagement", rule=SCORE)
    account = make_account("Acme")
    sweep(now - 19 * DAY)
    make_trait(account, "plan", "free", at=now - 6 * DAY)
    use(account, "Invite Sent", at=now - 4 * DAY, count=4, user=make_user(account, "ann"))
    sweep(now - 4 * DAY)
    handoffs.claim(handoff_id=Handoff.objects.get().pk, by=rep, now=now - 3 * DAY)
    return Handoff.objects.get()


@pytest.mark.parametrize("phone", [False, True])
def test_todays_numbers_come_beside_the_frozen_ones(open_page, violations_by_theme, claimed, rep, phone):
    page = open_page(rep, f"/inbox/{claimed.pk}/", phone=phone)
    groups = page.get_by_role("region", name="Team expansion")
    expect(groups.get_by_text("now 0 times")).to_be_visible()
    expect(groups.get_by_text("No longer holds today")).to_be_visible()
    expect(groups.get_by_text("At least one of these")).to_be_visible()
    score = page.get_by_role("region", name="Engagement")
    expect(score.get_by_text("48 points")).to_be_visible()
    expect(score.get_by_text("Fit 20, usage 28, intent 0")).to_be_visible()
    expect(score.get_by_text("+28")).to_be_visible()
    assert violations_by_theme(page) == {"light": [], "dark": []}


@pytest.mark.parametrize("phone", [False, True])
def test_the_digest_is_one_line_that_can_be_dismissed(open_page, violations, claimed, rep, admin, phone):
    now = timezone.now()
    definitions.publish(
        document={**TEAM, "rule": {"count": {"event": "Invite Sent", "at_least": 40}}}, by=admin, now=now - DAY
    )
    definitions.archive(
        definition_id=claimed.reasons.get(definition__slug="engagement").definition_id, by=admin, now=now
    )
    sweep(now)
    page = open_page(rep, "/inbox/?tab=mine", phone=phone)
    digest = page.get_by_role("complementary", name="What changed lately")
    expect(digest.get_by_text("1 of yours no longer qualifies")).to_have_count(2)
    expect(digest.get_by_text("1 more in 7 days")).to_be_visible()
    digest.get_by_text("1 more in 7 days").press("Enter")
    assert violations(page) == []
    digest.get_by_role("button", name="Dismiss what changed lately").press("Enter")
    expect(digest).to_have_count(0)
    page.reload()
    page.wait_for_load_state("networkidle")
    expect(digest).to_have_count(0)
    expect(page.get_by_text("Evaluated up to")).to_be_visible()


@pytest.mark.parametrize("phone", [False, True])
def test_too_few_people_today_and_what_is_one_condition_short(open_page, violations_by_theme, rep, phone):
    now = timezone.now()
    invited = {"count": {"event": "Invite Sent", "at_least": 2, "window": {"last_days": 3}}}
    people = {"level": "user", "account_when": {"users_at_least": 2}}
    publish(now - 20 * DAY, slug="crowd", name="Crowd", rule=invited, **people)
    publish(now - 20 * DAY, rule={"count": {"event": "Report Exported", "at_least": 3}})
    account = make_account("Acme")
    sweep(now - 19 * DAY)
    for name, ago in (("ann", 4 * DAY), ("bo", 2 * DAY)):
        use(account, "Invite Sent", at=now - ago, count=2, user=make_user(account, name))
    use(account, "Report Exported", at=now - DAY)
    sweep(now - 2 * DAY)
    page = open_page(rep, f"/accounts/{account.pk}/", phone=phone)
    crowd = page.get_by_role("region", name="Crowd")
    rule = crowd.get_by_text("At least 2 people for whom all of this holds")
    expect(rule).to_be_visible()
    rule.scroll_into_view_if_needed()  # today's numbers are asked for once somebody sees them
    expect(crowd.get_by_text("No longer holds today")).to_be_visible()
    expect(crowd.get_by_text("now 1 person")).to_be_visible()
    nearly = page.get_by_role("region", name="Nearly")
    expect(nearly.get_by_text("One condition short of Team expansion: 2 more times")).to_be_visible()
    assert violations_by_theme(page) == {"light": [], "dark": []}


@pytest.mark.parametrize("phone", [False, True])
def test_data_quality(open_page, violations, violations_by_theme, admin, phone):
    now, today = timezone.now(), day_of(timezone.now())
    kinds = {name: EventType.objects.create(name=name) for name in ("Report Exported", "Comment Added")}
    account = make_account("Acme")
    for day in range(today - 60, today):
        quiet, busy = day >= today - 5, day >= today - 3
        for name, count in (("Report Exported", 0 if quiet else 20), ("Comment Added", 90 if busy else 30)):
            if count:
                UsageDay.objects.create(
                    account_id=account.pk,
                    user_id=0,
                    event_type_id=kinds[name].pk,
                    day=day,
                    count=count,
                    first_us=1,
                    last_us=1,
                )
    lake.refresh(now=now)
    EventType.objects.create(name="Canvas Opened", first_seen_at=now)
    publish(now, rule={"count": {"event": ["Report Exported", "Reprot Exported"], "at_least": 1}})
    source = Source.objects.create(name="Website", kind="file", created_at=now)
    QuarantinedMessage.objects.create(
        source=source, digest=b"1", code="id_required", reason="no id", payload={}, received_at=now
    )
    AccountDue.objects.filter(consumer="evaluation").update(attempts=2, last_error="DataError: " + "long " * 40)
    page = open_page(admin, "/data-quality/", phone=phone)
    expect(page.get_by_text("none for 5 complete days")).to_be_visible()
    expect(page.get_by_text("3.0 times as many in 3 days")).to_be_visible()
    expect(page.get_by_text("Reprot Exported")).to_be_visible()
    page.get_by_text("How this is decided").press("Enter")
    expect(page.get_by_text("quasi-Poisson")).to_be_visible()
    assert violations_by_theme(page) == {"light": [], "dark": []}
    page.goto("/")
    expect(page.get_by_text("Silent for 5 days")).to_be_visible()
    assert violations(page) == []
