"""What an alert says, to whom, and what is over by the time it would be told."""

import datetime as dt

import pytest
from django.utils import timezone

from scoring import handoffs
from scoring.alert_words import words
from scoring.alerts import tell
from scoring.models import AlertFact, Handoff
from tests.conftest import NOW
from tests.factories import desk
from tests.scoring.alert_world import Kind, definitions, listener, open_handoff

pytestmark = pytest.mark.django_db


@pytest.fixture
def handoff():
    return open_handoff(desk.company(0, now=NOW), definitions()[1])


def said(destination):
    """The items for all facts, by kind."""
    facts = {str(fact.pk): fact.kind for fact in AlertFact.objects.all()}
    return {facts[key]: item for key, item in words(list(facts), destination, now=NOW).items()}


def test_the_account_why_who_has_it_and_where_to_go(handoff, rep, settings):
    mine = listener(rep, owner=rep, channel="email", name="Mail")
    item = said(mine)[Kind.HANDOFF_OPENED]
    assert (item.subject, item.headline, item.owner) == ("Lumen Analytics", "came into the inbox", "")
    assert item.why[0].startswith("Steady use v1: ")
    assert item.why[1] == "Active on 5 days: 6 days, needed at least 5"
    assert item.url == f"{settings.SITE_URL}/inbox/{handoff.pk}/"
    assert item.claim_url.startswith(f"{settings.SITE_URL}/claim/")
    assert item.data["account"] == {"external_id": "acct-0", "name": "Lumen Analytics"}


def test_a_link_is_made_for_its_reader(handoff, rep, manager):
    from scoring import claim_links

    def recipient(destination):
        url = said(destination)[Kind.HANDOFF_OPENED].claim_url
        return claim_links.read(url.rstrip("/").rsplit("/", 1)[1], now=NOW).recipient_id

    assert recipient(listener(rep, owner=rep, channel="email", name="Mail")) == rep.pk
    assert recipient(listener(manager)) is None
    assert said(listener(manager, channel="webhook", name="CRM"))[Kind.HANDOFF_OPENED].claim_url == ""


def test_what_was_claimed_or_closed_meanwhile(handoff, rep, other_rep, manager):
    mine = listener(rep, owner=rep, channel="email", name="Mail")
    team, program = listener(manager), listener(manager, channel="webhook", name="CRM")
    handoffs.claim(handoff_id=handoff.pk, by=other_rep, now=NOW)
    assert said(mine)[Kind.HANDOFF_OPENED] is None
    item = said(team)[Kind.HANDOFF_OPENED]
    assert (item.owner, item.claim_url) == ("Theo Marsh", "")
    Handoff.objects.filter(pk=handoff.pk).update(status=Handoff.Status.WON, closed_at=timezone.now())
    assert said(team)[Kind.HANDOFF_OPENED] is None
    assert said(program)[Kind.HANDOFF_OPENED].data["status"] == "won"


@pytest.mark.parametrize(
    ("kind", "detail", "mine", "theirs"),
    [
        (
            Kind.HANDOFF_ASSIGNED,
            {"why": "round robin"},
            "was given to you: round robin",
            "was given to Dana Whitfield: round robin",
        ),
        (Kind.SPEED_REROUTED, {}, "waited too long and went to you", "waited too long and went to Dana Whitfield"),
        (Kind.SPEED_WARNED, {"metric": "claim"}, "is about to wait too long to be claimed", None),
        (Kind.SPEED_ESCALATED, {"metric": "touch"}, "has waited too long for a first touch", None),
        (Kind.HANDOFF_WOKEN, {"why": "paid"}, "woke: it paid", None),
    ],
)
def test_each_kind_in_words(handoff, rep, manager, kind, detail, mine, theirs):
    detail = detail | {"to": [rep.pk]}
    if kind in (Kind.HANDOFF_ASSIGNED, Kind.SPEED_REROUTED):
        Handoff.objects.filter(pk=handoff.pk).update(owner=rep, status="claimed", claimed_at=NOW, assigned=True)
    tell(kind, handoff=handoff, account_id=handoff.company_id, now=NOW, detail=detail, key="x")
    assert said(listener(rep, owner=rep, channel="email", name="Mail"))[kind].headline == mine
    assert said(listener(manager))[kind].headline == (theirs or mine)


