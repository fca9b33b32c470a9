"""The alert pages: one's own, the teams', one destination, and what became of the messages."""

import datetime as dt

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Destination, OutgoingMessage
from accounts.team import destinations
from scoring.models import AlertFact, AlertRule
from tests.factories import desk
from tests.scoring.alert_world import Kind, definitions, listener, open_handoff

pytestmark = pytest.mark.django_db
HOOK = "https://hooks.example.com/services/T0/B0/secretpart"


def text(response):
    return response.content.decode()


def rule_form(**values):
    return {
        "is_on": "on",
        "kinds": [Kind.HANDOFF_OPENED, Kind.HANDOFF_ASSIGNED],
        "scope": "open",
        "pace": "bundled",
        "bundle_minutes": "30",
        "digest_hour": "8",
        "has_quiet": "on",
        "quiet_from": "19",
        "quiet_until": "7",
        "time_zone": "Europe/Berlin",
        "per_account": "2",
    } | values


def test_a_rep_adds_their_mail_and_chooses(client_of, rep):
    browser = client_of(rep)
    assert "You hear of nothing yet" in text(browser.get("/alerts/"))
    response = browser.post("/alerts/", {"channel": "email", "name": "Mail"}, follow=True)
    made = Destination.objects.get()
    assert response.redirect_chain == [(f"/alerts/{made.pk}/", 302)]
    assert (made.owner, made.shown) == (rep, rep.email)
    response = browser.post(f"/alerts/{made.pk}/", rule_form(), follow=True)
    assert "Saved. Mail is on" in text(response)
    rule = AlertRule.objects.get()
    assert rule.kinds == [Kind.HANDOFF_OPENED, Kind.HANDOFF_ASSIGNED]
    assert (rule.scope, rule.pace, rule.bundle_minutes, rule.per_account) == ("open", "bundled", 30, 2)
    assert (rule.quiet_from, rule.quiet_until, rule.time_zone) == (19, 7, "Europe/Berlin")
    listed = text(browser.get("/alerts/"))
    assert "2 kinds of news, mine, and those that nobody has · bundled for 30 minutes · quiet 19:00 to 7:00" in listed


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kinds": []}, "Choose what to hear of"),
        ({"time_zone": "Mars/Base"}, "Choose a time zone such as"),
        ({"quiet_until": "19"}, "another hour than they begin"),
        ({"pace": "slow"}, "Select a valid choice"),
        ({"kinds": [Kind.PLAY_WEBHOOK]}, "Select a valid choice"),
        ({"definitions": ["99999"]}, "Select a valid choice"),
        ({"digest_hour": "99999999999999999999"}, "Select a valid choice"),
    ],
)
def test_a_choice_that_cannot_be_is_told_at_its_place(client_of, rep, values, words):
    mine = listener(rep, owner=rep, channel="email", name="Mail")
    before = AlertRule.objects.values().get()
    response = client_of(rep).post(f"/alerts/{mine.pk}/", rule_form(**values))
    assert response.status_code == 422
    assert words in text(response)
    assert AlertRule.objects.values().get() == before


def test_an_address_is_refused_in_words_and_never_shown(client_of, manager):
    browser = client_of(manager)
    response = browser.post("/alerts/teams/", {"channel": "slack", "name": "#a", "address": "http://10.0.0.1/"})
    assert response.status_code == 422
    assert "must begin with https" in text(response)
    response = browser.post("/alerts/teams/", {"channel": "slack", "name": "#a", "address": HOOK}, follow=True)
    assert response.status_code == 200
    made = Destination.objects.get()
    for path in ("/alerts/teams/", f"/alerts/{made.pk}/"):
        page = text(browser.get(path))
        assert "hooks.example.com/…" in page
        assert "secretpart" not in page


def test_a_secret_is_shown_once(client_of, manager):
    browser = client_of(manager)
    response = browser.post("/alerts/teams/", {"channel": "signed", "name": "CRM", "address": HOOK})
    assert "whsec_" in text(response)
    made = Destination.objects.get()
    assert "whsec_" not in text(browser.get(f"/alerts/{made.pk}/"))
    response = browser.post(f"/alerts/{made.pk}/address/", {"name": "CRM", "new_secret": "on"})
    assert "whsec_" in text(response)
    response = browser.post(f"/alerts/{made.pk}/address/", {"name": "CRM 2"}, follow=True)
    assert "whsec_" not in text(response)
    assert Destination.objects.get().name == "CRM 2"


def test_nobody_sees_or_changes_what_is_somebody_elses(client_of, rep, other_rep, manager):
    mine, team = listener(rep, owner=rep, channel="email", name="Mail"), listener(manager)
    browser = client_of(other_rep)
    paths = ("", "forecast/", "latest/")
    actions = ("", "address/", "test/", "enable/", "remove/")
    assert {browser.get(f"/alerts/{mine.pk}/{path}").status_code for path in paths} == {404}
    assert {browser.post(f"/alerts/{mine.pk}/{path}", {"name": "x"}).status_code for path in actions} == {404}
    assert {browser.get(f"/alerts/{team.pk}/{path}").status_code for path in paths} == {403}
    assert {browser.post(f"/alerts/{team.pk}/{path}", {"name": "x"}).status_code for path in actions} == {403}
    assert browser.get("/alerts/teams/").status_code == 403
    assert browser.get("/alerts/messages/").status_code == 403
    assert "Mail" not in text(browser.get("/alerts/"))
    assert client_of(manager).get(f"/alerts/{mine.pk}/").status_code == 404


