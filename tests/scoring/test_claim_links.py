"""A claim link works once, for whom it was sent to, for a week; looking at it changes nothing."""

import datetime as dt

import pytest
from django.db import IntegrityError

from scoring import claim_links, handoffs
from scoring.claim_links import Expired, NoLink, Used
from scoring.models import ClaimLinkUse, Handoff
from tests.conftest import NOW
from tests.factories import desk
from tests.scoring.alert_world import definitions, open_handoff

pytestmark = pytest.mark.django_db


@pytest.fixture
def handoff():
    return open_handoff(desk.company(0, now=NOW), definitions()[1])


def token(handoff, person, fact=1):
    url = claim_links.address(handoff_id=handoff.pk, recipient_id=person.pk if person else None, fact_id=fact, at=NOW)
    return url.rstrip("/").rsplit("/", 1)[1]


def test_claiming_once(handoff, rep, other_rep):
    link = claim_links.read(token(handoff, rep), now=NOW)
    assert not link.is_used
    claim_links.claim(link, by=rep, now=NOW)
    handoff.refresh_from_db()
    assert (handoff.status, handoff.owner) == (Handoff.Status.CLAIMED, rep)
    handoffs.unclaim(handoff_id=handoff.pk, by=rep, now=NOW)
    with pytest.raises(Used):
        claim_links.claim(link, by=rep, now=NOW)
    assert claim_links.read(token(handoff, rep), now=NOW).is_used
    assert not claim_links.read(token(handoff, rep, fact=2), now=NOW).is_used


def test_who_was_not_first_is_told_and_the_link_stays_good(handoff, rep, other_rep):
    handoffs.claim(handoff_id=handoff.pk, by=other_rep, now=NOW)
    link = claim_links.read(token(handoff, rep), now=NOW)
    with pytest.raises(handoffs.AlreadyClaimed, match="Theo Marsh"):
        claim_links.claim(link, by=rep, now=NOW)
    assert not ClaimLinkUse.objects.exists()


def test_nobody_claims_with_anothers_link(handoff, rep, other_rep):
    with pytest.raises(handoffs.NotAllowed):
        claim_links.claim(claim_links.read(token(handoff, rep), now=NOW), by=other_rep, now=NOW)
    claim_links.claim(claim_links.read(token(handoff, None), now=NOW), by=other_rep, now=NOW)
    handoff.refresh_from_db()
    assert handoff.owner == other_rep


def test_who_may_not_claim_any_more_cannot(handoff, rep):
    link = claim_links.read(token(handoff, rep), now=NOW)
    rep.is_active = False
    rep.save()
    with pytest.raises(handoffs.NotAllowed):
        claim_links.claim(link, by=rep, now=NOW)


def test_a_link_ends_after_a_week(handoff, rep):
    claim_links.read(token(handoff, rep), now=NOW + dt.timedelta(days=6, hours=23))
    with pytest.raises(Expired):
        claim_links.read(token(handoff, rep), now=NOW + dt.timedelta(days=7))


def test_a_changed_link_is_none(handoff, rep, other_rep, settings):
    good = token(handoff, rep)
    body, signature = good.rsplit(":", 1)
    other = token(handoff, other_rep).rsplit(":", 1)[0]
    for bad in ("", "x", body, good[:-1], f"{other}:{signature}", f"{good}A"):
        with pytest.raises(NoLink):
            claim_links.read(bad, now=NOW)
    settings.SECRET_KEY = "another key, long enough to be one, for this test only"
    with pytest.raises(NoLink):
        claim_links.read(good, now=NOW)


def test_a_link_is_used_once_for_the_database_too(handoff, rep):
    ClaimLinkUse.objects.create(digest="x", handoff=handoff, used_at=NOW, used_by=rep)
    with pytest.raises(IntegrityError):
        ClaimLinkUse.objects.create(digest="x", handoff=handoff, used_at=NOW, used_by=rep)
