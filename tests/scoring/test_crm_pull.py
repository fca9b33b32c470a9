"""Pull: owners, deals and touches come here once, whoever dies, and count as what they are."""

import datetime as dt
from decimal import Decimal

import pytest

from accounts import billing
from accounts.models import AccountDue, AuditEntry, Deal, RevenueMovement, StageEntry
from scoring import handoffs, muting, next_action
from scoring.crm import connections, pull, touches
from scoring.models import CrmActivity, CrmConnection, CrmOwner, Handoff, HandoffActivity
from tests.conftest import NOW
from tests.factories.crm import DAY, connected, deal_there, in_sales, owner_there, pulled, pushed, there
from tests.hubspot_server import hubspot_server

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
HOUR = dt.timedelta(hours=1)
LATER = NOW + HOUR


@pytest.fixture
def server(settings):
    with hubspot_server() as world:
        settings.HUBSPOT_URL = world.url
        yield world


@pytest.fixture
def lumen(server, admin, rep):
    """A company that Dana works, in both; read once, so that what comes now is news."""
    owner_there(server, rep, "51")
    account = in_sales("Lumen", owner=rep, domain="lumen.io", at=NOW - 2 * DAY)
    connected(server, admin)
    pulled(NOW)
    return account


def activity(server, account, kind: str, at: dt.datetime, **properties) -> str:
    new = server.add(kind, LATER, hs_timestamp=at.isoformat(), **properties)
    server.link(kind, new, there(account))
    return new


def test_a_call_is_a_touch_of_the_handoff_and_of_what_is_bought_soon(server, lumen, rep):
    called_at = NOW - HOUR
    activity(server, lumen, "calls", called_at, hs_call_title="Intro", hubspot_owner_id="51")
    billing.record_state(account_id=lumen.pk, account_key="g:lumen", at=NOW, plan="team", mrr=Decimal(470), now=NOW)
    done = pulled(LATER)
    assert (done.activities, done.touches) == (1, 1)
    handoff = Handoff.objects.get()
    assert (handoff.status, handoff.first_touch_at) == ("working", called_at)
    (touch,) = HandoffActivity.objects.all()
    assert (touch.kind, touch.at, touch.by, touch.text) == ("called", called_at, rep, "Intro (from the CRM)")
    assert StageEntry.objects.get(account=lumen, stage="contacted").at == called_at
    assert RevenueMovement.objects.get().motion == "sales_touched"
    assert next_action.of_account(lumen, now=LATER).touched_at == called_at
    mute = muting.muted([lumen.pk], now=LATER)[lumen.pk]
    assert mute.until == muting.business_days().after(called_at, muting.WORKING_DAYS)
    assert AuditEntry.objects.filter(action="handoff.touched_there", object_id=handoff.pk).count() == 1