def test_a_test_is_a_message_and_removing_forgets(client_of, rep):
    mine = listener(rep, owner=rep, channel="email", name="Mail")
    browser = client_of(rep)
    page = text(browser.post(f"/alerts/{mine.pk}/test/", follow=True))
    assert "A test is on its way to Mail" in page
    assert 'hx-trigger="load delay:2s"' in page
    message = OutgoingMessage.objects.get()
    assert (message.is_test, message.destination) == (True, mine)
    assert "Mail is removed" in text(browser.post(f"/alerts/{mine.pk}/remove/", follow=True))
    assert browser.get(f"/alerts/{mine.pk}/").status_code == 404


def test_what_is_switched_off_says_why_and_can_be_switched_on(client_of, manager):
    team = listener(manager)
    Destination.objects.filter(pk=team.pk).update(disabled_at=timezone.now(), disabled_reason="Answered 410: gone")
    browser = client_of(manager)
    assert "Answered 410: gone" in text(browser.get("/alerts/teams/"))
    assert "Switch it on again" in text(browser.get(f"/alerts/{team.pk}/"))
    assert "switch it on first" in text(browser.post(f"/alerts/{team.pk}/test/", follow=True))
    assert "takes messages again" in text(browser.post(f"/alerts/{team.pk}/enable/", follow=True))
    assert AuditEntry.objects.filter(action="destination.enabled").count() == 1


def test_the_forecast_counts_what_the_last_weeks_would_have_made(client_of, rep, manager):
    now = timezone.now()
    _, steady = definitions()
    for number in range(3):
        open_handoff(desk.company(number, now=now), steady, at=now - dt.timedelta(days=3 * number + 1))
    mine = listener(rep, owner=rep, channel="email", name="Mail")
    browser = client_of(rep)
    values = rule_form(time_zone="UTC", pace="immediate")
    values.pop("has_quiet")
    page = text(browser.get(f"/alerts/{mine.pk}/forecast/", values))
    assert "0.8</b> messages a week" in page  # 3 in 4 weeks
    assert 'at most <b class="num">1</b> on one day' in page
    assert "would have made 3 of 3 alerts" in page
    own = text(browser.get(f"/alerts/{mine.pk}/forecast/", values | {"scope": "own"}))
    assert "would have made 0 of 0 alerts" in own
    assert "not complete yet" in text(browser.get(f"/alerts/{mine.pk}/forecast/", {"pace": "immediate"}))
    AlertFact.objects.all().delete()  # an installation that kept no facts then: the inbox's own rows tell
    assert "would have made 3 of 3 alerts" in text(browser.get(f"/alerts/{mine.pk}/forecast/", values))


@pytest.mark.parametrize("count", [1, 3])
def test_lists_cost_the_same_whatever_is_on_them(client_of, manager, admin, count, django_assert_num_queries):
    now = timezone.now()
    for number in range(count):
        team = listener(manager, name=f"#{number}")
        OutgoingMessage.objects.create(
            public_id=destinations.new_id(),
            destination=team,
            content={"title": f"Acme {number} came into the inbox", "items": []},
            status="failed",
            created_at=now,
            last_error="Answered 500",
        )
    browser = client_of(admin)
    with django_assert_num_queries(4):  # session, user, roles; the destinations with their rules
        assert text(browser.get("/alerts/teams/")).count("al-row") == count
    with django_assert_num_queries(4):
        assert text(browser.get("/alerts/messages/")).count("Answered 500") == count


def test_admins_replay_dead_letters_and_managers_see_them(client_of, manager, admin):
    now = timezone.now()
    team, off = listener(manager, name="#on"), listener(manager, name="#off")
    Destination.objects.filter(pk=off.pk).update(disabled_at=now, disabled_reason="Answered 410")
    made = [
        OutgoingMessage.objects.create(
            public_id=destinations.new_id(),
            destination=to,
            content={"title": "Acme came into the inbox", "items": []},
            status="failed",
            created_at=now,
        )
        for to in (team, off)
    ]
    page = text(client_of(manager).get("/alerts/messages/"))
    assert "Acme came into the inbox" in page
    assert 'form="replay"' not in page
    assert text(client_of(admin).get("/alerts/messages/")).count('form="replay"') == 2
    assert client_of(manager).post("/alerts/messages/replay/", {"message": made[0].pk}).status_code == 403
    browser = client_of(admin)
    values = {"message": [made[0].pk, made[1].pk, "x", "9" * 30]}
    assert "1 message waits to be sent again" in text(browser.post("/alerts/messages/replay/", values, follow=True))
    assert [m.status for m in OutgoingMessage.objects.order_by("id")] == ["waiting", "failed"]
    assert "Nothing was sent again" in text(browser.post("/alerts/messages/replay/", {}, follow=True))
    assert client_of(manager).post("/alerts/messages/put-away/", {"message": made[1].pk}).status_code == 403
    browser = client_of(admin)
    assert "1 message is put away" in text(browser.post("/alerts/messages/put-away/", values, follow=True))
    assert "Nothing was given up" in text(browser.get("/alerts/messages/"))
    assert "Nothing was put away" in text(browser.post("/alerts/messages/put-away/", values, follow=True))
    for tab in ("waiting", "sent", "nonsense"):
        assert browser.get("/alerts/messages/", {"tab": tab}).status_code == 200
