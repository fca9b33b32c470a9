"""Push: what changed, once, to the right company. The real client, against a HubSpot on this machine."""

import datetime as dt

import pytest
from django.conf import settings as project

from accounts import stewardship
from accounts.models import Account, AccountDue
from scoring import handoffs, tasks
from scoring.crm import connections, push
from scoring.models import CrmConflict, CrmConnection, CrmLink, Handoff
from tests.conftest import NOW
from tests.factories.crm import DAY, connected, in_sales, owner_there, pushed
from tests.factories.scoring import make_account, publish, sweep, use
from tests.hubspot_server import hubspot_server

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
SOON = NOW + dt.timedelta(minutes=1)


@pytest.fixture
def server(settings):
    with hubspot_server() as world:
        settings.HUBSPOT_URL = world.url
        yield world


def test_a_company_is_made_once_with_all_that_is_mapped(server, admin, rep):
    owner_there(server, rep, "51")
    account = in_sales("Lumen Analytics", owner=rep, domain="lumen.io", plan="team", mrr=1175)
    connected(server, admin)

    ((crm_id, there),) = server.companies.items()
    assert there == {
        "plgops_account": "lumen-analytics",
        "name": "Lumen Analytics",
        "domain": "lumen.io",
        "hubspot_owner_id": "51",
        "plgops_handoff": "Claimed",
        "plgops_plan": "team",
        "plgops_mrr": "1175",
        "plgops_page": f"http://127.0.0.1:8000/accounts/{account.pk}/",
    }
    link = CrmLink.objects.get()
    assert (link.company_id, link.crm_id, link.matched, link.pushed_at) == (account.pk, crm_id, "made", NOW)
    assert server.properties["plgops_account"]["hasUniqueValue"] is True
    assert CrmConnection.objects.get().pushed_at == NOW


def test_score_and_explanation_go_with_the_reason_and_without_it(server, admin):
    account = in_sales("Lumen")
    connected(server, admin)
    publish(NOW - DAY)
    use(account, "Invite Sent", at=NOW - dt.timedelta(hours=1), count=4)
    sweep(NOW)
    # its episode waits for a release: sales is not told of it before that
    (reason,) = account.qualifications.all()
    reason.release = "live"
    reason.save()
    push.news.look_again([account.pk], now=SOON)
    assert pushed(SOON).written == 1
    (there,) = server.companies.values()
    assert there["plgops_definitions"] == "Team expansion"
    assert there["plgops_why"].startswith("Team expansion v1: ")

    later = NOW + 20 * DAY
    for day in (10, 20):
        AccountDue.objects.filter(account=account, consumer="evaluation").update(due_day=0)
        sweep(NOW + day * DAY)
    assert pushed(later).written == 1
    (there,) = server.companies.values()
    assert (there["plgops_definitions"], there["plgops_why"]) == ("", "")


def test_a_score_that_differs_in_its_last_decimals_is_the_same(server, admin):
    account = in_sales("Lumen")
    invites = {"count": {"event": "Invite Sent", "at_least": 1, "window": {"last_days": 7}}}
    publish(NOW - DAY, rule={"score": {"at_least": 10, "signals": [{"part": "usage", "points": 12, "when": invites}]}})
    use(account, "Invite Sent", at=NOW - dt.timedelta(hours=1))
    sweep(NOW)
    (reason,) = account.qualifications.all()
    reason.release = "live"

    def measured(points: float) -> None:
        reason.evidence["conditions"][0]["measured"] = points
        reason.save()
        push.news.look_again([account.pk], now=SOON)

    measured(33.300000000000004)
    connected(server, admin)
    (there,) = server.companies.values()
    assert there["plgops_score"] == "33.3"
    server.asked.clear()
    measured(33.3)
    assert (pushed(SOON).unchanged, server.asked) == (1, [])
    measured(33.31)
    assert pushed(SOON).written == 1


def test_what_did_not_change_is_not_sent_and_nobody_is_asked(server, admin, rep):
    account = in_sales("Lumen", domain="lumen.io")
    connected(server, admin)
    server.asked.clear()
    push.news.look_again([account.pk], now=SOON)
    assert (pushed(SOON).unchanged, server.asked) == (1, [])

    Account.objects.filter(pk=account.pk).update(plan="business")
    push.news.look_again([account.pk], now=SOON)
    pushed(SOON)
    assert [(a.path.rsplit("/", 1)[1], a.body["inputs"]) for a in server.written] == [
        ("update", [{"id": CrmLink.objects.get().crm_id, "properties": {"plgops_plan": "business"}}])
    ]


