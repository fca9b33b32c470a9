"""What the account page says of the definitions that an account is one condition short of."""

import datetime as dt

import pytest
from django.utils import timezone

from scoring import nearest
from scoring.models import Qualification
from tests.factories.scoring import make_account, make_user, publish, sweep, use

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
FIRST = {"first_days": 14, "of": "account"}


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def acme(now):
    """On the last of its first 14 days, with 3 invites by ann."""
    account = make_account("Acme", signed_up_at=now - 13 * DAY)
    use(account, "Invite Sent", at=now - DAY, count=3, user=make_user(account, "ann"))
    return account


def invites(at_least, **window):
    return {"count": {"event": "Invite Sent", "at_least": at_least, **({"window": window} if window else {})}}


def shown(client, account):
    return client.get(f"/accounts/{account.pk}/panels/near/")


def test_it_says_what_is_missing_and_how_long_there_is(acme, now, client_of, rep):
    publish(now - 20 * DAY, rule=invites(5, **FIRST))
    page = shown(client_of(rep), acme).content.decode()
    assert 'href="/definitions/team-expansion/">Team expansion</a>' in page
    assert '<b class="strong num">2 more times</b>, today is the last day' in page
    assert "“Invite Sent” at least 5 times within 14 days of signup" in page
    panel = client_of(rep).get(f"/accounts/{acme.pk}/panels/qualification/").content.decode()
    assert f'hx-get="/accounts/{acme.pk}/panels/near/"' in panel


def test_what_is_hopeless_is_left_out(acme, now, client_of, rep):
    either = [invites(9, first_days=5, of="account"), invites(7), {"trait": {"name": "seats", "at_least": 50}}]
    publish(now - 20 * DAY, rule=either[0])
    assert shown(client_of(rep), acme).status_code == 204
    publish(now - 20 * DAY, slug="either", name="Either", rule={"any": either})
    (one,) = nearest.of_account(acme.pk, now=now)
    assert (one.slug, one.missing.needs, one.others) == ("either", "4 more times", 1)


def test_it_leaves_out_what_has_an_open_episode_and_risks(acme, now):
    publish(now - 20 * DAY, rule=invites(3))
    publish(now - 20 * DAY, slug="risk", name="Risk", purpose="risk", rule=invites(4))
    sweep(now)
    assert Qualification.objects.filter(account=acme, closed_at=None).exists()
    publish(now, rule=invites(5))  # evaluation has not come to it yet: the episode is still open
    assert nearest.of_account(acme.pk, now=now) == []
    Qualification.objects.update(closed_at=now, close_cause="redefined")
    assert [one.slug for one in nearest.of_account(acme.pk, now=now)] == ["team-expansion"]


def test_of_people_the_closest_is_named(acme, now, client_of, rep):
    publish(now - 20 * DAY, rule=invites(4), level="user", account_when={"users_at_least": 1})
    assert "ann comes closest" in shown(client_of(rep), acme).content.decode()


def test_no_more_than_the_nearest_few(acme, now):
    for number in range(nearest.MOST + 2):
        publish(now - DAY, slug=f"d{number}", name=f"D{number}", rule=invites(10 - number))
    found = nearest.of_account(acme.pk, now=now)
    assert [one.missing.distance for one in found] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("size", [1, 3])
def test_it_costs_the_same_with_any_number(acme, now, client_of, rep, size, django_assert_num_queries):
    for number in range(size):
        publish(now - DAY, slug=f"d{number}", name=f"D{number}", rule=invites(5 + number))
    client = client_of(rep)
    # session, user, roles, account; open episodes, live versions, a snapshot's two, event types, the statement
    with django_assert_num_queries(10):
        assert len(shown(client, acme).context["near"]) == size


def test_it_is_for_readers_of_accounts(acme, client_of, stranger, rep):
    assert shown(client_of(stranger), acme).status_code == 403
    assert client_of(rep).get("/accounts/999999/panels/near/").status_code == 404
    assert shown(client_of(rep), acme).status_code == 204  # nothing is live
