"""What publications and releases changed, as one line for reps."""

import datetime as dt

import pytest
from django.utils import timezone

from scoring import definitions, digest, handoffs, openings
from scoring.models import Definition, Handoff
from tests.factories.scoring import TEAM, make_account, make_trait, sweep, use

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


@pytest.fixture
def now():
    return timezone.now()


def rule(least):
    return {"count": {"event": "Invite Sent", "at_least": least, "window": {"last_days": 30}}}


def publish(now, by, **changes):
    return definitions.publish(document={**TEAM, **changes}, by=by, now=now)


@pytest.fixture
def changed(now, admin, rep):
    """Version 1 lets in whoever invited 3; version 2 asks for 4: of five accounts two leave, one of them claimed."""
    publish(now - 20 * DAY, admin, rule=rule(3))
    accounts = [make_account(f"Acme {number}") for number in range(5)]
    sweep(now - 19 * DAY)  # who qualifies from now on does so by an event, not by the publication
    for account, invites in zip(accounts, (3, 3, 5, 5, 1), strict=True):
        use(account, "Invite Sent", at=now - 2 * DAY, count=invites)
        make_trait(account, "seats", invites, at=now - 2 * DAY)
    sweep(now - 2 * DAY + dt.timedelta(minutes=1))
    claimed = Handoff.objects.get(company=accounts[0])
    handoffs.claim(handoff_id=claimed.pk, by=rep, now=now - DAY)
    publish(now - dt.timedelta(hours=2), admin, rule=rule(4))
    sweep(now - dt.timedelta(hours=1))
    return claimed


def test_a_rep_reads_what_reached_the_inbox(changed, now, rep, other_rep):
    (one,) = digest.lately(user=rep, now=now)
    assert (one.definition.slug, one.by) == ("team-expansion", "Ada Okoye")
    assert (one.released, one.withdrawn, one.yours, one.versions) == (0, 1, 1, ())
    assert digest.lately(user=other_rep, now=now)[0].yours == 0


def test_what_was_claimed_stays_and_is_marked(changed, client_of, rep):
    changed.refresh_from_db()
    assert (changed.status, changed.owner, changed.closed_at) == ("claimed", rep, None)
    assert changed.rule_lapsed_at is not None
    page = client_of(rep).get(f"/inbox/{changed.pk}/").content.decode()
    assert "No longer qualifies under version 2 of Team expansion" in page and "It stays yours" in page
    assert "no longer qualifies under version 2" in page
    unclaimed = Handoff.objects.get(company__name="Acme 1")
    assert unclaimed.status == "withdrawn"


def test_churn_that_never_reached_the_inbox_is_no_news_to_a_rep(now, rep, admin):
    publish(now - 20 * DAY, admin, rule=rule(99))
    for number in range(3):
        use(make_account(f"Acme {number}"), "Invite Sent", at=now - 2 * DAY, count=4)
    sweep(now - DAY)
    for minutes, least in ((50, 2), (40, 99), (30, 3)):  # lets in, rolls back, lets in again
        publish(now - dt.timedelta(minutes=minutes), admin, rule=rule(least))
        sweep(now - dt.timedelta(minutes=minutes - 5))
    assert digest.lately(user=rep, now=now) == []
    (one,) = digest.lately(user=admin, now=now)
    assert (one.reached, [(v.number, v.entered, v.left) for v in one.versions]) == (
        False,
        [(4, 3, 0), (3, 0, 3), (2, 3, 0)],
    )


def test_the_numbers_of_a_version_are_for_admins_and_add_up(changed, now, rep, manager, admin, client_of):
    definition = Definition.objects.get()
    publish(now - dt.timedelta(minutes=50), admin, rule=rule(1))
    sweep(now - dt.timedelta(minutes=40))
    openings.release(definition_id=definition.pk, largest=2, by=admin, now=now - dt.timedelta(minutes=30))
    sweep(now - dt.timedelta(minutes=20))
    for user in (rep, manager):
        (one,) = digest.lately(user=user, now=now)
        assert (one.released, one.withdrawn, one.versions) == (2, 1, ())
    (one,) = digest.lately(user=admin, now=now)
    third, second = one.versions
    assert (third.number, third.entered, third.waiting, third.released, third.left) == (3, 3, 1, 2, 0)
    assert (second.number, second.entered, second.left) == (2, 0, 2)
    assert third.parts == ["1 waits for release", "2 released"]
    publish(now - dt.timedelta(minutes=15), admin, rule=rule(4))
    sweep(now - dt.timedelta(minutes=10))
    fourth, third, second = digest.lately(user=admin, now=now)[0].versions
    assert (third.entered, third.waiting, third.released, third.ended) == (3, 0, 0, 3)
    assert (fourth.entered, fourth.left, second.left) == (0, 3, 2)
    shown = client_of(admin).get("/inbox/digest/").content.decode()
    assert "3 entered: 3 ended again" in shown and "/versions/1/2/" in shown
    assert "entered" not in client_of(rep).get("/inbox/digest/").content.decode()