def test_verbs_reach_the_crm_without_a_sweep_over_everybody(server, admin, manager, rep, other_rep):
    owner_there(server, rep, "51")
    owner_there(server, other_rep, "52")
    accounts = [in_sales(name) for name in ("Lumen", "Kestrel", "Vela")]
    connected(server, admin)
    handoff = Handoff.objects.get(company=accounts[0])

    def told() -> tuple[str, str]:
        server.asked.clear()
        assert pushed(SOON).claimed == 1  # nobody else is looked at
        there = server.companies[CrmLink.objects.get(company=accounts[0]).crm_id]
        return there.get("plgops_handoff"), there.get("hubspot_owner_id")

    handoffs.claim(handoff_id=handoff.pk, by=rep, now=SOON)
    assert told() == ("Claimed", "51")
    handoffs.assign(handoff_id=handoff.pk, owner=other_rep, by=manager, now=SOON)
    assert told() == ("Claimed", "52")
    handoffs.touch(handoff_id=handoff.pk, kind="called", by=other_rep, now=SOON)
    assert told() == ("Working", "52")
    handoffs.close(handoff_id=handoff.pk, outcome="won", by=other_rep, now=SOON)
    assert told() == ("Won", "52")
    stewardship.set_owner(account_id=accounts[0].pk, owner=rep, by=manager, now=SOON)
    assert told() == ("Won", "51")


def test_matched_by_key_before_domain_and_by_domain_before_it_is_made(server, admin):
    by_key = server.add("companies", name="Old name", domain="elsewhere.com", plgops_account="lumen")
    server.add("companies", name="Another", domain="lumen.io")
    by_domain = server.add("companies", name="Kestrel Inc.", domain="kestrel.com", industry="ROBOTS")
    lumen, kestrel = in_sales("Lumen", domain="lumen.io"), in_sales("Kestrel", domain="Kestrel.com")
    connected(server, admin)

    links = {link.company_id: (link.crm_id, link.matched) for link in CrmLink.objects.all()}
    assert links == {lumen.pk: (by_key, "key"), kestrel.pk: (by_domain, "domain")}
    assert len(server.companies) == 3
    there = server.companies[by_domain]
    # the CRM has the say about names; what is empty there is filled
    assert (there["name"], there["plgops_account"], there["plgops_handoff"]) == ("Kestrel Inc.", "kestrel", "New")


@pytest.mark.parametrize("lags", [False, True])
@pytest.mark.parametrize("failure", [{"status": 0}, {"status": 502}])
def test_an_answer_that_is_lost_makes_no_second_company(server, admin, lags, failure):
    in_sales("Lumen", domain="lumen.io")
    server.lags = lags  # the search finds it only later: the unique key does at once
    server.fail(path="/batch/upsert", done=True, **failure)
    connections.connect(token=server.token, by=admin, now=NOW)
    connections.switch_on(by=admin, now=NOW)
    pushed(NOW)
    found = CrmConnection.objects.get()
    assert len(server.companies) == 1 and CrmLink.objects.get().crm_id == ""
    assert found.paused_until > NOW and "HubSpot" in found.last_error

    pushed(NOW + dt.timedelta(minutes=1))
    assert len(server.companies) == 1
    assert CrmLink.objects.get().matched == "key"
    assert CrmConnection.objects.get().last_error == ""


class Killed(BaseException):
    """The worker is gone: nothing after this line runs."""