def test_read_twice_or_after_a_crash_a_touch_counts_once(server, lumen, monkeypatch):
    activity(server, lumen, "emails", NOW, hs_email_subject="Hello", hs_email_direction="EMAIL", hubspot_owner_id="51")

    class Killed(BaseException):
        pass

    def die(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(touches, "count_due", lambda **_: 0)
        patched.setattr(pull, "_histories", die)
        with pytest.raises(Killed):
            pulled(LATER)
    assert (CrmActivity.objects.count(), HandoffActivity.objects.count()) == (1, 0)
    assert CrmConnection.objects.get().pull_lease_until is not None
    assert pulled(LATER + dt.timedelta(minutes=1)).activities == 0  # the lease of who died stands; what is noted counts
    assert HandoffActivity.objects.count() == 1
    for minutes in (10, 11, 12):
        pulled(LATER + dt.timedelta(minutes=minutes))
    assert (CrmActivity.objects.count(), HandoffActivity.objects.count()) == (1, 1)


def test_what_came_in_or_was_called_off_is_no_touch_and_a_meeting_counts_when_it_was(server, lumen):
    activity(server, lumen, "emails", NOW, hs_email_subject="Re: Hello", hs_email_direction="INCOMING_EMAIL")
    activity(server, lumen, "meetings", NOW, hs_meeting_title="Demo", hs_meeting_outcome="CANCELED")
    soon = LATER + DAY
    meeting = activity(server, lumen, "meetings", soon, hs_meeting_title="Review", hs_meeting_outcome="SCHEDULED")
    assert pulled(LATER).touches == 0
    server.change("meetings", meeting, LATER + HOUR, hs_timestamp=(soon + HOUR).isoformat())
    assert pulled(LATER + HOUR).touches == 0
    assert pulled(soon).touches == 0  # it was put off
    assert pull.pull_due(clock=lambda: soon + HOUR).touches == 1
    assert [(touch.kind, touch.at) for touch in HandoffActivity.objects.all()] == [("met", soon + HOUR)]


def test_a_touch_from_before_the_handoff_is_none_of_it(server, lumen):
    activity(server, lumen, "calls", NOW - 10 * DAY, hs_call_title="Long ago")
    assert pulled(LATER).touches == 1
    assert (HandoffActivity.objects.count(), Handoff.objects.get().first_touch_at) == (0, None)
    assert StageEntry.objects.get(account=lumen, stage="contacted").at == NOW - 10 * DAY


def test_whose_name_nobody_here_has_touches_for_the_owner(server, lumen, rep):
    server.owners.append({"id": "99", "email": "gone@elsewhere.test", "firstName": "G", "lastName": "One"})
    activity(server, lumen, "calls", NOW, hs_call_title="Intro", hubspot_owner_id="99")
    pulled(LATER)
    assert HandoffActivity.objects.get().by == rep


def test_a_search_of_many_pages_is_read_to_the_end(server, lumen, monkeypatch):
    server.page = 2
    monkeypatch.setattr(pull, "PAGES", 2)
    for number in range(11):
        deal_there(server, lumen, LATER + dt.timedelta(minutes=number), dealname=f"Deal {number}")
    assert pulled(LATER + HOUR).deals == 11
    assert Deal.objects.count() == 11


def test_an_owner_changed_there_is_taken_where_the_crm_has_the_say(server, admin, rep, other_rep, lumen):
    owner_there(server, other_rep, "52")
    found = connections.current()
    wanted = [
        line if line.field != "owner" else type(line)(line.field, line.into, "theirs")
        for line in connections.lines(found)
    ]
    connections.save_mapping(wanted=wanted, audience="sales", edition=found.edition, by=admin, now=NOW)
    pushed(NOW)
    server.change("companies", there(lumen), LATER, hubspot_owner_id="52")
    assert pulled(LATER).companies == 1
    pushed(LATER)
    lumen.refresh_from_db()
    assert (lumen.owner, Handoff.objects.get().owner) == (other_rep, other_rep)
    pushed(LATER)
    assert server.companies[there(lumen)]["hubspot_owner_id"] == "52"
    assert CrmOwner.objects.get(crm_id="52").email == other_rep.email


def test_an_owner_there_is_taken_where_nobody_is_it_here(server, admin, rep):
    owner_there(server, rep, "51")
    server.add("companies", name="Lumen", domain="lumen.io", hubspot_owner_id="51")
    account = in_sales("Lumen", domain="lumen.io")
    connected(server, admin)
    account.refresh_from_db()
    assert (account.owner, Handoff.objects.get().status) == (rep, "claimed")


def test_what_was_overwritten_there_is_put_right_where_we_have_the_say(server, lumen):
    server.change("companies", there(lumen), LATER, plgops_handoff="Nonsense")
    pulled(LATER)
    pushed(LATER)
    assert server.companies[there(lumen)]["plgops_handoff"] == "Claimed"


def test_one_pull_at_a_time_and_a_refused_token_stops_it(server, lumen):
    CrmConnection.objects.update(pull_due_at=LATER, pull_token="other", pull_lease_until=LATER + HOUR)
    asked = len(server.asked)
    assert pull.pull_due(clock=lambda: LATER) is None
    assert len(server.asked) == asked
    CrmConnection.objects.update(pull_token="", pull_lease_until=None)
    server.token = "another"
    pulled(LATER)
    assert CrmConnection.objects.get().state == "refused"


def test_a_pull_whose_lease_was_taken_writes_nothing(server, lumen):
    deal_there(server, lumen, LATER)

    def taken(method, path, body):
        if path.endswith("/deals/search"):
            CrmConnection.objects.update(pull_token="somebody else")

    server.before = taken
    pulled(LATER)
    assert Deal.objects.count() == 0
    assert CrmConnection.objects.get().pull_token == "somebody else"
    assert not AccountDue.objects.filter(consumer="crm", is_behind=True).exists()


def test_a_change_while_pages_are_read_hides_no_other(server, lumen):
    server.page = 2
    ids = [deal_there(server, lumen, LATER + dt.timedelta(minutes=n), dealname=f"Deal {n}") for n in range(6)]
    searches = []

    def change_the_first(method, path, body):
        if path.endswith("/deals/search"):
            searches.append(path)
            if len(searches) == 2:  # it goes to the end, and the others are a place further in front
                server.change("deals", ids[0], LATER + HOUR, amount="1")

    server.before = change_the_first
    assert pulled(LATER + HOUR) is not None
    assert {found.external_id.rsplit(":", 1)[1] for found in Deal.objects.all()} == set(ids)


def test_a_pull_with_more_to_read_than_time_goes_on_and_stops_nothing(server, lumen, monkeypatch):
    server.page = 2
    ids = [deal_there(server, lumen, LATER + number * HOUR) for number in range(6)]
    with monkeypatch.context() as patched:
        patched.setattr(pull._Pull, "in_time", _twice())
        pulled(LATER + 6 * HOUR)
    found = CrmConnection.objects.get()
    assert (found.failures, found.paused_until, found.pull_token) == (0, None, "")
    assert pull.pull_due(clock=lambda: LATER + 6 * HOUR) is not None  # due, and at once
    assert Deal.objects.count() == len(ids)


def _twice():
    asked = []

    def in_time(self):
        asked.append(self)
        if len(asked) > 2:
            self.until = self.clock()
        if self.clock() >= self.until:
            raise pull.OutOfTime

    return in_time


@pytest.mark.parametrize(
    "said",
    [{"hs_email_status": "BOUNCED"}, {"hs_email_status": "SCHEDULED"}, {"hs_email_direction": "DRAFT_EMAIL"}],
)
def test_mail_that_did_not_go_out_is_no_touch_before_it_does(server, lumen, said):
    pk = activity(server, lumen, "emails", NOW, **{"hs_email_direction": "EMAIL", **said})
    assert pulled(LATER).touches == 0
    server.change("emails", pk, LATER + HOUR, hs_email_direction="EMAIL", hs_email_status="SENT")
    assert pulled(LATER + HOUR).touches == 1


def test_a_claim_that_is_taken_back_is_not_claimed_again_by_the_crm(server, admin, rep):
    owner_there(server, rep, "51")
    account = in_sales("Lumen", domain="lumen.io")
    connected(server, admin)
    handoff = Handoff.objects.get()
    handoffs.claim(handoff_id=handoff.pk, by=rep, now=NOW)
    pushed(NOW)
    assert server.companies[there(account)]["hubspot_owner_id"] == "51"
    handoffs.unclaim(handoff_id=handoff.pk, by=rep, now=NOW)
    pushed(NOW)
    account.refresh_from_db()
    handoff.refresh_from_db()
    assert (account.owner, handoff.owner, handoff.status) == (None, None, "new")
