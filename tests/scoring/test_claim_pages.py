"""The page behind a claim link."""

import pytest
from django.test import Client
from django.utils import timezone

from scoring import claim_links, handoffs
from scoring.models import ClaimLinkUse, Handoff
from tests.factories import desk
from tests.scoring.alert_world import definitions, open_handoff

pytestmark = pytest.mark.django_db


@pytest.fixture
def handoff():
    now = timezone.now()
    return open_handoff(desk.company(0, now=now), definitions()[1], at=now)


def path(handoff, person, *, at=None):
    url = claim_links.address(
        handoff_id=handoff.pk, recipient_id=person.pk if person else None, fact_id=1, at=at or timezone.now()
    )
    return "/" + url.split("/", 3)[3]


def test_looking_changes_nothing_however_often(client, handoff, rep):
    """Mail scanners and chat programs follow every link."""
    address = path(handoff, rep)
    for method in (client.get, client.head, client.get):
        response = method(address)
        assert response.status_code == 200
    response = client.get(address)
    assert "Claim for Dana Whitfield" in response.content.decode()
    assert "Steady use" in response.content.decode()
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in response.headers["Cache-Control"]
    handoff.refresh_from_db()
    assert (handoff.status, handoff.owner) == (Handoff.Status.NEW, None)
    assert not ClaimLinkUse.objects.exists()


def test_the_button_claims_for_whom_it_was_sent_to_without_a_log_in(client, handoff, rep):
    address = path(handoff, rep)
    response = client.post(address)
    assert "Lumen Analytics is yours, Dana Whitfield." in response.content.decode()
    handoff.refresh_from_db()
    assert handoff.owner == rep
    assert "_auth_user_id" not in client.session
    assert "You have it already" in client.get(address).content.decode()
    assert client.post(address).status_code == 410


def test_a_forged_form_claims_nothing(handoff, rep):
    """Another site's form has no token of ours."""
    assert Client(enforce_csrf_checks=True).post(path(handoff, rep)).status_code == 403
    handoff.refresh_from_db()
    assert handoff.owner is None


def test_who_was_first_is_said(client, handoff, rep, other_rep):
    handoffs.claim(handoff_id=handoff.pk, by=other_rep, now=timezone.now())
    assert "Theo Marsh has claimed it" in client.get(path(handoff, rep)).content.decode()
    response = client.post(path(handoff, rep))
    assert response.status_code == 409
    assert "Theo Marsh has claimed it" in response.content.decode()


def test_a_link_of_a_channel_asks_who_it_is(client, handoff, other_rep):
    address = path(handoff, None)
    response = client.get(address)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/login/?next=/claim/")
    assert client.post(address).status_code == 302
    client.force_login(other_rep)
    assert "Claim for Theo Marsh" in client.get(address).content.decode()
    client.post(address)
    handoff.refresh_from_db()
    assert handoff.owner == other_rep


def test_somebody_elses_link_claims_nothing_for_who_is_logged_in(client_of, handoff, rep, other_rep):
    browser = client_of(other_rep)
    for response in (browser.get(path(handoff, rep)), browser.post(path(handoff, rep))):
        assert response.status_code == 403
        assert "sent to Dana Whitfield" in response.content.decode()
    handoff.refresh_from_db()
    assert handoff.owner is None


def test_who_may_not_claim_is_told_so(client, handoff, viewer):
    response = client.post(path(handoff, viewer))
    assert response.status_code == 403
    assert "Your role does not include this" in response.content.decode()


@pytest.mark.parametrize("token", ["x", "eyJoIjoxfQ:abc", "%C3%BC", "..", "a:b:c"])
def test_a_damaged_link_is_not_found(client, token):
    assert client.get(f"/claim/{token}/").status_code == 404


def test_an_old_link_says_so(client, handoff, rep):
    response = client.get(path(handoff, rep, at=timezone.now() - claim_links.GOOD_FOR))
    assert response.status_code == 410
    assert "good for a week" in response.content.decode()


def test_what_is_closed_says_so(client, handoff, rep):
    Handoff.objects.filter(pk=handoff.pk).update(status=Handoff.Status.WITHDRAWN, closed_at=timezone.now())
    assert "no longer open" in client.get(path(handoff, rep)).content.decode()