def test_a_worker_that_is_killed_before_it_notes_repeats_an_update_that_changes_nothing(server, admin, monkeypatch):
    in_sales("Lumen", domain="lumen.io")
    connections.connect(token=server.token, by=admin, now=NOW)
    connections.switch_on(by=admin, now=NOW)

    def die(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(push, "_note", die)
        with pytest.raises(Killed):
            push.push_due(clock=lambda: NOW)
    before = server.companies
    assert len(before) == 1 and CrmLink.objects.get().crm_id == ""
    assert push.push_due(clock=lambda: NOW + push.LEASE / 2).claimed == 0  # its lease stands
    pushed(NOW + push.LEASE + dt.timedelta(seconds=1))
    assert server.companies == before
    assert CrmLink.objects.get().matched == "key"


def test_a_lease_that_was_lost_while_the_crm_was_asked_writes_nothing_down(server, admin):
    account = in_sales("Lumen", domain="lumen.io")
    connections.connect(token=server.token, by=admin, now=NOW)
    connections.switch_on(by=admin, now=NOW)

    def taken(method, path, body):
        if path.endswith("/batch/upsert"):
            AccountDue.objects.filter(account=account, consumer="crm").update(lease_token="somebody else")

    server.before = taken
    push.push_due(clock=lambda: NOW)
    assert len(server.companies) == 1
    assert CrmLink.objects.get().crm_id == ""
    assert AccountDue.objects.get(account=account, consumer="crm").is_behind


def test_a_change_while_the_crm_is_asked_is_sent_next(server, admin):
    account = in_sales("Lumen", domain="lumen.io", plan="team")
    connections.connect(token=server.token, by=admin, now=NOW)
    connections.switch_on(by=admin, now=NOW)

    def change(method, path, body):
        if path.endswith("/batch/upsert"):
            Account.objects.filter(pk=account.pk).update(plan="business")
            push.news.look_again([account.pk], now=NOW)

    server.before = change
    push.push_due(clock=lambda: NOW)
    server.before = None
    assert pushed(SOON).written == 1
    assert next(iter(server.companies.values()))["plgops_plan"] == "business"


def test_too_many_requests_waits_as_told(server, admin):
    in_sales("Lumen")
    connected(server, admin)
    in_sales("Kestrel")
    server.fail(429, headers={"Retry-After": "37"}, body={"policyName": "TEN_SECONDLY_ROLLING"})
    pushed(SOON)
    assert CrmConnection.objects.get().paused_until == SOON + dt.timedelta(seconds=37)
    asked = len(server.asked)
    assert push.push_due(clock=lambda: SOON + dt.timedelta(seconds=36)).claimed == 0
    assert len(server.asked) == asked
    pushed(SOON + dt.timedelta(seconds=38))
    assert len(server.companies) == 2


def test_the_days_requests_used_up_wait_an_hour(server, admin):
    in_sales("Lumen")
    connected(server, admin)
    in_sales("Kestrel")
    server.fail(429, body={"policyName": "DAILY"})
    pushed(SOON)
    assert CrmConnection.objects.get().paused_until == SOON + dt.timedelta(hours=1)


def test_a_token_that_is_refused_stops_everything_until_there_is_another(server, admin):
    in_sales("Lumen")
    connected(server, admin)
    in_sales("Kestrel")
    server.token = "pat-eu1-another"
    pushed(SOON)
    found = CrmConnection.objects.get()
    assert (found.state, "401" in found.last_error) == ("refused", True)
    asked = len(server.asked)
    assert (push.push_due(clock=lambda: SOON).claimed, len(server.asked)) == (0, asked)
    with pytest.raises(connections.Refused):
        connections.switch_on(by=admin, now=SOON)

    connections.connect(token="pat-eu1-another", by=admin, now=SOON)
    assert CrmConnection.objects.get().state == "on"
    pushed(SOON)
    assert len(server.companies) == 2


def test_trouble_of_hubspot_pauses_longer_each_time_and_is_forgotten(server, admin):
    in_sales("Lumen")
    connected(server, admin)
    in_sales("Kestrel")
    server.fail(503, times=2)
    pushed(NOW)
    first = CrmConnection.objects.get().paused_until - NOW
    second_at = NOW + dt.timedelta(seconds=6)
    pushed(second_at)
    assert CrmConnection.objects.get().paused_until - second_at == 2 * first
    assert AccountDue.objects.filter(consumer="crm", attempts__gt=0).count() == 0  # no account is to blame
    pushed(NOW + dt.timedelta(minutes=5))
    found = CrmConnection.objects.get()
    assert (len(server.companies), found.failures, found.last_error) == (2, 0, "")


def test_one_bad_value_fails_alone_with_hubspots_words(server, admin):
    good, bad = in_sales("Lumen"), in_sales("Kestrel")
    connected(server, admin)
    server.properties["plgops_plan"]["type"] = "number"  # somebody made another property of that name
    Account.objects.filter(pk=bad.pk).update(plan="team")
    Account.objects.filter(pk=good.pk).update(mrr=10)
    push.news.look_again([good.pk, bad.pk], now=SOON)
    done = pushed(SOON)
    assert (done.written, done.failed) == (1, 1)
    row = AccountDue.objects.get(account=bad, consumer="crm")
    assert (row.attempts, "not a valid number" in row.last_error, row.retry_at > SOON) == (1, True, True)
    server.properties["plgops_plan"]["type"] = "string"
    assert pushed(SOON + dt.timedelta(minutes=2)).written == 1


def test_internal_accounts_and_those_that_sales_never_had_are_not_told_of(server, admin):
    in_sales("Ours", is_internal=True)
    make_account("Self serve")
    in_sales("Lumen")
    connected(server, admin)
    assert [there["name"] for there in server.companies.values()] == ["Lumen"]
    found = connections.current()
    connections.save_mapping(wanted=connections.lines(found), audience="all", edition=found.edition, by=admin, now=SOON)
    pushed(SOON)
    assert sorted(there["name"] for there in server.companies.values()) == ["Lumen", "Self serve"]


def test_a_childs_news_is_its_companys(server, admin):
    root = in_sales("Lumen", mrr=100)
    child = make_account("Lumen Labs", parent=root, mrr=50)
    connected(server, admin)
    assert [there["plgops_mrr"] for there in server.companies.values()] == ["150"]
    Account.objects.filter(pk=child.pk).update(mrr=80)
    push.news.look_again([child.pk], now=SOON)
    pushed(SOON)
    assert [there["plgops_mrr"] for there in server.companies.values()] == ["180"]


def test_a_company_that_is_merged_away_leaves_its_link_to_the_winner(server, admin):
    loser = in_sales("Lumen", domain="lumen.io")
    connected(server, admin)
    winner = in_sales("Lumen Analytics", domain="lumen.io")
    Account.objects.filter(pk=loser.pk).update(merged_into=winner)
    push.news.look_again([loser.pk], now=SOON)
    pushed(SOON)
    assert len(server.companies) == 1
    link = CrmLink.objects.get()
    assert (link.company_id, server.companies[link.crm_id]["plgops_account"]) == (winner.pk, "lumen-analytics")


def test_two_of_ours_with_one_domain_make_one_company_and_a_question(server, admin):
    server.lags = True
    first, second = in_sales("Lumen", domain="lumen.io"), in_sales("Lumen Labs", domain="lumen.io")
    connected(server, admin)
    assert len(server.companies) == 1
    conflict = CrmConflict.objects.get()
    assert (conflict.company, conflict.kind) == (second, "taken")
    assert CrmLink.objects.get(company=first).crm_id in server.companies


def test_nothing_is_asked_while_no_crm_is_switched_on(server, admin):
    account = in_sales("Lumen")
    assert AccountDue.objects.get(account=account, consumer="crm").is_behind
    pushed(NOW)
    assert not AccountDue.objects.get(account=account, consumer="crm").is_behind
    connections.connect(token=server.token, by=admin, now=NOW)
    server.asked.clear()
    push.news.look_again([account.pk], now=NOW)
    pushed(NOW)
    assert (server.asked, server.companies) == ([], {})


def test_another_account_of_the_crm_forgets_what_ids_meant(server, admin):
    in_sales("Lumen", domain="lumen.io")
    connected(server, admin)
    connections.connect(token=server.token, by=admin, now=SOON)  # the same account: what is known stays
    assert CrmLink.objects.count() == 1
    server.objects, server.portal = {}, 888
    connections.connect(token=server.token, by=admin, now=SOON)
    assert CrmLink.objects.count() == 0
    connections.open_crm(connections.current()).prepare([])
    pushed(SOON)
    pushed(SOON)
    assert len(server.companies) == 1


def test_the_task_is_the_consumers_doorbell():
    assert tasks.crm_push.name == project.DUE_CONSUMERS["crm"] == connections.PUSH
    assert tasks.crm_pull.name == connections.PULL


def test_inside_a_transaction_the_crm_is_not_asked(server, admin):
    from django.db import transaction

    in_sales("Lumen")
    connections.connect(token=server.token, by=admin, now=NOW)
    connections.switch_on(by=admin, now=NOW)
    server.asked.clear()
    with transaction.atomic(), pytest.raises(RuntimeError, match="never asked inside a transaction"):
        push.push_due(clock=lambda: NOW)
    assert server.asked == []


def test_a_domain_of_free_mail_is_no_companys(server, admin):
    server.add("companies", name="Google", domain="gmail.com")
    for name in ("One", "Two"):
        in_sales(name, domain="gmail.com")
    connected(server, admin)
    assert [one["name"] for one in server.companies.values()] == ["Google", "One", "Two"]
    assert not CrmConflict.objects.exists()