def test_a_publication_that_changes_nothing_is_no_news(now, rep, admin):
    publish(now - DAY, admin, rule=rule(99))
    make_account("Acme")
    sweep(now - DAY)
    assert digest.lately(user=rep, now=now) == digest.lately(user=admin, now=now) == []


def test_archiving_is_told_with_who_left(changed, now, admin):
    definitions.archive(definition_id=Definition.objects.get().pk, by=admin, now=now - dt.timedelta(minutes=9))
    sweep(now)
    (one,) = digest.lately(user=admin, now=now + dt.timedelta(seconds=1))
    assert one.definition.archived_at is not None and [v.left for v in one.versions] == [4]
    assert one.withdrawn == 3


def test_it_ends_after_a_week_and_where_it_was_dismissed(changed, now, rep):
    (one,) = digest.lately(user=rep, now=now)
    assert digest.lately(user=rep, now=now + 7 * DAY) == []
    assert digest.lately(user=rep, now=now, seen=one.at) == []
    assert digest.lately(user=rep, now=now, seen=one.at - dt.timedelta(seconds=1)) == [one]


def test_the_line_in_the_inbox_and_its_dismissal(changed, client_of, rep, stranger):
    client = client_of(rep)
    response = client.get("/inbox/digest/")
    shown = response.content.decode()
    assert "1 withdrawn" in shown and " left" not in shown and "1 of yours no longer qualifies" in shown
    assert client.post("/inbox/digest/dismiss/", {"until": "soon"}).status_code == 422
    assert client.get("/inbox/digest/").status_code == 200  # nothing was lost by that
    until = response.context["until"]
    assert client.post("/inbox/digest/dismiss/", {"until": until}, HTTP_HX_REQUEST="true").content == b""
    assert client.get("/inbox/digest/").status_code == 204
    client.logout()
    assert client_of(rep).get("/inbox/digest/").status_code == 204  # nor after another log-in
    assert client.post("/inbox/digest/dismiss/", {"until": until}).headers["Location"] == "/inbox/"
    assert client_of(stranger).get("/inbox/digest/").status_code == 403
    assert client_of(stranger).post("/inbox/digest/dismiss/", {"until": until}).status_code == 403


def test_what_was_dismissed_never_comes_back_by_an_older_page(changed, now, rep, other_rep):
    digest.dismiss(user=rep, until=now)
    digest.dismiss(user=rep, until=now - DAY)  # a tab that was open since yesterday
    rep.refresh_from_db()
    other_rep.refresh_from_db()
    assert (rep.news_seen_at, other_rep.news_seen_at) == (now, None)


@pytest.mark.parametrize("size", [1, 3])
def test_it_costs_the_same_with_any_number(size, now, rep, admin, django_assert_num_queries):
    for number in range(size):
        publish(now - DAY, admin, slug=f"d{number}", name=f"D{number}", rule=rule(2))
        account = make_account(f"Acme {number}", recorded_at=now - 2 * DAY)
        use(account, "Invite Sent", at=now - 2 * DAY, count=4)
    sweep(now)
    for definition in Definition.objects.all():
        openings.release(definition_id=definition.pk, largest=1, by=admin, now=now)
    # roles, once; audit rows; handoffs of the reader, and withdrawn ones; definitions
    with django_assert_num_queries(5):
        assert len(digest.lately(user=rep, now=now + DAY)) == size
    with django_assert_num_queries(5):  # and versions with their counts; the roles are known by now
        assert len(digest.lately(user=admin, now=now + DAY)) == size