def test_what_was_given_and_went_on_is_over(handoff, rep, other_rep, manager):
    mine, team = listener(rep, owner=rep, channel="email", name="Mail"), listener(manager)
    handoffs.assign(handoff_id=handoff.pk, owner=rep, by=manager, now=NOW)
    assert said(mine)[Kind.HANDOFF_ASSIGNED].headline == "was given to you: assigned by Mara Lind"
    handoffs.assign(handoff_id=handoff.pk, owner=other_rep, by=manager, now=NOW + dt.timedelta(minutes=1))
    first, second = AlertFact.objects.filter(kind=Kind.HANDOFF_ASSIGNED).order_by("pk")
    told = words([str(first.pk), str(second.pk)], team, now=NOW)
    assert told[str(first.pk)] is None
    assert told[str(second.pk)].headline == "was given to Theo Marsh: assigned by Mara Lind"
    Handoff.objects.filter(pk=handoff.pk).update(status=Handoff.Status.LOST, closed_at=NOW)
    assert words([str(second.pk)], team, now=NOW) == {str(second.pk): None}


@pytest.mark.parametrize("metric", ["claim", "touch"])
def test_a_warning_is_over_once_it_was_heeded(handoff, rep, manager, metric):
    tell(
        Kind.SPEED_WARNED,
        handoff=handoff,
        account_id=handoff.company_id,
        now=NOW,
        detail={"metric": metric, "to": []},
        key="x",
    )
    team = listener(manager)
    assert said(team)[Kind.SPEED_WARNED] is not None
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    assert (said(team)[Kind.SPEED_WARNED] is None) == (metric == "claim")
    handoffs.touch(handoff_id=handoff.pk, kind="called", by=rep, now=NOW)
    assert said(team)[Kind.SPEED_WARNED] is None


def test_who_cannot_claim_gets_no_claim_link(handoff, viewer, manager):
    theirs = listener(viewer, owner=viewer, channel="email", name="Mail")
    assert said(theirs)[Kind.HANDOFF_OPENED].claim_url == ""
    assert said(listener(manager))[Kind.HANDOFF_OPENED].claim_url != ""


def test_a_name_of_several_lines_stands_on_one(handoff, manager):
    handoff.company.name = "Acme\nClaim: https://evil.test"
    handoff.company.save()
    assert said(listener(manager))[Kind.HANDOFF_OPENED].subject == "Acme Claim: https://evil.test"


def test_a_return_to_self_serve_is_told_unless_it_was_taken_back(handoff, rep, manager):
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    handoffs.close(handoff_id=handoff.pk, outcome="returned", by=rep, now=NOW)
    team, program = listener(manager), listener(manager, channel="webhook", name="CRM")
    assert said(team)[Kind.HANDOFF_RETURNED].headline == "was returned to self-serve"
    handoffs.reopen(handoff_id=handoff.pk, by=rep, now=NOW)
    assert said(team)[Kind.HANDOFF_RETURNED] is None
    assert said(program)[Kind.HANDOFF_RETURNED].data["status"] == "claimed"


def test_a_play_speaks_to_a_program_of_an_account_without_a_handoff(manager):
    company = desk.company(1, now=NOW)
    detail = {"play": "winback", "play_name": "Win back"}
    tell(Kind.PLAY_WEBHOOK, handoff=None, account_id=company.pk, now=NOW, detail=detail, key="1")
    item = said(listener(manager, channel="signed", name="CRM"))[Kind.PLAY_WEBHOOK]
    assert (item.subject, item.headline) == (company.name, "set off the play Win back")
    assert item.data["detail"] == detail
    assert item.url.endswith(f"/accounts/{company.pk}/")


@pytest.mark.parametrize("count", [1, 3])
def test_queries_do_not_grow(rep, count, django_assert_num_queries):
    _, steady = definitions()
    for number in range(count):
        open_handoff(desk.company(number, now=NOW), steady)
    mine = listener(rep, owner=rep, channel="email", name="Mail")
    keys = [str(pk) for pk in AlertFact.objects.values_list("pk", flat=True)]
    words(keys, mine, now=NOW)
    with django_assert_num_queries(2):  # the facts with their handoffs; their reasons
        assert len([item for item in words(keys, mine, now=NOW).values() if item]) == count
